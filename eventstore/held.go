package eventstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gatehouse/domain"
)

// # What holds an org
//
// A decision has its org alone. It takes milliseconds; one that does not end would
// take every reader of the org with it, and with them the places of all other orgs.
// So nobody waits for an org for longer than heldLimit, what holds it is told, and
// neither readiness nor a stop waits for it.

// heldLimit is how long one piece of work may hold an org before it is logged. A
// question waits for the org as long.
const heldLimit = 5 * time.Second

// watchEvery is how often it is looked for orgs that are held for too long.
const watchEvery = time.Second

// holding is one piece of work that has an org alone.
type holding struct {
	what  string // name of the command
	since time.Time
	told  bool // of the one goroutine that watches
}

// holds notes what has the org alone until the function that it returns is called.
func (o *org) holds(what string) (end func()) {
	o.hold.Store(&holding{what: what, since: time.Now()})
	return func() { o.hold.Store(nil) }
}

// Stuck is an org that one piece of work holds for too long.
type Stuck struct {
	Command string
	For     time.Duration
}

// Stuck lists the orgs that one piece of work holds for too long. It waits for none.
func (s *Store) Stuck() map[domain.ID]Stuck {
	out := map[domain.ID]Stuck{}
	s.eachHeld(func(o *org, h *holding, held time.Duration) { out[o.id] = Stuck{h.what, held} })
	return out
}

func (s *Store) eachHeld(f func(o *org, h *holding, held time.Duration)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.orgs {
		if h := o.hold.Load(); h != nil {
			if held := time.Since(h.since); held > s.heldLimit {
				f(o, h, held)
			}
		}
	}
}

// watchHeld tells of orgs that are held for too long.
func (s *Store) watchHeld() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.tellHeld()
		}
	}
}

func (s *Store) tellHeld() {
	n := 0
	s.eachHeld(func(o *org, h *holding, held time.Duration) {
		n++
		if !h.told {
			h.told = true
			s.metrics.StuckTotal.Inc()
			s.log.Error("a command holds its org for too long; nothing of the org is answered until it ends, or this instance is restarted",
				"org", o.id, "command", h.what, "held_ms", held.Milliseconds())
		}
	})
	s.metrics.Stuck.Set(float64(n))
}

// rlock takes an org for reading, or fails with [ErrBusy] when that takes too long.
// The caller is among its users.
func (s *Store) rlock(ctx context.Context, o *org) error {
	if o.mu.TryRLock() {
		return nil
	}
	s.mu.Lock()
	o.users++ // of the goroutine, which may wait on when nobody else does
	s.mu.Unlock()
	got := make(chan struct{})
	go func() {
		o.mu.RLock()
		close(got)
	}()
	limit := time.NewTimer(s.heldLimit)
	defer limit.Stop()
	select {
	case <-got:
		s.release(o)
		return nil
	case <-limit.C:
	case <-ctx.Done():
	}
	go func() {
		<-got
		o.mu.RUnlock()
		s.release(o)
	}()
	return fmt.Errorf("eventstore: org %s is held for too long: %w", o.id, ErrBusy)
}

// waitAll waits for goroutines, until the context ends.
func waitAll(ctx context.Context, all *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("eventstore: something goes on after the stop: %w", context.Cause(ctx))
	}
}
