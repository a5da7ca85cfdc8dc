package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/schemas"
)

// startTail follows the ledger from its present end, so that the orgs in memory
// learn of commits that other nodes made.
func (s *Store) startTail(ctx context.Context) error {
	msgs, err := s.tail(ctx)
	if err != nil {
		return err
	}
	s.running.Go(func() { s.followTail(msgs) })
	return nil
}

// tail reads the ledger behind the last message seen. It never asks for new
// messages as such: a consumer that is made anew would then pass over what came in
// between.
func (s *Store) tail(ctx context.Context) (jetstream.MessagesContext, error) {
	cons, err := s.js.OrderedConsumer(ctx, StreamLedger, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.seen + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("eventstore: follow the ledger: %w", err)
	}
	msgs, err := cons.Messages(pulls(500)...)
	if err != nil {
		return nil, fmt.Errorf("eventstore: follow the ledger: %w", err)
	}
	return msgs, nil
}

func (s *Store) followTail(msgs jetstream.MessagesContext) {
	for {
		s.drainTail(msgs)
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(time.Second):
		}
		next, err := s.tail(s.ctx)
		if err != nil {
			s.log.Warn("cannot follow the ledger; trying again", "error", err)
			continue
		}
		msgs = next
	}
}

func (s *Store) drainTail(msgs jetstream.MessagesContext) {
	stop := context.AfterFunc(s.ctx, msgs.Stop)
	defer stop()
	for {
		msg, err := msgs.Next()
		if err != nil {
			if s.ctx.Err() == nil {
				s.log.Warn("following the ledger was interrupted", "error", err)
				msgs.Stop()
			}
			return
		}
		meta, err := msg.Metadata()
		if err != nil {
			s.log.Error("a message of the ledger without metadata", "error", err)
			continue
		}
		s.seen = meta.Sequence.Stream
		s.deliver(msg.Subject(), meta.Sequence.Stream, msg.Data())
		if s.fences != nil {
			s.fences.seen(meta.Sequence.Stream, msg.Data())
		}
	}
}

// deliver brings an org in memory up to a message of the ledger.
func (s *Store) deliver(subject string, seq uint64, body []byte) {
	_, rest, _ := strings.Cut(subject, ".")
	_, id, _ := strings.Cut(rest, ".")
	o := s.present(domain.ID(id))
	if o == nil { // what is being loaded now reads the message itself
		s.elsewhere(domain.ID(id), seq)
		return
	}
	defer s.release(o)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.loaded.Load() || seq <= o.head.seq {
		return
	}
	err := s.take(o, seq, body)
	if errors.Is(err, ErrBrokenChain) { // a message was missed: the stream has it
		err = s.catchUp(s.ctx, o)
	}
	s.stopIfBroken(o, err)
}

// stopIfBroken takes an org out of memory whose ledger could not be followed, so
// that the next use loads it anew and reports the error. The caller holds o.mu.
func (s *Store) stopIfBroken(o *org, err error) {
	if err == nil || errors.Is(err, ErrTooNew) || s.ctx.Err() != nil {
		return
	}
	s.log.Error("an org cannot follow its ledger", "org", o.id, "position", o.head.Position().String(), "error", err)
	o.loaded.Store(false)
	s.elsewhere(o.id, math.MaxUint64)
}

// settle waits for the store's own view of an org to be at least at the tail of
// the ledger as it is now, and returns the head.
func (s *Store) settle(ctx context.Context, id domain.ID) (Head, error) {
	o, err := s.org(ctx, id)
	if err != nil {
		return Head{}, err
	}
	defer s.release(o)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := s.catchUp(ctx, o); err != nil {
		return o.head, err
	}
	return o.head, nil
}

// Head reads an org's tail from the ledger itself and returns where it stands:
// what a lease is answered by, never by this node's memory alone.
func (s *Store) Head(ctx context.Context, id domain.ID) (Head, error) { return s.settle(ctx, id) }

// Commits gives the commits of an org behind one number up to another, from the
// ledger as stored, oldest first: from exclusive, to inclusive, 0 meaning the
// present end. Their chain is checked. The body is only valid during the call.
func (s *Store) Commits(ctx context.Context, id domain.ID, from, to uint64, f func(c *schemas.Commit, body []byte) error) error {
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
	var prev Head
	err = s.readThrough(ctx, StreamLedger, []string{o.subject}, first, last, func(_ uint64, body []byte) error {
		c, err := decodeBody(body)
		if err != nil {
			return err
		}
		if behind > 0 && prev.N == 0 { // what is before it is not read
			if c.N != n {
				return fmt.Errorf("%w: %s of %s stands in the place of %d", ErrBrokenChain, c.Position(), id, n)
			}
		} else if err := c.Follows(prev.Position(), prev.Hash); err != nil {
			return fmt.Errorf("%w: at %s of %s: %w", ErrBrokenChain, c.Position(), id, err)
		}
		prev = Head{Epoch: c.Epoch, N: c.N, Hash: schemas.HashOf(body)}
		if c.N <= from {
			return nil
		}
		return f(c, body)
	})
	if err == nil && prev.N != end { // the last of them is damaged: the server passes over it
		return fmt.Errorf("%w: %s ends before %d", ErrBrokenChain, id, to)
	}
	return err
}

// Step is the number that lies so many commits behind a number of an org, or before
// it when by is negative. Numbers that a restore lost are passed over, so that who
// reads a ledger in parts of a size does not read a lost range in parts of nothing.
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

// ErrNoPosition says that the org has not been at a position.
var ErrNoPosition = errors.New("the org was never at this position")

// StateAt folds an org's commits up to a position anew: what was known then. It
// reads them all, so it takes seconds on a long ledger. Personal values stay
// sealed.
func (s *Store) StateAt(ctx context.Context, id domain.ID, at schemas.Position) (*domain.State, Head, error) {
	state, head := domain.NewState(), Head{}
	err := s.Commits(ctx, id, 0, at.N, func(c *schemas.Commit, body []byte) error {
		a, err := c.Applied()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBrokenChain, err)
		}
		state.Apply(a)
		head = Head{Epoch: c.Epoch, N: c.N, Hash: schemas.HashOf(body), At: c.At}
		return nil
	})
	if err == nil && (at.N == 0 || head.Position() != at) {
		err = ErrNoPosition
	}
	return state, head, err
}
