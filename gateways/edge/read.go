package edge

import (
	"errors"
	"time"

	"gatehouse/domain/cardnumber"
	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/edge/door"
	"gatehouse/schemas/wire"
)

// secondTime is how long somebody may take to show a second factor.
const secondTime = 15 * time.Second

// awaiting is somebody who has to show a second factor: digits, another person.
type awaiting struct {
	answer answered
	method wire.Method
	event  driver.Event
	until  time.Time
}

// read takes a credential that somebody showed at a reader.
func (e *engine) read(d *doorState, now reading, ev driver.Event) {
	ask := unlock.Request{Side: sideOf(ev.Side), Fault: ev.Shown.Fault}
	second := unlock.Tag{}
	v := e.present()
	if ask.Fault == unlock.NoFault {
		ask, second = e.identify(v, ask, ev)
	}
	ask.Second = second
	if first := d.first; first != nil && first.answer.ask.Side == ask.Side {
		d.first = nil
		switch shown := ask.Tag; shown {
		case unlock.Tag{}: // it is no second factor: the first attempt is over
			e.decided(d, first.answer, first.method, first.event.Source)
		case first.answer.ask.Tag: // the same card once more
		default:
			ask, ev.Method = first.answer.ask, first.method
			ask.Second = shown
		}
	}
	a := e.decider.decide(question{view: v, older: e.older(), now: now, door: d.id, ask: ask})
	switch {
	case ev.Refused:
		e.refusedByDevice(d, a, ev)
	case !ev.At.IsZero() && now.at.Sub(ev.At) > lateRead:
		e.tooLate(d, a, ev)
	case a.lacksSecond():
		d.first = &awaiting{a, ev.Method, ev, now.at.Add(secondTime)}
	default:
		e.decided(d, a, ev.Method, ev.Source)
	}
}

func sideOf(s unlock.Side) unlock.Side {
	if s == unlock.Out {
		return s
	}
	return unlock.In
}

// present is the table to decide by. Without one every door is unknown.
func (e *engine) present() *view {
	if v := e.g.tables.view.Load(); v != nil {
		return v
	}
	return nothing
}

// nothing is the view of a gateway that has no table.
var nothing = &view{table: new(unlock.Table)}

// older is the table to decide by as well, while a later epoch is not accepted.
func (e *engine) older() *view { return e.g.offered.Load() }

// identify makes the tags of what was shown.
func (e *engine) identify(v *view, ask unlock.Request, ev driver.Event) (_ unlock.Request, second unlock.Tag) {
	shown := ev.Shown
	if shown.Credential != "" {
		ask.Credential = unlock.IDOf(string(shown.Credential))
		return ask, second
	}
	version := v.table.TagKey()
	kind, number, format := wire.TagCard, shown.Number, shown.Format
	if ev.Method == wire.MethodPin {
		kind, format, ask.Kind = wire.TagPin, wire.TagPin, unlock.Pin
	} else {
		var err error
		if number, err = cardnumber.Canonical(format, shown.Number); err != nil {
			ask.Fault = unlock.WrongCardFormat
			return ask, second
		}
	}
	var ok bool
	if ask.Tag, ok = e.g.tags.tag(version, kind, format, number); !ok {
		e.g.status.noKey(true)
	} else {
		e.g.status.noKey(false)
	}
	if shown.Pin != "" {
		second, _ = e.g.tags.tag(version, wire.TagPin, wire.TagPin, shown.Pin)
	}
	return ask, second
}

// secondInTime refuses somebody who has not shown a second factor in time.
func (e *engine) secondInTime(d *doorState, now reading) {
	if d.first != nil && !now.at.Before(d.first.until) {
		first := d.first
		d.first = nil
		e.decided(d, first.answer, first.method, first.event.Source)
	}
}

// decided records a decision and lets somebody in, or shows that it does not.
func (e *engine) decided(d *doorState, a answered, method wire.Method, source string) {
	e.keypad(d, &a)
	a.used.Counted = a.counted()
	r := a.record(method)
	r.Source = source
	kept := e.append(r, e.g.cfg.Policy.Strict || a.used.Counted)
	e.g.metrics.decided(a)
	if a.Allowed && !kept && a.ask.Side != unlock.Out && a.Code != unlock.AllowFire && !e.g.cfg.Policy.OpenUnrecorded {
		a.Allowed = false // nobody enters unseen
	}
	if a.Allowed {
		if a.letsIn() {
			e.letsIn[r.K] = true
		}
		e.step(d, a.now, door.Granted{Of: max(r.K, 1), Side: a.ask.Side, Method: r.Method, Person: r.Person, Credential: r.Credential})
	} else {
		e.command(d, door.Command{Command: driver.Command{Action: driver.Refuse, Side: a.ask.Side}})
	}
	if help := a.duress(r.K); help != nil {
		e.append(help, e.g.cfg.Policy.Strict)
	}
}

// keypad counts a wrong code, and records a lock-out when it begins.
func (e *engine) keypad(d *doorState, a *answered) {
	before := a.used.Keypad
	after := before.After(a.ask, a.Answer)
	if after == before {
		return
	}
	a.used.KeypadAfter = &after
	if after.LockedOut(a.ask.At) && !before.LockedOut(a.ask.At) {
		r := &wire.Activity{Type: wire.KeypadLockedOut, At: a.now.at, Door: d.id, Side: a.ask.Side.String(),
			Local: encodePassage(passage{Local: unlock.Local{Keypad: after}})}
		timed(r, a.now)
		e.append(r, false)
	}
}

// refusedByDevice records that a device refused somebody by itself.
func (e *engine) refusedByDevice(d *doorState, a answered, ev driver.Event) {
	r := a.record(ev.Method)
	r.Type, r.Code, r.Failed, r.HowKnown, r.Slot, r.Source = wire.AccessDenied, "", nil, wire.KnownClaimed, ev.Slot, ev.Source
	r.Local = nil
	if !ev.At.IsZero() {
		r.At = ev.At
	}
	e.append(r, false)
}

// tooLate records a read that is too old to open anything.
func (e *engine) tooLate(d *doorState, a answered, ev driver.Event) {
	r := a.record(ev.Method)
	r.Type, r.At, r.Source, r.Local = wire.AccessDenied, ev.At, ev.Source, encodePassage(passage{Doubts: "the device reported it late"})
	r.Code = denyTooLate
	e.append(r, false)
}

// denyTooLate is the code of what comes too late to open anything.
const denyTooLate = "deny_too_late"

// confirmed turns the result of a release into the outcome of an order; false: nobody
// knows.
func confirmed(err error) (wire.Outcome, wire.RefusalCode, bool) {
	switch {
	case err == nil:
		return wire.Executed, "", true
	case errors.Is(err, driver.ErrOffline), errors.Is(err, driver.ErrUnsupported):
		return wire.Refused, "deny_device_offline", true
	}
	return "", "", false
}
