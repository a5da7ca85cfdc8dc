package domain_test

import (
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// fact is one event of a history, with the commit that it came in.
type fact struct {
	at    time.Time
	by    domain.Actor
	event domain.Event
}

// history is all that has happened, in order. The oracle keeps nothing else: each
// question is answered by looking through the events again.
type history []fact

// latest finds the last event of a type for which is holds, and its place; -1: none.
func latest[E domain.Event](h history, is func(E) bool) (found E, at int) {
	for i := len(h) - 1; i >= 0; i-- {
		if e, ok := h[i].event.(E); ok && is(e) {
			return e, i
		}
	}
	return found, -1
}

// happened gives the place of the last event of a type for which is holds, or -1.
func happened[E domain.Event](h history, is func(E) bool) int {
	_, at := latest(h, is)
	return at
}

// every lists the events of a type for which is holds.
func every[E domain.Event](h history, is func(E) bool) (out []E) {
	for _, f := range h {
		if e, ok := f.event.(E); ok && is(e) {
			out = append(out, e)
		}
	}
	return out
}

// personLives: neither erased nor suspended, and the identity is bound (L7).
func (h history) personLives(id domain.ID) bool {
	known, _ := latest(h, func(e domain.PersonRegistered) bool { return e.Person == id })
	if known.Person == "" || happened(h, func(e domain.PersonErased) bool { return e.Person == id }) >= 0 {
		return false
	}
	if known.Pending && happened(h, func(e domain.IdentityBound) bool { return e.Person == id }) < 0 {
		return false
	}
	return happened(h, func(e domain.PersonSuspended) bool { return e.Person == id }) <=
		happened(h, func(e domain.PersonReinstated) bool { return e.Person == id })
}

var roleRank = map[domain.Role]int{domain.RoleGuest: 1, domain.RoleStaff: 2, domain.RoleSystemManager: 3, domain.RoleOwner: 4}

// rankAt gives the rank of a person at a site, or at the org alone for no site. A role
// at the org counts at every site.
func (h history) rankAt(person, site domain.ID, at time.Time) int {
	rank := h.rankHeld(person, "", at)
	if site != "" {
		rank = max(rank, h.rankHeld(person, site, at))
	}
	return rank
}

// highestRank gives the highest rank of a person anywhere.
func (h history) highestRank(person domain.ID, at time.Time) int {
	rank := h.rankHeld(person, "", at)
	for _, s := range every(h, func(domain.SiteCreated) bool { return true }) {
		rank = max(rank, h.rankHeld(person, s.Site, at))
	}
	return rank
}

func (h history) rankHeld(person, site domain.ID, at time.Time) int {
	if happened(h, func(e domain.PersonErased) bool { return e.Person == person }) >= 0 {
		return 0
	}
	rank := 0
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.RoleAssigned:
			if e.Person == person && e.Site == site {
				rank = roleRank[e.Role]
				if !e.Until.IsZero() && !at.Before(e.Until) {
					rank = 0
				}
			}
		case domain.RoleRevoked:
			if e.Person == person && e.Site == site {
				rank = 0
			}
		case domain.RoleExpired:
			if e.Person == person && e.Site == site {
				rank = 0
			}
		case domain.OwnershipTransferred:
			if site == "" && e.From == person {
				rank = roleRank[domain.RoleSystemManager]
			}
			if site == "" && e.To == person {
				rank = roleRank[domain.RoleOwner]
			}
		}
	}
	return rank
}

// aDoor is what a door is by all that was said about it.
type aDoor struct {
	site, unit, in, out domain.ID
	kind                domain.DoorKind
	release             bool
	can                 []domain.DoorCapability
}

func (h history) door(id domain.ID) (d aDoor, ok bool) {
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.DoorCreated:
			if e.Door == id {
				d, ok = aDoor{e.Site, e.Unit, e.In, e.Out, e.Kind, e.FireRelease, e.Capabilities}, true
			}
		case domain.DoorChanged:
			if e.Door == id {
				d.in, d.out, d.release, d.can = e.In, e.Out, e.FireRelease, e.Capabilities
			}
		}
	}
	return d, ok
}

// doorsOfRight are the doors that a right has now; none when it is retired.
func (h history) doorsOfRight(right domain.ID) (doors []domain.ID, times domain.ID) {
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.AccessRightDefined:
			if e.Right == right {
				doors, times = slices.Clone(e.Doors), e.Schedule
			}
		case domain.AccessRightChanged:
			if e.Right == right {
				doors = slices.DeleteFunc(append(doors, e.Added...), func(d domain.ID) bool { return slices.Contains(e.Removed, d) })
				times = e.Schedule
			}
		case domain.AccessRightRetired:
			if e.Right == right {
				doors = nil
			}
		}
	}
	return doors, times
}

func (h history) times(id domain.ID) schedule.Schedule {
	var times schedule.Schedule
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.ScheduleDefined:
			if e.ID == id {
				times = e.Schedule
			}
		case domain.ScheduleChanged:
			if e.Schedule == id {
				times = e.Times
			}
		}
	}
	return times
}

var compiledZones = map[string]*schedule.Zone{}

// zone gives the clock of a site. No test changes the rules of a zone.
func (h history) zone(site domain.ID) *schedule.Zone {
	set, _ := latest(h, func(e domain.ZoneRulesSet) bool { return e.Site == site })
	if compiledZones[set.Rules.Zone] == nil {
		compiledZones[set.Rules.Zone] = set.Rules.Compile()
	}
	return compiledZones[set.Rules.Zone]
}

func (h history) policy(site domain.ID) domain.Policy {
	set, _ := latest(h, func(e domain.SitePolicySet) bool { return e.Site == site })
	return set.Policy
}

// holds reports whether times hold at an instant by the clock and calendar of a site.
func (h history) holds(times schedule.Schedule, site domain.ID, at time.Time) bool {
	calendar, _ := latest(h, func(e domain.HolidayCalendarSet) bool { return e.Site == site })
	return schedule.Contains(times, h.zone(site), calendar.Days, at.UnixNano())
}

// within reports whether an instant lies between two days by the clock of a site. The
// arguments before and after widen the time by some minutes. A zero day is no bound.
func (h history) within(at time.Time, site domain.ID, from, until schedule.Date, before, after int) bool {
	start, end := h.bounds(site, from, until)
	return (from.IsZero() || !at.Before(start.Add(-time.Duration(before)*time.Minute))) &&
		(until.IsZero() || at.Before(end.Add(time.Duration(after)*time.Minute)))
}

func (h history) bounds(site domain.ID, from, until schedule.Date) (start, end time.Time) {
	z := h.zone(site)
	return time.Unix(0, z.Start(from)).UTC(), time.Unix(0, z.Start(until.AddDays(1))).UTC()
}

// closed reports whether a blackout of the site holds.
func (h history) closed(site domain.ID, at time.Time) bool {
	for _, b := range every(h, func(e domain.BlackoutSet) bool { return e.Site == site }) {
		_, set := latest(h, func(e domain.BlackoutSet) bool { return e.Site == site && e.Blackout == b.Blackout })
		cleared := happened(h, func(e domain.BlackoutCleared) bool { return e.Site == site && e.Blackout == b.Blackout })
		if now := h[set].event.(domain.BlackoutSet); set > cleared && h.spans(site, now.From, now.To, at) {
			return true
		}
	}
	return false
}

func (h history) spans(site domain.ID, from, to schedule.DateTime, at time.Time) bool {
	start, end := schedule.Blackout{From: from, To: to}.Span(h.zone(site))
	return at.UnixNano() >= start && at.UnixNano() < end
}

// groupClosed reports whether a blackout of a group holds at a site.
func (h history) groupClosed(group, site domain.ID, at time.Time) bool {
	for _, b := range every(h, func(e domain.GroupBlackoutSet) bool { return e.Group == group }) {
		_, set := latest(h, func(e domain.GroupBlackoutSet) bool { return e.Group == group && e.Blackout == b.Blackout })
		cleared := happened(h, func(e domain.GroupBlackoutCleared) bool { return e.Group == group && e.Blackout == b.Blackout })
		if now := h[set].event.(domain.GroupBlackoutSet); set > cleared && h.spans(site, now.From, now.To, at) {
			return true
		}
	}
	return false
}

// groupRole gives the role of a person in a group; none: "".
func (h history) groupRole(group, person domain.ID) (role domain.GroupRole) {
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.GroupMemberAdded:
			if e.Group == group && e.Person == person {
				role = e.Role
			}
		case domain.GroupMemberRoleChanged:
			if e.Group == group && e.Person == person {
				role = e.Role
			}
		case domain.GroupMemberRemoved:
			if e.Group == group && e.Person == person {
				role = ""
			}
		case domain.GroupOwnershipTransferred:
			if e.Group == group && e.From == person {
				role = domain.GroupAdmin
			}
			if e.Group == group && e.To == person {
				role = domain.GroupOwner
			}
		}
	}
	return role
}

func (h history) groupHasDoor(group, door domain.ID) (has bool) {
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.GroupCreated:
			if e.Group == group {
				has = slices.Contains(e.Doors, door)
			}
		case domain.GroupDoorAdded:
			if e.Group == group && e.Door == door {
				has = true
			}
		case domain.GroupDoorRemoved:
			if e.Group == group && e.Door == door {
				has = false
			}
		case domain.GroupEnded:
			has = has && e.Group != group
		}
	}
	return has
}

// groupTimes are when members pass: always until they are set.
func (h history) groupTimes(group domain.ID) schedule.Schedule {
	set, at := latest(h, func(e domain.GroupScheduleSet) bool { return e.Group == group })
	if at < 0 {
		return schedule.Schedule{Always: true}
	}
	return set.Times
}

// groupLets: an option is on. At first only that of admins who change settings is.
func (h history) groupLets(group domain.ID, option domain.GroupOption) bool {
	set, at := latest(h, func(e domain.GroupOptionSet) bool { return e.Group == group && e.Option == option })
	if at < 0 {
		return option == domain.OptionAdminsModifySettings
	}
	return set.Enabled
}
