package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// place says what counts for everybody: the door, the site, and where fobs follow
// a schedule of their own that schedule.
func (x *explainer) place() []Step {
	d := x.door
	door := Step{Kind: "door", ID: d.ID, Name: d.Name, Says: x.doorSays(), Commits: x.s.Doors.Commits(d.ID)}
	door.fail(d.Disabled, unlock.DenyPointDisabled)
	door.fail(d.Lockdown != "", unlock.DenyLockdown, door.thing()+": locked down")
	door.fail(x.q.Command != "" && !slices.Contains(d.Capabilities, x.q.Command), unlock.DenyCapability,
		fmt.Sprintf("%s: cannot do %s", door.thing(), x.q.Command))
	steps := append([]Step{door, x.siteStep()}, x.hoursSteps()...)
	for _, a := range x.s.lockedAreas(d) {
		steps = append(steps, Step{Kind: "area", ID: a.ID, Name: a.Name, Says: "locked down",
			Failed: []unlock.Code{unlock.DenyLockdown}, Commits: x.s.Areas.Commits(a.ID)})
	}
	if id := x.fobSchedule(); id != "" {
		steps = append(steps, x.schedule(id, fmt.Sprintf("fobs and cards at %s", x.m.site.ID)))
	}
	return steps
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

func (x *explainer) postureSays(p DoorPosture) (says []string) {
	if p.inForce(x.q.At) {
		says = append(says, "posture "+string(p.Posture))
		if !p.Until.IsZero() {
			says = append(says, "until "+x.when(p.Until))
		}
	}
	return says
}

func (x *explainer) siteStep() Step {
	site := x.m.site
	step := Step{Kind: "site", ID: site.ID, Name: site.Name, Commits: x.s.Sites.Commits(site.ID)}
	says := []string{site.Rules.Zone}
	if x.today != "" {
		says = append(says, "a special day: "+string(x.today))
	}
	if site.Lockdown != "" {
		says = append(says, "locked down")
		step.fail(true, unlock.DenyLockdown, step.thing()+": locked down")
	}
	if x.door.Unit == "" {
		says = append(says, x.postureSays(site.Posture)...)
	}
	z := x.s.zone(site.ID)
	for _, b := range site.Blackouts {
		if from, to := b.Span(z); from <= int64(x.at) && int64(x.at) < to {
			says = append(says, fmt.Sprintf("blackout %s from %s to %s", b.ID, b.From, b.To))
			step.fail(true, unlock.DenyBlackout, step.thing()+": closed from "+spanWords(b.Blackout))
		}
	}
	step.Says = strings.Join(says, ", ")
	return step
}

// who says what counts of the credential and of the person.
func (x *explainer) who() []Step {
	var steps []Step
	if x.q.Credential != "" {
		steps = x.credentialSteps()
	}
	if x.person != "" {
		step := x.personStep(x.person)
		here := x.m.personRow(x.person) != nil
		if !here {
			step.Says += ", holds nothing at the site"
		}
		step.fail(!here, unlock.DenyUnknownCredential, fmt.Sprintf("%s has no grant and no credential at site %s", x.person, x.m.site.ID))
		steps = append(steps, step)
	}
	return steps
}

func (x *explainer) personStep(id ID) Step {
	step := Step{Kind: "person", ID: id, Says: "not known", Commits: x.s.People.Commits(id)}
	p, ok := x.s.People.Get(id)
	if !ok {
		return step
	}
	step.Says = string(p.State)
	switch p.State {
	case PersonStateActive:
	case PersonStatePending:
		step.Says = "pending: the identity is not bound yet"
		step.fail(true, unlock.DenyIdentityPending, step.thing()+": still pending")
	default:
		step.fail(true, unlock.DenyPersonSuspended)
	}
	return step
}

func (x *explainer) credentialSteps() []Step {
	id := x.q.Credential
	step := Step{Kind: "credential", ID: id, Commits: x.s.Credentials.Commits(id)}
	c := x.credential
	if c == nil || x.m.credentialRow(id) == nil {
		step.Says = "not known at the site"
		step.fail(true, unlock.DenyUnknownCredential)
		return []Step{step}
	}
	says := []string{string(c.Kind), string(c.State)}
	if c.State == CredentialStateSuspended && !c.SuspendedUntil.IsZero() {
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
	lifted := !c.SuspendedUntil.IsZero() && !x.q.At.Before(c.SuspendedUntil)
	thing := nameOf(strings.ReplaceAll(string(c.Kind), "_", " "), id, "")
	if code, ok := credentialDenials[c.State]; ok {
		state := thing + ": " + string(c.State)
		if c.State == CredentialStateSuspended && !c.SuspendedUntil.IsZero() {
			state += " until " + x.whenWords(c.SuspendedUntil)
		}
		step.fail(c.State != CredentialStateSuspended || !lifted, code, state)
	}
	step.fail(c.Denied, unlock.DenyCredentialRevoked, thing+": on the deny list")
	step.fail(c.Home != "" && x.door.Gateway != c.Home, unlock.DenyOtherGateway, fmt.Sprintf("%s: opens doors of gateway %s only", thing, c.Home))
	step.fail(!c.From.IsZero() && x.q.At.Before(c.From), unlock.DenyCredentialNotActive, thing+": begins on "+x.whenWords(c.From))
	step.fail(!c.Until.IsZero() && !x.q.At.Before(c.Until), unlock.DenyCredentialExpired, thing+": ended on "+x.whenWords(c.Until))
	steps := []Step{step}
	if len(c.Times.Windows) > 0 {
		times := Step{Kind: "times", ID: id, Commits: step.Commits}
		x.times(&times, c.Times, thing)
		steps = append(steps, times)
	}
	if c.Booking == "" {
		return steps
	}
	return append(steps, x.bookingSteps(c.Booking)...)
}

var credentialDenials = map[CredentialState]unlock.Code{
	CredentialStateSuspended: unlock.DenyCredentialSuspended,
	CredentialStateLost:      unlock.DenyCredentialLost,
	CredentialStateStolen:    unlock.DenyCredentialStolen,
	CredentialStateDamaged:   unlock.DenyCredentialDamaged,
	CredentialStateRevoked:   unlock.DenyCredentialRevoked,
	CredentialStateRemoved:   unlock.DenyCredentialRevoked,
	CredentialStateExpired:   unlock.DenyCredentialExpired,
}

// when is an instant by the site's clock.
func (x *explainer) when(t time.Time) string {
	local := x.s.zone(x.m.site.ID).Local(schedule.Nanos(t))
	return local.Date.String() + " " + local.Time.String()
}

// bookingSteps says what counts of a booking and of its unit.
func (x *explainer) bookingSteps(id ID) []Step {
	step := Step{Kind: "booking", ID: id, Commits: x.s.Bookings.Commits(id)}
	b, ok := x.s.Bookings.Get(id)
	if !ok || b.Site != x.m.site.ID {
		step.Says = "not known at the site"
		step.fail(true, unlock.DenyBookingRevoked)
		return []Step{step}
	}
	says := []string{string(b.State)}
	switch b.State {
	case BookingStateRevoked:
		step.fail(true, unlock.DenyBookingRevoked)
	case BookingStateEnded:
		step.fail(true, unlock.DenyBookingEnded, x.overWords(step.thing(), b.Site, b.From, b.Until))
	}
	if b.State == BookingStateActive && b.Level != "" {
		says[0] = "suspended: " + b.suspendedFor()
		step.fail(b.Level == LevelOverlock, unlock.DenyOverlock, step.thing()+": "+b.suspendedFor())
		step.fail(b.Level == LevelGatelock && x.door.Kind != DoorUnit, unlock.DenyGatelock, step.thing()+": "+b.suspendedFor())
	}
	if b.Cause != "" {
		says[0] += " (" + b.Cause + ")"
	}
	step.Says = strings.Join(append(says, daysText(b.From, b.Until)), ", ")
	x.days(&step, b.Site, b.From, b.Until, unlock.DenyBookingNotStarted, unlock.DenyBookingEnded)
	unit := Step{Kind: "unit", ID: b.Unit, Says: "not known", Commits: x.s.Units.Commits(b.Unit)}
	u, ok := x.s.Units.Get(b.Unit)
	if ok {
		unit.Name, unit.Says = u.Name, string(u.State)
		unit.fail(u.State == UnitToCheck, unlock.DenyUnitToCheck, unit.thing()+": to be inspected")
	}
	unit.fail(!ok, unlock.DenyBookingRevoked)
	return []Step{step, unit}
}

// days adds what fails of the days of a thing.
func (x *explainer) days(s *Step, site ID, from, until schedule.Date, early, late unlock.Code) {
	x.window(s, x.s.window(site, from, until), early, late, from, until)
}

// window adds what fails of a window, which the days say in words.
func (x *explainer) window(s *Step, w unlock.Window, early, late unlock.Code, from, until schedule.Date) {
	s.fail(w.From != 0 && x.at < w.From, early, s.thing()+": begins on "+dayWords(from))
	s.fail(w.Until != 0 && x.at >= w.Until, late, s.thing()+": ended on "+dayWords(until))
}

// overWords tell of a thing that is over: since when, if its days are.
func (x *explainer) overWords(thing string, site ID, from, until schedule.Date) string {
	if w := x.s.window(site, from, until); w.Until == 0 || x.at < w.Until {
		return thing + ": ended"
	}
	return thing + ": ended on " + dayWords(until)
}

// schedule says whether a named schedule holds, which bounds when something opens.
func (x *explainer) schedule(id ID, whose string) Step {
	step := Step{Kind: "schedule", ID: id, Commits: x.s.Schedules.Commits(id)}
	named, ok := x.s.Schedules.Get(id)
	if !ok {
		step.Says = "not known"
		step.fail(true, unlock.DenyOutsideSchedule)
		return step
	}
	step.Name = named.Name
	x.times(&step, named.Schedule, whose)
	return step
}

// times adds to a step when the schedule of something holds, what of it fails, and when
// it holds next.
func (x *explainer) times(step *Step, times schedule.Schedule, whose string) {
	c := schedule.Compile(times)
	step.Says = times.String()
	if c.Contains(x.local, x.today) {
		return
	}
	code, because := unlock.DenyOutsideSchedule, whose+": "+step.Says
	if x.today != "" && c.Contains(x.local, "") {
		code = unlock.DenyHoliday
		because += fmt.Sprintf("; %s is a %s", dayWords(x.local.Date), strings.NewReplacer("_", " ", "-", " ").Replace(string(x.today)))
	}
	step.fail(true, code, because)
	if next, ok := c.NextChange(x.s.zone(x.m.site.ID), x.m.site.Calendar.Compile(), int64(x.at)); ok {
		step.Says += "; holds next from " + x.when(time.Unix(0, next))
	}
}
