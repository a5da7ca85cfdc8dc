package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// accepted is where the ledger has a command; zero: nowhere.
type accepted struct {
	seq    uint64
	former bool // under its former id, where somebody else's may be as well
}

// accepted looks for the command in the ledger, also under its former id. The org is
// held, at least for reading.
func (x *execution) accepted() accepted {
	if seq, known := x.org.ids[x.req.ID]; known {
		return accepted{seq: seq}
	}
	if seq, known := x.org.ids[x.former]; known && x.former != (domain.UUID{}) {
		return accepted{seq: seq, former: true}
	}
	return accepted{}
}

// repeated answers a command that the ledger has. It reports false when it is somebody
// else's under the former id, which is not looked for again.
func (x *execution) repeated(ctx context.Context, at accepted) (result Result, ours bool, err error) {
	result, err = x.repeat(ctx, at.seq)
	if at.former && errors.Is(err, ErrReused) {
		x.former = domain.UUID{}
		return Result{}, false, nil
	}
	return result, true, err
}

// repeat answers a command whose id is in the ledger. The org is not held while the
// server is asked.
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
	request, err := x.requestAs(c)
	if err != nil {
		return Result{}, err
	}
	if request != c.Request {
		return Result{}, fmt.Errorf("%w: %s at %s", ErrReused, c.Command, c.Position())
	}
	return Result{Position: c.Position(), Hash: wire.HashOf(msg.Data), At: c.At, Events: c.Events, Repeated: true}, nil
}

// requestAs is the hash of the request as it was when a commit was made.
func (x *execution) requestAs(c *schemas.Commit) (wire.Hash, error) {
	x.org.mu.RLock()
	defer x.org.mu.RUnlock()
	if !x.org.loaded.Load() {
		return wire.Hash{}, errNotLoaded
	}
	x.made = c.Made
	return x.requestHash()
}

// afterConflicts answers a command that lost every attempt: with its result if it
// is stored after all, else with ErrBusy.
func (x *execution) afterConflicts() (Result, error) {
	ctx, cancel := context.WithTimeout(x.store.ctx, apiTimeout)
	defer cancel()
	for {
		x.org.mu.RLock()
		at := x.accepted()
		x.org.mu.RUnlock()
		if at == (accepted{}) {
			return Result{}, x.store.busy()
		}
		if result, ours, err := x.repeated(ctx, at); ours {
			return result, err
		}
	}
}
