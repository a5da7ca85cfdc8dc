package door

import (
	"errors"
	"slices"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

const (
	// late is the age at which an event tells of the past. The clock of a device that kept
	// it may be off by as much: EN 60839-11-1 asks for 10 s a week.
	late = 10 * time.Second
	// answerTime is how long a command may take before it is given again.
	answerTime = 30 * time.Second
	// slowest is the greatest time between two attempts to move the bolt.
	slowest = time.Minute
)

// Machine is the door. It is not safe for concurrent use.
type Machine struct {
	set  Settings
	s    State
	away bool // since the start the device has not answered yet
	out  []Effect
}

// New makes the machine of a door from what was stored of it, or of a new door. It takes
// for granted that events may have been missed since then.
func New(set Settings, stored State) *Machine {
	m := &Machine{set: set.withDefaults(), s: stored, away: true}
	m.s.Passages = slices.Clone(stored.Passages)
	m.s.Unwatched = true
	m.s.doubt()
	return m
}

// State gives what the machine knows, to be stored.
func (m *Machine) State() State {
	s := m.s
	s.Passages = slices.Clone(s.Passages)
	return s
}

// Mode names the state of the door.
func (m *Machine) Mode() Mode { return m.s.Mode() }

// Due is the instant at which Step wants a Tick. Zero: none.
func (m *Machine) Due() time.Time {
	var due time.Time
	soonest := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	if m.watched() {
		soonest(m.s.HeldAt)
	}
	soonest(m.s.WantAt)
	for _, p := range m.s.Passages {
		if !p.Told {
			soonest(p.Until)
		}
	}
	return due
}

// watched reports whether the device would tell of the leaf now.
func (m *Machine) watched() bool { return !m.away && m.s.Link != LinkOffline }

// Step tells the machine what happened, and gives what follows, in order.
func (m *Machine) Step(now time.Time, in Input) []Effect {
	m.out = nil
	at := now
	if e, is := in.(Happened); is && !e.At.IsZero() && e.At.Before(now) {
		at = e.At // the future is a wrong clock
	}
	m.expire(at)
	switch in := in.(type) {
	case Granted:
		m.granted(now, in)
	case Posture:
		m.posture(now, in)
	case Happened:
		m.happened(now, at, driver.Event(in))
	case Done:
		m.done(now, in)
	}
	if due(m.s.WantAt, now) {
		m.s.WantAt = now.Add(answerTime)
		m.command(m.s.Want)
	}
	return m.out
}

func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

func (m *Machine) record(a wire.Activity) { m.out = append(m.out, Effect{Record: &a}) }

// observed records an event of the device.
func (m *Machine) observed(t wire.ActivityType, at time.Time, e driver.Event) *wire.Activity {
	a := &wire.Activity{Type: t, At: at, Method: e.Method, Slot: e.Slot, HowKnown: e.HowKnown, Source: e.Source}
	if e.Side != 0 {
		a.Side = e.Side.String()
	}
	if a.HowKnown == "" {
		a.HowKnown = wire.KnownSensor
	}
	m.out = append(m.out, Effect{Record: a})
	return a
}

func (m *Machine) command(action driver.Action) *Command {
	c := &Command{Command: driver.Command{Action: action}}
	m.out = append(m.out, Effect{Command: c})
	return c
}

// order moves the bolt, and sees to it that it is moved.
func (m *Machine) order(now time.Time, action driver.Action) {
	m.s.Want, m.s.WantAt, m.s.Tries = action, now.Add(answerTime), 0
	m.command(action)
}

func (m *Machine) wanted() { m.s.Want, m.s.WantAt, m.s.Tries = 0, time.Time{}, 0 }

// delay is the time before attempt n, from 0: at once, 1 s, 2 s, 4 s … a minute.
func delay(n int) time.Duration {
	if n == 0 {
		return 0
	}
	return min(time.Second<<min(n-1, 10), slowest)
}

// expire ends what is over at an instant.
func (m *Machine) expire(now time.Time) {
	for i := range m.s.Passages {
		if p := &m.s.Passages[i]; !p.Told && due(p.Until, now) {
			m.end(p, p.Until)
		}
	}
	if due(m.s.HeldAt, now) && m.watched() {
		m.held()
	}
}

func (m *Machine) held() {
	m.record(wire.Activity{Type: wire.DoorHeldOpen, At: m.s.HeldAt, HowKnown: wire.KnownSensor})
	m.s.Held, m.s.HeldAt = true, time.Time{}
}

// end ends a passage that no opening completed.
func (m *Machine) end(p *Passage, at time.Time) {
	p.Told = true
	switch {
	case p.Of == 0:
	case !m.set.Sensor || p.Open || p.Unsure:
		m.complete(p, wire.AccessTaken, at, wire.KnownAssumed)
	default:
		m.complete(p, wire.AccessNotTaken, at, wire.KnownSensor)
	}
}

// complete records how a grant ended. The passage is over with it.
func (m *Machine) complete(p *Passage, t wire.ActivityType, at time.Time, how wire.HowKnown) {
	p.Told = true
	a := wire.Activity{Type: t, At: at, Of: p.Of, Method: p.Method, Person: p.Person, Credential: p.Credential, HowKnown: how}
	if p.Side != 0 {
		a.Side = p.Side.String()
	}
	m.record(a)
}

// granted lets somebody through.
func (m *Machine) granted(now time.Time, g Granted) {
	p := Passage{Of: g.Of, Side: g.Side, Method: g.Method, Person: g.Person, Credential: g.Credential, From: now, Until: now.Add(m.set.NotTaken)}
	by := m.s.openBy()
	switch {
	case by == "" && m.s.Posture.Lockdown && g.Side != unlock.Out:
		m.complete(&p, wire.AccessNotTaken, now, "")
		return
	case by != "" && !(m.s.Locked && m.s.Want == 0):
		m.complete(&p, wire.AccessTaken, now, wire.KnownAssumed)
		return
	}
	p.Open = m.s.Leaf == LeafOpen
	p.Unsure = m.s.Link == LinkOffline || by != ""
	m.add(p)
	c := m.command(driver.Release)
	c.Of, c.Side, c.For = g.Of, g.Side, m.set.Release
	m.s.ReleaseEnds = now.Add(m.set.Release)
}

// add keeps a passage, and ends the oldest if there are too many.
func (m *Machine) add(p Passage) {
	if len(m.s.Passages) == maxPassages {
		if old := &m.s.Passages[0]; !old.Told {
			old.Unsure = true
			m.end(old, p.From)
		}
		m.s.Passages = slices.Delete(m.s.Passages, 0, 1)
	}
	m.s.Passages = append(m.s.Passages, p)
}

// posture takes over what the table says.
func (m *Machine) posture(now time.Time, p Posture) {
	by, begins := m.s.openBy(), p.Lockdown && !m.s.Posture.Lockdown
	m.s.Posture = p
	m.follow(now, by)
	m.settle(now)
	if begins && m.s.openBy() == "" && m.s.Want != driver.Lock && (!m.s.Locked || m.entering()) {
		m.order(now, driver.Lock)
	}
}

// entering reports whether somebody may come in now.
func (m *Machine) entering() bool {
	return slices.ContainsFunc(m.s.Passages, func(p Passage) bool { return !p.Told && p.Of != 0 && p.Side != unlock.Out })
}

// follow moves the bolt if something else, or nothing, keeps the door open now.
func (m *Machine) follow(now time.Time, before wire.Method) {
	by := m.s.openBy()
	switch {
	case by != "" && by != before:
		m.s.doubt()
		m.s.HeldAt, m.s.Relocks = time.Time{}, 0
		m.order(now, driver.Unlock)
	case by == "" && before != "":
		if m.s.Leaf == LeafOpen && !m.s.Held {
			m.watch(now, now)
		}
		m.order(now, driver.Lock)
	}
}

// settle locks a bolt of which nobody knows how it is. While a fire input is on it is left
// as it is.
func (m *Machine) settle(now time.Time) {
	if m.s.openBy() == "" && !m.s.Locked && m.s.UnlockedBy == "" && m.s.Want == 0 && !m.s.Fire && !m.s.FireAround {
		m.order(now, driver.Lock)
	}
}

// watch begins the time after which the leaf is open for too long. If the opening is told
// late, its end may follow soon.
func (m *Machine) watch(now, since time.Time) {
	m.s.OpenSince = since
	if m.set.Held > 0 && m.s.openBy() == "" {
		m.s.HeldAt = since.Add(m.set.Held)
		m.wait(now)
	}
}

// wait leaves a device that tells of the past the time to tell the rest of it.
func (m *Machine) wait(now time.Time) {
	if soon := now.Add(late); !m.s.HeldAt.IsZero() && m.s.HeldAt.Before(soon) && m.s.OpenSince.Before(now) {
		m.s.HeldAt = soon
	}
}

// done takes the result of a command.
func (m *Machine) done(now time.Time, d Done) {
	switch d.Command.Action {
	case driver.Release:
		m.released(now, d)
	case driver.Unlock:
		if m.moved(now, d, driver.Unlock) {
			m.unlocked(now, d.Err)
		}
	case driver.Lock:
		if m.moved(now, d, driver.Lock) {
			m.locked(now, d.Err)
		}
	}
}

// released ends the grant where the device did nothing, or nothing will tell more.
func (m *Machine) released(now time.Time, d Done) {
	p := m.s.waiting(d.Command.Of)
	switch {
	case p == nil || p.Of == 0:
	case (errors.Is(d.Err, driver.ErrOffline) || errors.Is(d.Err, driver.ErrUnsupported)) && !p.Open:
		m.complete(p, wire.AccessNotTaken, now, "")
	case !m.set.Sensor:
		m.complete(p, wire.AccessTaken, now, wire.KnownAssumed)
	}
	if d.Err == nil && !m.s.Locked && m.s.Want == 0 && m.s.openBy() == "" {
		m.locked(now, driver.ErrUnconfirmed) // a release ends with a locked bolt
	}
}

// moved reports whether the bolt is where a command wanted it, as far as anybody will
// know. If not, it is tried again.
func (m *Machine) moved(now time.Time, d Done, action driver.Action) bool {
	current := m.s.Want == action
	if d.Err == nil || errors.Is(d.Err, driver.ErrUnconfirmed) {
		if current {
			m.wanted()
		}
		return true
	}
	if errors.Is(d.Err, driver.ErrUnsupported) {
		if current {
			m.wanted()
		}
		return action == driver.Lock
	}
	if current {
		m.s.Tries++
		m.s.WantAt = now.Add(delay(m.s.Tries))
	}
	return false
}

// confirmed tells how a result of a command is known.
func confirmed(err error) wire.HowKnown {
	if err != nil {
		return wire.KnownAssumed
	}
	return ""
}

func (m *Machine) unlocked(now time.Time, err error) {
	by := m.s.openBy()
	if by == "" { // it ended meanwhile
		by = wire.MethodPosture
		if m.s.Want == 0 {
			defer m.order(now, driver.Lock)
		}
	}
	if m.s.Locked || m.s.UnlockedBy != by {
		m.record(wire.Activity{Type: wire.DoorUnlocked, At: now, Method: by, HowKnown: confirmed(err)})
	}
	m.s.Locked, m.s.UnlockedBy = false, by
}

func (m *Machine) locked(now time.Time, err error) {
	if !m.s.Locked && m.s.UnlockedBy != "" {
		a := wire.Activity{Type: wire.DoorLocked, At: now, HowKnown: confirmed(err)}
		switch by := m.s.UnlockedBy; {
		case by == wire.MethodFire:
			a.Method = by
		case by == wire.MethodPosture || m.s.Posture.Lockdown:
			a.Method = wire.MethodPosture
		}
		m.record(a)
	}
	if !m.s.Locked {
		m.s.Locked, m.s.LockedSince = true, now
	}
	m.s.UnlockedBy = ""
	if m.s.openBy() != "" && m.s.Want == 0 {
		m.order(now, driver.Unlock)
	}
	if err == nil {
		m.cutShort(now)
	}
}

// cutShort ends the passages that a locked bolt ends: those that are recorded, and in a
// lockdown those of all who have not come in.
func (m *Machine) cutShort(now time.Time) {
	for i := range m.s.Passages {
		p := &m.s.Passages[i]
		if m.s.Posture.Lockdown && !p.Told && p.Of != 0 && p.Side != unlock.Out {
			m.end(p, now)
		}
		if p.Told && p.Of != 0 && p.Until.After(now) {
			p.Until = now
		}
	}
}
