package unlock

import "math/bits"

// granted checks whether a grant lets the holder of an answer through, and sets the
// link.
func (q *question) granted(a *Answer, r *Request) (failed Checks) {
	q.read()
	kind := q.kindOf(r, a.credential)
	if q.door.factor != NoFactor {
		failed = q.second(a.holder, keyOf(r.Second))
	}
	link, granted := q.grants(a.holder, a.credential, kind)
	a.link = link
	return failed | granted
}

// kindOf gives the kind of credential to decide about.
func (q *question) kindOf(r *Request, c *credential) CredentialKind {
	switch {
	case c != nil:
		return c.kind
	case r.Kind == AnyKind && q.command != NoCommand:
		return MobileKey
	}
	return r.Kind
}

// grants finds the grant that opens the door for the holder, and the checks that it
// fails. Grants add up: one that opens is enough. If none does, the one whose first
// denial comes last in order of precedence gives the reasons; of equal ones the first
// by id. Link 0 means that none is for this door.
func (q *question) grants(h *holder, c *credential, kind CredentialKind) (best uint32, failed Checks) {
	failed = check(DenyNoAccessRight)
	got := -1
	always := q.always(kind)
	for n := uint32(1); n <= h.links; {
		leaf := n
		checks, opens := q.link(h.link(n), kind)
		for n++; n <= h.links && h.link(n).parent; n++ {
			more, too := q.link(h.link(n), kind)
			checks, opens = checks|more, opens && too
		}
		if !opens {
			continue
		}
		checks |= always | q.leaf(h.link(leaf), c, kind)
		if to := bits.TrailingZeros64(uint64(checks &^ q.marks)); to > got {
			best, failed, got = leaf, checks, to
		}
	}
	return best, failed
}

// always are the checks that are the same for every grant.
func (q *question) always(kind CredentialKind) Checks {
	failed := q.blackout() | q.incapable()
	if q.fobHours(kind) {
		failed |= q.times(q.site.fobSchedule)
	}
	return failed
}

// incapable checks the capabilities of the door.
func (q *question) incapable() Checks {
	if q.command != NoCommand && q.door.capabilities&(1<<q.command) == 0 {
		return check(DenyCapability)
	}
	return 0
}

func (q *question) blackout() Checks {
	if q.site.blackouts.Contains(int64(q.at)) || q.door.blackouts.Contains(int64(q.at)) {
		return check(DenyBlackout)
	}
	return 0
}

// fobHours reports whether the one schedule of fobs replaces all others. A card is a
// fob of another shape: a rule for fobs alone could be avoided by asking for a card.
func (q *question) fobHours(kind CredentialKind) bool {
	return q.site.fobSchedule != key{} && physical(kind)
}

// counted gives which failures of schedules count.
func (q *question) counted(kind CredentialKind) Checks {
	if q.fobHours(kind) {
		return check(DenyBlackout)
	}
	return ^Checks(0)
}

// leaf checks the properties of the holder's own grant that its parents need not have:
// whether this credential may use it, and its capabilities.
func (q *question) leaf(l *link, c *credential, kind CredentialKind) Checks {
	var failed Checks
	if !l.takes(kind) || q.sharedFob(l, kind) || c.boundElsewhere(l) {
		failed |= check(DenyCredentialTypeNotPermitted)
	}
	if q.command != NoCommand && (l.capabilities|q.lent(l))&(1<<q.command) == 0 {
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

// takes reports whether the grant is for the kind.
func (l *link) takes(kind CredentialKind) bool { return l.kinds&(1<<kind) != 0 }

// sharedFob reports whether a kind opens nothing that is shared.
func (q *question) sharedFob(l *link, kind CredentialKind) bool {
	return physical(kind) && l.source == SourceShare && !q.site.sharedUserFobs
}

// boundElsewhere reports whether the credential, if any, is for another booking alone.
func (c *credential) boundElsewhere(l *link) bool {
	return c != nil && c.booking != (key{}) && (l.booking == nil || c.booking != l.booking.key)
}

// physical reports whether a kind can change hands without the service. A person
// without a tenancy is not given such a credential (rule F1).
func physical(kind CredentialKind) bool { return kind == Fob || kind == Card }

// link checks one grant of a chain; opens says whether the door is among its own.
func (q *question) link(l *link, kind CredentialKind) (failed Checks, opens bool) {
	times, opens := q.mapped(l.right)
	counted := q.counted(kind)
	if l.narrow != nil {
		_, times, opens = q.narrowed(l, counted, times, opens)
	}
	if !opens {
		return 0, false
	}
	failed = l.fixed | times&counted
	if l.booking != nil {
		failed |= q.booking(l.booking)
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

// lent are the capabilities that a grant gets from the right that it names.
func (q *question) lent(l *link) uint8 {
	if r := q.table.rights.get(l.right); r != nil && l.grant.Right != "" {
		return r.capabilities
	}
	return 0
}

// mapped checks a right.
func (q *question) mapped(k key) (times Checks, opens bool) {
	r := q.table.rights.get(k)
	if r == nil || !r.has(q.door.key) {
		return 0, false
	}
	return q.times(r.schedule), true
}

// narrowed applies the restrictions of a link, and the further rights mapped to a unit:
// any of these is enough. It also gives the one that opens best, by the failures that are
// counted.
func (q *question) narrowed(l *link, counted, times Checks, opens bool) (best mapped, _ Checks, _ bool) {
	n := l.narrow
	best = mapped{l.right, n.mapped}
	if opens {
		times |= q.times(n.mapped)
	}
	for _, m := range n.others {
		if t, too := q.mapped(m.right); too {
			t |= q.times(m.schedule)
			if !opens || bits.TrailingZeros64(uint64(t&counted)) > bits.TrailingZeros64(uint64(times&counted)) {
				best, times, opens = m, t, true
			}
		}
	}
	return best, times | q.times(n.schedule), opens
}

// times checks a schedule; the zero key means none.
func (q *question) times(k key) Checks {
	if k == (key{}) {
		return 0
	}
	s := q.table.schedules.get(k)
	switch {
	case s == nil:
		return check(DenyOutsideSchedule)
	case s.closedAt(q.at):
		return check(DenyBlackout)
	case s.compiled.Contains(q.today, q.day):
		return 0
	case q.day != "" && s.compiled.Contains(q.today, ""):
		return check(DenyHoliday)
	}
	return check(DenyOutsideSchedule)
}
