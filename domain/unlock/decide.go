package unlock

import "gatehouse/domain/schedule"

// beforeWho are the denials that no posture of the door lifts.
const beforeWho Checks = 1<<(DenyWrongFacilityCode-firstDenial) - 1

// neverOut are the checks that only mark for side out: a way out never depends on
// the service, on counts or on where somebody was seen last.
const neverOut Checks = 1<<(DenyLeaseEnded-firstDenial) | 1<<(DenyProjectionStale-firstDenial) |
	1<<(DenyFirstInPending-firstDenial) | 1<<(DenyPassback-firstDenial) | 1<<(DenyOccupancyLimit-firstDenial)

// nothingKnown is what a nil Local stands for.
var nothingKnown Local

// Decide answers a request from a table and from what the gateway of the door
// knows; a nil local is the zero Local. It takes no lock, does not allocate,
// reads no clock and does no I/O: the same arguments give the same answer for
// ever. Precedence is the order of the codes, and fire comes before all of them.
func Decide(t *Table, local *Local, r Request) Answer {
	if local == nil {
		local = &nothingKnown
	}
	// The door and the holder lie far apart in memory: both are fetched before
	// either is looked at.
	q := question{table: t, site: t.site, local: local, at: r.At, command: r.Command, door: t.doors.get(keyOf(r.Door))}
	h, c, who := q.who(&r)
	if q.site == nil || q.door == nil {
		return q.answer(h, c, nil, who|check(DenyUnknownAccessPoint))
	}
	failed := q.atDoor(r.Side)
	var best *link
	if h != nil && h.person != nil {
		kind := r.Kind
		if c != nil {
			kind = c.kind
		} else if kind == AnyKind && q.command != NoCommand {
			kind = MobileKey
		}
		q.today = q.site.zone.Local(int64(q.at))
		q.day = q.site.days.Kind(q.today.Date)
		if q.door.factor != NoFactor {
			failed |= q.second(h, keyOf(r.Second))
		}
		var granted Checks
		best, granted = q.grants(h, c, kind)
		failed |= granted
	}
	a := q.answer(h, c, best, failed|who)
	denied := a.Failed &^ q.marks
	switch {
	case local.Fire && q.door.fireRelease:
		a.Code = AllowFire
	case denied&beforeWho != 0:
	case q.posture == Unlocked:
		a.Code = AllowPostureUnlocked
	case q.posture == FreeAccess && who == 0:
		a.Code = AllowPostureFreeAccess
	case denied != 0:
	case q.command != NoCommand:
		a.Code = AllowCommand
	case best.source == SourceShare:
		a.Code = AllowShare
	case best.source == SourceStaff:
		a.Code = AllowStaff
	default:
		a.Code = AllowGrant
	}
	a.Allowed = a.Code.Allows()
	return a
}

// question is one request on its way to an answer.
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
	// escorted says that somebody comes along who makes an escort unnecessary.
	escorted bool
}

// answer is the denial for the checks.
func (q *question) answer(h *holder, c *credential, best *link, failed Checks) Answer {
	a := Answer{Code: (failed &^ q.marks).First(), Failed: failed}
	if best != nil {
		a.Grant, a.Source = best.grant, best.source
	}
	if c != nil {
		a.Credential = c.row
	}
	if h != nil {
		a.Person = h.person
	}
	return a
}

// atDoor checks the door, its lease and who is where, and sets what only marks.
func (q *question) atDoor(side Side) Checks {
	d, local := q.door, q.local
	var failed Checks
	if q.at < d.postureUntil {
		q.posture = d.posture
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
	} else {
		side = In
	}
	unsure := local.ClockUnsure && d.class == Critical
	if q.at >= local.LeaseEnd || unsure {
		failed |= check(DenyLeaseEnded)
		if d.afterLease == LastTable && !unsure {
			q.marks |= check(DenyLeaseEnded)
			if q.at-LastTableCeiling >= local.LeaseEnd {
				failed |= check(DenyProjectionStale)
			}
		}
	}
	if local.Interlock {
		failed |= check(DenyInterlock)
	}
	if d.presence != PresenceOff {
		failed |= q.whereabouts(side)
	}
	return failed
}

// whereabouts checks passback and occupancy.
func (q *question) whereabouts(side Side) Checks {
	var failed Checks
	if q.door.presence != PresenceDeny {
		q.marks |= check(DenyPassback) | check(DenyOccupancyLimit)
	}
	if q.local.LastSide == side {
		failed |= check(DenyPassback)
	}
	if side == In && q.door.occupancy > 0 && q.local.Occupancy >= q.door.occupancy {
		failed |= check(DenyOccupancyLimit)
	}
	return failed
}
