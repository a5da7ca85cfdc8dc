package domain

import (
	"slices"
	"time"
)

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
func (e FobAssigned) concerns(*State) []ID { return e.Sites }

// RemoveFob takes a fob or card back. Its number may be given anew; a key of a
// unit's stock that still works returns there.
type RemoveFob struct {
	Credential ID `json:"credential"`
	Reason     ID `json:"reason,omitempty"` // a short word, returned by default; it must say nothing about a person
}

func (RemoveFob) permit() Permit         { return Permit{Role: RoleStaff, Primary: true, UnitManager: true} }
func (c RemoveFob) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c RemoveFob) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	switch {
	case r != nil:
		return r
	case cr.Kind != KindFob && cr.Kind != KindCard:
		return refuse("not_a_fob", "the credential %s is a %s; RevokeCredential takes it away", cr.ID, cr.Kind).about(cr.ID)
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

func (e FobRemoved) fold(s *State, _ Moment) {
	c, ok := s.Credentials.Get(e.Credential)
	if !ok {
		return
	}
	booking := c.Booking
	s.Credentials.Update(e.Credential, func(c *Credential) {
		c.State, c.Reason, c.SuspendedUntil = CredentialStateRemoved, e.Reason, time.Time{}
	})
	if c.fromStock() && (c.State == CredentialStateActive || c.State == CredentialStateSuspended) {
		s.Credentials.Update(e.Credential, func(c *Credential) {
			c.State, c.Person, c.Booking, c.Consent = CredentialStateStock, "", "", ""
			c.From, c.Until = time.Time{}, time.Time{}
		})
	}
	s.noteOwed(booking)
}
func (e FobRemoved) concerns(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// AddKeyStock puts a batch of fobs and cards in the stock of a unit. They open
// nothing until they are given to somebody.
type AddKeyStock struct {
	Unit ID         `json:"unit"`
	Keys []StockKey `json:"keys"`
}

// StockKey is a fob or card for the stock of a unit. Its number tells of a thing
// that belongs to the unit, not of a person.
type StockKey struct {
	Credential ID             `json:"credential,omitempty"` // empty: an id is made
	Kind       CredentialKind `json:"kind,omitempty"`       // fob (default) or card
	Format     string         `json:"format,omitempty"`     // of the number: raw (default), wiegand26 …
	Number     Personal       `json:"number" personal:"org"`
}

func (AddKeyStock) permit() Permit         { return Permit{Role: RoleStaff} }
func (c AddKeyStock) scope(s *State) Scope { return s.unitScope(c.Unit) }
func (c AddKeyStock) decide(tx *Tx) *Refusal {
	unit, r := tx.Units.find(c.Unit, "unit")
	if r != nil {
		return r
	}
	if len(c.Keys) == 0 {
		return refuse("invalid_field", "keys: there are none")
	}
	for _, k := range c.Keys {
		e := CredentialStocked{Credential: k.Credential, Kind: orDefault(k.Kind, KindFob), Format: orDefault(k.Format, formatRaw),
			Number: k.Number, Unit: unit.ID, Site: unit.Site}
		if r := checkKey(e.Kind, e.Format, e.Number); r != nil {
			return r
		}
		if tx.Credentials.Has(k.Credential) {
			return refuse("credential_exists", "the credential %s is there already", k.Credential).about(k.Credential)
		}
		if r := tx.numberFree([]ID{unit.Site}, e.Format, e.Number); r != nil {
			return r
		}
		e.Credential = tx.idFor(k.Credential, "credential")
		tx.emit(e)
	}
	return nil
}

// CredentialStocked puts a fob or card in the stock of a unit.
type CredentialStocked struct {
	Credential ID             `json:"credential"`
	Kind       CredentialKind `json:"kind"`
	Format     string         `json:"format"`
	Number     Personal       `json:"number" personal:"org"`
	Unit       ID             `json:"unit"`
	Site       ID             `json:"site"`
}

func (e CredentialStocked) fold(s *State, m Moment) {
	s.Credentials.Put(e.Credential, Credential{ID: e.Credential, Kind: e.Kind, Format: e.Format, Number: e.Number,
		Subject: OrgSubject, Unit: e.Unit, Sites: []ID{e.Site}, State: CredentialStateStock, SharedBy: m.Actor})
}
func (e CredentialStocked) concerns(*State) []ID { return []ID{e.Site} }
