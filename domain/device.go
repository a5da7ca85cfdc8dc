package domain

import (
	"slices"
	"time"

	"gatehouse/domain/schedule"
)

// The lock or controller behind a door has room for a number of fobs, cards and PINs.
// The capacity differs from device to device (rule L12) and is set on the door. A
// command that needs more is refused: a queue would leave people before a door to
// which, by the ledger, they have access. Mobile keys take no room.

// maxCapacity bounds the capacity of a door.
const maxCapacity = 1_000_000

func checkCapacity(n int) *Refusal {
	if n < 0 || n > maxCapacity {
		return invalid("invalid_field", "capacity: must be 0 to %d", maxCapacity)
	}
	return nil
}

// filling is what an event may have done to devices.
type filling struct {
	doors    []ID     // to which more credentials may have access
	with     ID       // the one credential that it is about; empty: any
	accesses []access // that it gave; nil: who has access may have changed in any way
}

// access is what lets a person pass, with what is bound to a booking or to none.
type access struct{ person, booking ID }

// filled is a credential that came to have access to a door; none: the door's were
// counted.
type filled struct{ door, credential ID }

// checkRoom refuses what would give more credentials access to a door than its
// device has room for. It looks at the doors that the events concern, counts only
// where the site has more credentials than the device has room, and counts each
// door once for a whole list of commands.
func (tx *Tx) checkRoom(events []Event) *Refusal {
	if !tx.Doors.HasBy(doorWithCapacity, "") {
		return nil
	}
	var all []filled
	for _, e := range events {
		filler, ok := e.(filler)
		if !ok {
			continue
		}
		f := filler.fills(tx)
		for _, id := range f.doors {
			d, ok := tx.Doors.Get(id)
			if !ok || d.Capacity == 0 || tx.Credentials.Count(CredentialBySite, d.Site) <= d.Capacity {
				continue
			}
			all = append(all, tx.fill(d, f)...)
			if held := tx.stored[id]; len(held) > d.Capacity && (f.with == "" || held[f.with]) {
				n := len(held)
				tx.empty(all)
				return refuse("device_capacity_exceeded", "the device of door %s has room for %d fobs, cards and PINs, and %d would have access; take some away first",
					id, d.Capacity, n).about(id)
			}
		}
	}
	return nil
}

// fill adds to what is known of a door what an event gave, and returns what is new.
func (tx *Tx) fill(d *Door, f filling) (all []filled) {
	held, counted := tx.stored[d.ID]
	if !counted || f.accesses == nil {
		tx.count(d)
		return []filled{{door: d.ID}}
	}
	for _, a := range f.accesses {
		tx.store(d, a, func(c ID) {
			if !held[c] {
				held[c] = true
				all = append(all, filled{d.ID, c})
			}
		})
	}
	return all
}

// count counts who has access to a door.
func (tx *Tx) count(d *Door) {
	if tx.stored == nil {
		tx.stored = map[ID]map[ID]bool{}
	}
	tx.stored[d.ID] = tx.storedAt(d)
}

// empty takes back what a command filled that is refused. Doors that were counted
// with it are counted again before the next.
func (tx *Tx) empty(all []filled) {
	for _, f := range all {
		if f.credential == "" {
			tx.recount = append(tx.recount, f.door)
		} else {
			delete(tx.stored[f.door], f.credential)
		}
	}
}

// countAgain counts the doors whose count was lost with a command that was refused.
func (tx *Tx) countAgain() {
	for _, id := range tx.recount {
		if d, ok := tx.Doors.Get(id); ok {
			tx.count(d)
		}
	}
	tx.recount = nil
}

// filler is an event that may give credentials access to doors.
type filler interface {
	// fills says to which, after the event was folded.
	fills(tx *Tx) filling
}

func given(doors []ID, person, booking ID) filling {
	return filling{doors: doors, accesses: []access{{person, booking}}}
}

func (tx *Tx) filledWith(credential, person, booking ID) filling {
	f := given(tx.doorsOfHolder(person, booking), person, booking)
	f.with = credential
	return f
}

func (s *State) filledByUser(unit, person ID) filling {
	u, ok := s.UnitUsers.Get(unitUserKey(unit, person))
	if !ok {
		return filling{}
	}
	return given(s.doorsOfUser(unit, person), person, u.Booking)
}

func (s *State) doorsOfRights(rights ...ID) (doors []ID) {
	for _, id := range rights {
		if r, ok := s.AccessRights.Get(id); ok {
			doors = append(doors, r.Doors...)
		}
	}
	return doors
}

// doorsUntil lists the doors of a right at which a last day is not over yet.
func (tx *Tx) doorsUntil(right ID, until schedule.Date) []ID {
	return slices.DeleteFunc(tx.doorsOfRights(right), func(door ID) bool {
		d, ok := tx.Doors.Get(door)
		return ok && tx.passed(d.Site, until)
	})
}

func (s *State) doorsOfGroup(group ID) []ID {
	if g, ok := s.Groups.Get(group); ok {
		return g.Doors
	}
	return nil
}

func (s *State) doorsOfUnit(unit ID) []ID {
	var rights []ID
	if u, ok := s.Units.Get(unit); ok {
		for _, r := range u.Rights {
			rights = append(rights, r.Right)
		}
	}
	return s.doorsOfRights(rights...)
}

func (s *State) doorsOfUser(unit, person ID) []ID {
	var rights []ID
	if u, ok := s.UnitUsers.Get(unitUserKey(unit, person)); ok {
		for _, a := range u.Access {
			rights = append(rights, a.Right)
		}
	}
	return s.doorsOfRights(rights...)
}

// doorsOfHolder lists the doors that a person may open, now or later. A booking limits
// it to access bound to that booking; an empty booking means access bound to any
// booking or to none.
func (tx *Tx) doorsOfHolder(person, booking ID) (doors []ID) {
	bound := func(b ID) bool { return (booking == "" || booking == b) && !tx.overBooking(b) }
	for id, b := range tx.Bookings.Each(BookingByPerson, person) {
		if bound(id) {
			doors = append(doors, tx.doorsOfUnit(b.Unit)...)
		}
	}
	for _, sh := range tx.Shares.Each(ShareByPerson, person) {
		if bound(sh.Booking) && sh.State == ShareStateActive {
			doors = append(doors, tx.doorsOfUnit(sh.Unit)...)
		}
	}
	for _, u := range tx.UnitUsers.Each(UnitUserByPerson, person) {
		if bound(u.Booking) && u.State == UnitUserStateActive {
			doors = append(doors, tx.doorsOfUser(u.Unit, person)...)
		}
	}
	if booking != "" {
		return sortedIDs(doors)
	}
	for _, g := range tx.Grants.Each(GrantByPerson, person) {
		if !g.Revoked {
			doors = append(doors, tx.doorsUntil(g.Right, g.Until)...)
		}
	}
	for _, m := range tx.GroupMembers.Each(MemberByPerson, person) {
		if !m.Removed {
			doors = append(doors, tx.doorsOfGroup(m.Group)...)
		}
	}
	return sortedIDs(doors)
}

// overBooking reports whether a booking is over or not there.
func (s *State) overBooking(id ID) bool {
	b, ok := s.Bookings.Get(id)
	return !ok || b.over()
}

// InDevice reports which fobs, cards and PINs the device of a door may have to know, now
// or later. It is nil for a door without a capacity: its device knows none.
func (s *State) InDevice(door ID, at time.Time) map[ID]bool {
	d, ok := s.Doors.Get(door)
	if !ok || d.Capacity == 0 {
		return nil
	}
	return (&Tx{View: s.AsOf(at), Context: Context{At: at}}).storedAt(d)
}

// storedAt collects the live fobs, cards and PINs with access to a door, now or
// later. Suspension lets them keep their room.
func (tx *Tx) storedAt(d *Door) map[ID]bool {
	held := map[ID]bool{}
	store := func(a access) { tx.store(d, a, func(c ID) { held[c] = true }) }
	for id := range tx.AccessRights.unsorted(RightByDoor, d.ID) {
		for _, g := range tx.Grants.unsorted(GrantByRight, id) {
			if !g.Revoked && !tx.passed(d.Site, g.Until) {
				store(access{g.Person, ""})
			}
		}
		for _, u := range tx.UnitUsers.unsorted(UnitUserByRight, id) {
			if u.State == UnitUserStateActive && !tx.overBooking(u.Booking) {
				store(access{u.Person, u.Booking})
			}
		}
		for u := range tx.Units.unsorted(UnitByRight, id) {
			tx.eachTenant(u, store)
		}
	}
	for g := range tx.Groups.unsorted(GroupByDoor, d.ID) {
		for _, m := range tx.GroupMembers.unsorted(MemberByGroup, g) {
			if !m.Removed {
				store(access{m.Person, ""})
			}
		}
	}
	return held
}

// eachTenant calls f for the tenants of a unit, now or later, and for those with
// whom they share it.
func (s *State) eachTenant(unit ID, f func(access)) {
	for id, b := range s.Bookings.unsorted(BookingByUnit, unit) {
		if b.over() {
			continue
		}
		f(access{b.Person, id})
		for _, sh := range s.Shares.unsorted(shareActive, id) {
			f(access{sh.Person, id})
		}
	}
}

// store calls f for what a person may use of what they hold for an access.
func (s *State) store(d *Door, a access, f func(credential ID)) {
	for id, c := range s.Credentials.unsorted(CredentialByPerson, a.person) {
		if c.live() && c.Kind != KindMobileKey && (c.Booking == "" || c.Booking == a.booking) && c.knownAt(d.Site) {
			f(id)
		}
	}
}
