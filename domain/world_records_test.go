package domain

import (
	"slices"

	"github.com/stretchr/testify/require"
)

func (w *world) record(kind RecordKind, which string) Record {
	s := w.state
	row := func(r any, ok bool) Record {
		require.True(w.t, ok, "there is no %s %s", kind, which)
		rec := RecordOf(s, r)
		require.Equal(w.t, kind, rec.Kind)
		return rec
	}
	switch id := ID(which); kind {
	case RecordActivity, RecordDuress:
		at, fields := w.cutTime(which, w.at)
		f := w.fields(fields)
		door, ok := s.Doors.Get(ID(f["door"]))
		require.True(w.t, ok, which)
		if kind == RecordDuress {
			return DuressRecord(door.Site, ID(f["person"]), at)
		}
		return ActivityRecord(s, door.Site, door.ID, ID(f["person"]), at)
	case RecordCommit:
		if which != "" {
			return w.eventRecord(which)
		}
		return Record{Kind: kind}
	case RecordRefusal:
		return Record{Kind: kind}
	case RecordOrg:
		return row(s.Orgs.Get(id))
	case RecordSite:
		return row(s.Sites.Get(id))
	case RecordArea:
		return row(s.Areas.Get(id))
	case RecordDoor:
		return row(s.Doors.Get(id))
	case RecordUnit:
		return row(s.Units.Get(id))
	case RecordBooking:
		return row(s.Bookings.Get(id))
	case RecordPerson:
		return row(s.People.Get(id))
	case RecordRole:
		return row(s.RoleAssignments.Get(id))
	case RecordToken:
		return row(s.Tokens.Get(id))
	case RecordSchedule:
		return row(s.Schedules.Get(id))
	case RecordAccessRight:
		return row(s.AccessRights.Get(id))
	case RecordGrant:
		return row(s.Grants.Get(id))
	case RecordShare:
		return row(s.Shares.Get(id))
	case RecordUnitUser:
		return row(s.UnitUsers.Get(id))
	case RecordGroup:
		return row(s.Groups.Get(id))
	case RecordGroupMember:
		return row(s.GroupMembers.Get(id))
	case RecordGateway:
		return row(s.Gateways.Get(id))
	case RecordRemoteUnlock:
		return row(s.UnlockRequests.Get(id))
	case RecordReview:
		return row(s.Reviews.Get(id))
	case RecordCredential:
		return row(s.Credentials.Get(id))
	}
	w.t.Fatalf("unknown kind %s", kind)
	return Record{}
}

// eventRecord gives the record of the last event of a name.
func (w *world) eventRecord(name string) Record {
	for i := len(w.commits) - 1; i >= 0; i-- {
		c := w.commits[i]
		if k := slices.Index(c.Names, name); k >= 0 {
			typ, _ := EventNamed(name)
			ptr := typ.New()
			w.unmarshal(c.Bodies[k], ptr)
			return EventRecord(w.state, typ.Event(ptr), c.At)
		}
	}
	w.t.Fatalf("there is no event %s", name)
	return Record{}
}
