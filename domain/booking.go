package domain

import (
	"slices"

	"gatehouse/domain/schedule"
)

// Booking gives a unit to a primary tenant for a period of civil days of the
// site: [From 00:00, Until+1 day 00:00).
type Booking struct {
	ID     ID            `json:"id"`
	Site   ID            `json:"site"`
	Unit   ID            `json:"unit"`
	Person ID            `json:"person"` // primary tenant
	From   schedule.Date `json:"from"`
	Until  schedule.Date `json:"until,omitzero"` // last day; zero: open end
	State  BookingState  `json:"state"`
	// Suspensions are sorted by cause, one for each.
	Suspensions []Suspension `json:"suspensions,omitempty"`
	Level       LockLevel    `json:"level,omitempty"` // the strongest of them; empty: not suspended
	Cause       string       `json:"cause,omitempty"` // of revocation or end
	MovedIn     bool         `json:"moved_in,omitzero"`
	MovedOut    bool         `json:"moved_out,omitzero"`
}

// BookingState says whether a booking still gives access. Ended and revoked are
// final.
type BookingState string

// The states of a booking.
const (
	BookingStateActive  BookingState = "active"
	BookingStateRevoked BookingState = "revoked"
	BookingStateEnded   BookingState = "ended"
)

func (b *Booking) keys() []key[Booking] {
	return []key[Booking]{{BookingByUnit, b.Unit}, {BookingByPerson, b.Person}, {BookingBySite, b.Site}}
}

// over reports whether the end of the booking is on record.
func (b *Booking) over() bool { return b.State != BookingStateActive }

// endedBy is why what hung on a booking that is over has ended.
func (b *Booking) endedBy() string {
	switch {
	case b.State == BookingStateRevoked:
		return reasonBookingRevoked
	case b.MovedOut:
		return reasonMovedOut
	}
	return reasonBookingEnded
}

// checkBookingActive refuses to build on a booking that is over at the moment of the command. It is
// over by a fact, or because its last day has passed: an ended booking has ended
// whether or not the timer has recorded it.
func (tx *Tx) checkBookingActive(b *Booking) *Refusal {
	switch {
	case b.State == BookingStateRevoked:
		return refuse("booking_revoked", "booking %s was revoked; this is final: make a new one", b.ID).about(b.ID)
	case b.State == BookingStateEnded, tx.passed(b.Site, b.Until):
		return refuse("booking_ended", "booking %s has ended; this is final: make a new one", b.ID).about(b.ID)
	}
	return nil
}

// bookingScope is the scope of what concerns one booking.
func (s *State) bookingScope(booking ID) Scope {
	sc := atSites(s.sitesOfBooking(booking)...)
	_, sc.Unknown = s.Bookings.find(booking, "booking")
	sc.Booking = booking
	return sc
}

func (s *State) sitesOfBooking(booking ID) []ID {
	if b, ok := s.Bookings.Get(booking); ok {
		return []ID{b.Site}
	}
	return nil
}

// endings are the consequences of the end of a booking.
var endings = []Event{ShareRevoked{}, ShareEnded{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}, UnitUserRemoved{}}

var bookingMessages = messages{
	commands: []CommandType{
		command[CreateBooking]("Gives a unit to a primary tenant for a period of days.", BookingCreated{}, RightRevoked{}),
		command[ChangeBookingWindow]("Changes the first or the last day of a booking.",
			BookingWindowChanged{}, RightRevoked{}, ShareRevoked{}, ShareEnded{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}),
		command[TransferBooking]("Makes another person the primary tenant of a booking.",
			BookingTransferred{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}, UnitUserRemoved{}, UnitManagerCreated{}),
		command[SuspendBooking]("Suspends a booking: the tenant and everybody who has access by it are locked out.", BookingSuspended{}),
		command[ReinstateBooking]("Lifts the suspension of a booking, for one cause or for all.", BookingReinstated{}, RightRevoked{}),
		command[RevokeBooking]("Revokes a booking for good, with all access by it.",
			slices.Concat([]Event{BookingRevoked{}}, endings)...),
		command[EndBooking]("Ends a booking and all access by it: staff at once, the service after its last day.",
			slices.Concat([]Event{BookingEnded{}}, endings)...),
		command[MoveIn]("Hands a unit over to the tenant of a booking, who becomes its unit manager.", UnitMovedIn{}, UnitManagerCreated{}),
		command[MoveOut]("Takes a unit back from its tenant and ends the booking.",
			slices.Concat([]Event{UnitMovedOut{}, BookingEnded{}}, endings)...),
	},
	events: []EventType{
		event[BookingCreated](1), event[BookingWindowChanged](1), event[BookingTransferred](1),
		event[BookingSuspended](1), event[BookingReinstated](1), event[BookingRevoked](1), event[BookingEnded](1),
		event[UnitMovedIn](1), event[UnitMovedOut](1),
	},
}

// CreateBooking gives a unit to a primary tenant. Access begins with the first
// day, moved in or not.
type CreateBooking struct {
	Booking ID            `json:"booking,omitempty"` // empty: an id is made
	Unit    ID            `json:"unit"`
	Person  ID            `json:"person"`
	From    schedule.Date `json:"from"`
	Until   schedule.Date `json:"until,omitzero"` // last day; none: open end
}

func (CreateBooking) permit() Permit         { return Permit{Role: RoleStaff} }
func (c CreateBooking) scope(s *State) Scope { return s.unitScope(c.Unit) }
func (c CreateBooking) decide(tx *Tx) *Refusal {
	unit, r := tx.Units.find(c.Unit, "unit")
	if r != nil {
		return r
	}
	if _, r := tx.person(c.Person); r != nil {
		return r
	}
	id := tx.idFor(c.Booking, "booking")
	if tx.Bookings.Has(id) {
		return refuse("booking_exists", "booking %s already exists", id).about(id)
	}
	if r := tx.requireOutranks(c.Person, []ID{unit.Site}); r != nil {
		return r
	}
	if r := tx.bookable(id, unit, c.From, c.Until); r != nil {
		return r
	}
	if tx.passed(unit.Site, c.Until) {
		tx.warn("booking_ended", "the booking %s ended on %s and opens nothing", id, c.Until)
	}
	tx.emit(BookingCreated{Booking: id, Unit: c.Unit, Person: c.Person, From: c.From, Until: c.Until})
	tx.endAuction(c.Unit)
	return nil
}

// bookable refuses days on which the unit is given to somebody else.
func (tx *Tx) bookable(booking ID, unit *Unit, from, until schedule.Date) *Refusal {
	if r := checkDays(from, until); r != nil {
		return r
	}
	for id, other := range tx.Bookings.Each(BookingByUnit, unit.ID) {
		if id != booking && !other.over() && meet(from, until, other.From, other.Until) {
			return refuse("unit_booked", "unit %s is booked %s under %s", unit.ID, DaysText(other.From, other.Until), id).about(unit.ID, id)
		}
	}
	return nil
}

// checkDays refuses a period without a beginning, or that ends before it begins.
func checkDays(from, until schedule.Date) *Refusal {
	switch {
	case from.IsZero():
		return invalid("invalid_field", "from: the first day is required")
	case !until.IsZero() && until.Before(from):
		return invalid("invalid_field", "until: the last day %s is before the first day %s", until, from)
	}
	return nil
}

// meet reports whether two periods have a day in common; no last day: no end.
func meet(from, until, otherFrom, otherUntil schedule.Date) bool {
	return (otherUntil.IsZero() || !otherUntil.Before(from)) && (until.IsZero() || !until.Before(otherFrom))
}

// DaysText says in words from which day to which day something lasts.
func DaysText(from, until schedule.Date) string {
	if until.IsZero() {
		return "from " + from.String()
	}
	return "from " + from.String() + " to " + until.String()
}

// BookingCreated gives a unit to a primary tenant.
type BookingCreated struct {
	Booking ID            `json:"booking"`
	Unit    ID            `json:"unit"`
	Person  ID            `json:"person"`
	From    schedule.Date `json:"from"`
	Until   schedule.Date `json:"until,omitzero"`
}

func (e BookingCreated) fold(s *State, _ Moment) {
	b := Booking{ID: e.Booking, Unit: e.Unit, Person: e.Person, From: e.From, Until: e.Until, State: BookingStateActive}
	if u, ok := s.Units.Get(e.Unit); ok {
		b.Site = u.Site
	}
	s.Bookings.Put(e.Booking, b)
}
func (e BookingCreated) fills(tx *Tx) filling {
	return given(tx.doorsOfUnit(e.Unit), e.Person, e.Booking)
}
func (e BookingCreated) affectedSites(s *State) []ID { return s.sitesOfBooking(e.Booking) }

// ChangeBookingWindow changes the first and the last day of a booking. It extends no
// share but those that were cut short by the booking, which a warning names, and brings
// no booking back that has ended.
type ChangeBookingWindow struct {
	Booking ID                   `json:"booking"`
	From    *schedule.Date       `json:"from,omitempty"`
	Until   Given[schedule.Date] `json:"until,omitzero"` // last day; null: open end
}

func (ChangeBookingWindow) permit() Permit         { return Permit{Role: RoleStaff} }
func (c ChangeBookingWindow) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c ChangeBookingWindow) decide(tx *Tx) *Refusal {
	b, r := tx.standing(c.Booking)
	if r != nil {
		return r
	}
	unit, r := tx.Units.find(b.Unit, "unit")
	if r != nil {
		return r
	}
	if r := tx.requireOutranks(b.Person, []ID{b.Site}); r != nil {
		return r
	}
	if c.Until.Named && !c.Until.Null && c.Until.Value.IsZero() {
		return invalid("invalid_field", "until: must not be empty; to clear it, give null").about(b.ID)
	}
	from, until := orGiven(c.From, b.From), c.Until.or(b.Until)
	if r := tx.bookable(b.ID, unit, from, until); r != nil {
		return r
	}
	if tx.passed(b.Site, until) {
		return refuse("window_ended", "until: %s is in the past; to end the booking now, send EndBooking", until).about(b.ID)
	}
	if b.From != from || b.Until != until {
		ended := tx.changeShareDays(b, from, until)
		tx.emit(BookingWindowChanged{Booking: b.ID, From: from, Until: until})
		for _, id := range ended {
			tx.emit(ShareRevoked{Share: id, Cause: CauseBookingEnded})
		}
		tx.settle(b.ID)
		tx.endAuction(unit.ID)
	}
	return nil
}

// standing finds a booking that is not over.
func (tx *Tx) standing(id ID) (*Booking, *Refusal) {
	b, r := tx.Bookings.find(id, "booking")
	if r == nil {
		r = tx.checkBookingActive(b)
	}
	return b, r
}

// BookingWindowChanged sets both days of a booking.
type BookingWindowChanged struct {
	Booking ID            `json:"booking"`
	From    schedule.Date `json:"from"`
	Until   schedule.Date `json:"until,omitzero"`
}

func (e BookingWindowChanged) fold(s *State, _ Moment) {
	s.Bookings.Update(e.Booking, func(b *Booking) { b.From, b.Until = e.From, e.Until })
}
func (e BookingWindowChanged) affectedSites(s *State) []ID { return s.sitesOfBooking(e.Booking) }

// RevokeBooking takes a booking away for good: its shares, fobs and unit users
// end with it (rule B6). Where nothing is left to take away it has no effect, so
// that one entry of a list does not hold up the others.
type RevokeBooking struct {
	Booking ID `json:"booking"`
	Cause   ID `json:"cause,omitempty"` // a short word as unpaid; it must say nothing about a person
}

func (RevokeBooking) urgent() bool           { return true }
func (RevokeBooking) permit() Permit         { return Permit{Role: RoleStaff} }
func (c RevokeBooking) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c RevokeBooking) decide(tx *Tx) *Refusal {
	b, gone, r := tx.standingOrGone(c.Booking)
	if r != nil || gone {
		return r
	}
	tx.emit(BookingRevoked(c))
	tx.settle(b.ID)
	return nil
}

// standingOrGone finds a booking for a command that takes access away. When the booking
// is over already, it adds a warning and reports gone, as nothing is left to take.
func (tx *Tx) standingOrGone(id ID) (b *Booking, gone bool, r *Refusal) {
	b, r = tx.Bookings.find(id, "booking")
	if r != nil {
		return nil, false, r
	}
	if over := tx.checkBookingActive(b); over != nil {
		tx.warn(over.Code, "%s", over.Message)
		return b, true, nil
	}
	return b, false, nil
}

// BookingRevoked takes a booking away for good.
type BookingRevoked struct {
	Booking ID `json:"booking"`
	Cause   ID `json:"cause,omitempty"`
}

func (e BookingRevoked) fold(s *State, m Moment) {
	s.endBooking(e.Booking, BookingStateRevoked, e.Cause, m)
}
func (e BookingRevoked) affectedSites(s *State) []ID { return s.sitesOfBooking(e.Booking) }

// endBooking puts the end of a booking on record. The unit is to be looked over
// before anybody else gets it.
func (s *State) endBooking(id ID, state BookingState, cause ID, m Moment) {
	s.Bookings.Update(id, func(b *Booking) {
		b.State, b.Cause = state, string(cause)
		b.suspend(nil)
	})
	if b, ok := s.Bookings.Get(id); ok {
		s.vacate(b.Unit, id, m)
	}
	s.noteOwed(id)
}

// EndBooking ends a booking. The service sends it when the last day is over and
// is refused before; staff end a booking at once, whatever its days. A last day
// in the future is set by ChangeBookingWindow.
type EndBooking struct {
	Booking ID `json:"booking"`
}

func (EndBooking) urgent() bool           { return true }
func (EndBooking) permit() Permit         { return Permit{Role: RoleStaff, Service: true} }
func (c EndBooking) scope(s *State) Scope { return s.bookingScope(c.Booking) }
func (c EndBooking) decide(tx *Tx) *Refusal {
	b, r := tx.Bookings.find(c.Booking, "booking")
	if r != nil || b.over() {
		return r
	}
	cause := ID("last_day")
	if !tx.passed(b.Site, b.Until) {
		if tx.Actor.Kind == ActorService {
			return refuse("booking_not_over", "booking %s runs %s", b.ID, DaysText(b.From, b.Until)).about(b.ID)
		}
		cause = "early"
	}
	tx.emit(BookingEnded{Booking: b.ID, Cause: cause})
	tx.settle(b.ID)
	return nil
}

// BookingEnded ends a booking: last_day, early or moved_out.
type BookingEnded struct {
	Booking ID `json:"booking"`
	Cause   ID `json:"cause"`
}

func (e BookingEnded) fold(s *State, m Moment) {
	s.endBooking(e.Booking, BookingStateEnded, e.Cause, m)
}
func (e BookingEnded) affectedSites(s *State) []ID { return s.sitesOfBooking(e.Booking) }
