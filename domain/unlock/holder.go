package unlock

import (
	"cmp"
	"slices"
)

// holder is all about one person: the person, what they hold and what lets them
// through, with the bookings, units and parents resolved, so that a decision
// finds them in one place of memory. It is made anew when one of these changes.
// Rights, schedules and the site are not resolved here, as half a site may hang
// on one.
type holder struct {
	key    key
	person *Person // nil: credentials or grants are somebody's who is not known
	fixed  Checks  // of the person
	// Most people have one credential and one grant; further ones lie in more and
	// links.
	one   credential
	first link
	more  []credential
	links []link
}

// credential is the row of a credential made quick to ask.
type credential struct {
	tag            key
	from, until    Instant // never zero
	suspendedUntil Instant // never zero; minus infinity when not suspended
	fixed          Checks  // at every instant
	row            *Credential
	booking        booking
	maxUses        uint32
	kind           CredentialKind
	takesNumber    bool // nobody else may have the tag meanwhile
}

// booking is the row of a booking, with its unit, made quick to ask.
type booking struct {
	from, until Instant // never zero
	fixed       Checks  // at every instant
	// number tells the bookings of one holder apart; 0: none.
	number     uint32
	gatelocked bool
}

// link is one grant of a chain: that of the holder, or a parent.
type link struct {
	from, until  Instant // never zero
	fixed        Checks  // at every instant
	opens        mapped
	schedule     key
	grant        *Grant
	others       *[]mapped // what else the unit has mapped; nil: nothing
	booking      booking
	source       Source // of the grant with which the chain begins
	kinds        uint8  // every bit when none is named
	capabilities uint8
	parent       bool // of the link before
}

// mapped is a right with the schedule that narrows it; zero: no right.
type mapped struct{ right, schedule key }

func (h *holder) credentials() int {
	if h.one.row == nil {
		return 0
	}
	return 1 + len(h.more)
}

func (h *holder) credential(i int) *credential {
	if i == 0 {
		return &h.one
	}
	return &h.more[i-1]
}

func (h *holder) chain() int {
	if h.first.grant == nil {
		return 0
	}
	return 1 + len(h.links)
}

func (h *holder) link(i int) *link {
	if i == 0 {
		return &h.first
	}
	return &h.links[i-1]
}

// rows gives the rows of which the holder was made.
func (h *holder) rows() (credentials []*Credential, grants []*Grant) {
	if h == nil {
		return nil, nil
	}
	for i := range h.credentials() {
		credentials = append(credentials, h.credential(i).row)
	}
	for i := range h.chain() {
		if l := h.link(i); !l.parent {
			grants = append(grants, l.grant)
		}
	}
	return credentials, grants
}

// tags gives the tags under which the holder is found, each once.
func (h *holder) tags() []key {
	if h == nil {
		return nil
	}
	var tags []key
	for i := range h.credentials() {
		if tag := h.credential(i).tag; tag != (key{}) && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// maker makes holders out of the rows of a table and notes on whose rows, beside
// their own, they depend.
type maker struct {
	table    *Table
	needs    []key    // as dependency gives them; perhaps several times
	bookings []string // of the holder, by number
}

// dependency names a row on which holders depend.
func dependency(kind Kind, k key) key { return key{k.hi, k.lo ^ uint64(kind)} }

// holder makes the holder of a person; nil when there is nothing of them. Both
// slices are sorted by id.
func (m *maker) holder(k key, person *Person, credentials []*Credential, grants []*Grant) *holder {
	m.needs, m.bookings = m.needs[:0], m.bookings[:0]
	if person == nil && len(credentials) == 0 && len(grants) == 0 {
		return nil
	}
	h := &holder{key: k, person: person, fixed: ofPerson(person)}
	if len(credentials) > 1 {
		h.more = make([]credential, 0, len(credentials)-1)
	}
	for i, r := range credentials {
		if c := m.credential(r); i == 0 {
			h.one = c
		} else {
			h.more = append(h.more, c)
		}
	}
	var links []link
	for _, g := range grants {
		links = m.chain(links, g)
	}
	if len(links) > 0 {
		h.first = links[0]
	}
	if len(links) > 1 {
		h.links = slices.Clone(links[1:])
	}
	return h
}

func ofPerson(p *Person) Checks {
	if p == nil {
		return check(DenyUnknownCredential)
	}
	switch p.State {
	case PersonActive:
		return 0
	case PersonPending:
		return check(DenyIdentityPending)
	}
	return check(DenyPersonSuspended)
}

func (m *maker) credential(r *Credential) credential {
	b, _ := m.booking(r.Booking)
	c := credential{
		tag: keyOf(r.Tag), from: begin(r.Window.From), until: end(r.Window.Until), suspendedUntil: begin(0),
		row: r, booking: b, maxUses: r.MaxUses, kind: r.Kind, takesNumber: true,
	}
	switch r.State {
	case CredentialActive:
	case CredentialSuspended:
		c.suspendedUntil = end(r.SuspendedUntil)
	case CredentialLost:
		c.fixed = check(DenyCredentialLost)
	case CredentialStolen:
		c.fixed = check(DenyCredentialStolen)
	case CredentialDamaged:
		c.fixed = check(DenyCredentialDamaged)
	case CredentialExpired:
		c.fixed, c.takesNumber = check(DenyCredentialExpired), false
	case CredentialRevoked:
		c.fixed, c.takesNumber = check(DenyCredentialRevoked), false
	}
	if r.DenyListed {
		c.fixed |= check(DenyCredentialRevoked)
	}
	return c
}

// booking resolves a booking and its unit; nil: there is no such unit.
func (m *maker) booking(id string) (booking, *Unit) {
	b := booking{from: begin(0), until: end(0)}
	if id == "" {
		return b, nil
	}
	if i := slices.Index(m.bookings, id); i >= 0 {
		b.number = uint32(i + 1)
	} else {
		m.bookings = append(m.bookings, id)
		b.number = uint32(len(m.bookings))
	}
	k := keyOf(IDOf(id))
	m.needs = append(m.needs, dependency(KindBooking, k))
	row := m.table.bookings.get(k)
	if row == nil {
		b.fixed = check(DenyBookingRevoked)
		return b, nil
	}
	b.from, b.until = begin(row.Window.From), end(row.Window.Until)
	switch row.State {
	case BookingActive:
	case BookingGatelock:
		b.gatelocked = true
	case BookingOverlock:
		b.fixed = check(DenyOverlock)
	case BookingEnded:
		b.fixed = check(DenyBookingEnded)
	case BookingRevoked:
		b.fixed = check(DenyBookingRevoked)
	}
	k = keyOf(IDOf(row.Unit))
	m.needs = append(m.needs, dependency(KindUnit, k))
	unit := m.table.units.get(k)
	switch {
	case unit == nil:
		b.fixed |= check(DenyBookingRevoked)
	case unit.State == UnitToCheck:
		b.fixed |= check(DenyBookingNotStarted)
	}
	return b, unit
}

// chain appends the links of a grant and its parents.
func (m *maker) chain(links []link, g *Grant) []link {
	gone := notInForce(g.Source, GrantRevoked)
	of := g.Source
	links = append(links, m.link(g, of))
	for parents := 0; g.Parent != ""; parents++ {
		last := &links[len(links)-1]
		k := keyOf(IDOf(g.Parent))
		m.needs = append(m.needs, dependency(KindGrant, k))
		parent := m.table.grants.get(k)
		if parent == nil || parents == MaxParents {
			last.fixed |= gone
			break
		}
		l := m.link(parent, of)
		l.parent = true
		k = keyOf(IDOf(parent.Person))
		m.needs = append(m.needs, dependency(KindPerson, k))
		if ofPerson(m.table.persons.get(k)) != 0 {
			l.fixed |= gone
		}
		links, g = append(links, l), parent
	}
	return links
}

// link makes a link of a grant, in a chain that begins with a grant of the
// source.
func (m *maker) link(g *Grant, of Source) link {
	b, unit := m.booking(g.Booking)
	l := link{
		from: begin(g.Window.From), until: end(g.Window.Until), fixed: notInForce(of, g.State),
		opens: mapped{right: keyOf(IDOf(g.Right))}, schedule: keyOf(IDOf(g.Schedule)), grant: g, booking: b,
		source: of, kinds: set(g.Kinds), capabilities: set(g.Capabilities),
	}
	if l.kinds == 0 {
		l.kinds--
	}
	l.kinds |= 1 << AnyKind
	if g.Right == "" && unit != nil && len(unit.Rights) > 0 {
		all := make([]mapped, len(unit.Rights))
		for i, u := range unit.Rights {
			all[i] = mapped{keyOf(IDOf(u.Right)), keyOf(IDOf(u.Schedule))}
		}
		l.opens = all[0]
		if others := all[1:]; len(others) > 0 {
			l.others = &others
		}
	}
	return l
}

// notInForce gives what denies when a grant of the source, or a parent of one, is
// in a state.
func notInForce(of Source, state GrantState) Checks {
	switch {
	case state == GrantActive:
		return 0
	case of != SourceShare:
		return check(DenyNoAccessRight)
	case state == GrantEnded:
		return check(DenyShareEnded)
	}
	return check(DenyShareRevoked)
}

func byID[R Row](a, b R) int { return cmp.Compare(a.Key().ID, b.Key().ID) }
