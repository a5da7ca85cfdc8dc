package edge

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/nats-io/nkeys"

	"gatehouse/schemas/wire"
)

// digits asks the service for the digits of PINs.
func (k *keeper) digits(ctx context.Context, ids []wire.ID) (map[wire.ID]string, error) {
	if err := k.g.pages.Wait(ctx); err != nil {
		return nil, err
	}
	box, err := nkeys.CreateCurveKeys()
	if err != nil {
		return nil, err
	}
	defer box.Wipe()
	public, err := box.PublicKey()
	if err != nil {
		return nil, err
	}
	proof, err := k.g.cfg.Key.Sign(wire.PinStatement(k.g.cfg.Org, k.g.cfg.ID, k.id, public))
	if err != nil {
		return nil, err
	}
	lines := make([][]byte, len(ids))
	for i, id := range ids {
		lines[i] = []byte(id)
	}
	_, answer, sealed, err := k.g.request(ctx, k.nc, &wire.Ask{Type: wire.AskPins, Door: k.id, Box: public, Proof: proof}, lines)
	if err != nil {
		return nil, err
	}
	if len(sealed) != 1 {
		return nil, errors.New("edge: the answer to a request for PINs has no digits")
	}
	return openPins(box, answer.From, sealed[0])
}

// openPins opens the digits that the service sealed.
func openPins(box nkeys.KeyPair, from string, line []byte) (digits map[wire.ID]string, err error) {
	body, err := base64.StdEncoding.DecodeString(string(line))
	if err == nil {
		body, err = box.Open(body, from)
	}
	if err == nil {
		err = wire.PinBounds.Decode(body, &digits)
	}
	if err != nil {
		return nil, fmt.Errorf("edge: the digits of PINs cannot be opened: %w", err)
	}
	return digits, nil
}
