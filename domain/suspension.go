package domain

import (
	"cmp"
	"slices"
	"strings"
)

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

// suspendedFor lists the suspensions of a booking in words.
func (b *Booking) suspendedFor() string {
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
		return refuse("invalid_field", "all: lifts every suspension, so leave out cause and level")
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
			return refuse("invalid_field", "level: booking %s has a %s for the cause %q; SuspendBooking raises it", b.ID, was, e.Cause).about(b.ID)
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
		tx.warn("still_suspended", "the booking %s stays suspended: %s", b.ID, now.suspendedFor())
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
		tx.warn("suspended_for_other_cause", "the booking %s is not suspended for %q: %s", b.ID, c.Cause, b.suspendedFor())
		return -1, nil
	case n > 1:
		return -1, refuse("cause_missing", "booking %s is suspended for several causes: %s; name the one to lift, or say all", b.ID, b.suspendedFor()).about(b.ID)
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
