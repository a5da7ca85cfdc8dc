package domain

import (
	"reflect"
	"slices"
	"time"
)

// PrivacyPeriod is a time in which a unit has privacy. The staff of the site see
// neither its users nor what they do. Records made during the period stay hidden from
// the staff after it has ended, so the period is kept.
type PrivacyPeriod struct {
	From  time.Time `json:"from"`           // inclusive
	Until time.Time `json:"until,omitzero"` // inclusive; zero: it lasts
}

// maxPrivacyPeriods bounds how often a unit can get privacy, since every time is
// kept for ever.
const maxPrivacyPeriods = 200

var privacyMessages = messages{
	commands: []CommandType{
		command[SetUnitPrivacy]("Turns the privacy of a unit on or off: whether staff of the site see its users and their activity.", UnitPrivacySet{}),
	},
	events: []EventType{event[UnitPrivacySet](1)},
}

// SetUnitPrivacy gives a unit privacy or ends it. A unit manager sends it; where
// there is none nobody could see who is in the unit, so that privacy ends with the
// last one.
type SetUnitPrivacy struct {
	Unit    ID   `json:"unit"`
	Enabled bool `json:"enabled"`
}

func (SetUnitPrivacy) permit() Permit         { return Permit{UnitManager: true} }
func (c SetUnitPrivacy) scope(s *State) Scope { return s.unitScope(c.Unit) }
func (c SetUnitPrivacy) decide(tx *Tx) *Refusal {
	unit, r := tx.movedIn(c.Unit)
	switch {
	case r != nil:
		return r
	case unit.private() == c.Enabled:
		return nil
	case c.Enabled && len(unit.Privacy) >= maxPrivacyPeriods:
		return refuse("too_many_periods", "unit %s has had privacy %d times, the maximum", c.Unit, maxPrivacyPeriods).about(c.Unit)
	}
	tx.emit(UnitPrivacySet(c))
	return nil
}

// UnitPrivacySet gives a unit privacy or ends it.
type UnitPrivacySet struct {
	Unit    ID   `json:"unit"`
	Enabled bool `json:"enabled"`
}

func (e UnitPrivacySet) fold(s *State, m Moment) {
	if !e.Enabled {
		s.endPrivacy(e.Unit, m.At)
		return
	}
	s.Units.Update(e.Unit, func(u *Unit) {
		if !u.private() {
			u.Privacy = append(slices.Clip(u.Privacy), PrivacyPeriod{From: m.At})
		}
	})
}
func (e UnitPrivacySet) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }

// endPrivacy ends the privacy of a unit that has it.
func (s *State) endPrivacy(unit ID, at time.Time) {
	if u, ok := s.Units.Get(unit); ok && u.private() {
		s.Units.Update(unit, func(u *Unit) {
			u.Privacy = slices.Clone(u.Privacy)
			u.Privacy[len(u.Privacy)-1].Until = at
		})
	}
}

// keepPrivacy ends the privacy of a unit that has no unit manager any more.
func (s *State) keepPrivacy(unit ID, at time.Time) {
	if !s.UnitUsers.Any(UnitUserByUnit, unit, func(u *UnitUser) bool { return u.Manager && s.inPlace(u) }) {
		s.endPrivacy(unit, at)
	}
}

// private reports whether a unit has privacy now.
func (u *Unit) private() bool {
	return len(u.Privacy) > 0 && u.Privacy[len(u.Privacy)-1].Until.IsZero()
}

// privateAt reports whether a unit had privacy at an instant; the zero instant
// asks for now.
func (s *State) privateAt(unit ID, at time.Time) bool {
	u, ok := s.Units.Get(unit)
	if !ok || at.IsZero() {
		return ok && u.private()
	}
	return slices.ContainsFunc(u.Privacy, func(p PrivacyPeriod) bool {
		return !at.Before(p.From) && (p.Until.IsZero() || !at.After(p.Until))
	})
}

// private reports whether the privacy of a unit keeps a record from those who work
// at the site: what is about a user of the unit now, and what was done at the time.
func (s *State) private(r Record) bool {
	if !s.Units.HasBy(unitWithPrivacy, "") {
		return false
	}
	switch r.Kind {
	case RecordUnitUser, RecordReview, RecordShare, RecordCommit:
		return s.privateAt(r.Unit, r.At)
	case RecordActivity, RecordRemoteUnlock:
		return s.privateAt(r.Unit, r.At) || r.Unit == "" && s.usedPrivate(r.Person, r.Sites, r.At) != ""
	case RecordCredential:
		return r.Person != "" && (s.privateAt(r.Unit, r.At) || s.onlyPrivate(r.Person))
	case RecordPerson:
		return s.onlyPrivate(r.Person)
	}
	return false
}

// usedPrivate returns a unit with privacy at an instant of which the person was a user
// then. Empty means that no such unit exists at the sites. Staff of the sites cannot
// hide there what they do, so it is empty for them.
func (s *State) usedPrivate(person ID, sites []ID, at time.Time) ID {
	if person == "" || slices.ContainsFunc(sites, func(site ID) bool { return s.worksAt(person, site) }) {
		return ""
	}
	for _, u := range s.UnitUsers.Each(UnitUserByPerson, person) {
		if slices.Contains(sites, u.Site) && (u.RemovedAt.IsZero() || !at.After(u.RemovedAt)) && s.privateAt(u.Unit, at) {
			return u.Unit
		}
	}
	for _, sh := range s.Shares.Each(ShareByPerson, person) {
		if slices.Contains(sites, sh.Site) && s.privateAt(sh.Unit, at) {
			return sh.Unit
		}
	}
	return ""
}

// onlyPrivate reports whether those who work for the operator know a person from
// nothing but units with privacy.
func (s *State) onlyPrivate(person ID) bool {
	if !s.onlyUser(person) ||
		s.UnitUsers.Any(UnitUserByPerson, person, func(u *UnitUser) bool { return !s.privateAt(u.Unit, u.RemovedAt) }) ||
		s.Shares.Any(ShareByPerson, person, func(sh *Share) bool { return !s.privateAt(sh.Unit, time.Time{}) }) {
		return false
	}
	return s.UnitUsers.HasBy(UnitUserByPerson, person) || s.Shares.HasBy(ShareByPerson, person)
}

// onlyUser reports whether a person is nothing to the operator but perhaps a user of
// units: no tenant, nobody with a role, a grant, a group or a key of a site.
func (s *State) onlyUser(person ID) bool {
	return person != "" && !s.RoleAssignments.HasBy(RoleByPerson, person) && !s.Bookings.HasBy(BookingByPerson, person) && !s.Grants.HasBy(GrantByPerson, person) && !s.GroupMembers.HasBy(MemberByPerson, person) &&
		!s.Credentials.Any(CredentialByPerson, person, func(c *Credential) bool { return len(c.Sites) > 0 && c.Unit == "" })
}

// CommitRecord says where a commit belongs as a whole: what a user of a unit with
// privacy sent is theirs, whatever it did.
func CommitRecord(s *State, actor Actor, at time.Time) Record {
	r := Record{Kind: RecordCommit, At: at}
	if actor.Kind == ActorPerson {
		r.Unit = s.privateUnitOf(actor.ID, at)
	}
	return r
}

// EventRecord says where an event of a commit belongs. [Visible] judges a commit
// as a whole first, and then each of its events, since some may be about users of
// a unit that had privacy at the time.
func EventRecord(s *State, e Event, at time.Time) Record {
	return Record{Kind: RecordCommit, Unit: s.unitOfEvent(e, at), At: at}
}

// AnswerTells reports whether the answer to a command tells its sender of an event. The
// event is a consequence at an instant; the commands are pointers to those that were
// sent. An end or review for users of a unit with privacy is told to its unit managers
// and its tenant alone, unless the command names it: otherwise a trial would be a way
// to list the users.
func AnswerTells(s *State, sender ID, commands []any, e Event, at time.Time) bool {
	if _, follows := e.(consequence); !follows || !HasPrivacy(s) {
		return true
	}
	unit := s.unitOfEvent(e, at)
	if unit == "" || !s.privateAt(unit, at) || s.manages(sender, unit) || s.tenantOf(sender, unit) {
		return true
	}
	return slices.ContainsFunc(commands, func(c any) bool {
		return slices.ContainsFunc([]string{"Person", "Credential", "Share"}, func(field string) bool {
			id := idIn(e, field)
			return id != "" && id == idIn(c, field)
		})
	})
}

// HasPrivacy reports whether any unit has, or had, privacy: where none has, those
// who may read commits may read every event of them.
func HasPrivacy(s *State) bool { return s.Units.HasBy(unitWithPrivacy, "") }

// teller is an event that tells of users of a unit by other fields than those that
// [State.unitOfEvent] knows.
type teller interface {
	// tells returns the unit of whose users the event tells; none for all others.
	tells(s *State, at time.Time) ID
}

// unitOfEvent is the unit of whose users an event tells, by the credential, share,
// review or person that it names; none for all others.
func (s *State) unitOfEvent(e Event, at time.Time) ID {
	if t, ok := e.(teller); ok {
		return t.tells(s, at)
	}
	if c, ok := s.Credentials.Get(idIn(e, "Credential")); ok && c.Person != "" {
		if c.Unit != "" {
			return c.Unit
		}
		return s.privateUnitOf(c.Person, at)
	}
	if sh, ok := s.Shares.Get(idIn(e, "Share")); ok {
		return sh.Unit
	}
	if r, ok := s.Reviews.Get(idIn(e, "Review")); ok {
		return r.Unit
	}
	return s.privateUnitOf(idIn(e, "Person"), at)
}

// privateUnitOf returns a unit with privacy at an instant of which a person is a user
// or sharee. The person has nothing else from the operator. Empty means that there is
// no such unit.
func (s *State) privateUnitOf(person ID, at time.Time) ID {
	if !s.onlyUser(person) {
		return ""
	}
	for _, u := range s.UnitUsers.Each(UnitUserByPerson, person) {
		if s.privateAt(u.Unit, at) {
			return u.Unit
		}
	}
	for _, sh := range s.Shares.Each(ShareByPerson, person) {
		if s.privateAt(sh.Unit, at) {
			return sh.Unit
		}
	}
	return ""
}

// idIn is the id in a field of an event or a command. Empty means that it has no such
// field.
func idIn(of any, field string) ID {
	f := reflect.Indirect(reflect.ValueOf(of)).FieldByName(field)
	if !f.IsValid() {
		return ""
	}
	id, _ := f.Interface().(ID)
	return id
}
