package edge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// machine is a machine whose clocks a test sets.
type machine struct {
	wall time.Time
	boot time.Duration
	id   string
}

func newMachine() *machine { return &machine{wall: noon, boot: time.Hour, id: "first"} }

func (m *machine) clocks() Clocks {
	return Clocks{Wall: func() time.Time { return m.wall }, Boot: func() time.Duration { return m.boot }, ID: m.id}
}

// pass lets time pass on all clocks.
func (m *machine) pass(d time.Duration) { m.wall, m.boot = m.wall.Add(d), m.boot+d }

// hears takes an answer of the service that was on its way for rtt.
func (m *machine) hears(c *clock, service time.Time, rtt time.Duration, current bool, since time.Time) {
	sent := c.boot()
	m.pass(rtt)
	c.hear(sent, service)
	c.renew(sent, service, current, since)
}

var north = &unlock.Site{LeaseStandard: 900, LeaseCritical: 30}

func TestTheWallClockIsNotReadOnceTheServiceAnswered(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon.Add(time.Hour), 10*time.Millisecond, true, time.Time{})
	end := c.leaseEnd(north, unlock.Standard)
	for _, jump := range []time.Duration{-366 * 24 * time.Hour, 366 * 24 * time.Hour, -time.Minute} {
		m.wall = m.wall.Add(jump)
		now := c.now()
		assert.WithinDuration(t, noon.Add(time.Hour), now.at, 10*time.Millisecond)
		assert.Equal(t, wire.ClockService, now.source)
		assert.Equal(t, end, c.leaseEnd(north, unlock.Standard))
	}
}

func TestALeaseBeginsWhenTheRequestWasSent(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon, 0, false, time.Time{}) // the time alone
	assert.Zero(t, c.leaseEnd(north, unlock.Standard))
	m.hears(c, noon.Add(4*time.Second), 4*time.Second, true, time.Time{})
	assert.Equal(t, noon.Add(30*time.Second), c.leaseEnd(north, unlock.Critical))
	assert.Equal(t, noon.Add(15*time.Minute), c.leaseEnd(north, unlock.Standard))
}

func TestALeaseEndsByTheFirstChangeThatTheTableLacks(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon, 0, true, time.Time{})
	m.pass(20 * time.Second)
	m.hears(c, noon.Add(20*time.Second), 0, false, noon.Add(12*time.Second))
	assert.Equal(t, noon.Add(42*time.Second), c.leaseEnd(north, unlock.Critical))
	m.pass(10 * time.Second)
	m.hears(c, noon.Add(30*time.Second), 0, false, noon.Add(5*time.Second))
	assert.Equal(t, noon.Add(42*time.Second), c.leaseEnd(north, unlock.Critical), "what was known before stays known")
}

func TestChangesWithoutEndDoNotStarveALease(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	for i := range 100 { // never current: each answer lacks a change of a second ago
		at := noon.Add(time.Duration(i) * 10 * time.Second)
		m.hears(c, at, 0, false, at.Add(-time.Second))
		assert.Equal(t, at.Add(29*time.Second), c.leaseEnd(north, unlock.Critical))
		m.pass(10 * time.Second)
	}
}

func TestAnAnswerThatWasLongOnItsWayRenewsNothing(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon, 0, true, time.Time{})
	end := c.leaseEnd(north, unlock.Standard)
	m.hears(c, noon.Add(time.Minute), maxRTT+time.Second, true, time.Time{})
	assert.Equal(t, end, c.leaseEnd(north, unlock.Standard))
}

func TestALeaseIsMeasuredByTheMachineWhenTheServiceSetsItsClock(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon, 0, true, time.Time{})
	m.pass(10 * time.Second)
	m.hears(c, noon.Add(-time.Hour), 0, false, time.Time{}) // the service's clock went back
	assert.Equal(t, 20*time.Second, c.leaseEnd(north, unlock.Critical).Sub(c.now().at))
}

func TestAStartOfTheProcessAloneKeepsTheTime(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon, 0, true, time.Time{})
	stored := c.state()
	m.pass(20 * time.Second)
	m.wall = m.wall.Add(-time.Hour)
	c = newClock(m.clocks(), stored)
	assert.Equal(t, wire.ClockService, c.now().source)
	assert.Equal(t, noon.Add(20*time.Second), c.now().at)
	assert.Equal(t, noon.Add(30*time.Second), c.leaseEnd(north, unlock.Critical))
}

func TestAfterAStartOfTheMachineTheTimeIsUnsure(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon, 0, true, time.Time{})
	stored := c.state()
	m.wall, m.boot, m.id = noon.Add(10*time.Minute), time.Second, "second"
	c = newClock(m.clocks(), stored)
	now := c.now()
	assert.Equal(t, reading{at: noon.Add(10 * time.Minute), source: wire.ClockUnsure}, now)
	assert.Equal(t, noon.Add(15*time.Minute), c.leaseEnd(north, unlock.Standard), "the stored lease goes on, by the wall clock")
	m.wall = noon.Add(-time.Second)
	assert.True(t, c.now().lost, "a clock that shows what has been tells nothing")
	assert.Equal(t, noon, c.now().at)
}

func TestTheTimeBecomesLessSureUntilTheNextAnswer(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon, 20*time.Millisecond, true, time.Time{})
	assert.Equal(t, 10*time.Millisecond, c.now().err)
	m.pass(100 * time.Second)
	assert.Equal(t, 30*time.Millisecond, c.now().err)
	m.hears(c, c.now().at, 2*time.Millisecond, true, time.Time{})
	assert.Equal(t, time.Millisecond, c.now().err)
}
