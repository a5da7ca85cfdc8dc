package edge

import (
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/edge/door"
	"gatehouse/schemas/wire"
)

// # Orders
//
// An order is carried out once. It is remembered until it is over, and answered again as
// before when it comes again.

const (
	ordersWaiting = 64  // that came and nobody has looked at yet
	ordersKept    = 256 // that are remembered; an order is valid for seconds
)

// orders are those that came.
type orders struct {
	met  map[wire.ID]*met
	line []wire.ID // oldest first
}

// met is an order that came, with its answer once there is one.
type met struct {
	answer []byte
}

// listen receives orders.
func (g *Gateway) listen(nc *nats.Conn) (<-chan *nats.Msg, error) {
	msgs := make(chan *nats.Msg, ordersWaiting)
	if _, err := nc.ChanSubscribe(wire.OrderSubject(g.cfg.Org, g.cfg.ID), msgs); err != nil {
		return nil, fmt.Errorf("edge: listen for orders: %w", err)
	}
	return msgs, nil
}

// order carries out an order.
func (e *engine) order(msg *nats.Msg) {
	var o wire.Order
	if err := wire.OrderBounds.Decode(msg.Data, &o); err != nil || o.Org != e.g.cfg.Org || o.ID == "" {
		e.g.cfg.Log.Warn("an order cannot be read", "error", err, "bytes", len(msg.Data))
		return
	}
	if o.Type != wire.OrderRemoteUnlock {
		e.g.cfg.Log.Warn("an order of a type that this version does not know is not carried out; update the gateway", "type", o.Type)
		return
	}
	if m := e.orders.met[o.ID]; m != nil {
		if m.answer != nil {
			_ = msg.Respond(m.answer)
		}
		return
	}
	m := e.orders.remember(o.ID)
	answer := func(outcome wire.Outcome, code wire.RefusalCode) {
		body, err := json.Marshal(wire.OrderAnswer{ID: o.ID, Outcome: outcome, Code: code})
		if err != nil {
			panic(err) // words
		}
		m.answer = body
		if err := msg.Respond(body); err != nil {
			e.g.cfg.Log.Warn("an order is not answered", "order", o.ID, "error", err)
		}
	}
	if code := e.unlockRemotely(&o, answer); code != "" {
		answer(wire.Refused, code)
	}
}

func (o *orders) remember(id wire.ID) *met {
	if o.met == nil {
		o.met = map[wire.ID]*met{}
	}
	if len(o.line) >= ordersKept {
		delete(o.met, o.line[0])
		o.line = o.line[1:]
	}
	m := new(met)
	o.met[id], o.line = m, append(o.line, id)
	return m
}

// unlockRemotely opens a door for a remote unlock. It returns why it does not; else answer
// is called once the device has.
func (e *engine) unlockRemotely(o *wire.Order, answer func(wire.Outcome, wire.RefusalCode)) wire.RefusalCode {
	now := e.g.clock.now()
	if now.source != wire.ClockService || !now.at.Before(o.ValidUntil) {
		return denyTooLate
	}
	d := e.doors[o.Door]
	if d == nil {
		return wire.RefusalCode(unlock.DenyUnknownAccessPoint.String())
	}
	ask := unlock.Request{Side: unlock.In, Command: unlock.CommandRemoteUnlock}
	if o.Grant != "" {
		ask.Person = unlock.IDOf(string(o.Person))
	}
	view := e.present()
	a := e.decider.decide(question{view: view, older: e.older(), now: now, door: o.Door, ask: ask})
	if o.Grant == "" {
		if a = e.decider.byRole(a); a.Allowed {
			a.view = view // the other one is not in force
		}
	}
	r := a.record(wire.MethodRemote)
	r.Order, r.Person, r.Credential, r.Method = o.ID, o.Person, "", wire.MethodRemote
	kept := e.append(r, e.g.cfg.Policy.Strict)
	e.g.metrics.decided(a)
	switch {
	case !a.Allowed:
		return wire.RefusalCode(a.Code.String())
	case !kept && !e.g.cfg.Policy.OpenUnrecorded:
		return "deny_unrecorded"
	}
	released, refused := false, false
	d.reply[r.K] = func(err error) {
		if outcome, code, known := confirmed(err); known {
			answer(outcome, code)
		}
	}
	for _, effect := range d.machine.Step(now.at, door.Granted{Of: max(r.K, 1), Side: unlock.In, Method: wire.MethodRemote, Person: o.Person}) {
		if c := effect.Command; c != nil {
			released = true
			e.command(d, *c)
		}
		if effect.Record != nil {
			refused = refused || effect.Record.Type == wire.AccessNotTaken && effect.Record.Of == r.K
			e.observed(d, effect.Record, now)
		}
	}
	e.keepState(d)
	if released {
		return ""
	}
	delete(d.reply, r.K)
	if refused { // a lockdown of which the machine was told
		return wire.RefusalCode(unlock.DenyLockdown.String())
	}
	answer(wire.Executed, "") // it is open to anybody already
	return ""
}
