// Package due makes time pass: it sends the commands that time has made due, and
// those that record what earlier commits had no room for.
//
// # Why ordinary commands
//
// What has ended has ended, whether it is on record or not: the domain decides by
// the instant. The commands of this package put it on record. They go the way of
// every command, with an id that derives from the thing and its instant, so that
// two instances which send the same make one commit, and what an instance missed
// while it was down it sends when it is back, in the order in which it fell due.
//
// # Why it never polls
//
// The state of an org tells what is due and when something falls due next, and
// both change with its commits alone. So the one goroutine sleeps until a commit
// or the next instant, and without both for ever.
package due

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/eventstore"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

const (
	// breath is the pause between a commit and the look at its org, so that
	// commits which come one upon the other are looked at once.
	breath = 50 * time.Millisecond
	// untrusted is the pause between two looks at a clock that is not trusted.
	untrusted = time.Second
	// longestSleep bounds how long a wall clock that was set forward, or a machine
	// that was suspended, goes unnoticed while something is to fall due.
	longestSleep = 30 * time.Second
)

// Config is what the timer needs; all of it is required.
type Config struct {
	Store *eventstore.Store
	Now   func() time.Time // the clock
	Log   *slog.Logger
}

// A Timer sends what is due in every org that the store has held since the start.
type Timer struct {
	cfg     Config
	metrics *Metrics
	wake    chan struct{} // capacity 1

	mu      sync.Mutex             // guards what follows
	stirred map[domain.ID]struct{} // orgs with commits that were not looked at yet
	looked  map[domain.ID]uint64   // the commit at which each org was looked at last

	// What follows is of the one goroutine of Run.
	orgs  map[domain.ID]*org
	rules map[string]schedule.ZoneRules // by zone, of the embedded time zone database
}

// org is what the timer knows of an org.
type org struct {
	next  time.Time               // when to look again; zero: after the next commit
	tries map[domain.UUID]attempt // at commands that are still due
}

// New makes a timer that observes the store. It comes before the first use of an
// org.
func New(cfg Config, metrics *Metrics) *Timer {
	t := &Timer{cfg: cfg, metrics: metrics, wake: make(chan struct{}, 1), stirred: map[domain.ID]struct{}{},
		looked: map[domain.ID]uint64{}, orgs: map[domain.ID]*org{}, rules: map[string]schedule.ZoneRules{}}
	cfg.Store.Observe(t)
	return t
}

// From implements [eventstore.Observer]: no commit of the past is needed.
func (t *Timer) From(context.Context, domain.ID) (uint64, error) { return math.MaxUint64, nil }

// Seen implements [eventstore.Observer].
func (t *Timer) Seen(domain.ID) wire.Position { return wire.Position{} }

// Begin implements [eventstore.Observer]. An org that comes back into memory as it
// was is not looked at again: its next instant is known, and the look would bring
// back the org that left for it.
func (t *Timer) Begin(id domain.ID, _ *domain.State, head eventstore.Head) {
	t.mu.Lock()
	n, known := t.looked[id]
	t.mu.Unlock()
	if !known || n != head.N {
		t.stir(id)
	}
}

// Applied implements [eventstore.Observer].
func (t *Timer) Applied(id domain.ID, _ *domain.State, _ *schemas.Commit, _ eventstore.Head) {
	t.stir(id)
}

// Settled implements [eventstore.Observer]: whatever is left to do can be found in
// the state again.
func (t *Timer) Settled(domain.ID) uint64 { return math.MaxUint64 }

// End implements [eventstore.Observer]. When the org is to be looked at next is
// known without it, and the look loads it.
func (t *Timer) End(domain.ID) bool { return true }

func (t *Timer) stir(id domain.ID) {
	t.mu.Lock()
	t.stirred[id] = struct{}{}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Run sends what is due until the context ends; then the command on its way is
// finished. It runs once.
func (t *Timer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		next := t.cfg.Now().Add(longestSleep)
		_ = t.cfg.Store.Guard("due", "", "", func() { // the log tells; the next round comes
			t.takeStirred()
			next = t.round(ctx)
		})
		if !t.sleep(ctx, next) {
			return
		}
	}
}

// takeStirred notes that the orgs with new commits are to be looked at now.
func (t *Timer) takeStirred() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.stirred {
		if t.orgs[id] == nil {
			t.orgs[id] = &org{tries: map[domain.UUID]attempt{}}
		}
		t.orgs[id].next = t.cfg.Now()
	}
	clear(t.stirred)
}

// round looks at every org whose time has come, and returns when the next one's
// does; the zero time: not before a commit. While the clock is not trusted nothing is
// due: what ends by a wrong clock has ended for good.
func (t *Timer) round(ctx context.Context) (next time.Time) {
	if t.cfg.Store.ClockTrusted() != nil {
		return t.cfg.Now().Add(untrusted)
	}
	for _, id := range slices.Sorted(maps.Keys(t.orgs)) {
		o := t.orgs[id]
		if !o.next.IsZero() && !o.next.After(t.cfg.Now()) && ctx.Err() == nil {
			o.next = t.cfg.Now().Add(longestSleep) // should the look panic, again then
			_ = t.cfg.Store.Guard("due", id, "", func() { o.next = t.look(ctx, id, o) })
		}
		next = earlier(next, o.next)
	}
	return next
}

// sleep waits for an instant or a commit, and reports whether to go on.
func (t *Timer) sleep(ctx context.Context, until time.Time) bool {
	var alarm <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(min(until.Sub(t.cfg.Now()), longestSleep))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-alarm:
		return true
	case <-t.wake:
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(breath):
		return true
	}
}

// earlier is the earlier of two instants; the zero time stands for never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
