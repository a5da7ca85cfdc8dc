package domain

import (
	"slices"
	"time"
)

// GroupMember has the doors of a group, by a role.
type GroupMember struct {
	Group   ID        `json:"group"`
	Person  ID        `json:"person"`
	Role    GroupRole `json:"role"`
	Since   time.Time `json:"since"`
	By      Actor     `json:"by"`
	Removed bool      `json:"removed,omitzero"`
	// Unconfirmed: it lets owners and admins see nothing of the person's record.
	Unconfirmed bool `json:"unconfirmed,omitzero"`
}

// GroupRole is what a member may do beside passing the doors (rule G1). A higher
// role includes the lower ones and manages the people below it.
type GroupRole string

// The roles in a group, highest first. Owners and admins open doors remotely,
// keep them open for a while, and begin business hours.
const (
	GroupOwner GroupRole = "owner" // sets the options; several groups may share doors (rule G7)
	GroupAdmin GroupRole = "admin" // gives and takes the doors of the group (rule G6)
	GroupUser  GroupRole = "user"
)

// GroupRoles lists the roles in a group from the highest to the lowest.
var GroupRoles = []GroupRole{GroupOwner, GroupAdmin, GroupUser}

// rank orders roles; no role ranks 0.
func (r GroupRole) rank() int {
	if i := slices.Index(GroupRoles, r); i >= 0 {
		return len(GroupRoles) - i
	}
	return 0
}

// AtLeast reports whether r is the least role or a higher one.
func (r GroupRole) AtLeast(least GroupRole) bool { return r.rank() >= least.rank() && r.rank() > 0 }

func (r GroupRole) check() error { return oneOf(r, GroupRoles...) }

// memberKey is the id of a person's membership of a group.
func memberKey(group, person ID) ID { return group + "/" + person }

func (m *GroupMember) keys() []key[GroupMember] {
	k := []key[GroupMember]{{MemberByPerson, m.Person}, {MemberByGroup, m.Group}}
	switch {
	case m.Removed:
	case m.Role == GroupOwner:
		k = append(k, key[GroupMember]{OwnerByGroup, m.Group})
	default:
		// Those who may have a door from one group only (rules G8 and G9).
		k = append(k, key[GroupMember]{memberLimited, m.Group})
	}
	return k
}

var groupMemberMessages = messages{
	commands: []CommandType{
		command[AddMember]("Adds a person to a group, in a role.", GroupMemberAdded{}),
		command[ChangeMemberRole]("Changes the role of a member of a group.", GroupMemberRoleChanged{}),
		command[RemoveMember]("Removes a member from a group.", leftOpen...),
		command[TransferGroupOwnership]("Transfers the sender's ownership of a group to an admin; the former owner becomes admin.",
			GroupOwnershipTransferred{}),
	},
	events: []EventType{
		event[GroupMemberAdded](1), event[GroupMemberRoleChanged](1), event[GroupMemberRemoved](1), event[GroupOwnershipTransferred](1),
	},
}

// RoleInGroup returns the role of a person in a group; empty means none. The person may
// be suspended: that is in the person's state.
func (s *State) RoleInGroup(person, group ID) GroupRole {
	if m, ok := s.GroupMembers.Get(memberKey(group, person)); ok && !m.Removed {
		return m.Role
	}
	return ""
}

// runsGroup reports whether the actor of a command runs all sites of a group. Such an
// actor ranks above everybody in it.
func (tx *Tx) runsGroup(g *Group) bool {
	return tx.Actor.Kind != ActorPerson || hasRoleEverywhere(tx.View, tx.Actor.ID, RoleSystemManager, g.Sites)
}

// aboveInGroup refuses to give, change or take roles that are not below the
// actor's own (rule L1).
func (tx *Tx) aboveInGroup(g *Group, person ID, roles ...GroupRole) *Refusal {
	if tx.runsGroup(g) {
		return nil
	}
	own := tx.RoleInGroup(tx.Actor.ID, g.ID)
	for _, r := range roles {
		if own.rank() <= r.rank() {
			return forbid("role_not_permitted", "it needs a role above %s in group %s, and %s is %s there; or the role %s at its sites",
				r, g.ID, tx.Actor.ID, own, RoleSystemManager).about(person)
		}
	}
	return nil
}

// lastGroupOwner refuses to leave a group without an owner.
func (s *State) lastGroupOwner(group, person ID) *Refusal {
	if g, ok := s.Groups.Get(group); ok && g.Ended {
		return nil
	}
	if s.RoleInGroup(person, group) != GroupOwner || s.GroupMembers.Count(OwnerByGroup, group) > 1 {
		return nil
	}
	return refuse("last_owner", "%s is the only owner of group %s; make somebody else owner first", person, group).about(person, group)
}

// checkNotLastOwner refuses to erase the last owner of a group.
func (s *State) checkNotLastOwner(person ID) *Refusal {
	for _, m := range s.GroupMembers.Each(MemberByPerson, person) {
		if r := s.lastGroupOwner(m.Group, person); r != nil {
			return r
		}
	}
	return nil
}

// membershipPermit is who gives and takes the doors of a group.
var membershipPermit = Permit{Role: RoleSystemManager, GroupRole: GroupAdmin}

// AddMember gives a person the doors of a group, found by address or id. Admins add
// users, owners admins as well; who runs the sites adds anybody.
type AddMember struct {
	Group  ID        `json:"group"`
	Person ID        `json:"person,omitempty"` // or an address
	Email  Personal  `json:"email,omitzero" personal:"Person,new"`
	Phone  Personal  `json:"phone,omitzero" personal:"Person,new"`
	Role   GroupRole `json:"role"`
}

func (AddMember) permit() Permit         { return membershipPermit }
func (c AddMember) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c AddMember) decide(tx *Tx) *Refusal {
	g, r := tx.group(c.Group)
	if r != nil {
		return r
	}
	person, r := tx.known(c.Person, c.Email, c.Phone)
	if r != nil {
		return r
	}
	if person == "" {
		person = c.Person
	}
	if _, leftOut := tx.leftOut[person]; leftOut {
		return tx.nobody(person, "give the id of somebody, or the e-mail address or phone number on record")
	}
	if _, r := tx.person(person); r != nil {
		return r
	}
	if r := required("role", string(c.Role)); r != nil {
		return r
	}
	held := tx.RoleInGroup(person, c.Group)
	if held == c.Role {
		return nil
	}
	if held != "" {
		return refuse("member_exists", "%s is %s of group %s already; change the role with ChangeMemberRole", person, held, c.Group).about(person, c.Group)
	}
	if r := tx.aboveInGroup(g, person, c.Role); r != nil {
		return r
	}
	if r := tx.refuseRole(g, person, c.Role); r != nil {
		return r
	}
	tx.emit(GroupMemberAdded{Group: c.Group, Person: person, Role: c.Role, Unconfirmed: tx.unconfirmed(person, tx.sitesOfGroup(c.Group)...)})
	return nil
}

// refuseRole refuses a role by which a person would have a door from two groups.
func (tx *Tx) refuseRole(g *Group, person ID, role GroupRole) *Refusal {
	if role == GroupOwner {
		return nil
	}
	return refuseOverlaps(tx.overlapsOf(person, g))
}

// GroupMemberAdded gives a person the doors of a group.
type GroupMemberAdded struct {
	Group  ID        `json:"group"`
	Person ID        `json:"person"`
	Role   GroupRole `json:"role"`
	// Unconfirmed: a member named somebody who was known before; it shows nothing of them.
	Unconfirmed bool `json:"unconfirmed,omitzero"`
}

func (e GroupMemberAdded) fold(s *State, m Moment) {
	s.GroupMembers.Put(memberKey(e.Group, e.Person), GroupMember{Group: e.Group, Person: e.Person, Role: e.Role, Since: m.At, By: m.Actor, Unconfirmed: e.Unconfirmed})
}
func (e GroupMemberAdded) fills(tx *Tx) filling        { return given(tx.doorsOfGroup(e.Group), e.Person, "") }
func (e GroupMemberAdded) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// ChangeMemberRole gives a member another role in the group.
type ChangeMemberRole struct {
	Group  ID        `json:"group"`
	Person ID        `json:"person"`
	Role   GroupRole `json:"role"`
}

func (ChangeMemberRole) permit() Permit         { return membershipPermit }
func (c ChangeMemberRole) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c ChangeMemberRole) decide(tx *Tx) *Refusal {
	g, r := tx.group(c.Group)
	if r != nil {
		return r
	}
	held := tx.RoleInGroup(c.Person, c.Group)
	if held == "" {
		return noMember(c.Group, c.Person)
	}
	if r := required("role", string(c.Role)); r != nil || held == c.Role {
		return r
	}
	if r := tx.aboveInGroup(g, c.Person, held, c.Role); r != nil {
		return r
	}
	if r := tx.lastGroupOwner(c.Group, c.Person); r != nil {
		return r
	}
	if r := tx.refuseRole(g, c.Person, c.Role); r != nil {
		return r
	}
	tx.emit(GroupMemberRoleChanged(c))
	return nil
}

func noMember(group, person ID) *Refusal {
	return notFound("unknown_member", "person %s is not a member of group %s", person, group).about(person, group)
}

// GroupMemberRoleChanged gives a member another role in the group.
type GroupMemberRoleChanged struct {
	Group  ID        `json:"group"`
	Person ID        `json:"person"`
	Role   GroupRole `json:"role"`
}

func (e GroupMemberRoleChanged) fold(s *State, _ Moment)     { s.setMemberRole(e.Group, e.Person, e.Role) }
func (e GroupMemberRoleChanged) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

func (s *State) setMemberRole(group, person ID, role GroupRole) {
	s.GroupMembers.Update(memberKey(group, person), func(m *GroupMember) { m.Role = role })
}

// RemoveMember takes the doors of a group from a member. Somebody above the member
// sends it, or the member. Access by a grant or by another group stays.
type RemoveMember struct {
	Group  ID `json:"group"`
	Person ID `json:"person"`
	// RevokeAccess also ends what else the person opens doors of the group by.
	RevokeAccess bool `json:"revoke_access,omitzero"`
}

func (RemoveMember) urgent() bool { return true }
func (RemoveMember) permit() Permit {
	return Permit{Role: RoleSystemManager, GroupRole: GroupAdmin, Self: true}
}
func (c RemoveMember) scope(s *State) Scope {
	sc := s.atGroup(c.Group)
	sc.Person = c.Person
	return sc
}
func (c RemoveMember) decide(tx *Tx) *Refusal {
	g, r := tx.Groups.find(c.Group, "group")
	if r != nil {
		return r
	}
	m, ok := tx.GroupMembers.Get(memberKey(c.Group, c.Person))
	switch {
	case !ok:
		return noMember(c.Group, c.Person)
	case m.Removed:
		return nil
	}
	if r := tx.aboveInGroup(g, c.Person, m.Role); r != nil && !tx.isActor(c.Person) {
		return r
	}
	if r := tx.lastGroupOwner(c.Group, c.Person); r != nil {
		return r
	}
	tx.emit(GroupMemberRemoved{Group: c.Group, Person: c.Person})
	tx.leaves(c.Person, g.Doors, c.RevokeAccess)
	return nil
}

// GroupMemberRemoved takes the doors of a group from a member, until they are
// added again.
type GroupMemberRemoved struct {
	Group  ID `json:"group"`
	Person ID `json:"person"`
}

func (e GroupMemberRemoved) fold(s *State, _ Moment) {
	s.GroupMembers.Update(memberKey(e.Group, e.Person), func(m *GroupMember) { m.Removed = true })
}
func (e GroupMemberRemoved) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// TransferGroupOwnership hands the sender's ownership of a group over. The next
// owner is an admin of it before.
type TransferGroupOwnership struct {
	Group  ID `json:"group"`
	Person ID `json:"person"` // the next owner
}

func (TransferGroupOwnership) permit() Permit         { return Permit{GroupRole: GroupOwner} }
func (c TransferGroupOwnership) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c TransferGroupOwnership) decide(tx *Tx) *Refusal {
	g, r := tx.group(c.Group)
	if r != nil {
		return r
	}
	next, r := tx.person(c.Person)
	if r != nil || c.Person == tx.Actor.ID {
		return r
	}
	if tx.RoleInGroup(c.Person, c.Group) != GroupAdmin || next.State != PersonStateActive {
		return refuse("not_group_admin", "the next owner must be an active admin of the group; give %s that role first", c.Person).about(c.Person)
	}
	if r := tx.refuseRole(g, tx.Actor.ID, GroupAdmin); r != nil {
		return r
	}
	tx.emit(GroupOwnershipTransferred{Group: c.Group, From: tx.Actor.ID, To: c.Person})
	return nil
}

// GroupOwnershipTransferred makes an admin of a group its owner, and an owner an
// admin.
type GroupOwnershipTransferred struct {
	Group ID `json:"group"`
	From  ID `json:"from"`
	To    ID `json:"to"`
}

func (e GroupOwnershipTransferred) fold(s *State, _ Moment) {
	s.setMemberRole(e.Group, e.From, GroupAdmin)
	s.setMemberRole(e.Group, e.To, GroupOwner)
}
func (e GroupOwnershipTransferred) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }
