package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// common says what counts for every way: the door, the site with its schedule of fobs,
// the credential and the person.
func (x *explainer) common() (steps []Step) {
	for _, t := range x.found.Steps {
		id := domain.ID(t.Row.ID)
		switch t.Row.Kind {
		case unlock.KindDoor:
			steps = append(steps, x.doorStep(t))
		case unlock.KindSite:
			steps = append(steps, x.siteStep(t))
			steps = append(steps, x.hoursSteps()...)
			steps = append(steps, x.areaSteps()...)
		case unlock.KindSchedule:
			steps = append(steps, x.scheduleStep(t))
		case unlock.KindCredential:
			steps = append(steps, x.credentialStep(t))
		case unlock.KindBooking:
			steps = append(steps, x.bookingStep(t))
		case unlock.KindUnit:
			steps = append(steps, x.unitStep(t))
		case unlock.KindPerson:
			if id != "" || x.person != "" {
				steps = append(steps, x.asker(t))
			}
		}
	}
	return steps
}

func (x *explainer) doorStep(t unlock.Step) Step {
	d := x.door
	step := Step{Kind: "door", ID: d.ID, Name: d.Name, Says: x.doorSays(), Commits: x.s.Doors.Commits(d.ID)}
	for _, f := range t.Failed {
		if f.Code == unlock.DenyLockdown && d.Lockdown == "" {
			continue // of an area
		}
		step.fail([]unlock.Failure{f}, func(f unlock.Failure) string {
			switch f.Code {
			case unlock.DenyLockdown:
				return step.thing() + ": locked down"
			case unlock.DenyCapability:
				return fmt.Sprintf("%s: cannot do %s", step.thing(), x.q.Command)
			}
			return ""
		})
	}
	return step
}

// doorSays tells in what state the door is.
func (x *explainer) doorSays() string {
	d := x.door
	says := []string{"in service"}
	if d.Disabled {
		says[0] = "out of service"
	}
	if d.Lockdown != "" {
		says = append(says, "locked down")
	}
	says = append(says, x.postureSays(d.Posture)...)
	if d.Hours != "" {
		says = append(says, "stands open on the schedule "+string(d.Hours))
	}
	return strings.Join(says, ", ")
}

func (x *explainer) postureSays(p domain.DoorPosture) (says []string) {
	if p.InForce(x.q.At) {
		says = append(says, "posture "+string(p.Posture))
		if !p.Until.IsZero() {
			says = append(says, "until "+x.when(p.Until))
		}
	}
	return says
}

func (x *explainer) areaSteps() (steps []Step) {
	for _, a := range x.s.LockedAreas(x.door) {
		steps = append(steps, Step{Kind: "area", ID: a.ID, Name: a.Name, Says: "locked down",
			Failed: []unlock.Code{unlock.DenyLockdown}, Commits: x.s.Areas.Commits(a.ID)})
	}
	return steps
}

func (x *explainer) siteStep(t unlock.Step) Step {
	site := x.site
	step := Step{Kind: "site", ID: site.ID, Name: site.Name, Commits: x.s.Sites.Commits(site.ID)}
	says := []string{site.Rules.Zone}
	if x.today != "" {
		says = append(says, "a special day: "+string(x.today))
	}
	if site.Lockdown != "" {
		says = append(says, "locked down")
	}
	if x.door.Unit == "" {
		says = append(says, x.postureSays(site.Posture)...)
	}
	closed := x.closures(site.Blackouts)
	for _, b := range closed {
		says = append(says, fmt.Sprintf("blackout %s from %s to %s", b.ID, b.From, b.To))
	}
	step.fail(t.Failed, func(f unlock.Failure) string {
		if f.Code == unlock.DenyBlackout {
			return step.thing() + ": closed from " + spanWords(closed[0].Blackout)
		}
		return step.thing() + ": locked down"
	})
	step.Says = strings.Join(says, ", ")
	return step
}

// asker is the step of the person whom the question is about.
func (x *explainer) asker(t unlock.Step) Step {
	step := x.personStep(x.person)
	if len(t.Failed) > 0 && t.Failed[0].Fact != unlock.ByState {
		if p, ok := x.s.People.Get(x.person); ok && p.State.Denial() != unlock.NoCode {
			step.fail([]unlock.Failure{{Code: p.State.Denial()}}, nil)
		}
		step.Says += ", holds nothing at the site"
	}
	step.fail(t.Failed, func(f unlock.Failure) string {
		switch f.Code {
		case unlock.DenyIdentityPending:
			return step.thing() + ": still pending"
		case unlock.DenyUnknownCredential:
			return fmt.Sprintf("%s has no grant and no credential at site %s", x.person, x.site.ID)
		}
		return ""
	})
	return step
}

func (x *explainer) personStep(id domain.ID) Step {
	step := Step{Kind: "person", ID: id, Says: "not known", Commits: x.s.People.Commits(id)}
	if p, ok := x.s.People.Get(id); ok {
		step.Says = string(p.State)
		if p.State == domain.PersonStatePending {
			step.Says = "pending: the identity is not bound yet"
		}
	}
	return step
}

// sharerStep is the step of a person whose access others use.
func (x *explainer) sharerStep(t unlock.Step, role string) Step {
	step := x.personStep(domain.ID(t.Row.ID))
	step.Says += ", " + role
	step.fail(t.Failed, nil)
	return step
}

func (x *explainer) credentialStep(t unlock.Step) Step {
	id, c := x.q.Credential, x.credential
	step := Step{Kind: "credential", ID: id, Commits: x.s.Credentials.Commits(id)}
	if t.Row.ID == "" {
		step.Says = "not known at the site"
		step.fail(t.Failed, nil)
		return step
	}
	says := []string{string(c.Kind), string(c.State)}
	if c.State == domain.CredentialStateSuspended && !c.SuspendedUntil.IsZero() {
		says = append(says, "until "+x.when(c.SuspendedUntil))
	}
	if c.Denied {
		says = append(says, "on the deny list")
	}
	if !c.From.IsZero() {
		says = append(says, "from "+x.when(c.From))
	}
	if !c.Until.IsZero() {
		says = append(says, "ends "+x.when(c.Until))
	}
	if c.MaxUses > 0 {
		says = append(says, fmt.Sprintf("for %d uses", c.MaxUses))
	}
	if c.Home != "" {
		says = append(says, "at doors of the gateway "+string(c.Home))
	}
	step.Says = strings.Join(says, ", ")
	step.fail(t.Failed, func(f unlock.Failure) string { return x.credentialThing() + ": " + x.credentialWords(f) })
	return step
}

// credentialThing names the credential by its kind.
func (x *explainer) credentialThing() string {
	return nameOf(strings.ReplaceAll(string(x.credential.Kind), "_", " "), x.credential.ID, "")
}

// credentialWords tell what failed of the credential.
func (x *explainer) credentialWords(f unlock.Failure) string {
	c := x.credential
	switch {
	case f.Fact == unlock.Listed:
		return "on the deny list"
	case f.Fact == unlock.NotBegun:
		return "begins on " + x.whenWords(c.From)
	case f.Fact == unlock.Over:
		return "ended on " + x.whenWords(c.Until)
	case f.Code == unlock.DenyOtherGateway:
		return fmt.Sprintf("opens doors of gateway %s only", c.Home)
	case c.State == domain.CredentialStateSuspended && !c.SuspendedUntil.IsZero():
		return string(c.State) + " until " + x.whenWords(c.SuspendedUntil)
	}
	return string(c.State)
}

// when is an instant by the site's clock.
func (x *explainer) when(t time.Time) string {
	local := x.s.ZoneOf(x.site.ID).Local(schedule.Nanos(t))
	return local.Date.String() + " " + local.Time.String()
}

// bookingStep says what counts of a booking.
func (x *explainer) bookingStep(t unlock.Step) Step {
	id := domain.ID(t.Row.ID)
	step := Step{Kind: "booking", ID: id, Says: "not known at the site", Commits: x.s.Bookings.Commits(id)}
	b, ok := x.s.Bookings.Get(id)
	if !ok || isMissing(t) {
		step.fail(t.Failed, nil)
		return step
	}
	says := []string{string(b.State)}
	if b.State == domain.BookingStateActive && b.Level != "" {
		says[0] = "suspended: " + b.SuspendedFor()
	}
	if b.Cause != "" {
		says[0] += " (" + b.Cause + ")"
	}
	step.Says = strings.Join(append(says, domain.DaysText(b.From, b.Until)), ", ")
	step.fail(t.Failed, func(f unlock.Failure) string {
		switch {
		case f.Code == unlock.DenyOverlock, f.Code == unlock.DenyGatelock:
			return step.thing() + ": " + b.SuspendedFor()
		case f.Code == unlock.DenyBookingRevoked:
			return ""
		}
		return step.thing() + ": " + periodWords(t, f, b.From, b.Until)
	})
	return step
}

func (x *explainer) unitStep(t unlock.Step) Step {
	id := domain.ID(t.Row.ID)
	step := Step{Kind: "unit", ID: id, Says: "not known", Commits: x.s.Units.Commits(id)}
	if u, ok := x.s.Units.Get(id); ok {
		step.Name, step.Says = u.Name, string(u.State)
	}
	step.fail(t.Failed, func(f unlock.Failure) string {
		if f.Code == unlock.DenyUnitToCheck {
			return step.thing() + ": to be inspected"
		}
		return ""
	})
	return step
}

// isMissing reports whether the row of a step is not there.
func isMissing(t unlock.Step) bool {
	return slices.ContainsFunc(t.Failed, func(f unlock.Failure) bool { return f.Fact == unlock.Missing })
}

// periodWords tell of a period that has not begun or is over: since when, if its days are.
func periodWords(t unlock.Step, f unlock.Failure, from, until schedule.Date) string {
	over := slices.ContainsFunc(t.Failed, func(f unlock.Failure) bool { return f.Fact == unlock.Over })
	switch {
	case f.Fact == unlock.NotBegun:
		return "begins on " + dayWords(from)
	case over:
		return "ended on " + dayWords(until)
	}
	return "ended"
}

// scheduleStep says whether a schedule holds, which restricts something else.
func (x *explainer) scheduleStep(t unlock.Step) Step {
	id := domain.ID(t.Row.ID)
	if t.Of.Kind == unlock.KindCredential {
		step := Step{Kind: "times", ID: domain.ID(t.Of.ID), Commits: x.s.Credentials.Commits(domain.ID(t.Of.ID))}
		x.times(&step, t, x.credential.Times, x.credentialThing())
		return step
	}
	if t.Row.ID == t.Of.ID {
		return x.limitStep(t) // of a unit user
	}
	step := Step{Kind: "schedule", ID: id, Commits: x.s.Schedules.Commits(id)}
	named, ok := x.s.Schedules.Get(id)
	if !ok {
		step.Says = "not known"
		step.fail(t.Failed, nil)
		return step
	}
	step.Name = named.Name
	x.times(&step, t, named.Schedule, x.whose(t.Of))
	return step
}

// whose names the thing that a schedule restricts.
func (x *explainer) whose(of unlock.Key) string {
	id := domain.ID(of.ID)
	switch of.Kind {
	case unlock.KindSite:
		return "fobs and cards at " + of.ID
	case unlock.KindRight:
		if right, ok := x.s.AccessRights.Get(id); ok {
			return nameOf("right", id, right.Name)
		}
	case unlock.KindUnit:
		if unit, ok := x.s.Units.Get(id); ok {
			return nameOf("unit", id, unit.Name)
		}
	case unlock.KindGrant:
		if u, _ := x.s.AccessOfGrant(of.ID); u != nil {
			return nameOf("unit", u.Unit, "")
		}
	}
	return nameOf(of.Kind.String(), id, "")
}

// times adds to a step when the schedule of something holds, what of it fails, and when
// it holds next.
func (x *explainer) times(step *Step, t unlock.Step, times schedule.Schedule, whose string) {
	step.Says = times.String()
	because := whose + ": " + step.Says
	step.fail(t.Failed, func(f unlock.Failure) string { return x.timesWords(f, because) })
	if t.Next != 0 {
		step.Says += "; holds next from " + x.when(time.Unix(0, int64(t.Next)))
	}
}

// timesWords tell of a schedule that does not hold, on a holiday of which day.
func (x *explainer) timesWords(f unlock.Failure, times string) string {
	if f.Code != unlock.DenyHoliday {
		return times
	}
	return times + fmt.Sprintf("; %s is a %s", dayWords(x.local.Date), strings.NewReplacer("_", " ", "-", " ").Replace(string(x.today)))
}
