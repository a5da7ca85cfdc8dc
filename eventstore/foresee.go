package eventstore

import (
	"context"
	"errors"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
)

// manyPeople is how many people a dry run may affect that is computed while the org is
// held. That takes some 10 ms; a lockdown must not wait for more.
const manyPeople = 100

// copyBudget bounds the large dry runs that are looked at on one instance at the same
// time: each has a copy of its org in memory.
var copyBudget = budget.Config{Name: "dry_run_copies", Places: budget.Shares{All: 2, Org: 1},
	Line: budget.Shares{All: 16, Org: 4, Person: 2}, Patience: 5 * time.Second}

// lookTimeout is how long a large dry run may wait for the core and be looked at.
const lookTimeout = 50 * time.Second

// errNeedsCopy says that a dry run is to be decided again with a place for a copy of
// the org: nobody waits for one while the org is held.
var errNeedsCopy = errors.New("eventstore: many people hang on the dry run")

// foresee answers a dry run with the commit and with its impact. When the command
// affects many people, the impact is found on a copy of the state, after the org was
// released. The org is held.
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
	if x.place == nil {
		return errNeedsCopy
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

// foreseen is what a large dry run would do. It shares the core with other heavy work.
func (x *execution) foreseen(ctx context.Context) (*domain.Impact, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	turn, err := x.store.core.Begin(ctx, x.who())
	if err != nil {
		return nil, errors.Join(ErrBusy, err)
	}
	defer turn.End()
	impact := x.look()
	return &impact, nil
}

// who is for whom places are taken.
func (x *execution) who() budget.Who { return whoOf(x.org.id, x.req.Actor) }

func whoOf(org domain.ID, actor domain.Actor) budget.Who {
	return budget.Who{Org: string(org), Person: actor.String()}
}

// forget releases the copy of the state.
func (x *execution) forget() {
	if x.look != nil {
		x.look = nil
		x.org.looks.Add(-1)
	}
}

// free lets go of all that the command has.
func (x *execution) free() {
	x.forget()
	x.store.pools.giveBack(x.org.id, x.spare)
	if x.place != nil {
		x.place()
	}
}
