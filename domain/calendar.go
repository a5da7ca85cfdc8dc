package domain

import (
	"cmp"
	"slices"
	"strings"

	"gatehouse/domain/schedule"
)

// SiteBlackout is a time during which a site is closed, whatever its schedules. Its id
// is used to change and clear it.
type SiteBlackout struct {
	ID ID `json:"blackout"`
	schedule.Blackout
}

var calendarMessages = messages{
	commands: []CommandType{
		command[SetHolidayCalendar]("Sets the holidays and special days of a site, as a whole.", HolidayCalendarSet{}),
		command[SetBlackout]("Closes a site for a period, in spite of its schedules.", BlackoutSet{}),
		command[ClearBlackout]("Removes a blackout.", BlackoutCleared{}),
	},
	events: []EventType{event[HolidayCalendarSet](1), event[BlackoutSet](1), event[BlackoutCleared](1)},
}

// SetHolidayCalendar sets the special days of a site as a whole.
type SetHolidayCalendar struct {
	Site ID                `json:"site"`
	Days schedule.Calendar `json:"days"` // at most 1,000 entries; each may be several dates
}

func (SetHolidayCalendar) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c SetHolidayCalendar) scope(*State) Scope { return atSites(c.Site) }
func (c SetHolidayCalendar) decide(tx *Tx) *Refusal {
	site, r := tx.Sites.find(c.Site, "site")
	if r != nil {
		return r
	}
	if err := c.Days.Validate(); err != nil {
		return invalid("invalid_field", "days: %v", err)
	}
	if !slices.Equal(site.Calendar, c.Days) {
		tx.warnOfDays(c.Site, site.Calendar, c.Days)
		tx.emit(HolidayCalendarSet(c))
	}
	return nil
}

// warnOfDays names the days that a new calendar drops.
func (tx *Tx) warnOfDays(site ID, old, now schedule.Calendar) {
	var dropped []string
	for _, d := range old {
		if !slices.Contains(now, d) {
			dropped = append(dropped, d.Date.String())
		}
	}
	if len(dropped) > 0 {
		tx.warn("days_dropped", "the calendar of the site %s is replaced as a whole, which drops %s of the old one: %s",
			site, counted(len(dropped), "day"), strings.Join(dropped[:min(len(dropped), maxWarned)], ", "))
	}
}

// HolidayCalendarSet sets the special days of a site as a whole.
type HolidayCalendarSet struct {
	Site ID                `json:"site"`
	Days schedule.Calendar `json:"days"`
}

func (e HolidayCalendarSet) fold(s *State, _ Moment) {
	s.Sites.Update(e.Site, func(site *Site) { site.Calendar = e.Days })
}
func (e HolidayCalendarSet) affectedSites(*State) []ID { return []ID{e.Site} }

// SetBlackout closes a site from one reading of its calendar and clock to
// another. The id of a blackout that is there changes that one.
type SetBlackout struct {
	Site     ID            `json:"site"`
	Blackout ID            `json:"blackout,omitempty"` // empty: an id is made
	Name     Given[string] `json:"name,omitzero"`
	// From (inclusive) and To (exclusive) are of the site's calendar and clock; a new
	// blackout has both.
	From *schedule.DateTime `json:"from,omitempty"`
	To   *schedule.DateTime `json:"to,omitempty"`
}

func (SetBlackout) urgent() bool         { return true }
func (SetBlackout) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c SetBlackout) scope(*State) Scope { return atSites(c.Site) }
func (c SetBlackout) decide(tx *Tx) *Refusal {
	site, r := tx.Sites.find(c.Site, "site")
	if r != nil {
		return r
	}
	b, r := changedBlackout(site.Blackouts, tx.idFor(c.Blackout, "blackout"), c.Name, c.From, c.To)
	if r != nil {
		return r
	}
	if slices.Contains(site.Blackouts, b) {
		return nil
	}
	if len(site.Blackouts) >= schedule.MaxBlackouts && !site.hasBlackout(b.ID) {
		return refuse("too_many_blackouts", "site %s has %d blackouts; clear some that are over", c.Site, len(site.Blackouts)).about(c.Site)
	}
	tx.emit(BlackoutSet{Site: c.Site, Blackout: b.ID, Name: b.Name, From: b.From, To: b.To})
	return nil
}

// changedBlackout is the blackout of an id among others, or a new one, with what is
// given.
func changedBlackout(all []SiteBlackout, id ID, name Given[string], from, to *schedule.DateTime) (SiteBlackout, *Refusal) {
	b := SiteBlackout{ID: id}
	i := slices.IndexFunc(all, func(b SiteBlackout) bool { return b.ID == id })
	switch {
	case i >= 0:
		b = all[i]
	case from == nil:
		return b, invalid("invalid_field", "from: a value is required")
	case to == nil:
		return b, invalid("invalid_field", "to: a value is required")
	}
	b.Name, b.From, b.To = name.or(b.Name), orGiven(from, b.From), orGiven(to, b.To)
	if err := b.Validate(); err != nil {
		return b, invalid("invalid_field", "%v", err)
	}
	return b, nil
}

func (s *Site) hasBlackout(id ID) bool {
	return slices.ContainsFunc(s.Blackouts, func(b SiteBlackout) bool { return b.ID == id })
}

// BlackoutSet closes a site for a time, in place of the blackout of the same id.
type BlackoutSet struct {
	Site     ID                `json:"site"`
	Blackout ID                `json:"blackout"`
	Name     string            `json:"name,omitempty"`
	From     schedule.DateTime `json:"from"`
	To       schedule.DateTime `json:"to"`
}

func (e BlackoutSet) fold(s *State, _ Moment) {
	s.Sites.Update(e.Site, func(site *Site) {
		all := site.without(e.Blackout)
		all = append(all, SiteBlackout{e.Blackout, schedule.Blackout{Name: e.Name, From: e.From, To: e.To}})
		slices.SortFunc(all, func(a, b SiteBlackout) int { return cmp.Compare(a.ID, b.ID) })
		site.Blackouts = all
	})
}
func (e BlackoutSet) affectedSites(*State) []ID { return []ID{e.Site} }

// without is a copy of the site's blackouts but for one.
func (s *Site) without(id ID) []SiteBlackout {
	return slices.DeleteFunc(slices.Clone(s.Blackouts), func(b SiteBlackout) bool { return b.ID == id })
}

// ClearBlackout takes a blackout back.
type ClearBlackout struct {
	Site     ID `json:"site"`
	Blackout ID `json:"blackout"`
}

func (ClearBlackout) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c ClearBlackout) scope(*State) Scope { return atSites(c.Site) }
func (c ClearBlackout) decide(tx *Tx) *Refusal {
	site, r := tx.Sites.find(c.Site, "site")
	if r != nil {
		return r
	}
	// One that is not there was cleared before, or never set: there is nothing left
	// to change in either case.
	if site.hasBlackout(c.Blackout) {
		tx.emit(BlackoutCleared(c))
	}
	return nil
}

// BlackoutCleared takes a blackout back.
type BlackoutCleared struct {
	Site     ID `json:"site"`
	Blackout ID `json:"blackout"`
}

func (e BlackoutCleared) fold(s *State, _ Moment) {
	s.Sites.Update(e.Site, func(site *Site) { site.Blackouts = site.without(e.Blackout) })
}
func (e BlackoutCleared) affectedSites(*State) []ID { return []ID{e.Site} }
