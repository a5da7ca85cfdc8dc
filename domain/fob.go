package domain

import (
	"slices"
	"time"

	"gatehouse/domain/cardnumber"
	"gatehouse/domain/schedule"
)

var fobMessages = messages{
	commands: []CommandType{
		command[AssignFob]("Gives a fob or card to a tenant, to staff or a vendor, or to a unit user.", FobAssigned{}),
		command[RemoveFob]("Takes a fob or card back from its holder.", FobRemoved{}),
	},
	events: []EventType{event[FobAssigned](1), event[FobRemoved](1)},
}

// AssignFob gives a fob or card to its holder. It names one of three things that
// it is for:
//
//   - a booking: the holder is its primary tenant and nobody else, unless the
//     site's policy lets shared users hold fobs (rules F1, F2 and F6). It opens
//     what this booking opens, and ends with it. The tenant may send this (rule F4).
//   - a unit that is moved in: the holder has a place in it (rule U10). Unit
//     managers give what the unit has in stock, staff any.
//   - sites: the holder is staff or a vendor there, with a role or a grant.
//
// A key of a unit's stock is given by its id, without a number.
type AssignFob struct {
	Credential ID             `json:"credential,omitempty"`           // empty: an id is made
	Kind       CredentialKind `json:"kind,omitempty" enum:"fob,card"` // fob (default) or card
	Format     string         `json:"format,omitempty"`               // of the number: raw (default), uid, wiegand26, wiegand34 or wiegand37
	Number     Personal       `json:"number,omitzero" personal:"Person"`
	Person     ID             `json:"person"`
	Booking    ID             `json:"booking,omitempty"`
	Unit       ID             `json:"unit,omitempty"`
	Sites      []ID           `json:"sites,omitempty"`
	From       time.Time      `json:"from,omitzero"`
	Until      time.Time      `json:"until,omitzero"` // exclusive
	// ConsentRef refers to the proof that the tenant agreed, as the code that was
	// sent to their phone. It must say nothing about a person.
	ConsentRef ID `json:"consent_ref,omitempty"`
}

func (AssignFob) permit() Permit { return Permit{Role: RoleStaff, Primary: true, UnitManager: true} }
func (c AssignFob) scope(s *State) Scope {
	unit := c.Unit
	if stock, ok := s.Credentials.Get(c.Credential); ok && stock.fromStock() && stock.Person == "" {
		unit = stock.Unit
	}
	sc := s.unitScope(unit)
	if c.Booking != "" && sc.Unknown == nil {
		_, sc.Unknown = s.Bookings.find(c.Booking, "booking")
	}
	sc.Booking = c.Booking
	sc.Sites = append(append(sc.Sites, s.sitesOfBooking(c.Booking)...), c.Sites...)
	return sc
}

func (c AssignFob) decide(tx *Tx) *Refusal {
	if _, r := tx.person(c.Person); r != nil {
		return r
	}
	if r := tx.checkTerm(tx.siteOfUse(c.Sites, c.Booking, c.Unit), c.From, c.Until); r != nil {
		return r
	}
	if old, ok := tx.Credentials.Get(c.Credential); ok && old.fromStock() && old.Person == "" && old.live() {
		return c.assignStock(tx, old)
	}
	e := FobAssigned{Kind: orDefault(c.Kind, KindFob), Format: orDefault(c.Format, cardnumber.Raw), Number: c.Number,
		Person: c.Person, From: c.From.UTC(), Until: c.Until.UTC(), ConsentRef: c.ConsentRef}
	form, r := checkKey(e.Kind, e.Format, e.Number)
	if r != nil {
		return r
	}
	e.Number = form
	if r := c.holder(tx, &e); r != nil {
		return r
	}
	if old, ok := tx.Credentials.Get(c.Credential); ok {
		if old.live() && e.same(old) {
			return nil
		}
		return refuse("credential_exists", "credential %s already exists", c.Credential).about(c.Credential)
	}
	if r := tx.numberFree(e.Sites, e.Format, e.Number); r != nil {
		return r
	}
	if r := tx.checkUse(e.Person, e.Booking, e.From, e.Until, schedule.Schedule{}); r != nil {
		return r
	}
	e.Credential = tx.idFor(c.Credential, "credential")
	tx.emit(e)
	return nil
}

// numberFree refuses a number that another credential has at one of the sites.
func (tx *Tx) numberFree(sites []ID, format string, number Personal) *Refusal {
	for _, site := range sites {
		for id, c := range tx.Credentials.Each(credentialByNumber, numberAt(site, format, number.Text())) {
			switch {
			case !tx.operates(site):
				// The message does not name the holder, which would tell tenants about
				// their neighbours.
				return refuse("number_in_use", "at site %s the number is taken", site).about(site)
			case !c.live():
				return refuse("number_denied", "at site %s the number is on the deny list under %s", site, id).about(id, site)
			}
			return refuse("number_in_use", "at site %s the number is that of credential %s; remove that first", site, id).about(id, site)
		}
	}
	return nil
}

// holder checks that the person may hold the fob for what it is given, and fills
// in what follows.
func (c AssignFob) holder(tx *Tx, e *FobAssigned) *Refusal {
	switch {
	case c.Booking != "" && c.Unit == "" && len(c.Sites) == 0:
		return c.forTenant(tx, e)
	case c.Booking == "" && c.Unit != "" && len(c.Sites) == 0:
		return c.forUnitUser(tx, e)
	case c.Booking == "" && c.Unit == "" && len(c.Sites) > 0:
		return c.forService(tx, e)
	}
	return invalid("invalid_field", "give exactly one of booking, unit and sites")
}

func (c AssignFob) forTenant(tx *Tx, e *FobAssigned) *Refusal {
	b, r := tx.standing(c.Booking)
	if r != nil {
		return r
	}
	site, r := tx.Sites.find(b.Site, "site")
	if r != nil {
		return r
	}
	e.Booking, e.Sites = b.ID, []ID{b.Site}
	shared := tx.hasShare(b.ID, c.Person)
	switch {
	case c.Person == b.Person:
	case shared && site.Policy.FobHolders == "anyone":
	case shared:
		return sharedUserFob(c.Person)
	default:
		return refuse("not_primary_tenant", "person %s is not the primary tenant of booking %s", c.Person, b.ID).about(c.Person, b.ID)
	}
	if site.Policy.Consent == "required" && c.ConsentRef == "" && !tx.isActor(c.Person) {
		return refuse("consent_required", "site %s requires consent_ref, the proof that the holder agreed", site.ID).about(site.ID)
	}
	return nil
}

func sharedUserFob(person ID) *Refusal {
	return refuse("shared_user_fob_forbidden", "shared users have no fobs: person %s may use the mobile app", person).about(person)
}

func (c AssignFob) forUnitUser(tx *Tx, e *FobAssigned) *Refusal {
	unit, r := tx.movedIn(c.Unit)
	if r != nil {
		return r
	}
	if !tx.operates(unit.Site) {
		return tx.notFromStock(unit.ID)
	}
	e.Unit, e.Booking, e.Sites = unit.ID, unit.Booking, []ID{unit.Site}
	return tx.hasPlace(unit, c.Person)
}

// hasPlace refuses a person who has no place in the unit: neither its tenant nor a
// unit user.
func (tx *Tx) hasPlace(unit *Unit, person ID) *Refusal {
	if tx.placed(unit, person) {
		return nil
	}
	if tx.hasShare(unit.Booking, person) {
		return sharedUserFob(person)
	}
	return refuse("not_unit_user", "person %s is not a user of unit %s; add them with CreateUnitUser", person, unit.ID).about(person, unit.ID)
}

// placed reports whether a person has a place in a unit: as its tenant, or as a
// unit user.
func (s *State) placed(unit *Unit, person ID) bool {
	if b, ok := s.Bookings.Get(unit.Booking); ok && b.Person == person {
		return true
	}
	u, ok := s.UnitUsers.Get(unitUserKey(unit.ID, person))
	return ok && s.inPlace(u)
}

func (c AssignFob) forService(tx *Tx, e *FobAssigned) *Refusal {
	e.Sites = sortedIDs(c.Sites)
	for _, id := range e.Sites {
		site, r := tx.Sites.find(id, "site")
		switch {
		case r != nil:
			return r
		case site.Policy.FobHolders == "anyone":
		case !tx.servesAt(c.Person, id):
			return tx.notInService(c.Person, id)
		case site.Policy.ServiceFobs == "forbidden":
			return refuse("service_fobs_forbidden", "site %s does not allow fobs for staff and vendors; its policy service_fobs says so", id).about(id)
		}
	}
	return tx.checkMayIssueTo(c.Person, e.Sites)
}

// servesAt reports whether a person is staff or a vendor at a site: has a role
// there or at the org, or a grant to doors there.
func (s *State) servesAt(person, site ID) bool {
	return s.RoleAssignments.Has(roleKey(person, "")) || s.RoleAssignments.Has(roleKey(person, site)) ||
		s.Grants.Any(GrantByPerson, person, func(g *Grant) bool { return !g.Revoked && s.rightAt(g.Right, site) })
}

// notInService says why somebody who is neither staff nor a vendor at a site gets
// no fob for it.
func (tx *Tx) notInService(person, site ID) *Refusal {
	if tx.Bookings.Any(BookingByPerson, person, func(b *Booking) bool { return b.Site == site && tx.checkBookingActive(b) == nil }) {
		return refuse("booking_missing", "person %s is a tenant at site %s: name the booking that the fob is for", person, site).about(person)
	}
	if tx.Shares.Any(ShareByPerson, person, func(sh *Share) bool { return sh.Site == site && sh.State == ShareStateActive }) {
		return sharedUserFob(person)
	}
	return refuse("fob_holder_not_permitted", "at site %s only primary tenants, staff and vendors hold fobs; person %s is none of these", site, person).about(person, site)
}

// checkMayIssueTo refuses to issue a credential to a person whose role is above the sender's
// (rule L1). It compares the roles at each site where the credential opens: a sender
// who holds the credential would have the access of the higher role.
func (tx *Tx) checkMayIssueTo(person ID, sites []ID) *Refusal {
	if tx.isActor(person) || tx.Actor.Kind != ActorPerson {
		return nil
	}
	if len(sites) == 0 {
		sites = []ID{""}
	}
	for _, site := range sites {
		if theirs, own := tx.roleHeldFor(person, site), tx.RoleAt(tx.Actor.ID, site); theirs.AtLeast(RoleStaff) && own.rank() < theirs.rank() {
			return forbid("role_not_permitted", "person %s is %s: it needs that role or a higher one (%s), and %s is %s",
				person, theirs, atSites(site).place(), tx.Actor.ID, roleName(own)).about(person)
		}
	}
	return nil
}

// FobAssigned gives a fob or card to its holder. One of a unit's stock bears no
// number: that is known, and sealed as what belongs to the unit.
type FobAssigned struct {
	Credential ID             `json:"credential"`
	Kind       CredentialKind `json:"kind"`
	Format     string         `json:"format"`
	Number     Personal       `json:"number,omitzero" personal:"Person"`
	Person     ID             `json:"person"`
	Booking    ID             `json:"booking,omitempty"`
	Unit       ID             `json:"unit,omitempty"`
	Sites      []ID           `json:"sites"` // sorted
	From       time.Time      `json:"from,omitzero"`
	Until      time.Time      `json:"until,omitzero"` // exclusive
	ConsentRef ID             `json:"consent_ref,omitempty"`
}

// same reports whether a credential is what the event would make.
func (e FobAssigned) same(c *Credential) bool {
	return c.Kind == e.Kind && c.Format == e.Format && c.Number.Same(e.Number) && c.Person == e.Person &&
		c.Booking == e.Booking && c.Unit == e.Unit && slices.Equal(c.Sites, e.Sites) &&
		c.From.Equal(e.From) && c.Until.Equal(e.Until)
}

func (e FobAssigned) fold(s *State, m Moment) {
	c := Credential{ID: e.Credential, Kind: e.Kind, Format: e.Format, Number: e.Number, Subject: e.Person, Person: e.Person,
		Booking: e.Booking, Unit: e.Unit, Sites: e.Sites, State: CredentialStateActive, From: e.From, Until: e.Until,
		Consent: e.ConsentRef, SharedBy: m.Actor}
	if stock, ok := s.Credentials.Get(e.Credential); ok && stock.fromStock() {
		c.Number, c.Subject = stock.Number, stock.Subject
	}
	if b, ok := s.Bookings.Get(e.Booking); ok && e.Unit == "" {
		c.Shared = b.Person != e.Person
	}
	s.Credentials.Put(e.Credential, c)
}
func (e FobAssigned) fills(tx *Tx) filling      { return tx.filledWith(e.Credential, e.Person, e.Booking) }
func (e FobAssigned) affectedSites(*State) []ID { return e.Sites }

// RemoveFob takes a fob or card back. Its number may be given again; a key of a
// unit's stock that still works returns there, and one that is suspended with it, until
// ReinstateCredential.
type RemoveFob struct {
	Credential ID `json:"credential"`
	Reason     ID `json:"reason,omitempty"` // a short word, returned by default; it must say nothing about a person
}

func (RemoveFob) urgent() bool           { return true }
func (RemoveFob) permit() Permit         { return Permit{Role: RoleStaff, Primary: true, UnitManager: true} }
func (c RemoveFob) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c RemoveFob) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	switch {
	case r != nil:
		return r
	case cr.Kind != KindFob && cr.Kind != KindCard:
		return refuse("not_a_fob", "credential %s is a %s, not a fob or card; send RevokeCredential", cr.ID, cr.Kind).about(cr.ID)
	case cr.live() && cr.State != CredentialStateStock:
		tx.emit(FobRemoved{Credential: cr.ID, Reason: string(orDefault(c.Reason, "returned"))})
	}
	return nil
}

// FobRemoved takes a fob or card back from its holder.
type FobRemoved struct {
	Credential ID     `json:"credential"`
	Reason     string `json:"reason"`
}

func (e FobRemoved) fold(s *State, m Moment) {
	c, ok := s.Credentials.Get(e.Credential)
	if !ok {
		return
	}
	booking, was, until := c.Booking, c.State, c.SuspendedUntil
	s.Credentials.Update(e.Credential, func(c *Credential) {
		c.State, c.Reason, c.SuspendedUntil = CredentialStateRemoved, e.Reason, time.Time{}
	})
	if c.fromStock() && (was == CredentialStateActive || was == CredentialStateSuspended) {
		s.Credentials.Update(e.Credential, func(c *Credential) { c.returnToStock(was, until, m.At) })
	}
	s.noteOwed(booking)
}

// returnToStock puts a key back that works or is suspended. Nothing of its holder is
// left, who may have been of the tenants before, and a suspension lasts: who returns a
// key and gives it again does not lift it.
func (c *Credential) returnToStock(was CredentialState, until, at time.Time) {
	c.State, c.Person, c.Booking, c.Consent, c.Reason, c.SharedBy = CredentialStateStock, "", "", "", "", Actor{}
	c.From, c.Until = time.Time{}, time.Time{}
	if was == CredentialStateSuspended && (until.IsZero() || at.Before(until)) {
		c.State = CredentialStateSuspended
	}
}
func (FobRemoved) consequence()                  {}
func (e FobRemoved) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// checkKey refuses what is no physical key, and gives its number the one form that
// the format has: one card has one number, however it was typed.
func checkKey(kind CredentialKind, format string, typed Personal) (Personal, *Refusal) {
	switch {
	case kind != KindFob && kind != KindCard:
		return typed, invalid("invalid_field", "kind: must be fob or card")
	case typed.Text() == "":
		return typed, invalid("invalid_field", "number: a value is required")
	}
	form, err := cardnumber.Canonical(format, typed.Text())
	if err != nil {
		return typed, invalid("card_format", "%v", err)
	}
	return Clear(form), nil
}
