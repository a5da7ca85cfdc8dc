package unlock

import "gatehouse/domain/schedule"

// beforeWho are the denials that no posture of the door lifts.
const beforeWho Checks = 1<<(DenyWrongFacilityCode-firstDenial) - 1

// neverOut are the checks that deny nothing for side out. A way out never depends on
// the service, on counts, on where somebody was last seen, on codes that others typed,
// or on a debt.
const neverOut Checks = 1<<(DenyLeaseEnded-firstDenial) | 1<<(DenyProjectionStale-firstDenial) | 1<<(DenyClockUnsure-firstDenial) |
	1<<(DenyFirstInPending-firstDenial) | 1<<(DenyPassback-firstDenial) | 1<<(DenyOccupancyLimit-firstDenial) |
	1<<(DenyLockout-firstDenial) | 1<<(DenyGatelock-firstDenial) | 1<<(DenyOverlock-firstDenial)

// nothingKnown is the Local that a nil Local means.
var nothingKnown Local

// Decide answers a request from a table and the local state of the gateway. A nil local
// is the zero Local. It takes no lock, does not allocate, reads no clock and does no
// I/O: the same arguments always give the same answer. Precedence is the order of the
// codes, and fire comes before all of them.
func Decide(t *Table, local *Local, r Request) (a Answer) {
	if local == nil {
		local = &nothingKnown
	}
	tag := keyOf(r.Tag)
	l, place := t.tags.find(tag)
	times := timesAt(l, place)
	q := question{table: t, local: local, at: r.At, command: r.Command, site: t.site, door: t.doors.get(keyOf(r.Door))}
	if q.site == nil || q.door == nil {
		a.holder, a.credential, a.Failed = q.who(&r)
		a.Failed |= check(DenyUnknownAccessPoint)
		a.Code = DenyUnknownAccessPoint
		return a
	}
	var who, granted Checks
	var source Source
	plain, right := q.plainly(&r, tag, l, place, times)
	failed := q.atDoor(r.Side)
	if plain != nil {
		a.table, a.credential, source = t, plain.value, plain.extra.times.source()
		a.link, granted = q.plain(right)
	} else if a.holder, a.credential, who = q.who(&r); a.holder != nil && a.holder.person != nil {
		granted = q.granted(&a, &r)
		if a.link != 0 {
			source = a.holder.link(a.link).source
		}
	}
	a.Failed, a.secondDuress = failed|who|granted, q.secondDuress
	denied := a.Failed &^ q.marks
	switch {
	case local.Fire && q.door.fireRelease:
		a.Code = AllowFire
	case denied&beforeWho != 0:
		a.Code = denied.First()
	case q.posture == Unlocked:
		a.Code = AllowPostureUnlocked
	case q.posture == FreeAccess && who == 0:
		a.Code = AllowPostureFreeAccess
	case denied != 0:
		a.Code = denied.First()
	case q.command != NoCommand:
		a.Code = AllowCommand
	case source == SourceShare:
		a.Code = AllowShare
	case source == SourceStaff:
		a.Code = AllowStaff
	default:
		a.Code = AllowGrant
	}
	a.Allowed = a.Code.Allows()
	return a
}

// question is one request while it is decided.
type question struct {
	table   *Table
	site    *site
	door    *door
	local   *Local
	at      Instant
	marks   Checks // that do not deny here
	today   schedule.Local
	day     schedule.Kind
	command Command
	posture Posture
	// escorted says that an accompanying person makes an escort unnecessary.
	escorted     bool
	secondDuress bool
}

// read reads the calendar and the clock of the site.
func (q *question) read() {
	q.today = q.site.zone.Local(int64(q.at))
	if q.site.special.mayHold(q.at) {
		q.day = q.site.days.Kind(q.today.Date)
	}
}

// atDoor checks the door, its lease and its presence rules, and sets the checks that
// only mark.
func (q *question) atDoor(side Side) Checks {
	d, local := q.door, q.local
	var failed Checks
	if q.at < d.postureUntil {
		q.posture = d.posture
	}
	if s := q.site; q.posture == Normal && s.posture != Normal && q.at < s.postureUntil && d.row.Unit == "" {
		q.posture = s.posture
	}
	if q.posture == Normal && d.hours != nil && q.standsOpen() {
		q.posture = Unlocked
	}
	if !d.enabled {
		failed |= check(DenyPointDisabled)
	}
	if local.Blocked {
		failed |= check(DenyLocalBlock)
	}
	if q.site.lockdown || q.posture == Lockdown {
		failed |= check(DenyLockdown)
	}
	if side == Out {
		q.marks = neverOut
		if !q.site.lockdownShutsOut {
			q.marks |= check(DenyLockdown)
		}
	}
	if q.at >= local.LeaseEnd || local.LeaseEnd == 0 {
		failed |= q.afterLease()
	}
	if local.ClockUnsure && d.class == Critical {
		failed |= check(DenyClockUnsure)
	}
	if local.Interlock {
		failed |= check(DenyInterlock)
	}
	if d.presence != PresenceOff {
		failed |= q.whereabouts(side)
	}
	return failed
}

// afterLease checks whether a door may decide without a lease.
func (q *question) afterLease() Checks {
	failed := check(DenyLeaseEnded)
	if q.door.afterLease == LastTable {
		q.marks |= failed
		if q.at-LastTableCeiling >= q.local.LeaseEnd {
			failed |= check(DenyProjectionStale)
		}
	}
	return failed
}

// whereabouts checks passback and occupancy.
func (q *question) whereabouts(side Side) Checks {
	var failed Checks
	if q.door.presence != PresenceDeny {
		q.marks |= check(DenyPassback) | check(DenyOccupancyLimit)
	}
	if side != Out {
		side = In
		if q.door.occupancy > 0 && q.local.Occupancy >= q.door.occupancy {
			failed |= check(DenyOccupancyLimit)
		}
	}
	if q.local.LastSide == side {
		failed |= check(DenyPassback)
	}
	return failed
}
