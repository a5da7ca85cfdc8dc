package domain_test

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// sense makes some of the fields of a drawn command fit each other, mostly: what is drawn field by field is mostly refused, and what was refused
// tests no opening.
func (d drawer) sense(ptr any) {
	if evenly(3).Draw(d.rt, "as drawn") == 0 {
		return
	}
	s := d.o.state
	switch c := ptr.(type) {
	case *domain.AssignFob:
		c.From, c.Until, c.Number = time.Time{}, time.Time{}, domain.Clear(pick(d.rt, "number", "11", "12", "13", "14"))
		c.Credential = pick[domain.ID](d.rt, "credential", "n4", "n5", "n6")
		c.Kind = pick(d.rt, "kind", domain.KindFob, domain.KindCard)
		if rapid.Bool().Draw(d.rt, "stock") {
			c.Credential, c.Number, c.Format = pick[domain.ID](d.rt, "stock key", "stock-1", "stock-2"), domain.Personal{}, ""
			c.Kind, c.Unit, c.Booking, c.Sites = "", "", "", nil
			c.Person = d.inUnit("a1")
			return
		}
		c.Person, c.Booking, c.Unit, c.Sites = d.isFor()
	case *domain.IssuePin:
		d.times(&c.From, &c.Until)
		c.Times = pick(d.rt, "times", schedule.Schedule{}, drawnTimes[2])
		c.MaxUses = pick(d.rt, "uses", 0, 0, 2)
		c.Person, c.Booking, c.Unit, c.Sites = d.isFor()
	case *domain.IssueOneTimePin:
		d.times(&c.From, &c.Until)
		c.Times = schedule.Schedule{}
		c.Person, c.Booking, c.Unit, c.Sites = d.isFor()
	case *domain.IssueMobileKey:
		d.times(&c.From, &c.Until)
		if c.Unit != "" {
			c.Person = d.inUnit(c.Unit)
		}
	case *domain.ShareAccess:
		c.Shares, c.From, c.Until = nil, d.date("from"), d.date("until").AddDays(9)
		c.Bookings = []domain.ID{pick(d.rt, "booking", d.known("booking")...)}
		c.Sharees = []domain.Sharee{{Person: pick(d.rt, "sharee", d.known("person")...)}}
	case *domain.GrantAuctionAccess:
		c.Until = d.date("until").AddDays(1)
		if b, ok := s.Bookings.Get(d.suspended()); ok {
			c.Unit = b.Unit
		}
	case *domain.CreateUnitUser:
		c.Unit, c.Person = pick[domain.ID](d.rt, "let", "a1", "b1"), pick(d.rt, "who", d.known("person")...)
		c.Access = append(d.access(c.Unit), d.access(c.Unit)...)
		c.Access = slices.CompactFunc(slices.SortedFunc(slices.Values(c.Access), byRight), func(a, b domain.UnitAccess) bool { return a.Right == b.Right })
	case *domain.CreateUnitManager:
		c.Unit, c.Person = pick[domain.ID](d.rt, "let", "a1", "b1"), pick(d.rt, "who", d.known("person")...)
		c.Access = d.access(c.Unit)
	case *domain.SetPosture:
		c.UntilChange = false
		c.Door, c.Site = d.doorOrSite()
	case *domain.ClearPosture:
		c.Door, c.Site = d.doorOrSite()
	case *domain.CreateDoor:
		c.Unit, c.Kind, c.In, c.Out = "", domain.DoorEntry, "", ""
	case *domain.ChangeUnitUserAccess:
		c.Person, c.Access = d.inUnit(c.Unit), d.access(c.Unit)
	case *domain.RemoveUnitUser:
		c.Person = d.inUnit(c.Unit)
	case *domain.RemoveMember:
		c.Person = d.inGroup(c.Group)
	case *domain.ChangeMemberRole:
		c.Person = d.inGroup(c.Group)
	case *domain.TransferGroupOwnership:
		c.Person = d.inGroup(c.Group)
	case *domain.RotatePin:
		c.Credential = d.pin()
	case *domain.RevokeRole:
		for _, r := range s.RoleAssignments.All() {
			if rapid.Bool().Draw(d.rt, "this role") {
				c.Person, c.Site = r.Person, r.Site
			}
		}
	case *domain.TransferOwnership:
		c.Person = "mara"
	case *domain.UnlockFor:
		c.Door = "gate"
	case *domain.RemoteUnlock:
		c.Door = "gate"
	case *domain.SetSitePolicy:
		c.Policy = domain.Patch[domain.Policy]{Named: []string{"fob_holders", "fob_schedule", "share_depth", "uses"}, Value: domain.Policy{ShareDepth: 3, Uses: "per_gateway",
			FobHolders: pick(d.rt, "fobs", "", "anyone"), FobSchedule: pick[domain.ID](d.rt, "fob schedule", "", "", "office-hours")}}
	case *domain.ReinstateBooking:
		c.Booking, c.Cause, c.All, c.Level = d.suspended(), "", rapid.Bool().Draw(d.rt, "all"), ""
	case *domain.SuspendBooking:
		c.Cause = pick[domain.ID](d.rt, "cause", "", "", "", "invoice")
		if evenly(4).Draw(d.rt, "again") > 0 {
			c.Booking, c.Level = d.suspended(), domain.LevelGatelock
		}
	case *domain.ReinstateCredential:
		for id, cr := range s.Credentials.All() {
			if cr.State != domain.CredentialStateActive && rapid.Bool().Draw(d.rt, "this credential") {
				c.Credential = id
			}
		}
	case *domain.ReinstatePerson:
		for id, p := range s.People.All() {
			if p.State == domain.PersonStateSuspended {
				c.Person = id
			}
		}
	case *domain.EnableDoor:
		for id, door := range s.Doors.All() {
			if door.Disabled {
				c.Door = id
			}
		}
	case *domain.RemoveFromDenyList:
		for id, cr := range s.Credentials.All() {
			if cr.Denied {
				c.Credential = id
			}
		}
	case *domain.ChangeBookingWindow:
		c.From, c.Until = new(d.date("from")), domain.Give(d.date("until"))
	case *domain.SetGroupBusinessHours:
		c.Times = domain.Give(pick(d.rt, "hours", drawnTimes...))
	case *domain.SetNotification:
		c.Site = "south"
	case *domain.Lockdown:
		d.onePlace(&c.Site, &c.Area, &c.Door)
	case *domain.ReleaseLockdown:
		d.onePlace(&c.Site, &c.Area, &c.Door)
	}
}

// suspended draws a booking that is.
func (d drawer) suspended() domain.ID {
	bookings := d.known("booking")[:1]
	for id, b := range d.o.state.Bookings.All() {
		if b.Level != "" && b.State == domain.BookingStateActive {
			bookings = append(bookings, id, id)
		}
	}
	return pick(d.rt, "suspended", bookings...)
}

// onePlace keeps one of site, area and door.
func (d drawer) onePlace(site, area, door *domain.ID) {
	*site, *area, *door = "", "", ""
	switch evenly(3).Draw(d.rt, "place") {
	case 0:
		*site = pick(d.rt, "site", d.known("site")...)
	case 1:
		*area = pick(d.rt, "area", d.known("area")...)
	default:
		*door = pick(d.rt, "door", d.known("door")...)
	}
}

func (d drawer) doorOrSite() (door, site domain.ID) {
	if evenly(4).Draw(d.rt, "site") == 0 {
		return "", pick(d.rt, "site", d.known("site")...)
	}
	return pick(d.rt, "door", d.known("door")...), ""
}

func (d drawer) times(from, until *time.Time) {
	*from, *until = time.Time{}, time.Time{}
	if rapid.Bool().Draw(d.rt, "for a time") {
		*from, *until = d.o.at.Add(-time.Hour), d.o.at.Add(time.Duration(pick(d.rt, "days", 1, 4, 30))*24*time.Hour)
	}
}

// isFor draws a holder with what a credential is for: a booking, a unit or sites.
func (d drawer) isFor() (person, booking, unit domain.ID, sites []domain.ID) {
	switch evenly(3).Draw(d.rt, "for") {
	case 0:
		booking = pick(d.rt, "booking", d.known("booking")...)
		row, _ := d.o.state.Bookings.Get(booking)
		holders := []domain.ID{row.Person}
		for _, s := range d.o.state.Shares.All() {
			if s.Booking == booking {
				holders = append(holders, s.Person)
			}
		}
		return pick(d.rt, "holder", holders...), booking, "", nil
	case 1:
		unit = pick(d.rt, "unit", d.known("unit")...)
		return d.inUnit(unit), "", unit, nil
	}
	return pick[domain.ID](d.rt, "holder", "stan", "sue", "mara", "gus", "vera", "rita"), "", "", []domain.ID{pick[domain.ID](d.rt, "site", "north", "south")}
}

// inUnit draws somebody who has, or had, a place in a unit.
func (d drawer) inUnit(unit domain.ID) domain.ID {
	people := []domain.ID{"vera"}
	for _, u := range d.o.state.UnitUsers.All() {
		if u.Unit == unit {
			people = append(people, u.Person)
		}
	}
	return pick(d.rt, "in the unit", people...)
}

func (d drawer) inGroup(group domain.ID) domain.ID {
	people := []domain.ID{"vera"}
	for _, m := range d.o.state.GroupMembers.All() {
		if m.Group == group {
			people = append(people, m.Person)
		}
	}
	return pick(d.rt, "in the group", people...)
}

func (d drawer) pin() domain.ID {
	pins := []domain.ID{"pin-anna"}
	for id, c := range d.o.state.Credentials.All() {
		if c.Kind == domain.KindPin {
			pins = append(pins, id)
		}
	}
	return pick(d.rt, "pin", pins...)
}

func byRight(a, b domain.UnitAccess) int { return strings.Compare(string(a.Right), string(b.Right)) }

// access draws rights of a unit with a schedule that may be narrower.
func (d drawer) access(unit domain.ID) (out []domain.UnitAccess) {
	row, ok := d.o.state.Units.Get(unit)
	if !ok {
		return nil
	}
	for _, r := range row.Rights {
		switch evenly(4).Draw(d.rt, "access") {
		case 0:
			out = append(out, domain.UnitAccess{Right: r.Right, Mode: domain.ModeSameAsUnit})
		case 1:
			out = append(out, domain.UnitAccess{Right: r.Right, Mode: domain.ModeAlways})
		case 2:
			out = append(out, domain.UnitAccess{Right: r.Right, Mode: domain.ModeLimited, Limited: drawnTimes[2]})
		}
	}
	return out
}

// actor draws who sends: those with little power as often as those with much, and
// often those whose booking, unit or group it is.
func (d drawer) actor(typ domain.CommandType, ptr any) domain.Actor {
	if typ.Permit().Service && rapid.Bool().Draw(d.rt, "service") {
		return domain.ServiceActor("due")
	}
	if d.o.hostile != "" && evenly(4).Draw(d.rt, "hostile") > 0 {
		return domain.PersonActor(d.o.hostile)
	}
	who := []domain.ID{"olga", "olga", "mara", "stan", "sue"}
	switch evenly(3).Draw(d.rt, "sender") {
	case 0:
		who = d.known("person")
	case 1:
		if close := d.concerned(reflect.ValueOf(ptr).Elem()); len(close) > 0 {
			who = close
		}
	}
	return domain.PersonActor(pick(d.rt, "actor", who...))
}

// concerned are those whose booking, unit, group or thing a command is about.
func (d drawer) concerned(v reflect.Value) (people []domain.ID) {
	s := d.o.state
	field := func(name string) domain.ID {
		if f := v.FieldByName(name); f.IsValid() && f.Type() == reflect.TypeFor[domain.ID]() {
			return domain.ID(f.String())
		}
		return ""
	}
	booking, unit := field("Booking"), field("Unit")
	if f := v.FieldByName("Bookings"); f.IsValid() && f.Len() > 0 {
		booking = domain.ID(f.Index(0).String())
	}
	if sh, ok := s.Shares.Get(field("Share")); ok {
		booking, people = sh.Booking, append(people, sh.Person)
	}
	if c, ok := s.Credentials.Get(field("Credential")); ok {
		booking, unit, people = c.Booking, c.Unit, append(people, c.Person)
	}
	if r, ok := s.Reviews.Get(field("Review")); ok {
		unit = r.Unit
	}
	if b, ok := s.Bookings.Get(booking); ok {
		people = append(people, b.Person)
	}
	for _, sh := range s.Shares.All() {
		if sh.Booking == booking {
			people = append(people, sh.Person)
		}
	}
	for _, u := range s.UnitUsers.All() {
		if u.Unit == unit {
			people = append(people, u.Person)
		}
	}
	for _, m := range s.GroupMembers.All() {
		if m.Group == field("Group") {
			people = append(people, m.Person)
		}
	}
	people = append(people, field("Person"))
	return slices.DeleteFunc(people, func(p domain.ID) bool { return p == "" })
}
