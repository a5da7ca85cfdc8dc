package unlock

// holder is the compiled access of one person: the person and their grants, with
// bookings, units and parents resolved, so that a decision finds them in one place of
// memory. It is recompiled when one of these changes. Rights, schedules and the site are
// not resolved here, because half a site may depend on one of them; nor are credentials,
// of which one person may have thousands.
type holder struct {
	id     string  // of the person
	person *Person // nil if the person of credentials or grants is not known
	fixed  Checks  // denials because of the person
	// only is the credential whose tag may have a gist: as a rule the person's only one.
	only *credential
	// Most people have at most one grant: the first link is stored here, the others in
	// more.
	more        *[]link
	credentials uint32 // how many the person has
	links       uint32
	link1       link
}

// booking is the row of a booking, with its unit, in a form that is quick to query.
type booking struct {
	key         key
	row         *Booking // nil if it is not known
	unit        *Unit    // nil if it is not known
	from, until Instant  // never zero
	fixed       Checks   // denials at every instant
	gatelocked  bool
}

// compileBooking needs the unit of the booking; a nil row or unit is not known.
func compileBooking(k key, row *Booking, unit *Unit) *booking {
	b := &booking{key: k, row: row, unit: unit, from: begin(0), until: end(0)}
	if row == nil {
		b.fixed = check(DenyBookingRevoked)
		return b
	}
	b.from, b.until = begin(row.Window.From), end(row.Window.Until)
	if b.gatelocked = row.State == BookingGatelock; !b.gatelocked {
		b.fixed = denial(row.State.Denial())
	}
	if unit == nil {
		b.fixed |= check(DenyBookingRevoked)
	} else {
		b.fixed |= denial(unit.State.Denial())
	}
	return b
}

func (b *booking) source() Row { return b.row }

// link is one grant of a chain: that of the holder, or a parent that restricts the link
// before.
type link struct {
	from, until  Instant // never zero
	fixed        Checks  // denials at every instant
	right        key     // zero means none
	grant        *Grant
	narrow       *narrow  // nil means no further restriction
	booking      *booking // nil means none
	source       Source   // of the grant with which the chain begins
	kinds        uint8    // every bit when none is named
	capabilities uint8
	parent       bool // of the link before
}

// narrow holds the restrictions that many links do not have.
type narrow struct {
	schedule key      // of the grant; zero means none
	mapped   key      // schedule for the right within the unit; zero means none
	others   []mapped // further rights mapped to the unit
}

// mapped is a right with the schedule that restricts it; zero means none.
type mapped struct{ right, schedule key }

// link gives a link by its number. Numbers start at 1, because 0 means none.
func (h *holder) link(n uint32) *link {
	if n == 1 {
		return &h.link1
	}
	return &(*h.more)[n-2]
}

// grants gives the person's own grants.
func (h *holder) grants() (grants []*Grant) {
	if h == nil {
		return nil
	}
	for n := range h.links {
		if l := h.link(n + 1); !l.parent {
			grants = append(grants, l.grant)
		}
	}
	return grants
}
