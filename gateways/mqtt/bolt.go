package mqtt

import (
	"time"

	"gatehouse/gateways/driver"
)

// bolt takes where the bolt is. A movement that an order caused is no event.
func (d *door) bolt(f fact, now time.Time) {
	is, was := tritOf(f.on), d.state[ofBolt]
	d.state[ofBolt] = is
	if w := d.waiter; w != nil && w.state == is && d.device.confirm == byState {
		w.tell(reply{id: w.id})
	}
	explained := d.mover.of != 0 && now.Sub(d.mover.at) < ourOwn && d.mover.on == f.on
	switch {
	case is == was:
		return
	case was == unknown && !explained && d.orders[is].IsZero():
		d.told[ofBolt] = is // the first that is known, however long it has been so
		return
	}
	if d.isOurs(is, now) {
		d.told[ofBolt], d.moved = is, time.Time{}
		delete(d.orders, is)
		d.ourMove = is == on
		return
	}
	d.ourMove = false
	switch {
	case d.told[ofBolt] == is && !d.moved.IsZero(): // it moved back before anybody said why
		d.report(fact{on: !f.on}, d.moved)
		d.report(fact{on: f.on}, now)
	case d.told[ofBolt] == is:
	case explained:
		d.report(d.mover.fact, now)
	case d.device.explains:
		d.moved = now
	default:
		d.report(fact{on: f.on}, now)
	}
}

// isOurs reports whether an order moved the bolt: one that was sent just now, which need
// not be the last, for states arrive late; or the bolt goes back from where an order had
// brought it.
func (d *door) isOurs(is trit, now time.Time) bool {
	at, ordered := d.orders[is]
	return ordered && now.Sub(at) < ourOwn || is == off && d.ourMove
}

// explain takes who moves the bolt. The device may say so before the bolt has moved, or
// after.
func (d *door) explain(f fact, now time.Time) {
	switch is := tritOf(f.on); {
	case d.state[ofBolt] == is && !d.moved.IsZero():
		d.report(f, now)
	case d.state[ofBolt] == is || d.isOurs(is, now):
	default:
		d.mover = mover{f, now}
	}
}

// report reports a movement of the bolt to where it is now.
func (d *door) report(f fact, now time.Time) {
	d.moved, d.mover = time.Time{}, mover{}
	if d.putMove(f, now) {
		d.told[ofBolt] = tritOf(f.on)
	}
}

func (d *door) putMove(f fact, now time.Time) bool {
	kind := driver.Locked
	if f.on {
		kind = driver.Unlocked
	}
	how := f.how
	if how == "" {
		how = d.device.known
	}
	return d.put(driver.Event{Kind: kind, Side: f.side, At: orNow(f.at, now), Method: f.method, Slot: f.slot, HowKnown: how, Source: f.source})
}
