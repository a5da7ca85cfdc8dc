package explain

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// way names the things of a way.
func (x *explainer) way(w unlock.Way) Way {
	out := Way{Grant: w.Grant.ID}
	var use *unlock.Step // of the tenant's own access: it is told of the booking
	for i, t := range w.Steps {
		id := domain.ID(t.Row.ID)
		switch t.Row.Kind {
		case unlock.KindGrant:
			if kind, _ := domain.GrantOf(t.Row.ID); kind == domain.RecordBooking && !isMissing(t) {
				if i == 0 {
					use = &w.Steps[i]
				}
				continue
			}
			out.Steps = append(out.Steps, x.grantSteps(t)...)
		case unlock.KindPerson:
			out.Steps = append(out.Steps, x.sharerStep(t, x.sharerRole(w)))
		case unlock.KindBooking:
			step := x.bookingStep(t)
			if use != nil {
				x.use(&step, *use)
			}
			out.Steps = append(out.Steps, step)
		case unlock.KindUnit:
			out.Steps = append(out.Steps, x.unitStep(t))
		case unlock.KindRight:
			if w.Grant.Source == unlock.SourceGroup {
				out.Steps = append(out.Steps, x.groupStep(w.Grant.ID, w.Steps[i+1:]))
				return out
			}
			out.Steps = append(out.Steps, x.rightStep(id))
		case unlock.KindSchedule:
			out.Steps = append(out.Steps, x.scheduleStep(t))
		}
	}
	return out
}

// grantSteps are the steps of a grant of a chain.
func (x *explainer) grantSteps(t unlock.Step) []Step {
	kind, id := domain.GrantOf(t.Row.ID)
	switch kind {
	case domain.RecordShare:
		return []Step{x.shareStep(t, id)}
	case domain.RecordUnitUser:
		return []Step{x.unitUserStep(t, id)}
	case domain.RecordGroupMember:
		return []Step{x.memberStep(t, id)}
	case domain.RecordGrant:
		if g, ok := x.s.Grants.Get(id); ok {
			return append([]Step{x.grantStep(t, g)}, x.roleSteps(g.Person)...)
		}
	}
	step := Step{Kind: "share", Says: "not known"}
	step.fail(t.Failed, nil)
	return []Step{step}
}

// sharerRole tells how the access of a way is somebody else's.
func (x *explainer) sharerRole(w unlock.Way) string {
	if w.Grant.Source == unlock.SourceShare {
		return "who shares it"
	}
	return "whose booking it is"
}

// use adds to a step what stands against using it: with this credential, or remotely.
func (x *explainer) use(step *Step, t unlock.Step) {
	for _, f := range t.Failed {
		switch f.Fact {
		case unlock.SharedFob:
			step.Says += ", not with a fob or card"
		case unlock.OtherBooking:
			step.Says += fmt.Sprintf(", not with a credential of the booking %s", x.credential.Booking)
		}
	}
	step.fail(t.Failed, func(f unlock.Failure) string { return x.useWords(*step, t, f) })
}

// useWords tell what stands against using a grant; empty for another failure.
func (x *explainer) useWords(step Step, t unlock.Step, f unlock.Failure) string {
	switch f.Code {
	case unlock.DenyCredentialTypeNotPermitted:
		return step.thing() + ": " + x.wrongKind(t)
	case unlock.DenyRemoteUnlockNotPermitted:
		return fmt.Sprintf("%s: does not include %s", step.thing(), x.q.Command)
	}
	return ""
}

// wrongKind says why the credential does not serve for a grant.
func (x *explainer) wrongKind(t unlock.Step) string {
	if slices.ContainsFunc(t.Failed, func(f unlock.Failure) bool { return f.Fact == unlock.OtherBooking }) {
		return fmt.Sprintf("%s %s is for booking %s", x.credential.Kind, x.credential.ID, x.credential.Booking)
	}
	if g, ok := x.s.Grants.Get(domain.ID(t.Row.ID)); ok && len(g.Kinds) > 0 {
		return fmt.Sprintf("for %s only", kindsWords(g.Kinds))
	}
	return fmt.Sprintf("not with a %s", strings.ReplaceAll(string(x.kind()), "_", " "))
}

// firstFailure returns the failure of the steps that comes first in order of
// precedence. When nothing fails it returns a code beyond all of them.
func firstFailure(steps []Step) unlock.Code {
	first := ^unlock.Code(0)
	for _, s := range steps {
		for _, code := range s.Failed {
			first = min(first, code)
		}
	}
	return first
}

func (x *explainer) rightStep(id domain.ID) Step {
	step := Step{Kind: "right", ID: id, Commits: x.s.AccessRights.Commits(id)}
	if right, ok := x.s.AccessRights.Get(id); ok {
		step.Name, step.Says = right.Name, fmt.Sprintf("%d doors", len(right.Doors))
		switch {
		case right.Retired:
			step.Says = "retired"
		case len(right.Doors) == 1:
			step.Says = "1 door"
		}
	}
	return step
}

func (x *explainer) shareStep(t unlock.Step, id domain.ID) Step {
	step := Step{Kind: "share", ID: id, Says: "not known", Commits: x.s.Shares.Commits(id)}
	sh, ok := x.s.Shares.Get(id)
	if !ok {
		step.fail(t.Failed, nil)
		return step
	}
	step.Says = fmt.Sprintf("%s, %s, by %s", sh.State, domain.DaysText(sh.From, sh.Until), sh.By)
	state := t
	state.Failed = slices.DeleteFunc(slices.Clone(t.Failed), isUse)
	step.fail(state.Failed, func(f unlock.Failure) string {
		if f.Code == unlock.DenyShareRevoked {
			return ""
		}
		return step.thing() + ": " + periodWords(t, f, sh.From, sh.Until)
	})
	x.use(&step, t)
	return step
}

// isUse reports whether a failure is about how a grant is used, not about the grant.
func isUse(f unlock.Failure) bool {
	return f.Code == unlock.DenyCredentialTypeNotPermitted || f.Code == unlock.DenyRemoteUnlockNotPermitted
}

func (x *explainer) unitUserStep(t unlock.Step, id domain.ID) Step {
	u, a := x.s.AccessOfGrant(t.Row.ID)
	step := Step{Kind: "unit_user", ID: id, Says: fmt.Sprintf("%s, by %s", u.State, u.Associated), Commits: x.s.UnitUsers.Commits(id)}
	_, mapped := x.s.RightOfUnit(u.Unit, a.Right)
	if !mapped {
		step.Says += fmt.Sprintf(", the unit no longer has the right %s", a.Right)
	}
	step.fail(slices.DeleteFunc(slices.Clone(t.Failed), isUse), func(unlock.Failure) string {
		if u.State != domain.UnitUserStateActive {
			return ""
		}
		return fmt.Sprintf("unit %s no longer has right %s", u.Unit, a.Right)
	})
	x.use(&step, t)
	return step
}

// limitStep says when a limited access holds, and what the unit leaves of it.
func (x *explainer) limitStep(t unlock.Step) Step {
	u, a := x.s.AccessOfGrant(t.Row.ID)
	row, _ := x.rows.Row(t.Row)
	left := row.(*unlock.Schedule).Schedule
	_, id := domain.GrantOf(t.Row.ID)
	step := Step{Kind: "limit", ID: id, Commits: x.s.UnitUsers.Commits(id)}
	x.times(&step, t, left, fmt.Sprintf("%s in unit %s", u.Person, u.Unit))
	if !schedule.Equal(a.Limited, left) {
		own, _ := x.s.RightOfUnit(u.Unit, a.Right)
		step.Says = fmt.Sprintf("%s, of which the unit's schedule %s leaves %s", a.Limited, own, step.Says)
	}
	return step
}

func (x *explainer) grantStep(t unlock.Step, g *domain.Grant) Step {
	says := []string{"by " + g.By.String()}
	switch {
	case !g.From.IsZero():
		says = append(says, domain.DaysText(g.From, g.Until))
	case !g.Until.IsZero():
		says = append(says, "until "+g.Until.String())
	}
	if g.BufferBefore > 0 || g.BufferAfter > 0 {
		says = append(says, fmt.Sprintf("and %d minutes before, %d after", g.BufferBefore, g.BufferAfter))
	}
	if g.Revoked {
		says = append(says, "revoked")
	}
	if len(g.Kinds) > 0 {
		says = append(says, fmt.Sprintf("for %v", g.Kinds))
	}
	step := Step{Kind: "grant", ID: g.ID, Says: strings.Join(says, ", "), Commits: x.s.Grants.Commits(g.ID)}
	step.fail(slices.DeleteFunc(slices.Clone(t.Failed), isUse), func(f unlock.Failure) string {
		if f.Fact == unlock.ByState {
			return step.thing() + ": revoked"
		}
		return step.thing() + ": " + periodWords(t, f, g.From, g.Until)
	})
	x.use(&step, t)
	return step
}

// roleSteps are the roles for which a grant is one of staff.
func (x *explainer) roleSteps(person domain.ID) (steps []Step) {
	for _, id := range x.s.StaffRoles(person, x.site.ID) {
		r, _ := x.s.RoleAssignments.Get(id)
		where := " at the org"
		if r.Site != "" {
			where = " at the site " + string(r.Site)
		}
		steps = append(steps, Step{Kind: "role", ID: id, Says: string(r.Role) + where, Commits: x.s.RoleAssignments.Commits(id)})
	}
	return steps
}
