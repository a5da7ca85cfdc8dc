package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
)

// Rehearsal is a copy of an org on which lists of commands are decided one after the
// other. Each list is decided on the outcome of those before it. Nothing is stored. The
// copy starts where the org was, whatever the org does meanwhile, and takes the memory
// of the org and of all that was accepted.
type Rehearsal struct {
	store *Store
	org   domain.ID
	head  Head // of the org when the copy was made

	mu    sync.Mutex // guards what follows
	state *domain.State
	ids   map[domain.UUID]struct{} // of what was accepted
}

// Rehearse makes a rehearsal. It fails with [vault.ErrUnavailable] while personal
// values of the org cannot be read: duplicates would go unseen.
func (s *Store) Rehearse(ctx context.Context, id domain.ID) (*Rehearsal, error) {
	o, err := s.org(ctx, id)
	if err != nil {
		return nil, err
	}
	defer s.release(o)
	if err := s.upToDate(ctx, o); err != nil {
		return nil, err
	}
	s.openAgain(ctx, o)
	if err := s.rlock(ctx, o); err != nil {
		return nil, err
	}
	defer o.mu.RUnlock()
	switch {
	case o.tooNew.N > 0:
		return nil, ErrTooNew
	case o.sealed > 0:
		return nil, fmt.Errorf("eventstore: rehearse for %s: %w", id, vault.ErrUnavailable)
	}
	return &Rehearsal{store: s, org: id, head: o.head, state: o.state.Fork(), ids: map[domain.UUID]struct{}{}}, nil
}

// Execute decides a command as [Store.Execute] would. An id that was accepted
// before, here or by the org, is answered as repeated. The answer has no events, and
// the position of the org when the rehearsal was made.
func (r *Rehearsal) Execute(ctx context.Context, req Request) (Result, error) {
	typ, ok := domain.CommandNamed(req.Command)
	if !ok {
		return Result{}, &domain.Refusal{Kind: domain.RefusedUnknown, Code: "unknown_command", Message: "there is no command " + req.Command}
	}
	known, err := r.store.Accepted(ctx, r.org, req.ID)
	if err == nil {
		err = r.store.View(ctx, r.org, func(s *domain.State, _ Head) error {
			if !tokenGood(s, req, r.store.cfg.Now()) {
				return ErrTokenEnded
			}
			return nil
		})
	}
	if err != nil {
		return Result{}, err
	}
	turn, err := r.store.core.Begin(ctx, whoOf(r.org, req.Actor))
	if err != nil {
		return Result{}, errors.Join(ErrBusy, err)
	}
	defer turn.End()
	r.mu.Lock()
	defer r.mu.Unlock()
	result := Result{Position: r.head.Position(), Hash: r.head.Hash, At: r.store.cfg.Now().UTC().Round(0)}
	if result.At.Before(r.state.LastAt) {
		result.At = r.state.LastAt
	}
	if _, here := r.ids[req.ID]; here || known {
		result.Repeated = true
		return result, nil
	}
	domain.Complete(req.ID, req.Fields...)
	x := &execution{req: req, typ: typ}
	decision, refusal := r.state.Decide(req.context(result.At, newSalt()), x.commands()...)
	if refusal != nil {
		return Result{}, refusal
	}
	moment := domain.Moment{N: r.state.N + 1, At: result.At, CommandID: req.ID, Actor: req.Actor}
	r.state.Apply(domain.Applied{Moment: moment, Events: decision.Events})
	r.ids[req.ID] = struct{}{}
	result.Warnings = decision.Warnings
	return result, nil
}

// Accepted reports whether the ledger has a command of an id.
func (s *Store) Accepted(ctx context.Context, id domain.ID, command domain.UUID) (bool, error) {
	o, err := s.org(ctx, id)
	if err != nil {
		return false, err
	}
	defer s.release(o)
	if err := s.upToDate(ctx, o); err != nil {
		return false, err
	}
	if err := s.rlock(ctx, o); err != nil {
		return false, err
	}
	defer o.mu.RUnlock()
	_, known := o.ids[command]
	return known, nil
}
