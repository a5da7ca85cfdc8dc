package unlock

import (
	"cmp"
	"math"
	"slices"
)

// maker compiles holders from the rows of a table. It notes on which rows, beside their
// own, they depend.
type maker struct {
	table *Table
	needs []key // as dependency gives them; perhaps several times

	// The fields below are those of the holder under construction.
	names       []string // of its bookings, by number
	bookings    []booking
	credentials []credential
	links       []link
}

// maxBookings is the number of bookings of one person that are told apart. Access by
// further ones is denied.
const maxBookings = math.MaxUint16

// dependency names a row on which holders depend.
func dependency(kind Kind, k key) key { return key{k.hi, k.lo ^ uint64(kind)} }

// holder compiles the holder of a person; nil means that no row is about them. Both
// slices are sorted by id.
func (m *maker) holder(person *Person, credentials []*Credential, grants []*Grant) *holder {
	m.needs, m.names = m.needs[:0], m.names[:0]
	m.bookings, m.credentials, m.links = m.bookings[:0], m.credentials[:0], m.links[:0]
	if person == nil && len(credentials) == 0 && len(grants) == 0 {
		return nil
	}
	for _, r := range credentials {
		m.credentials = append(m.credentials, m.credential(r))
	}
	for _, g := range grants {
		m.chain(g)
	}
	h := &holder{person: person, fixed: ofPerson(person), credentials: uint32(len(m.credentials)), links: uint32(len(m.links))}
	var more further
	h.credential1, more.credentials = split(m.credentials)
	h.link1, more.links = split(m.links)
	h.booking1, more.bookings = split(m.bookings)
	if more.credentials != nil || more.links != nil || more.bookings != nil {
		h.more = &more
	}
	return h
}

// split gives the first element and a copy of the others.
func split[T any](all []T) (first T, others []T) {
	if len(all) > 0 {
		first = all[0]
	}
	if len(all) > 1 {
		others = slices.Clone(all[1:])
	}
	return first, others
}

func ofPerson(p *Person) Checks {
	if p == nil {
		return check(DenyUnknownCredential)
	}
	return denial(p.State.Denial())
}

func (m *maker) credential(r *Credential) credential {
	number, _, _ := m.booking(r.Booking)
	c := credential{
		tag: keyOf(r.Tag), from: begin(r.Window.From), until: end(r.Window.Until), suspendedUntil: begin(0),
		row: r, maxUses: r.MaxUses, booking: number, kind: r.Kind, marks: takesNumber,
	}
	if r.State == CredentialSuspended {
		c.suspendedUntil = end(r.SuspendedUntil)
	} else {
		c.fixed = denial(r.State.Denial())
	}
	if r.State == CredentialExpired || r.State == CredentialRevoked {
		c.marks = 0
	}
	if r.Schedule != "" {
		c.marks |= scheduled
	}
	if r.DenyListed {
		c.fixed |= check(DenyCredentialRevoked)
	}
	return c
}

// booking gives the number, the row and the unit of a booking. The number is 0 if there
// is no booking; row and unit are nil if they are not known.
func (m *maker) booking(id string) (number uint16, row *Booking, unit *Unit) {
	if id == "" {
		return 0, nil, nil
	}
	i := slices.Index(m.names, id)
	if i < 0 && len(m.names) == maxBookings {
		i = maxBookings - 1
		m.bookings[i].fixed = check(DenyBookingRevoked)
		return maxBookings, nil, nil
	}
	b := booking{from: begin(0), until: end(0)}
	k := keyOf(IDOf(id))
	m.needs = append(m.needs, dependency(KindBooking, k))
	row = m.table.bookings.get(k)
	if row == nil {
		b.fixed = check(DenyBookingRevoked)
	} else {
		b.from, b.until = begin(row.Window.From), end(row.Window.Until)
		if b.gatelocked = row.State == BookingGatelock; !b.gatelocked {
			b.fixed = denial(row.State.Denial())
		}
		k = keyOf(IDOf(row.Unit))
		m.needs = append(m.needs, dependency(KindUnit, k))
		unit = m.table.units.get(k)
		if unit == nil {
			b.fixed |= check(DenyBookingRevoked)
		} else {
			b.fixed |= denial(unit.State.Denial())
		}
	}
	if i < 0 {
		i = len(m.names)
		m.names, m.bookings = append(m.names, id), append(m.bookings, b)
	}
	return uint16(i + 1), row, unit
}

// chain appends the links of a grant and of those of its parents that restrict it
// further.
func (m *maker) chain(g *Grant) {
	of := g.Source
	gone := denial(GrantRevoked.Denial(of))
	m.links = append(m.links, m.link(g, of))
	for parents := 0; g.Parent != ""; parents++ {
		last := &m.links[len(m.links)-1]
		k := keyOf(IDOf(g.Parent))
		m.needs = append(m.needs, dependency(KindGrant, k))
		g = m.table.grants.get(k)
		if g == nil || parents == MaxParents {
			last.fixed |= gone
			return
		}
		l := m.link(g, of)
		l.parent = true
		l.fixed |= m.sharer(g.Person)
		if !last.join(&l) {
			m.links = append(m.links, l)
		}
	}
}

// link makes the link of a grant, in a chain that begins with a grant of the source.
func (m *maker) link(g *Grant, of Source) link {
	number, booking, unit := m.booking(g.Booking)
	l := link{
		from: begin(g.Window.From), until: end(g.Window.Until), fixed: denial(g.State.Denial(of)),
		right: keyOf(IDOf(g.Right)), grant: g, booking: number, source: of,
		kinds: set(g.Kinds), capabilities: set(g.Capabilities),
	}
	if booking != nil && g.Parent == "" && booking.Person != g.Person {
		l.fixed |= m.sharer(booking.Person)
	}
	if l.kinds == 0 {
		l.kinds--
	}
	l.kinds |= 1 << AnyKind
	n := narrow{schedule: keyOf(IDOf(g.Schedule))}
	if g.Right == "" && unit != nil && len(unit.Rights) > 0 {
		for _, u := range unit.Rights {
			n.others = append(n.others, mapped{keyOf(IDOf(u.Right)), keyOf(IDOf(u.Schedule))})
		}
		l.right, n.mapped, n.others = n.others[0].right, n.others[0].schedule, n.others[1:]
	}
	if n.schedule != (key{}) || n.mapped != (key{}) || len(n.others) > 0 {
		l.narrow = &n
	}
	return l
}

// sharer checks the person who shares their access with others.
func (m *maker) sharer(person string) Checks {
	k := keyOf(IDOf(person))
	m.needs = append(m.needs, dependency(KindPerson, k))
	if ofPerson(m.table.persons.get(k)) != 0 {
		return check(DenySharerSuspended)
	}
	return 0
}

// join merges a parent into the link if it has the same doors, booking and hours.
// Windows of one chain have the same codes, so their intersection stands for both. So a
// guest's share of the tenant's whole access is one link.
func (l *link) join(parent *link) bool {
	var none narrow
	own, above := &none, &none
	if l.narrow != nil {
		own = l.narrow
	}
	if parent.narrow != nil {
		above = parent.narrow
	}
	if l.right != parent.right || l.booking != parent.booking || own.mapped != above.mapped ||
		!slices.Equal(own.others, above.others) || above.schedule != (key{}) && above.schedule != own.schedule {
		return false
	}
	l.from, l.until, l.fixed = max(l.from, parent.from), min(l.until, parent.until), l.fixed|parent.fixed
	return true
}

func byID[R Row](a, b R) int { return cmp.Compare(a.Key().ID, b.Key().ID) }
