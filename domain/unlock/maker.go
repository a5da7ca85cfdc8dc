package unlock

import (
	"cmp"
	"slices"
)

// maker compiles the grants of holders from the rows of a table. It notes on which rows,
// beside their own, they depend.
type maker struct {
	table *Table
	needs []key  // as dependency gives them; perhaps several times
	links []link // of the holder under construction
}

// dependency names a row on which others depend.
func dependency(kind Kind, k key) key { return key{k.hi, k.lo ^ uint64(kind)} }

// relink gives a holder the person and links to the person's grants, sorted by id.
func (m *maker) relink(h *holder, person *Person, grants []*Grant) {
	m.chains(grants)
	h.person, h.fixed = person, ofPerson(person)
	h.link1, h.more, h.links = link{}, nil, uint32(len(m.links))
	if len(m.links) > 0 {
		h.link1 = m.links[0]
	}
	if len(m.links) > 1 {
		more := slices.Clone(m.links[1:])
		h.more = &more
	}
}

// chains makes the links and notes the needs of grants.
func (m *maker) chains(grants []*Grant) {
	m.needs, m.links = m.needs[:0], m.links[:0]
	for _, g := range grants {
		m.chain(g)
	}
}

func ofPerson(p *Person) Checks {
	if p == nil {
		return check(DenyUnknownCredential)
	}
	return denial(p.State.Denial())
}

// booking gives a booking, which need not be known; nil if there is none.
func (m *maker) booking(id string) *booking {
	if id == "" {
		return nil
	}
	k := keyOf(IDOf(id))
	m.needs = append(m.needs, dependency(KindBooking, k))
	if b := m.table.bookings.get(k); b != nil {
		return b
	}
	return compileBooking(k, nil, nil)
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
	booking := m.booking(g.Booking)
	l := link{
		from: begin(g.Window.From), until: end(g.Window.Until), fixed: denial(g.State.Denial(of)),
		right: keyOf(IDOf(g.Right)), grant: g, booking: booking, source: of,
		kinds: set(g.Kinds), capabilities: set(g.Capabilities),
	}
	if booking != nil && booking.row != nil && g.Parent == "" && booking.row.Person != g.Person {
		l.fixed |= m.sharer(booking.row.Person)
	}
	if l.kinds == 0 {
		l.kinds--
	}
	l.kinds |= 1 << AnyKind
	n := narrow{schedule: keyOf(IDOf(g.Schedule))}
	if g.Right == "" && booking != nil && booking.unit != nil && len(booking.unit.Rights) > 0 {
		for _, u := range booking.unit.Rights {
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
	if l.right != parent.right || !l.booking.same(parent.booking) || own.mapped != above.mapped ||
		!slices.Equal(own.others, above.others) || above.schedule != (key{}) && above.schedule != own.schedule {
		return false
	}
	l.from, l.until, l.fixed = max(l.from, parent.from), min(l.until, parent.until), l.fixed|parent.fixed
	return true
}

// same reports whether two bookings, which may both be unknown, are one.
func (b *booking) same(other *booking) bool {
	return b == other || b != nil && other != nil && b.key == other.key
}

func byID[R Row](a, b R) int { return cmp.Compare(a.Key().ID, b.Key().ID) }
