package domain

import (
	"slices"
	"time"

	"gatehouse/domain/schedule"
)

// Grant lets a person through the doors of a right. These are the explicit ones;
// what follows from bookings, shares and unit users is a row of the permissions
// without a grant of its own in the state.
type Grant struct {
	ID           ID               `json:"id"`
	Person       ID               `json:"person"`
	Right        ID               `json:"right"`
	From         schedule.Date    `json:"from,omitzero"`
	Until        schedule.Date    `json:"until,omitzero"`         // last day; zero: open end
	BufferBefore int              `json:"buffer_before,omitzero"` // minutes before the first day in which it holds too
	BufferAfter  int              `json:"buffer_after,omitzero"`  // minutes after the last day
	Schedule     ID               `json:"schedule,omitempty"`     // narrows that of the right
	Kinds        []CredentialKind `json:"kinds,omitempty"`        // that may use it, sorted; none: all
	Capabilities []DoorCapability `json:"capabilities,omitempty"`
	Auction      ID               `json:"auction,omitempty"` // the unit of which a buyer was given the right
	Revoked      bool             `json:"revoked,omitzero"`
	By           Actor            `json:"by"`
}

func (g *Grant) keys() []key[Grant] {
	k := []key[Grant]{{GrantByPerson, g.Person}, {GrantByRight, g.Right}}
	if g.Schedule != "" {
		k = append(k, key[Grant]{GrantBySchedule, g.Schedule})
	}
	if g.Auction != "" && !g.Revoked {
		k = append(k, key[Grant]{grantByAuction, g.Auction})
	}
	return k
}

var grantMessages = messages{
	commands: []CommandType{
		command[GrantRight]("Gives a person an access right for a period.", RightGranted{}),
		command[RevokeRight]("Revokes a granted access right.", RightRevoked{}),
	},
	events: []EventType{event[RightGranted](1), event[RightRevoked](1)},
}

// GrantRight gives a person an access right for a period of civil days of each
// site: the whole of the first and of the last day.
type GrantRight struct {
	Grant  ID            `json:"grant,omitempty"` // empty: an id is made
	Person ID            `json:"person"`
	Right  ID            `json:"right"`
	From   schedule.Date `json:"from,omitzero"`  // first day; empty: at once
	Until  schedule.Date `json:"until,omitzero"` // last day; empty: open end
	// BufferBefore and BufferAfter let it hold some minutes before the first day and
	// after the last one, 0 to 720 (rule L6).
	BufferBefore int              `json:"buffer_before,omitzero"`
	BufferAfter  int              `json:"buffer_after,omitzero"`
	Schedule     ID               `json:"schedule,omitempty"` // narrows that of the right
	Kinds        []CredentialKind `json:"kinds,omitempty"`    // that may use it; none: all
	Capabilities []DoorCapability `json:"capabilities,omitempty"`
}

func (GrantRight) permit() Permit         { return Permit{Role: RoleStaff} }
func (c GrantRight) scope(s *State) Scope { return s.atRight(c.Right) }
func (c GrantRight) decide(tx *Tx) *Refusal {
	id := tx.idFor(c.Grant, "grant")
	if tx.Grants.Has(id) {
		return refuse("grant_exists", "grant %s already exists", id).about(id)
	}
	if _, r := tx.person(c.Person); r != nil {
		return r
	}
	right, r := tx.right(c.Right)
	if r != nil {
		return r
	}
	if c.Schedule != "" {
		if _, r := tx.Schedules.find(c.Schedule, "schedule"); r != nil {
			return r
		}
	}
	if !c.Until.IsZero() && c.Until.Before(c.From) {
		return invalid("invalid_field", "until: the last day %s is before the first day %s", c.Until, c.From)
	}
	if r := checkBuffers(c.BufferBefore, c.BufferAfter); r != nil {
		return r
	}
	if r := tx.checkCapabilities(right, c.Capabilities); r != nil {
		return r
	}
	if r := tx.requireOutranks(c.Person, right.Sites); r != nil {
		return r
	}
	if same := tx.sameGrant(c); same != "" {
		tx.warn("grant_there", "%s has the right %s with these terms already, by the grant %s", c.Person, c.Right, same)
		return nil
	}
	if r := tx.checkUse(c.Person, "", time.Time{}, time.Time{}, schedule.Schedule{}); r != nil {
		return r
	}
	if tx.grantOver(&Grant{From: c.From, Until: c.Until, BufferAfter: c.BufferAfter}, right) {
		tx.warn("grant_ended", "the last day %s is over, and the grant opens nothing", c.Until)
	}
	tx.emit(RightGranted{Grant: id, Person: c.Person, Right: c.Right, From: c.From, Until: c.Until, Schedule: c.Schedule,
		BufferBefore: c.BufferBefore, BufferAfter: c.BufferAfter, Kinds: sortedSet(c.Kinds), Capabilities: sortedSet(c.Capabilities)})
	return nil
}

// GrantState says whether a grant holds.
type GrantState string

// The states of a grant.
const (
	GrantStateActive     GrantState = "active"
	GrantStateNotStarted GrantState = "not_started" // its first day has not begun at any of its sites
	GrantStateEnded      GrantState = "ended"       // its last day has passed at all of them, or its right was retired
	GrantStateRevoked    GrantState = "revoked"
)

// GrantState says whether a grant holds at the instant of the view.
func (s View) GrantState(g *Grant) GrantState {
	right, ok := s.AccessRights.Get(g.Right)
	switch {
	case g.Revoked:
		return GrantStateRevoked
	case !ok || right.Retired || s.grantOver(g, right):
		return GrantStateEnded
	}
	for _, site := range right.Sites {
		if from := s.grantWindow(site, g).From; from == 0 || !from.Time().After(s.at) {
			return GrantStateActive
		}
	}
	if len(right.Sites) == 0 {
		return GrantStateActive
	}
	return GrantStateNotStarted
}

// grantOver reports whether the last day of a grant has passed at all of its sites.
func (s View) grantOver(g *Grant, right *AccessRight) bool {
	for _, site := range right.Sites {
		if until := s.grantWindow(site, g).Until; until == 0 || until.Time().After(s.at) {
			return false
		}
	}
	return len(right.Sites) > 0
}

// sameGrant finds a grant that gives the same with the same terms. Empty means that
// there is none.
func (tx *Tx) sameGrant(c GrantRight) ID {
	for id, g := range tx.Grants.Each(GrantByPerson, c.Person) {
		if !g.Revoked && g.Auction == "" && g.Right == c.Right && g.From == c.From && g.Until == c.Until && g.Schedule == c.Schedule &&
			g.BufferBefore == c.BufferBefore && g.BufferAfter == c.BufferAfter &&
			slices.Equal(g.Kinds, sortedSet(c.Kinds)) && slices.Equal(g.Capabilities, sortedSet(c.Capabilities)) {
			return id
		}
	}
	return ""
}

// checkCapabilities refuses what no door of the right can do.
func (tx *Tx) checkCapabilities(right *AccessRight, wanted []DoorCapability) *Refusal {
	for _, w := range wanted {
		if !slices.ContainsFunc(right.Doors, func(id ID) bool {
			d, ok := tx.Doors.Get(id)
			return ok && slices.Contains(d.Capabilities, w)
		}) {
			return invalid("capability_not_supported", "no door of access right %s can do %s", right.ID, w).about(right.ID)
		}
	}
	return nil
}

// requireOutranks refuses staff to give access to themselves or to a person of their role or
// above (rule L1). The access may come by a grant, a booking, a share or a place in a
// unit. Those who may change the access rights, system managers and owners, may give
// them to anybody. Tenants and unit managers are checked earlier: their access is
// theirs to share.
func (tx *Tx) requireOutranks(person ID, sites []ID) *Refusal {
	if tx.Actor.Kind != ActorPerson || hasRoleEverywhere(tx.View, tx.Actor.ID, RoleSystemManager, sites) {
		return nil
	}
	if tx.heldRole(person).rank() >= RoleStaff.rank() {
		return forbid("role_not_permitted", "staff may give access only to guests and people without a role; for %s ask somebody with role %s",
			person, RoleSystemManager).about(person)
	}
	return nil
}

// RightGranted gives a person an access right for a period.
type RightGranted struct {
	Grant        ID               `json:"grant"`
	Person       ID               `json:"person"`
	Right        ID               `json:"right"`
	From         schedule.Date    `json:"from,omitzero"`
	Until        schedule.Date    `json:"until,omitzero"`
	BufferBefore int              `json:"buffer_before,omitzero"` // minutes
	BufferAfter  int              `json:"buffer_after,omitzero"`
	Schedule     ID               `json:"schedule,omitempty"`
	Kinds        []CredentialKind `json:"kinds,omitempty"`
	Capabilities []DoorCapability `json:"capabilities,omitempty"`
}

func (e RightGranted) fold(s *State, m Moment) {
	s.Grants.Put(e.Grant, Grant{ID: e.Grant, Person: e.Person, Right: e.Right, From: e.From, Until: e.Until,
		BufferBefore: e.BufferBefore, BufferAfter: e.BufferAfter, Schedule: e.Schedule, Kinds: e.Kinds, Capabilities: e.Capabilities, By: m.Actor})
}
func (e RightGranted) fills(tx *Tx) filling {
	return given(tx.doorsUntil(e.Right, e.Until), e.Person, "")
}
func (e RightGranted) affectedSites(s *State) []ID { return s.atRight(e.Right).Sites }

// RevokeRight takes a granted access right back.
type RevokeRight struct {
	Grant ID `json:"grant"`
}

func (RevokeRight) urgent() bool           { return true }
func (RevokeRight) permit() Permit         { return Permit{Role: RoleStaff} }
func (c RevokeRight) scope(s *State) Scope { return s.atGrant(c.Grant) }
func (c RevokeRight) decide(tx *Tx) *Refusal {
	grant, r := tx.Grants.find(c.Grant, "grant")
	if r == nil && !grant.Revoked {
		tx.emit(RightRevoked(c))
	}
	return r
}

// RightRevoked takes a granted access right back. It is final.
type RightRevoked struct {
	Grant ID `json:"grant"`
}

func (e RightRevoked) fold(s *State, _ Moment) {
	s.Grants.Update(e.Grant, func(g *Grant) { g.Revoked = true })
}
func (e RightRevoked) affectedSites(s *State) []ID { return s.atGrant(e.Grant).Sites }

// atGrant is the scope of what concerns a grant.
func (s *State) atGrant(grant ID) Scope {
	g, unknown := s.Grants.find(grant, "grant")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	return s.atRight(g.Right)
}
