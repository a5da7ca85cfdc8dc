package demo

import (
	"context"
	"fmt"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
)

// life is what happens on a day beside visits, and how often on average.
func (d *Demo) life() []struct {
	perDay float64
	do     func(ctx context.Context) error
} {
	return []struct {
		perDay float64
		do     func(ctx context.Context) error
	}{
		{d.demand(), d.newTenant}, {3, d.newGuest}, {2, d.newUnitUser}, {1, d.shareEnds}, {3, d.unpaid}, {1, d.revoked}, {2, d.moveOut},
		{2, d.lostFob}, {1, d.tooLong}, {3, d.stranger}, {0.5, d.liftCheck}, {0.3, d.fireDrill}, {0.4, d.otherHours},
	}
}

// demand is how many tenants come on a day: those who leave are replaced.
func (d *Demo) demand() float64 {
	let := 0
	for _, v := range d.house.people {
		if v.tenant && !v.gone {
			let++
		}
	}
	return 3 + float64(max(0, tenants-let))/5
}

// planLife plans today's, in the hours of the office, and the look at units that
// were given back.
func (d *Demo) planLife() {
	for _, l := range d.life() {
		n := int(l.perDay)
		if d.chance(l.perDay - float64(n)) {
			n++
		}
		for range n {
			at := d.clockTime(d.between(8*time.Hour, 18*time.Hour))
			if at.After(d.clock.now()) {
				d.agenda.add(at, l.do)
			}
		}
	}
	if at := d.clockTime(7*time.Hour + 30*time.Minute); at.After(d.clock.now()) {
		d.agenda.add(at, d.lookOver)
	}
}

// pick draws somebody who is still around and fits, or nil.
func (d *Demo) pick(fits func(*visitor) bool) *visitor {
	var found []*visitor
	for _, v := range d.house.people {
		if !v.gone && v.place != nil && fits(v) {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[d.random.IntN(len(found))]
}

// settled reports whether somebody is a tenant without trouble.
func settled(v *visitor) bool { return v.tenant && !v.suspended && v.fob != "" && !v.away }

// newTenant lets a free unit; some tenants come before their first day.
func (d *Demo) newTenant(ctx context.Context) error {
	at, err := d.free(ctx)
	if at == nil || err != nil {
		return err
	}
	v := d.newVisitor(at, domain.ID(fmt.Sprintf("booking-%04d", d.house.made)))
	v.tenant = true
	b := &domain.CreateBooking{Booking: v.booking, Unit: at.id, Person: v.id, From: d.today()}
	if d.chance(0.6) {
		b.Until = b.From.AddDays(1 + d.random.IntN(20))
	}
	early := d.chance(0.25)
	if early {
		b.From = b.From.AddDays(1)
	}
	err = d.all(ctx, desk, order{v.name, one(v.register())}, order{v.name + " books " + at.name, one(b)}, order{"for " + v.name, one(v.assign())})
	if err == nil && !early {
		err = d.all(ctx, manager, order{v.name + " moves in to " + at.name, one(&domain.MoveIn{Booking: v.booking})})
	}
	d.plan(d.clock.now().Add(d.between(30*time.Minute, 3*time.Hour)), v, d.visit(at))
	return err
}

// free finds a unit that nobody has or is to have, or nil.
func (d *Demo) free(ctx context.Context) (found *place, err error) {
	var all []*place
	err = d.service.Store.View(ctx, Org, func(s *domain.State, _ eventstore.Head) error {
		for i := range d.house.places {
			p := &d.house.places[i]
			unit, ok := s.Units.Get(p.id)
			vacant := ok && unit.State == domain.UnitVacant
			for _, b := range s.Bookings.Each(domain.BookingByUnit, p.id) {
				vacant = vacant && b.State != domain.BookingStateActive
			}
			if vacant {
				all = append(all, p)
			}
		}
		return nil
	})
	if len(all) > 0 {
		found = all[d.random.IntN(len(all))]
	}
	return found, err
}

// newGuest lets a tenant share the unit with a friend.
func (d *Demo) newGuest(ctx context.Context) error {
	host := d.pick(settled)
	if host == nil {
		return nil
	}
	v := d.newVisitor(host.place, host.booking)
	v.share = domain.ID(fmt.Sprintf("share-%04d", d.house.made))
	until := d.today().AddDays(d.random.IntN(5))
	v.gone = true // until it is certain
	if done, err := d.send(ctx, desk, v.name, v.register()); !done {
		return err
	}
	if done, err := d.send(ctx, host.id, fmt.Sprintf("shares %s with %s until %s", host.place.name, v.name, until), v.shared(d.today(), until)); !done {
		return err
	}
	if done, err := d.send(ctx, desk, "a key on the phone of "+v.name, v.byPhone()); !done {
		return err
	}
	v.gone = false
	d.plan(d.clock.now().Add(d.between(30*time.Minute, 4*time.Hour)), v, d.visit(v.place))
	return nil
}

// newUnitUser lets a tenant, as unit manager, give somebody a place in the unit.
func (d *Demo) newUnitUser(ctx context.Context) error {
	host := d.pick(settled)
	if host == nil {
		return nil
	}
	v := d.newVisitor(host.place, host.booking)
	v.gone = true // until it is certain
	done, err := d.send(ctx, host.id, fmt.Sprintf("gives %s a place in %s", v.name, host.place.name), &domain.CreateUnitUser{Unit: host.place.id,
		Person: v.id, Name: domain.Clear(v.name), Access: host.place.access()})
	if !done {
		return err
	}
	if done, err = d.send(ctx, desk, "for "+v.name, v.assign()); done {
		v.gone = false
	}
	return err
}

// tooLong lets a unit manager give more time than the unit has, which is refused.
func (d *Demo) tooLong(ctx context.Context) error {
	host := d.pick(func(v *visitor) bool { return settled(v) && v.place.hours != domain.AlwaysID })
	if host == nil {
		return nil
	}
	_, err := d.send(ctx, host.id, "wants somebody to come to "+host.place.name+" at night", &domain.CreateUnitUser{Unit: host.place.id, Name: domain.Clear("Nora Night"),
		Access: []domain.UnitAccess{{Right: host.place.right(), Mode: domain.ModeLimited, Limited: times(0, 24, everyDay...)}}})
	return err
}

// shareEnds lets a tenant take a share back; the guest does not know yet.
func (d *Demo) shareEnds(ctx context.Context) error {
	v := d.pick(func(v *visitor) bool { return v.share != "" && !v.away })
	if v == nil {
		return nil
	}
	host := d.pick(func(h *visitor) bool { return h.tenant && h.booking == v.booking })
	if host == nil {
		return nil
	}
	d.lastTry(v)
	_, err := d.send(ctx, host.id, "takes "+host.place.name+" back from "+v.name, &domain.RevokeShare{Share: v.share})
	return err
}

// unpaid shuts a tenant out until the bill is paid, a day or two later.
func (d *Demo) unpaid(ctx context.Context) error {
	v := d.pick(settled)
	if v == nil {
		return nil
	}
	level := domain.LevelGatelock
	if d.chance(0.5) {
		level = domain.LevelOverlock
	}
	v.suspended = true
	d.plan(d.clock.now().Add(d.between(time.Hour, 5*time.Hour)), v, d.visit(v.place))
	d.after(d.between(20*time.Hour, 44*time.Hour), func(ctx context.Context) error {
		v.suspended = false
		if v.gone {
			return nil
		}
		_, err := d.send(ctx, desk, v.name+" has paid", &domain.ReinstateBooking{Booking: v.booking, Cause: "unpaid"})
		return err
	})
	_, err := d.send(ctx, desk, fmt.Sprintf("%s has not paid: %s of %s", v.name, level, v.place.name),
		&domain.SuspendBooking{Booking: v.booking, Level: level, Cause: "unpaid"})
	return err
}

// revoked takes a booking away for good.
func (d *Demo) revoked(ctx context.Context) error {
	v := d.pick(settled)
	if v == nil {
		return nil
	}
	d.over(v.booking)
	_, err := d.send(ctx, desk, v.name+" loses "+v.place.name, &domain.RevokeBooking{Booking: v.booking, Cause: "unpaid"})
	return err
}

// moveOut lets a tenant leave for good.
func (d *Demo) moveOut(ctx context.Context) error {
	v := d.pick(settled)
	if v == nil {
		return nil
	}
	d.over(v.booking)
	_, err := d.send(ctx, desk, v.name+" leaves "+v.place.name, &domain.MoveOut{Booking: v.booking})
	return err
}

// over lets everybody with access under a booking come once more at most.
func (d *Demo) over(booking domain.ID) {
	for _, v := range d.house.people {
		if v.booking == booking && !v.gone {
			d.lastTry(v)
		}
	}
}

func (d *Demo) lastTry(v *visitor) {
	v.gone = true
	if d.chance(0.6) {
		d.plan(d.clock.now().Add(d.between(30*time.Minute, 5*time.Hour)), v, d.visit(v.place))
	}
}

// lostFob lets somebody try a fob that its holder has reported, who gets another
// one the next day.
func (d *Demo) lostFob(ctx context.Context) error {
	v := d.pick(settled)
	if v == nil {
		return nil
	}
	finder := &visitor{id: v.id, name: "finder of a fob", fob: v.fob, place: v.place}
	lost := v.credential
	v.fob = ""
	d.plan(d.clock.now().Add(d.between(time.Hour, 6*time.Hour)), finder, []leg{{northGate, unlock.In, time.Minute}, {northGate, unlock.Out, 0}})
	d.after(d.between(6*time.Hour, 20*time.Hour), func(ctx context.Context) error {
		d.newFob(v)
		if v.gone {
			return nil
		}
		_, err := d.send(ctx, desk, "another one for "+v.name, v.assign())
		return err
	})
	_, err := d.send(ctx, v.id, "has lost a fob", &domain.ReportCredential{Credential: lost, As: domain.ReportedLost})
	return err
}

// stranger tries a fob of another place.
func (d *Demo) stranger(context.Context) error {
	_, err := d.pass(&visitor{id: "stranger", name: "somebody", fob: fmt.Sprintf("%010d", d.random.IntN(1_000_000))}, northGate, unlock.In)
	return err
}

// liftCheck takes the lift out of service for a while.
func (d *Demo) liftCheck(ctx context.Context) error {
	d.after(d.between(30*time.Minute, 90*time.Minute), func(ctx context.Context) error {
		_, err := d.send(ctx, desk, "the lift runs again", &domain.EnableDoor{Door: lift})
		return err
	})
	_, err := d.send(ctx, desk, "the lift is looked after", &domain.DisableDoor{Door: lift})
	return err
}

// fireDrill closes the site for half an hour.
func (d *Demo) fireDrill(ctx context.Context) error {
	now := d.zone.Local(schedule.Nanos(d.clock.now()))
	from, to := schedule.DateTime{Date: now.Date, Time: now.Time}, schedule.DateTime{Date: now.Date, Time: now.Time + 30}
	_, err := d.send(ctx, manager, "fire drill, half an hour", &domain.SetBlackout{Site: Site, Name: domain.Give("Fire drill"), From: &from, To: &to})
	return err
}

// otherHours lets the day end earlier, or later again.
func (d *Demo) otherHours(ctx context.Context) error {
	hours := times(6, schedule.TimeOfDay(20+d.random.IntN(3)), everyDay...)
	_, err := d.send(ctx, manager, "day hours are now 06:00 to "+hours.Windows[0].To.String(), &domain.ChangeSchedule{Schedule: dayHours, Times: &hours})
	return err
}

// lookOver releases the units that were given back, and notes whose time is over.
func (d *Demo) lookOver(ctx context.Context) error {
	var back []any
	ended := map[domain.ID]bool{}
	err := d.service.Store.View(ctx, Org, func(s *domain.State, _ eventstore.Head) error {
		for i := range d.house.places {
			if unit, ok := s.Units.Get(d.house.places[i].id); ok && unit.State == domain.UnitToCheck {
				back = append(back, &domain.ReleaseUnit{Unit: unit.ID})
			}
		}
		for id, b := range s.Bookings.All() {
			ended[id] = b.State != domain.BookingStateActive
		}
		for id, share := range s.Shares.All() {
			ended[id] = share.State != domain.ShareStateActive
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range d.house.people {
		switch {
		case v.gone:
		case v.tenant && ended[v.booking]:
			d.over(v.booking)
		case ended[v.share]:
			d.lastTry(v)
		}
	}
	if len(back) == 0 {
		return nil
	}
	_, err = d.send(ctx, desk, fmt.Sprintf("%d units were looked over", len(back)), back...)
	return err
}
