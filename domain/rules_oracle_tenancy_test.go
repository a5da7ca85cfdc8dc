package domain_test

import (
	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// aBooking is a booking by all that happened to it.
type aBooking struct {
	id, unit, site, tenant domain.ID
	from, until            schedule.Date
	over                   bool // ended or revoked, on record or by its last day when it was changed afterwards
	level                  domain.LockLevel
}

func (h history) booking(id domain.ID) (b aBooking) {
	locks := map[domain.ID]domain.LockLevel{}
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.BookingCreated:
			if e.Booking == id {
				unit, _ := latest(h, func(u domain.UnitCreated) bool { return u.Unit == e.Unit })
				b = aBooking{id: id, unit: e.Unit, site: unit.Site, tenant: e.Person, from: e.From, until: e.Until}
			}
		case domain.BookingTransferred:
			if e.Booking == id {
				b.tenant = e.Person
			}
		case domain.BookingWindowChanged:
			if e.Booking == id {
				// A booking that has ended is not revived, whether or not the timer
				// recorded the end.
				if _, end := h.bounds(b.site, b.from, b.until); !b.until.IsZero() && !f.at.Before(end) {
					b.over = true
				}
				b.from, b.until = e.From, e.Until
			}
		case domain.BookingEnded:
			b.over = b.over || e.Booking == id
		case domain.BookingRevoked:
			b.over = b.over || e.Booking == id
		case domain.BookingSuspended:
			if e.Booking == id {
				locks[e.Cause] = e.Level
			}
		case domain.BookingReinstated:
			if e.Booking == id {
				lift(locks, e)
			}
		}
	}
	for _, level := range locks {
		if level == domain.LevelOverlock || b.level == "" {
			b.level = level
		}
	}
	return b
}

// lift takes away the lock of one cause or all of them; each cause locks by itself.
func lift(locks map[domain.ID]domain.LockLevel, e domain.BookingReinstated) {
	if e.Cause == "" && len(e.Left) == 0 {
		clear(locks)
	}
	delete(locks, e.Cause)
	for _, left := range e.Left {
		if left.Cause == e.Cause {
			locks[e.Cause] = left.Level
		}
	}
}

// mapped are the rights of a unit.
func (h history) mapped(unit domain.ID) []domain.UnitRight {
	set, _ := latest(h, func(e domain.UnitAccessMapped) bool { return e.Unit == unit })
	return set.Rights
}

// unchecked: its tenant has left, moved out or with the booking that ended, and it
// was neither looked over since nor moved in again.
func (h history) unchecked(unit domain.ID) (left bool) {
	livesIn := domain.ID("")
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.UnitMovedIn:
			if e.Unit == unit {
				livesIn, left = e.Booking, false
			}
		case domain.UnitMovedOut:
			left = left || e.Unit == unit
		case domain.BookingEnded:
			left = left || e.Booking == livesIn
		case domain.BookingRevoked:
			left = left || e.Booking == livesIn
		case domain.UnitReleased:
			if e.Unit == unit {
				livesIn, left = "", false
			}
		}
	}
	return left
}

// aPlace is somebody's place in a unit beside its tenant.
type aPlace struct {
	unit, booking, person domain.ID
	access                []domain.UnitAccess
	manager, delegates    bool
}

// place gives the place that a person has in a unit; ok is false when there is none.
func (h history) place(unit, person domain.ID) (p aPlace, ok bool) {
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.UnitUserCreated:
			if e.Unit == unit && e.Person == person {
				p, ok = aPlace{unit: unit, booking: e.Booking, person: person, access: e.Access}, true
			}
		case domain.UnitManagerCreated:
			if e.Unit == unit && e.Person == person {
				access := e.Access
				if len(access) == 0 && ok && p.booking == e.Booking {
					access = p.access
				}
				p, ok = aPlace{unit, e.Booking, person, access, true, e.MayDelegate}, true
			}
		case domain.UnitUserAccessChanged:
			if e.Unit == unit && e.Person == person {
				p.access = e.Access
			}
		case domain.UnitUserRemoved:
			if e.Unit == unit && e.Person == person {
				p, ok = aPlace{}, false
			}
		}
	}
	return p, ok
}

// aShare is a share by all that happened to it.
type aShare struct {
	id, booking, person, parent domain.ID
	from, until                 schedule.Date
	over                        bool
}

func (h history) share(id domain.ID) (s aShare) {
	for _, f := range h {
		switch e := f.event.(type) {
		case domain.ShareCreated:
			if e.Share == id {
				s = aShare{id: id, booking: e.Booking, person: e.Person, parent: e.Parent, from: e.From, until: e.Until}
			}
		case domain.ShareWindowChanged:
			if e.Share == id {
				s.from, s.until = e.From, e.Until
			}
		case domain.ShareRevoked:
			s.over = s.over || e.Share == id
		case domain.ShareEnded:
			s.over = s.over || e.Share == id
		}
	}
	return s
}
