package mqtt

import (
	"crypto/sha256"
	"slices"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

const (
	// maxQueued is how many events of a door wait for the gateway; more are counted as
	// missed, and states are compared again later.
	maxQueued = 256
	// again is how long the same message of a topic is a repetition, not a second event. A
	// device that lost the answer of its broker sends it again, and nothing shows that.
	again = 2 * time.Second
	// settle is how long a bolt that moved waits for the message that says who moved it.
	settle = 2 * time.Second
	// old is the age at which an event tells nothing of the present.
	old = 10 * time.Second
	// ourOwn is how long after an order a movement of the bolt is its effect.
	ourOwn = 30 * time.Second
)

// trit is a state that may be unknown.
type trit uint8

const (
	unknown trit = iota
	off
	on
)

var opposite = map[trit]trit{on: off, off: on}

func tritOf(b bool) trit {
	if b {
		return on
	}
	return off
}

// door is what the driver knows of a door. The driver's lock guards it.
type door struct {
	id     wire.ID
	device *device // nil: it has not described itself yet
	turn   chan struct{}

	state    map[subject]trit // as last told; presence is whether it is there
	told     map[subject]trit // as last reported
	up       map[string]bool  // by availability topic
	asked    bool             // for its state, since it is there
	heard    trit             // whether the broker grants each of its topics; unknown: it was not asked yet
	says     trit             // whether the device says that it is there
	waited   bool             // long enough for availability topics that tell nothing
	queue    []driver.Event
	missed   uint64                // events that did not fit
	stale    bool                  // a change of state did not fit
	last     map[string]repetition // of the messages of each topic
	sources  []string              // of the last events that the device numbered
	mover    mover                 // who is about to move the bolt
	moved    time.Time             // when the bolt moved without an explanation; zero: it did not
	spoke    time.Time             // when it told a state though it is said to be away; zero: it did not
	waiter   *waiter               // of the order that waits for its confirmation
	asking   *waiter               // of the question for a slot, which holds up no order
	orders   map[trit]time.Time    // that were sent, by where they move the bolt, until it moves
	ourMove  bool                  // the bolt is where an order of ours brought it
	relockAt time.Time             // when it is locked again; zero: not by us
}

// repetition is the last event of a topic.
type repetition struct {
	sum [sha256.Size]byte
	at  time.Time
}

// mover is what a device said of who moves the bolt.
type mover struct {
	fact
	at time.Time
}

// waiter waits for the confirmation of an order.
type waiter struct {
	id    string // of the order
	state trit   // of the bolt, which confirms it; unknown: a reply does
	slot  uint32 // whose content answers; 0: none
	done  chan reply
	held  chan held
}

func newDoor(id wire.ID) *door {
	return &door{id: id, turn: make(chan struct{}, 1), state: map[subject]trit{}, told: map[subject]trit{},
		up: map[string]bool{}, last: map[string]repetition{}, orders: map[trit]time.Time{}}
}

// maxSources is how many numbered events of a device are remembered.
const maxSources = 128

// take takes what a message says. now is by the driver's clock. A repeated event is left
// out with all that its message says, which is as old.
func (d *door) take(m message, facts []fact, now time.Time) {
	if !m.retained && d.repeats(m, facts, now) {
		return
	}
	for _, f := range facts {
		if m.retained && !states[f.of] {
			continue // it is old
		}
		if f.of != ofPresence && !m.retained && d.device.reports && d.state[ofPresence] == unknown {
			d.present(true, now) // it speaks, so it is there
		}
		d.learn(f, m.retained, now)
	}
}

// repeats reports whether a message tells of an event that was told before.
func (d *door) repeats(m message, facts []fact, now time.Time) bool {
	for _, f := range facts {
		switch {
		case !f.once():
		case f.source != "":
			return d.numbered(f.source)
		default:
			return d.repeated(m, now)
		}
	}
	return false
}

// once reports whether a fact happens, rather than lasts.
func (f fact) once() bool {
	switch f.of {
	case ofMover, ofMoved, ofPassed, ofMissed, ofRead, ofExit:
		return true
	}
	return false
}

// repeated reports whether the same message came just now.
func (d *door) repeated(m message, now time.Time) bool {
	sum := sha256.Sum256(m.payload)
	before, ok := d.last[m.topic]
	d.last[m.topic] = repetition{sum, now}
	return ok && before.sum == sum && now.Sub(before.at) < again
}

// numbered reports whether an event with a number of the device was told before.
func (d *door) numbered(source string) bool {
	if slices.Contains(d.sources, source) {
		return true
	}
	if len(d.sources) == maxSources {
		d.sources = slices.Delete(d.sources, 0, 1)
	}
	d.sources = append(d.sources, source)
	return false
}

// learn takes a fact; found says that it was so before, and nobody knows since when.
func (d *door) learn(f fact, found bool, now time.Time) {
	switch f.of {
	case ofPresence:
		d.up[f.topic] = f.on
		d.judge(f.on, now)
	case ofBolt:
		d.bolt(f, now)
	case ofMover:
		d.explain(f, now)
	case ofMoved:
		if now.Sub(orNow(f.at, now)) >= old {
			d.putMove(f, now)
			return
		}
		d.state[ofBolt], d.ourMove = tritOf(f.on), false
		clear(d.orders)
		d.report(f, now)
	case ofLeaf, ofTamper, ofBattery, ofFire:
		d.state[f.of] = tritOf(f.on)
		switch {
		case d.state[ofPresence] != on && (found || f.of != ofFire): // it is told once the device is there, or soon after it spoke
			if !found {
				d.spoke = now
			}
		case found || f.of == ofLeaf && d.told[ofLeaf] == unknown:
			d.compare(f.of, time.Time{}) // nobody knows since when
		default:
			d.compare(f.of, now)
		}
	case ofPassed:
		d.passed(f, now)
	case ofMissed:
		d.put(driver.Event{Kind: driver.Missed, At: orNow(f.at, now), Count: f.count, Source: f.source})
	case ofRead:
		d.put(driver.Event{Kind: driver.Read, Side: f.side, At: orNow(f.at, now), Method: f.method, HowKnown: f.how,
			Slot: f.slot, Refused: f.refused, Source: f.source, Shown: f.shown})
	case ofExit:
		d.put(driver.Event{Kind: driver.ExitRequested, Side: unlock.Out, At: orNow(f.at, now), Method: wire.MethodRequestToExit, Source: f.source})
	case ofReply:
		if w := d.waiter; w != nil && w.done != nil && (f.reply.id == "" || f.reply.id == w.id) {
			w.tell(f.reply)
		}
	case ofSlot:
		if w := d.asking; w != nil && w.slot == f.slot {
			select {
			case w.held <- f.code:
			default:
			}
		}
	}
}

func (w *waiter) tell(r reply) {
	select {
	case w.done <- r:
	default:
	}
}

func orNow(at, now time.Time) time.Time {
	if at.IsZero() {
		return now
	}
	return at
}

// kinds are the kinds of event for the states that are on and off.
var kinds = map[subject]struct{ on, off driver.Kind }{
	ofLeaf:     {driver.Opened, driver.Closed},
	ofTamper:   {driver.Tampered, driver.TamperOver},
	ofBattery:  {driver.BatteryLow, driver.BatteryGood},
	ofFire:     {driver.Fire, driver.FireOver},
	ofPresence: {driver.Online, driver.Offline},
}

// compare reports a state that differs from the one reported last. at is zero where
// nobody knows since when. The first state of a run is no event where it is the ordinary
// one, but for the leaf and the device, of which the gateway knows nothing before.
func (d *door) compare(of subject, at time.Time) {
	is, was := d.state[of], d.told[of]
	if is == was || is == unknown {
		return
	}
	if was == unknown && is == off && of != ofPresence && of != ofLeaf {
		d.told[of] = off
		return
	}
	kind := kinds[of].on
	if is == off {
		kind = kinds[of].off
	}
	if d.put(driver.Event{Kind: kind, At: at}) {
		d.told[of] = is
	}
}

// judge decides whether the device is there, by the topic that told last or by all.
func (d *door) judge(there bool, now time.Time) {
	if d.device.allUp {
		there = len(d.up) > 0
		for _, up := range d.up {
			there = there && up
		}
		if there && len(d.up) < d.device.reporters && !d.waited {
			return // another topic may say that it is not
		}
	}
	d.present(there, now)
}

// present takes whether the device is there. A door of which the broker keeps a topic to
// itself is not, and one whose topics are not granted yet waits for that.
func (d *door) present(there bool, now time.Time) {
	d.says = tritOf(there)
	switch {
	case there && d.heard == unknown:
		return
	case there && d.heard == off:
		there = false
	}
	d.state[ofPresence] = tritOf(there)
	d.compare(ofPresence, now)
	if there {
		d.compareAll()
		return
	}
	d.asked = false
	// Where the leaf is is told again when the device is back.
	d.state[ofLeaf], d.told[ofLeaf] = unknown, unknown
	if d.waiter != nil {
		d.waiter.tell(reply{id: d.waiter.id, failed: gone})
	}
}

// compareAll reports the states that differ from those reported last. Nobody knows since
// when.
func (d *door) compareAll() {
	d.spoke = time.Time{}
	for of := ofLeaf; of <= ofPresence; of++ {
		d.compare(of, time.Time{})
	}
}

// passed takes a movement of the leaf that the device tells with its instant.
func (d *door) passed(f fact, now time.Time) {
	if now.Sub(orNow(f.at, now)) < old {
		d.state[ofLeaf] = tritOf(f.on)
		d.compare(ofLeaf, orNow(f.at, now))
		return
	}
	kind := driver.Closed
	if f.on {
		kind = driver.Opened
	}
	d.put(driver.Event{Kind: kind, At: f.at, Source: f.source})
}

// ask forgets whether the device is there, because it is asked again.
func (d *door) ask() {
	d.state[ofPresence], d.heard, d.says, d.waited, d.asked = unknown, unknown, unknown, false, false
	clear(d.up)
}

// gone is the failure of an order whose device went away.
const gone = "gone"

// due does what time makes due at a door: a bolt that moved and that nobody explained, a
// device that speaks though it is said to be away, states that did not fit.
func (d *door) due(now time.Time) {
	if !d.moved.IsZero() && now.Sub(d.moved) >= settle {
		d.report(fact{on: d.state[ofBolt] == on}, d.moved)
	}
	if !d.spoke.IsZero() && now.Sub(d.spoke) >= settle {
		d.compareAll()
	}
	if d.stale && len(d.queue) == 0 {
		d.stale = false
		d.compareAll()
		if is := d.state[ofBolt]; is != d.told[ofBolt] && d.moved.IsZero() {
			d.report(fact{on: is == on}, now)
		}
	}
}

// put queues an event; false means that there is no room for it.
func (d *door) put(e driver.Event) bool {
	if d.id == "" && e.Kind != driver.Fire && e.Kind != driver.FireOver {
		return true // the whole gateway has nothing but a fire input
	}
	e.Door = d.id
	if e.Side == unlock.NoSide {
		e.Side = unlock.In
	}
	if len(d.queue) >= maxQueued {
		d.missed++
		d.stale = true
		return false
	}
	d.queue = append(d.queue, e)
	return true
}

// next takes the oldest event off the queue, then the count of those that did not fit.
func (d *door) next(now time.Time) (driver.Event, bool) {
	if len(d.queue) > 0 {
		e := d.queue[0]
		d.queue = d.queue[1:]
		if len(d.queue) == 0 {
			d.queue = nil
		}
		return e, true
	}
	if d.missed > 0 {
		e := driver.Event{Kind: driver.Missed, Door: d.id, At: now, Count: d.missed}
		d.missed = 0
		return e, true
	}
	return driver.Event{}, false
}
