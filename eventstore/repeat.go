package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// accepted answers a command that the ledger has, also under its former id: there
// somebody else's may stand as well, which is none of it. The org is held.
func (x *execution) accepted(ctx context.Context) (Result, bool, error) {
	if seq, known := x.org.ids[x.req.ID]; known {
		result, err := x.repeat(ctx, seq)
		return result, true, err
	}
	if seq, known := x.org.ids[x.former]; known && x.former != (domain.UUID{}) {
		result, err := x.repeat(ctx, seq)
		return result, !errors.Is(err, ErrReused), err
	}
	return Result{}, false, nil
}

// repeat answers a command whose id is in the ledger. The org is held.
func (x *execution) repeat(ctx context.Context, seq uint64) (Result, error) {
	msg, err := x.store.ledger.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Result{}, fmt.Errorf("%w: what command %s led to cannot be read", ErrBrokenChain, x.req.ID)
	}
	if err != nil {
		return Result{}, fmt.Errorf("eventstore: read what command %s led to: %w", x.req.ID, err)
	}
	c, err := decodeBody(msg.Data)
	if err != nil {
		return Result{}, err
	}
	x.made = c.Made
	request, err := x.requestHash(ctx)
	if err != nil {
		return Result{}, err
	}
	if request != c.Request {
		return Result{}, fmt.Errorf("%w: %s at %s", ErrReused, c.Command, c.Position())
	}
	return Result{Position: c.Position(), Hash: wire.HashOf(msg.Data), At: c.At, Events: c.Events, Repeated: true}, nil
}
