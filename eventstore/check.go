package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

const (
	// checkChunk is how many messages are checked between two pauses of checkPause:
	// some 1,000 a second, so that a million commits take a quarter of an hour and
	// two hundredths of what the disk and one processor can do.
	checkChunk = 500
	checkPause = 500 * time.Millisecond
	// checkDelay is the pause after the start, which has more urgent work. checkRest is
	// the pause between two walks through the ledger.
	checkDelay = time.Minute
	checkRest  = 6 * time.Hour
)

// flaws are what the check of the whole ledger has found: a damaged commit behind
// which a snapshot stands is not read when an org is loaded.
type flaws struct {
	orgs    map[domain.ID]error
	unread  uint64 // messages that the server does not give
	checked uint64 // commits that were found whole in the present walk
}

// Flaws returns the damage that the walks through the ledger have found since the
// start. It has the orgs whose chain of commits is broken, with the place, and the
// number of messages that cannot be read at all. Damaged tells which orgs serve
// nothing, and why.
func (s *Store) Flaws() (orgs map[domain.ID]error, unread uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.flaws.orgs), s.flaws.unread
}

// checkLoop walks through the ledger again and again, at a low rate.
func (s *Store) checkLoop() {
	for rest := checkDelay; pause(s.ctx, rest) == nil; rest = checkRest {
		if err := s.check(s.ctx, checkPause); err != nil && s.ctx.Err() == nil {
			s.log.Warn("the check of the ledger was interrupted; it starts over later", "error", err)
		}
	}
}

// check walks once through the ledger as it is now and notes what it finds. With the
// server in this process it reads all of the files instead.
func (s *Store) check(ctx context.Context, rest time.Duration) error {
	if s.cfg.Embedded != nil {
		return s.checkFiles(ctx, min(rest, checkPause)*(blockPause/checkPause))
	}
	info, err := s.ledger.Info(ctx)
	if err != nil {
		return fmt.Errorf("eventstore: check the ledger: %w", err)
	}
	w := newWalk()
	w.next = info.State.FirstSeq
	for from := max(info.State.FirstSeq, 1); from <= info.State.LastSeq; from += checkChunk {
		until := min(from+checkChunk-1, info.State.LastSeq)
		if err := s.readWhole(ctx, from, until, w.take); err != nil {
			return fmt.Errorf("eventstore: check the ledger: %w", err)
		}
		w.found.unread += until + 1 - w.next // after the last one that was read
		w.next = until + 1
		s.checked(w.found)
		if err := pause(ctx, rest); err != nil {
			return err
		}
	}
	return nil
}

// checked notes how far a walk is, and tells of what it found that was not known.
func (s *Store) checked(found flaws) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, err := range found.orgs {
		if s.flaws.orgs[id] == nil {
			s.log.Error("the ledger of an org is damaged", "org", id, "error", err)
			s.flaws.orgs[id] = err
		}
	}
	if found.unread > s.flaws.unread {
		s.log.Error("messages of the ledger cannot be read", "messages", found.unread)
		s.flaws.unread = found.unread
	}
	s.flaws.checked = found.checked
	s.metrics.Checked.Set(float64(found.checked))
	s.metrics.Damaged.Set(float64(len(s.flaws.orgs)) + float64(s.flaws.unread))
}

// walk is one way through the whole ledger.
type walk struct {
	next  uint64 // sequence
	heads map[domain.ID]Head
	found flaws
}

func newWalk() *walk {
	return &walk{next: 1, heads: map[domain.ID]Head{}, found: flaws{orgs: map[domain.ID]error{}}}
}

// take checks one message.
func (w *walk) take(seq uint64, body []byte) error {
	w.found.unread += seq - w.next // nothing is ever taken out of the ledger
	w.next = seq + 1
	c, err := decodeBody(body)
	if err != nil {
		w.found.unread++
		return nil
	}
	head, broken := w.heads[c.Org], w.found.orgs[c.Org]
	if c.Follows(head.Position(), head.Hash) != nil {
		if broken == nil {
			w.found.orgs[c.Org] = fmt.Errorf("%w: commit %s does not follow %s", ErrBrokenChain, c.Position(), head.Position())
		}
	} else {
		w.found.checked++
	}
	w.heads[c.Org] = Head{Epoch: c.Epoch, N: c.N, Hash: wire.HashOf(body)}
	return nil
}

// readWhole gives the messages of all orgs between two sequences, both inclusive.
// Messages that the server does not give are skipped. The server answers a damaged
// message as an absent one, and a reading that ends with such a message would wait for
// ever.
func (s *Store) readWhole(ctx context.Context, from, until uint64, f func(seq uint64, body []byte) error) error {
	for ; until >= from; until-- {
		_, err := s.ledger.GetMsg(ctx, until)
		if err == nil {
			return s.readThrough(ctx, streams.Ledger, nil, from, until, f)
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("read the ledger: %w", err)
		}
	}
	return nil
}

// decodeBody reads a message of the ledger, of which every one is a commit.
func decodeBody(body []byte) (*schemas.Commit, error) {
	c, err := schemas.DecodeCommit(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBrokenChain, err)
	}
	return c, nil
}

// pause waits, and returns an error when the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
