package mqtt

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// plan is what the settings say of a door: a profile, parts, or both. The README has an
// example of each.
type plan struct {
	Profile string `json:"profile,omitempty"` // of profiles; empty: parts alone
	Topic   string `json:"topic,omitempty"`   // of the profile's device
	// Relay names the relay of the device: its number for Tasmota, its object id for
	// ESPHome.
	Relay string `json:"relay,omitempty"`
	// Component is of ESPHome: switch or lock; empty means switch.
	Component string `json:"component,omitempty"`
	// Contact is the switch of a Tasmota device that is on while the leaf is open; 0: none.
	Contact uint32 `json:"contact,omitempty"`
	// Release is what opens a Nuki lock: unlatch, unlock, lock_n_go or lock_n_go_unlatch;
	// empty means unlatch.
	Release string `json:"release,omitempty"`
	// Relock is who locks after a release: gateway or device; empty means as is usual for
	// the profile.
	Relock     string `json:"relock,omitempty"`
	Optimistic bool   `json:"optimistic,omitempty"` // the device shows what it was told, not what it did
	Invert     bool   `json:"invert,omitempty"`     // a relay that is off unlocks, as for a magnet
	Slots      uint32 `json:"slots,omitempty"`      // for codes in the device
	// Availability is false for a device that does not publish whether it is there.
	Availability *bool `json:"availability,omitempty"`

	Lock    *lockPart    `json:"lock,omitempty"`
	Leaf    *part        `json:"leaf,omitempty"`
	Exit    *part        `json:"exit,omitempty"`
	Tamper  *part        `json:"tamper,omitempty"`
	Battery *part        `json:"battery,omitempty"`
	Fire    *part        `json:"fire,omitempty"`
	Readers []readerPart `json:"readers,omitempty"`
	Refuse  *sent        `json:"refuse,omitempty"` // what shows at the reader that somebody may not pass
}

// part is a state or a signal: of a discovered device, or of a topic.
type part struct {
	ID    string `json:"id,omitempty"` // by which the device describes itself
	Topic string `json:"topic,omitempty"`
	Field string `json:"field,omitempty"` // of a message in JSON, as in Switch1.Action; empty: the whole message
	On    string `json:"on,omitempty"`    // the text for open, pressed, low, …; empty: ON
	Off   string `json:"off,omitempty"`   // empty: OFF
}

// lockPart is a lock or a relay.
type lockPart struct {
	ID           string `json:"id,omitempty"`
	Topic        string `json:"topic,omitempty"`   // to which orders are sent
	Unlock       string `json:"unlock,omitempty"`  // empty: ON
	Lock         string `json:"lock,omitempty"`    // empty: OFF
	Release      string `json:"release,omitempty"` // opens and locks again by itself; empty: the driver locks again
	State        *part  `json:"state,omitempty"`   // on: unlocked; none: it does not tell
	Availability *part  `json:"availability,omitempty"`
}

// readerPart is a reader of credentials.
type readerPart struct {
	ID     string      `json:"id,omitempty"`
	Topic  string      `json:"topic,omitempty"`
	Field  string      `json:"field,omitempty"`
	Format string      `json:"format,omitempty"` // of the number
	Method wire.Method `json:"method,omitempty"` // fob, card or pin; empty: card
	Side   string      `json:"side,omitempty"`   // in or out; empty: in
}

// sent is a message to a device.
type sent struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"`
}

// profiles are the kinds of device that need no discovery.
var profiles = map[string]struct {
	check func(*plan) error
	build func(*plan) *device
}{
	"gatehouse":   {check: noRelay, build: ownDevice},
	"zigbee2mqtt": {check: noRelay, build: zigbeeDevice},
	"nuki":        {check: nukiCheck, build: nukiDevice},
	"tasmota":     {check: tasmotaCheck, build: tasmotaDevice},
	"esphome":     {check: esphomeCheck, build: esphomeDevice},
}

// maxSlots is the most slots of a device. Yale has 250, Nuki 200.
const maxSlots = 1000

func readPlan(raw json.RawMessage) (*plan, error) {
	var p plan
	if len(raw) == 0 {
		return nil, errors.New("the settings are empty; name a profile and a topic, or a lock")
	}
	if err := decode(raw, &p); err != nil {
		return nil, err
	}
	return &p, p.check()
}

func (p *plan) check() error {
	if p.Profile == "" {
		if p.Lock == nil {
			return errors.New("lock is missing: name a profile, or the lock by id or topic")
		}
		if p.Topic != "" || p.Relay != "" || p.Component != "" || p.Release != "" || p.Slots != 0 || p.Contact != 0 {
			return errors.New("topic, relay, component, release, slots and contact need a profile")
		}
	} else {
		known, ok := profiles[p.Profile]
		if !ok {
			return fmt.Errorf("there is no profile %.40q; one of %s", p.Profile, strings.Join(slices.Sorted(maps.Keys(profiles)), ", "))
		}
		if err := checkTopic(p.Topic); err != nil {
			return fmt.Errorf("topic: %w", err)
		}
		if err := known.check(p); err != nil {
			return err
		}
	}
	if p.Relock != "" && p.Relock != "gateway" && p.Relock != "device" {
		return fmt.Errorf("relock is %.20q; it is gateway or device", p.Relock)
	}
	if p.Slots > maxSlots {
		return fmt.Errorf("slots is %d, the most is %d", p.Slots, maxSlots)
	}
	return p.checkParts()
}

func (p *plan) checkParts() error {
	for name, part := range map[string]*part{"leaf": p.Leaf, "exit": p.Exit, "tamper": p.Tamper, "battery": p.Battery, "fire": p.Fire} {
		if err := part.check(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := p.Lock.check(); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if len(p.Readers) > 8 {
		return fmt.Errorf("there are %d readers, the most is 8", len(p.Readers))
	}
	for i := range p.Readers {
		if err := p.Readers[i].check(); err != nil {
			return fmt.Errorf("readers: number %d: %w", i+1, err)
		}
	}
	if p.Refuse != nil {
		if err := checkTopic(p.Refuse.Topic); err != nil {
			return fmt.Errorf("refuse: %w", err)
		}
	}
	return nil
}

// checkSource checks that exactly one of a discovered id and a topic is named.
func checkSource(id, topic string) error {
	switch {
	case id == "" && topic == "":
		return errors.New("name an id or a topic")
	case id != "" && topic != "":
		return fmt.Errorf("id %.64q and topic are both named; name one", id)
	case id != "":
		if len(id) > maxTopic {
			return fmt.Errorf("id has %d bytes, the most is %d", len(id), maxTopic)
		}
		return nil
	}
	return checkTopic(topic)
}

func (p *part) check() error {
	if p == nil {
		return nil
	}
	return checkSource(p.ID, p.Topic)
}

func (p *lockPart) check() error {
	if p == nil {
		return nil
	}
	if err := checkSource(p.ID, p.Topic); err != nil {
		return err
	}
	if p.ID != "" && (p.State != nil || p.Availability != nil) {
		return errors.New("state and availability come from the device's description; leave them out beside an id")
	}
	for name, topic := range map[string]*part{"state": p.State, "availability": p.Availability} {
		if topic == nil {
			continue
		}
		if err := checkTopic(topic.Topic); err != nil || topic.ID != "" {
			return fmt.Errorf("%s: name a topic, and no id: %w", name, err)
		}
	}
	return nil
}

func (r *readerPart) check() error {
	if err := checkSource(r.ID, r.Topic); err != nil {
		return err
	}
	switch r.Method {
	case "", wire.MethodFob, wire.MethodCard, wire.MethodPin:
	default:
		return fmt.Errorf("method is %.20q; it is fob, card or pin", r.Method)
	}
	if _, ok := sides[r.Side]; !ok {
		return fmt.Errorf("side is %.20q; it is in or out", r.Side)
	}
	return nil
}

// sides are the names of the sides of a door.
var sides = map[string]unlock.Side{"": unlock.In, "in": unlock.In, "out": unlock.Out}

// noRelay refuses fields that a profile does not know.
func noRelay(p *plan) error {
	if p.Relay != "" || p.Component != "" || p.Release != "" || p.Invert || p.Contact != 0 {
		return fmt.Errorf("relay, component, release, invert and contact are not of the profile %s", p.Profile)
	}
	return nil
}

// device makes the device of the door, with the parts that were discovered; nil while one
// of them has not described itself.
func (p *plan) device(found *catalogue) *device {
	d := &device{}
	if p.Profile != "" {
		d = profiles[p.Profile].build(p)
	}
	if p.Lock != nil && !p.addLock(d, found) {
		return nil
	}
	for _, s := range []struct {
		part *part
		of   subject
	}{{p.Leaf, ofLeaf}, {p.Tamper, ofTamper}, {p.Battery, ofBattery}, {p.Fire, ofFire}, {p.Exit, ofExit}} {
		if s.part != nil && !addPart(d, *s.part, s.of, found) {
			return nil
		}
	}
	for _, r := range p.Readers {
		if !addReader(d, r, found) {
			return nil
		}
	}
	if p.Optimistic {
		d.confirm, d.known = byNothing, wire.KnownAssumed
	}
	if p.Relock != "" {
		d.relocks = p.Relock == "device"
	}
	if p.Refuse != nil {
		d.refuses(*p.Refuse)
	}
	return d
}

// refuses adds the message that shows a refusal at the reader.
func (d *device) refuses(s sent) {
	next := d.order
	d.shows = false
	d.order = func(id string, c driver.Command) ([]order, error) {
		switch {
		case c.Action == driver.Refuse:
			return []order{{s.Topic, s.Payload}}, nil
		case next == nil:
			return nil, driver.ErrUnsupported
		}
		return next(id, c)
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func addPart(d *device, p part, of subject, found *catalogue) bool {
	if p.ID != "" {
		e := found.byID(p.ID, partKinds)
		if e == nil {
			return false
		}
		p.Topic, p.Field = e.state, e.field
		p.On, p.Off = orElse(p.On, e.on), orElse(p.Off, e.off)
	}
	read := choice(of, p.Field, orElse(p.On, "ON"), orElse(p.Off, "OFF"))
	if of == ofExit {
		read = onlyOn(read)
	}
	d.on(p.Topic, read)
	return true
}

// onlyOn leaves out that a button was let go.
func onlyOn(f feed) feed {
	return func(m message) ([]fact, error) {
		facts, err := f(m)
		return slices.DeleteFunc(facts, func(f fact) bool { return !f.on }), err
	}
}

func (p *plan) addLock(d *device, found *catalogue) bool {
	l := *p.Lock
	open := ""
	if l.ID != "" {
		e := found.byID(l.ID, lockKinds)
		if e == nil {
			return false
		}
		if !e.lockPart(&l) {
			return false
		}
		open = e.open
		for _, a := range e.available {
			d.available(a.topic, a.field, a.up, a.down)
		}
		d.allUp = e.allUp
		if e.assumed {
			d.known = wire.KnownAssumed
		}
	}
	if a := l.Availability; a != nil {
		d.available(a.Topic, a.Field, orElse(a.On, "online"), orElse(a.Off, "offline"))
	}
	unlockText, lockText := orElse(l.Unlock, "ON"), orElse(l.Lock, "OFF")
	if p.Invert {
		unlockText, lockText = lockText, unlockText
	}
	release := orElse(l.Release, orElse(open, unlockText))
	d.relocks = l.Release != ""
	if s := l.State; s != nil {
		onText, offText := orElse(s.On, "ON"), orElse(s.Off, "OFF")
		if p.Invert {
			onText, offText = offText, onText
		}
		d.on(s.Topic, choice(ofBolt, s.Field, onText, offText))
		if d.known != wire.KnownAssumed {
			d.confirm = byState
		}
	}
	d.order = switched(l.Topic, map[driver.Action]string{driver.Release: release, driver.Unlock: unlockText, driver.Lock: lockText})
	return true
}

// switched sends one text for each action.
func switched(topic string, texts map[driver.Action]string) func(string, driver.Command) ([]order, error) {
	return func(_ string, c driver.Command) ([]order, error) {
		text, ok := texts[c.Action]
		if !ok {
			return nil, driver.ErrUnsupported
		}
		return []order{{topic, text}}, nil
	}
}

// names reports whether a door names one of the ids.
func (p *plan) names(ids map[string]bool) bool {
	for _, part := range []*part{p.Leaf, p.Exit, p.Tamper, p.Battery, p.Fire} {
		if part != nil && ids[part.ID] {
			return true
		}
	}
	return p.Lock != nil && ids[p.Lock.ID] || slices.ContainsFunc(p.Readers, func(r readerPart) bool { return ids[r.ID] })
}
