package domain

import (
	"slices"
	"time"

	"gatehouse/domain/unlock"
)

// RecordKind is a kind of record that people read.
type RecordKind string

// The kinds of record: the nouns of the state, and what is kept beside it.
const (
	RecordOrg          RecordKind = "org"
	RecordSite         RecordKind = "site"
	RecordArea         RecordKind = "area"
	RecordDoor         RecordKind = "door"
	RecordUnit         RecordKind = "unit"
	RecordBooking      RecordKind = "booking"
	RecordPerson       RecordKind = "person"
	RecordRole         RecordKind = "role"
	RecordToken        RecordKind = "token"
	RecordSchedule     RecordKind = "schedule"
	RecordAccessRight  RecordKind = "access_right"
	RecordGrant        RecordKind = "grant"
	RecordShare        RecordKind = "share"
	RecordUnitUser     RecordKind = "unit_user"
	RecordGroup        RecordKind = "group"
	RecordGroupMember  RecordKind = "group_member"
	RecordReview       RecordKind = "review"
	RecordGateway      RecordKind = "gateway"
	RecordCredential   RecordKind = "credential"
	RecordRemoteUnlock RecordKind = "remote_unlock" // seen by those who see the activity at the door
	RecordActivity     RecordKind = "activity"      // what was observed at a door
	RecordDuress       RecordKind = "duress"        // that somebody was forced to open a door
	RecordCommit       RecordKind = "commit"        // a commit of the ledger, with its events
	RecordRefusal      RecordKind = "refusal"       // a command that was refused
)

// Record is what [Visible] judges: where a record belongs. [RecordOf], [ActivityRecord]
// and [DuressRecord] make it.
type Record struct {
	Kind    RecordKind
	Sites   []ID // at any of which a role of staff suffices; none: of the whole org
	Unit    ID   // the unit that it is about, not the one in which its person has a place
	Booking ID
	Group   ID
	Person  ID        // whose it is
	Sharer  ID        // of a share: who shared on what was shared with them
	Duress  bool      // a PIN for duress, which unit managers do not see
	At      time.Time // of what happened: an activity, an event, the end of a place in a unit; zero: it is so now
}

// RecordOf says where a row of the state belongs, given as the pointer that the
// tables yield. A value of another type is of no kind, and nobody sees it.
func RecordOf(s *State, row any) Record {
	switch r := row.(type) {
	case *Org:
		return Record{Kind: RecordOrg}
	case *Site:
		return Record{Kind: RecordSite, Sites: []ID{r.ID}}
	case *Area:
		return Record{Kind: RecordArea, Sites: []ID{r.Site}}
	case *Door:
		return Record{Kind: RecordDoor, Sites: []ID{r.Site}, Unit: r.Unit}
	case *Unit:
		return Record{Kind: RecordUnit, Sites: []ID{r.Site}, Unit: r.ID}
	case *Booking:
		return Record{Kind: RecordBooking, Sites: []ID{r.Site}, Unit: r.Unit, Booking: r.ID, Person: r.Person}
	case *Person:
		return Record{Kind: RecordPerson, Sites: s.sitesOfPerson(r.ID), Person: r.ID}
	case *RoleAssignment:
		return Record{Kind: RecordRole, Sites: siteOrNone(r.Site), Person: r.Person}
	case *Token:
		return Record{Kind: RecordToken, Person: r.Person}
	case *NamedSchedule:
		return Record{Kind: RecordSchedule}
	case *AccessRight:
		return Record{Kind: RecordAccessRight, Sites: r.Sites}
	case *Grant:
		return Record{Kind: RecordGrant, Sites: s.atRight(r.Right).Sites, Person: r.Person}
	case *Share:
		return Record{Kind: RecordShare, Sites: []ID{r.Site}, Unit: r.Unit, Booking: r.Booking, Person: r.Person, Sharer: s.shareScope(r.ID).Person}
	case *UnitUser:
		return Record{Kind: RecordUnitUser, Sites: []ID{r.Site}, Unit: r.Unit, Person: r.Person, At: r.RemovedAt}
	case *Group:
		return Record{Kind: RecordGroup, Sites: r.Sites, Group: r.ID}
	case *GroupMember:
		return Record{Kind: RecordGroupMember, Sites: s.sitesOfGroup(r.Group), Group: r.Group, Person: r.Person}
	case *Review:
		return Record{Kind: RecordReview, Sites: s.sitesOfUnit(r.Unit), Unit: r.Unit, Person: r.Person}
	case *Gateway:
		return Record{Kind: RecordGateway, Sites: []ID{r.Site}}
	case *UnlockRequest:
		record := Record{Kind: RecordRemoteUnlock, Sites: s.atDoor(r.Door).Sites, Person: r.Person, At: r.At}
		if d, ok := s.Doors.Get(r.Door); ok {
			record.Unit = d.Unit
		}
		return record
	case *Credential:
		sites := r.Sites
		if len(sites) == 0 {
			sites = s.sitesOfPerson(r.Person)
		}
		return Record{Kind: RecordCredential, Sites: sites, Unit: r.Unit, Booking: r.Booking, Person: r.Person, Duress: r.DuressOf != ""}
	}
	return Record{}
}

// ActivityRecord says where something belongs that was observed at a door of a
// site; door and person may be unknown.
func ActivityRecord(s *State, site, door, person ID, at time.Time) Record {
	r := Record{Kind: RecordActivity, Sites: []ID{site}, Person: person, At: at}
	if d, ok := s.Doors.Get(door); ok {
		r.Unit = d.Unit
	}
	return r
}

// DuressRecord says where it belongs that a person signalled duress at a site. It is
// told to that person and to those who work at the site (duress.go): neither to the
// managers of the unit, one of whom may be the one who forces somebody, nor is it kept
// back by the privacy of a unit, as it calls for help.
func DuressRecord(site, person ID, at time.Time) Record {
	return Record{Kind: RecordDuress, Sites: []ID{site}, Person: person, At: at}
}

// Visible reports whether a person may read a record, by what is on record about
// both:
//
//   - Staff and higher roles read what concerns the sites at which they have the
//     role, and what concerns no site; with a role at the org, all sites. Tokens,
//     commits and refusals take a system manager of the org. While a unit has
//     privacy they read neither its users nor what those do, then or later.
//   - Unit managers read, of their unit, the users with their keys and the
//     activity, and nothing of the installation (rule U2): at doors of the site only
//     what their own users did while they were.
//   - Members read their groups, owners and admins of a group its members.
//   - Anybody reads what is their own, and a tenant the shares of the own booking
//     with those they are for.
func Visible(s View, person ID, r Record) bool {
	return s.seenByStaff(person, r) && !s.private(r) || s.seenByOthers(person, r)
}

// reads reports whether somebody may read a record at all, as nobody may who is
// suspended.
func (s *State) reads(person ID, r Record) bool {
	p, ok := s.People.Get(person)
	return ok && p.State == PersonStateActive && r.Kind != ""
}

// seenByOthers reports whether a person may read a record without any role at a site.
func (s *State) seenByOthers(person ID, r Record) bool {
	return s.reads(person, r) && (r.Kind == RecordOrg || s.managerSees(person, r) || s.memberSees(person, r) || s.isOwn(person, r))
}

// seenByStaff reports whether a person may read a record by a role, unless it is
// private.
func (s View) seenByStaff(person ID, r Record) bool {
	if !s.reads(person, r) {
		return false
	}
	switch r.Kind {
	case RecordToken, RecordCommit, RecordRefusal:
		return s.RoleAt(person, "").AtLeast(RoleSystemManager)
	}
	if len(r.Sites) == 0 {
		return s.HighestRole(person).AtLeast(RoleStaff)
	}
	return slices.ContainsFunc(r.Sites, func(site ID) bool { return s.RoleAt(person, site).AtLeast(RoleStaff) })
}

func (s *State) managerSees(person ID, r Record) bool {
	switch r.Kind {
	case RecordUnit, RecordDoor, RecordUnitUser, RecordReview, RecordCredential:
		return !r.Duress && r.Unit != "" && s.manages(person, r.Unit)
	case RecordActivity, RecordRemoteUnlock:
		if r.Unit != "" {
			return s.manages(person, r.Unit) && s.sinceMovedIn(r.Unit, r.At)
		}
		return r.Person != "" && s.managesUser(person, r.Person, r.At)
	case RecordPerson:
		return s.meetsAsManager(person, r.Person)
	}
	return false
}

// meetsAsManager reports whether a unit manager may see the record of a user of the
// unit: not of somebody who was but named there.
func (s *State) meetsAsManager(person, user ID) bool {
	return s.UnitUsers.Any(UnitUserByPerson, user, func(u *UnitUser) bool {
		return !u.Unconfirmed && s.inPlace(u) && s.manages(person, u.Unit)
	})
}

// memberSees reports what a person reads of the groups that they are in.
func (s *State) memberSees(person ID, r Record) bool {
	switch r.Kind {
	case RecordGroup:
		return s.RoleInGroup(person, r.Group) != ""
	case RecordGroupMember:
		return s.RoleInGroup(person, r.Group).AtLeast(GroupAdmin)
	case RecordPerson:
		return s.GroupMembers.Any(MemberByPerson, r.Person, func(m *GroupMember) bool {
			return !m.Removed && !m.Unconfirmed && s.RoleInGroup(person, m.Group).AtLeast(GroupAdmin)
		})
	}
	return false
}

// manages reports whether a person is a unit manager of a unit.
func (s *State) manages(person, unit ID) bool {
	u, ok := s.UnitUsers.Get(unitUserKey(unit, person))
	return ok && u.Manager && s.inPlace(u)
}

// sinceMovedIn reports whether an instant belongs to the present tenancy of a unit:
// what the tenants before did is none of those who are there now.
func (s *State) sinceMovedIn(unit ID, at time.Time) bool {
	u, ok := s.Units.Get(unit)
	return ok && !at.Before(u.MovedInAt)
}

// managesUser reports whether a person is unit manager of a unit in which the other has
// a place. With an instant, the other must have had the place then; the zero instant
// asks for now.
func (s *State) managesUser(person, user ID, at time.Time) bool {
	for _, u := range s.UnitUsers.Each(UnitUserByPerson, user) {
		if s.inPlace(u) && (at.IsZero() || !at.Before(u.CreatedAt)) && s.manages(person, u.Unit) {
			return true
		}
	}
	return false
}

// isOwn reports whether a record is a person's own, or of a share of the
// person's own booking.
func (s *State) isOwn(person ID, r Record) bool {
	switch r.Kind {
	case RecordCommit, RecordRefusal:
		return false
	case RecordShare:
		if b, ok := s.Bookings.Get(r.Booking); ok && b.Person == person || r.Sharer == person {
			return true
		}
	case RecordPerson:
		if s.sharesWith(person, r.Person) {
			return true
		}
	case RecordUnit:
		return s.tenantOf(person, r.Unit)
	}
	return r.Person != "" && r.Person == person
}

// sharesWith reports whether the other has an active share by which they met a person:
// of whose booking it is, or who shared it on.
func (s *State) sharesWith(person, other ID) bool {
	return s.Shares.Any(ShareByPerson, other, func(sh *Share) bool {
		b, ok := s.Bookings.Get(sh.Booking)
		return ok && sh.State == ShareStateActive && !sh.Unconfirmed && (b.Person == person || s.shareScope(sh.ID).Person == person)
	})
}

// tenantOf reports whether a person is the primary tenant of a unit.
func (s *State) tenantOf(person, unit ID) bool {
	return s.Bookings.Any(BookingByUnit, unit, func(b *Booking) bool { return b.Person == person && !b.over() })
}

// WorksAt reports whether a person has a role from staff upwards at a site now.
func (s View) WorksAt(person, site ID) bool { return s.RoleAt(person, site).AtLeast(RoleStaff) }

// SeesBookingOf reports whether a viewer may read the booking of a grant; where it has
// none there is nothing to hide.
func (s View) SeesBookingOf(viewer ID, grant string) bool {
	booking := ID("")
	switch kind, id := GrantOf(grant); kind {
	case RecordShare:
		if sh, ok := s.Shares.Get(id); ok {
			booking = sh.Booking
		}
	case RecordUnitUser:
		if u, ok := s.UnitUsers.Get(id); ok {
			booking = u.Booking
		}
	}
	b, ok := s.Bookings.Get(booking)
	return !ok || Visible(s, viewer, RecordOf(s.State, b))
}

// CodeToldTo gives the code of a denial through a grant as the viewer may read it: of a
// booking that is not theirs they learn that it is suspended, and not how far.
func (s View) CodeToldTo(viewer, site ID, grant string, code RefusalCode) RefusalCode {
	if code != RefusalCode(unlock.DenyOverlock.String()) && code != RefusalCode(unlock.DenyGatelock.String()) {
		return code
	}
	if grant == "" || s.WorksAt(viewer, site) || s.SeesBookingOf(viewer, grant) {
		return code
	}
	return RefusalCode(unlock.DenyBookingSuspended.String())
}
