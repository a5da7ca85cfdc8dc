// Package due sends the commands that time has made due, and those that record
// consequences for which earlier commits had no room.
//
// # Why ordinary commands
//
// A booking or a grant has ended at its instant, whether that is on record or not: the
// domain decides by the instant. The commands of this package record it. They take the
// path of every command, with an id that derives from the thing and its instant. So two
// instances that send the same command make one commit. An instance that was down sends
// the missed commands when it is back, in the order in which they became due.
//
// # Why it never polls
//
// The state of an org says what is due and when the next thing becomes due, and both
// change with its commits alone. So the one goroutine sleeps until a commit or the next
// instant, or for ever if there is neither.
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
	// debounce is the pause between a commit and the look at its org. So commits in
	// quick succession are handled by one look.
	debounce = 50 * time.Millisecond
	// untrusted is the interval between two looks while the clock is not trusted.
	untrusted = time.Second
	// longestSleep bounds a sleep while something is to become due. So a wall clock
	// that was set forward, or a machine that was suspended, is noticed within that
	// time.
	longestSleep = 30 * time.Second
)

// Config configures a Timer. Every field is required.
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

	mu      sync.Mutex             // guards the fields below
	changed map[domain.ID]struct{} // orgs with commits that were not looked at yet
	looked  map[domain.ID]uint64   // the commit at the last look at each org

	// The fields below belong to the one goroutine of Run.
	orgs  map[domain.ID]*org
	rules map[string]schedule.ZoneRules // by zone, of the embedded time zone database
}

// org is the timer's schedule of an org.
type org struct {
	next  time.Time               // when to look again; zero means after the next commit
	tries map[domain.UUID]attempt // for commands that are still due
}

// New makes a timer that observes the store. Call it before the first use of an org.
func New(cfg Config, metrics *Metrics) *Timer {
	t := &Timer{cfg: cfg, metrics: metrics, wake: make(chan struct{}, 1), changed: map[domain.ID]struct{}{},
		looked: map[domain.ID]uint64{}, orgs: map[domain.ID]*org{}, rules: map[string]schedule.ZoneRules{}}
	cfg.Store.Observe(t)
	return t
}

// From implements [eventstore.Observer]: no commit of the past is needed.
func (t *Timer) From(context.Context, domain.ID) (uint64, error) { return math.MaxUint64, nil }

// Seen implements [eventstore.Observer].
func (t *Timer) Seen(domain.ID) wire.Position { return wire.Position{} }

// Begin implements [eventstore.Observer]. An org that is loaded again unchanged is not
// looked at: its next instant is known, and the look would load an org again that was
// evicted to make room for it.
func (t *Timer) Begin(id domain.ID, _ *domain.State, head eventstore.Head) {
	t.mu.Lock()
	n, known := t.looked[id]
	t.mu.Unlock()
	if !known || n != head.N {
		t.note(id)
	}
}

// Applied implements [eventstore.Observer].
func (t *Timer) Applied(id domain.ID, _ *domain.State, _ *schemas.Commit, _ eventstore.Head) {
	t.note(id)
}

// Settled implements [eventstore.Observer]: all pending work can be found in the state
// again.
func (t *Timer) Settled(domain.ID) uint64 { return math.MaxUint64 }

// End implements [eventstore.Observer]. The time of the next look is known without the
// org, and the look loads it.
func (t *Timer) End(domain.ID) bool { return true }

func (t *Timer) note(id domain.ID) {
	t.mu.Lock()
	t.changed[id] = struct{}{}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Run sends commands that are due until the context ends. It finishes the command in
// progress then. It runs once.
func (t *Timer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		next := t.cfg.Now().Add(longestSleep)
		_ = t.cfg.Store.Guard("due", "", "", func() { // the guard logs a panic; the next round follows
			t.takeStirred()
			next = t.round(ctx)
		})
		if !t.sleep(ctx, next) {
			return
		}
	}
}

// takeStirred schedules an immediate look at the orgs with new commits.
func (t *Timer) takeStirred() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.changed {
		if t.orgs[id] == nil {
			t.orgs[id] = &org{tries: map[domain.UUID]attempt{}}
		}
		t.orgs[id].next = t.cfg.Now()
	}
	clear(t.changed)
}

// round looks at every org whose time has come. It returns the time of the next look;
// zero means after the next commit. While the clock is not trusted nothing is due,
// because an end by a wrong clock would be final.
func (t *Timer) round(ctx context.Context) (next time.Time) {
	if t.cfg.Store.ClockTrusted() != nil {
		return t.cfg.Now().Add(untrusted)
	}
	for _, id := range slices.Sorted(maps.Keys(t.orgs)) {
		o := t.orgs[id]
		if !o.next.IsZero() && !o.next.After(t.cfg.Now()) && ctx.Err() == nil {
			o.next = t.cfg.Now().Add(longestSleep) // the next look if this one panics
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
	case <-time.After(debounce):
		return true
	}
}

// earlier is the earlier of two instants; zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
