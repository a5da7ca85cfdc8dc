package edge

import (
	"errors"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/edge/door"
	"gatehouse/schemas/wire"
)

// look does what time has made due.
func (e *engine) look() {
	now := e.g.clock.now()
	for _, id := range e.ids {
		d := e.doors[id]
		if due := d.machine.Due(); !due.IsZero() && !now.at.Before(due) {
			e.step(d, now, door.Tick{})
		}
		e.secondInTime(d, now)
	}
	if now.at.Sub(e.looked).Abs() >= time.Second {
		e.looked = now.at
		e.postures()
		e.releaseKeypads(now)
		e.g.status.look(e, now)
	}
	e.tellEnforced()
	if now.at.Sub(e.saved).Abs() >= saveEvery {
		e.recoverOutbox()
		if err := e.save(); err != nil {
			e.g.cfg.Log.Error("state cannot be stored", "error", err)
		}
		e.saved = now.at
	}
}

// recoverOutbox opens an outbox again that failed, once there is room.
func (e *engine) recoverOutbox() {
	if !e.g.status.has(faultRecords) {
		return
	}
	if err := e.g.outbox.Recover(); err != nil {
		e.g.cfg.Log.Error("records cannot be kept", "error", err)
		return
	}
	e.local.Folded = e.g.outbox.Last() // what is there was folded when it was made
	e.g.status.unrecorded(nil)
}

// save stores the local state and that of clock and table.
func (e *engine) save() error {
	if v := e.g.tables.view.Load(); v != nil {
		e.local.settle(v.table)
	}
	err := e.local.write(e.g.path("local.json"))
	if err == nil {
		e.g.outbox.Folded(e.local.Folded)
	}
	return errors.Join(err, e.g.store())
}

// postures tells every door what the table says of it, now.
func (e *engine) postures() {
	now := e.g.clock.now()
	v := e.g.tables.view.Load()
	for _, id := range e.ids {
		d := e.doors[id]
		p := d.machine.State().Posture
		next := door.Posture{FireRelease: p.FireRelease}
		if v != nil {
			next = e.postureOf(v, d, now)
		}
		d.fireRelease.Store(next.FireRelease)
		if next != p {
			e.step(d, now, next)
		}
	}
}

// postureOf asks the table what a stranger is answered at the door: that is its posture.
func (e *engine) postureOf(v *view, d *doorState, now reading) door.Posture {
	a := e.decider.decide(question{view: v, older: e.g.offered.Load(), now: now, door: d.id, ask: unlock.Request{Side: unlock.In}, noFire: true})
	row := doorOf(v.table, d.id)
	return door.Posture{
		Open:        a.Code == unlock.AllowPostureUnlocked,
		Lockdown:    a.Failed.Has(unlock.DenyLockdown),
		FireRelease: row != nil && row.FireRelease,
	}
}

// tellEnforced records by which permissions this gateway decides, once they changed.
func (e *engine) tellEnforced() {
	v := e.g.tables.view.Load()
	now := e.g.clock.now()
	if v == nil || v.digest == e.told || now.at.Sub(e.enforced).Abs() < enforcedEvery {
		return
	}
	a := &wire.Activity{Type: wire.PermissionsEnforced, At: now.at, Position: v.table.Position(), Digest: v.digest}
	timed(a, now)
	if e.append(a, false) {
		e.told, e.enforced = v.digest, now.at
	}
}

// releaseKeypads records the end of lock-outs.
func (e *engine) releaseKeypads(now reading) {
	for _, id := range e.ids {
		for _, side := range []unlock.Side{unlock.In, unlock.Out} {
			until, locked := e.local.Locked[reader(id, side)]
			if locked && unlock.InstantOf(now.at) >= until {
				a := &wire.Activity{Type: wire.KeypadReleased, At: until.Time(), Door: id, Side: side.String()}
				timed(a, now)
				e.append(a, false)
			}
		}
	}
}
