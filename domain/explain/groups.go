package explain

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
)

// memberStep is that of a membership of a group.
func (x *explainer) memberStep(t unlock.Step, member domain.ID) Step {
	step := Step{Kind: "group_member", ID: member, Commits: x.s.GroupMembers.Commits(member)}
	m, _ := x.s.GroupMembers.Get(member)
	step.Says = fmt.Sprintf("%s of group %s, by %s", m.Role, m.Group, m.By)
	if m.Removed {
		step.Says += ", removed"
	}
	if g, ok := x.s.Groups.Get(m.Group); ok && g.Ended {
		step.Says += ", which has ended"
	}
	step.fail(slices.DeleteFunc(slices.Clone(t.Failed), isUse), func(unlock.Failure) string {
		return fmt.Sprintf("%s is no longer in group %s", m.Person, m.Group)
	})
	x.use(&step, t)
	return step
}

// groupStep says when the members of a group pass, by the grant of one of them. The
// schedule is the first of the rest of the way, if it counts.
func (x *explainer) groupStep(grant string, rest []unlock.Step) Step {
	_, member := domain.GrantOf(grant)
	m, _ := x.s.GroupMembers.Get(member)
	id := m.Group
	step := Step{Kind: "group", ID: id, Says: "the schedule of fobs", Commits: x.s.Groups.Commits(id)}
	g, _ := x.s.Groups.Get(id)
	closed := x.closedWords(g)
	var t unlock.Step
	if len(rest) > 0 {
		t = rest[0]
	}
	if !x.byFobs() {
		// A blackout of the group is why its schedule does not hold.
		x.times(&step, unlock.Step{Next: t.Next}, g.Times, "")
	}
	times := g.Times.String()
	step.fail(t.Failed, func(f unlock.Failure) string {
		if f.Code == unlock.DenyBlackout {
			return step.thing() + ": " + strings.TrimPrefix(closed, ", ")
		}
		return x.timesWords(f, nameOf("group", id, "")+": "+times)
	})
	step.Says += closed
	return step
}

// closures gives the blackouts that are in force.
func (x *explainer) closures(all []domain.SiteBlackout) (closed []domain.SiteBlackout) {
	z := x.s.ZoneOf(x.site.ID)
	for _, b := range all {
		if from, to := b.Span(z); from <= int64(x.at) && int64(x.at) < to {
			closed = append(closed, b)
		}
	}
	return closed
}

// closedWords name the blackouts of a group that are in force.
func (x *explainer) closedWords(g *domain.Group) string {
	var says strings.Builder
	for _, b := range x.closures(g.Blackouts) {
		fmt.Fprintf(&says, ", blackout %s from %s to %s", b.ID, b.From, b.To)
	}
	return says.String()
}

// hoursSteps say in which business hours the door stands open to anybody. Whether
// those have begun that wait for somebody, only the door's gateway knows.
func (x *explainer) hoursSteps() (steps []Step) {
	for id, g := range x.s.Groups.Each(domain.GroupByDoor, x.door.ID) {
		if g.Hours == nil {
			continue
		}
		says := "business hours: " + g.Hours.Times.String()
		if g.Hours.FirstIn {
			says += fmt.Sprintf(", once an owner or admin has come, at most %d minutes before", g.Hours.GraceMinutes)
		}
		steps = append(steps, Step{Kind: "group", ID: id, Says: says + x.closedWords(g), Commits: x.s.Groups.Commits(id)})
	}
	return steps
}
