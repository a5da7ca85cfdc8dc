package unlock

import "math/bits"

// grants finds the grant that opens the door for the holder, and what fails of
// it. Grants add up: any that opens is enough. Where none does, the one that got
// furthest in order of precedence gives the reasons; of equal ones the first by
// id. Nil: none is for this door.
func (q *question) grants(h *holder, c *credential, kind CredentialKind) (*link, Checks) {
	var (
		best   *link
		failed = check(DenyNoAccessRight)
		got    = -1
		always = q.always(kind)
		fobs   = kind == Fob && q.site.fobSchedule != key{}
	)
	for i, n := 0, h.chain(); i < n; {
		leaf := h.link(i)
		checks, opens := q.link(leaf, fobs)
		for i++; i < n && h.link(i).parent; i++ {
			more, too := q.link(h.link(i), fobs)
			checks, opens = checks|more, opens && too
		}
		if !opens {
			continue
		}
		checks |= always | q.leaf(leaf, c, kind)
		if to := bits.TrailingZeros64(uint64(checks &^ q.marks)); to > got {
			best, failed, got = leaf, checks, to
		}
	}
	return best, failed
}

// always are the checks that are the same for every grant.
func (q *question) always(kind CredentialKind) Checks {
	var failed Checks
	if q.command != NoCommand && q.door.capabilities&(1<<q.command) == 0 {
		failed |= check(DenyCapability)
	}
	if q.site.blackouts.Contains(int64(q.at)) || q.door.blackouts.Contains(int64(q.at)) {
		failed |= check(DenyBlackout)
	}
	if kind == Fob && q.site.fobSchedule != (key{}) {
		failed |= q.times(q.site.fobSchedule)
	}
	return failed
}

// leaf checks what concerns the holder's own grant only, not its parents: whether
// this credential may use it, and what it lets its holder do.
func (q *question) leaf(l *link, c *credential, kind CredentialKind) Checks {
	var failed Checks
	switch {
	case l.kinds&(1<<kind) == 0,
		kind == Fob && l.source == SourceShare && !q.site.sharedUserFobs,
		c != nil && c.booking.number != 0 && c.booking.number != l.booking.number:
		failed |= check(DenyCredentialTypeNotPermitted)
	}
	if q.command != NoCommand && l.capabilities&(1<<q.command) == 0 {
		failed |= check(DenyRemoteUnlockNotPermitted)
	}
	if q.local.FirstInPending && l.capabilities&(1<<FirstIn) == 0 {
		failed |= check(DenyFirstInPending)
	}
	if q.door.factor == EscortFactor && !q.escorted && l.capabilities&(1<<Escort) == 0 {
		failed |= check(DenyEscortRequired)
	}
	return failed
}

// link checks one grant of a chain; opens says whether the door is among its own.
func (q *question) link(l *link, fobs bool) (failed Checks, opens bool) {
	times, opens := q.mapped(l.opens)
	if l.others != nil {
		times, opens = q.mappings(*l.others, times, opens)
	}
	if !opens {
		return 0, false
	}
	failed = l.fixed | q.booking(&l.booking)
	if !fobs {
		failed |= times | q.times(l.schedule)
	}
	if q.at < l.from {
		failed |= outOfWindow(l.source, DenyShareNotStarted)
	}
	if q.at >= l.until {
		failed |= outOfWindow(l.source, DenyShareEnded)
	}
	return failed, true
}

func outOfWindow(of Source, share Code) Checks {
	if of == SourceShare {
		return check(share)
	}
	return check(DenyNoAccessRight)
}

// mapped checks a right with the schedule that narrows it.
func (q *question) mapped(m mapped) (times Checks, opens bool) {
	r := q.table.rights.get(m.right)
	if r == nil || !r.has(q.door.key) {
		return 0, false
	}
	return q.times(r.schedule) | q.times(m.schedule), true
}

// mappings takes into account what else a unit has mapped: any of it is enough.
func (q *question) mappings(others []mapped, times Checks, opens bool) (Checks, bool) {
	for _, m := range others {
		t, o := q.mapped(m)
		if o && (!opens || bits.TrailingZeros64(uint64(t)) > bits.TrailingZeros64(uint64(times))) {
			times, opens = t, true
		}
	}
	return times, opens
}

// times checks a schedule; the zero key is that of none.
func (q *question) times(k key) Checks {
	if k == (key{}) {
		return 0
	}
	s := q.table.schedules.get(k)
	switch {
	case s == nil:
		return check(DenyOutsideSchedule)
	case s.compiled.Contains(q.today, q.day):
		return 0
	case q.day != "" && s.compiled.Contains(q.today, ""):
		return check(DenyHoliday)
	}
	return check(DenyOutsideSchedule)
}
