package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nkeys"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// pins gives the digits of PINs that the device of a door has to know. They are sealed to
// the gateway of that door. A gateway is told those alone that may open such a door, and only
// where the operator has said that its device keeps codes: by its capacity (rule L12).
// Others are left out of the answer without a word.
func (c *Control) pins(ctx context.Context, q *question) (*wire.Answer, [][]byte, error) {
	if n := len(q.lines); n == 0 || n > wire.MaxPins {
		return nil, nil, &wire.AskError{Code: wire.AskMalformed, Message: fmt.Sprintf("%d PINs are asked for; ask for 1 to %d, one id a line", n, wire.MaxPins)}
	}
	identity, err := nkeys.FromPublicKey(string(q.key))
	if err != nil {
		return nil, nil, err
	}
	if err := identity.Verify(wire.PinStatement(wire.ID(q.org), wire.ID(q.gateway), q.ask.Door, q.ask.Box), q.ask.Proof); err != nil {
		return nil, nil, &wire.AskError{Code: wire.AskMalformed, Message: "the proof is not the signature of the gateway's key over the request"}
	}
	digits := map[domain.ID]string{}
	err = c.cfg.Store.View(ctx, q.org, func(s *domain.State, _ eventstore.Head) error {
		door := domain.ID(q.ask.Door)
		if d, ok := s.Doors.Get(door); !ok || d.Gateway != q.gateway || d.Capacity == 0 {
			return &wire.AskError{Code: wire.AskMalformed, Message: fmt.Sprintf("door %.60q is no door of gateway %s whose device keeps codes; set its capacity", door, q.gateway)}
		}
		in := s.InDevice(door, c.cfg.Now())
		for _, line := range q.lines {
			id := domain.ID(line)
			if p, ok := s.Credentials.Get(id); ok && in[id] && p.Kind == domain.KindPin {
				if text, known := p.Number.Value(); known {
					digits[id] = text
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	from, line, err := sealPins(digits, q.ask.Box)
	return &wire.Answer{Site: wire.ID(q.site), From: from}, [][]byte{line}, err
}

// sealPins seals digits to a public key. It gives that of the sender, which is used once,
// and the line behind the answer.
func sealPins(digits map[domain.ID]string, box string) (from string, line []byte, err error) {
	sender, err := nkeys.CreateCurveKeys()
	if err != nil {
		return "", nil, fmt.Errorf("control: seal PINs: %w", err)
	}
	defer sender.Wipe()
	body, err := json.Marshal(digits)
	if err != nil {
		return "", nil, fmt.Errorf("control: seal PINs: %w", err)
	}
	sealed, err := sender.Seal(body, box)
	if err != nil {
		return "", nil, &wire.AskError{Code: wire.AskMalformed, Message: fmt.Sprintf("box %.60q is no public key of X25519, which begins with X", box)}
	}
	from, err = sender.PublicKey()
	return from, []byte(base64.StdEncoding.EncodeToString(sealed)), err
}
