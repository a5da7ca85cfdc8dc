package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/eventstore/streams"
)

const (
	// currentEvery is the pause between two looks at where the ledger ends.
	currentEvery = time.Second
	// currentTime bounds one look, so that the next one finds a server that answers.
	currentTime = 2 * time.Second
	// staleAfter is for how long this node goes on by what it knew of the ledger last:
	// longer than servers take to choose a leader, and short for who lost a token.
	staleAfter = 5 * time.Second
)

// ErrStale says that this node may not know what others have committed.
var ErrStale = errors.New("this instance does not hear from the ledger, where other instances may have taken access away")

// currency is how well this node knows the ledger of an external cluster. Its clock is
// one that nobody sets.
type currency struct {
	elapsed func() time.Duration // since the store was opened

	mu      sync.Mutex    // guards what follows
	seen    uint64        // last sequence that the tail handed to its org, which a reader waits for
	current time.Duration // at that instant the tail had handed over all there was
	waiting bool          // for the tail to come to the end that a look found
	end     uint64        // that end
	at      time.Duration // when that look began
}

func (c *currency) begin(seen uint64, elapsed func() time.Duration) {
	if elapsed == nil {
		opened := time.Now()
		elapsed = func() time.Duration { return time.Since(opened) }
	}
	c.elapsed, c.seen, c.current = elapsed, seen, elapsed()
}

// brought notes how far the tail is. A reader of an org waits for what was handed to it.
func (c *currency) brought(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = seq
	c.compare()
}

// found notes where a look that began at an instant found the end of the ledger.
func (c *currency) found(end uint64, at time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting, c.end, c.at = true, end, at
	c.compare()
}

func (c *currency) compare() {
	if c.waiting && c.seen >= c.end {
		c.waiting, c.current = false, c.at
	}
}

func (c *currency) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

func (c *currency) age() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed() - c.current
}

// Current returns how long ago this node knew all of the ledger. It fails with
// [ErrStale] when that is too long ago to answer from memory. Commands need not call
// it: the guard of their commit finds commits of other nodes. With an embedded server
// there are no other nodes, so the age is zero.
func (s *Store) Current() (age time.Duration, err error) {
	if s.cfg.Embedded != nil {
		return 0, nil
	}
	if age = s.current.age(); age > staleAfter {
		err = fmt.Errorf("%w: it did %s ago", ErrStale, age.Round(time.Second))
	}
	return age, err
}

// watchCurrent looks again and again whether the tail has all of the ledger. That it
// delivers nothing does not tell: a server that hangs is as silent as one without news.
func (s *Store) watchCurrent() {
	stale := false
	for pause(s.ctx, currentEvery) == nil {
		err := s.lookAtEnd(s.ctx)
		age, late := s.Current()
		s.metrics.Age.Set(age.Seconds())
		switch {
		case s.ctx.Err() != nil:
		case late != nil && !stale:
			s.log.Error("nothing is answered from memory until the ledger is heard again", "age", age.Round(time.Millisecond).String(), "error", err)
		case late == nil && stale:
			s.log.Info("the ledger is heard again")
		}
		stale = late != nil
	}
}

// lookAtEnd asks where the ledger ends. While the tail has not come to the end that was
// found last, that one stands: an end that moves on would never be reached.
func (s *Store) lookAtEnd(ctx context.Context) error {
	if s.current.waits() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, currentTime)
	defer cancel()
	at := s.current.elapsed()
	ledger, err := s.js.Stream(ctx, streams.Ledger)
	if err != nil {
		return fmt.Errorf("look where the ledger ends: %w", err)
	}
	s.current.found(ledger.CachedInfo().State.LastSeq, at)
	return nil
}
