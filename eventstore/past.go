package eventstore

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// batchCommits and batchBytes bound what is read of the past before a turn of the core
// works on it: the core is not held while the ledger is waited for.
const (
	batchCommits = 256
	batchBytes   = 1 << 20
)

// Commits gives the commits of an org behind one number up to another, from the
// ledger as stored, oldest first: from exclusive, to inclusive, 0 meaning the
// present end. Their chain is checked. The body is only valid during the call.
func (s *Store) Commits(ctx context.Context, id domain.ID, from, to uint64, f func(c *schemas.Commit, body []byte) error) error {
	return s.commits(ctx, id, from, to, nil, f)
}

// CommitsInTurns is Commits for a reading that may be long: f runs in turns of the
// core, and must not wait for anything.
func (s *Store) CommitsInTurns(ctx context.Context, who budget.Who, from, to uint64, f func(c *schemas.Commit, body []byte) error) error {
	return s.commits(ctx, domain.ID(who.Org), from, to, &who, f)
}

func (s *Store) commits(ctx context.Context, id domain.ID, from, to uint64, who *budget.Who, f func(c *schemas.Commit, body []byte) error) error {
	o, err := s.org(ctx, id)
	if err != nil {
		return err
	}
	defer s.release(o)
	o.mu.RLock()
	if to == 0 || to > o.head.N {
		to = o.head.N
	}
	behind, until := o.lost.Count(from), o.lost.Count(to)
	if behind >= until {
		o.mu.RUnlock()
		return nil
	}
	base := max(behind, 1) // the commit before the first that is wanted, for its hash
	first, last := o.seqs[base-1], o.seqs[until-1]
	n, end := o.lost.Number(base), o.lost.Number(until)
	o.mu.RUnlock()
	c := &chain{id: id, from: from, first: n, known: behind == 0, f: f}
	take, flush := c.take, func() error { return nil }
	if who != nil {
		b := &batch{ctx: ctx, core: s.core, who: *who, f: c.take}
		take, flush = b.add, b.flush
	}
	err = s.readThrough(ctx, streams.Ledger, []string{o.subject}, first, last, func(_ uint64, body []byte) error { return take(body) })
	if err == nil {
		err = flush()
	}
	if err == nil && c.prev.N != end { // the last of them is damaged: the server passes over it
		return fmt.Errorf("%w: %s ends before %d", ErrBrokenChain, id, to)
	}
	return err
}

// Step returns the number that is by commits after a number of an org. A negative by
// counts backwards. Numbers that a restore lost are skipped, so that a reader of the
// ledger in parts of a fixed size gets no empty parts for a lost range.
func (s *Store) Step(ctx context.Context, id domain.ID, n uint64, by int) (uint64, error) {
	o, err := s.org(ctx, id)
	if err != nil {
		return 0, err
	}
	defer s.release(o)
	o.mu.RLock()
	defer o.mu.RUnlock()
	count := o.lost.Count(min(n, o.head.N))
	if by < 0 {
		return o.lost.Number(count - min(count, uint64(-by))), nil
	}
	return o.lost.Number(min(count+uint64(by), uint64(len(o.seqs)))), nil
}

// chain checks that each commit follows the one before.
type chain struct {
	id    domain.ID
	from  uint64 // exclusive: commits up to here are not given
	first uint64 // the number of the first commit that is read
	known bool   // what is before the next commit is prev
	prev  Head
	f     func(c *schemas.Commit, body []byte) error
}

func (c *chain) take(body []byte) error {
	commit, err := decodeBody(body)
	if err != nil {
		return err
	}
	if !c.known { // what is before the first one is not read
		if commit.N != c.first {
			return fmt.Errorf("%w: %s of %s stands in the place of %d", ErrBrokenChain, commit.Position(), c.id, c.first)
		}
	} else if err := commit.Follows(c.prev.Position(), c.prev.Hash); err != nil {
		return fmt.Errorf("%w: at %s of %s: %w", ErrBrokenChain, commit.Position(), c.id, err)
	}
	c.known, c.prev = true, Head{Epoch: commit.Epoch, N: commit.N, Hash: wire.HashOf(body)}
	if commit.N <= c.from {
		return nil
	}
	return c.f(commit, body)
}

// batch gathers bodies and works on them in turns of the core.
type batch struct {
	ctx    context.Context
	core   *budget.Core
	who    budget.Who
	f      func(body []byte) error
	bodies [][]byte
	size   int
}

func (b *batch) add(body []byte) error {
	b.bodies = append(b.bodies, body)
	if b.size += len(body); b.size < batchBytes && len(b.bodies) < batchCommits {
		return nil
	}
	return b.flush()
}

func (b *batch) flush() error {
	if len(b.bodies) == 0 {
		return nil
	}
	turn, err := b.core.Begin(b.ctx, b.who)
	if err != nil {
		return err
	}
	defer turn.End()
	for _, body := range b.bodies {
		if err := b.f(body); err != nil {
			return err
		}
		if err := turn.Yield(b.ctx); err != nil {
			return err
		}
	}
	b.bodies, b.size = b.bodies[:0], 0
	return nil
}

// ErrNoPosition says that the org has not been at a position.
var ErrNoPosition = errors.New("the org was never at this position")

// StateAt folds an org's commits up to a position again, in turns of the core: what was
// known then. It reads them all, so it takes seconds on a long ledger. Personal values
// stay sealed.
func (s *Store) StateAt(ctx context.Context, who budget.Who, at wire.Position) (*domain.State, Head, error) {
	state, head := domain.NewState(), Head{}
	err := s.CommitsInTurns(ctx, who, 0, at.N, func(c *schemas.Commit, body []byte) error {
		a, err := c.Applied()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBrokenChain, err)
		}
		state.Apply(a)
		head = Head{Epoch: c.Epoch, N: c.N, Hash: wire.HashOf(body), At: c.At}
		return nil
	})
	if err == nil && (at.N == 0 || head.Position() != at) {
		err = ErrNoPosition
	}
	return state, head, err
}
