package domain

// The lock or board behind a door has room for a number of fobs, cards and PINs,
// which differs from device to device (rule L12) and is said of the door. What
// needs more is refused: a queue would leave people before a door to which, by
// the ledger, they have access. Mobile keys take no room.

// limitedDoors finds the doors that have a capacity.
const limitedDoors = "limited"

// maxCapacity bounds the capacity of a door.
const maxCapacity = 1_000_000

func checkCapacity(n int) *Refusal {
	if n < 0 || n > maxCapacity {
		return refuse("invalid_field", "capacity: it is 0 to %d", maxCapacity)
	}
	return nil
}

// checkRoom refuses what would give more credentials access to a door than its
// device has room for. It looks at the doors that the events concern, and counts
// only where the site has more credentials than the device has room.
func (tx *Tx) checkRoom(events []Event) *Refusal {
	if !tx.Doors.HasBy(limitedDoors) {
		return nil
	}
	for _, e := range events {
		doors, with := tx.filledBy(e)
		for _, id := range doors {
			d, ok := tx.Doors.Get(id)
			if !ok || d.Capacity == 0 || len(tx.Credentials.index["site:"+string(d.Site)]) <= d.Capacity {
				continue
			}
			if held := tx.storedAt(d); len(held) > d.Capacity && (with == "" || held[with]) {
				return refuse("device_capacity_exceeded", "the device of the door %s has room for %d fobs, cards and PINs, and %d would have access; take some away first",
					d.ID, d.Capacity, len(held)).about(d.ID)
			}
		}
	}
	return nil
}

// filledBy lists the doors to which an event may have given more credentials
// access; with names the one credential that it is about, or none.
func (s *State) filledBy(e Event) (doors []ID, with ID) {
	switch e := e.(type) {
	case FobAssigned:
		return s.doorsOfHolder(e.Person, e.Booking), e.Credential
	case PinIssued:
		return s.doorsOfHolder(e.Person, e.Booking), e.Credential
	case RightGranted:
		return s.doorsOfRights(e.Right), ""
	case AccessRightChanged:
		return e.Added, ""
	case UnitAccessMapped:
		return s.doorsOfUnit(e.Unit), ""
	case BookingCreated:
		return s.doorsOfUnit(e.Unit), ""
	case BookingTransferred:
		if b, ok := s.Bookings.Get(e.Booking); ok {
			return s.doorsOfUnit(b.Unit), ""
		}
	case ShareCreated:
		return s.doorsOfUnit(e.Unit), ""
	case UnitUserCreated:
		return s.doorsOfUser(e.Unit, e.Person), ""
	case UnitManagerCreated:
		return s.doorsOfUser(e.Unit, e.Person), ""
	case UnitUserAccessChanged:
		return s.doorsOfUser(e.Unit, e.Person), ""
	case GroupMemberAdded:
		return s.doorsOfGroup(e.Group), ""
	case GroupDoorAdded:
		return []ID{e.Door}, ""
	case DoorChanged:
		return []ID{e.Door}, ""
	}
	return nil, ""
}

func (s *State) doorsOfRights(rights ...ID) (doors []ID) {
	for _, id := range rights {
		if r, ok := s.AccessRights.Get(id); ok {
			doors = append(doors, r.Doors...)
		}
	}
	return doors
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

// doorsOfHolder lists the doors that a person may ever open with what is bound to
// a booking, or to none.
func (s *State) doorsOfHolder(person, booking ID) (doors []ID) {
	key := "person:" + string(person)
	for id, b := range s.Bookings.Each(key) {
		if booking == "" || booking == id {
			doors = append(doors, s.doorsOfUnit(b.Unit)...)
		}
	}
	for _, sh := range s.Shares.Each(key) {
		if booking == "" || booking == sh.Booking {
			doors = append(doors, s.doorsOfUnit(sh.Unit)...)
		}
	}
	for _, u := range s.UnitUsers.Each(key) {
		if booking == "" || booking == u.Booking {
			doors = append(doors, s.doorsOfUser(u.Unit, person)...)
		}
	}
	if booking == "" {
		for _, g := range s.Grants.Each(key) {
			doors = append(doors, s.doorsOfRights(g.Right)...)
		}
		for _, m := range s.GroupMembers.Each(key) {
			doors = append(doors, s.doorsOfGroup(m.Group)...)
		}
	}
	return sortedIDs(doors)
}

// storedAt collects the live fobs, cards and PINs with access to a door, now or
// later. Suspension lets them keep their room.
func (tx *Tx) storedAt(d *Door) map[ID]bool {
	held := map[ID]bool{}
	store := func(person, booking ID) { tx.store(d, person, booking, held) }
	for id := range tx.AccessRights.index["door:"+string(d.ID)] {
		key := "right:" + string(id)
		for g := range tx.Grants.index[key] {
			if g := &tx.Grants.rows[g].v; !g.Revoked && !tx.passed(d.Site, g.Until) {
				store(g.Person, "")
			}
		}
		for u := range tx.UnitUsers.index[key] {
			u := &tx.UnitUsers.rows[u].v
			if b, ok := tx.Bookings.Get(u.Booking); ok && !b.over() && u.State == UnitUserStateActive {
				store(u.Person, u.Booking)
			}
		}
		for u := range tx.Units.index[key] {
			tx.eachTenant(u, store)
		}
	}
	for g := range tx.Groups.index["door:"+string(d.ID)] {
		for m := range tx.GroupMembers.index["group:"+string(g)] {
			if m := &tx.GroupMembers.rows[m].v; !m.Removed {
				store(m.Person, "")
			}
		}
	}
	return held
}

// eachTenant calls f for the tenants of a unit, now or later, and for those with
// whom they share it.
func (s *State) eachTenant(unit ID, f func(person, booking ID)) {
	for id := range s.Bookings.index["unit:"+string(unit)] {
		b := &s.Bookings.rows[id].v
		if b.over() {
			continue
		}
		f(b.Person, id)
		for sh := range s.Shares.index["active:"+string(id)] {
			f(s.Shares.rows[sh].v.Person, id)
		}
	}
}

// store adds what a person may use of what they hold for an access: under a
// booking, or under none.
func (s *State) store(d *Door, person, booking ID, held map[ID]bool) {
	for id := range s.Credentials.index["person:"+string(person)] {
		c := &s.Credentials.rows[id].v
		if c.live() && c.Kind != KindMobileKey && (c.Booking == "" || c.Booking == booking) && c.knownAt(d.Site) {
			held[id] = true
		}
	}
}
