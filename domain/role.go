package domain

import (
	"slices"
	"strings"
	"time"
)

// RoleAssignment gives a person a role at the org or at one site.
type RoleAssignment struct {
	Person ID   `json:"person"`
	Role   Role `json:"role"`
	Site   ID   `json:"site,omitempty"` // empty: at the org
	// Until ends it, exclusive; zero: it lasts until it is revoked.
	Until time.Time `json:"until,omitzero"`
}

// roleKey is the id of a person's role at a site, or at the org with no site.
func roleKey(person, site ID) ID { return person + "@" + site }

func (r *RoleAssignment) keys() []key[RoleAssignment] {
	k := []key[RoleAssignment]{{RoleByPerson, r.Person}, {RoleBySite, r.Site}}
	if r.Role == RoleOwner {
		k = append(k, key[RoleAssignment]{roleOfOwner, r.Site})
	}
	return k
}

var roleMessages = messages{
	commands: []CommandType{
		command[AssignRole]("Gives a person a role at the org or at a site; it replaces their role there.", RoleAssigned{}),
		command[RevokeRole]("Revokes the role of a person at the org or at a site.",
			slices.Concat([]Event{RoleRevoked{}}, leftOpen)...),
		command[ExpireRole]("Puts on record that the time of a role is over; the service sends it.", RoleExpired{}),
		command[TransferOwnership]("Transfers the ownership of the org to a system manager; the former owner becomes system manager.", OwnershipTransferred{}),
	},
	events: []EventType{event[RoleAssigned](1), event[RoleRevoked](1), event[RoleExpired](1), event[OwnershipTransferred](1)},
}

// above refuses what a person of the role actor may not do to another: to manage
// whom they do not outrank, or to give or take a role that is not below their own
// (rule L1).
func (tx *Tx) above(actor Role, person ID, roles ...Role) *Refusal {
	if tx.Actor.Kind != ActorPerson {
		return nil
	}
	for _, r := range roles {
		if actor.rank() <= r.rank() {
			return forbid("role_not_permitted", "%[2]s is %[3]s and may not change somebody who is %[1]s; a higher role may", roleName(r), tx.Actor.ID, roleName(actor)).about(person)
		}
	}
	return nil
}

func roleName(r Role) string {
	if r == "" {
		return "no role"
	}
	return string(r)
}

// owner returns the owner of the org; there is always one, and one only.
func (s *State) owner() ID {
	for _, r := range s.RoleAssignments.Each(roleOfOwner, "") {
		return r.Person
	}
	return ""
}

func lastOwner(person ID) *Refusal {
	return refuse("last_owner", "%s is the only owner of the org; hand it over with TransferOwnership first", person).about(person)
}

// roleHeldFor is the highest role that a person holds at a site or at the org.
func (s *State) roleHeldFor(person, site ID) Role {
	best := Role("")
	for _, at := range []ID{"", site} {
		if r, ok := s.RoleAssignments.Get(roleKey(person, at)); ok && r.Role.rank() > best.rank() {
			best = r.Role
		}
	}
	return best
}

// AssignRole gives a person a role at the org or at a site. The role of an owner
// passes by TransferOwnership alone.
type AssignRole struct {
	Person ID   `json:"person"`
	Role   Role `json:"role"`
	Site   ID   `json:"site,omitempty"` // empty: at the org
	// Until ends it, exclusive, as that of a guest who stays for a week; none: it
	// lasts until it is revoked.
	Until time.Time `json:"until,omitzero"`
}

func (AssignRole) permit() Permit       { return Permit{Role: RoleStaff} }
func (c AssignRole) scope(*State) Scope { return atSites(c.Site) }
func (c AssignRole) decide(tx *Tx) *Refusal {
	if r := required("role", string(c.Role)); r != nil {
		return r
	}
	if r := tx.checkRolePlace(c.Person, c.Site); r != nil {
		return r
	}
	if tx.isOwner(c.Person, c.Site) && tx.RoleAt(tx.Actor.ID, "") == RoleOwner {
		return lastOwner(c.Person)
	}
	if c.Role == RoleOwner {
		return forbid("role_not_permitted", "the role of owner is only passed on with TransferOwnership").about(c.Person)
	}
	held := tx.roleHeldFor(c.Person, c.Site)
	if r := tx.above(tx.RoleAt(tx.Actor.ID, c.Site), c.Person, held, c.Role); r != nil {
		return r
	}
	if r := tx.checkAhead(c.Site, c.Until); r != nil {
		return r
	}
	c.Until = inUTC(c.Until)
	if now, ok := tx.RoleAssignments.Get(roleKey(c.Person, c.Site)); !ok || now.Role != c.Role || !now.Until.Equal(c.Until) {
		tx.emit(RoleAssigned(c))
		if c.Role.AtLeast(RoleStaff) && len(tx.openingsOf(c.Person)) == 0 {
			tx.warn("role_opens_no_door", "a role opens no door: GrantRight gives %s the doors of an access right", c.Person)
		}
	}
	return nil
}

func (tx *Tx) checkRolePlace(person, site ID) *Refusal {
	if _, r := tx.person(person); r != nil {
		return r
	}
	if site != "" {
		if _, r := tx.Sites.find(site, "site"); r != nil {
			return r
		}
	}
	return nil
}

func (s *State) isOwner(person, site ID) bool {
	r, ok := s.RoleAssignments.Get(roleKey(person, site))
	return ok && r.Role == RoleOwner
}

// RoleAssigned gives a person a role, in place of the one held there.
type RoleAssigned struct {
	Person ID   `json:"person"`
	Role   Role `json:"role"`
	Site   ID   `json:"site,omitempty"`

	Until time.Time `json:"until,omitzero"`
}

func (e RoleAssigned) fold(s *State, _ Moment) {
	s.RoleAssignments.Put(roleKey(e.Person, e.Site), RoleAssignment(e))
}
func (e RoleAssigned) affectedSites(*State) []ID { return siteOrNone(e.Site) }

// RevokeRole takes the role from a person that they hold at the org or at a site.
type RevokeRole struct {
	Person ID `json:"person"`
	Site   ID `json:"site,omitempty"` // empty: at the org
	// RevokeAccess also ends what the person was given beside the role and could go on
	// opening doors by at the site, or anywhere when the role was at the org.
	RevokeAccess bool `json:"revoke_access,omitzero"`
}

func (RevokeRole) urgent() bool         { return true }
func (RevokeRole) permit() Permit       { return Permit{Role: RoleStaff} }
func (c RevokeRole) scope(*State) Scope { return atSites(c.Site) }
func (c RevokeRole) decide(tx *Tx) *Refusal {
	if r := tx.checkRolePlace(c.Person, c.Site); r != nil {
		return r
	}
	if tx.isOwner(c.Person, c.Site) && tx.RoleAt(tx.Actor.ID, "") == RoleOwner {
		return lastOwner(c.Person)
	}
	if r := tx.above(tx.RoleAt(tx.Actor.ID, c.Site), c.Person, tx.roleHeldFor(c.Person, c.Site)); r != nil {
		return r
	}
	held := tx.RoleAssignments.Has(roleKey(c.Person, c.Site))
	if held {
		tx.emit(RoleRevoked{Person: c.Person, Site: c.Site})
	}
	if held || c.RevokeAccess {
		tx.leavesAt(c.Person, c.Site, c.RevokeAccess)
	}
	return nil
}

// RoleRevoked takes a role from a person.
type RoleRevoked struct {
	Person ID `json:"person"`
	Site   ID `json:"site,omitempty"`
}

func (e RoleRevoked) fold(s *State, _ Moment)   { s.RoleAssignments.Delete(roleKey(e.Person, e.Site)) }
func (e RoleRevoked) affectedSites(*State) []ID { return siteOrNone(e.Site) }

// roleOver reports whether the time of a role is over, whether that is on record or
// not.
func (s View) roleOver(r *RoleAssignment) bool {
	return !r.Until.IsZero() && !s.at.Before(r.Until)
}

// ExpireRole records that the time of a role is over. It has ended anyway.
type ExpireRole struct {
	Person ID `json:"person"`
	Site   ID `json:"site,omitempty"` // empty: at the org
}

func (ExpireRole) urgent() bool         { return true }
func (ExpireRole) permit() Permit       { return Permit{Service: true} }
func (c ExpireRole) scope(*State) Scope { return atSites(c.Site) }
func (c ExpireRole) decide(tx *Tx) *Refusal {
	role, ok := tx.RoleAssignments.Get(roleKey(c.Person, c.Site))
	switch {
	case !ok:
	case !tx.roleOver(role):
		return refuse("role_not_over", "the role of %s has not ended yet", c.Person).about(c.Person)
	default:
		tx.emit(RoleExpired(c))
	}
	return nil
}

// expireRole makes the command of the key of a role.
func expireRole(key ID) ExpireRole {
	person, site, _ := strings.Cut(string(key), "@")
	return ExpireRole{Person: ID(person), Site: ID(site)}
}

// RoleExpired records that the time of a role is over.
type RoleExpired struct {
	Person ID `json:"person"`
	Site   ID `json:"site,omitempty"`
}

func (e RoleExpired) fold(s *State, _ Moment)   { s.RoleAssignments.Delete(roleKey(e.Person, e.Site)) }
func (e RoleExpired) affectedSites(*State) []ID { return siteOrNone(e.Site) }

// TransferOwnership hands the org over. The next owner is a system manager of the
// org before.
type TransferOwnership struct {
	Person ID `json:"person"` // the next owner
}

func (TransferOwnership) permit() Permit     { return Permit{Role: RoleOwner} }
func (TransferOwnership) scope(*State) Scope { return Scope{} }
func (c TransferOwnership) decide(tx *Tx) *Refusal {
	if _, r := tx.person(c.Person); r != nil {
		return r
	}
	if c.Person == tx.Actor.ID {
		return nil
	}
	if tx.RoleAt(c.Person, "") != RoleSystemManager {
		return refuse("not_system_manager", "the next owner must be an active system manager of the org; assign %s that role first", c.Person).about(c.Person)
	}
	tx.emit(OwnershipTransferred{From: tx.Actor.ID, To: c.Person})
	return nil
}

// OwnershipTransferred makes a system manager the owner, and the owner a system
// manager.
type OwnershipTransferred struct {
	From ID `json:"from"`
	To   ID `json:"to"`
}

func (e OwnershipTransferred) fold(s *State, _ Moment) {
	s.RoleAssignments.Put(roleKey(e.From, ""), RoleAssignment{Person: e.From, Role: RoleSystemManager})
	s.RoleAssignments.Put(roleKey(e.To, ""), RoleAssignment{Person: e.To, Role: RoleOwner})
}
func (OwnershipTransferred) affectedSites(*State) []ID { return nil }

// siteOrNone is the list of one site, or none for the org.
func siteOrNone(site ID) []ID {
	if site == "" {
		return nil
	}
	return []ID{site}
}
