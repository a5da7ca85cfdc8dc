package domain

import (
	"cmp"
	"slices"
	"strings"
)

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

func (MoveOut) urgent() bool           { return true }
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
	if tx.Shares.HasBy(shareActive, c.Booking) {
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
func (e BookingTransferred) fills(tx *Tx) filling {
	b, ok := tx.Bookings.Get(e.Booking)
	if !ok {
		return filling{}
	}
	return filling{doors: tx.doorsOfUnit(b.Unit)}
}
func (e BookingTransferred) affectedSites(s *State) []ID { return s.sitesOfBooking(e.Booking) }

// LockLevel is how far a suspended booking is shut out.
type LockLevel string

// The levels of suspension.
const (
	LevelGatelock LockLevel = "gatelock" // entries only
	LevelOverlock LockLevel = "overlock" // unit and entries
)

func (l LockLevel) check() error { return oneOf(l, LevelGatelock, LevelOverlock) }

// rank orders levels; no level ranks 0.
func (l LockLevel) rank() int {
	return map[LockLevel]int{LevelGatelock: 1, LevelOverlock: 2}[l]
}

// Suspension shuts the tenant of a booking out for one cause. A booking has one for
// each cause, so that lifting the suspension for an unpaid bill lifts nothing that a
// person imposed. The strongest of them counts.
type Suspension struct {
	Cause ID        `json:"cause,omitempty"` // a short word as unpaid; empty: none was named
	Level LockLevel `json:"level"`
}

// maxSuspensions bounds for how many causes a booking is suspended at once.
const maxSuspensions = 20

// suspension gives the place of the suspension for a cause, sorted by cause, and
// whether there is one.
func (b *Booking) suspension(cause ID) (place int, found bool) {
	return slices.BinarySearchFunc(b.Suspensions, cause, func(s Suspension, cause ID) int { return cmp.Compare(s.Cause, cause) })
}

// suspend gives a booking its suspensions, sorted by cause.
func (b *Booking) suspend(all []Suspension) {
	b.Suspensions, b.Level = all, ""
	for _, s := range all {
		if s.Level.rank() > b.Level.rank() {
			b.Level = s.Level
		}
	}
}

// SuspendedFor lists the suspensions of a booking in words.
func (b *Booking) SuspendedFor() string {
	var out []string
	for _, s := range b.Suspensions {
		text := string(s.Level)
		if s.Cause != "" {
			text += " for " + string(s.Cause)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// SuspendBooking shuts a tenant out for a while, with everybody whose access
// hangs on the booking: shares, fobs and unit users are suspended with it and come
// back with it, without facts of their own. It concerns this booking alone, never
// the person's others, and only ever takes away: a lower level than the one that
// the cause has already is refused, as it would give access back.
type SuspendBooking struct {
	Booking ID        `json:"booking"`
	Level   LockLevel `json:"level"`
	Cause   ID        `json:"cause,omitempty"` // a short word as unpaid; it must say nothing about a person
}

func (SuspendBooking) urgent() bool           { return true }
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
	i, found := b.suspension(c.Cause)
	switch {
	case !found && len(b.Suspensions) == maxSuspensions:
		return refuse("too_many_suspensions", "booking %s is suspended for %d causes, the maximum", b.ID, maxSuspensions).about(b.ID)
	case found && b.Suspensions[i].Level.rank() > c.Level.rank():
		return refuse("suspension_not_lowered", "booking %s has an %s for the cause %q, and a %s would give access back; ReinstateBooking with that cause and the level %s does that",
			b.ID, b.Suspensions[i].Level, c.Cause, c.Level, c.Level).about(b.ID)
	case !found || b.Suspensions[i].Level != c.Level:
		tx.emit(BookingSuspended(c))
	}
	return nil
}

// BookingSuspended shuts a tenant out for a cause, beside other causes.
type BookingSuspended struct {
	Booking ID        `json:"booking"`
	Level   LockLevel `json:"level"`
	Cause   ID        `json:"cause,omitempty"`
}

func (e BookingSuspended) fold(s *State, _ Moment) {
	s.Bookings.Update(e.Booking, func(b *Booking) {
		all := slices.Clone(b.Suspensions)
		i, found := b.suspension(e.Cause)
		if !found {
			all = slices.Insert(all, i, Suspension{Cause: e.Cause})
		}
		all[i].Level = e.Level
		b.suspend(all)
	})
}
func (e BookingSuspended) affectedSites(s *State) []ID { return s.sitesOfBooking(e.Booking) }

// ReinstateBooking lifts the suspension of a booking for a cause, and none that
// has another one: who pays a bill is not let in past a lock for damage. Software
// that lifts what it imposed names its cause.
type ReinstateBooking struct {
	Booking ID `json:"booking"`
	// Cause is that of the suspension; none: the one without a cause, else the only
	// one.
	Cause ID   `json:"cause,omitempty"`
	All   bool `json:"all,omitzero"` // whatever the causes; none is named
	// Level is what is left of it: gatelock after an overlock; none: nothing.
	Level LockLevel `json:"level,omitempty"`
}

func (ReinstateBooking) permit() Permit         { return Permit{Role: RoleStaff} }
func (c ReinstateBooking) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c ReinstateBooking) decide(tx *Tx) *Refusal {
	b, r := tx.standing(c.Booking)
	if r != nil {
		return r
	}
	if c.All && (c.Cause != "" || c.Level != "") {
		return invalid("invalid_field", "all: lifts every suspension, so leave out cause and level")
	}
	e := BookingReinstated{Booking: c.Booking, Cause: c.Cause}
	if !c.All {
		i, r := c.lifts(tx, b)
		if r != nil || i < 0 {
			return r
		}
		e.Cause, e.Left = b.Suspensions[i].Cause, slices.Delete(slices.Clone(b.Suspensions), i, i+1)
		switch was := b.Suspensions[i].Level; {
		case c.Level.rank() > was.rank():
			return invalid("invalid_field", "level: booking %s has a %s for the cause %q; SuspendBooking raises it", b.ID, was, e.Cause).about(b.ID)
		case c.Level == was:
			return nil
		case c.Level != "":
			e.Left = slices.Insert(e.Left, i, Suspension{e.Cause, c.Level})
		}
	}
	if len(b.Suspensions) == 0 {
		return nil
	}
	if r := tx.requireOutranks(b.Person, []ID{b.Site}); r != nil {
		return r
	}
	tx.emit(e)
	if now, ok := tx.Bookings.Get(b.ID); ok && c.Level == "" && now.Level != "" {
		tx.warn("still_suspended", "the booking %s stays suspended: %s", b.ID, now.SuspendedFor())
	}
	tx.endAuction(b.Unit)
	return nil
}

// lifts gives the place of the suspension that is lifted, negative when there is
// none.
func (c ReinstateBooking) lifts(tx *Tx, b *Booking) (int, *Refusal) {
	i, found := b.suspension(c.Cause)
	switch n := len(b.Suspensions); {
	case found:
		return i, nil
	case n == 0:
		return -1, nil
	case c.Cause != "":
		tx.warn("suspended_for_other_cause", "the booking %s is not suspended for %q: %s", b.ID, c.Cause, b.SuspendedFor())
		return -1, nil
	case n > 1:
		return -1, refuse("cause_missing", "booking %s is suspended for several causes: %s; name the one to lift, or say all", b.ID, b.SuspendedFor()).about(b.ID)
	}
	return 0, nil
}

// BookingReinstated lifts a suspension of a booking, or all of them, and says what
// is left.
type BookingReinstated struct {
	Booking ID           `json:"booking"`
	Cause   ID           `json:"cause,omitempty"` // for which it was suspended; none: all, or none was named
	Left    []Suspension `json:"left,omitempty"`  // sorted by cause
}

func (e BookingReinstated) fold(s *State, _ Moment) {
	s.Bookings.Update(e.Booking, func(b *Booking) { b.suspend(e.Left) })
}
func (e BookingReinstated) affectedSites(s *State) []ID { return s.sitesOfBooking(e.Booking) }
