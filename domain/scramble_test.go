package domain

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"gatehouse/domain/schedule"
)

// A scrambled state is any state that the entities can say, also those to which
// no command leads: what follows from the state must hold for all of them. Things
// are few, so that they meet; what others hang on is there from the beginning and
// stays where it is, as in the ledger.

// How many there are of each.
const (
	scrambledDoors    = 4
	scrambledUnits    = 3
	scrambledPeople   = 4
	scrambledBookings = 3
	scrambledShares   = 6
	scrambledGrants   = 4
	scrambledRights   = 3
	scrambledCards    = 6
	scrambledGroups   = 2
)

// Doors and units with even numbers are at s2; each booking has its unit and each
// share its booking, for good.
func siteOf(id ID) ID {
	if number(id) == 2 {
		return "s2"
	}
	return "s1"
}
func unitOf(booking ID) ID  { return numbered("u", number(booking)) }
func bookingOf(share ID) ID { return numbered("b", (number(share)-1)%scrambledBookings+1) }

// scramble is a commit that makes, changes and removes things; the first makes
// all that others hang on.
func scramble(t *rapid.T, s *State, n uint64) {
	s.journal.n, s.N = n, n
	if s.Sites.Len() == 0 {
		scrambleAll(t, s)
	}
	for range rapid.IntRange(1, 5).Draw(t, "changes") {
		scrambleOne(t, s)
	}
}

func scrambleAll(t *rapid.T, s *State) {
	for i := range 2 {
		s.Sites.Put(numbered("s", i+1), Site{ID: numbered("s", i+1), Rules: zoneRules[i]})
	}
	for _, id := range []ID{"a1", "a2"} {
		s.Areas.Put(id, Area{ID: id, Site: siteOf(id)})
	}
	for i := range scrambledDoors {
		scrambleDoor(t, s, numbered("d", i+1))
	}
	for i := range scrambledRights {
		scrambleRight(t, s, numbered("r", i+1))
	}
	for _, id := range []ID{"t1", "t2"} {
		s.Schedules.Put(id, NamedSchedule{ID: id, Schedule: drawSchedule(t)})
	}
	for i := range scrambledUnits {
		scrambleUnit(t, s, numbered("u", i+1))
	}
	for i := range scrambledPeople {
		s.People.Put(numbered("p", i+1), Person{ID: numbered("p", i+1), State: PersonStateActive})
	}
	for i := range scrambledBookings {
		scrambleBooking(t, s, numbered("b", i+1))
	}
	for i := range scrambledShares {
		scrambleShare(t, s, numbered("h", i+1))
	}
	for i := range scrambledGrants {
		scrambleGrant(t, s, numbered("g", i+1))
	}
	for i := range scrambledPeople {
		scrambleUnitUser(t, s, drawID(t, "b", scrambledBookings), numbered("p", i+1))
	}
	for i := range scrambledCards {
		scrambleCredential(t, s, numbered("c", i+1))
	}
	for i := range scrambledGroups {
		scrambleGroup(t, s, numbered("o", i+1))
		scrambleMember(t, s, numbered("o", i+1))
	}
}

// scrambleOne changes one thing.
func scrambleOne(t *rapid.T, s *State) {
	switch rapid.IntRange(0, 16).Draw(t, "thing") {
	case 0:
		scrambleSite(t, s, drawID(t, "s", 2))
	case 1:
		scrambleDoor(t, s, drawID(t, "d", scrambledDoors))
	case 2:
		scrambleUnit(t, s, drawID(t, "u", scrambledUnits))
	case 3:
		scramblePerson(t, s, drawID(t, "p", scrambledPeople))
	case 4:
		scrambleBooking(t, s, drawID(t, "b", scrambledBookings))
	case 5, 6:
		scrambleShare(t, s, drawID(t, "h", scrambledShares))
	case 7:
		scrambleUnitUser(t, s, drawID(t, "b", scrambledBookings), drawID(t, "p", scrambledPeople))
	case 8:
		scrambleRight(t, s, drawID(t, "r", scrambledRights))
	case 9:
		id := draw[ID](t, "schedule", "t1", "t2")
		s.Schedules.Put(id, NamedSchedule{ID: id, Schedule: drawSchedule(t)})
	case 10:
		scrambleGrant(t, s, drawID(t, "g", scrambledGrants))
	case 11:
		r := RoleAssignment{Person: drawID(t, "p", scrambledPeople), Site: draw[ID](t, "site", "", "s1", "s2"), Role: draw(t, "role", Roles...)}
		if rarely(t, "no longer") {
			s.RoleAssignments.Delete(roleKey(r.Person, r.Site))
		} else {
			s.RoleAssignments.Put(roleKey(r.Person, r.Site), r)
		}
	case 12:
		scrambleGroup(t, s, drawID(t, "o", scrambledGroups))
	case 13:
		scrambleMember(t, s, drawID(t, "o", scrambledGroups))
	case 14:
		id := draw[ID](t, "area", "a1", "a2")
		s.Areas.Put(id, Area{ID: id, Site: siteOf(id), Lockdown: drawLockdown(t)})
	default:
		scrambleCredential(t, s, drawID(t, "c", scrambledCards))
	}
}

// drawLockdown gives the id of the command of a lockdown, mostly none.
func drawLockdown(t *rapid.T) string {
	if rarely(t, "lockdown") && rarely(t, "at all") {
		return "command"
	}
	return ""
}

// drawPosture gives a posture, mostly none.
func drawPosture(t *rapid.T) (p DoorPosture) {
	if rarely(t, "posture") && rapid.Bool().Draw(t, "at all") {
		p = DoorPosture{Posture: draw(t, "posture", PostureUnlocked, PostureFreeAccess, PostureNormal), Command: "command"}
		if rapid.Bool().Draw(t, "for a while") {
			p.Until = drawInstant(t)
		}
	}
	return p
}

func scrambleSite(t *rapid.T, s *State, id ID) {
	site := Site{ID: id, Rules: oneZone(t), Lockdown: drawLockdown(t), Posture: drawPosture(t)}
	site.Policy.FobSchedule = draw[ID](t, "fob schedule", "", "", AlwaysID, "t1", "t2")
	site.Policy.FobHolders = draw(t, "fob holders", "", "anyone")
	if often(t, "holiday") {
		site.Calendar = schedule.Calendar{{Date: scrambleStart.AddDays(3), Until: scrambleStart.AddDays(6), Kind: schedule.Holiday}}
	}
	if rarely(t, "blackout") {
		site.Blackouts = []SiteBlackout{{ID: "x1", Blackout: schedule.Blackout{
			From: schedule.DateTime{Date: scrambleStart.AddDays(3), Time: 600},
			To:   schedule.DateTime{Date: scrambleStart.AddDays(5), Time: 60},
		}}}
	}
	s.Sites.Put(id, site)
}

func scrambleDoor(t *rapid.T, s *State, id ID) {
	d := Door{ID: id, Site: siteOf(id), Kind: draw(t, "door kind", DoorGate, DoorUnit, DoorInner), Disabled: rarely(t, "disabled") && rarely(t, "at all"),
		Capabilities: drawCapabilities(t)}
	if d.Kind == DoorUnit {
		d.Unit = numbered("u", min(number(id), scrambledUnits))
	}
	if area := numbered("a", 2-number(d.Site)%2); often(t, "in an area") {
		d.In = area
	}
	d.Lockdown, d.Posture = drawLockdown(t), drawPosture(t)
	if rarely(t, "hours") {
		d.Hours = draw[ID](t, "hours", "t1", "t2", AlwaysID)
	}
	if often(t, "with a gateway") {
		d.Gateway = draw[ID](t, "gateway", "w1", "w2")
	}
	s.Doors.Put(id, d)
}

func scrambleRight(t *rapid.T, s *State, id ID) {
	r := AccessRight{ID: id, Schedule: draw[ID](t, "schedule", AlwaysID, AlwaysID, "t1", "t2"), Doors: drawIDs(t, "d", scrambledDoors)}
	r.Sites = s.sitesOfDoors(r.Doors)
	s.AccessRights.Put(id, r)
}

func scrambleGroup(t *rapid.T, s *State, id ID) {
	g := Group{ID: id, Doors: drawIDs(t, "d", scrambledDoors), Times: always,
		Options: draw(t, "options", nil, []GroupOption{OptionRemoteUnlock}, []GroupOption{OptionAdminsModifySettings, OptionUnlockFor})}
	g.Sites = s.sitesOfDoors(g.Doors)
	if rapid.Bool().Draw(t, "times") {
		g.Times = drawSchedule(t)
	}
	if rapid.Bool().Draw(t, "hours") {
		g.Hours = &BusinessHours{Times: drawSchedule(t), FirstIn: often(t, "first in"), GraceMinutes: 60}
	}
	if rarely(t, "blackout") {
		g.Blackouts = []SiteBlackout{{ID: "x1", Blackout: schedule.Blackout{
			From: schedule.DateTime{Date: scrambleStart.AddDays(2), Time: 120},
			To:   schedule.DateTime{Date: scrambleStart.AddDays(6), Time: 60},
		}}}
	}
	s.Groups.Put(id, g)
}

func scrambleMember(t *rapid.T, s *State, group ID) {
	m := GroupMember{Group: group, Person: drawID(t, "p", scrambledPeople), Role: draw(t, "group role", GroupRoles...), Removed: rarely(t, "removed")}
	if key := memberKey(group, m.Person); rarely(t, "gone") {
		s.GroupMembers.Delete(key)
	} else {
		s.GroupMembers.Put(key, m)
	}
}

func scrambleUnit(t *rapid.T, s *State, id ID) {
	u := Unit{ID: id, Site: siteOf(id), State: draw(t, "unit state", UnitOccupied, UnitOccupied, UnitVacant, UnitToCheck)}
	for _, r := range drawIDs(t, "r", scrambledRights) {
		u.Rights = append(u.Rights, UnitRight{Right: r, Schedule: drawScheduleOrNone(t)})
	}
	s.Units.Put(id, u)
}

func scramblePerson(t *rapid.T, s *State, id ID) {
	s.People.Put(id, Person{ID: id, State: draw(t, "person state", PersonStateActive, PersonStateActive, PersonStateActive,
		PersonStateActive, PersonStatePending, PersonStateSuspended, PersonStateErased)})
}

func scrambleBooking(t *rapid.T, s *State, id ID) {
	b := Booking{ID: id, Unit: unitOf(id), Site: siteOf(unitOf(id)), Person: drawID(t, "p", scrambledPeople),
		State: draw(t, "booking state", BookingStateActive, BookingStateActive, BookingStateActive, BookingStateActive, BookingStateRevoked, BookingStateEnded)}
	var all []Suspension
	for _, cause := range []ID{"damage", "unpaid"} {
		if level := draw(t, "level", "", "", "", LevelGatelock, LevelOverlock); level != "" {
			all = append(all, Suspension{cause, level})
		}
	}
	b.suspend(all)
	b.From, b.Until = drawDays(t)
	if rapid.Bool().Draw(t, "open end") {
		b.Until = schedule.Date{}
	}
	s.Bookings.Put(id, b)
}

func scrambleShare(t *rapid.T, s *State, id ID) {
	if rarely(t, "gone") {
		s.Shares.Delete(id)
		return
	}
	sh := Share{ID: id, Booking: bookingOf(id), Person: drawID(t, "p", scrambledPeople),
		State: draw(t, "share state", ShareStateActive, ShareStateActive, ShareStateActive, ShareStateRevoked, ShareStateEnded)}
	sh.Unit = unitOf(sh.Booking)
	sh.Site = siteOf(sh.Unit)
	sh.From, sh.Until = drawDays(t)
	if n := number(id) - scrambledBookings; n > 0 && rapid.Bool().Draw(t, "shared on") {
		sh.Parent = numbered("h", n)
	}
	s.Shares.Put(id, sh)
}

func scrambleUnitUser(t *rapid.T, s *State, booking, person ID) {
	u := UnitUser{Unit: unitOf(booking), Site: siteOf(unitOf(booking)), Person: person, Booking: booking,
		State: draw(t, "unit user state", UnitUserStateActive, UnitUserStateActive, UnitUserStateRemoved)}
	for _, r := range drawIDs(t, "r", scrambledRights) {
		a := UnitAccess{Right: r, Mode: draw(t, "mode", ModeLimited, ModeSameAsUnit, ModeAlways)}
		if a.Mode == ModeLimited {
			a.Limited = drawSchedule(t)
		}
		u.Access = append(u.Access, a)
	}
	s.UnitUsers.Put(unitUserKey(u.Unit, u.Person), u)
}

func scrambleGrant(t *rapid.T, s *State, id ID) {
	if rarely(t, "gone") {
		s.Grants.Delete(id)
		return
	}
	g := Grant{ID: id, Person: drawID(t, "p", scrambledPeople), Right: drawID(t, "r", scrambledRights),
		Schedule: drawScheduleOrNone(t), Capabilities: drawCapabilities(t), Revoked: rarely(t, "revoked")}
	g.From, g.Until = drawDays(t)
	switch draw(t, "bounds", "both", "from", "until", "none") {
	case "from":
		g.Until = schedule.Date{}
	case "until":
		g.From = schedule.Date{}
	case "none":
		g.From, g.Until = schedule.Date{}, schedule.Date{}
	}
	if rarely(t, "buffers") {
		g.BufferBefore, g.BufferAfter = draw(t, "before", 15, 0, 720), draw(t, "after", 0, 15, 90)
	}
	if rarely(t, "kinds") {
		g.Kinds = []CredentialKind{draw(t, "kind", KindFob, KindPin, KindMobileKey)}
	}
	s.Grants.Put(id, g)
}

func scrambleCredential(t *rapid.T, s *State, id ID) {
	if rarely(t, "gone") && rarely(t, "at all") {
		s.Credentials.Delete(id)
		return
	}
	c := Credential{ID: id, Subject: "p1", Person: drawID(t, "p", scrambledPeople), Kind: draw(t, "kind", KindFob, KindMobileKey, KindFob, KindCard, KindPin),
		Booking: draw[ID](t, "booking", "", "", "", "b1", "b2"), Denied: rarely(t, "denied"), State: CredentialStateActive}
	if rarely(t, "not active") {
		c.State = draw(t, "credential state", CredentialStateSuspended, CredentialStateLost, CredentialStateStolen, CredentialStateDamaged,
			CredentialStateRevoked, CredentialStateRemoved, CredentialStateExpired, CredentialStateStock)
	}
	if c.State == CredentialStateSuspended && rapid.Bool().Draw(t, "for a while") {
		c.SuspendedUntil = drawInstant(t)
	}
	if c.State == CredentialStateStock || rarely(t, "with nobody") && rarely(t, "at all") {
		c.Person = ""
	}
	if c.Kind != KindMobileKey {
		c.Sites = draw(t, "sites", []ID{"s1", "s2"}, []ID{"s1"}, []ID{"s2"})
		c.Number = Clear(string(id)).Sealed("k.box")
	}
	if rarely(t, "window") {
		c.From = drawInstant(t)
		c.Until = c.From.Add(36 * time.Hour)
	}
	if rarely(t, "times") {
		if times := drawSchedule(t); len(times.Windows) > 0 {
			c.Times = times
		}
	}
	if c.Kind == KindPin && c.State == CredentialStateRevoked {
		c.Leaked = draw[ID](t, "leaked", "", "w1")
	}
	if c.Kind == KindPin && rarely(t, "counted") {
		c.MaxUses, c.Home = 2, draw[ID](t, "home", "", "w1", "w2")
	}
	s.Credentials.Put(id, c)
}

// drawBound gives an instant at which something begins or ends, the one before it
// or the one after.
func drawBound(t *rapid.T, s *State) (time.Time, bool) {
	var bounds []time.Time
	window := func(site ID, from, until schedule.Date) {
		w := s.window(site, from, until)
		bounds = append(bounds, w.From.Time(), w.Until.Time())
	}
	for _, b := range s.Bookings.All() {
		window(b.Site, b.From, b.Until)
	}
	for _, sh := range s.Shares.All() {
		window(sh.Site, sh.From, sh.Until)
	}
	for _, g := range s.Grants.All() {
		w := s.grantWindow(draw(t, "site", s.Sites.ids()...), g)
		bounds = append(bounds, w.From.Time(), w.Until.Time())
	}
	for _, c := range s.Credentials.All() {
		bounds = append(bounds, c.From, c.Until, c.SuspendedUntil)
	}
	for _, d := range s.Doors.All() {
		bounds = append(bounds, d.Posture.Until)
	}
	bounds = slices.DeleteFunc(bounds, func(at time.Time) bool { return at.Unix() <= 0 })
	if len(bounds) == 0 || rapid.Bool().Draw(t, "anywhen") {
		return time.Time{}, false
	}
	return draw(t, "bound", bounds...).Add(draw[time.Duration](t, "beside", 0, 0, -1, 1)).UTC(), true
}

// drawQuestion asks at a door, mostly of its own site.
func drawQuestion(t *rapid.T, s *State) asked {
	q := asked{Door: drawID(t, "d", scrambledDoors), At: drawInstant(t), Remote: rarely(t, "remote")}
	if bound, ok := drawBound(t, s); ok {
		q.At = bound
	}
	q.Site = siteOf(q.Door)
	if rarely(t, "elsewhere") && rarely(t, "at all") {
		q.Site = "s2"
	}
	if rapid.Bool().Draw(t, "by credential") {
		q.Credential = drawID(t, "c", scrambledCards)
	} else {
		q.Person = drawID(t, "p", scrambledPeople)
		q.Kind = draw(t, "kind", "", KindFob, KindCard, KindMobileKey, KindPin)
	}
	return q
}
