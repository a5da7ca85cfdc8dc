package domain

import "gatehouse/domain/schedule"

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

var scheduleWords = words{
	events: []EventType{event[ScheduleDefined](1)},
}

// ScheduleDefined makes a schedule that others refer to.
type ScheduleDefined struct {
	ID       ID                `json:"schedule"`
	Name     string            `json:"name"`
	Schedule schedule.Schedule `json:"times"`
}

func (e ScheduleDefined) fold(s *State, _ Moment) { s.Schedules.Put(e.ID, NamedSchedule(e)) }
func (ScheduleDefined) concerns(*State) []ID      { return nil }
