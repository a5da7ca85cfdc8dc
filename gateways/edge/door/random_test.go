package door

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/randomtest"
	"gatehouse/schemas/wire"
)

// history plays a door at random, and holds what the machine does to its promises.
type history struct {
	t       *testing.T
	r       *rand.Rand
	b       *bench
	pending []*Command // not carried out yet, in order
	of      uint64
	posture Posture
	fire    map[wire.ID]bool // by input: of the door, or of the whole gateway
	// released is until when the device may keep the door open for a grant.
	released time.Time
	ends     map[uint64]int
	last     map[wire.ActivityType]bool // of a pair of types: the first was the last
	now      Input
}

var pairs = map[wire.ActivityType]wire.ActivityType{
	wire.DoorHeldOpenCleared: wire.DoorHeldOpen, wire.DoorTamperCleared: wire.DoorTampered, wire.FireCleared: wire.FireRaised,
	wire.BatteryRestored: wire.BatteryLow, wire.DeviceOnline: wire.DeviceOffline,
}

func (h *history) mayStandOpen() bool {
	return (h.fire[""] || h.fire["gate"]) && h.posture.FireRelease || h.posture.Open && !h.posture.Lockdown
}

func (h *history) do(in Input) {
	h.now = in
	switch in := in.(type) {
	case Posture:
		h.posture = in
	case Happened:
		if in.Kind == driver.Fire || in.Kind == driver.FireOver {
			h.fire[in.Door] = in.Kind == driver.Fire
		}
	}
	h.b.step(in)
	commands := 0
	for _, e := range h.b.effects {
		require.True(h.t, (e.Command == nil) != (e.Record == nil))
		if e.Record != nil {
			h.record(e.Record)
			continue
		}
		commands++
		h.command(e.Command)
	}
	assert.LessOrEqual(h.t, commands, 2, "%+v", in)
	assert.LessOrEqual(h.t, len(h.b.State().Passages), maxPassages)
	if _, tick := in.(Tick); tick && !h.b.Due().IsZero() {
		require.True(h.t, h.b.Due().After(h.b.now), "a tick does what was due")
	}
}

func (h *history) command(c *Command) {
	switch c.Action {
	case driver.Release:
		g, is := h.now.(Granted)
		require.True(h.t, is, "a release without a grant: %+v", h.now)
		require.Equal(h.t, g.Of, c.Of)
		h.released = h.b.now.Add(DefaultRelease)
	case driver.Unlock:
		require.True(h.t, h.mayStandOpen(), "unlocked without posture and fire: %+v", h.now)
	case driver.Lock:
		require.False(h.t, h.mayStandOpen(), "locked against posture or fire: %+v", h.now)
	}
	h.pending = append(h.pending, c)
}

func (h *history) record(a *wire.Activity) {
	if a.Type == wire.AccessTaken || a.Type == wire.AccessNotTaken {
		require.NotZero(h.t, a.Of)
		h.ends[a.Of]++
		if h.ends[a.Of] > 1 {
			require.Fail(h.t, "a grant ended twice", "%+v", a)
		}
	}
	if a.Type == wire.DoorForcedOpen {
		require.False(h.t, h.mayStandOpen(), "forced while it stands open")
		dated := !h.now.(Happened).At.IsZero() // it may have been before the release
		require.False(h.t, !dated && h.b.now.Before(h.released), "forced within a release: %+v", h.b.State())
	}
	for off, on := range pairs {
		switch a.Type {
		case on:
			require.False(h.t, h.last[on], "%s twice", on)
			h.last[on] = true
		case off:
			require.True(h.t, h.last[on] || off == wire.DeviceOnline, "%s without its beginning", off)
			h.last[on] = false
		}
	}
}

// finish carries out the oldest command.
func (h *history) finish() {
	if len(h.pending) == 0 {
		return
	}
	c := h.pending[0]
	h.pending = h.pending[1:]
	errs := []error{nil, nil, nil, driver.ErrUnconfirmed, driver.ErrOffline, driver.ErrUnsupported, errors.New("jammed")}
	err := errs[h.r.IntN(len(errs))]
	if c.Action == driver.Lock && err == nil {
		h.released = time.Time{}
	}
	h.do(Done{*c, err})
}

func (h *history) step() {
	kinds := []driver.Kind{driver.Opened, driver.Opened, driver.Opened, driver.Closed, driver.Closed, driver.Closed, driver.ExitRequested, driver.Unlocked,
		driver.Locked, driver.Fire, driver.FireOver, driver.FireOver, driver.Tampered, driver.TamperOver, driver.BatteryLow, driver.BatteryGood,
		driver.Online, driver.Online, driver.Offline, driver.Missed}
	methods := []wire.Method{"", wire.MethodKey, wire.MethodPin}
	switch n := h.r.IntN(20); {
	case n < 4:
		h.of++
		h.do(Granted{Of: h.of, Side: unlock.Side(1 + h.r.IntN(2)), Method: wire.MethodCard})
	case n < 8:
		h.finish()
	case n < 9:
		h.do(Posture{Open: h.r.IntN(3) == 0, Lockdown: h.r.IntN(4) == 0, FireRelease: h.r.IntN(4) > 0})
	case n < 11:
		h.do(Tick{})
	case n == 11 && h.r.IntN(4) == 0:
		h.pending = nil
		h.b.restart(h.t)
	default:
		e := Happened{Kind: kinds[h.r.IntN(len(kinds))], Door: "gate", Method: methods[h.r.IntN(len(methods))]}
		if fire := e.Kind == driver.Fire || e.Kind == driver.FireOver; fire && h.r.IntN(2) == 0 {
			e.Door = ""
		}
		if h.r.IntN(5) == 0 {
			e.At = h.b.now.Add(-time.Duration(h.r.IntN(120)) * time.Second)
		}
		h.do(e)
	}
}

func TestRandomHistoriesKeepThePromises(t *testing.T) {
	r := rand.New(rand.NewPCG(randomtest.Seed(t, 9), 4))
	for range 300 {
		set := Settings{Sensor: r.IntN(4) > 0, Held: time.Duration(r.IntN(2)) * DefaultHeld, LockOnClose: r.IntN(2) == 0}
		h := &history{t: t, r: r, b: newBench(set), fire: map[wire.ID]bool{}, ends: map[uint64]int{}, last: map[wire.ActivityType]bool{}}
		for range 200 {
			h.step()
		}
		for range 100 {
			h.do(Tick{})
		}
		for of := uint64(1); of <= h.of; of++ {
			require.Equal(t, 1, h.ends[of], "grant %d", of)
		}
	}
}
