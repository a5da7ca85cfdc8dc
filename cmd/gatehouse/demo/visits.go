package demo

import (
	"context"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// leg is a door on the way of a visit, and how long it takes to the next one.
type leg struct {
	door domain.ID
	side unlock.Side
	then time.Duration
}

// busy is how many come in each hour of the day: in the morning, after work, and a
// few who try at night.
var busy = [24]int{1, 1, 1, 0, 1, 2, 5, 8, 10, 12, 12, 10, 8, 8, 9, 11, 14, 16, 15, 10, 7, 5, 4, 2}

// hour draws an hour of the day.
func (d *Demo) hour() int {
	total := 0
	for _, n := range busy {
		total += n
	}
	left := d.random.IntN(total)
	for h, n := range busy {
		if left < n {
			return h
		}
		left -= n
	}
	return len(busy) - 1
}

// clockTime is an instant of today by the clock of the site.
func (d *Demo) clockTime(after time.Duration) time.Time {
	minute := schedule.TimeOfDay(after / time.Minute)
	at := d.zone.Instant(schedule.DateTime{Date: d.today(), Time: minute % schedule.EndOfDay})
	return time.Unix(0, at).Add(after % time.Minute)
}

// planDay plans what people do today, and the next day's plan.
func (d *Demo) planDay(context.Context) error {
	today := d.today()
	if err := d.feed.day(today); err != nil {
		return err
	}
	d.house.people = slices.DeleteFunc(d.house.people, func(v *visitor) bool { return v.gone && !v.away })
	for _, v := range d.house.people {
		switch {
		case v.gone:
		case v.place == nil:
			d.plan(d.clockTime(d.between(6*time.Hour+30*time.Minute, 9*time.Hour)), v, d.shift())
		case d.chance(0.45):
			d.plan(d.clockTime(time.Duration(d.hour())*time.Hour+d.between(0, time.Hour)), v, d.visit(v.place))
		}
	}
	d.planLife()
	d.agenda.add(time.Unix(0, d.zone.Start(today.AddDays(1))), d.planDay)
	return nil
}

// plan lets somebody come at an instant, if it is still to come.
func (d *Demo) plan(at time.Time, v *visitor, way []leg) {
	if at.Before(d.clock.now()) {
		return
	}
	d.agenda.add(at, func(ctx context.Context) error {
		if v.away || v.fob == "" && !v.phone {
			return nil
		}
		v.away = true
		return d.walk(v, way)
	})
}

// visit is the way to a unit and back. Some take the wrong corridor.
func (d *Demo) visit(p *place) []leg {
	gate := northGate
	if d.chance(0.4) {
		gate = southGate
	}
	to := *p
	if d.chance(0.04) {
		to.corridor = corridors[d.random.IntN(len(corridors))]
	}
	minutes := func(from, to int) time.Duration {
		return d.between(time.Duration(from)*time.Minute, time.Duration(to)*time.Minute)
	}
	way := []leg{{gate, unlock.In, minutes(2, 6)}}
	if p.upstairs {
		way = append(way, leg{lift, unlock.In, minutes(1, 3)})
	}
	return append(way, leg{to.door(), unlock.In, minutes(1, 4)}, leg{p.unitDoor(), unlock.In, minutes(10, 120)},
		leg{to.door(), unlock.Out, minutes(1, 6)}, leg{gate, unlock.Out, 0})
}

// shift is a working day at the office with a round.
func (d *Demo) shift() []leg {
	return []leg{{northGate, unlock.In, d.between(2*time.Minute, 5*time.Minute)}, {office, unlock.In, d.between(2*time.Hour, 4*time.Hour)},
		{lift, unlock.In, d.between(20*time.Minute, time.Hour)}, {office, unlock.In, d.between(4*time.Hour, 6*time.Hour)}, {northGate, unlock.Out, 0}}
}

// walk takes the first leg of a way and plans the rest. A visitor who is not let in
// goes home; one who is held up inside makes for the gate.
func (d *Demo) walk(v *visitor, way []leg) error {
	here := way[0]
	allowed, err := d.pass(v, here.door, here.side)
	if err != nil {
		return err
	}
	rest := way[1:]
	switch {
	case len(rest) == 0, !allowed && isGate(here.door):
		v.away = false
		return nil
	case !allowed && here.side == unlock.In:
		rest = rest[len(rest)-1:]
		here.then = d.between(3*time.Minute, 8*time.Minute)
	}
	d.after(here.then, func(context.Context) error { return d.walk(v, rest) })
	return nil
}

func isGate(door domain.ID) bool { return door == northGate || door == southGate }

// pass has a door decide on a fob or a phone, and tells what it said.
func (d *Demo) pass(v *visitor, door domain.ID, side unlock.Side) (bool, error) {
	at := d.clock.now()
	phone := domain.ID("")
	if v.phone {
		phone = v.credential
	}
	answer, err := d.doors.decide(at, door, side, v.fob, phone)
	if err != nil {
		return false, err
	}
	if isGate(door) {
		d.doors.pass(v.id, side, answer.Allowed)
	}
	return answer.Allowed, d.feed.read(readLine{At: at, Door: door, DoorName: d.house.doors[door], Side: side.String(), Person: v.id, Who: v.name,
		Allowed: answer.Allowed, Code: answer.Code.String()})
}
