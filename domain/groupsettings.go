package domain

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"gatehouse/domain/schedule"
)

// BusinessHours are the hours in which the doors of a group stand open.
type BusinessHours struct {
	Times schedule.Schedule `json:"times"`
	// FirstIn says that they begin at a door only once an owner or admin of the group
	// has opened it: within them or within the grace before. Others open the door
	// meanwhile, which begins nothing.
	FirstIn      bool `json:"first_in"`
	GraceMinutes int  `json:"grace_minutes"` // 0 to 720
}

// The grace of business hours, in minutes.
const (
	defaultGrace = 60
	maxGrace     = 12 * 60
)

var groupSettingsMessages = messages{
	commands: []CommandType{
		command[SetGroupOption]("Turns an option of a group on or off.", GroupOptionSet{}),
		command[SetGroupSchedule]("Sets when the members of a group pass its doors.", GroupScheduleSet{}),
		command[SetGroupBusinessHours]("Sets when the doors of a group stand open; without times they never do.", GroupBusinessHoursSet{}),
		command[SetGroupBlackout]("Closes the doors of a group to its members for a period, in spite of its schedule.", GroupBlackoutSet{}),
		command[ClearGroupBlackout]("Removes a blackout of a group.", GroupBlackoutCleared{}),
	},
	events: []EventType{
		event[GroupOptionSet](1), event[GroupScheduleSet](1), event[GroupBusinessHoursSet](1), event[GroupBlackoutSet](1),
		event[GroupBlackoutCleared](1),
	},
}

// settingsPermit is who changes the settings of a group, as far as the option
// admins_modify_settings lets them.
var settingsPermit = Permit{Role: RoleSystemManager, GroupRole: GroupAdmin}

// settingsOf returns a group whose settings the actor may change, or refuses: an
// admin may not while the option is off (rule G5).
func (tx *Tx) settingsOf(id ID) (*Group, *Refusal) {
	g, r := tx.group(id)
	if r != nil {
		return nil, r
	}
	if g.has(OptionAdminsModifySettings) || tx.runsGroup(g) || tx.RoleInGroup(tx.Actor.ID, id) == GroupOwner {
		return g, nil
	}
	return nil, forbid("role_not_permitted", "admins of group %s may not change its settings because %s is off; ask an owner of the group or somebody with role %s at its sites",
		id, OptionAdminsModifySettings, RoleSystemManager).about(id)
}

// SetGroupOption turns an option on or off.
type SetGroupOption struct {
	Group   ID          `json:"group"`
	Option  GroupOption `json:"option"`
	Enabled bool        `json:"enabled"`
}

// urgent reports that the option ends: enabled, it lets members do more.
func (c SetGroupOption) urgent() bool { return !c.Enabled }

func (SetGroupOption) permit() Permit         { return Permit{Role: RoleSystemManager, GroupRole: GroupOwner} }
func (c SetGroupOption) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c SetGroupOption) decide(tx *Tx) *Refusal {
	g, r := tx.group(c.Group)
	if r != nil {
		return r
	}
	if r := required("option", string(c.Option)); r != nil || g.has(c.Option) == c.Enabled {
		return r
	}
	if c.Enabled && c.Option != OptionAdminsModifySettings && !tx.anyDoorCan(g.Doors, DoorCapability(c.Option)) {
		return invalid("capability_not_supported", "no door of group %s can do %s", c.Group, c.Option).about(c.Group)
	}
	tx.emit(GroupOptionSet(c))
	return nil
}

// anyDoorCan reports whether any of the doors has a capability.
func (s *State) anyDoorCan(doors []ID, wanted DoorCapability) bool {
	return slices.ContainsFunc(doors, func(id ID) bool {
		d, ok := s.Doors.Get(id)
		return ok && slices.Contains(d.Capabilities, wanted)
	})
}

// GroupOptionSet turns an option on or off.
type GroupOptionSet struct {
	Group   ID          `json:"group"`
	Option  GroupOption `json:"option"`
	Enabled bool        `json:"enabled"`
}

func (e GroupOptionSet) fold(s *State, _ Moment) {
	s.Groups.Update(e.Group, func(g *Group) {
		on := slices.DeleteFunc(slices.Clone(g.Options), func(o GroupOption) bool { return o == e.Option })
		if e.Enabled {
			on = append(on, e.Option)
		}
		g.Options = sortedSet(on)
	})
}
func (e GroupOptionSet) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// SetGroupSchedule sets when the members pass the doors.
type SetGroupSchedule struct {
	Group ID                `json:"group"`
	Times schedule.Schedule `json:"times"` // none: never
}

func (SetGroupSchedule) urgent() bool           { return true }
func (SetGroupSchedule) permit() Permit         { return settingsPermit }
func (c SetGroupSchedule) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c SetGroupSchedule) decide(tx *Tx) *Refusal {
	g, r := tx.settingsOf(c.Group)
	if r != nil {
		return r
	}
	if r := checkTimes(c.Times); r != nil {
		return r
	}
	if !reflect.DeepEqual(g.Times, c.Times) {
		tx.warnOfKinds(c.Times)
		tx.emit(GroupScheduleSet(c))
	}
	return nil
}

// GroupScheduleSet sets when the members pass the doors.
type GroupScheduleSet struct {
	Group ID                `json:"group"`
	Times schedule.Schedule `json:"times"`
}

func (e GroupScheduleSet) fold(s *State, _ Moment) {
	s.Groups.Update(e.Group, func(g *Group) { g.Times = e.Times })
}
func (e GroupScheduleSet) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// SetGroupBusinessHours sets when the doors stand open, or changes how those hours
// begin.
type SetGroupBusinessHours struct {
	Group ID                       `json:"group"`
	Times Given[schedule.Schedule] `json:"times,omitzero"` // null or none: they never stand open by themselves
	// FirstIn is on in new hours, and when it is null.
	FirstIn Given[bool] `json:"first_in,omitzero"`
	// GraceMinutes is 0 to 720; 60 in new hours, and when it is null.
	GraceMinutes Given[int] `json:"grace_minutes,omitzero"`
}

func (SetGroupBusinessHours) permit() Permit         { return settingsPermit }
func (c SetGroupBusinessHours) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c SetGroupBusinessHours) decide(tx *Tx) *Refusal {
	g, r := tx.settingsOf(c.Group)
	if r != nil {
		return r
	}
	hours := BusinessHours{FirstIn: true, GraceMinutes: defaultGrace}
	if g.Hours != nil {
		hours = *g.Hours
	} else if !c.Times.Named {
		return invalid("invalid_field", "times: a value is required, and group %s has no business hours yet", c.Group).about(c.Group)
	}
	hours = BusinessHours{Times: c.Times.or(hours.Times), FirstIn: c.FirstIn.orElse(hours.FirstIn, true), GraceMinutes: c.GraceMinutes.orElse(hours.GraceMinutes, defaultGrace)}
	if r := checkTimes(hours.Times); r != nil {
		return r
	}
	if hours.GraceMinutes < 0 || hours.GraceMinutes > maxGrace {
		return invalid("invalid_field", "grace_minutes: must be 0 to %d", maxGrace)
	}
	e := GroupBusinessHoursSet{Group: c.Group, Hours: &hours}
	if schedule.Equal(hours.Times, schedule.Schedule{}) {
		e.Hours = nil
	}
	if !reflect.DeepEqual(g.Hours, e.Hours) {
		tx.warnOfKinds(hours.Times)
		tx.emit(e)
	}
	return nil
}

// GroupBusinessHoursSet sets when the doors stand open.
type GroupBusinessHoursSet struct {
	Group ID             `json:"group"`
	Hours *BusinessHours `json:"business_hours,omitempty"` // none: never
}

func (e GroupBusinessHoursSet) fold(s *State, _ Moment) {
	s.Groups.Update(e.Group, func(g *Group) { g.Hours = e.Hours })
}
func (e GroupBusinessHoursSet) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// SetGroupBlackout closes the doors of a group to its members and ends their business
// hours. It lasts from one local date and time of each site to another. Others pass as
// before. The id of an existing blackout replaces that one.
type SetGroupBlackout struct {
	Group    ID                 `json:"group"`
	Blackout ID                 `json:"blackout,omitempty"` // empty: an id is made
	Name     Given[string]      `json:"name,omitzero"`
	From     *schedule.DateTime `json:"from,omitempty"` // inclusive; a new blackout has it
	To       *schedule.DateTime `json:"to,omitempty"`   // exclusive; a new blackout has it
}

func (SetGroupBlackout) urgent() bool           { return true }
func (SetGroupBlackout) permit() Permit         { return settingsPermit }
func (c SetGroupBlackout) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c SetGroupBlackout) decide(tx *Tx) *Refusal {
	g, r := tx.settingsOf(c.Group)
	if r != nil {
		return r
	}
	b, r := changedBlackout(g.Blackouts, tx.idFor(c.Blackout, "blackout"), c.Name, c.From, c.To)
	if r != nil {
		return r
	}
	if slices.Contains(g.Blackouts, b) {
		return nil
	}
	if len(g.Blackouts) >= schedule.MaxBlackouts && !g.hasBlackout(b.ID) {
		return refuse("too_many_blackouts", "group %s has %d blackouts; clear some that are over", c.Group, len(g.Blackouts)).about(c.Group)
	}
	tx.emit(GroupBlackoutSet{Group: c.Group, Blackout: b.ID, Name: b.Name, From: b.From, To: b.To})
	return nil
}

func (g *Group) hasBlackout(id ID) bool {
	return slices.ContainsFunc(g.Blackouts, func(b SiteBlackout) bool { return b.ID == id })
}

// without is a copy of the group's blackouts but for one.
func (g *Group) without(id ID) []SiteBlackout {
	return slices.DeleteFunc(slices.Clone(g.Blackouts), func(b SiteBlackout) bool { return b.ID == id })
}

// GroupBlackoutSet closes the doors of a group to its members for a time. It replaces
// the blackout with the same id.
type GroupBlackoutSet struct {
	Group    ID                `json:"group"`
	Blackout ID                `json:"blackout"`
	Name     string            `json:"name,omitempty"`
	From     schedule.DateTime `json:"from"`
	To       schedule.DateTime `json:"to"`
}

func (e GroupBlackoutSet) fold(s *State, _ Moment) {
	s.Groups.Update(e.Group, func(g *Group) {
		all := append(g.without(e.Blackout), SiteBlackout{e.Blackout, schedule.Blackout{Name: e.Name, From: e.From, To: e.To}})
		slices.SortFunc(all, func(a, b SiteBlackout) int { return cmp.Compare(a.ID, b.ID) })
		g.Blackouts = all
	})
}
func (e GroupBlackoutSet) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// ClearGroupBlackout takes a blackout of a group back.
type ClearGroupBlackout struct {
	Group    ID `json:"group"`
	Blackout ID `json:"blackout"`
}

func (ClearGroupBlackout) permit() Permit         { return settingsPermit }
func (c ClearGroupBlackout) scope(s *State) Scope { return s.atGroup(c.Group) }
func (c ClearGroupBlackout) decide(tx *Tx) *Refusal {
	g, r := tx.settingsOf(c.Group)
	if r != nil {
		return r
	}
	// One that is not there was cleared before, or never set: there is nothing left
	// to change in either case.
	if g.hasBlackout(c.Blackout) {
		tx.emit(GroupBlackoutCleared(c))
	}
	return nil
}

// GroupBlackoutCleared takes a blackout of a group back.
type GroupBlackoutCleared struct {
	Group    ID `json:"group"`
	Blackout ID `json:"blackout"`
}

func (e GroupBlackoutCleared) fold(s *State, _ Moment) {
	s.Groups.Update(e.Group, func(g *Group) { g.Blackouts = g.without(e.Blackout) })
}
func (e GroupBlackoutCleared) affectedSites(s *State) []ID { return s.sitesOfGroup(e.Group) }

// maxOverlaps is how many overlaps a refusal names.
const maxOverlaps = 100

// overlap is a door that a person would have from two groups.
type overlap struct{ person, door, group ID }

// forbidsOverlap reports whether a person may have a door from one group only. It
// counts for users and admins (rules G8 and G9), and the policy of the door's site
// decides it.
func (s *State) forbidsOverlap(door ID) bool {
	d, ok := s.Doors.Get(door)
	if !ok {
		return false
	}
	site, ok := s.Sites.Get(d.Site)
	return ok && site.Policy.MembershipOverlap != "union"
}

// overlapsOf lists what a person would have twice as user or admin of a group. An
// owner of another group has its doors as owner, not twice.
func (s *State) overlapsOf(person ID, g *Group) (found []overlap) {
	for _, m := range s.GroupMembers.Each(MemberByPerson, person) {
		if m.Removed || m.Role == GroupOwner || m.Group == g.ID {
			continue
		}
		other, ok := s.Groups.Get(m.Group)
		if !ok {
			continue
		}
		for _, door := range g.Doors {
			if _, both := slices.BinarySearch(other.Doors, door); both && s.forbidsOverlap(door) {
				found = append(found, overlap{person, door, m.Group})
			}
		}
	}
	return found
}

// overlapsThrough lists who would have a door twice were it in a group.
func (s *State) overlapsThrough(door, group ID) (found []overlap) {
	if !s.forbidsOverlap(door) {
		return nil
	}
	for _, other := range s.Groups.IDs(GroupByDoor, door) {
		if other != group {
			found = append(found, s.shared(door, group, other)...)
		}
	}
	return found
}

// shared lists the users and admins of both of two groups, by person.
func (s *State) shared(door, group, other ID) (found []overlap) {
	few, many := group, other
	if s.GroupMembers.Count(memberLimited, few) > s.GroupMembers.Count(memberLimited, many) {
		few, many = many, few
	}
	var people []ID
	for _, m := range s.GroupMembers.unsorted(memberLimited, few) {
		person := m.Person
		if s.RoleInGroup(person, many).rank() > 0 && s.RoleInGroup(person, many) != GroupOwner {
			people = append(people, person)
		}
	}
	for _, person := range sortedIDs(people) {
		found = append(found, overlap{person, door, other})
	}
	return found
}

// overlapsAt lists what people have from two groups at the doors of a site.
func (s *State) overlapsAt(site ID) (found []overlap) {
	for _, door := range s.Doors.IDs(DoorBySite, site) {
		groups := s.Groups.IDs(GroupByDoor, door)
		for i, group := range groups {
			for _, other := range groups[i+1:] {
				found = append(found, s.shared(door, group, other)...)
			}
		}
	}
	return found
}

// refuseOverlaps refuses what would let people have doors from two groups, and
// names them: person, door and other group in turn.
func refuseOverlaps(found []overlap) *Refusal {
	if len(found) == 0 {
		return nil
	}
	first := found[0]
	more := ""
	if len(found) > 1 {
		more = fmt.Sprintf(", and so on for %d more", len(found)-1)
	}
	r := refuse("group_overlap", "users and admins have a door from one group only, and %s has door %s from group %s%s",
		first.person, first.door, first.group, more)
	for _, o := range found[:min(len(found), maxOverlaps)] {
		r.about(o.person, o.door, o.group)
	}
	return r
}
