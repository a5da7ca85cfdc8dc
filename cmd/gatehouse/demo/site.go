package demo

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// The people who work for the operator, beside its owner.
const (
	manager domain.ID = "manager"
	desk    domain.ID = "desk"
)

// The doors beside those of the units, and the schedules.
const (
	northGate domain.ID = "north-gate"
	southGate domain.ID = "south-gate"
	lift      domain.ID = "lift"
	office    domain.ID = "office"

	dayHours   domain.ID = "day-hours"
	longHours  domain.ID = "long-hours"
	staffRight domain.ID = "staff-doors"
)

// corridors are the parts of the building, with 50 units each. Those upstairs are
// reached by lift; the last is open round the clock.
var corridors = []corridor{
	{letter: "A", hours: dayHours}, {letter: "B", hours: dayHours},
	{letter: "C", hours: longHours, upstairs: true}, {letter: "D", hours: domain.AlwaysID, upstairs: true},
}

const unitsPerCorridor = 50

type corridor struct {
	letter   string
	hours    domain.ID
	upstairs bool
}

func (c corridor) door() domain.ID  { return domain.ID("corridor-" + strings.ToLower(c.letter)) }
func (c corridor) right() domain.ID { return domain.ID("way-" + strings.ToLower(c.letter)) }

// place is a unit with its door and what its tenant has: the way to it and itself.
type place struct {
	id   domain.ID
	name string
	corridor
}

func (p place) unitDoor() domain.ID  { return "door-" + p.id }
func (p place) unitRight() domain.ID { return "unit-" + p.id }

// house is the site and the people that the demo knows.
type house struct {
	places []place
	people []*visitor
	doors  map[domain.ID]string // names
	made   int                  // people and fobs, for their ids
}

// times are windows on days of the week, "mon" to "sun".
func times(from, to schedule.TimeOfDay, days ...schedule.Day) schedule.Schedule {
	return schedule.Schedule{Windows: []schedule.Window{{Days: days, From: from * 60, To: to * 60}}}
}

var everyDay = []schedule.Day{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// build makes the site with everybody who has a unit already. It stops when the
// context ends.
func (d *Demo) build(ctx context.Context) error {
	for _, part := range []func(context.Context) error{d.buildSite, d.buildUnits, d.buildStaff, d.buildTenants, d.settle} {
		if err := part(ctx); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// begin begins the first day, and plans it.
func (d *Demo) begin(ctx context.Context) error {
	d.clock.set(time.Unix(0, d.zone.Instant(schedule.DateTime{Date: d.today(), Time: dayStart})))
	if err := d.planDay(ctx); err != nil {
		return err
	}
	d.feed.limit()
	return nil
}

func (d *Demo) buildSite(ctx context.Context) error {
	d.house.doors = map[domain.ID]string{northGate: "North gate", southGate: "South gate", lift: "Lift", office: "Office"}
	doors := []any{
		&domain.CreateDoor{Door: northGate, Site: Site, Name: "North gate", Kind: domain.DoorGate, In: "yard", FireRelease: true},
		&domain.CreateDoor{Door: southGate, Site: Site, Name: "South gate", Kind: domain.DoorGate, In: "yard", FireRelease: true},
		&domain.CreateDoor{Door: lift, Site: Site, Name: "Lift", Kind: domain.DoorLift, Out: "yard", In: "upstairs"},
		&domain.CreateDoor{Door: office, Site: Site, Name: "Office", Kind: domain.DoorInner, Out: "yard", Class: domain.ClassCritical},
	}
	rights := []any{&domain.DefineAccessRight{Right: staffRight, Name: "Staff doors", Schedule: domain.AlwaysID,
		Doors: []domain.ID{northGate, southGate, lift, office}}}
	for _, c := range corridors {
		name := "Corridor " + c.letter
		door := &domain.CreateDoor{Door: c.door(), Site: Site, Name: name, Kind: domain.DoorInner, Out: "yard", In: "hall"}
		way := &domain.DefineAccessRight{Right: c.right(), Name: "Way to " + c.letter, Schedule: c.hours, Doors: []domain.ID{northGate, southGate, c.door()}}
		if c.upstairs {
			door.Out, door.In = "upstairs", ""
			way.Doors = append(way.Doors, lift)
		}
		d.house.doors[c.door()] = name
		doors, rights = append(doors, door), append(rights, way)
	}
	today := d.today()
	days := schedule.Calendar{}
	for i := range 60 {
		days = append(days, schedule.SpecialDay{Date: today.AddDays(1 + 11*i), Kind: schedule.Holiday, Name: "Harbour day"})
	}
	return d.all(ctx, Owner,
		order{"a site in " + zoneName, one(&domain.CreateSite{Site: Site, Name: "Quay", Zone: zoneName})},
		order{"its lock system", one(&domain.ConnectSite{Site: Site, LockSystem: "gatehouse"})},
		order{"people hear of what is shared with them", one(&domain.SetNotification{Site: Site, Kind: domain.NotificationSharedAccess, Enabled: true})},
		order{"holidays", one(&domain.SetHolidayCalendar{Site: Site, Days: days})},
		order{"day hours and long hours", []any{
			&domain.DefineSchedule{Schedule: dayHours, Name: "Day hours", Times: times(6, 22, everyDay...)},
			&domain.DefineSchedule{Schedule: longHours, Name: "Long hours", Times: withHolidays(times(5, 23, everyDay...))}}},
		order{"yard, hall and upstairs", []any{
			&domain.CreateArea{Area: "yard", Site: Site, Name: "Yard"}, &domain.CreateArea{Area: "hall", Site: Site, Name: "Hall"},
			&domain.CreateArea{Area: "upstairs", Site: Site, Name: "Upstairs"}}},
		order{"gates, a lift, corridors", doors},
		order{"the ways through the site", rights},
	)
}

// withHolidays lets a schedule hold on holidays as on other days.
func withHolidays(s schedule.Schedule) schedule.Schedule {
	s.Holidays = schedule.HolidaysIgnored
	return s
}

func (d *Demo) buildUnits(ctx context.Context) error {
	var units, doors, rights, mapped []any
	for _, c := range corridors {
		for i := range unitsPerCorridor {
			name := fmt.Sprintf("%s%02d", c.letter, i+1)
			p := place{domain.ID(strings.ToLower(name)), name, c}
			d.house.places = append(d.house.places, p)
			d.house.doors[p.unitDoor()] = "Unit " + name
			units = append(units, &domain.CreateUnit{Unit: p.id, Site: Site, Name: name})
			doors = append(doors, &domain.CreateDoor{Door: p.unitDoor(), Site: Site, Name: "Unit " + name, Kind: domain.DoorUnit, Unit: p.id, Out: "hall"})
			rights = append(rights, &domain.DefineAccessRight{Right: p.unitRight(), Name: "Unit " + name, Doors: []domain.ID{p.unitDoor()}, Schedule: domain.AlwaysID})
			mapped = append(mapped, &domain.MapUnitAccess{Unit: p.id, Rights: []domain.UnitRight{{Right: p.right()}, {Right: p.unitRight()}}})
		}
	}
	n := len(units)
	return d.all(ctx, Owner, order{fmt.Sprint(n, " units"), units}, order{fmt.Sprint(n, " doors of units"), doors},
		order{fmt.Sprint(n, " rights to units"), rights}, order{"what the tenants of each unit may open", mapped})
}

// order is a list of commands of one type, with what it is about.
type order struct {
	about  string
	fields []any
}

func one(fields any) []any { return []any{fields} }

// all sends orders until the context ends. Each must be accepted.
func (d *Demo) all(ctx context.Context, actor domain.ID, orders ...order) error {
	whole := context.WithoutCancel(ctx)
	for _, o := range orders {
		if ctx.Err() != nil {
			return nil
		}
		done, err := d.send(whole, actor, o.about, o.fields...)
		if err != nil {
			return err
		}
		if !done {
			return fmt.Errorf("the demo cannot go on: %s: %s was refused", o.about, commandOf(o.fields[0]))
		}
	}
	return nil
}

func commandOf(fields any) string { return reflect.TypeOf(fields).Elem().Name() }

// send sends a command, or a list of them, and reports whether it was accepted.
// It returns when the permissions that follow are published, as a lease would say.
func (d *Demo) send(ctx context.Context, actor domain.ID, about string, fields ...any) (bool, error) {
	if _, err := d.doors.flush(ctx); err != nil {
		return false, err
	}
	d.sent++
	name := commandOf(fields[0])
	result, err := d.service.Store.Execute(ctx, Org, eventstore.Request{ID: domain.DeriveUUID(d.space, fmt.Sprint(d.sent)),
		Command: name, Fields: fields, Actor: domain.PersonActor(actor)})
	line := commandLine{At: d.clock.now(), Command: name, Actor: actor, Who: d.nameOf(actor), About: about, Count: len(fields)}
	if refusal, ok := errors.AsType[*domain.Refusal](err); ok {
		line.Refused = refusal.Code
		return false, d.feed.command(line)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	return true, d.committed(ctx, result.Position, line)
}

// committed tells of a command that was accepted. It returns when the permissions that
// follow are published.
func (d *Demo) committed(ctx context.Context, at wire.Position, line commandLine) error {
	d.accepted++
	if err := d.tellBetween(ctx, at.N); err != nil {
		return err
	}
	line.At, line.Position = d.clock.now(), at.String()
	if err := d.feed.command(line); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return d.service.Permissions.Wait(waiting, Org, at.N)
}

// tellBetween tells of the commits that the service made by itself since the last
// one of the demo's people.
func (d *Demo) tellBetween(ctx context.Context, n uint64) error {
	last := d.position
	d.position = n
	if last == 0 || n == last+1 {
		return nil
	}
	return d.service.Store.Commits(ctx, Org, last, n-1, func(c *schemas.Commit, _ []byte) error {
		about := "it was due"
		if c.Command == enrolGateway {
			about = "a box came with its code, and is known by its key"
		}
		return d.feed.command(commandLine{At: c.At, Command: c.Command, Actor: c.Actor.ID, Who: "the service", About: about, Count: 1, Position: c.Position().String()})
	})
}

// enrolGateway is the command by which a gateway enrols.
var enrolGateway = commandOf(&domain.EnrolGateway{})

// catchUp tells of the commits that the service has made by itself.
func (d *Demo) catchUp(ctx context.Context) error {
	head, err := d.service.Store.Head(ctx, Org)
	if err != nil {
		return err
	}
	if err := d.tellBetween(ctx, head.N+1); err != nil {
		return err
	}
	d.position = head.N
	return nil
}

func (d *Demo) today() schedule.Date { return d.zone.Local(schedule.Nanos(d.clock.now())).Date }

// settle waits until every fob is known at the doors, or the context ends.
func (d *Demo) settle(ctx context.Context) error {
	last := d.house.people[len(d.house.people)-1].fob
	for began := time.Now(); time.Since(began) < patience; {
		table := d.service.Permissions.Table(Org, Site)
		tag, ok := d.service.Permissions.Tag(Org, Site, domain.KindCard, "", last)
		if table != nil && ok {
			a := unlock.Decide(table, &held, unlock.Request{Door: unlock.IDOf(string(northGate)), At: unlock.Instant(d.clock.now().UnixNano()), Tag: tag})
			if a.Credential() != nil {
				return nil
			}
		}
		if err := d.wait(ctx, time.Now().Add(5*time.Millisecond)); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return errors.New("the fobs are not known at the doors")
}
