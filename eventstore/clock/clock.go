// Package clock gives the trusted time and decides whether the wall clock is trusted.
//
// A commit ends bookings, shares, PINs and roles for good, and the instant of a commit
// never goes back. So a wall clock that is wrong for seconds must not end what is still
// valid. The clock here adds the time elapsed, which nobody can set, to the last good
// time. While the wall clock differs from that sum by more than [Bound], it is not
// trusted: [Clock.Now] continues from the last good time, commands that take access
// away are committed at that time, and all others wait.
//
// # When a wall clock is good again
//
// It agrees with the time elapsed again; or the kernel says that a time source keeps it
// (adjtimex without STA_UNSYNC, which setting the clock by hand brings about); or most
// servers of the cluster have the same time; or an operator confirms it, which is on
// record.
//
// # Across a restart
//
// The time that elapses while nothing runs cannot be measured. The last good time then
// is that of the mark, which is written each minute and at a stop, or of the newest
// commit if that is later or the mark is lost. A wall clock that is behind it by more
// than [Bound] is wrong. One that is ahead of it by up to [Absence] is taken for that
// of a service which was off: over a long weekend, or closed for a month, a house with
// no time source starts without anybody. A service that is off for longer is rarer than
// an empty battery or a mistyped year, and both put a clock off by years. So beyond
// Absence a start is treated like a jump while running.
//
// A small step is followed at once. So that many of them do not make a large one, the
// time with which the wall clock is compared moves up once an hour at most.
package clock

import (
	"fmt"
	"sync"
	"time"
)

const (
	// Bound is the greatest trusted difference between the wall clock and the last good
	// time plus the time elapsed.
	Bound = 10 * time.Minute
	// Absence is the longest time off after which the wall clock is trusted without
	// confirmation.
	Absence = 31 * 24 * time.Hour
	// settled is how long a wall clock must have been within the bound before later
	// readings are compared with it.
	settled = time.Hour
)

// Config holds the inputs of a clock. A field that is not marked optional is required.
type Config struct {
	Wall func() time.Time // the wall clock
	// Elapsed is optional: the time since an instant in the past, by a clock that
	// nobody sets. Without it the wall clock is always trusted: the clocks of tests and
	// demonstrations run at a pace of their own.
	Elapsed func() time.Duration
	Synced  func() bool // optional: whether a time source keeps the wall clock, by the kernel
	File    string      // optional: the path of the mark
}

// A Clock is the trusted time of one instance. Its methods may be called from many
// goroutines.
type Clock struct {
	cfg Config

	mu     sync.Mutex // guards the fields below
	begun  bool
	anchor reading // the reading with which the wall clock is compared
	last   reading // the last good time
	held   bool    // whether the wall clock was untrusted at the last look
	offset time.Duration
	source string // the source that last confirmed the wall clock; empty means that it agreed
}

// reading is a good wall time and the time elapsed at it.
type reading struct {
	wall    time.Time
	elapsed time.Duration
}

func (r reading) after(elapsed time.Duration) time.Time { return r.wall.Add(elapsed - r.elapsed) }

// Untrusted says that the wall clock is not trusted.
type Untrusted struct {
	Wall time.Time // of the wall clock
	Time time.Time // the time in use instead
}

// Error names both times and says what to do.
func (u *Untrusted) Error() string {
	return fmt.Sprintf("the clock of this machine says %s, but by what has elapsed since it was right it is %s; until that is settled only what takes access away is committed: "+
		"set the clock, have a time source keep it, or, when the clock is right, confirm it by a start with --confirm-clock and the time",
		u.Wall.UTC().Format(time.RFC3339), u.Time.UTC().Format(time.RFC3339))
}

// New makes a clock that trusts the wall clock until [Clock.Begin].
func New(cfg Config) *Clock { return &Clock{cfg: cfg} }

// Begin sets the newest commit of the ledger: its instant, zero for none, and its
// sequence. From then on the wall clock is compared with the last good time.
func (c *Clock) Begin(newest time.Time, sequence uint64) {
	if c.cfg.Elapsed == nil {
		return
	}
	good := newest
	if m, err := readMark(c.cfg.File); err == nil && (sequence <= m.Sequence || newest.Before(m.Good)) {
		good = m.Good
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := reading{c.Wall(), c.cfg.Elapsed()}
	if ahead := r.wall.Sub(good); !good.IsZero() && (ahead > Absence || ahead < -Bound) {
		r.wall = good
	}
	c.begun, c.anchor, c.last = true, r, r
	c.look()
}

// Now is the wall clock while it is trusted, else the last good time plus the time
// elapsed. It goes back only when a later confirmation corrects a time that was
// trusted.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.look()
}

// Check returns an [*Untrusted] while the wall clock is not trusted, else nil.
func (c *Clock) Check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.look()
	if !c.held {
		return nil
	}
	return &Untrusted{Wall: c.Wall(), Time: now}
}

// Offset is the difference of the wall clock from the time with which it is compared.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.offset
}

// Synced reports whether the kernel says that a time source keeps the wall clock.
func (c *Clock) Synced() bool { return c.cfg.Synced != nil && c.cfg.Synced() }

// Source is the source that last confirmed an untrusted wall clock. Empty means that
// the clock agreed by itself, or always did.
func (c *Clock) Source() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source
}

// Wall is the wall clock, trusted or not.
func (c *Clock) Wall() time.Time { return c.cfg.Wall().Round(0).UTC() }

// look reads the clocks and returns the time. The caller holds mu.
func (c *Clock) look() time.Time {
	wall := c.Wall()
	if !c.begun {
		return wall
	}
	elapsed := c.cfg.Elapsed()
	c.offset = wall.Sub(c.anchor.after(elapsed)) // at most 292 years, where it ends
	if far(c.offset) && c.Synced() {
		c.believe("the kernel's time source")
		return wall
	}
	if c.held = far(c.offset); c.held {
		c.last = reading{c.last.after(elapsed), elapsed}
		return c.last.wall
	}
	if wall.Before(c.last.wall) {
		wall = c.last.wall // a small step back: time stands still until the clock is there again
	}
	c.last = reading{wall, elapsed}
	if elapsed-c.anchor.elapsed >= settled {
		c.anchor = c.last
	}
	return wall
}

func far(offset time.Duration) bool { return offset > Bound || offset < -Bound }

// believe trusts the wall clock because of a source. The caller holds mu.
func (c *Clock) believe(source string) {
	c.anchor = reading{c.Wall(), c.cfg.Elapsed()}
	c.last, c.held, c.offset, c.source = c.anchor, false, 0, source
}

// Agree trusts the wall clock if most of size servers are within the bound of it.
// offsets are those of the servers that reported their time.
func (c *Clock) Agree(offsets []time.Duration, size int) bool {
	same := 0
	for _, o := range offsets {
		if !far(o) {
			same++
		}
	}
	if same < size/2+1 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look(); c.held {
		c.believe("the servers of the cluster")
	}
	return true
}

// Disagreement says that an operator gave a time that differs from the wall clock.
type Disagreement struct{ Wall, Given time.Time }

// Error names both times.
func (d *Disagreement) Error() string {
	return fmt.Sprintf("the clock of this machine says %s, which is more than %s from %s; set the clock first, and confirm it then",
		d.Wall.UTC().Format(time.RFC3339), Bound, d.Given.UTC().Format(time.RFC3339))
}

// CheckGiven requires that the wall clock is within the bound of the time that an
// operator gives. Otherwise it returns a [*Disagreement].
func (c *Clock) CheckGiven(given time.Time) error {
	if wall := c.Wall(); far(wall.Sub(given)) {
		return &Disagreement{wall, given}
	}
	return nil
}

// Confirm trusts the wall clock because an operator confirms it on record. It fails as
// [Clock.CheckGiven] does: the clock may have been set since.
func (c *Clock) Confirm(given time.Time) error {
	if err := c.CheckGiven(given); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun {
		c.believe("an operator")
	}
	return nil
}
