package domain

import (
	"time"

	"gatehouse/domain/schedule"
)

var mobileKeyMessages = messages{
	commands: []CommandType{
		command[IssueMobileKey]("Issues a mobile key for the phone or watch of a person.", MobileKeyIssued{}),
	},
	events: []EventType{event[MobileKeyIssued](1)},
}

// IssueMobileKey makes a device a key of a person. It opens whatever the person
// may, shared units too (rule F3); one that a unit manager gives opens what its
// holder may in that unit, and ends with their place there.
type IssueMobileKey struct {
	Credential ID        `json:"credential,omitempty"` // empty: an id is made
	Person     ID        `json:"person"`
	Unit       ID        `json:"unit,omitempty"`
	Device     Personal  `json:"device,omitzero" personal:"Person"` // as the holder calls it
	From       time.Time `json:"from,omitzero"`
	Until      time.Time `json:"until,omitzero"` // exclusive
}

func (IssueMobileKey) permit() Permit { return Permit{Role: RoleStaff, UnitManager: true, Self: true} }

// scope is the unit, or every site at which the key would open something.
func (c IssueMobileKey) scope(s *State) Scope {
	if c.Unit != "" {
		return s.unitScope(c.Unit)
	}
	return s.personScope(c.Person)
}

func (c IssueMobileKey) decide(tx *Tx) *Refusal {
	if _, r := tx.person(c.Person); r != nil {
		return r
	}
	if r := tx.checkTerm(tx.siteOfUse(nil, "", c.Unit), c.From, c.Until); r != nil {
		return r
	}
	e := MobileKeyIssued{Person: c.Person, Unit: c.Unit, Device: c.Device, From: c.From.UTC(), Until: c.Until.UTC()}
	if c.Unit == "" {
		if r := tx.checkMayIssueTo(c.Person, tx.sitesOfPerson(c.Person)); r != nil {
			return r
		}
	} else {
		unit, r := tx.movedIn(c.Unit)
		if r != nil {
			return r
		}
		if u, ok := tx.UnitUsers.Get(unitUserKey(c.Unit, c.Person)); !ok || !tx.inPlace(u) {
			return refuse("not_unit_user", "person %s is not a user of unit %s; add them with CreateUnitUser", c.Person, c.Unit).about(c.Person, c.Unit)
		}
		e.Booking = unit.Booking
	}
	if old, ok := tx.Credentials.Get(c.Credential); ok {
		if old.live() && e.same(old) {
			return nil
		}
		return refuse("credential_exists", "credential %s already exists", c.Credential).about(c.Credential)
	}
	if tx.mobileKeysOf(c.Person) >= maxMobileKeys {
		return refuse("too_many_mobile_keys", "person %s has %d mobile keys, the maximum; take one away first", c.Person, maxMobileKeys).about(c.Person)
	}
	if r := tx.checkUse(e.Person, e.Booking, e.From, e.Until, schedule.Schedule{}); r != nil {
		return r
	}
	e.Credential = tx.idFor(c.Credential, "credential")
	tx.emit(e)
	return nil
}

// maxMobileKeys bounds how many live mobile keys a person has: a device that is
// forgotten in a drawer opens as well.
const maxMobileKeys = 20

// mobileKeysOf counts the live mobile keys of a person.
func (s *State) mobileKeysOf(person ID) (n int) {
	for _, c := range s.Credentials.unsorted(CredentialByPerson, person) {
		if c.Kind == KindMobileKey && c.live() {
			n++
		}
	}
	return n
}

// MobileKeyIssued makes a device a key of a person.
type MobileKeyIssued struct {
	Credential ID        `json:"credential"`
	Person     ID        `json:"person"`
	Unit       ID        `json:"unit,omitempty"`
	Booking    ID        `json:"booking,omitempty"`
	Device     Personal  `json:"device,omitzero" personal:"Person"`
	From       time.Time `json:"from,omitzero"`
	Until      time.Time `json:"until,omitzero"` // exclusive
}

// same reports whether a credential is what the event would make.
func (e MobileKeyIssued) same(c *Credential) bool {
	return c.Kind == KindMobileKey && c.Person == e.Person && c.Unit == e.Unit && c.Booking == e.Booking &&
		c.From.Equal(e.From) && c.Until.Equal(e.Until)
}

func (e MobileKeyIssued) fold(s *State, m Moment) {
	s.Credentials.Put(e.Credential, Credential{ID: e.Credential, Kind: KindMobileKey, Subject: e.Person, Person: e.Person,
		Unit: e.Unit, Booking: e.Booking, Device: e.Device, State: CredentialStateActive, From: e.From, Until: e.Until,
		SharedBy: m.Actor})
}
func (e MobileKeyIssued) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }
