package domain

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// Person is somebody with access, a role or both. A pending person is known by
// e-mail or phone alone; nothing opens for them until their identity is bound.
type Person struct {
	ID        ID          `json:"id"`
	Name      Personal    `json:"name,omitzero" personal:"ID"`
	Email     Personal    `json:"email,omitzero" personal:"ID"`
	Phone     Personal    `json:"phone,omitzero" personal:"ID"`
	State     PersonState `json:"state"`
	Unbound   bool        `json:"unbound,omitzero"` // the identity is not bound yet, also while suspended
	CreatedBy Actor       `json:"created_by"`
	CreatedAt time.Time   `json:"created_at"`
}

// PersonState says whether anything opens for a person.
type PersonState string

// The states of a person.
const (
	PersonStateActive    PersonState = "active"
	PersonStatePending   PersonState = "pending" // identity not bound yet (rule B2, L7)
	PersonStateSuspended PersonState = "suspended"
	PersonStateErased    PersonState = "erased" // final; the personal values are gone
)

func (p *Person) keys() []key[Person] {
	var k []key[Person]
	if e := p.Email.Text(); e != "" {
		k = append(k, key[Person]{personByEmail, ID(normalEmail(e))})
	}
	if t := p.Phone.Text(); t != "" {
		k = append(k, key[Person]{personByPhone, ID(normalPhone(t))})
	}
	return k
}

var personMessages = messages{
	commands: []CommandType{
		command[RegisterPerson]("Registers a person in the org.", PersonRegistered{}),
		command[ChangePerson]("Changes the name, the e-mail address or the phone number of a person; fields that are left out stay.", PersonChanged{}),
		command[BindIdentity]("Confirms the identity of a pending person: from now on their access is in effect.", IdentityBound{}),
		command[SuspendPerson]("Suspends a person: nothing opens for them and no command of theirs is accepted until they are reinstated.", PersonSuspended{}),
		command[ReinstatePerson]("Ends the suspension of a person.", PersonReinstated{}),
		command[ErasePerson]("Erases a person: destroys the key of their personal data and ends all their access. It is final.",
			PersonErased{}, CredentialNumberKept{}, ShareRevoked{}, ShareEnded{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}, UnitUserRemoved{}),
	},
	events: []EventType{
		event[PersonRegistered](1), event[PersonChanged](1), event[IdentityBound](1), event[PersonSuspended](1),
		event[PersonReinstated](1), event[PersonErased](1),
	},
}

// person returns a person who was not erased, or refuses.
func (tx *Tx) person(id ID) (*Person, *Refusal) {
	p, r := tx.People.find(id, "person")
	if r != nil {
		return nil, r
	}
	if p.State == PersonStateErased {
		return nil, refuse("person_erased", "person %s was erased; nothing can be given to them or changed", id).about(id)
	}
	return p, nil
}

// hides reports whether a person is there whom the sender may not see. Parts of the
// service see all.
func (tx *Tx) hides(id ID) bool {
	p, ok := tx.People.Get(id)
	return ok && tx.Actor.Kind == ActorPerson && tx.Actor.ID != id && !Visible(tx.View, tx.Actor.ID, RecordOf(tx.State, p))
}

// unconfirmed reports whether somebody who does not work at a site names a person who
// was known before. That the sender knows an address, or an id, does not bring what else
// is on record before the eyes of those who see the place in the unit, the share or the
// membership; only when the person confirms who they are it does.
func (tx *Tx) unconfirmed(person ID, sites ...ID) bool {
	if tx.Actor.Kind != ActorPerson || slices.ContainsFunc(sites, tx.operates) {
		return false
	}
	p, ok := tx.People.Get(person)
	return ok && p.CreatedBy != tx.Actor
}

// RegisterPerson makes a person known to the org.
type RegisterPerson struct {
	Person ID       `json:"person,omitempty"` // empty: an id is made
	Name   Personal `json:"name,omitzero" personal:"Person,new"`
	Email  Personal `json:"email,omitzero" personal:"Person,new"`
	Phone  Personal `json:"phone,omitzero" personal:"Person,new"`
}

func (RegisterPerson) permit() Permit     { return Permit{Role: RoleStaff} }
func (RegisterPerson) scope(*State) Scope { return Scope{AnySite: true} }
func (c RegisterPerson) decide(tx *Tx) *Refusal {
	id := tx.idFor(c.Person, "person")
	if tx.People.Has(id) {
		return refuse("person_exists", "person %s already exists", id).about(id)
	}
	if r := tx.checkAddresses(id, c.Email, c.Phone); r != nil {
		return r
	}
	tx.emit(PersonRegistered{Person: id, Name: c.Name, Email: c.Email, Phone: c.Phone})
	return nil
}

// checkAddresses refuses what is no address, and the e-mail address of somebody
// else: shares find people by it.
func (tx *Tx) checkAddresses(person ID, email, phone Personal) *Refusal {
	if r := checkAddressesSeen(email, phone); r != nil {
		return r
	}
	if e := email.Text(); e != "" {
		if !plausibleEmail(e) {
			return invalid("invalid_field", "email: not valid; write it like anna@example.com")
		}
		for _, other := range tx.People.IDs(personByEmail, ID(normalEmail(e))) {
			if other != person {
				if tx.hides(other) {
					return refuse("email_in_use", "the e-mail address belongs to somebody else in the org; ask a system manager whose it is")
				}
				return refuse("email_in_use", "the e-mail address belongs to person %s; if that person is pending, send BindIdentity", other).about(other)
			}
		}
	}
	if p := phone.Text(); p != "" && len(normalPhone(p)) < 3 {
		return invalid("invalid_field", "phone: not valid; write it like +49 30 123456")
	}
	return nil
}

// checkAddressesSeen refuses addresses with what is not seen, also joiners, which names
// need: an address would be another than the one that people read.
func checkAddressesSeen(email, phone Personal) *Refusal {
	if err := checkSeen(email.Text(), unseen); err != nil {
		return invalid("invalid_field", "email: %v", err)
	}
	if err := checkSeen(phone.Text(), unseen); err != nil {
		return invalid("invalid_field", "phone: %v", err)
	}
	return nil
}

// plausibleEmail tells an address from a name or a typing error; whether it
// receives anything only a message shows.
func plausibleEmail(s string) bool {
	local, host, ok := strings.Cut(normalEmail(s), "@")
	return ok && local != "" && host != "" && !strings.ContainsAny(s, "<>,;") &&
		!strings.Contains(host, "@") && !strings.ContainsFunc(strings.TrimSpace(s), unicode.IsSpace)
}

// normalPhone folds a phone number for comparison: digits and a plus before them.
func normalPhone(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '+' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// PersonRegistered makes a person known; pending when only an address is known.
type PersonRegistered struct {
	Person  ID       `json:"person"`
	Name    Personal `json:"name,omitzero" personal:"Person"`
	Email   Personal `json:"email,omitzero" personal:"Person"`
	Phone   Personal `json:"phone,omitzero" personal:"Person"`
	Pending bool     `json:"pending,omitzero"`
}

func (e PersonRegistered) fold(s *State, m Moment) {
	p := Person{ID: e.Person, Name: e.Name, Email: e.Email, Phone: e.Phone,
		State: PersonStateActive, Unbound: e.Pending, CreatedBy: m.Actor, CreatedAt: m.At}
	if e.Pending {
		p.State = PersonStatePending
	}
	s.People.Put(e.Person, p)
}
func (PersonRegistered) affectedSites(*State) []ID { return nil }

// PersonField names a personal field of a person.
type PersonField string

// The fields of a person that may be cleared.
const (
	FieldName  PersonField = "name"
	FieldEmail PersonField = "email"
	FieldPhone PersonField = "phone"
)

func (f PersonField) check() error { return oneOf(f, FieldName, FieldEmail, FieldPhone) }

// ChangePerson changes what is known about a person; what is left out stays.
type ChangePerson struct {
	Person ID              `json:"person"`
	Name   Given[Personal] `json:"name,omitzero" personal:"Person"`
	Email  Given[Personal] `json:"email,omitzero" personal:"Person"`
	Phone  Given[Personal] `json:"phone,omitzero" personal:"Person"`
}

func (ChangePerson) permit() Permit         { return Permit{Role: RoleStaff, Self: true} }
func (c ChangePerson) scope(s *State) Scope { return s.personScope(c.Person) }
func (c ChangePerson) decide(tx *Tx) *Refusal {
	p, r := tx.person(c.Person)
	if r != nil {
		return r
	}
	if r := c.checkSender(tx, p); r != nil {
		return r
	}
	if r := tx.checkAddresses(c.Person, c.Email.Value, c.Phone.Value); r != nil {
		return r
	}
	e := PersonChanged{Person: c.Person, Name: changed(p.Name, c.Name), Email: changed(p.Email, c.Email), Phone: changed(p.Phone, c.Phone)}
	for _, f := range []PersonField{FieldEmail, FieldName, FieldPhone} {
		switch given := c.field(f); {
		case given.Null && !p.field(f).Empty():
			e.Cleared = append(e.Cleared, f)
		case given.Named && !given.Null && given.Value.Empty():
			return invalid("invalid_field", "%s: must not be empty; to clear it, give null", f)
		}
	}
	if e.Name.Empty() && e.Email.Empty() && e.Phone.Empty() && len(e.Cleared) == 0 {
		return nil
	}
	tx.emit(e)
	return nil
}

// checkSender lets higher roles change those below them (rule L1), and people change
// themselves. A person without a role may not change their own addresses: access is
// shared with the holder of an address, so staff check it first.
func (c ChangePerson) checkSender(tx *Tx, p *Person) *Refusal {
	if tx.Actor != PersonActor(c.Person) {
		return tx.above(tx.HighestRole(tx.Actor.ID), c.Person, tx.heldRole(c.Person))
	}
	readdressed := !changed(p.Email, c.Email).Empty() || !changed(p.Phone, c.Phone).Empty()
	if readdressed && !tx.HighestRole(c.Person).AtLeast(RoleStaff) {
		return forbid("role_not_permitted", "e-mail addresses and phone numbers are changed by staff, who check that they belong to the person").about(c.Person)
	}
	return nil
}

// changed is the new value where there is one and it differs.
func changed(old Personal, now Given[Personal]) Personal {
	if now.Value.Empty() || now.Value.Same(old) {
		return Personal{}
	}
	return now.Value
}

func (p *Person) field(f PersonField) *Personal {
	return map[PersonField]*Personal{FieldName: &p.Name, FieldEmail: &p.Email, FieldPhone: &p.Phone}[f]
}

func (c *ChangePerson) field(f PersonField) *Given[Personal] {
	return map[PersonField]*Given[Personal]{FieldName: &c.Name, FieldEmail: &c.Email, FieldPhone: &c.Phone}[f]
}

// PersonChanged gives new values to the fields that it holds, and empties others.
type PersonChanged struct {
	Person  ID            `json:"person"`
	Name    Personal      `json:"name,omitzero" personal:"Person"`
	Email   Personal      `json:"email,omitzero" personal:"Person"`
	Phone   Personal      `json:"phone,omitzero" personal:"Person"`
	Cleared []PersonField `json:"cleared,omitempty"` // sorted
}

func (e PersonChanged) fold(s *State, _ Moment) {
	s.People.Update(e.Person, func(p *Person) {
		p.Name, p.Email, p.Phone = orDefault(e.Name, p.Name), orDefault(e.Email, p.Email), orDefault(e.Phone, p.Phone)
		for _, f := range e.Cleared {
			*p.field(f) = Personal{}
		}
	})
}
func (PersonChanged) affectedSites(*State) []ID { return nil }

// BindIdentity makes a pending person active, once they have shown that the
// address by which they are known is theirs.
type BindIdentity struct {
	Person ID `json:"person"`
}

func (BindIdentity) permit() Permit         { return Permit{Role: RoleStaff, Service: true} }
func (c BindIdentity) scope(s *State) Scope { return s.personScope(c.Person) }
func (c BindIdentity) decide(tx *Tx) *Refusal {
	p, r := tx.person(c.Person)
	if r == nil && p.Unbound {
		tx.emit(IdentityBound(c))
	}
	return r
}

// IdentityBound says that a person is who was meant.
type IdentityBound struct {
	Person ID `json:"person"`
}

func (e IdentityBound) fold(s *State, _ Moment) {
	for id, sh := range s.Shares.Each(ShareByPerson, e.Person) {
		if sh.Unconfirmed {
			s.Shares.Update(id, func(sh *Share) { sh.Unconfirmed = false })
		}
	}
	for id, u := range s.UnitUsers.Each(UnitUserByPerson, e.Person) {
		if u.Unconfirmed {
			s.UnitUsers.Update(id, func(u *UnitUser) { u.Unconfirmed = false })
		}
	}
	for id, m := range s.GroupMembers.Each(MemberByPerson, e.Person) {
		if m.Unconfirmed {
			s.GroupMembers.Update(id, func(m *GroupMember) { m.Unconfirmed = false })
		}
	}
	s.People.Update(e.Person, func(p *Person) {
		p.Unbound = false
		if p.State == PersonStatePending {
			p.State = PersonStateActive
		}
	})
}
func (e IdentityBound) affectedSites(s *State) []ID { return s.sitesOfPerson(e.Person) }

// MayKnowDoor reports whether somebody may know that a door exists. They may when they
// may read its record, or were ever given something that opens it. To all others the
// door is as one that never existed.
func (s View) MayKnowDoor(viewer, door ID) bool {
	d, ok := s.Doors.Get(door)
	return ok && s.reads(viewer, RecordOf(s.State, d)) && (Visible(s, viewer, RecordOf(s.State, d)) || s.wasGiven(viewer, d))
}

// MayKnowSite reports whether somebody may know that a site exists. They may when they
// may read its record, or were ever given something of it.
func (s View) MayKnowSite(viewer, site ID) bool {
	r, ok := s.Sites.Get(site)
	if !ok || !s.reads(viewer, RecordOf(s.State, r)) {
		return false
	}
	return Visible(s, viewer, RecordOf(s.State, r)) || len(s.GrantsAt(viewer, site)) > 0 ||
		s.UnitUsers.Any(UnitUserByPerson, viewer, func(u *UnitUser) bool { return u.Site == site })
}

// wasGiven reports whether anything that was ever given to a person opens a door.
func (s *State) wasGiven(person ID, d *Door) bool {
	opens := func(right ID) bool {
		r, ok := s.AccessRights.Get(right)
		return ok && slices.Contains(r.Doors, d.ID)
	}
	ofUnit := func(unit, site ID) bool {
		u, ok := s.Units.Get(unit)
		return ok && site == d.Site && slices.ContainsFunc(u.Rights, func(r UnitRight) bool { return opens(r.Right) })
	}
	return s.Bookings.Any(BookingByPerson, person, func(b *Booking) bool { return ofUnit(b.Unit, b.Site) }) ||
		s.Shares.Any(ShareByPerson, person, func(sh *Share) bool { return ofUnit(sh.Unit, sh.Site) }) ||
		s.UnitUsers.Any(UnitUserByPerson, person, func(u *UnitUser) bool {
			return u.Site == d.Site && slices.ContainsFunc(u.Access, func(a UnitAccess) bool { return opens(a.Right) })
		}) ||
		s.Grants.Any(GrantByPerson, person, func(g *Grant) bool { return opens(g.Right) }) ||
		s.GroupMembers.Any(MemberByPerson, person, func(m *GroupMember) bool {
			g, ok := s.Groups.Get(m.Group)
			return ok && slices.Contains(g.Doors, d.ID)
		})
}

// wasInUnit reports whether somebody ever had a booking, a share or a place in a unit.
func (s *State) wasInUnit(viewer ID, u *Unit) bool {
	return s.Bookings.Any(BookingByPerson, viewer, func(b *Booking) bool { return b.Unit == u.ID }) ||
		s.Shares.Any(ShareByPerson, viewer, func(sh *Share) bool { return sh.Unit == u.ID }) ||
		s.UnitUsers.Any(UnitUserByPerson, viewer, func(in *UnitUser) bool { return in.Unit == u.ID })
}

// hadRight reports whether somebody has, or had, an access right, or is or was in a unit
// that has it.
func (s *State) hadRight(viewer ID, r *AccessRight) bool {
	return s.Grants.Any(GrantByPerson, viewer, func(g *Grant) bool { return g.Right == r.ID }) ||
		s.UnitUsers.Any(UnitUserByPerson, viewer, func(u *UnitUser) bool {
			return slices.ContainsFunc(u.Access, func(a UnitAccess) bool { return a.Right == r.ID })
		}) ||
		s.Units.Any(UnitByRight, r.ID, func(u *Unit) bool { return s.wasInUnit(viewer, u) })
}
