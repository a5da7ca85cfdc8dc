package domain

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/domain/unlock"
)

// memberSteps are those of a membership: the member, and the group with its doors,
// times and blackouts.
func (x *explainer) memberSteps(member ID) ([]Step, bool) {
	m, ok := x.s.GroupMembers.Get(member)
	if !ok {
		return nil, false
	}
	g, ok := x.s.Groups.Get(m.Group)
	if !ok {
		return nil, false
	}
	says := fmt.Sprintf("%s of group %s, by %s", m.Role, m.Group, m.By)
	if m.Removed {
		says += ", removed"
	}
	if g.Ended {
		says += ", which has ended"
	}
	step := Step{Kind: "group_member", ID: member, Says: says, Commits: x.s.GroupMembers.Commits(member)}
	step.fail(m.Removed, unlock.DenyNoAccessRight, fmt.Sprintf("%s is no longer in group %s", m.Person, m.Group))
	may := []DoorCapability{CapabilityRemoteUnlock, CapabilityUnlockFor}
	if !m.Role.AtLeast(GroupAdmin) {
		may = slices.DeleteFunc(may, func(c DoorCapability) bool { return !g.has(GroupOption(c)) })
	}
	x.use(&step, nil, may, "")
	return []Step{step, x.groupStep(g)}, slices.Contains(g.Doors, x.door.ID)
}

// groupStep says when the members of a group pass.
func (x *explainer) groupStep(g *Group) Step {
	step := Step{Kind: "group", ID: g.ID, Says: "the schedule of fobs", Commits: x.s.Groups.Commits(g.ID)}
	closed := x.closures(g)
	if x.fobSchedule() == "" {
		// A blackout of the group is why its schedule does not hold.
		when := Step{}
		x.times(&when, g.Times, nameOf("group", g.ID, ""))
		step.Says = when.Says
		if closed == "" {
			step.Failed, step.because = when.Failed, when.because
		}
	}
	step.Says += closed
	step.fail(closed != "", unlock.DenyBlackout, step.thing()+": "+strings.TrimPrefix(closed, ", "))
	return step
}

// closures names the blackouts of a group that hold.
func (x *explainer) closures(g *Group) string {
	var says strings.Builder
	z := x.s.zone(x.m.site.ID)
	for _, b := range g.Blackouts {
		if from, to := b.Span(z); from <= int64(x.at) && int64(x.at) < to {
			fmt.Fprintf(&says, ", blackout %s from %s to %s", b.ID, b.From, b.To)
		}
	}
	return says.String()
}

// hoursSteps say in which business hours the door stands open to anybody. Whether
// those have begun that wait for somebody, only the door's gateway knows.
func (x *explainer) hoursSteps() (steps []Step) {
	for id, g := range x.s.Groups.Each(GroupByDoor, x.door.ID) {
		if g.Hours == nil {
			continue
		}
		says := "business hours: " + g.Hours.Times.String()
		if g.Hours.FirstIn {
			says += fmt.Sprintf(", once an owner or admin has come, at most %d minutes before", g.Hours.GraceMinutes)
		}
		steps = append(steps, Step{Kind: "group", ID: id, Says: says + x.closures(g), Commits: x.s.Groups.Commits(id)})
	}
	return steps
}
