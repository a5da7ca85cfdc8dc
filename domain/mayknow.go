package domain

import "slices"

// MayKnowDoor reports whether somebody may know that a door exists. They may when they
// may read its record, or were ever given something that opens it. To all others the
// door is as one that never existed.
func (s *State) MayKnowDoor(viewer, door ID) bool {
	d, ok := s.Doors.Get(door)
	return ok && s.reads(viewer, RecordOf(s, d)) && (Visible(s, viewer, RecordOf(s, d)) || s.wasGiven(viewer, d))
}

// MayKnowSite reports whether somebody may know that a site exists. They may when they
// may read its record, or were ever given something of it.
func (s *State) MayKnowSite(viewer, site ID) bool {
	r, ok := s.Sites.Get(site)
	if !ok || !s.reads(viewer, RecordOf(s, r)) {
		return false
	}
	return Visible(s, viewer, RecordOf(s, r)) || len(s.grantsAt(viewer, site)) > 0 ||
		anyRow(s.UnitUsers, "person:"+string(viewer), func(u *UnitUser) bool { return u.Site == site })
}

// wasGiven reports whether anything that was ever given to a person opens a door.
func (s *State) wasGiven(person ID, d *Door) bool {
	key := "person:" + string(person)
	opens := func(right ID) bool {
		r, ok := s.AccessRights.Get(right)
		return ok && slices.Contains(r.Doors, d.ID)
	}
	ofUnit := func(unit, site ID) bool {
		u, ok := s.Units.Get(unit)
		return ok && site == d.Site && slices.ContainsFunc(u.Rights, func(r UnitRight) bool { return opens(r.Right) })
	}
	return anyRow(s.Bookings, key, func(b *Booking) bool { return ofUnit(b.Unit, b.Site) }) ||
		anyRow(s.Shares, key, func(sh *Share) bool { return ofUnit(sh.Unit, sh.Site) }) ||
		anyRow(s.UnitUsers, key, func(u *UnitUser) bool {
			return u.Site == d.Site && slices.ContainsFunc(u.Access, func(a UnitAccess) bool { return opens(a.Right) })
		}) ||
		anyRow(s.Grants, key, func(g *Grant) bool { return opens(g.Right) }) ||
		anyRow(s.GroupMembers, key, func(m *GroupMember) bool {
			g, ok := s.Groups.Get(m.Group)
			return ok && slices.Contains(g.Doors, d.ID)
		})
}

// wasInUnit reports whether somebody ever had a booking, a share or a place in a unit.
func (s *State) wasInUnit(viewer ID, u *Unit) bool {
	key := "person:" + string(viewer)
	return anyRow(s.Bookings, key, func(b *Booking) bool { return b.Unit == u.ID }) ||
		anyRow(s.Shares, key, func(sh *Share) bool { return sh.Unit == u.ID }) ||
		anyRow(s.UnitUsers, key, func(in *UnitUser) bool { return in.Unit == u.ID })
}

// hadRight reports whether somebody has, or had, an access right, or is or was in a unit
// that has it.
func (s *State) hadRight(viewer ID, r *AccessRight) bool {
	key := "person:" + string(viewer)
	return anyRow(s.Grants, key, func(g *Grant) bool { return g.Right == r.ID }) ||
		anyRow(s.UnitUsers, key, func(u *UnitUser) bool {
			return slices.ContainsFunc(u.Access, func(a UnitAccess) bool { return a.Right == r.ID })
		}) ||
		anyRow(s.Units, "right:"+string(r.ID), func(u *Unit) bool { return s.wasInUnit(viewer, u) })
}
