package simulated

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/domain/cardnumber"
	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// Act is one thing that is played. At most one of Show, Type, MobileKey, Code and Do is
// set; none only asks for the state.
type Act struct {
	Door wire.ID `json:"door"`           // empty: of the fire input of the whole gateway
	Side string  `json:"side,omitempty"` // of the reader: in, which is also the default, or out

	Show      string  `json:"show,omitempty"`       // a card with this number
	Format    string  `json:"format,omitempty"`     // of the number; default: raw
	Faulty    bool    `json:"faulty,omitempty"`     // the reader cannot read the card
	Pin       string  `json:"pin,omitempty"`        // digits that are typed beside the card
	Type      string  `json:"type,omitempty"`       // a PIN alone; a device with slots decides on it by itself
	MobileKey wire.ID `json:"mobile_key,omitempty"` // a mobile key, by the id of its credential
	Code      uint32  `json:"code,omitempty"`       // the code in this slot, which the device takes by itself
	Do        string  `json:"do,omitempty"`         // one of Doings
	Count     uint64  `json:"count,omitempty"`      // of the doing miss: how many events are lost

	Ago   string `json:"ago,omitempty"`   // so long ago, as 2h: the device tells of it now
	Await string `json:"await,omitempty"` // wait so long for the next command, as 2s; at most a minute
}

// Answer is what follows an act.
type Answer struct {
	Command string `json:"command,omitempty"` // that came after the act: release, unlock, lock or refuse
	Opened  bool   `json:"opened,omitempty"`  // of pull: the door was not locked
	Bolt    string `json:"bolt,omitempty"`    // locked, released or unlocked
	Leaf    string `json:"leaf,omitempty"`    // open or closed
	Lost    bool   `json:"lost,omitempty"`
	Told    uint64 `json:"told,omitempty"` // how many commands the device was told
}

// maxAwait bounds how long an act waits.
const maxAwait = time.Minute

// actions names the commands.
var actions = map[driver.Action]string{driver.Release: "release", driver.Unlock: "unlock", driver.Lock: "lock", driver.Refuse: "refuse"}

// doings are what is done without a credential.
var doings = map[string]func(*device, time.Time, Act){
	"open":  func(v *device, at time.Time, _ Act) { v.move(true, at) }, // by force, if it has to be
	"close": func(v *device, at time.Time, _ Act) { v.move(false, at) },
	"exit": func(v *device, at time.Time, _ Act) {
		v.emit(driver.Event{Kind: driver.ExitRequested, Side: unlock.Out, At: at})
	},
	"key_unlock":   func(v *device, at time.Time, _ Act) { v.turn(true, wire.MethodKey, at) },
	"key_lock":     func(v *device, at time.Time, _ Act) { v.turn(false, wire.MethodKey, at) },
	"self_unlock":  func(v *device, at time.Time, _ Act) { v.turn(true, "", at) },
	"self_lock":    func(v *device, at time.Time, _ Act) { v.turn(false, "", at) },
	"fire":         func(v *device, at time.Time, _ Act) { v.input(&v.fire, true, driver.Fire, at) },
	"fire_over":    func(v *device, at time.Time, _ Act) { v.input(&v.fire, false, driver.FireOver, at) },
	"tamper":       func(v *device, at time.Time, _ Act) { v.input(&v.tampered, true, driver.Tampered, at) },
	"tamper_over":  func(v *device, at time.Time, _ Act) { v.input(&v.tampered, false, driver.TamperOver, at) },
	"battery_low":  func(v *device, at time.Time, _ Act) { v.input(&v.low, true, driver.BatteryLow, at) },
	"battery_good": func(v *device, at time.Time, _ Act) { v.input(&v.low, false, driver.BatteryGood, at) },
	"lose":         func(v *device, _ time.Time, _ Act) { v.lost = true },
	"find":         func(v *device, _ time.Time, _ Act) { v.lost = false },
	"slow":         func(v *device, _ time.Time, _ Act) { v.slow = true },
	"quick":        func(v *device, at time.Time, _ Act) { v.slow = false; v.work(at) },
	"restart":      func(v *device, _ time.Time, _ Act) { v.restart() },
	"repeat":       func(v *device, _ time.Time, _ Act) { v.keep(v.last) },
	"miss":         func(v *device, _ time.Time, a Act) { v.serial += a.Count; v.lostEvents += a.Count },
	"pull":         nil, // the handle: opens the leaf if the door is not locked
}

// Doings lists what Act.Do may be, sorted.
func Doings() []string { return slices.Sorted(maps.Keys(doings)) }

// turn moves the bolt by something else than a command.
func (v *device) turn(open bool, method wire.Method, at time.Time) {
	v.unlocked, v.locksItself, v.releasedUntil = open, false, time.Time{}
	v.emit(driver.Event{Kind: onOff(open, driver.Unlocked, driver.Locked), Method: method, At: at})
}

// input turns an input on or off; told again, it says nothing.
func (v *device) input(is *bool, on bool, kind driver.Kind, at time.Time) {
	if *is != on {
		*is = on
		v.emit(driver.Event{Kind: kind, At: at})
	}
}

// Play does something at a device, and tells what followed. It waits while the gateway has
// not taken the events of before.
func (d *Driver) Play(ctx context.Context, a Act) (Answer, error) {
	p, err := d.plan(a)
	if err != nil {
		return Answer{}, err
	}
	err = d.wait(ctx, func() bool {
		if d.running && !p.dev.lost && len(p.dev.kept) >= ring/2 {
			return false
		}
		p.before = p.dev.commands()
		d.act(p)
		d.notify()
		return true
	})
	if err != nil {
		return Answer{}, err
	}
	if p.await > 0 {
		ctx, cancel := context.WithTimeout(ctx, p.await)
		defer cancel()
		_ = d.wait(ctx, func() bool { return p.dev.commands() > p.before }) // without one the answer has none
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.answer(p), nil
}

// plan is an act that can be carried out.
type plan struct {
	Act
	dev    *device
	side   unlock.Side
	at     time.Time
	await  time.Duration
	before uint64 // commands before the act
	opened bool
}

// plan checks an act.
func (d *Driver) plan(a Act) (*plan, error) {
	p := &plan{Act: a, dev: d.devices[a.Door], side: unlock.In, at: d.now()}
	switch {
	case a.Door == "" && (a.Do == "fire" || a.Do == "fire_over"):
		p.dev = d.house
	case p.dev == nil:
		return nil, d.unknown(a.Door)
	}
	set := 0
	for _, is := range []bool{a.Show != "" || a.Faulty, a.Type != "", a.MobileKey != "", a.Code != 0, a.Do != ""} {
		if is {
			set++
		}
	}
	if set > 1 {
		return nil, fmt.Errorf("simulated: an act is one of show, type, mobile_key, code and do, not %d of them", set)
	}
	if _, known := doings[a.Do]; a.Do != "" && !known {
		return nil, fmt.Errorf("simulated: nobody can do %q; do is one of %s", a.Do, strings.Join(Doings(), ", "))
	}
	if err := cardnumber.CheckFormat(a.Format); err != nil {
		return nil, fmt.Errorf("simulated: %w", err)
	}
	if a.Side != "" {
		if err := p.side.UnmarshalText([]byte(a.Side)); err != nil || p.side == unlock.NoSide {
			return nil, fmt.Errorf("simulated: side is in or out, not %q", a.Side)
		}
	}
	ago, err := duration("ago", a.Ago, 100*365*24*time.Hour)
	if err != nil {
		return nil, err
	}
	p.at = p.at.Add(-ago)
	p.await, err = duration("await", a.Await, maxAwait)
	return p, err
}

func duration(field, text string, most time.Duration) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.ParseDuration(text)
	if err != nil || t < 0 || t > most {
		return 0, fmt.Errorf("simulated: %s is a duration of at most %s such as 2s, not %q", field, most, text)
	}
	return t, nil
}

// act does it. The caller holds mu.
func (d *Driver) act(p *plan) {
	read := driver.Event{Kind: driver.Read, Side: p.side, At: p.at}
	switch {
	case p.Faulty:
		read.Method, read.Shown = wire.MethodCard, driver.Shown{Fault: unlock.WrongCardFormat}
		p.dev.emit(read)
	case p.Show != "":
		read.Method, read.Shown = wire.MethodCard, driver.Shown{Format: p.Format, Number: p.Show, Pin: p.Pin}
		p.dev.emit(read)
	case p.MobileKey != "":
		read.Method, read.Shown = wire.MethodMobileKey, driver.Shown{Credential: p.MobileKey}
		p.dev.emit(read)
	case p.Type != "":
		read.Method = wire.MethodPin
		p.dev.typed(read, p.Type)
	case p.Code != 0:
		p.dev.taken(p.Code, p.at)
	case p.Do == "pull":
		if p.opened = p.dev.bolt(d.now()) != "locked" && !p.dev.leafOpen; p.opened {
			p.dev.move(true, p.at)
		}
	case p.Do != "":
		doings[p.Do](p.dev, p.at, p.Act)
	}
}

// typed takes a PIN: the gateway decides, or the device if it holds codes.
func (v *device) typed(read driver.Event, pin string) {
	for _, slot := range slices.Sorted(maps.Keys(v.codes)) {
		if v.codes[slot] == pin {
			v.taken(slot, read.At)
			return
		}
	}
	read.Shown, read.Refused = driver.Shown{Number: pin}, v.set.Slots > 0
	v.emit(read)
}

// taken opens by the code in a slot, until the leaf is closed again.
func (v *device) taken(slot uint32, at time.Time) {
	v.unlocked, v.locksItself = true, true
	v.emit(driver.Event{Kind: driver.Unlocked, Method: wire.MethodPin, Slot: slot, HowKnown: wire.KnownClaimed, At: at})
}

// answer tells how the device is now. The caller holds mu.
func (d *Driver) answer(p *plan) Answer {
	v := p.dev
	a := Answer{Opened: p.opened, Bolt: v.bolt(d.now()), Leaf: "closed", Lost: v.lost, Told: v.commands()}
	if v.leafOpen {
		a.Leaf = "open"
	}
	if n := v.commands(); n > p.before && p.await > 0 && p.before >= v.forgotten {
		a.Command = actions[v.told[p.before-v.forgotten].Action]
	}
	return a
}

// Told lists the last commands that a device was told, at most 1,000, oldest first.
func (d *Driver) Told(door wire.ID) []driver.Command {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dev := d.devices[door]; dev != nil {
		return slices.Clone(dev.told)
	}
	return nil
}
