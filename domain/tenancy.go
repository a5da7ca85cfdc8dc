package domain

// TenantManages says what the tenant manages in the unit after moving in.
type TenantManages string

// The values of TenantManages: what a tenant manages in the unit.
const (
	ManagesUsersAndManagers TenantManages = "users_and_managers" // the default: also makes other unit managers (rule U3)
	ManagesUsers            TenantManages = "users"
	ManagesNothing          TenantManages = "nothing" // the tenant is no unit manager
)

func (m TenantManages) check() error {
	return oneOf(m, ManagesUsersAndManagers, ManagesUsers, ManagesNothing)
}

// MoveIn hands a unit over to the tenant of a booking. From then on the unit can
// have users beside the tenant, who is a unit manager unless the operator says
// otherwise. A system manager or the owner moves in, never a unit manager
// (rule U1).
type MoveIn struct {
	Booking       ID            `json:"booking"`
	TenantManages TenantManages `json:"tenant_manages,omitempty"`
}

func (MoveIn) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c MoveIn) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c MoveIn) decide(tx *Tx) *Refusal {
	b, r := tx.standing(c.Booking)
	if r != nil {
		return r
	}
	unit, r := tx.Units.find(b.Unit, "unit")
	switch {
	case r != nil:
		return r
	case unit.Booking == b.ID:
		return nil
	case !tx.begun(b.Site, b.From):
		return refuse("booking_not_started", "booking %s begins on %s", b.ID, b.From).about(b.ID)
	case tx.moved(unit):
		return refuse("unit_occupied", "unit %s is moved in under booking %s", unit.ID, unit.Booking).about(unit.ID, unit.Booking)
	case unit.State != UnitVacant:
		return refuse("unit_to_check", "unit %s must be inspected and released first; send ReleaseUnit", unit.ID).about(unit.ID)
	}
	tx.emit(UnitMovedIn{Unit: unit.ID, Booking: b.ID})
	if c.TenantManages != ManagesNothing {
		tx.emit(UnitManagerCreated{Unit: unit.ID, Person: b.Person, Booking: b.ID,
			MayDelegate: c.TenantManages != ManagesUsers})
	}
	return nil
}

// UnitMovedIn hands a unit over to the tenant of a booking.
type UnitMovedIn struct {
	Unit    ID `json:"unit"`
	Booking ID `json:"booking"`
}

func (e UnitMovedIn) fold(s *State, m Moment) {
	s.Units.Update(e.Unit, func(u *Unit) { u.State, u.Booking, u.MovedInAt = UnitOccupied, e.Booking, m.At })
	s.Bookings.Update(e.Booking, func(b *Booking) { b.MovedIn = true })
}
func (e UnitMovedIn) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }

// MoveOut takes a unit back. The booking ends with it, and the unit is to be
// looked over before it is vacant.
type MoveOut struct {
	Booking ID `json:"booking"`
}

func (MoveOut) permit() Permit         { return Permit{Role: RoleStaff} }
func (c MoveOut) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c MoveOut) decide(tx *Tx) *Refusal {
	b, r := tx.Bookings.find(c.Booking, "booking")
	switch {
	case r != nil:
		return r
	case !b.MovedIn:
		return refuse("not_moved_in", "nobody has moved in under booking %s; to end it, send EndBooking", b.ID).about(b.ID)
	case b.MovedOut || b.over():
		return nil
	}
	tx.emit(UnitMovedOut{Unit: b.Unit, Booking: b.ID})
	tx.emit(BookingEnded{Booking: b.ID, Cause: reasonMovedOut})
	tx.settle(b.ID)
	return nil
}

// UnitMovedOut takes a unit back from its tenant; the end of the booking comes
// next.
type UnitMovedOut struct {
	Unit    ID `json:"unit"`
	Booking ID `json:"booking"`
}

func (e UnitMovedOut) fold(s *State, m Moment) {
	s.Bookings.Update(e.Booking, func(b *Booking) { b.MovedOut = true })
	s.vacate(e.Unit, e.Booking, m)
}
func (e UnitMovedOut) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }

// TransferBooking makes another person the primary tenant, as when a contract
// goes to a partner: fobs and the tenant's place as unit manager end with the
// former tenant, shares and unit users stay and are the new tenant's to end. A
// tenant who leaves moves out instead.
type TransferBooking struct {
	Booking ID `json:"booking"`
	Person  ID `json:"person"`
}

func (TransferBooking) permit() Permit         { return Permit{Role: RoleStaff} }
func (c TransferBooking) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c TransferBooking) decide(tx *Tx) *Refusal {
	b, r := tx.standing(c.Booking)
	if r != nil {
		return r
	}
	if _, r := tx.person(c.Person); r != nil {
		return r
	}
	if b.Person == c.Person {
		return nil
	}
	if r := tx.requireOutranks(c.Person, []ID{b.Site}); r != nil {
		return r
	}
	former := b.Person
	tx.emit(BookingTransferred(c))
	tx.transferPlace(b.Unit, former, c.Person)
	tx.settle(c.Booking)
	if tx.Shares.HasBy("active:" + string(c.Booking)) {
		tx.warn("shares_stand", "the shares of the booking %s stand; revoke those that should end", c.Booking)
	}
	return nil
}

// transferPlace hands on the place of a tenant as unit manager.
func (tx *Tx) transferPlace(unit, former, next ID) {
	old, ok := tx.UnitUsers.Get(unitUserKey(unit, former))
	if !ok || !old.Manager || !tx.inPlace(old) {
		return
	}
	tx.emit(UnitUserRemoved{Unit: unit, Person: former, Cause: reasonNoLongerPrimary})
	e := UnitManagerCreated{Unit: unit, Person: next, Booking: old.Booking, MayDelegate: old.MayDelegate}
	if u, ok := tx.UnitUsers.Get(unitUserKey(unit, next)); ok && tx.inPlace(u) {
		e.Access = u.Access
	}
	tx.emit(e)
}

// BookingTransferred makes another person the primary tenant.
type BookingTransferred struct {
	Booking ID `json:"booking"`
	Person  ID `json:"person"`
}

func (e BookingTransferred) fold(s *State, _ Moment) {
	s.Bookings.Update(e.Booking, func(b *Booking) { b.Person = e.Person })
	s.noteOwed(e.Booking)
}
func (e BookingTransferred) affectedSites(s *State) []ID { return s.sitesOfBooking(e.Booking) }
