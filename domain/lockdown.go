package domain

import "slices"

var lockdownMessages = messages{
	commands: []CommandType{
		command[Lockdown]("Locks a site, an area or a door down: it opens for nobody.", LockdownStarted{}),
		command[ReleaseLockdown]("Ends the lockdown of a site, an area or a door.", LockdownReleased{}),
	},
	events: []EventType{event[LockdownStarted](1), event[LockdownReleased](1)},
}

// Lockdown shuts a site with all its doors, the doors of an area, or one door. The
// doors of an area are those that lead into or out of it. Site, area and door keep
// their lockdowns apart: a door opens again when none of them is left. Postures come
// back with the release. Doors released by fire stay released.
type Lockdown struct {
	Site  ID `json:"site,omitempty"` // one of site, area and door
	Area  ID `json:"area,omitempty"`
	Door  ID `json:"door,omitempty"`
	Cause ID `json:"cause,omitempty"` // a short word as intruder; it must say nothing about a person
}

func (Lockdown) urgent() bool           { return true }
func (Lockdown) permit() Permit         { return Permit{Role: RoleStaff} }
func (c Lockdown) scope(s *State) Scope { return atSites(s.sitesOfLockdown(c.Site, c.Area, c.Door)...) }
func (c Lockdown) decide(tx *Tx) *Refusal {
	locked, r := tx.lockdownOf(c.Site, c.Area, c.Door)
	if r == nil && !locked {
		tx.emit(LockdownStarted(c))
	}
	return r
}

// lockdownOf reports whether the one place that is named has a lockdown of its
// own.
func (tx *Tx) lockdownOf(site, area, door ID) (locked bool, r *Refusal) {
	named := slices.DeleteFunc([]ID{site, area, door}, func(id ID) bool { return id == "" })
	switch {
	case len(named) != 1:
		return false, invalid("invalid_field", "site: give exactly one of site, area and door, not %d", len(named))
	case site != "":
		if row, r := tx.Sites.find(site, "site"); r != nil || row.Lockdown == "" {
			return false, r
		}
	case area != "":
		if row, r := tx.Areas.find(area, "area"); r != nil || row.Lockdown == "" {
			return false, r
		}
	default:
		if row, r := tx.Doors.find(door, "door"); r != nil || row.Lockdown == "" {
			return false, r
		}
	}
	return true, nil
}

// sitesOfLockdown is the site of the place that is named.
func (s *State) sitesOfLockdown(site, area, door ID) []ID {
	if a, ok := s.Areas.Get(area); ok {
		site = a.Site
	}
	if d, ok := s.Doors.Get(door); ok {
		site = d.Site
	}
	return siteOrNone(site)
}

// LockdownStarted shuts a site, an area or a door.
type LockdownStarted struct {
	Site  ID `json:"site,omitempty"`
	Area  ID `json:"area,omitempty"`
	Door  ID `json:"door,omitempty"`
	Cause ID `json:"cause,omitempty"`
}

func (e LockdownStarted) fold(s *State, m Moment) {
	s.setLockdown(e.Site, e.Area, e.Door, m.CommandID.String())
}
func (e LockdownStarted) affectedSites(s *State) []ID {
	return s.sitesOfLockdown(e.Site, e.Area, e.Door)
}

// setLockdown notes the command by which a place was locked down. An empty id means
// that the place is not locked down.
func (s *State) setLockdown(site, area, door ID, by string) {
	s.Sites.Update(site, func(x *Site) { x.Lockdown = by })
	s.Areas.Update(area, func(a *Area) { a.Lockdown = by })
	s.Doors.Update(door, func(d *Door) { d.Lockdown = by })
}

// ReleaseLockdown ends the lockdown of the one place that is named; those of
// other places stay.
type ReleaseLockdown struct {
	Site ID `json:"site,omitempty"` // one of site, area and door
	Area ID `json:"area,omitempty"`
	Door ID `json:"door,omitempty"`
}

func (ReleaseLockdown) permit() Permit { return Permit{Role: RoleStaff} }
func (c ReleaseLockdown) scope(s *State) Scope {
	return atSites(s.sitesOfLockdown(c.Site, c.Area, c.Door)...)
}
func (c ReleaseLockdown) decide(tx *Tx) *Refusal {
	locked, r := tx.lockdownOf(c.Site, c.Area, c.Door)
	if r == nil && locked {
		tx.emit(LockdownReleased(c))
	}
	return r
}

// LockdownReleased ends the lockdown of a site, an area or a door.
type LockdownReleased struct {
	Site ID `json:"site,omitempty"`
	Area ID `json:"area,omitempty"`
	Door ID `json:"door,omitempty"`
}

func (e LockdownReleased) fold(s *State, _ Moment) { s.setLockdown(e.Site, e.Area, e.Door, "") }
func (e LockdownReleased) affectedSites(s *State) []ID {
	return s.sitesOfLockdown(e.Site, e.Area, e.Door)
}

// LockedAreas are the areas behind and before a door that are locked down.
func (s *State) LockedAreas(d *Door) (locked []*Area) {
	for _, id := range []ID{d.In, d.Out} {
		if a, ok := s.Areas.Get(id); ok && a.Lockdown != "" {
			locked = append(locked, a)
		}
	}
	return locked
}

// lockedDown reports whether a lockdown shuts a door.
func (s *State) lockedDown(d *Door) bool {
	site, ok := s.Sites.Get(d.Site)
	return d.Lockdown != "" || len(s.LockedAreas(d)) > 0 || ok && site.Lockdown != ""
}
