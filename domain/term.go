package domain

import (
	"time"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// # Credentials that would open nothing
//
// A credential whose term has no instant in common with the booking that it is for is
// refused, as ShareAccess refuses such days. One that opens nothing for now is made, and
// a warning says why: the holder has not shown who they are, is suspended, or the
// booking is; or its term is cut short by the booking.

// checkTerm refuses a term that is over or ends before it begins. The refusal tells
// times by the clock of a site; without a site, in UTC.
func (tx *Tx) checkTerm(site ID, from, until time.Time) *Refusal {
	if !until.IsZero() && !from.Before(until) {
		return invalid("invalid_field", "until: %s is not after the beginning, %s", tx.clockText(site, until), tx.clockText(site, from))
	}
	return tx.checkAhead(site, until)
}

// checkAhead refuses an end that is past; none is ahead of all.
func (tx *Tx) checkAhead(site ID, until time.Time) *Refusal {
	if until.IsZero() || tx.At.Before(until) {
		return nil
	}
	return invalid("invalid_field", "until: %s is over; now it is %s", tx.clockText(site, until), tx.clockText(site, tx.At))
}

// clockText is an instant as the clock of a site shows it, with its zone: 2026-12-03
// 18:00 (Europe/Berlin).
func (s *State) clockText(site ID, at time.Time) string {
	zone := s.zone(site)
	local := zone.Local(at.UnixNano())
	return local.Date.String() + " " + local.Time.String() + " (" + zone.Name() + ")"
}

// siteOfUse is the site of a credential or another thing. It is the first of the sites,
// else that of the booking or the unit. Empty means the whole org.
func (s *State) siteOfUse(sites []ID, booking, unit ID) ID {
	if len(sites) > 0 {
		return sites[0]
	}
	if b, ok := s.Bookings.Get(booking); ok {
		return b.Site
	}
	if u, ok := s.Units.Get(unit); ok {
		return u.Site
	}
	return ""
}

// checkUse refuses a credential that could never open anything for its booking. It
// warns of one that opens nothing for now. Without a booking, the holder alone counts.
func (tx *Tx) checkUse(person, booking ID, from, until time.Time, times schedule.Schedule) *Refusal {
	if p, ok := tx.People.Get(person); ok {
		switch p.State {
		case PersonStatePending:
			tx.warn("identity_pending", "%s has not shown who they are yet, and nothing opens for them until BindIdentity", person)
		case PersonStateSuspended:
			tx.warn("person_suspended", "%s is suspended, and nothing opens for them until ReinstatePerson", person)
		}
	}
	b, ok := tx.Bookings.Get(booking)
	if !ok {
		return nil
	}
	if b.Level != "" {
		tx.warn("booking_suspended", "the booking %s is suspended: what hangs on it opens nothing until it is reinstated", b.ID)
	}
	first, last := tx.daysFor(person, b)
	var own unlock.Window
	if !from.IsZero() {
		own.From = unlock.InstantOf(from)
	}
	if !until.IsZero() {
		own.Until = unlock.InstantOf(until)
	}
	days := tx.window(b.Site, first, last)
	if !overlapping(own, days) || !overlapping(tx.window(b.Site, times.ValidFrom, times.ValidUntil), days) {
		return refuse("window_outside_booking", "booking %[2]s runs %[3]s for %[1]s, so this would never open anything", person, b.ID, DaysText(first, last)).about(b.ID)
	}
	if own.From != 0 && own.From < days.From || own.Until != 0 && days.Until != 0 && own.Until > days.Until {
		tx.warn("term_clamped", "it opens %s at most, as the booking %s allows", DaysText(first, last), b.ID)
	}
	return nil
}

// daysFor gives the days on which a booking opens something for a person: its own for
// the tenant and unit users, from the first to the last of all of their shares for
// others.
func (tx *Tx) daysFor(person ID, b *Booking) (first, last schedule.Date) {
	var shared bool
	for _, sh := range tx.Shares.Each(ShareByPerson, person) {
		if sh.Booking != b.ID || sh.State != ShareStateActive {
			continue
		}
		from, until, open := tx.OpenDays(sh)
		if !open {
			continue
		}
		if !shared || from.Before(first) {
			first = from
		}
		last, shared = laterDay(last, until), true
	}
	if unit, ok := tx.Units.Get(b.Unit); !shared || person == b.Person || ok && unit.Booking == b.ID && tx.placed(unit, person) {
		return b.From, b.Until
	}
	return first, last
}

// overlapping reports whether two windows have an instant in common.
func overlapping(a, b unlock.Window) bool {
	return (a.Until == 0 || a.Until > b.From) && (b.Until == 0 || b.Until > a.From)
}

// compiledZone is the zone of a site as compiled from one version of its row.
type compiledZone struct {
	site *Site
	zone *schedule.Zone
}

// utc is the zone of a site that is not there.
var utc = schedule.ZoneRules{Zone: "UTC"}.Compile()

// zone returns the zone of a site by the rules that the ledger holds. It may be
// called by several readers at once.
func (s *State) zone(site ID) *schedule.Zone {
	row, ok := s.Sites.Get(site)
	if !ok {
		return utc
	}
	// Rows are never changed in place, so that the pointer tells the version.
	if c, ok := s.zones.Load(site); ok && c.(compiledZone).site == row {
		return c.(compiledZone).zone
	}
	z := row.Rules.Compile()
	s.zones.Store(site, compiledZone{row, z})
	return z
}

// ZoneOf returns the zone of a site by the rules that the ledger holds; UTC for a site that
// is not there.
func (s *State) ZoneOf(site ID) *schedule.Zone { return s.zone(site) }

// window returns the instants of civil days of a site: from the beginning of
// from to the end of until, the whole last day included. No date: no bound.
func (s *State) window(site ID, from, until schedule.Date) unlock.Window {
	var w unlock.Window
	z := s.zone(site)
	if !from.IsZero() {
		w.From = unlock.Instant(z.Start(from))
	}
	if !until.IsZero() {
		w.Until = unlock.Instant(z.Start(until.AddDays(1)))
	}
	return w
}
