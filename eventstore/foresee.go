package eventstore

import (
	"context"
	"fmt"

	"gatehouse/domain"
)

// manyPeople is on how many people a dry run may hang that is looked at while the
// org is held: some 10 ms. A lockdown must not wait for more.
const manyPeople = 100

// maxForks is how many dry runs on which more people hang are looked at on one
// instance at the same time: each has a copy of its org in memory.
const maxForks = 2

// foresee answers a dry run: with what the commit would be and with what it would do.
// When many people hang on it, the latter is found on a copy of the state, once the
// org goes on. The org is held.
func (x *execution) foresee(ctx context.Context, asked domain.Context) (prepared, error) {
	x.forget()
	decision, impact, whole, refusal := x.org.state.ForeseeWithin(manyPeople, asked, x.commands()...)
	if refusal != nil {
		return prepared{}, refusal
	}
	if !whole {
		if err := x.fork(asked); err != nil {
			return prepared{}, err
		}
	}
	p, err := x.commitOf(ctx, decision, asked.At)
	if err != nil {
		return p, err
	}
	head := x.org.head
	p.done = true
	p.result = Result{Position: head.Position(), Hash: head.Hash, At: asked.At, Events: p.commit.Events, Opened: p.events, Warnings: p.warnings, Impact: &impact}
	return p, nil
}

// fork makes the copy of the state on which the dry run is looked at.
func (x *execution) fork(asked domain.Context) error {
	select {
	case x.store.forks <- struct{}{}:
	default:
		return fmt.Errorf("eventstore: %d large dry runs are being looked at: %w", maxForks, ErrBusy)
	}
	state := x.org.state.Fork()
	x.org.looks.Add(1)
	x.look = func() domain.Impact {
		// Accepted on the same state a moment ago, so it is again.
		_, impact, _ := state.Foresee(asked, x.commands()...)
		return impact
	}
	return nil
}

// forget lets the copy of the state go.
func (x *execution) forget() {
	if x.look != nil {
		x.look = nil
		x.org.looks.Add(-1)
		<-x.store.forks
	}
}
