package domain

// LockLevel is how far a suspended booking is shut out.
type LockLevel string

// The levels of suspension.
const (
	LevelGatelock LockLevel = "gatelock" // entries only
	LevelOverlock LockLevel = "overlock" // unit and entries
)

func (l LockLevel) check() error { return oneOf(l, LevelGatelock, LevelOverlock) }

// SuspendBooking shuts a tenant out for a while, with everybody whose access
// hangs on the booking: shares, fobs and unit users are suspended with it and come
// back with it, without facts of their own. It concerns this booking alone, never
// the person's others.
type SuspendBooking struct {
	Booking ID        `json:"booking"`
	Level   LockLevel `json:"level"`
	Cause   ID        `json:"cause,omitempty"` // a short word as unpaid; it must say nothing about a person
}

func (SuspendBooking) permit() Permit         { return Permit{Role: RoleStaff} }
func (c SuspendBooking) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c SuspendBooking) decide(tx *Tx) *Refusal {
	if r := required("level", string(c.Level)); r != nil {
		return r
	}
	b, gone, r := tx.standingOrGone(c.Booking)
	if r != nil || gone {
		return r
	}
	if b.Level != c.Level || b.Cause != string(c.Cause) {
		tx.emit(BookingSuspended(c))
		tx.endAuction(b.Unit)
	}
	return nil
}

// BookingSuspended shuts a tenant out for a while.
type BookingSuspended struct {
	Booking ID        `json:"booking"`
	Level   LockLevel `json:"level"`
	Cause   ID        `json:"cause,omitempty"`
}

func (e BookingSuspended) fold(s *State, _ Moment) {
	s.Bookings.Update(e.Booking, func(b *Booking) { b.Level, b.Cause = e.Level, string(e.Cause) })
}
func (e BookingSuspended) concerns(s *State) []ID { return s.sitesOfBooking(e.Booking) }

// ReinstateBooking lifts the suspension of a booking. With a cause it lifts none
// that has another one: who pays a bill is not let in past a lock for damage.
type ReinstateBooking struct {
	Booking ID `json:"booking"`
	Cause   ID `json:"cause,omitempty"` // none: whatever the cause
}

func (ReinstateBooking) permit() Permit         { return Permit{Role: RoleStaff} }
func (c ReinstateBooking) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c ReinstateBooking) decide(tx *Tx) *Refusal {
	b, r := tx.standing(c.Booking)
	switch {
	case r != nil || b.Level == "":
		return r
	case c.Cause != "" && string(c.Cause) != b.Cause:
		tx.warn("suspended_for_other_cause", "the booking %s stays suspended: the cause is %q", b.ID, b.Cause)
		return nil
	}
	tx.emit(BookingReinstated{Booking: c.Booking})
	tx.endAuction(b.Unit)
	return nil
}

// BookingReinstated lifts the suspension of a booking.
type BookingReinstated struct {
	Booking ID `json:"booking"`
}

func (e BookingReinstated) fold(s *State, _ Moment) {
	s.Bookings.Update(e.Booking, func(b *Booking) { b.Level, b.Cause = "", "" })
}
func (e BookingReinstated) concerns(s *State) []ID { return s.sitesOfBooking(e.Booking) }
