package unlock

// who finds whom the request is about and checks them: their credential, unless
// the request names the person, and the person. A nil holder is nobody known.
func (q *question) who(r *Request) (*holder, *credential, Checks) {
	var (
		h      *holder
		c      *credential
		failed = check(DenyUnknownCredential)
	)
	switch {
	case r.Fault == WrongFacilityCode:
		failed = check(DenyWrongFacilityCode)
	case r.Fault == WrongCardFormat:
		failed = check(DenyCardFormat)
	case r.Tag != Tag{}:
		var twice bool
		if h, c, twice = q.tagged(keyOf(r.Tag)); twice {
			failed |= check(DenyCredentialDuplicate)
		} else if h == nil && r.Kind == Pin {
			failed = q.noPin()
		}
	case r.Credential != ID{}:
		h, c = q.named(keyOf(r.Credential))
	case r.Person != ID{}:
		h = q.table.holders.get(keyOf(r.Person))
	}
	if h == nil {
		return nil, nil, failed
	}
	failed = h.fixed
	if c != nil {
		failed |= q.credential(c)
	}
	return h, c, failed
}

// noPin is what fails where digits are nobody's.
func (q *question) noPin() Checks {
	if q.local.LockedOut {
		return check(DenyInvalidPin) | check(DenyLockout)
	}
	return check(DenyInvalidPin)
}

// tagged finds the credential of a tag. Numbers are given anew, so that several
// rows may have one tag: the live one counts, and where there is none the one
// whose window begins last. Two that are live are a fault that no one may profit
// from.
func (q *question) tagged(tag key) (h *holder, c *credential, twice bool) {
	live := false
	for _, e := range q.table.tags.find(tag) {
		if e.key != tag {
			break
		}
		for i := range e.value.credentials() {
			x := e.value.credential(i)
			switch {
			case x.tag != tag:
			case x.takesNumber && q.at >= x.from && q.at < x.until:
				if live {
					return nil, nil, true
				}
				h, c, live = e.value, x, true
			case !live && (c == nil || x.after(c)):
				h, c = e.value, x
			}
		}
	}
	return h, c, false
}

// after orders credentials that had one number.
func (c *credential) after(other *credential) bool {
	return c.from > other.from || c.from == other.from && c.row.ID > other.row.ID
}

// named finds a credential by its id.
func (q *question) named(id key) (*holder, *credential) {
	row := q.table.credentials.get(id)
	if row == nil {
		return nil, nil
	}
	h := q.table.holders.get(keyOf(IDOf(row.Person)))
	for i := range h.credentials() {
		if c := h.credential(i); c.row == row {
			return h, c
		}
	}
	return nil, nil
}

// credential checks a credential and the booking that it is bound to.
func (q *question) credential(c *credential) Checks {
	failed := c.fixed | q.booking(&c.booking)
	if q.at < c.suspendedUntil {
		failed |= check(DenyCredentialSuspended)
	}
	if q.at < c.from {
		failed |= check(DenyCredentialNotActive)
	}
	if q.at >= c.until {
		failed |= check(DenyCredentialExpired)
	}
	if c.maxUses > 0 && q.local.Uses >= c.maxUses {
		failed |= check(DenyMaxUses)
	}
	if c.kind == Pin && q.local.LockedOut {
		failed |= check(DenyLockout)
	}
	return failed
}

// booking checks a booking and its unit.
func (q *question) booking(b *booking) Checks {
	failed := b.fixed
	if q.at < b.from {
		failed |= check(DenyBookingNotStarted)
	}
	if q.at >= b.until {
		failed |= check(DenyBookingEnded)
	}
	if b.gatelocked && q.door != nil && q.door.entry {
		failed |= check(DenyGatelock)
	}
	return failed
}

// second checks the second factor that the door asks for beside the holder.
func (q *question) second(h *holder, tag key) Checks {
	other, c, _ := q.tagged(tag)
	if other == nil || tag == (key{}) || c.maxUses > 0 || other.fixed|q.credential(c) != 0 {
		other = nil // uses of a second credential are counted nowhere
	}
	switch q.door.factor {
	case PinFactor:
		var failed Checks
		if q.local.LockedOut {
			failed = check(DenyLockout)
		}
		if other != h || c.kind != Pin {
			failed |= check(DenyInvalidPin)
		}
		return failed
	case PersonFactor:
		if !q.passes(other, c, h) {
			return check(DenySecondPersonRequired)
		}
	case EscortFactor:
		q.escorted = q.passes(other, c, h)
	}
	return 0
}

// passes reports whether another person than h may pass as well; where the door
// asks for an escort, as one.
func (q *question) passes(other *holder, c *credential, h *holder) bool {
	if other == nil || other == h {
		return false
	}
	_, failed := q.grants(other, c, c.kind)
	return failed&^q.marks == 0
}
