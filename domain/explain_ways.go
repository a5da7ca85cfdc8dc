package domain

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// way says step by step what counts of a grant; without steps when the grant is
// for other doors.
func (x *explainer) way(grant string) Way {
	w := Way{Grant: grant}
	var opens bool
	if id, ok := strings.CutPrefix(grant, bookingPrefix); ok {
		w.Steps, opens = x.tenantSteps(ID(id))
	} else if id, ok := strings.CutPrefix(grant, sharePrefix); ok {
		w.Steps, opens = x.shareSteps(ID(id))
	} else if user, ok := strings.CutPrefix(grant, unitUserPrefix); ok {
		w.Steps, opens = x.unitUserSteps(user)
	} else if member, ok := strings.CutPrefix(grant, groupPrefix); ok {
		w.Steps, opens = x.memberSteps(ID(member))
	} else {
		w.Steps, opens = x.grantSteps(ID(grant))
	}
	if !opens {
		w.Steps = nil
	}
	return w
}

// use adds to the first step of a way what stands against using it: with this
// credential, or from afar.
func (x *explainer) use(step *Step, kinds []CredentialKind, may []DoorCapability, booking ID) {
	kind := x.kind()
	wrong := kind != "" && len(kinds) > 0 && !slices.Contains(kinds, kind)
	if (kind == KindFob || kind == KindCard) && step.Kind == "share" && x.m.site.Policy.FobHolders != "anyone" {
		wrong = true
		step.Says += ", not with a fob or card"
	}
	if x.credential != nil && x.credential.Booking != "" && x.credential.Booking != booking {
		wrong = true
		step.Says += fmt.Sprintf(", not with a credential of the booking %s", x.credential.Booking)
	}
	step.fail(wrong, unlock.DenyCredentialTypeNotPermitted, step.thing()+": "+x.wrongKind(kinds, booking))
	step.fail(x.q.Command != "" && !slices.Contains(may, x.q.Command), unlock.DenyRemoteUnlockNotPermitted,
		fmt.Sprintf("%s: does not include %s", step.thing(), x.q.Command))
}

// wrongKind says why the credential does not serve for a way of these kinds, under a
// booking.
func (x *explainer) wrongKind(kinds []CredentialKind, booking ID) string {
	if c := x.credential; c != nil && c.Booking != "" && c.Booking != booking {
		return fmt.Sprintf("%s %s is for booking %s", c.Kind, c.ID, c.Booking)
	}
	if len(kinds) > 0 {
		return fmt.Sprintf("for %s only", kindsWords(kinds))
	}
	return fmt.Sprintf("not with a %s", strings.ReplaceAll(string(x.kind()), "_", " "))
}

// tenantSteps are those of what a booking opens: the booking, its unit, and of the
// rights mapped to it the one that opens the door best.
func (x *explainer) tenantSteps(booking ID) ([]Step, bool) {
	steps := x.bookingSteps(booking)
	rights, opens := x.mappedSteps(booking)
	x.use(&steps[0], nil, nil, booking)
	return append(steps, rights...), opens
}

func (x *explainer) mappedSteps(booking ID) (best []Step, opens bool) {
	b, ok := x.s.Bookings.Get(booking)
	if !ok {
		return nil, false
	}
	unit, ok := x.s.Units.Get(b.Unit)
	if !ok {
		return nil, false
	}
	for _, ur := range unit.Rights {
		steps, here := x.rightSteps(ur.Right, hoursOf{ur.Schedule, nameOf("unit", unit.ID, unit.Name)})
		if here && (!opens || firstFailure(steps) > firstFailure(best)) {
			best, opens = steps, true
		}
	}
	return best, opens
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

// hoursOf is a schedule that narrows a right, and whose it is.
type hoursOf struct {
	schedule ID
	whose    string
}

// rightSteps are those of a right with the schedules that narrow it.
func (x *explainer) rightSteps(id ID, bounds ...hoursOf) (steps []Step, opens bool) {
	right, ok := x.s.AccessRights.Get(id)
	if !ok {
		return nil, false
	}
	opens = slices.Contains(right.Doors, x.door.ID)
	says := fmt.Sprintf("%d doors", len(right.Doors))
	switch {
	case right.Retired:
		says = "retired"
	case len(right.Doors) == 1:
		says = "1 door"
	}
	steps = append(steps, Step{Kind: "right", ID: id, Name: right.Name, Says: says, Commits: x.s.AccessRights.Commits(id)})
	if x.fobSchedule() != "" {
		return steps, opens
	}
	for _, b := range append([]hoursOf{{right.Schedule, steps[0].thing()}}, bounds...) {
		if scheduleRef(b.schedule) != "" {
			steps = append(steps, x.schedule(b.schedule, b.whose))
		}
	}
	return steps, opens
}

// shareSteps are those of a share, of those it was shared on from, and of the
// booking.
func (x *explainer) shareSteps(id ID) (steps []Step, opens bool) {
	sh, ok := x.s.Shares.Get(id)
	if !ok {
		return nil, false
	}
	booking := sh.Booking
	for sh != nil {
		step := Step{Kind: "share", ID: sh.ID, Commits: x.s.Shares.Commits(sh.ID),
			Says: fmt.Sprintf("%s, %s, by %s", sh.State, daysText(sh.From, sh.Until), sh.By)}
		step.fail(sh.State == ShareStateRevoked, unlock.DenyShareRevoked)
		step.fail(sh.State == ShareStateEnded, unlock.DenyShareEnded, x.overWords(step.thing(), sh.Site, sh.From, sh.Until))
		x.days(&step, sh.Site, sh.From, sh.Until, unlock.DenyShareNotStarted, unlock.DenyShareEnded)
		if len(steps) == 0 {
			x.use(&step, nil, nil, booking)
		}
		sharer, parent := x.sharer(sh)
		steps, sh = append(steps, step, sharer), parent
	}
	rights, opens := x.mappedSteps(booking)
	return slices.Concat(steps, x.bookingSteps(booking), rights), opens
}

// sharer is the step of the person who shared: their share opens while they are in good
// standing. It also returns the share that they have themselves; nil means that they
// are the tenant.
func (x *explainer) sharer(sh *Share) (Step, *Share) {
	id, parent := ID(""), (*Share)(nil)
	if sh.Parent == "" {
		if b, ok := x.s.Bookings.Get(sh.Booking); ok {
			id = b.Person
		}
	} else if p, ok := x.s.Shares.Get(sh.Parent); ok {
		id, parent = p.Person, p
	} else {
		step := Step{Kind: "share", ID: sh.Parent, Says: "not known"}
		step.fail(true, unlock.DenyShareRevoked)
		return step, nil
	}
	return x.goodStanding(id, "who shares it"), parent
}

// goodStanding says whether a person lets others use what is theirs.
func (x *explainer) goodStanding(id ID, role string) Step {
	step := x.personStep(id)
	step.Says += ", " + role
	if p, ok := x.s.People.Get(id); !ok || p.State != PersonStateActive {
		step.Failed = []unlock.Code{unlock.DenySharerSuspended}
	}
	return step
}

func (x *explainer) unitUserSteps(name string) ([]Step, bool) {
	u, a := x.m.unitAccess(name)
	if a == nil {
		return nil, false
	}
	key := unitUserKey(u.Unit, u.Person)
	step := Step{Kind: "unit_user", ID: key, Says: fmt.Sprintf("%s, by %s", u.State, u.Associated), Commits: x.s.UnitUsers.Commits(key)}
	step.fail(u.State != UnitUserStateActive, unlock.DenyNoAccessRight)
	own, mapped := x.m.mapped(u.Unit, a.Right)
	if !mapped {
		step.Says += fmt.Sprintf(", the unit no longer has the right %s", a.Right)
		step.fail(true, unlock.DenyNoAccessRight, fmt.Sprintf("unit %s no longer has right %s", u.Unit, a.Right))
	}
	x.use(&step, nil, nil, u.Booking)
	bounds := []hoursOf{{own, nameOf("unit", u.Unit, "")}}
	if a.Mode == ModeLimited {
		bounds = nil
	}
	rights, opens := x.rightSteps(a.Right, bounds...)
	if a.Mode == ModeLimited && x.fobSchedule() == "" {
		rights = append(rights, x.limitStep(u, a, x.m.limitRow(name, name).Schedule, own))
	}
	steps := []Step{step}
	if b, ok := x.s.Bookings.Get(u.Booking); ok && b.Person != u.Person {
		steps = append(steps, x.goodStanding(b.Person, "whose booking it is"))
	}
	return slices.Concat(steps, x.bookingSteps(u.Booking), rights), opens
}

// limitStep says when a limited access holds: left is what the unit leaves of it.
func (x *explainer) limitStep(u *UnitUser, a *UnitAccess, left schedule.Schedule, unit ID) Step {
	key := unitUserKey(u.Unit, u.Person)
	step := Step{Kind: "limit", ID: key, Commits: x.s.UnitUsers.Commits(key)}
	x.times(&step, left, fmt.Sprintf("%s in unit %s", u.Person, u.Unit))
	if !schedule.Equal(a.Limited, left) {
		step.Says = fmt.Sprintf("%s, of which the unit's schedule %s leaves %s", a.Limited, unit, step.Says)
	}
	return step
}

func (x *explainer) grantSteps(id ID) ([]Step, bool) {
	g, ok := x.s.Grants.Get(id)
	if !ok {
		return nil, false
	}
	says := []string{"by " + g.By.String()}
	switch {
	case !g.From.IsZero():
		says = append(says, daysText(g.From, g.Until))
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
	step := Step{Kind: "grant", ID: id, Says: strings.Join(says, ", "), Commits: x.s.Grants.Commits(id)}
	step.fail(g.Revoked, unlock.DenyNoAccessRight, step.thing()+": revoked")
	x.window(&step, x.s.grantWindow(x.m.site.ID, g), unlock.DenyNoAccessRight, unlock.DenyNoAccessRight, g.From, g.Until)
	x.use(&step, g.Kinds, g.Capabilities, "")
	rights, opens := x.rightSteps(g.Right, hoursOf{g.Schedule, step.thing()})
	return slices.Concat([]Step{step}, x.roleSteps(g.Person), rights), opens
}

// roleSteps are the roles for which a grant is one of staff.
func (x *explainer) roleSteps(person ID) (steps []Step) {
	for _, at := range []ID{"", x.m.site.ID} {
		id := roleKey(person, at)
		if r, ok := x.s.RoleAssignments.Get(id); ok && r.Role.AtLeast(RoleStaff) {
			where := " at the org"
			if at != "" {
				where = " at the site " + string(at)
			}
			steps = append(steps, Step{Kind: "role", ID: id, Says: string(r.Role) + where, Commits: x.s.RoleAssignments.Commits(id)})
		}
	}
	return steps
}
