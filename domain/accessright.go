package domain

import "slices"

// AccessRight is a set of doors, of one or several sites, with a schedule.
type AccessRight struct {
	ID       ID     `json:"id"`
	Name     string `json:"name"`
	Doors    []ID   `json:"doors"` // sorted
	Sites    []ID   `json:"sites"` // of the doors, sorted; of a retired right those it had
	Schedule ID     `json:"schedule"`
	Retired  bool   `json:"retired,omitzero"` // final: without doors it opens nothing
}

func (r *AccessRight) keys() []key[AccessRight] {
	k := []key[AccessRight]{{RightBySchedule, r.Schedule}}
	for _, d := range r.Doors {
		k = append(k, key[AccessRight]{RightByDoor, d})
	}
	for _, s := range r.Sites {
		k = append(k, key[AccessRight]{RightBySite, s})
	}
	return k
}

var accessRightMessages = messages{
	commands: []CommandType{
		command[DefineAccessRight]("Defines an access right: doors with a schedule.", AccessRightDefined{}),
		command[ChangeAccessRight]("Changes the name, the doors or the schedule of an access right, for all who have it.",
			AccessRightChanged{}, ReviewRequired{}),
		command[RetireAccessRight]("Ends an access right for all who have it.", AccessRightRetired{}),
	},
	events: []EventType{event[AccessRightDefined](1), event[AccessRightChanged](1), event[AccessRightRetired](1)},
}

// right returns an access right that is not retired, or refuses.
func (tx *Tx) right(id ID) (*AccessRight, *Refusal) {
	right, r := tx.AccessRights.find(id, "right")
	if r != nil {
		return nil, r
	}
	if right.Retired {
		return nil, refuse("right_retired", "access right %s is retired", id).about(id)
	}
	return right, nil
}

// checkDoors refuses doors that are not there.
func (tx *Tx) checkDoors(doors []ID) *Refusal {
	for _, id := range doors {
		if _, r := tx.Doors.find(id, "door"); r != nil {
			return r
		}
	}
	return nil
}

// sitesOfDoors returns the sites of doors, sorted.
func (s *State) sitesOfDoors(doors []ID) []ID {
	var sites []ID
	for _, id := range doors {
		if d, ok := s.Doors.Get(id); ok {
			sites = append(sites, d.Site)
		}
	}
	return sortedIDs(sites)
}

// atDoors is the scope of what concerns doors.
func (s *State) atDoors(doors []ID) Scope {
	sc := atSites(s.sitesOfDoors(doors)...)
	for _, id := range doors {
		if _, unknown := s.Doors.find(id, "door"); unknown != nil {
			sc.Unknown = unknown
		}
	}
	return sc
}

// DefineAccessRight makes an access right.
type DefineAccessRight struct {
	Right    ID     `json:"right,omitempty"` // empty: an id is made
	Name     string `json:"name"`
	Doors    []ID   `json:"doors"`
	Schedule ID     `json:"schedule"` // always, or one that was defined
}

func (DefineAccessRight) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c DefineAccessRight) scope(s *State) Scope { return s.atDoors(c.Doors) }
func (c DefineAccessRight) decide(tx *Tx) *Refusal {
	id := tx.idFor(c.Right, "right")
	if tx.AccessRights.Has(id) {
		return refuse("right_exists", "access right %s already exists", id).about(id)
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	if r := tx.checkDoors(c.Doors); r != nil {
		return r
	}
	if _, r := tx.Schedules.find(c.Schedule, "schedule"); r != nil {
		return r
	}
	tx.emit(AccessRightDefined{Right: id, Name: c.Name, Doors: sortedIDs(c.Doors), Schedule: c.Schedule})
	return nil
}

// AccessRightDefined makes an access right.
type AccessRightDefined struct {
	Right    ID     `json:"right"`
	Name     string `json:"name"`
	Doors    []ID   `json:"doors"`
	Schedule ID     `json:"schedule"`
}

func (e AccessRightDefined) fold(s *State, _ Moment) {
	s.AccessRights.Put(e.Right, AccessRight{ID: e.Right, Name: e.Name, Doors: e.Doors,
		Sites: s.sitesOfDoors(e.Doors), Schedule: e.Schedule})
}
func (e AccessRightDefined) affectedSites(s *State) []ID { return s.sitesOfDoors(e.Doors) }

// ChangeAccessRight changes an access right for all who have it; what is left out
// stays. Doors replaces the whole set; a set of more than 1,000 doors is made by
// AddDoors and RemoveDoors.
type ChangeAccessRight struct {
	Right       ID          `json:"right"`
	Name        *string     `json:"name,omitempty"`
	Doors       Given[[]ID] `json:"doors,omitzero"` // the whole set
	AddDoors    []ID        `json:"add_doors,omitempty"`
	RemoveDoors []ID        `json:"remove_doors,omitempty"`
	Schedule    *ID         `json:"schedule,omitempty"`
}

// urgent reports that no doors are added; a whole new list may add some.
func (c ChangeAccessRight) urgent() bool { return !c.Doors.Named && len(c.AddDoors) == 0 }

func (ChangeAccessRight) permit() Permit { return Permit{Role: RoleSystemManager} }

// scope is the sites of the right as it is and as it would be.
func (c ChangeAccessRight) scope(s *State) Scope {
	sc := s.atRight(c.Right)
	sc.Sites = sortedIDs(append(sc.Sites, s.sitesOfDoors(slices.Concat(c.Doors.Value, c.AddDoors))...))
	return sc
}

func (c ChangeAccessRight) decide(tx *Tx) *Refusal {
	right, r := tx.right(c.Right)
	if r != nil {
		return r
	}
	if c.Doors.Named && len(c.AddDoors)+len(c.RemoveDoors) > 0 {
		return invalid("invalid_field", "doors: give either doors, or add_doors and remove_doors")
	}
	doors := sortedIDs(slices.Concat(c.Doors.or(right.Doors), c.AddDoors))
	doors = slices.DeleteFunc(doors, func(d ID) bool { return slices.Contains(c.RemoveDoors, d) })
	if r := tx.checkDoors(doors); r != nil {
		return r
	}
	e := AccessRightChanged{Right: c.Right, Name: orGiven(c.Name, right.Name), Schedule: orGiven(c.Schedule, right.Schedule),
		Added: missingIn(right.Doors, doors), Removed: missingIn(doors, right.Doors)}
	if _, r := tx.Schedules.find(e.Schedule, "schedule"); r != nil {
		return r
	}
	if r := required("name", e.Name); r != nil {
		return r
	}
	if e.Name == right.Name && e.Schedule == right.Schedule && len(e.Added)+len(e.Removed) == 0 {
		return nil
	}
	tx.emit(e)
	tx.requireReviews(c.Right)
	return nil
}

// missingIn returns what of other is not in sorted.
func missingIn(sorted, other []ID) []ID {
	var out []ID
	for _, id := range other {
		if _, found := slices.BinarySearch(sorted, id); !found {
			out = append(out, id)
		}
	}
	return out
}

// AccessRightChanged changes an access right for all who have it.
type AccessRightChanged struct {
	Right    ID     `json:"right"`
	Name     string `json:"name"`
	Schedule ID     `json:"schedule"`
	// Added and Removed are doors, sorted: a whole set could be longer than a commit.
	Added   []ID `json:"added,omitempty"`
	Removed []ID `json:"removed,omitempty"`
}

func (e AccessRightChanged) fold(s *State, _ Moment) {
	s.narrowing([]ID{e.Right}, func() {
		s.AccessRights.Update(e.Right, func(r *AccessRight) {
			r.Name, r.Schedule = e.Name, e.Schedule
			r.Doors = missingIn(e.Removed, sortedIDs(append(slices.Clone(r.Doors), e.Added...)))
			r.Sites = s.sitesOfDoors(r.Doors)
		})
	})
}

// affectedSites adds the sites of doors that are no longer in the right.
func (e AccessRightChanged) fills(*Tx) filling { return filling{doors: e.Added} }
func (e AccessRightChanged) affectedSites(s *State) []ID {
	sites := s.sitesOfDoors(e.Removed)
	if right, ok := s.AccessRights.Get(e.Right); ok {
		sites = append(sites, right.Sites...)
	}
	return sites
}

// atRight is the scope of what concerns an access right.
func (s *State) atRight(right ID) Scope {
	r, unknown := s.AccessRights.find(right, "right")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	return atSites(r.Sites...)
}

// RetireAccessRight ends an access right for all who have it.
type RetireAccessRight struct {
	Right ID `json:"right"`
}

func (RetireAccessRight) urgent() bool           { return true }
func (RetireAccessRight) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c RetireAccessRight) scope(s *State) Scope { return s.atRight(c.Right) }
func (c RetireAccessRight) decide(tx *Tx) *Refusal {
	right, r := tx.AccessRights.find(c.Right, "right")
	if r == nil && !right.Retired {
		tx.emit(AccessRightRetired(c))
	}
	return r
}

// AccessRightRetired ends an access right: it has no doors any more.
type AccessRightRetired struct {
	Right ID `json:"right"`
}

func (e AccessRightRetired) fold(s *State, _ Moment) {
	s.AccessRights.Update(e.Right, func(r *AccessRight) { r.Retired, r.Doors = true, []ID{} })
}
func (e AccessRightRetired) affectedSites(s *State) []ID { return s.atRight(e.Right).Sites }
