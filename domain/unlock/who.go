package unlock

// who finds whom the request is about and checks them: their credential, unless
// the request names the person, and the person. A nil holder is nobody known.
func (q *question) who(r *Request) (h *holder, c *credential, failed Checks) {
	failed = check(DenyUnknownCredential)
	switch {
	case r.Fault == WrongFacilityCode:
		failed = check(DenyWrongFacilityCode)
	case r.Fault == WrongCardFormat:
		failed = check(DenyCardFormat)
	case r.Tag != Tag{}:
		var twice bool
		if h, c, twice = q.tagged(keyOf(r.Tag)); twice {
			failed |= check(DenyCredentialDuplicate)
		} else if c == nil && r.Kind == Pin {
			failed = q.noPin()
		}
	case r.Credential != ID{}:
		if c = q.table.credentials.get(keyOf(r.Credential)); c != nil {
			h = q.table.holders.get(c.person)
		}
	case r.Person != ID{}:
		h = q.table.holders.get(keyOf(r.Person))
	}
	if h == nil {
		return nil, nil, failed
	}
	failed = h.fixed
	if c != nil {
		failed |= q.credential(h, c)
	}
	return h, c, failed
}

// noPin is what fails where digits are nobody's.
func (q *question) noPin() Checks {
	if q.local.Keypad.LockedOut(q.at) {
		return check(DenyInvalidPin) | check(DenyLockout)
	}
	return check(DenyInvalidPin)
}

// tagged finds the credential of a tag. Numbers are given again, so that several
// rows may have one tag: the live one counts, and where there is none the one
// whose window begins last. Two that are live are a fault from which no one may
// profit.
func (q *question) tagged(tag key) (h *holder, c *credential, twice bool) {
	l, place := q.table.tags.find(tag)
	if len(l) == 0 {
		return nil, nil, false
	}
	live := false
	for ; l[place].value != nil; place = (place + 1) & (len(l) - 1) {
		if l[place].key != tag {
			continue
		}
		e := &l[place]
		other, person := e.value, e.extra.right
		if e.extra.times != 0 {
			person = other.person
		}
		holds := q.table.holders.get(person) // while the credential comes from memory
		lives := other.marks&takesNumber != 0 && q.at >= other.from() && q.at < other.until()
		if lives && live {
			return nil, nil, true
		}
		if lives || !live && (c == nil || other.after(c)) {
			h, c, live = holds, other, live || lives
		}
	}
	return h, c, false
}

// after orders credentials that had one number.
func (c *credential) after(other *credential) bool {
	return c.from() > other.from() || c.from() == other.from() && c.text(credentialID) > other.text(credentialID)
}

// credential checks a credential and the booking that it is bound to.
func (q *question) credential(h *holder, c *credential) Checks {
	failed := c.fixed()
	if c.booking != (key{}) {
		failed |= q.bound(h, c)
	}
	if c.suspendedAt(q.at) {
		failed |= check(DenyCredentialSuspended)
	}
	if q.at < c.from() {
		failed |= check(DenyCredentialNotActive)
	}
	if q.at >= c.until() {
		failed |= check(DenyCredentialExpired)
	}
	if c.maxUses > 0 {
		failed |= q.uses(c)
	}
	if c.kind == Pin && q.local.Keypad.LockedOut(q.at) {
		failed |= check(DenyLockout)
	}
	if c.marks&scheduled != 0 && q.site != nil {
		q.read()
		failed |= q.times(keyOf(IDOf(c.text(credentialSchedule))))
	}
	return failed
}

// bound checks the booking that a credential is bound to: as a rule that of the first
// grant of its holder.
func (q *question) bound(h *holder, c *credential) Checks {
	b := h.link1.booking
	if b == nil || b.key != c.booking {
		b = q.table.bookings.get(c.booking)
	}
	if b == nil {
		return check(DenyBookingRevoked)
	}
	return q.booking(b)
}

// uses checks a credential that opens a number of times. It does at the doors of
// the gateway that counts them: the table of a site is the same at every gateway,
// so that the row of the door says whose it is.
func (q *question) uses(c *credential) Checks {
	var failed Checks
	if home := c.text(credentialHome); home != "" && q.door != nil && q.door.row.Gateway != home {
		failed = check(DenyOtherGateway)
	}
	if q.local.Uses >= c.maxUses {
		failed |= check(DenyMaxUses)
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
	var (
		other *holder
		c     *credential
	)
	if tag != (key{}) {
		if other, c, _ = q.tagged(tag); c != nil {
			q.secondDuress = c.marks&duress != 0
			if (other.fixed|q.credential(other, c))&^q.marks != 0 || c.maxUses > 0 {
				other = nil // nobody counts the uses of a second credential
			}
		}
	}
	switch q.door.factor {
	case PinFactor:
		return q.pin(other == h && c.kind == Pin)
	case PersonFactor:
		if !q.passes(other, c, h) {
			return check(DenySecondPersonRequired)
		}
	case EscortFactor:
		q.escorted = q.passes(other, c, h)
	}
	return 0
}

// pin checks a PIN as the second factor.
func (q *question) pin(right bool) Checks {
	var failed Checks
	if !right {
		failed = check(DenyInvalidPin)
	}
	if q.local.Keypad.LockedOut(q.at) {
		failed |= check(DenyLockout)
	}
	return failed
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
