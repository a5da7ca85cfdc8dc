package domain

import (
	"slices"
	"time"

	"gatehouse/domain/schedule"
)

// Credential is what a person shows at a door. Its number is personal: it stands
// nowhere in clear.
type Credential struct {
	ID      ID              `json:"id"`
	Kind    CredentialKind  `json:"kind"`
	Format  string          `json:"format,omitempty"` // of the number: raw, uid, wiegand26 …, pin
	Number  Personal        `json:"number,omitzero" personal:"Subject"`
	Subject ID              `json:"subject"`           // whose key seals the number: the person, org while in stock, the secret of a PIN
	Person  ID              `json:"person,omitempty"`  // the holder; empty: in stock
	Booking ID              `json:"booking,omitempty"` // it opens what this booking opens; empty: staff, vendors, mobile keys
	Unit    ID              `json:"unit,omitempty"`    // stock of a unit, or held as a unit user
	Sites   []ID            `json:"sites,omitempty"`   // at which it is known, sorted; none: at all (mobile keys)
	State   CredentialState `json:"state"`
	Denied  bool            `json:"denied,omitzero"` // on the deny list, whatever the state
	Reason  string          `json:"reason,omitempty"`
	From    time.Time       `json:"from,omitzero"`
	Until   time.Time       `json:"until,omitzero"` // exclusive
	// Times are the recurring windows within that of a PIN; none: always.
	Times   schedule.Schedule `json:"times,omitzero"`
	MaxUses int               `json:"max_uses,omitzero"` // how often it opens; 0: as often as wanted
	Home    ID                `json:"home,omitempty"`    // gateway that counts the uses; none: each counts for itself
	// DuressOf is the PIN that it is for duress of, and follows; none: it is not.
	DuressOf ID `json:"duress_of,omitempty"`
	// Leaked is the stolen gateway with which the PIN ended: its digits stay taken.
	Leaked ID `json:"leaked,omitempty"`
	// SuspendedUntil ends a suspension by itself, exclusive; zero: until it is lifted.
	SuspendedUntil time.Time `json:"suspended_until,omitzero"`
	Shared         bool      `json:"shared,omitzero"` // held by somebody with whom the booking is shared (rule F6)
	Device         Personal  `json:"device,omitzero" personal:"Subject"`
	Consent        ID        `json:"consent_ref,omitempty"`
	SharedBy       Actor     `json:"shared_by,omitzero"` // who gave it (rule U11); none: it was returned to stock
}

// CredentialKind is the kind of thing that is shown.
type CredentialKind string

// The kinds of credential.
const (
	KindFob       CredentialKind = "fob"
	KindCard      CredentialKind = "card" // cards and wristbands
	KindPin       CredentialKind = "pin"
	KindMobileKey CredentialKind = "mobile_key"
)

func (k CredentialKind) check() error { return oneOf(k, KindFob, KindCard, KindPin, KindMobileKey) }

// CredentialState says whether a credential opens anything.
type CredentialState string

// The states of a credential. Removed, revoked and expired are final: the number
// may be given again.
const (
	CredentialStateStock     CredentialState = "stock" // known, with nobody
	CredentialStateActive    CredentialState = "active"
	CredentialStateSuspended CredentialState = "suspended"
	CredentialStateLost      CredentialState = "lost"
	CredentialStateStolen    CredentialState = "stolen"
	CredentialStateDamaged   CredentialState = "damaged"
	CredentialStateRevoked   CredentialState = "revoked"
	CredentialStateRemoved   CredentialState = "removed"
	CredentialStateExpired   CredentialState = "expired"
)

// live reports whether the number is taken.
func (c *Credential) live() bool {
	switch c.State {
	case CredentialStateRevoked, CredentialStateRemoved, CredentialStateExpired:
		return false
	}
	return true
}

// fromStock reports whether the credential belongs to the stock of a unit, where
// it returns to.
func (c *Credential) fromStock() bool { return c.Subject == OrgSubject && c.Unit != "" }

// knownAt reports whether the credential is known at a site by itself.
func (c *Credential) knownAt(site ID) bool { return slices.Contains(c.Sites, site) }

func (c *Credential) keys() []key[Credential] {
	var k []key[Credential]
	if c.Person != "" {
		k = append(k, key[Credential]{CredentialByPerson, c.Person})
		if len(c.Sites) == 0 {
			k = append(k, key[Credential]{credentialRoaming, c.Person})
		}
	}
	if c.Booking != "" {
		k = append(k, key[Credential]{CredentialByBooking, c.Booking})
		if c.live() {
			k = append(k, key[Credential]{credentialBound, c.Booking})
		}
	}
	if c.Unit != "" {
		k = append(k, key[Credential]{CredentialByUnit, c.Unit})
	}
	for _, s := range c.Sites {
		k = append(k, key[Credential]{CredentialBySite, s})
	}
	// A number on the deny list stays taken: it must open nothing for anybody. So do
	// digits that a thief knows.
	if n := c.Number.Text(); n != "" && (c.live() || c.Denied || c.Leaked != "") {
		for _, s := range c.Sites {
			k = append(k, key[Credential]{credentialByNumber, numberAt(s, c.Format, n)})
		}
	}
	if c.Kind == KindPin {
		k = append(k, c.pinKeys()...)
	}
	return k
}

// credentialScope is the scope of what concerns one credential. One that is known
// at no site of its own is of the sites of its holder; one for duress is nothing to
// tenants and unit managers.
func (s *State) credentialScope(id ID) Scope {
	c, unknown := s.Credentials.find(id, "credential")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	sc := s.personScope(c.Person)
	if len(c.Sites) > 0 {
		sc = atSites(c.Sites...)
	}
	sc.Person = c.Person
	if c.DuressOf == "" {
		sc.Booking, sc.Unit = c.Booking, c.Unit
	}
	return sc
}

// sitesOfCredential is the sites at which a credential opens something: its own,
// or those of its holder.
func (s *State) sitesOfCredential(id ID) []ID {
	c, ok := s.Credentials.Get(id)
	switch {
	case !ok:
		return nil
	case len(c.Sites) == 0 && c.Person != "":
		return s.sitesOfPerson(c.Person)
	}
	return c.Sites
}

// setCredential changes an existing credential and the PIN for duress that belongs to
// it. It then notes whether its booking or its gateway still has to end it.
func (s *State) setCredential(id ID, change func(*Credential)) {
	for _, id := range s.withDuress(id) {
		s.Credentials.Update(id, change)
	}
	c, ok := s.Credentials.Get(id)
	if ok && c.Booking != "" {
		s.noteOwed(c.Booking)
	}
	if ok && c.Home != "" {
		s.noteOwedGateway(c.Home)
	}
}

var credentialMessages = messages{
	commands: []CommandType{
		command[RevokeCredential]("Revokes a credential for good.", CredentialRevoked{}, PinRevoked{}),
		command[ReportCredential]("Reports a credential as lost, stolen or damaged: it opens nothing.", CredentialReported{}),
		command[SuspendCredential]("Suspends a credential.", CredentialSuspended{}),
		command[ReinstateCredential]("Lets a credential open again that was suspended, lost, stolen or damaged.", CredentialReinstated{}),
		command[ExpireCredential]("Puts the end of a credential by time on record; the service sends it.", CredentialExpired{}),
		command[AddToDenyList]("Puts a credential and its number on the deny list.", CredentialDenied{}),
		command[RemoveFromDenyList]("Takes a credential off the deny list.", CredentialDenialLifted{}),
	},
	events: []EventType{
		event[CredentialRevoked](1), event[CredentialReported](1), event[CredentialSuspended](1),
		event[CredentialReinstated](1), event[CredentialExpired](1), event[CredentialDenied](1),
		event[CredentialDenialLifted](1), event[CredentialNumberKept](1),
	},
}

// credentialManagers may take a credential out of use: staff, the tenant of its booking, a
// unit manager of its unit, and its holder.
var credentialManagers = Permit{Role: RoleStaff, Primary: true, UnitManager: true, Self: true}

// RevokeCredential takes a credential away for good; its number may be given again.
type RevokeCredential struct {
	Credential ID `json:"credential"`
	Cause      ID `json:"cause,omitempty"` // a short word; it must say nothing about a person
}

func (RevokeCredential) urgent() bool           { return true }
func (RevokeCredential) permit() Permit         { return credentialManagers }
func (c RevokeCredential) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c RevokeCredential) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	if r == nil && cr.live() {
		tx.emit(tx.revocation(cr, string(c.Cause)))
	}
	return r
}

// CredentialRevoked takes a credential away for good.
type CredentialRevoked struct {
	Credential ID     `json:"credential"`
	Cause      string `json:"cause,omitempty"`
}

func (e CredentialRevoked) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) { c.State, c.Reason = CredentialStateRevoked, e.Cause })
}
func (CredentialRevoked) consequence()                  {}
func (e CredentialRevoked) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// ReportedAs is what happened to a credential: lost, stolen or damaged.
type ReportedAs string

// The values of ReportedAs.
const (
	ReportedLost    ReportedAs = "lost"
	ReportedStolen  ReportedAs = "stolen"
	ReportedDamaged ReportedAs = "damaged"
)

func (r ReportedAs) check() error { return oneOf(r, ReportedLost, ReportedStolen, ReportedDamaged) }

// ReportCredential reports a credential as lost, stolen or damaged. Its number stays
// taken until it is removed or revoked.
type ReportCredential struct {
	Credential ID         `json:"credential"`
	As         ReportedAs `json:"as"`
}

func (ReportCredential) urgent() bool           { return true }
func (ReportCredential) permit() Permit         { return credentialManagers }
func (c ReportCredential) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c ReportCredential) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	if r != nil {
		return r
	}
	if r := required("as", string(c.As)); r != nil {
		return r
	}
	if cr.live() && cr.State != CredentialState(c.As) {
		tx.emit(CredentialReported(c))
	}
	return nil
}

// CredentialReported records that a credential is lost, stolen or damaged.
type CredentialReported struct {
	Credential ID         `json:"credential"`
	As         ReportedAs `json:"as"`
}

func (e CredentialReported) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) {
		c.State, c.Reason, c.SuspendedUntil = CredentialState(e.As), string(e.As), time.Time{}
	})
}
func (e CredentialReported) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// SuspendCredential lets a credential open nothing until an instant, or until
// ReinstateCredential. One that is lost or over is left as it is, and a suspension
// is prolonged but never cut short: that gives access back, which is staff's.
type SuspendCredential struct {
	Credential ID        `json:"credential"`
	Until      time.Time `json:"until,omitzero"` // exclusive
}

func (SuspendCredential) urgent() bool           { return true }
func (SuspendCredential) permit() Permit         { return credentialManagers }
func (c SuspendCredential) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c SuspendCredential) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	if r != nil {
		return r
	}
	if r := tx.checkAhead(tx.siteOfUse(cr.Sites, cr.Booking, cr.Unit), c.Until); r != nil {
		return r
	}
	switch now := cr.SuspendedUntil; {
	case cr.State == CredentialStateSuspended && now.Equal(c.Until):
		return nil
	case cr.State == CredentialStateSuspended && (now.IsZero() || tx.At.Before(now) && !c.Until.IsZero() && c.Until.Before(now)):
		return refuse("suspension_not_shortened", "credential %s is already suspended for longer; to end that, send ReinstateCredential", cr.ID).about(cr.ID)
	case cr.State == CredentialStateActive, cr.State == CredentialStateSuspended:
		tx.emit(CredentialSuspended{Credential: c.Credential, Until: inUTC(c.Until)})
	}
	return nil
}

// CredentialSuspended lets a credential open nothing for a while.
type CredentialSuspended struct {
	Credential ID        `json:"credential"`
	Until      time.Time `json:"until,omitzero"` // UTC, exclusive
}

func (e CredentialSuspended) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) { c.State, c.SuspendedUntil = CredentialStateSuspended, e.Until })
}
func (e CredentialSuspended) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// ReinstateCredential lets a credential open again after a suspension or a report. The
// credential was suspended, found again or mended, and its holder may still hold it.
type ReinstateCredential struct {
	Credential ID `json:"credential"`
}

func (ReinstateCredential) permit() Permit         { return Permit{Role: RoleStaff} }
func (c ReinstateCredential) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c ReinstateCredential) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	switch {
	case r != nil:
		return r
	case cr.State == CredentialStateActive:
		return nil
	case cr.DuressOf != "":
		return cr.followsPin()
	case !cr.live():
		return refuse("credential_ended", "credential %s is %s; this is final: give a new one", cr.ID, cr.State).about(cr.ID)
	case cr.Person == "" && cr.State == CredentialStateStock:
		return nil
	}
	if cr.Booking != "" {
		b, r := tx.standing(cr.Booking)
		if r != nil {
			return r
		}
		if why := tx.credentialFallsFor(cr, b); why != "" {
			return refuse("holder_not_permitted", "person %s may not hold credential %s any more: %s", cr.Person, cr.ID, why).about(cr.Person)
		}
	}
	tx.emit(CredentialReinstated(c))
	return nil
}

// CredentialReinstated lets a credential open again. A key of a unit's stock that
// nobody holds is in stock again.
type CredentialReinstated struct {
	Credential ID `json:"credential"`
}

func (e CredentialReinstated) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) {
		c.State, c.Reason, c.SuspendedUntil = CredentialStateActive, "", time.Time{}
		if c.Person == "" {
			c.State = CredentialStateStock
		}
	})
}
func (e CredentialReinstated) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// ExpireCredential records that the time of a credential is over. It has
// opened nothing since, record or not.
type ExpireCredential struct {
	Credential ID `json:"credential"`
}

func (ExpireCredential) urgent() bool           { return true }
func (ExpireCredential) permit() Permit         { return Permit{Service: true} }
func (c ExpireCredential) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c ExpireCredential) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	switch {
	case r != nil || !cr.live():
		return r
	case cr.Until.IsZero() || tx.At.Before(cr.Until):
		return refuse("credential_not_over", "credential %s has not expired yet", cr.ID).about(cr.ID)
	}
	tx.emit(CredentialExpired{Credential: cr.ID, Keys: tx.keysOfPins(tx.withDuress(cr.ID)...)})
	return nil
}

// CredentialExpired puts the end of a credential by time on record. With the end
// of a PIN it orders the key of the digits to be destroyed.
type CredentialExpired struct {
	Credential ID       `json:"credential"`
	Keys       []string `json:"keys,omitempty"`
}

func (e CredentialExpired) endedKeys() []string { return e.Keys }

func (e CredentialExpired) fold(s *State, _ Moment) {
	s.endSecrets(e.Credential)
	s.setCredential(e.Credential, func(c *Credential) { c.State = CredentialStateExpired })
}
func (e CredentialExpired) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }
