package domain

import "strings"

// SeesGrant reports whether a viewer may know of the grant with the id of a
// permission row.
func (s View) SeesGrant(viewer ID, grant string) bool {
	return Visible(s, viewer, s.recordOfGrant(grant))
}

// GrantOf gives the record that a grant follows from, by the id of its permission row: a
// booking, a share, a unit user, a membership of a group or a grant.
func GrantOf(row string) (RecordKind, ID) {
	if id, ok := strings.CutPrefix(row, bookingPrefix); ok {
		return RecordBooking, ID(id)
	}
	if id, ok := strings.CutPrefix(row, sharePrefix); ok {
		return RecordShare, ID(id)
	}
	if id, ok := strings.CutPrefix(row, unitUserPrefix); ok {
		return RecordUnitUser, ID(id[:max(0, strings.LastIndexByte(id, '/'))])
	}
	if id, ok := strings.CutPrefix(row, groupPrefix); ok {
		return RecordGroupMember, ID(id)
	}
	return RecordGrant, ID(row)
}

// recordOfGrant says where a grant belongs: to what it follows from.
func (s *State) recordOfGrant(grant string) Record {
	switch kind, id := GrantOf(grant); kind {
	case RecordBooking:
		return recordIn(s, s.Bookings, id)
	case RecordShare:
		return recordIn(s, s.Shares, id)
	case RecordUnitUser:
		return recordIn(s, s.UnitUsers, id)
	case RecordGroupMember:
		return recordIn(s, s.GroupMembers, id)
	default:
		return recordIn(s, s.Grants, id)
	}
}

// recordIn says where a row belongs; one that is not there is of no kind.
func recordIn[T any](s *State, t *table[T], id ID) Record {
	row, ok := t.Get(id)
	if !ok {
		return Record{}
	}
	return RecordOf(s, row)
}
