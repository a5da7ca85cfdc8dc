package door

import (
	"encoding/json"
	"slices"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// happened takes an event of the device that happened at an instant.
func (m *Machine) happened(now, at time.Time, e driver.Event) {
	switch e.Kind {
	case driver.Opened:
		m.opened(now, at, e)
	case driver.Closed:
		m.closed(now, at, e)
	case driver.ExitRequested:
		m.exit(at, e)
	case driver.Unlocked:
		m.unlockedByHand(now, at, e)
	case driver.Locked:
		m.lockedByHand(now, at, e)
	case driver.Fire, driver.FireOver:
		m.fire(now, at, e)
	case driver.Tampered, driver.TamperOver:
		m.change(&m.s.Tampered, e.Kind == driver.Tampered, wire.DoorTampered, wire.DoorTamperCleared, at, e)
	case driver.BatteryLow, driver.BatteryGood:
		m.change(&m.s.BatteryLow, e.Kind == driver.BatteryLow, wire.BatteryLow, wire.BatteryRestored, at, e)
	case driver.Drifted, driver.Mended:
		m.change(&m.s.Drifted, e.Kind == driver.Drifted, wire.DeviceDrifted, wire.DeviceMended, at, e)
	case driver.Online:
		m.online(now, at, e)
	case driver.Offline:
		m.offline(at, e)
	case driver.Missed:
		m.missed(at, e)
	}
}

// change records that something is on, or off again, once each.
func (m *Machine) change(is *bool, on bool, begins, ends wire.ActivityType, at time.Time, e driver.Event) {
	if *is == on {
		return
	}
	*is = on
	if on {
		m.observed(begins, at, e)
	} else {
		m.observed(ends, at, e)
	}
}

// opened says by whom the leaf was opened, or that nobody may have opened it.
func (m *Machine) opened(now, at time.Time, e driver.Event) {
	if !m.set.Sensor {
		m.observed(wire.DoorOpened, at, e)
		return
	}
	if m.s.Leaf == LeafOpen {
		m.s.Unwatched = false
		return
	}
	found := m.s.Unwatched && e.At.IsZero() // it may have been open for long
	m.s.Unwatched, m.s.Leaf = false, LeafOpen
	m.watch(now, at)
	by := m.s.openBy()
	p := m.passage(now, at)
	switch {
	case by != "":
		m.observed(wire.DoorOpened, at, e).Method = by
		m.s.doubt()
	case p != nil && p.Told:
		a := m.observed(wire.DoorOpened, at, e)
		a.Of, a.Method = p.Of, p.Method
	case p != nil && p.Of == 0:
		m.observed(wire.DoorOpened, at, e).Method = wire.MethodRequestToExit
		p.Told = true
	case p != nil:
		m.complete(p, wire.AccessTaken, at, wire.KnownSensor)
		if ends := p.From.Add(m.set.Release); ends.Before(p.Until) {
			p.Until = ends
		}
		m.out[len(m.out)-1].Record.Source = e.Source
	case !m.s.Locked:
		m.observed(wire.DoorOpened, at, e).Method = m.s.UnlockedBy
	case now.Sub(at) > late && at.Before(m.s.LockedSince):
		m.observed(wire.DoorOpened, at, e)
	case found:
		m.observed(wire.DoorOpened, at, e).HowKnown = wire.KnownAssumed
	default:
		m.observed(wire.DoorForcedOpen, at, e)
	}
	m.forget(at)
	for i := range m.s.Passages {
		m.s.Passages[i].Open = m.s.Passages[i].Open || !m.s.Passages[i].Told
	}
}

// passage finds by which passage the leaf was opened: the oldest that is not over, else
// the last that was when it happened. Nil: there is none.
func (m *Machine) passage(now, at time.Time) *Passage {
	slack := time.Duration(0)
	if now.Sub(at) > late {
		slack = late
	}
	var over *Passage
	for i := range m.s.Passages {
		p := &m.s.Passages[i]
		within := !at.Before(p.From.Add(-slack)) && at.Before(p.Until.Add(slack))
		switch {
		case !p.Told && (within || slack == 0):
			return p
		case p.Told && within:
			over = p
		}
	}
	return over
}

// forget drops the passages that no later event of the leaf can belong to.
func (m *Machine) forget(at time.Time) {
	m.s.Passages = slices.DeleteFunc(m.s.Passages, func(p Passage) bool { return p.Told && p.Until.Add(late).Before(at) })
}

// closed ends an opening.
func (m *Machine) closed(now, at time.Time, e driver.Event) {
	if !m.set.Sensor {
		m.observed(wire.DoorClosed, at, e)
		return
	}
	before, found := m.s.Leaf, m.s.Unwatched && e.At.IsZero()
	m.s.Unwatched, m.s.Leaf = false, LeafClosed
	if before != LeafOpen {
		return
	}
	if until := m.s.OpenSince.Add(m.set.Held); !m.s.HeldAt.IsZero() && !until.After(at) && !found {
		m.s.HeldAt = until
		m.held()
	}
	t := wire.DoorClosed
	if m.s.Held {
		t = wire.DoorHeldOpenCleared
	}
	a := m.observed(t, at, e)
	if found {
		a.HowKnown = wire.KnownAssumed
	}
	m.s.Held, m.s.HeldAt, m.s.OpenSince = false, time.Time{}, time.Time{}
	m.lockOnClose(now)
}

// lockOnClose locks behind somebody, unless somebody else may still open.
func (m *Machine) lockOnClose(now time.Time) {
	waits := slices.ContainsFunc(m.s.Passages, func(p Passage) bool { return !p.Told })
	switch {
	case !m.set.LockOnClose || waits || m.s.openBy() != "":
	case !m.s.Locked && m.s.Want == 0:
		m.order(now, driver.Lock)
	case m.s.Locked && m.s.ReleaseEnds.After(now):
		m.s.ReleaseEnds = time.Time{}
		m.command(driver.Lock)
	}
}

// exit lets somebody out whose way is open already: an opening is no forcing now. While
// they may go, it is recorded once, for a sensor asks all the time.
func (m *Machine) exit(at time.Time, e driver.Event) {
	until := at.Add(m.set.NotTaken)
	if p := m.s.waiting(0); p != nil {
		if until.After(p.Until) {
			p.Until = until
		}
		return
	}
	a := m.observed(wire.ExitRequested, at, e)
	a.Method, a.Side = wire.MethodRequestToExit, unlock.Out.String()
	m.add(Passage{Side: unlock.Out, Method: wire.MethodRequestToExit, From: at, Until: until, Open: m.s.Leaf == LeafOpen})
}

// unlockedByHand takes that the bolt was opened by something else than a command.
func (m *Machine) unlockedByHand(now, at time.Time, e driver.Event) {
	known := e.Method != "" && e.Method != wire.MethodUnknown || e.Slot != 0
	if known {
		a := m.observed(wire.DoorUnlocked, at, e)
		if e.HowKnown == "" && e.Method != wire.MethodKey {
			a.HowKnown = wire.KnownClaimed
		}
	} else if !m.s.Locked || m.s.Want == driver.Unlock || m.s.ReleaseEnds.After(now) || m.s.awaited() != "" {
		return // it was ordered, or is open already
	} else if now.Sub(at) > late && at.Before(m.s.LockedSince) {
		return // it tells of a time when it may have been open
	} else {
		m.observed(wire.DoorUnexplained, at, e).Method = wire.MethodUnknown
	}
	m.s.Locked = false
	if by := m.s.openBy(); by != "" {
		m.s.UnlockedBy = by
	} else if m.s.UnlockedBy = e.Method; e.Method == "" {
		m.s.UnlockedBy = wire.MethodUnknown
	}
}

// lockedByHand takes that the bolt was closed by something else than a command. A door
// that has to stand open is opened again, unless somebody turned a key: they stand there
// and want it closed. In a fire it is opened whoever closed it.
func (m *Machine) lockedByHand(now, at time.Time, e driver.Event) {
	if m.s.Locked {
		return
	}
	if m.s.UnlockedBy != "" {
		m.observed(wire.DoorLocked, at, e)
	}
	m.s.Locked, m.s.LockedSince, m.s.UnlockedBy = true, at, ""
	by := m.s.openBy()
	switch {
	case by == "" || by == wire.MethodPosture && e.Method == wire.MethodKey:
		m.wanted()
	case m.s.Relocks == 0:
		m.order(now, driver.Unlock)
		m.s.Relocks++
	default: // a device that locks itself each time is not chased
		m.s.Want, m.s.Tries, m.s.WantAt = driver.Unlock, 0, now.Add(delay(m.s.Relocks))
		m.s.Relocks++
	}
}

// fire takes the state of a fire input: that of the door, or that of the whole gateway.
func (m *Machine) fire(now, at time.Time, e driver.Event) {
	on, is := e.Kind == driver.Fire, &m.s.Fire
	if e.Door == "" {
		is = &m.s.FireAround
	}
	if *is == on {
		return
	}
	by := m.s.openBy()
	*is = on
	if e.Door != "" {
		t := wire.FireCleared
		if on {
			t = wire.FireRaised
		}
		m.observed(t, at, e)
	}
	m.follow(now, by)
}

// online moves the bolt again: a device that was off may have forgotten what it was told.
// The bolt of a new door is locked, so that somebody knows how it is.
func (m *Machine) online(now, at time.Time, e driver.Event) {
	if m.s.Link != LinkOnline {
		m.observed(wire.DeviceOnline, at, e)
	}
	m.s.Link, m.away = LinkOnline, false
	m.wait(now)
	byHand := m.s.Locked && m.s.Want == 0 // somebody locked a door that stands open
	switch by := m.s.openBy(); {
	case by != "" && !byHand:
		m.order(now, driver.Unlock)
	case m.s.Want != 0:
		m.order(now, m.s.Want)
	default:
		m.settle(now)
	}
}

// offline takes that the device does not answer: events may be missed from now on.
func (m *Machine) offline(at time.Time, e driver.Event) {
	if m.s.Link != LinkOffline {
		m.observed(wire.DeviceOffline, at, e)
	}
	m.s.Link, m.s.Unwatched = LinkOffline, true
	m.s.doubt()
}

// missed takes that the device lost events.
func (m *Machine) missed(at time.Time, e driver.Event) {
	local, err := json.Marshal(struct {
		Cause string `json:"cause"`
		Count uint64 `json:"count,omitempty"`
	}{"missed", e.Count})
	if err != nil {
		panic(err) // a word and a number
	}
	m.observed(wire.RecordsGap, at, e).Local = local
	m.s.Unwatched = true
	m.s.doubt()
}
