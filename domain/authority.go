package domain

import (
	"fmt"
	"slices"
	"strings"
)

// Actor is who sends a command, as the token tells; never a field of the body.
type Actor struct {
	Kind ActorKind
	ID   ID // of the person or of the part of the service
}

// ActorKind tells people from the service itself.
type ActorKind string

// The kinds of actor.
const (
	ActorPerson    ActorKind = "person"    // a person with a token of the org
	ActorService   ActorKind = "service"   // a part of Gatehouse: "due", "zones", "api"
	ActorBootstrap ActorKind = "bootstrap" // the holder of the bootstrap token
)

// PersonActor is the actor of a person.
func PersonActor(id ID) Actor { return Actor{ActorPerson, id} }

// ServiceActor is the actor of a part of the service.
func ServiceActor(part ID) Actor { return Actor{ActorService, part} }

// String returns "kind:id".
func (a Actor) String() string { return string(a.Kind) + ":" + string(a.ID) }

// MarshalText writes "kind:id".
func (a Actor) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads "kind:id".
func (a *Actor) UnmarshalText(text []byte) error {
	kind, id, ok := strings.Cut(string(text), ":")
	if !ok {
		return fmt.Errorf("%q is no actor", text)
	}
	*a = Actor{ActorKind(kind), ID(id)}
	return nil
}

// Role is what a person may do at the org or at a site (rule L1). A higher role
// includes the lower ones and manages the people below it.
type Role string

// The roles at org and site, highest first.
const (
	RoleOwner         Role = "owner"
	RoleSystemManager Role = "system_manager"
	RoleStaff         Role = "staff"
	RoleGuest         Role = "guest"
)

// Roles lists the roles from the highest to the lowest.
var Roles = []Role{RoleOwner, RoleSystemManager, RoleStaff, RoleGuest}

// rank orders roles; no role ranks 0.
func (r Role) rank() int {
	if i := slices.Index(Roles, r); i >= 0 {
		return len(Roles) - i
	}
	return 0
}

// AtLeast reports whether r is the least role or a higher one.
func (r Role) AtLeast(least Role) bool { return r.rank() >= least.rank() && r.rank() > 0 }

func (r Role) check() error {
	if r != "" && r.rank() == 0 {
		return fmt.Errorf("%q is not a role; use owner, system_manager, staff or guest", r)
	}
	return nil
}

// Permit says who may send a command. Each way in it suffices.
type Permit struct {
	Role        Role      // least role at the org or at every site of the scope
	Primary     bool      // the primary tenant of the scope's booking
	Sharee      bool      // somebody with a share of the scope's booking
	UnitManager bool      // a unit manager of the scope's unit
	GroupRole   GroupRole // least role in the scope's group
	Self        bool      // the person of the scope
	SelfIs      string    // whom Self means, in words; empty: the person that the command names
	Holder      bool      // anybody; the command itself asks what they hold
	Service     bool      // parts of the service
	Bootstrap   bool      // the holder of the bootstrap token
}

// String names who may send it, as a refusal tells it.
func (p Permit) String() string {
	ways, ok := roleWays[p.Role]
	if !ok && p.Role != "" {
		ways = []string{string(p.Role)}
	}
	if p.Primary {
		ways = append(ways, "the primary tenant of the booking")
	}
	if p.Sharee {
		ways = append(ways, "somebody whose share of the booking may be shared on")
	}
	if p.UnitManager {
		ways = append(ways, "a unit manager of the unit")
	}
	switch p.GroupRole {
	case "":
	case GroupOwner:
		ways = append(ways, "an owner of the group")
	default:
		ways = append(ways, "an "+string(p.GroupRole)+" or owner of the group")
	}
	if p.Self {
		ways = append(ways, orDefault(p.SelfIs, "that person"))
	}
	if p.Holder {
		ways = append(ways, "the holder of a grant that permits it")
	}
	if p.Bootstrap {
		ways = append(ways, "the holder of the bootstrap token")
	}
	switch last := len(ways) - 1; {
	case last < 0:
		return "the service"
	case last == 0:
		return ways[0]
	default:
		return strings.Join(ways[:last], ", ") + " or " + ways[last]
	}
}

// roleWays are those who have a role or a higher one.
var roleWays = map[Role][]string{
	RoleOwner:         {"the owner"},
	RoleSystemManager: {"a system manager", "the owner"},
	RoleStaff:         {"staff", "a system manager", "the owner"},
	RoleGuest:         {"anybody with a role"},
}

// Scope is what a command concerns: where its sender needs the role. Without
// sites the role is needed at the org.
type Scope struct {
	Sites   []ID
	AnySite bool // the role at any one site suffices
	Booking ID
	Unit    ID
	Group   ID
	Person  ID
	Also    ID // another person who counts as the person of the scope

	// Unknown says that nothing has the id by which the command says what it concerns.
	Unknown *Refusal
}

// atSites is the scope of what concerns sites. A site that was left out adds
// nothing.
func atSites(sites ...ID) Scope {
	return Scope{Sites: slices.DeleteFunc(slices.Clone(sites), func(s ID) bool { return s == "" })}
}

// RoleAt returns the highest role of a person at a site, that of the org
// included; an empty site asks for the org alone. No role: "".
func (s View) RoleAt(person, site ID) Role {
	if p, ok := s.People.Get(person); !ok || p.State != PersonStateActive {
		return ""
	}
	best := Role("")
	for _, at := range []ID{"", site} {
		r, ok := s.RoleAssignments.Get(roleKey(person, at))
		if ok && r.Role.rank() > best.rank() && !s.roleOver(r) {
			best = r.Role
		}
	}
	return best
}

// HighestRole returns the highest role of a person at the org or at any site.
func (s View) HighestRole(person ID) Role {
	if p, ok := s.People.Get(person); !ok || p.State != PersonStateActive {
		return ""
	}
	return s.heldRole(person)
}

// heldRole is the highest role that is assigned to a person anywhere, also while
// the person is suspended.
func (s View) heldRole(person ID) Role {
	best := Role("")
	for _, r := range s.RoleAssignments.Each(RoleByPerson, person) {
		if r.Role.rank() > best.rank() && !s.roleOver(r) {
			best = r.Role
		}
	}
	return best
}

// authorize refuses a command that its actor may not send.
func authorize(tx *Tx, cmd Command) *Refusal {
	p, sc := cmd.permit(), cmd.scope(tx.State)
	if p.allows(tx.View, tx.Actor, sc) {
		return nil
	}
	if tx.Actor.Kind == ActorPerson {
		if who, ok := tx.People.Get(tx.Actor.ID); ok && who.State != PersonStateActive {
			return forbid("role_not_permitted", "%s is %s and may not send commands", tx.Actor.ID, who.State)
		}
	}
	if p.Service && p == (Permit{Service: true}) {
		return forbid("role_not_permitted", "%s is sent by the service only", CommandName(cmd))
	}
	if sc.Unknown != nil && p.fits(tx.View, tx.Actor) {
		return sc.Unknown
	}
	return forbid("role_not_permitted", "%s may not send %s%s; allowed: %s", tx.Actor.ID, CommandName(cmd), sc.place(), p).about(sc.Sites...)
}

// fits reports whether an actor may send a command of the kind at all, about any thing.
// If so, an unknown id is the error to report, not the role.
func (p Permit) fits(s View, a Actor) bool {
	return a.Kind == ActorPerson && (p.Primary || p.Sharee || p.UnitManager || p.GroupRole != "" || p.Self || p.Holder ||
		p.Role != "" && s.HighestRole(a.ID).AtLeast(p.Role))
}

// place says where a role is needed; nothing where that is the org or any site.
func (sc Scope) place() string {
	if sc.AnySite {
		return ""
	}
	switch len(sc.Sites) {
	case 0:
		return ""
	case 1:
		return " at site " + string(sc.Sites[0])
	}
	return fmt.Sprintf(" at all of the sites %v", sc.Sites)
}

func (p Permit) allows(s View, a Actor, sc Scope) bool {
	switch a.Kind {
	case ActorService:
		return p.Service
	case ActorBootstrap:
		return p.Bootstrap
	case ActorPerson:
		return p.allowsPerson(s, a.ID, sc)
	}
	return false
}

func (p Permit) allowsPerson(s View, person ID, sc Scope) bool {
	who, ok := s.People.Get(person)
	if !ok || who.State != PersonStateActive {
		return false
	}
	if p.Role != "" && hasRoleEverywhere(s, person, p.Role, sc.Sites) {
		return true
	}
	if p.Role != "" && sc.AnySite && s.HighestRole(person).AtLeast(p.Role) {
		return true
	}
	if p.Primary && sc.Booking != "" {
		if b, ok := s.Bookings.Get(sc.Booking); ok && b.Person == person {
			return true
		}
	}
	if p.Sharee && sc.Booking != "" && s.hasShare(sc.Booking, person) {
		return true
	}
	if p.UnitManager && sc.Unit != "" {
		if u, ok := s.UnitUsers.Get(unitUserKey(sc.Unit, person)); ok && u.Manager && s.inPlace(u) {
			return true
		}
	}
	if p.GroupRole != "" && s.RoleInGroup(person, sc.Group).AtLeast(p.GroupRole) {
		return true
	}
	return p.Holder || p.Self && (sc.Person == person || sc.Also == person)
}

func hasRoleEverywhere(s View, person ID, least Role, sites []ID) bool {
	if s.RoleAt(person, "").AtLeast(least) {
		return true
	}
	for _, site := range sites {
		if !s.RoleAt(person, site).AtLeast(least) {
			return false
		}
	}
	return len(sites) > 0
}
