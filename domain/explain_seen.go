package domain

import "strings"

// SeesGrant reports whether a viewer may know of the grant with the id of a
// permission row.
func (s *State) SeesGrant(viewer ID, grant string) bool {
	return Visible(s, viewer, s.recordOfGrant(grant))
}

// recordOfGrant says where a grant belongs: to what it follows from.
func (s *State) recordOfGrant(grant string) Record {
	if id, ok := strings.CutPrefix(grant, bookingPrefix); ok {
		return recordIn(s, s.Bookings, ID(id))
	}
	if id, ok := strings.CutPrefix(grant, sharePrefix); ok {
		return recordIn(s, s.Shares, ID(id))
	}
	if id, ok := strings.CutPrefix(grant, unitUserPrefix); ok {
		return recordIn(s, s.UnitUsers, ID(id[:max(0, strings.LastIndexByte(id, '/'))]))
	}
	if id, ok := strings.CutPrefix(grant, groupPrefix); ok {
		return recordIn(s, s.GroupMembers, ID(id))
	}
	return recordIn(s, s.Grants, ID(grant))
}

// recordIn says where a row belongs; one that is not there is of no kind.
func recordIn[T any](s *State, t *table[T], id ID) Record {
	row, ok := t.Get(id)
	if !ok {
		return Record{}
	}
	return RecordOf(s, row)
}
