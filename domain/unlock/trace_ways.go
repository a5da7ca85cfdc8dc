package unlock

import "slices"

// ways traces the grants of a holder that are for the door.
func (x *tracer) ways(h *holder, c *credential) (ways []Way) {
	kind := x.kindOf(x.request, c)
	for n := uint32(1); n <= h.links; n++ {
		if l := h.link(n); !l.parent {
			if steps := x.way(l, c, kind); steps != nil {
				ways = append(ways, Way{l.grant, steps})
			}
		}
	}
	return ways
}

// way gives the steps of one grant; nil if it is for other doors.
func (x *tracer) way(leaf *link, c *credential, kind CredentialKind) []Step {
	x.steps = nil
	of := leaf.source
	chain := []*Grant{leaf.grant}
	x.grant(leaf.grant, of, x.use(leaf, c, kind))
	for g := leaf.grant; g.Parent != ""; chain = append(chain, g) {
		if len(chain) > MaxParents {
			x.steps[0].Failed = append(x.steps[0].Failed, because(GrantRevoked.Denial(of), Missing)...)
			break
		}
		row := Key{KindGrant, g.Parent}
		if g = x.table.grants.get(keyOf(IDOf(g.Parent))); g == nil {
			x.add(row, because(GrantRevoked.Denial(of), Missing)...)
			break
		}
		x.sharer(g.Person)
		x.grant(g, of, nil)
	}
	for _, g := range chain {
		x.booking(g.Booking)
	}
	for i := range chain {
		if !x.right(chain[:i], chain[i], of, kind) {
			return nil
		}
	}
	return x.steps
}

// grant adds a grant of a chain, and the tenant by whose booking others have access.
func (x *tracer) grant(g *Grant, of Source, use []Failure) {
	early, late := outOfWindow(of, DenyShareNotStarted).First(), outOfWindow(of, DenyShareEnded).First()
	failed := because(g.State.Denial(of), ByState)
	failed = append(failed, x.window(begin(g.Window.From), end(g.Window.Until), early, late)...)
	x.add(g.Key(), append(failed, use...)...)
	if b := x.table.bookings.get(keyOf(IDOf(g.Booking))); b != nil && g.Parent == "" && b.row.Person != g.Person {
		x.sharer(b.row.Person)
	}
}

// sharer adds a person who shares access, perhaps again.
func (x *tracer) sharer(id string) {
	failed := person(x.table.persons.get(keyOf(IDOf(id))), DenySharerSuspended)
	x.steps = append(x.steps, Step{Row: Key{KindPerson, id}, Failed: failed})
}

// use gives what stands against using a grant with the credential, and for what it is
// used.
func (x *tracer) use(l *link, c *credential, kind CredentialKind) (failed []Failure) {
	for _, code := range x.leaf(l, c, kind).Codes() {
		if code != DenyCredentialTypeNotPermitted {
			failed = append(failed, Failure{Code: code})
			continue
		}
		if !l.takes(kind) {
			failed = append(failed, Failure{code, WrongKind})
		}
		if x.sharedFob(l, kind) {
			failed = append(failed, Failure{code, SharedFob})
		}
		if c.boundElsewhere(l) {
			failed = append(failed, Failure{code, OtherBooking})
		}
	}
	return failed
}

// right adds the right of a grant that opens the door best, with its schedules. Those of
// the grants below in the chain are not repeated. It reports whether the grant is for the
// door.
func (x *tracer) right(below []*Grant, g *Grant, of Source, kind CredentialKind) bool {
	l := x.maker.link(g, of)
	best := mapped{right: l.right}
	times, opens := x.mapped(l.right)
	counted := x.counted(kind)
	if l.narrow != nil {
		best, _, opens = x.narrowed(&l, counted, times, opens)
	}
	if !opens {
		return false
	}
	same := func(other *Grant) bool { return other.Right == g.Right && other.Booking == g.Booking }
	if !slices.ContainsFunc(below, same) {
		r := x.table.rights.get(best.right).row
		x.steps = append(x.steps, Step{Row: r.Key()})
		x.schedule(r.Key(), r.Schedule, counted)
		x.unitSchedule(g, best, counted)
	}
	if !slices.ContainsFunc(below, func(other *Grant) bool { return other.Schedule == g.Schedule }) {
		x.schedule(g.Key(), g.Schedule, counted)
	}
	return true
}

// unitSchedule adds the schedule of a right that is mapped to the unit of a grant.
func (x *tracer) unitSchedule(g *Grant, best mapped, counted Checks) {
	b := x.maker.booking(g.Booking)
	if b == nil || b.unit == nil || g.Right != "" {
		return
	}
	unit := b.unit
	i := slices.IndexFunc(unit.Rights, func(u UnitRight) bool {
		return keyOf(IDOf(u.Right)) == best.right && keyOf(IDOf(u.Schedule)) == best.schedule
	})
	x.schedule(unit.Key(), unit.Rights[i].Schedule, counted)
}
