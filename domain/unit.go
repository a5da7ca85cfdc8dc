package domain

import (
	"cmp"
	"slices"
	"time"
)

// Unit is what a tenant books: a storage room, a flat, an office.
type Unit struct {
	ID        ID              `json:"id"`
	Site      ID              `json:"site"`
	Name      string          `json:"name"`
	State     UnitState       `json:"state"`
	Booking   ID              `json:"booking,omitempty"`    // under which it is moved in; none: it is not
	MovedInAt time.Time       `json:"moved_in_at,omitzero"` // when it was last moved in
	Rights    []UnitRight     `json:"rights,omitempty"`     // what a tenant of the unit may open, sorted by right; none: not mapped (rule B1)
	Privacy   []PrivacyPeriod `json:"privacy,omitempty"`    // when it had privacy, ascending
}

// UnitRight is an access right that is mapped to a unit, with the unit's own
// narrower schedule or none.
type UnitRight struct {
	Right    ID `json:"right"`
	Schedule ID `json:"schedule,omitempty"` // narrows the right's own; empty: the right's alone
}

// UnitState is where a unit is between two tenants.
type UnitState string

// The states of a unit.
const (
	UnitVacant   UnitState = "vacant"
	UnitOccupied UnitState = "occupied" // moved in
	UnitToCheck  UnitState = "to_check" // moved out, not yet looked over
)

// isMapped reports whether any access right is mapped to a unit that was not
// retired: one that was opens nothing (rule B1).
func (s *State) isMapped(u *Unit) bool {
	return slices.ContainsFunc(u.Rights, func(ur UnitRight) bool {
		r, ok := s.AccessRights.Get(ur.Right)
		return ok && !r.Retired
	})
}

func (u *Unit) keys() []key[Unit] {
	k := []key[Unit]{{UnitBySite, u.Site}}
	if len(u.Privacy) > 0 {
		k = append(k, key[Unit]{index: unitWithPrivacy})
	}
	for _, r := range u.Rights {
		k = append(k, key[Unit]{UnitByRight, r.Right})
		if r.Schedule != "" {
			k = append(k, key[Unit]{UnitBySchedule, r.Schedule})
		}
	}
	return k
}

// rightIDs lists the rights of the unit.
func (u *Unit) rightIDs() []ID {
	var ids []ID
	for _, r := range u.Rights {
		ids = append(ids, r.Right)
	}
	return ids
}

// unitScope is the scope of what concerns one unit.
func (s *State) unitScope(unit ID) Scope {
	sc := atSites(s.sitesOfUnit(unit)...)
	if unit != "" {
		_, sc.Unknown = s.Units.find(unit, "unit")
	}
	sc.Unit = unit
	return sc
}

// sitesOfUnit is the site of a unit as a list; none for a unit that is not there.
func (s *State) sitesOfUnit(unit ID) []ID {
	if u, ok := s.Units.Get(unit); ok {
		return []ID{u.Site}
	}
	return nil
}

var unitMessages = messages{
	commands: []CommandType{
		command[CreateUnit]("Creates a unit of a site that can be booked, on request with its door and rights.",
			UnitCreated{}, DoorCreated{}, AccessRightDefined{}, UnitAccessMapped{}),
		command[MapUnitAccess]("Sets which access rights the tenants of a unit have, each with a narrower schedule if need be.",
			UnitAccessMapped{}, ReviewRequired{}),
		command[ReleaseUnit]("Marks a unit as vacant after its inspection.", UnitReleased{}, RightRevoked{}),
	},
	events: []EventType{event[UnitCreated](1), event[UnitAccessMapped](1), event[UnitReleased](1)},
}

// CreateUnit makes a unit. It is vacant, and mapped to nothing but what the command
// names: the right to its own door, which is made with it, and further rights.
type CreateUnit struct {
	Unit ID     `json:"unit,omitempty"` // empty: an id is made
	Site ID     `json:"site"`
	Name string `json:"name"`

	Door     ID   `json:"door,omitempty"`     // of the unit, made with the unit's name; empty: none is made
	Right    ID   `json:"right,omitempty"`    // to that door, made with it; empty: it has the id of the door
	Schedule ID   `json:"schedule,omitempty"` // of that right; empty: always
	Rights   []ID `json:"rights,omitempty"`   // existing rights that are mapped too, as that to the gate
}

func (CreateUnit) permit() Permit { return Permit{Role: RoleSystemManager} }

// scope is that of the commands which it stands for: the site, and the sites of the rights.
func (c CreateUnit) scope(s *State) Scope {
	sites := []ID{c.Site}
	for _, id := range c.Rights {
		if right, ok := s.AccessRights.Get(id); ok {
			sites = append(sites, right.Sites...)
		}
	}
	return Scope{Sites: sortedIDs(sites)}
}

func (c CreateUnit) decide(tx *Tx) *Refusal {
	if _, r := tx.Sites.find(c.Site, "site"); r != nil {
		return r
	}
	id := tx.idFor(c.Unit, "unit")
	if tx.Units.Has(id) {
		return refuse("unit_exists", "unit %s already exists", id).about(id)
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	if c.Door == "" && (c.Right != "" || c.Schedule != "") {
		return invalid("invalid_field", "door: a value is required; right and schedule are about the door that is made with the unit, and rights names those that are there")
	}
	tx.emit(UnitCreated{Unit: id, Site: c.Site, Name: c.Name})
	return c.furnish(tx, id)
}

// furnish makes the door and the right of a new unit, and maps the rights.
func (c CreateUnit) furnish(tx *Tx, unit ID) *Refusal {
	mapped := MapUnitAccess{Unit: unit}
	for _, right := range c.Rights {
		if _, r := tx.right(right); r != nil {
			return r
		}
		mapped.Rights = append(mapped.Rights, UnitRight{Right: right})
	}
	if c.Door != "" {
		right := orDefault(c.Right, c.Door)
		door := CreateDoor{Door: c.Door, Site: c.Site, Name: c.Name, Kind: DoorUnit, Unit: unit}
		if r := door.decide(tx); r != nil {
			return r
		}
		opens := DefineAccessRight{Right: right, Name: c.Name, Doors: []ID{c.Door}, Schedule: orDefault(c.Schedule, AlwaysID)}
		if r := opens.decide(tx); r != nil {
			return r
		}
		mapped.Rights = append(mapped.Rights, UnitRight{Right: right})
	}
	if len(mapped.Rights) == 0 {
		return nil
	}
	return mapped.decide(tx)
}

// UnitCreated makes a unit.
type UnitCreated struct {
	Unit ID     `json:"unit"`
	Site ID     `json:"site"`
	Name string `json:"name"`
}

func (e UnitCreated) fold(s *State, _ Moment) {
	s.Units.Put(e.Unit, Unit{ID: e.Unit, Site: e.Site, Name: e.Name, State: UnitVacant})
}
func (e UnitCreated) affectedSites(*State) []ID { return []ID{e.Site} }

// MapUnitAccess sets the rights of a unit as a whole: what is left out goes. A
// schedule of its own can only narrow that of the right, since both must hold;
// it may therefore be any schedule.
type MapUnitAccess struct {
	Unit   ID          `json:"unit"`
	Rights []UnitRight `json:"rights"`
}

func (MapUnitAccess) permit() Permit { return Permit{Role: RoleSystemManager} }

// scope is the site of the unit and every site of the rights: who maps a right
// gives access to all its doors.
func (c MapUnitAccess) scope(s *State) Scope {
	sc := s.unitScope(c.Unit)
	for _, r := range c.Rights {
		sc.Sites = append(sc.Sites, s.atRight(r.Right).Sites...)
	}
	sc.Sites = sortedIDs(sc.Sites)
	return sc
}

func (c MapUnitAccess) decide(tx *Tx) *Refusal {
	unit, r := tx.Units.find(c.Unit, "unit")
	if r != nil {
		return r
	}
	rights := slices.Clone(c.Rights)
	slices.SortFunc(rights, func(a, b UnitRight) int { return cmp.Compare(a.Right, b.Right) })
	for i, ur := range rights {
		if i > 0 && rights[i-1].Right == ur.Right {
			return invalid("invalid_field", "rights: right %s is listed twice", ur.Right).about(ur.Right)
		}
		if slices.Contains(unit.Rights, ur) {
			continue
		}
		right, r := tx.right(ur.Right)
		if r != nil {
			return r
		}
		// A booking opens doors of its own site alone.
		if len(right.Sites) > 0 && !slices.Contains(right.Sites, unit.Site) {
			return refuse("other_site", "right %s has no door at site %s", ur.Right, unit.Site).about(ur.Right)
		}
		if ur.Schedule != "" {
			if _, r := tx.Schedules.find(ur.Schedule, "schedule"); r != nil {
				return r
			}
		}
	}
	if slices.Equal(unit.Rights, rights) {
		return nil
	}
	affected := unit.rightIDs()
	kept := (&Unit{Rights: rights}).rightIDs()
	tx.warnOf(missingIn(kept, affected), "rights_dropped", "the rights of the unit %s are replaced as a whole, and it has these no more", c.Unit)
	tx.emit(UnitAccessMapped{Unit: c.Unit, Rights: rights})
	tx.requireReviews(affected...)
	return nil
}

// UnitAccessMapped sets the rights of a unit as a whole.
type UnitAccessMapped struct {
	Unit   ID          `json:"unit"`
	Rights []UnitRight `json:"rights"`
}

func (e UnitAccessMapped) fold(s *State, _ Moment) {
	u, ok := s.Units.Get(e.Unit)
	if !ok {
		return
	}
	s.narrowing(u.rightIDs(), func() {
		s.Units.Update(e.Unit, func(u *Unit) { u.Rights = e.Rights })
	})
}
func (e UnitAccessMapped) fills(tx *Tx) filling {
	if !tx.Bookings.Any(BookingByUnit, e.Unit, func(b *Booking) bool { return !b.over() }) {
		return filling{}
	}
	return filling{doors: tx.doorsOfUnit(e.Unit)}
}
func (e UnitAccessMapped) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }

// ReleaseUnit makes a unit vacant that was moved out of and looked over.
type ReleaseUnit struct {
	Unit ID `json:"unit"`
}

func (ReleaseUnit) permit() Permit         { return Permit{Role: RoleStaff} }
func (c ReleaseUnit) scope(s *State) Scope { return s.unitScope(c.Unit) }
func (c ReleaseUnit) decide(tx *Tx) *Refusal {
	unit, r := tx.Units.find(c.Unit, "unit")
	switch {
	case r != nil:
		return r
	case unit.State == UnitVacant:
		return nil
	case tx.moved(unit):
		return refuse("unit_occupied", "unit %s is moved in under booking %s; move out first", c.Unit, unit.Booking).about(c.Unit, unit.Booking)
	}
	tx.emit(UnitReleased(c))
	for id := range tx.Grants.Each(grantByAuction, c.Unit) {
		tx.emit(RightRevoked{Grant: id})
	}
	return nil
}

// moved reports whether a unit is moved in under a booking that is not over at the
// command's moment.
func (tx *Tx) moved(u *Unit) bool {
	b, ok := tx.Bookings.Get(u.Booking)
	return ok && u.State == UnitOccupied && tx.checkBookingActive(b) == nil
}

// UnitReleased makes a unit vacant.
type UnitReleased struct {
	Unit ID `json:"unit"`
}

func (e UnitReleased) fold(s *State, m Moment) {
	s.Units.Update(e.Unit, func(u *Unit) { u.State, u.Booking = UnitVacant, "" })
	s.endPrivacy(e.Unit, m.At)
}
func (e UnitReleased) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }

// vacate leaves a unit to be looked over when it was moved in under the booking.
// A unit that was let again meanwhile stays as it is.
func (s *State) vacate(unit, booking ID, m Moment) {
	if u, ok := s.Units.Get(unit); ok && u.State == UnitOccupied && u.Booking == booking {
		s.Units.Update(unit, func(u *Unit) { u.State, u.Booking = UnitToCheck, "" })
		s.endPrivacy(unit, m.At)
	}
}
