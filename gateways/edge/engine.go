package edge

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/edge/door"
	"gatehouse/schemas/wire"
)

// DoorSettings are what is set for a door in the file of its gateway.
type DoorSettings = door.Settings

// DefaultHeld is how long a door may stay open where nothing else is set.
const DefaultHeld = door.DefaultHeld

const (
	// eventsWaiting bounds what drivers have reported and nobody has looked at yet.
	eventsWaiting = 1024
	// lateRead is the age at which a read opens nothing: nobody stands there any more.
	lateRead = 5 * time.Second
	// saveEvery is how often state is stored, at least: what a power cut may take from the
	// lease, and what has to be folded again at a start.
	saveEvery = 30 * time.Second
	// lookEvery is how often the engine looks what time has made due.
	lookEvery = 200 * time.Millisecond
	// enforcedEvery is how often a record tells the permissions by which this gateway decides.
	enforcedEvery = time.Second
)

// engine decides and drives the doors. It is one goroutine: what happens is decided in the
// order in which it is reported.
type engine struct {
	g       *Gateway
	decider decider
	local   *localState
	doors   map[wire.ID]*doorState
	ids     []wire.ID // of the doors, sorted

	events  chan driver.Event
	results chan result
	do      chan func() // for other goroutines

	orders   orders
	letsIn   map[uint64]bool // grants, by counter, that let others in once somebody passed
	enforced time.Time       // when that was last recorded
	told     string          // digest that was recorded
	saved    time.Time
	looked   time.Time
}

// doorState is a door as the engine sees it.
type doorState struct {
	*hand
	id      wire.ID
	door    Door
	machine *door.Machine
	first   *awaiting // somebody who has to show a second factor
	reply   map[uint64]func(error)
}

// result is what became of a command.
type result struct {
	door    *doorState
	command door.Command
	err     error
}

func newEngine(g *Gateway) (*engine, error) {
	e := &engine{g: g, doors: map[wire.ID]*doorState{}, events: make(chan driver.Event, eventsWaiting), results: make(chan result, MaxDoors),
		do: make(chan func()), letsIn: map[uint64]bool{}}
	var err error
	if e.local, err = readLocal(g.path("local.json")); err != nil {
		g.cfg.Log.Error("the local state is made from the records that are here", "error", err)
	}
	e.local.Folded = min(e.local.Folded, g.outbox.Last())
	if err := g.outbox.Each(e.local.Folded+1, func(a *wire.Activity) error {
		if err := e.local.fold(a); err != nil {
			g.cfg.Log.Error("a record is not folded into the local state", "error", err)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	g.outbox.Folded(e.local.Folded)
	e.decider = decider{gateway: g.cfg.ID, clock: g.clock, local: e.local, fire: map[wire.ID]bool{}}
	e.ids = slices.Sorted(maps.Keys(g.cfg.Doors))
	for _, id := range e.ids {
		var s door.State
		if body := e.local.Doors[id]; body != nil {
			if err := json.Unmarshal(body, &s); err != nil {
				g.cfg.Log.Error("the stored state of a door is not used", "door", id, "error", err)
			}
		}
		d := g.cfg.Doors[id]
		e.doors[id] = &doorState{hand: newHand(), id: id, door: d, machine: door.New(d.Settings, s), reply: map[uint64]func(error){}}
		e.doors[id].fireRelease.Store(s.Posture.FireRelease)
		e.decider.fire[id] = s.Fire
		e.decider.fire[""] = e.decider.fire[""] || s.FireAround
	}
	return e, nil
}

// takeOver takes a local state that was made of the service's records up to an end. The
// records here behind that are folded into it.
func (e *engine) takeOver(ctx context.Context, past *localState, end wire.RecordsEnd) error {
	var failed error
	stopped := e.exec(ctx, func() {
		past.Folded = max(past.Folded, end.K)
		failed = e.g.outbox.Each(end.K+1, past.fold)
		if failed == nil {
			past.Doors, past.Whole = e.local.Doors, true
			e.local, e.decider.local = past, past
			failed = e.save()
		}
	})
	return errors.Join(stopped, failed)
}

// run serves the doors until the context ends.
func (e *engine) run(ctx context.Context, orders <-chan *nats.Msg) error {
	var working sync.WaitGroup
	defer working.Wait()
	for _, id := range e.ids {
		working.Go(func() { _ = e.g.Guard("door", func() error { return e.work(ctx, e.doors[id]) }) })
	}
	e.safely(e.started)
	timer := time.NewTicker(lookEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev := <-e.events:
			e.safely(func() { e.happened(ev) })
		case msg := <-orders:
			e.safely(func() { e.order(msg) })
		case r := <-e.results:
			e.safely(func() { e.done(r) })
		case f := <-e.do:
			e.safely(f)
		case <-e.g.swapped:
			e.safely(e.postures)
			e.safely(e.tellEnforced)
		case <-timer.C:
			e.safely(e.look)
		}
	}
}

// safely does one thing. A panic in it opens no door, and ends nothing else.
func (e *engine) safely(f func()) {
	_, _ = e.g.try("engine", func() error { f(); return nil })
}

// exec runs a function in the engine's goroutine, and waits for it.
func (e *engine) exec(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case e.do <- func() { defer close(done); f() }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *engine) started() {
	now := e.g.clock.now()
	a := &wire.Activity{Type: wire.GatewayStarted, At: now.at}
	timed(a, now)
	e.append(a, false)
	e.postures()
}

// happened takes an event of a device.
func (e *engine) happened(ev driver.Event) {
	now := e.g.clock.now()
	if !ev.At.IsZero() {
		// Devices go by the wall clock of this machine, which may be wrong.
		ev.At = now.at.Add(ev.At.Sub(e.g.clock.machine.Wall()))
	}
	d := e.doors[ev.Door]
	switch {
	case ev.Door == "" && (ev.Kind == driver.Fire || ev.Kind == driver.FireOver):
		e.fireEverywhere(now, ev)
	case d == nil:
		e.g.cfg.Log.Warn("a driver reports an event of a door that this gateway does not have", "door", ev.Door, "kind", ev.Kind)
	case ev.Kind == driver.Read:
		e.read(d, now, ev)
	default:
		if ev.Kind == driver.Fire || ev.Kind == driver.FireOver {
			e.decider.fire[d.id] = ev.Kind == driver.Fire
		}
		if ev.Kind == driver.Online {
			e.g.codes.lost(d.id)
		}
		e.step(d, now, door.Happened(ev))
	}
}

// fireEverywhere takes an event of the fire input of the whole gateway.
func (e *engine) fireEverywhere(now reading, ev driver.Event) {
	on := ev.Kind == driver.Fire
	if e.decider.fire[""] == on {
		return
	}
	e.decider.fire[""] = on
	// The doors come first: nothing waits for a record here.
	for _, id := range e.ids {
		e.step(e.doors[id], now, door.Happened(ev))
	}
	a := &wire.Activity{Type: wire.FireCleared, At: now.at, HowKnown: wire.KnownSensor}
	if on {
		a.Type = wire.FireRaised
	}
	timed(a, now)
	e.append(a, false)
}

// step tells the machine of a door what happened, and does what follows.
func (e *engine) step(d *doorState, now reading, in door.Input) {
	for _, effect := range d.machine.Step(now.at, in) {
		if c := effect.Command; c != nil {
			e.command(d, *c)
		}
		if r := effect.Record; r != nil {
			e.observed(d, r, now)
		}
	}
	e.keepState(d)
}

// keepState notes the state of a door for the next save.
func (e *engine) keepState(d *doorState) {
	body, err := json.Marshal(d.machine.State())
	if err != nil {
		panic(err) // instants, numbers and words
	}
	e.local.Doors[d.id] = body
}

// done takes the result of a command.
func (e *engine) done(r result) {
	if r.err != nil {
		e.g.metrics.failedCommands.Inc()
		e.g.cfg.Log.Warn("a device did not do what it was told", "door", r.door.id, "action", r.command.Action, "error", r.err)
	}
	if reply := r.door.reply[r.command.Of]; reply != nil && r.command.Action == driver.Release {
		delete(r.door.reply, r.command.Of)
		reply(r.err)
	}
	e.step(r.door, e.g.clock.now(), door.Done{Command: r.command, Err: r.err})
}

// observed completes a record of a door machine and appends it.
func (e *engine) observed(d *doorState, a *wire.Activity, now reading) {
	a.Door = d.id
	timed(a, now)
	if slot := a.Slot; slot > 0 && e.named(a, d) {
		defer func() { e.helpAt(d, slot, a, now) }() // behind the record of the opening
	}
	switch a.Type {
	case wire.AccessTaken:
		a.Local = encodePassage(e.passed(d, a))
	case wire.AccessNotTaken:
		delete(e.letsIn, a.Of)
	}
	e.append(a, false)
	e.g.metrics.observed(a)
}

// passed is where somebody went who passed.
func (e *engine) passed(d *doorState, a *wire.Activity) passage {
	p := passage{Passed: true, LetsIn: e.letsIn[a.Of]}
	delete(e.letsIn, a.Of)
	if v := e.g.tables.view.Load(); v != nil {
		if row := doorOf(v.table, d.id); row != nil {
			p.To, p.From = wire.ID(row.AreaIn), wire.ID(row.AreaOut)
			if a.Side == unlock.Out.String() {
				p.To, p.From = p.From, p.To
			}
		}
	}
	return p
}

// append keeps a record. It reports whether it is kept.
func (e *engine) append(a *wire.Activity, strict bool) bool {
	if err := e.g.outbox.Append(a, strict); err != nil {
		e.g.status.unrecorded(err)
		e.g.metrics.unrecorded.Inc()
		e.g.cfg.Log.Error("a record cannot be kept", "type", a.Type, "door", a.Door, "error", err)
		return false
	}
	e.g.status.unrecorded(nil)
	if err := e.local.fold(a); err != nil {
		panic(err) // we wrote it
	}
	if e.g.cfg.Recorded != nil {
		e.g.cfg.Recorded(a)
	}
	return true
}
