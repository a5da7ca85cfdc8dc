package domain

import "time"

// SystemOrg is the reserved org that holds the orgs of the ledger. It also records what
// the operator of the service did to the ledger.
const SystemOrg ID = "_system"

// Org is an operator: the consistency boundary of the ledger. The org _system
// holds one row for each org of the ledger.
type Org struct {
	ID        ID        `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

var orgMessages = messages{
	commands: []CommandType{
		command[CreateOrg]("Makes an org with its owner and the owner's first token.",
			OrgCreated{}, ScheduleDefined{}, PersonRegistered{}, RoleAssigned{}, TokenIssued{}),
		command[RegisterOrg]("Reserves the id of an org in the ledger; the service sends it before CreateOrg.", OrgRegistered{}),
		command[RenameOrg]("Renames the org.", OrgRenamed{}),
		command[RecordOverride]("Keeps on record that the service was started with a safety check overridden.", OverrideRecorded{}),
	},
	events: []EventType{
		event[OrgCreated](1), event[OrgRegistered](1), event[OrgRenamed](1), event[OverrideRecorded](1),
	},
}

// CreateOrg makes an org. It is the first command of its ledger.
type CreateOrg struct {
	Org        ID       `json:"org"`
	Name       string   `json:"name"`
	Owner      ID       `json:"owner"` // id of the person who becomes the owner
	OwnerName  Personal `json:"owner_name,omitzero" personal:"Owner"`
	OwnerEmail Personal `json:"owner_email,omitzero" personal:"Owner"`
	// Hash is of the owner's first token, whose secret was made outside the ledger;
	// empty: none is issued. Token is its id; empty: an id is made.
	Token   ID        `json:"token,omitempty"`
	Hash    string    `json:"hash,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

func (CreateOrg) permit() Permit     { return Permit{Bootstrap: true, Service: true} }
func (CreateOrg) scope(*State) Scope { return Scope{} }
func (c CreateOrg) decide(tx *Tx) *Refusal {
	if tx.Orgs.Len() > 0 {
		return refuse("org_exists", "org %s already exists; choose another id", c.Org).about(c.Org)
	}
	if err := CheckID(c.Org); err != nil {
		return invalid("invalid_field", "org: %v", err)
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	if r := required("owner", string(c.Owner)); r != nil {
		return r
	}
	if r := tx.checkAddresses(c.Owner, c.OwnerEmail, Personal{}); r != nil {
		return r
	}
	tx.emit(OrgCreated{Org: c.Org, Name: c.Name})
	tx.emit(ScheduleDefined{ID: AlwaysID, Name: "Always", Schedule: always})
	tx.emit(PersonRegistered{Person: c.Owner, Name: c.OwnerName, Email: c.OwnerEmail})
	tx.emit(RoleAssigned{Person: c.Owner, Role: RoleOwner})
	if c.Token == "" && c.Hash == "" {
		return nil
	}
	return tx.issue(TokenIssued{Token: tx.idFor(c.Token, "token"), Person: c.Owner, Hash: c.Hash, Scope: ScopeFull, Expires: c.Expires})
}

// OrgCreated begins the ledger of an org.
type OrgCreated struct {
	Org  ID     `json:"org"`
	Name string `json:"name"`
}

func (e OrgCreated) fold(s *State, m Moment) { s.Orgs.Put(e.Org, Org{e.Org, e.Name, m.At}) }
func (OrgCreated) affectedSites(*State) []ID { return nil }

// RegisterOrg reserves the id of an org, in _system. It is idempotent for the
// same id while the org is not complete, so that a crash between the two commits
// of making an org can be taken up again.
type RegisterOrg struct {
	Org  ID     `json:"org"`
	Name string `json:"name"`
}

func (RegisterOrg) permit() Permit     { return Permit{Bootstrap: true, Service: true} }
func (RegisterOrg) scope(*State) Scope { return Scope{} }
func (c RegisterOrg) decide(tx *Tx) *Refusal {
	if err := CheckID(c.Org); err != nil {
		return invalid("invalid_field", "org: %v", err)
	}
	if tx.Orgs.Has(c.Org) {
		return refuse("org_exists", "org %s already exists; choose another id", c.Org).about(c.Org)
	}
	tx.emit(OrgRegistered(c))
	return nil
}

// OrgRegistered lists an org in _system.
type OrgRegistered struct {
	Org  ID     `json:"org"`
	Name string `json:"name"`
}

func (e OrgRegistered) fold(s *State, m Moment) { s.Orgs.Put(e.Org, Org{e.Org, e.Name, m.At}) }
func (OrgRegistered) affectedSites(*State) []ID { return nil }

// RenameOrg gives the org another name.
type RenameOrg struct {
	Name string `json:"name"`
}

func (RenameOrg) permit() Permit     { return Permit{Role: RoleOwner} }
func (RenameOrg) scope(*State) Scope { return Scope{} }
func (c RenameOrg) decide(tx *Tx) *Refusal {
	if r := required("name", c.Name); r != nil {
		return r
	}
	for id, org := range tx.Orgs.All() {
		if org.Name != c.Name {
			tx.emit(OrgRenamed{Org: id, Name: c.Name})
		}
	}
	return nil
}

// OrgRenamed gives the org another name.
type OrgRenamed struct {
	Org  ID     `json:"org"`
	Name string `json:"name"`
}

func (e OrgRenamed) fold(s *State, _ Moment) {
	s.Orgs.Update(e.Org, func(o *Org) { o.Name = e.Name })
}
func (OrgRenamed) affectedSites(*State) []ID { return nil }

// RecordOverride records in _system that the service was started on an unsafe setting.
// Such a setting could lose or rewrite what the service acknowledged.
type RecordOverride struct {
	Setting string   `json:"setting"`
	Value   string   `json:"value"` // as it is
	Needed  string   `json:"needed"`
	Reason  Personal `json:"reason,omitzero" personal:"org"` // as the operator gave it
}

func (RecordOverride) permit() Permit     { return Permit{Service: true} }
func (RecordOverride) scope(*State) Scope { return Scope{} }
func (c RecordOverride) decide(tx *Tx) *Refusal {
	if r := required("setting", c.Setting); r != nil {
		return r
	}
	tx.emit(OverrideRecorded(c))
	return nil
}

// OverrideRecorded says which safety check was overridden. It changes no state:
// each start is a fact of its own.
type OverrideRecorded struct {
	Setting string   `json:"setting"`
	Value   string   `json:"value"`
	Needed  string   `json:"needed"`
	Reason  Personal `json:"reason,omitzero" personal:"org"`
}

func (OverrideRecorded) fold(*State, Moment)       {}
func (OverrideRecorded) affectedSites(*State) []ID { return nil }
