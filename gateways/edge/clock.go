package edge

import (
	"sync"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// # Time and lease
//
// A gateway decides by the time of the service, which it learns with each answer and
// carries on by the clock of its machine that only goes forward. Its own wall clock is not
// read while it runs, so setting that extends nothing. A lease says up to which instant
// the table is known to have been the present one: the instant at which a request was sent
// whose answer said so, or that of the first change which the table lacked. Each class of
// door adds its own time to that. So a lease neither outlives a change that the gateway
// lacks, nor does it starve while changes come faster than answers.
//
// After a start without the service there is the wall clock alone. If it is not before
// the last instant that was stored, doors of the class standard go by it, as long as the
// stored lease says; the decision is marked as unsure. Critical doors deny. If the process
// alone was started again, the clock of the machine still runs, and nothing is unsure.

var processStart = time.Now()

// Clocks are the clocks of the machine. The zero Clocks are the real ones.
type Clocks struct {
	Wall func() time.Time     // may jump
	Boot func() time.Duration // since the machine started; never goes back, and goes on while it sleeps
	ID   string               // of that start
}

func (c Clocks) orReal() Clocks {
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Boot == nil {
		c.Boot, c.ID = bootTime, bootID()
	}
	return c
}

const (
	// drift is how much the machine's clock is wrong at most, in parts per million. Quartz
	// without compensation stays within 100.
	drift = 200
	// maxRTT is the longest way of a request and its answer that time is taken from.
	maxRTT = 5 * time.Second
	// skew is from which difference on a wall clock that jumps is recorded.
	skew = 30 * time.Second
)

// clockState is what of the clock and of the lease outlives a start.
type clockState struct {
	Instant time.Time     `json:"instant"`          // a moment that has been
	Current time.Time     `json:"current,omitzero"` // up to which the table was known to be the present one, by the time of the service
	BootID  string        `json:"boot_id,omitempty"`
	Offset  time.Duration `json:"offset_ns,omitempty"` // of the service's time to the boot time
	Error   time.Duration `json:"error_ns,omitempty"`
	ErrorAt time.Duration `json:"error_at_ns,omitempty"`
}

// clock is the gateway's idea of the service's time, and its lease. It is safe for
// concurrent use.
type clock struct {
	machine Clocks

	mu      sync.Mutex // guards the fields below
	sure    bool       // the time of the service is known
	offset  time.Duration
	err     time.Duration // of the offset at errAt
	errAt   time.Duration
	floor   time.Time // no instant is before it
	current time.Time // see clockState
	leased  bool
}

func newClock(machine Clocks, from clockState) *clock {
	c := &clock{machine: machine.orReal(), floor: from.Instant, current: from.Current, leased: !from.Current.IsZero()}
	if from.BootID != "" && from.BootID == c.machine.ID && from.Offset != 0 {
		c.sure, c.offset, c.err, c.errAt = true, from.Offset, from.Error, from.ErrorAt
	}
	return c
}

// state is what to store.
func (c *clock) state() clockState {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.floor = c.read().at
	s := clockState{Instant: c.floor}
	if c.leased {
		s.Current = c.current
	}
	if c.sure {
		s.BootID, s.Offset, s.Error, s.ErrorAt = c.machine.ID, c.offset, c.err, c.errAt
	}
	return s
}

// reading is what the clock shows.
type reading struct {
	at     time.Time
	source wire.Clock
	err    time.Duration // either way; 0: unknown
	lost   bool          // the wall clock is before what has been: nothing can be said of the time
}

// now reads the clock.
func (c *clock) now() reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *clock) read() reading {
	if c.sure {
		boot := c.machine.Boot()
		return reading{at: time.Unix(0, int64(boot+c.offset)).UTC(), source: wire.ClockService, err: c.errorAt(boot)}
	}
	at := c.machine.Wall().UTC()
	if at.Before(c.floor) {
		return reading{at: c.floor, source: wire.ClockUnsure, lost: true}
	}
	return reading{at: at, source: wire.ClockUnsure}
}

// errorAt is how far the time may be from that of the service.
func (c *clock) errorAt(boot time.Duration) time.Duration {
	return c.err + (boot-c.errAt)/1_000_000*drift
}

// boot is the time since the machine started: when a request is sent.
func (c *clock) boot() time.Duration { return c.machine.Boot() }

// hear takes the time of the service from an answer to a request that was sent at a boot
// time. It returns by how much the wall clock differs, if that is a skew.
func (c *clock) hear(sent time.Duration, service time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	received := c.machine.Boot()
	rtt := received - sent
	if service.IsZero() || rtt < 0 || rtt > maxRTT {
		return 0
	}
	middle := time.Duration(service.UnixNano()) - (sent + rtt/2)
	// A worse measurement replaces a better one only when the clock can have drifted further
	// than that, or when the service's own clock was set.
	known := c.errorAt(received)
	if apart := (middle - c.offset).Abs(); !c.sure || rtt/2 <= known || apart > known+rtt/2 {
		if c.sure { // the lease is measured by the boot time, whatever is learned of the service's
			c.current = c.current.Add(middle - c.offset)
		}
		c.sure, c.offset, c.err, c.errAt = true, middle, rtt/2, received
	}
	if off := c.machine.Wall().Sub(c.read().at); off.Abs() > skew {
		return off
	}
	return 0
}

// renew extends the lease after an answer to a request that was sent at a boot time:
// current says that the table of the request was the present one, else since is when the
// first change came that it lacks. It takes the earliest instant that it can have been.
func (c *clock) renew(sent time.Duration, service time.Time, current bool, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.sure || service.IsZero() || c.machine.Boot()-sent > maxRTT {
		return
	}
	to := time.Unix(0, int64(sent+c.offset)).UTC()
	if !current {
		if since.IsZero() || since.After(service) {
			return
		}
		to = to.Add(since.Sub(service))
	}
	if !c.leased || to.After(c.current) {
		c.current, c.leased = to, true
	}
}

// drop ends the lease at once: the table is not the one any more that it was for.
func (c *clock) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.leased = time.Time{}, false
}

// leaseEnd is the end of the lease of a class of door; zero: there is none. Lengths are
// those of the site.
func (c *clock) leaseEnd(site *unlock.Site, class unlock.DoorClass) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leased || site == nil {
		return time.Time{}
	}
	length := site.LeaseStandard
	if class == unlock.Critical {
		length = site.LeaseCritical
	}
	return c.current.Add(time.Duration(length) * time.Second)
}

// age is how long ago the table was known to be the present one. Without a lease it is a
// year, which no rule of an alarm overlooks.
func (c *clock) age() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leased {
		return 365 * 24 * time.Hour
	}
	return max(0, c.read().at.Sub(c.current))
}
