package domain

import (
	"errors"
	"slices"
	"time"

	"gatehouse/domain/schedule"
)

// # Why a PIN has a secret beside its id
//
// The digits are sealed under a key of their own, which is destroyed when they
// end: by the end of the PIN, or because it gets other digits. A subject has one
// key, so that the digits have a subject of their own, the secret: with the
// credential as the subject, new digits would be sealed under the very key that
// their event destroys. The credential stays the same, and so does the count of
// its uses.

// formatPin is the format of the digits of a PIN.
const formatPin = "pin"

// maxPins bounds how many live PINs a person may have. Each makes a guess likelier
// to hit, and the PINs of all others longer. Those for duress are not counted, which
// a refusal would tell of: there is one for each PIN at most.
const maxPins = 20

// maxUses bounds how often a PIN with a number of uses opens.
const maxUses = 1000

var pinMessages = messages{
	commands: []CommandType{
		command[IssuePin]("Issues a PIN for a person. The service chooses its digits and shows them once, in the answer.", PinIssued{}),
		command[IssueOneTimePin]("Issues a PIN that opens once. The service chooses its digits and shows them once, in the answer.", PinIssued{}),
		command[RotatePin]("Replaces the digits of a PIN; the new ones are shown once, in the answer.", PinRotated{}),
	},
	events: []EventType{event[PinIssued](1), event[PinRotated](1), event[PinRevoked](1), event[PinLeaked](1)},
}

// IssuePin makes a PIN for a person. It names one of three things that it is for:
//
//   - a booking: the holder is its tenant, or somebody with whom it is shared. It
//     opens what this booking opens for the holder, and ends with it.
//   - a unit that is moved in: the holder has a place in it.
//   - sites: the holder has a role, a grant or a group there. It opens what the holder may.
//
// Nobody chooses the digits, which would tell who else has them: the command takes
// the first of the [Candidates] that is free.
type IssuePin struct {
	Credential ID        `json:"credential,omitempty"` // empty: an id is made
	Person     ID        `json:"person"`
	Booking    ID        `json:"booking,omitempty"`
	Unit       ID        `json:"unit,omitempty"`
	Sites      []ID      `json:"sites,omitempty"`
	From       time.Time `json:"from,omitzero"`
	Until      time.Time `json:"until,omitzero"` // exclusive
	// Times are recurring windows of the sites' weeks within that, as of weekly
	// visits; none: always.
	Times schedule.Schedule `json:"times,omitzero"`
	// BufferBefore and BufferAfter widen from and until, in minutes, 0 to 720.
	BufferBefore int `json:"buffer_before,omitzero"`
	BufferAfter  int `json:"buffer_after,omitzero"`
	// MaxUses is how often it opens, at most 1,000; 0: as often as wanted. The gateway
	// of its doors counts; several gateways need the site's policy uses.
	MaxUses int `json:"max_uses,omitzero"`
	madeDigits
}

func (IssuePin) permit() Permit {
	return Permit{Role: RoleStaff, Primary: true, UnitManager: true, Self: true}
}

func (c IssuePin) scope(s *State) Scope {
	sc := s.unitScope(c.Unit)
	if c.Booking != "" && sc.Unknown == nil {
		_, sc.Unknown = s.Bookings.find(c.Booking, "booking")
	}
	sc.Booking, sc.Person = c.Booking, c.Person
	sc.Sites = append(append(sc.Sites, s.sitesOfBooking(c.Booking)...), c.Sites...)
	return sc
}

func (c IssuePin) decide(tx *Tx) *Refusal {
	if _, r := tx.person(c.Person); r != nil {
		return r
	}
	e := PinIssued{Person: c.Person, From: c.From.UTC(), Until: c.Until.UTC(), Times: c.Times,
		BufferBefore: c.BufferBefore, BufferAfter: c.BufferAfter, MaxUses: c.MaxUses}
	if r := e.check(tx, tx.siteOfUse(c.Sites, c.Booking, c.Unit)); r != nil {
		return r
	}
	if tx.Credentials.Has(c.Credential) {
		return refuse("credential_exists", "credential %s already exists; to change the digits of a PIN, send RotatePin", c.Credential).about(c.Credential)
	}
	if r := c.holder(tx, &e); r != nil {
		return r
	}
	if r := e.findHome(tx); r != nil {
		return r
	}
	if r := tx.checkUse(e.Person, e.Booking, shifted(e.From, -e.BufferBefore), shifted(e.Until, e.BufferAfter), e.Times); r != nil {
		return r
	}
	if r := tx.roomForPin(c.Person); r != nil {
		return r
	}
	number, r := tx.freePin(e.Sites, c.digits)
	if r != nil {
		return r
	}
	e.Number, e.Credential, e.Secret = number, tx.idFor(c.Credential, "credential"), tx.idFor("", "secret")
	tx.emit(e)
	return nil
}

// check refuses terms that cannot be, and gives those their one form.
func (e *PinIssued) check(tx *Tx, site ID) *Refusal {
	if r := tx.checkTerm(site, e.From, e.Until); r != nil {
		return r
	}
	if r := checkTimes(e.Times); r != nil {
		return r
	}
	if t := e.Times; len(t.Windows) == 0 {
		if !t.ValidFrom.IsZero() || !t.ValidUntil.IsZero() || t.Holidays != "" && !t.Always {
			return invalid("invalid_field", "times: at least one window is required; to limit the period instead, use from and until")
		}
		e.Times = schedule.Schedule{}
	}
	if e.MaxUses < 0 || e.MaxUses > maxUses {
		return invalid("invalid_field", "max_uses: must be 0 to %d", maxUses)
	}
	if r := checkBuffers(e.BufferBefore, e.BufferAfter); r != nil {
		return r
	}
	if err := errors.Join(CheckInstant(shifted(e.From, -e.BufferBefore)), CheckInstant(shifted(e.Until, e.BufferAfter))); err != nil {
		return invalid("invalid_field", "from, until: with its buffer, %v", err)
	}
	return nil
}

// roomForPin refuses more PINs than one person may have.
func (tx *Tx) roomForPin(person ID) *Refusal {
	if tx.pinsOf(person) < maxPins {
		return nil
	}
	return refuse("too_many_pins", "person %s has %d PINs, the maximum; take one away first", person, maxPins).about(person)
}

// pinsOf counts the live PINs of a person but for those for duress.
func (s *State) pinsOf(person ID) (n int) {
	for _, c := range s.Credentials.unsorted(CredentialByPerson, person) {
		if c.Kind == KindPin && c.DuressOf == "" && c.live() {
			n++
		}
	}
	return n
}

// holder checks that the person may have the PIN for what it is made, and fills in
// what follows.
func (c IssuePin) holder(tx *Tx, e *PinIssued) *Refusal {
	switch {
	case c.Booking != "" && c.Unit == "" && len(c.Sites) == 0:
		b, r := tx.standing(c.Booking)
		if r != nil {
			return r
		}
		if c.Person != b.Person && !tx.hasShare(b.ID, c.Person) {
			return refuse("pin_holder_not_permitted", "person %s is neither the tenant of booking %s nor shares it", c.Person, b.ID).about(c.Person, b.ID)
		}
		e.Booking, e.Sites = b.ID, []ID{b.Site}
		return nil
	case c.Booking == "" && c.Unit != "" && len(c.Sites) == 0:
		unit, r := tx.movedIn(c.Unit)
		if r != nil {
			return r
		}
		if !tx.placed(unit, c.Person) {
			return refuse("not_unit_user", "person %s is not a user of unit %s; add them with CreateUnitUser", c.Person, unit.ID).about(c.Person, unit.ID)
		}
		e.Unit, e.Booking, e.Sites = unit.ID, unit.Booking, []ID{unit.Site}
		return nil
	case c.Booking == "" && c.Unit == "" && len(c.Sites) > 0:
		return c.forSites(tx, e)
	}
	return invalid("invalid_field", "give exactly one of booking, unit and sites")
}

func (c IssuePin) forSites(tx *Tx, e *PinIssued) *Refusal {
	e.Sites = sortedIDs(c.Sites)
	for _, id := range e.Sites {
		if _, r := tx.Sites.find(id, "site"); r != nil {
			return r
		}
		if !tx.servesAt(c.Person, id) && !tx.inGroupAt(c.Person, id) {
			return refuse("pin_holder_not_permitted", "at site %s person %s has neither a role nor a grant nor a group; name the booking or the unit that the PIN is for", id, c.Person).about(c.Person, id)
		}
	}
	return tx.checkMayIssueTo(c.Person, e.Sites)
}

// inGroupAt reports whether a person is in a group with doors at a site.
func (s *State) inGroupAt(person, site ID) bool {
	return s.GroupMembers.Any(MemberByPerson, person, func(m *GroupMember) bool {
		g, ok := s.Groups.Get(m.Group)
		return ok && !m.Removed && !g.Ended && slices.Contains(g.Sites, site)
	})
}

// PinIssued makes a PIN. Its digits are sealed under the key of the secret.
type PinIssued struct {
	Credential   ID                `json:"credential"`
	Number       Personal          `json:"number" personal:"Secret"`
	Secret       ID                `json:"secret"`
	Person       ID                `json:"person"`
	Booking      ID                `json:"booking,omitempty"`
	Unit         ID                `json:"unit,omitempty"`
	Sites        []ID              `json:"sites"` // sorted
	From         time.Time         `json:"from,omitzero"`
	Until        time.Time         `json:"until,omitzero"` // exclusive
	Times        schedule.Schedule `json:"times,omitzero"`
	BufferBefore int               `json:"buffer_before,omitzero"` // minutes
	BufferAfter  int               `json:"buffer_after,omitzero"`
	MaxUses      int               `json:"max_uses,omitzero"`
	Home         ID                `json:"home,omitempty"`      // gateway that counts the uses; none: each counts for itself
	DuressOf     ID                `json:"duress_of,omitempty"` // PIN that it is for duress of; none: an ordinary one
}

func (e PinIssued) toldOnce() ID { return e.Secret }

func (e PinIssued) fold(s *State, m Moment) {
	c := Credential{ID: e.Credential, Kind: KindPin, Format: formatPin, Number: e.Number, Subject: e.Secret, Person: e.Person,
		Booking: e.Booking, Unit: e.Unit, Sites: e.Sites, State: CredentialStateActive,
		From: shifted(e.From, -e.BufferBefore), Until: shifted(e.Until, e.BufferAfter),
		Times: e.Times, MaxUses: e.MaxUses, Home: e.Home, DuressOf: e.DuressOf, SharedBy: m.Actor}
	if pin, ok := s.Credentials.Get(e.DuressOf); ok {
		c.State, c.Reason, c.SuspendedUntil, c.Denied = pin.State, pin.Reason, pin.SuspendedUntil, pin.Denied
	}
	if b, ok := s.Bookings.Get(e.Booking); ok && e.Unit == "" {
		c.Shared = b.Person != e.Person
	}
	s.Credentials.Put(e.Credential, c)
}
func (e PinIssued) fills(tx *Tx) filling      { return tx.filledWith(e.Credential, e.Person, e.Booking) }
func (e PinIssued) affectedSites(*State) []ID { return e.Sites }

// IssueOneTimePin makes a PIN that opens once, as [IssuePin] does with one use.
type IssueOneTimePin struct {
	Credential   ID                `json:"credential,omitempty"` // empty: an id is made
	Person       ID                `json:"person"`
	Booking      ID                `json:"booking,omitempty"`
	Unit         ID                `json:"unit,omitempty"`
	Sites        []ID              `json:"sites,omitempty"`
	From         time.Time         `json:"from,omitzero"`
	Until        time.Time         `json:"until,omitzero"` // exclusive
	Times        schedule.Schedule `json:"times,omitzero"`
	BufferBefore int               `json:"buffer_before,omitzero"` // minutes, 0 to 720
	BufferAfter  int               `json:"buffer_after,omitzero"`
	madeDigits
}

// pin is the same with one use said.
func (c IssueOneTimePin) pin() IssuePin {
	return IssuePin{Credential: c.Credential, Person: c.Person, Booking: c.Booking, Unit: c.Unit, Sites: c.Sites, From: c.From,
		Until: c.Until, Times: c.Times, BufferBefore: c.BufferBefore, BufferAfter: c.BufferAfter, MaxUses: 1, madeDigits: c.madeDigits}
}

func (IssueOneTimePin) permit() Permit           { return IssuePin{}.permit() }
func (c IssueOneTimePin) scope(s *State) Scope   { return c.pin().scope(s) }
func (c IssueOneTimePin) decide(tx *Tx) *Refusal { return c.pin().decide(tx) }

// to change the digits of a PIN, send RotatePin, for one that was forgotten or overheard: the
// old ones cannot be told any more (rule L13). Everything else stays, a suspension
// too, and how often it was used.
type RotatePin struct {
	Credential ID `json:"credential"`
	madeDigits
}

func (RotatePin) permit() Permit         { return credentialManagers }
func (c RotatePin) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c RotatePin) decide(tx *Tx) *Refusal {
	cr, r := tx.livePin(c.Credential)
	if r != nil {
		return r
	}
	if r := tx.mayRotate(cr); r != nil {
		return r
	}
	number, r := tx.freePin(cr.Sites, c.digits, tx.besides(cr)...)
	if r != nil {
		return r
	}
	tx.emit(PinRotated{Credential: cr.ID, Number: number, Secret: tx.idFor("", "secret"), Keys: tx.keysOfPins(cr.ID)})
	return nil
}

// livePin finds a PIN that has not ended.
func (tx *Tx) livePin(id ID) (*Credential, *Refusal) {
	c, r := tx.Credentials.find(id, "credential")
	switch {
	case r != nil:
		return nil, r
	case c.Kind != KindPin:
		return nil, refuse("not_a_pin", "credential %s is a %s, not a PIN", c.ID, c.Kind).about(c.ID)
	case !c.live(), !c.Until.IsZero() && !tx.At.Before(c.Until):
		return nil, refuse("credential_ended", "PIN %s has ended; this is final: issue a new one", c.ID).about(c.ID)
	}
	return c, nil
}

// mayRotate refuses new digits for a holder who may no longer have the PIN. A PIN
// without a booking opens for its holder as a person, so the sender must also outrank
// the holder: the sender is told the digits and has that access too.
func (tx *Tx) mayRotate(cr *Credential) *Refusal {
	if cr.Booking == "" {
		return tx.checkMayIssueTo(cr.Person, cr.Sites)
	}
	b, r := tx.standing(cr.Booking)
	if r != nil {
		return r
	}
	if why := tx.credentialFallsFor(cr, b); why != "" {
		return refuse("holder_not_permitted", "person %s may not hold credential %s any more: %s", cr.Person, cr.ID, why).about(cr.Person)
	}
	return nil
}

// PinRotated gives a PIN other digits, and orders the key of the old ones to be
// destroyed.
type PinRotated struct {
	Credential ID       `json:"credential"`
	Number     Personal `json:"number" personal:"Secret"`
	Secret     ID       `json:"secret"`
	Keys       []string `json:"keys"` // of the old digits
}

func (e PinRotated) toldOnce() ID        { return e.Secret }
func (e PinRotated) endedKeys() []string { return e.Keys }
func (e PinRotated) fold(s *State, _ Moment) {
	s.endSecret(e.Credential)
	s.Credentials.Update(e.Credential, func(c *Credential) { c.Number, c.Subject = e.Number, e.Secret })
}
func (e PinRotated) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }
