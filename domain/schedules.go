package domain

import (
	"errors"

	"gatehouse/domain/schedule"
)

// NamedSchedule is a schedule of the org that rights, units and grants refer to.
// The id "always" is there from the first commit on and cannot be changed.
type NamedSchedule struct {
	ID       ID                `json:"id"`
	Name     string            `json:"name"`
	Schedule schedule.Schedule `json:"schedule"`
}

// AlwaysID is the id of the schedule that always holds.
const AlwaysID ID = "always"

var always = schedule.Schedule{Always: true}

var scheduleMessages = messages{
	commands: []CommandType{
		command[DefineSchedule]("Defines a schedule that rights, units and grants refer to.", ScheduleDefined{}),
		command[ChangeSchedule]("Changes the times or the name of a schedule, for all that refer to it.",
			ScheduleChanged{}, ReviewRequired{}),
	},
	events: []EventType{event[ScheduleDefined](1), event[ScheduleChanged](1)},
}

// checkTimes refuses times that cannot mean what was written.
func checkTimes(times schedule.Schedule) *Refusal {
	err := times.Validate()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, schedule.ErrOverlap):
		return invalid("schedule_overlap", "%v", err)
	}
	return invalid("invalid_field", "times: %v", err)
}

// warnOfKinds warns of days that are neither of the week nor of a kind in any calendar.
// A mistyped day opens nothing.
func (tx *Tx) warnOfKinds(times schedule.Schedule) {
	known := map[schedule.Kind]bool{"": true, schedule.Holiday: true}
	for _, site := range tx.Sites.All() {
		for _, d := range site.Calendar {
			known[d.Kind] = true
		}
	}
	for _, w := range times.Windows {
		for _, d := range w.Days {
			if kind := d.KindOf(); !known[kind] {
				known[kind] = true
				tx.warn("unknown_kind_of_day", "%q is not a day of the week (mon to sun), and no calendar has a day of that kind; until one does, nothing opens on it", d)
			}
		}
	}
}

// DefineSchedule makes a schedule that others refer to.
type DefineSchedule struct {
	Schedule ID                `json:"schedule,omitempty"` // empty: an id is made
	Name     string            `json:"name"`
	Times    schedule.Schedule `json:"times"`
}

func (DefineSchedule) permit() Permit     { return Permit{Role: RoleSystemManager} }
func (DefineSchedule) scope(*State) Scope { return Scope{AnySite: true} }
func (c DefineSchedule) decide(tx *Tx) *Refusal {
	id := tx.idFor(c.Schedule, "schedule")
	if tx.Schedules.Has(id) {
		return refuse("schedule_exists", "schedule %s already exists", id).about(id)
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	if r := checkTimes(c.Times); r != nil {
		return r
	}
	tx.warnOfKinds(c.Times)
	tx.emit(ScheduleDefined{ID: id, Name: c.Name, Schedule: c.Times})
	return nil
}

// ScheduleDefined makes a schedule that others refer to.
type ScheduleDefined struct {
	ID       ID                `json:"schedule"`
	Name     string            `json:"name"`
	Schedule schedule.Schedule `json:"times"`
}

func (e ScheduleDefined) fold(s *State, _ Moment) { s.Schedules.Put(e.ID, NamedSchedule(e)) }
func (ScheduleDefined) affectedSites(*State) []ID { return nil }

// ChangeSchedule changes a schedule for all that refer to it; what is left out
// stays.
type ChangeSchedule struct {
	Schedule ID                 `json:"schedule"`
	Name     *string            `json:"name,omitempty"`
	Times    *schedule.Schedule `json:"times,omitempty"`
}

func (ChangeSchedule) urgent() bool   { return true }
func (ChangeSchedule) permit() Permit { return Permit{Role: RoleSystemManager} }

// scope is every site at which the schedule is used: who may change it for some
// of them may not change it for all.
func (c ChangeSchedule) scope(s *State) Scope {
	if _, unknown := s.Schedules.find(c.Schedule, "schedule"); unknown != nil {
		return Scope{Unknown: unknown}
	}
	sites := s.sitesOfSchedule(c.Schedule)
	return Scope{Sites: sites, AnySite: len(sites) == 0}
}

func (c ChangeSchedule) decide(tx *Tx) *Refusal {
	old, r := tx.Schedules.find(c.Schedule, "schedule")
	if r != nil {
		return r
	}
	if c.Schedule == AlwaysID {
		return refuse("schedule_fixed", "schedule %s cannot be changed; define another one", AlwaysID).about(AlwaysID)
	}
	times := orGiven(c.Times, old.Schedule)
	if r := checkTimes(times); r != nil {
		return r
	}
	name := orGiven(c.Name, old.Name)
	if r := required("name", name); r != nil {
		return r
	}
	if schedule.Equal(old.Schedule, times) && name == old.Name {
		return nil
	}
	tx.warnOfKinds(times)
	tx.emit(ScheduleChanged{Schedule: c.Schedule, Name: name, Times: times})
	tx.requireReviews(tx.rightsUnder(c.Schedule)...)
	return nil
}

// ScheduleChanged changes a schedule for all that refer to it.
type ScheduleChanged struct {
	Schedule ID                `json:"schedule"`
	Name     string            `json:"name"`
	Times    schedule.Schedule `json:"times"`
}

func (e ScheduleChanged) fold(s *State, _ Moment) {
	s.narrowing(s.rightsUnder(e.Schedule), func() {
		s.Schedules.Update(e.Schedule, func(n *NamedSchedule) { n.Name, n.Schedule = e.Name, e.Times })
	})
}
func (e ScheduleChanged) affectedSites(s *State) []ID { return s.sitesOfSchedule(e.Schedule) }

// sitesOfSchedule returns the sites at which a schedule is used, sorted. A right, a
// unit, a grant, a door or a policy may use it.
func (s *State) sitesOfSchedule(id ID) []ID {
	var sites []ID
	for _, right := range s.AccessRights.Each(RightBySchedule, id) {
		sites = append(sites, right.Sites...)
	}
	for _, unit := range s.Units.Each(UnitBySchedule, id) {
		sites = append(sites, unit.Site)
	}
	for _, grant := range s.Grants.Each(GrantBySchedule, id) {
		if right, ok := s.AccessRights.Get(grant.Right); ok {
			sites = append(sites, right.Sites...)
		}
	}
	for _, door := range s.Doors.Each(DoorBySchedule, id) {
		sites = append(sites, door.Site)
	}
	sites = append(sites, s.Sites.IDs(siteBySchedule, id)...)
	return sortedIDs(sites)
}
