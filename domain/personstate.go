package domain

import "slices"

// SuspendPerson lets nothing open for a person, who keeps what they were given.
//
// It has neither an end nor causes, which the suspensions of credentials and bookings
// have. Those are of one thing, and the door's gateway lifts them by itself; a person's
// standing also says what they may send and read, and whether all that they shared
// opens for others. Such a thing is lifted by a fact on record, by whoever saw that its
// reason is gone. For a while there are SuspendCredential until an instant and grants
// with a last day.
type SuspendPerson struct {
	Person ID `json:"person"`
}

func (SuspendPerson) urgent() bool       { return true }
func (SuspendPerson) permit() Permit     { return Permit{Role: RoleStaff} }
func (SuspendPerson) scope(*State) Scope { return Scope{} }
func (c SuspendPerson) decide(tx *Tx) *Refusal {
	p, r := tx.person(c.Person)
	if r != nil {
		return r
	}
	if r := tx.mayManage(c.Person); r != nil {
		return r
	}
	if p.State != PersonStateSuspended {
		tx.emit(PersonSuspended(c))
	}
	return nil
}

// mayManage refuses to suspend or reinstate a person whom the actor does not outrank
// (rule L1). It also refuses to suspend the only owner.
func (tx *Tx) mayManage(person ID) *Refusal {
	if tx.owner() == person && tx.RoleAt(tx.Actor.ID, "") == RoleOwner {
		return lastOwner(person)
	}
	return tx.above(tx.RoleAt(tx.Actor.ID, ""), person, tx.heldRole(person))
}

// PersonSuspended lets nothing open for a person.
type PersonSuspended struct {
	Person ID `json:"person"`
}

func (e PersonSuspended) fold(s *State, _ Moment) {
	s.People.Update(e.Person, func(p *Person) { p.State = PersonStateSuspended })
}
func (e PersonSuspended) affectedSites(s *State) []ID { return s.sitesOfPerson(e.Person) }

// ReinstatePerson ends a suspension.
type ReinstatePerson struct {
	Person ID `json:"person"`
}

func (ReinstatePerson) permit() Permit     { return Permit{Role: RoleStaff} }
func (ReinstatePerson) scope(*State) Scope { return Scope{} }
func (c ReinstatePerson) decide(tx *Tx) *Refusal {
	p, r := tx.person(c.Person)
	if r != nil {
		return r
	}
	if r := tx.mayManage(c.Person); r != nil {
		return r
	}
	if p.State == PersonStateSuspended {
		tx.emit(PersonReinstated(c))
	}
	return nil
}

// PersonReinstated ends a suspension. A person whose identity was not bound before
// is pending again.
type PersonReinstated struct {
	Person ID `json:"person"`
}

func (e PersonReinstated) fold(s *State, _ Moment) {
	s.People.Update(e.Person, func(p *Person) {
		p.State = PersonStateActive
		if p.Unbound {
			p.State = PersonStatePending
		}
	})
}
func (e PersonReinstated) affectedSites(s *State) []ID { return s.sitesOfPerson(e.Person) }

// ErasePerson forgets a person. It is final.
type ErasePerson struct {
	Person ID `json:"person"`
}

func (ErasePerson) urgent() bool       { return true }
func (ErasePerson) permit() Permit     { return Permit{Role: RoleSystemManager} }
func (ErasePerson) scope(*State) Scope { return Scope{} }
func (c ErasePerson) decide(tx *Tx) *Refusal {
	p, r := tx.People.find(c.Person, "person")
	if r != nil || p.State == PersonStateErased {
		return r
	}
	if r := tx.mayManage(c.Person); r != nil {
		return r
	}
	// Nobody else could be told whose things are in the unit.
	for id, b := range tx.Bookings.Each(BookingByPerson, c.Person) {
		if tx.checkBookingActive(b) == nil {
			return refuse("booking_active", "person %s is the primary tenant of booking %s; end or revoke it first", c.Person, id).about(id)
		}
	}
	if r := tx.checkNotLastOwner(c.Person); r != nil {
		return r
	}
	tx.keepDenied(c.Person)
	tx.emit(PersonErased{Person: c.Person, Keys: tx.keysOf(c.Person)})
	for _, b := range tx.bookingsOf(c.Person) {
		tx.settle(b)
	}
	return nil
}

// keysOf returns the ids of the keys that seal the personal values of a person, sorted.
// It includes the keys of the secrets of their credentials.
func (s *State) keysOf(person ID) []string {
	keys := []string{s.KeyOf(person)}
	for _, c := range s.Credentials.Each(CredentialByPerson, person) {
		if c.Subject != OrgSubject {
			keys = append(keys, s.KeyOf(c.Subject))
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	return slices.DeleteFunc(keys, func(k string) bool { return k == "" })
}

// bookingsOf returns the bookings of others under which a person has, or had,
// access: by a share, a place in the unit or a credential, sorted.
func (s *State) bookingsOf(person ID) []ID {
	var out []ID
	for _, sh := range s.Shares.Each(ShareByPerson, person) {
		out = append(out, sh.Booking)
	}
	for _, u := range s.UnitUsers.Each(UnitUserByPerson, person) {
		out = append(out, u.Booking)
	}
	for _, c := range s.Credentials.Each(CredentialByPerson, person) {
		if c.Booking != "" {
			out = append(out, c.Booking)
		}
	}
	return sortedIDs(out)
}

// PersonErased forgets a person. The vault destroys the keys that it names, and the
// fold alone ends all that the person might do. Past facts stay on record under the
// person's id.
type PersonErased struct {
	Person ID       `json:"person"`
	Keys   []string `json:"keys"` // ids of keys, sorted
}

func (e PersonErased) endedKeys() []string { return e.Keys }

func (e PersonErased) fold(s *State, m Moment) {
	s.People.Update(e.Person, func(p *Person) {
		p.Name, p.Email, p.Phone = Personal{}, Personal{}, Personal{}
		p.State = PersonStateErased
	})
	s.eraseCredentials(e.Person)
	for id := range s.RoleAssignments.Each(RoleByPerson, e.Person) {
		s.RoleAssignments.Delete(id)
	}
	for id := range s.Tokens.Each(TokenByPerson, e.Person) {
		s.endToken(id)
	}
	for id := range s.Grants.Each(GrantByPerson, e.Person) {
		RightRevoked{Grant: id}.fold(s, m)
	}
	for id, sh := range s.Shares.Each(ShareByPerson, e.Person) {
		if sh.State == ShareStateActive {
			ShareRevoked{Share: id, Cause: CauseByOperator}.fold(s, m)
		}
	}
	for _, g := range s.GroupMembers.Each(MemberByPerson, e.Person) {
		GroupMemberRemoved{Group: g.Group, Person: e.Person}.fold(s, m)
	}
	for _, u := range s.UnitUsers.Each(UnitUserByPerson, e.Person) {
		UnitUserRemoved{Unit: u.Unit, Person: e.Person}.fold(s, m)
	}
}

// eraseCredentials forgets what is personal about a person's credentials, ends
// those that live, and forgets which keys sealed all that.
func (s *State) eraseCredentials(person ID) {
	for id, c := range s.Credentials.Each(CredentialByPerson, person) {
		if c.Subject != OrgSubject {
			s.Keys.Delete(c.Subject)
		}
		s.setCredential(id, func(c *Credential) {
			c.Device = Personal{}
			if c.Subject != OrgSubject || !c.keepsNumber() {
				c.Number = Personal{}
			}
			if c.live() {
				c.State, c.Reason = CredentialStateRevoked, reasonPersonErased
			}
		})
	}
	s.Keys.Delete(person)
}

// reasonPersonErased is why the credentials of an erased person are revoked.
const reasonPersonErased = "person_erased"

func (e PersonErased) affectedSites(s *State) []ID { return s.sitesOfPerson(e.Person) }

// personScope is the scope of a record of one person: the sites at which they have or
// had something. Staff of other sites have no business with the person. A person who
// has nothing anywhere yet is in the scope of the staff of any site.
func (s *State) personScope(person ID) Scope {
	sc := atSites(s.sitesOfPerson(person)...)
	sc.AnySite, sc.Person = len(sc.Sites) == 0, person
	return sc
}

// sitesOfPerson returns the sites at which a person has, or had, access or a role,
// sorted.
func (s *State) sitesOfPerson(person ID) []ID {
	if !s.People.Has(person) {
		return nil // or is hidden from who asks
	}
	var sites []ID
	for _, r := range s.RoleAssignments.Each(RoleByPerson, person) {
		sites = append(sites, siteOrNone(r.Site)...)
	}
	for _, g := range s.Grants.Each(GrantByPerson, person) {
		sites = append(sites, s.atRight(g.Right).Sites...)
	}
	for _, b := range s.Bookings.Each(BookingByPerson, person) {
		sites = append(sites, b.Site)
	}
	for _, sh := range s.Shares.Each(ShareByPerson, person) {
		sites = append(sites, sh.Site)
	}
	for _, u := range s.UnitUsers.Each(UnitUserByPerson, person) {
		sites = append(sites, u.Site)
	}
	for _, m := range s.GroupMembers.Each(MemberByPerson, person) {
		sites = append(sites, s.sitesOfGroup(m.Group)...)
	}
	for site := range s.credentialSites(person) {
		sites = append(sites, site)
	}
	return sortedIDs(sites)
}
