package domain

import (
	"fmt"
	"slices"
)

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
	for _, m := range s.GroupMembers.Each("person:" + string(person)) {
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
	for _, other := range s.Groups.By("door:" + string(door)) {
		if other != group {
			found = append(found, s.shared(door, group, other)...)
		}
	}
	return found
}

// shared lists the users and admins of both of two groups, by person.
func (s *State) shared(door, group, other ID) (found []overlap) {
	few, many := group, other
	if len(s.GroupMembers.index["single:"+string(few)]) > len(s.GroupMembers.index["single:"+string(many)]) {
		few, many = many, few
	}
	var people []ID
	for key := range s.GroupMembers.index["single:"+string(few)] {
		person := s.GroupMembers.rows[key].v.Person
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
	for _, door := range s.Doors.By("site:" + string(site)) {
		groups := s.Groups.By("door:" + string(door))
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
