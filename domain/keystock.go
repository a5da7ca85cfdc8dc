package domain

import (
	"fmt"
	"strings"

	"gatehouse/domain/cardnumber"
)

var keyStockMessages = messages{
	commands: []CommandType{
		command[AddKeyStock]("Puts a batch of fobs and cards in the stock of a unit, for its unit managers to give.", CredentialStocked{}),
	},
	events: []EventType{event[CredentialStocked](1)},
}

// AddKeyStock puts a batch of fobs and cards in the stock of a unit. They open
// nothing until they are given to somebody.
type AddKeyStock struct {
	Unit ID         `json:"unit"`
	Keys []StockKey `json:"keys"`
}

// StockKey is a fob or card for the stock of a unit. Its number tells of a thing
// that belongs to the unit, not of a person.
type StockKey struct {
	Credential ID             `json:"credential,omitempty"`           // empty: an id is made
	Kind       CredentialKind `json:"kind,omitempty" enum:"fob,card"` // fob (default) or card
	Format     string         `json:"format,omitempty"`               // of the number: raw (default), uid, wiegand26, wiegand34 or wiegand37
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
		return invalid("invalid_field", "keys: at least one is required")
	}
	for _, k := range c.Keys {
		e := CredentialStocked{Credential: k.Credential, Kind: orDefault(k.Kind, KindFob), Format: orDefault(k.Format, cardnumber.Raw),
			Number: k.Number, Unit: unit.ID, Site: unit.Site}
		form, r := checkKey(e.Kind, e.Format, e.Number)
		if r != nil {
			return r
		}
		e.Number = form
		if tx.Credentials.Has(k.Credential) {
			return refuse("credential_exists", "credential %s already exists", k.Credential).about(k.Credential)
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
func (e CredentialStocked) affectedSites(*State) []ID { return []ID{e.Site} }

// assignStock gives a key of a unit's stock (rule U10).
func (c AssignFob) assignStock(tx *Tx, stock *Credential) *Refusal {
	unit, r := tx.movedIn(stock.Unit)
	if r != nil {
		return r
	}
	site, r := tx.Sites.find(unit.Site, "site")
	switch {
	case r != nil:
		return r
	case !c.Number.Empty() || c.Booking != "" || len(c.Sites) > 0 || c.Unit != "" && c.Unit != unit.ID || c.Kind != "" && c.Kind != stock.Kind:
		return invalid("invalid_field", "key %s is in stock: give only its id and its holder", stock.ID).about(stock.ID)
	case !tx.operates(unit.Site) && site.Policy.UnitManagerKeys == "forbidden":
		return forbid("unit_manager_keys_forbidden", "at site %s staff give keys, not unit managers", site.ID).about(site.ID)
	case stock.State != CredentialStateStock:
		return refuse("not_in_stock", "key %s is %s; send ReinstateCredential to put it back in stock", stock.ID, stock.State).about(stock.ID)
	case stock.Denied:
		return refuse("number_denied", "key %s is on the deny list", stock.ID).about(stock.ID)
	}
	if r := tx.hasPlace(unit, c.Person); r != nil {
		return r
	}
	tx.emit(FobAssigned{Credential: stock.ID, Kind: stock.Kind, Format: stock.Format, Person: c.Person, Booking: unit.Booking,
		Unit: unit.ID, Sites: stock.Sites, From: c.From.UTC(), Until: c.Until.UTC(), ConsentRef: c.ConsentRef})
	return nil
}

// notFromStock refuses a key that a unit manager does not give from the stock, and lists
// the stock.
func (tx *Tx) notFromStock(unit ID) *Refusal {
	var stock []string
	for _, id := range tx.Credentials.IDs(CredentialByUnit, unit) {
		if c, ok := tx.Credentials.Get(id); ok && c.State == CredentialStateStock {
			stock = append(stock, string(id))
		}
	}
	if len(stock) == 0 {
		return forbid("not_from_stock", "unit managers give keys from the stock of unit %s, which is empty; staff fill it with AddKeyStock", unit).about(unit)
	}
	more := ""
	if n := len(stock) - maxWarned; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return forbid("not_from_stock", "unit managers give keys from the stock of unit %s; give the id of one of them: %s%s",
		unit, strings.Join(stock[:min(len(stock), maxWarned)], ", "), more).about(unit)
}
