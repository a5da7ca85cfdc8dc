package domain

import "gatehouse/domain/schedule"

// Booking gives a unit to a primary tenant for a period of civil days of the
// site: [From 00:00, Until+1 day 00:00).
type Booking struct {
	ID       ID            `json:"id"`
	Site     ID            `json:"site"`
	Unit     ID            `json:"unit"`
	Person   ID            `json:"person"` // primary tenant
	From     schedule.Date `json:"from"`
	Until    schedule.Date `json:"until,omitzero"` // last day; zero: open end
	State    BookingState  `json:"state"`
	Level    LockLevel     `json:"level,omitempty"` // of the suspension; empty: not suspended
	Cause    string        `json:"cause,omitempty"` // of suspension, revocation or end
	MovedIn  bool          `json:"moved_in,omitzero"`
	MovedOut bool          `json:"moved_out,omitzero"`
}

// BookingState says whether a booking still gives access. Ended and revoked are
// final.
type BookingState string

// The states of a booking.
const (
	BookingActive  BookingState = "active"
	BookingRevoked BookingState = "revoked"
	BookingEnded   BookingState = "ended"
)

// LockLevel is how far a suspended booking is shut out.
type LockLevel string

// The levels of suspension.
const (
	LevelGatelock LockLevel = "gatelock" // entries only
	LevelOverlock LockLevel = "overlock" // unit and entries
)

func (b *Booking) keys() []string {
	return []string{"unit:" + string(b.Unit), "person:" + string(b.Person), "site:" + string(b.Site)}
}

var bookingWords = words{}
