package domain

import (
	"slices"

	"gatehouse/domain/schedule"
)

// Group gives its members the doors that are in it (rules G1 to G10): who joins
// has all of them, who leaves none, and a door that is added is everybody's.
//
// # Why the doors' owners
//
// Doors are put into a group by those who run their sites, not by the owner of
// the group, who gives on what was put there.
type Group struct {
	ID    ID       `json:"id"`
	Name  Personal `json:"name,omitzero" personal:"org"`
	Doors []ID     `json:"doors"` // sorted
	Sites []ID     `json:"sites"` // of the doors, sorted; those that it had when it ended
	Ended bool     `json:"ended,omitzero"`
	// Options are those that are on, sorted.
	Options []GroupOption `json:"options,omitempty"`
	// Times are when members pass; always at first.
	Times     schedule.Schedule `json:"times"`
	Hours     *BusinessHours    `json:"business_hours,omitempty"` // none: the doors never stand open by themselves
	Blackouts []SiteBlackout    `json:"blackouts,omitempty"`      // of the group alone, sorted by id
}

// GroupOption is a setting of a group that is on or off.
type GroupOption string

// The options of a group. At first only the last is on.
const (
	OptionRemoteUnlock         GroupOption = "remote_unlock"          // users may open doors remotely (rule G3)
	OptionUnlockFor            GroupOption = "unlock_for"             // users may keep doors open for a while (rule G3)
	OptionAdminsModifySettings GroupOption = "admins_modify_settings" // admins may change times, business hours, blackouts (rule G5)
)

func (o GroupOption) check() error {
	return oneOf(o, OptionRemoteUnlock, OptionUnlockFor, OptionAdminsModifySettings)
}

// has reports whether an option is on.
func (g *Group) has(o GroupOption) bool { return slices.Contains(g.Options, o) }

func (g *Group) keys() []key[Group] {
	var k []key[Group]
	for _, s := range g.Sites {
		k = append(k, key[Group]{GroupBySite, s})
	}
	for _, d := range g.Doors {
		k = append(k, key[Group]{GroupByDoor, d})
	}
	return k
}

var groupMessages = messages{
	commands: []CommandType{
		command[CreateGroup]("Creates a group of doors with its owner.", GroupCreated{}, GroupMemberAdded{}),
		command[RenameGroup]("Renames a group.", GroupRenamed{}),
		command[AddDoorToGroup]("Adds a door to a group, for all of its members.", GroupDoorAdded{}),
		command[RemoveDoorFromGroup]("Removes a door from a group, for all of its members.", GroupDoorRemoved{}),
		command[EndGroup]("Ends a group for good: its members lose the doors that they have by it.",
			slices.Concat([]Event{GroupEnded{}}, leftOpen)...),
	},
	events: []EventType{
		event[GroupCreated](1), event[GroupRenamed](1), event[GroupDoorAdded](1), event[GroupDoorRemoved](1), event[GroupEnded](1),
	},
}

// atGroup is the scope of what concerns a group, at its sites and at others.
func (s *State) atGroup(group ID, others ...ID) Scope {
	sc := atSites(sortedIDs(append(others, s.sitesOfGroup(group)...))...)
	_, sc.Unknown = s.Groups.find(group, "group")
	sc.Group = group
	return sc
}

// sitesOfGroup lists the sites of a group; none for a group that is not there.
func (s *State) sitesOfGroup(group ID) []ID {
	if g, ok := s.Groups.Get(group); ok {
		return g.Sites
	}
	return nil
}

// setDoors puts other doors into a group.
func (s *State) setDoors(group ID, change func(doors []ID) []ID) {
	s.Groups.Update(group, func(g *Group) {
		g.Doors = sortedIDs(change(slices.Clone(g.Doors)))
		g.Sites = s.sitesOfDoors(g.Doors)
	})
}

// group finds a group that has not ended.
func (tx *Tx) group(id ID) (*Group, *Refusal) {
	g, r := tx.Groups.find(id, "group")
	if r == nil && g.Ended {
		return nil, refuse("group_ended", "group %s has ended; this is final: make a new one", id).about(id)
	}
	return g, r
}

// CreateGroup makes a group.
type CreateGroup struct {
	Group ID       `json:"group,omitempty"` // empty: an id is made
	Name  Personal `json:"name" personal:"org"`
	Doors []ID     `json:"doors"`           // none: it needs the role at the org
	Owner ID       `json:"owner,omitempty"` // empty: the sender
}

func (CreateGroup) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c CreateGroup) scope(s *State) Scope { return s.atDoors(c.Doors) }
func (c CreateGroup) decide(tx *Tx) *Refusal {
	id := tx.idFor(c.Group, "group")
	if tx.Groups.Has(id) {
		return refuse("group_exists", "group %s already exists", id).about(id)
	}
	if r := required("name", c.Name.Text()); r != nil {
		return r
	}
	if r := tx.checkDoors(c.Doors); r != nil {
		return r
	}
	owner := orDefault(c.Owner, tx.Actor.ID)
	if _, r := tx.person(owner); r != nil {
		return r
	}
	tx.emit(GroupCreated{Group: id, Name: c.Name, Doors: sortedIDs(c.Doors)})
	tx.emit(GroupMemberAdded{Group: id, Person: owner, Role: GroupOwner})
	return nil
}

// GroupCreated makes a group. Its owner comes next.
type GroupCreated struct {
	Group ID       `json:"group"`
	Name  Personal `json:"name" personal:"org"`
	Doors []ID     `json:"doors"` // sorted
}

func (e GroupCreated) fold(s *State, _ Moment) {
	s.Groups.Put(e.Group, Group{ID: e.Group, Name: e.Name, Doors: e.Doors, Sites: s.sitesOfDoors(e.Doors),
		Options: []GroupOption{OptionAdminsModifySettings}, Times: always})
}
func (e GroupCreated) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// RenameGroup gives a group another name.
type RenameGroup struct {
	Group ID       `json:"group"`
	Name  Personal `json:"name" personal:"org"`
}

func (RenameGroup) permit() Permit         { return settingsPermit }
func (c RenameGroup) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c RenameGroup) decide(tx *Tx) *Refusal {
	g, r := tx.settingsOf(c.Group)
	if r != nil {
		return r
	}
	if r := required("name", c.Name.Text()); r != nil {
		return r
	}
	if !c.Name.Same(g.Name) {
		tx.emit(GroupRenamed(c))
	}
	return nil
}

// GroupRenamed gives a group another name.
type GroupRenamed struct {
	Group ID       `json:"group"`
	Name  Personal `json:"name" personal:"org"`
}

func (e GroupRenamed) fold(s *State, _ Moment) {
	s.Groups.Update(e.Group, func(g *Group) { g.Name = e.Name })
}
func (e GroupRenamed) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// AddDoorToGroup puts a door into a group: from now on every member has it (rule
// G2).
type AddDoorToGroup struct {
	Group ID `json:"group"`
	Door  ID `json:"door"`
}

func (AddDoorToGroup) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c AddDoorToGroup) scope(s *State) Scope { return s.atGroup(c.Group, s.atDoor(c.Door).Sites...) }
func (c AddDoorToGroup) decide(tx *Tx) *Refusal {
	g, r := tx.group(c.Group)
	if r != nil {
		return r
	}
	if _, r := tx.Doors.find(c.Door, "door"); r != nil {
		return r
	}
	if slices.Contains(g.Doors, c.Door) {
		return nil
	}
	if r := refuseOverlaps(tx.overlapsThrough(c.Door, c.Group)); r != nil {
		return r
	}
	tx.emit(GroupDoorAdded(c))
	return nil
}

// GroupDoorAdded puts a door into a group, for all of its members.
type GroupDoorAdded struct {
	Group ID `json:"group"`
	Door  ID `json:"door"`
}

func (e GroupDoorAdded) fold(s *State, _ Moment) {
	s.setDoors(e.Group, func(doors []ID) []ID { return append(doors, e.Door) })
}
func (e GroupDoorAdded) fills(*Tx) filling           { return filling{doors: []ID{e.Door}} }
func (e GroupDoorAdded) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// RemoveDoorFromGroup takes a door out of a group: no member has it by the group
// any more. Those who run the door's site may do so whatever else is in the group.
type RemoveDoorFromGroup struct {
	Group ID `json:"group"`
	Door  ID `json:"door"`
}

func (RemoveDoorFromGroup) urgent() bool { return true }
func (RemoveDoorFromGroup) permit() Permit {
	return Permit{Role: RoleSystemManager, GroupRole: GroupOwner}
}
func (c RemoveDoorFromGroup) scope(s *State) Scope {
	sc := s.atDoor(c.Door)
	sc.Group = c.Group
	return sc
}
func (c RemoveDoorFromGroup) decide(tx *Tx) *Refusal {
	g, r := tx.Groups.find(c.Group, "group")
	if r != nil {
		return r
	}
	if _, r := tx.Doors.find(c.Door, "door"); r != nil {
		return r
	}
	if slices.Contains(g.Doors, c.Door) {
		tx.emit(GroupDoorRemoved(c))
	}
	return nil
}

// GroupDoorRemoved takes a door out of a group, for all of its members.
type GroupDoorRemoved struct {
	Group ID `json:"group"`
	Door  ID `json:"door"`
}

func (e GroupDoorRemoved) fold(s *State, _ Moment) {
	s.setDoors(e.Group, func(doors []ID) []ID {
		return slices.DeleteFunc(doors, func(d ID) bool { return d == e.Door })
	})
}
func (e GroupDoorRemoved) affectedSites(s *State) []ID {
	return append(s.atDoor(e.Door).Sites, s.sitesOfGroup(e.Group)...)
}

// EndGroup ends a group that is no longer needed. Its members stay on record, and keep
// the access that they have by other ways.
type EndGroup struct {
	Group ID `json:"group"`
	// RevokeAccess also ends what else its members open its doors by.
	RevokeAccess bool `json:"revoke_access,omitzero"`
}

func (EndGroup) urgent() bool           { return true }
func (EndGroup) permit() Permit         { return Permit{Role: RoleSystemManager, GroupRole: GroupOwner} }
func (c EndGroup) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c EndGroup) decide(tx *Tx) *Refusal {
	g, r := tx.Groups.find(c.Group, "group")
	if r != nil || g.Ended {
		return r
	}
	doors := g.Doors
	tx.emit(GroupEnded{Group: c.Group})
	for _, m := range tx.GroupMembers.Each(MemberByGroup, c.Group) {
		if m.Removed {
			continue
		}
		tx.leaves(m.Person, doors, c.RevokeAccess)
	}
	return nil
}

// GroupEnded ends a group for good. Without doors its members have nothing by it,
// however many they are.
type GroupEnded struct {
	Group ID `json:"group"`
}

func (e GroupEnded) fold(s *State, _ Moment) {
	s.Groups.Update(e.Group, func(g *Group) { g.Ended, g.Doors = true, []ID{} })
}
func (e GroupEnded) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }
