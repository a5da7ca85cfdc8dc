package domain

import (
	"slices"
	"strings"

	"gatehouse/domain/unlock"
)

// hoursSuffix ends the id of the schedule row of a group's business hours.
const hoursSuffix = "/hours"

// groupRight is the id of the right that is made of a group's doors. The schedule on
// which the members pass has the same id.
func groupRight(group ID) string { return groupPrefix + string(group) }

// memberGrant is the id of the grant of a membership.
func memberGrant(member ID) string { return groupPrefix + string(member) }

// groupKeys adds what is about a group as a whole.
func groupKeys(group ID, out keySet) {
	out.add(unlock.KindRight, groupRight(group))
	out.add(unlock.KindSchedule, groupRight(group))
	out.add(unlock.KindSchedule, groupRight(group)+hoursSuffix)
}

// membersOfGroup adds what the members of a group have of it.
func (s *State) membersOfGroup(group ID, out keySet) {
	for id, m := range s.GroupMembers.unsorted(MemberByGroup, group) {
		out.add(unlock.KindGrant, memberGrant(id))
		out.add(unlock.KindPerson, string(m.Person))
	}
}

// groupAt reports whether a group has doors at the site.
func (s *State) groupAt(group, site ID) bool { return slices.Contains(s.sitesOfGroup(group), site) }

// groupHere finds a group that has doors at the site.
func (m *rowMaker) groupHere(id ID) (*Group, bool) {
	g, ok := m.s.Groups.Get(id)
	return g, ok && slices.Contains(g.Sites, m.site.ID)
}

// timed reports whether a group has a schedule row: its members do not always pass.
func (g *Group) timed() bool {
	return !g.Times.Always || !g.Times.ValidFrom.IsZero() || !g.Times.ValidUntil.IsZero() || len(g.Blackouts) > 0
}

func (m *rowMaker) groupRightRow(id ID) *unlock.Right {
	g, ok := m.groupHere(id)
	if !ok {
		return nil
	}
	r := &unlock.Right{ID: groupRight(id), Doors: m.doorsHere(g.Doors)}
	if g.timed() {
		r.Schedule = groupRight(id)
	}
	for _, o := range []DoorCapability{CapabilityRemoteUnlock, CapabilityUnlockFor} {
		if g.has(GroupOption(o)) {
			r.Capabilities = append(r.Capabilities, unlockCapabilityOf[o])
		}
	}
	if h := g.Hours; h != nil {
		r.Hours = &unlock.Hours{Schedule: groupRight(id) + hoursSuffix, FirstIn: h.FirstIn, Grace: uint32(h.GraceMinutes) * 60}
	}
	return r
}

// groupScheduleRow makes the row of when the members of a group pass, or of its
// business hours. The blackouts of the group are in both.
func (m *rowMaker) groupScheduleRow(id, name string) *unlock.Schedule {
	group, hours := strings.CutSuffix(name, hoursSuffix)
	g, ok := m.groupHere(ID(group))
	if !ok || hours && g.Hours == nil || !hours && !g.timed() {
		return nil
	}
	r := &unlock.Schedule{ID: id, Schedule: g.Times, Closed: m.closed(g)}
	if hours {
		r.Schedule = g.Hours.Times
	}
	return r
}

// closed are the blackouts of a group by the clock of the site.
func (m *rowMaker) closed(g *Group) []unlock.Window {
	var windows []unlock.Window
	for _, b := range g.Blackouts {
		if from, to := b.Span(m.s.zone(m.site.ID)); from < to {
			windows = append(windows, unlock.Window{From: unlock.Instant(from), Until: unlock.Instant(to)})
		}
	}
	slices.SortFunc(windows, unlock.Window.Compare)
	return slices.Compact(windows)
}

// hoursOf lists the rights of the groups whose business hours a door keeps.
func (m *rowMaker) hoursOf(door ID) []string {
	var rights []string
	for id, g := range m.s.Groups.unsorted(GroupByDoor, door) {
		if g.Hours != nil {
			rights = append(rights, groupRight(id))
		}
	}
	slices.Sort(rights)
	return rights
}

// memberGrantRow is the grant of a membership. The row of the group's right tells what
// users may do beside passing; the other roles may do it anyhow.
func (m *rowMaker) memberGrantRow(member ID) *unlock.Grant {
	gm, ok := m.s.GroupMembers.Get(member)
	if !ok || !m.s.groupAt(gm.Group, m.site.ID) {
		return nil
	}
	r := &unlock.Grant{
		ID: memberGrant(member), Person: string(gm.Person), Right: groupRight(gm.Group),
		Source: unlock.SourceGroup, State: unlock.GrantActive,
	}
	if gm.Role.AtLeast(GroupAdmin) {
		r.Capabilities = []unlock.Capability{unlock.RemoteUnlock, unlock.UnlockFor, unlock.FirstIn}
	}
	if gm.Removed {
		r.State = unlock.GrantRevoked
	}
	return r
}

// group marks the right and the schedules of a group at every site that it has or had.
// At a site that came or went, it marks the members as well. It also marks the doors
// that began or ceased to keep the group's business hours.
func (c *changes) group(id ID, was []*Group) {
	count := map[ID]int{}
	for _, g := range was {
		for _, site := range g.Sites {
			count[site]++
			groupKeys(id, c.at(site))
		}
	}
	for site, n := range count {
		if n == 2 {
			continue
		}
		c.s.membersOfGroup(id, c.at(site))
		for _, m := range c.s.GroupMembers.unsorted(MemberByGroup, id) {
			c.move(m.Person, site)
		}
	}
	var kept [2][]ID
	for i, g := range was {
		if g.Hours != nil {
			kept[i] = g.Doors
		}
	}
	for _, door := range append(missingIn(kept[0], kept[1]), missingIn(kept[1], kept[0])...) {
		if d, ok := c.s.Doors.Get(door); ok {
			c.at(d.Site).add(unlock.KindDoor, string(door))
		}
	}
}

// sitesOfGroup gives the sites that a group has, and those that it had when it was
// touched.
func (c *changes) sitesOfGroup(group ID) map[ID]struct{} {
	out := map[ID]struct{}{}
	for _, g := range versions(c.s.Groups, group, c.touched[touch{c.s.Groups.name, group}]) {
		for _, site := range g.Sites {
			out[site] = struct{}{}
		}
	}
	return out
}

// posture gives a door's row its posture, or that of a lockdown, which comes
// first.
func (m *rowMaker) posture(r *unlock.Door, d *Door) {
	switch areas := m.s.LockedAreas(d); {
	case d.Lockdown != "":
		r.Posture, r.PostureSource = unlock.Lockdown, d.Lockdown
	case len(areas) > 0:
		r.Posture, r.PostureSource = unlock.Lockdown, areas[0].Lockdown
	case d.Posture.Posture != "":
		r.Posture, r.PostureUntil = unlockPostures[d.Posture.Posture], instantOrNone(d.Posture.Until)
		r.PostureSource = d.Posture.Command
	}
}

var unlockPostures = map[Posture]unlock.Posture{
	PostureUnlocked:   unlock.Unlocked,
	PostureFreeAccess: unlock.FreeAccess,
	PostureNormal:     unlock.Secured,
}
