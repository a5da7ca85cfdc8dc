package domain

import (
	"time"

	"gatehouse/domain/schedule"
)

// shared follows a share up to the tenant's own access: it opens when every part
// does, while everybody who shared it is in good standing.
func (o *oracle) shared(sh *Share) (way, bool) {
	tenant, opens := o.tenant(sh.Booking)
	w := way{"share:" + string(sh.ID), "share", tenant.reasons}
	for ; sh != nil; sh = o.parent(&w, sh) {
		w.add(sh.State == ShareStateRevoked, "share_revoked")
		w.add(sh.State == ShareStateEnded, "share_ended")
		early, late := o.outside(sh.From, sh.Until)
		w.add(early, "share_not_started")
		w.add(late, "share_ended")
	}
	return w, opens
}

// parent gives the share that another was shared on from; nil: the tenant shared
// it.
func (o *oracle) parent(w *way, sh *Share) *Share {
	sharer, parent := ID(""), (*Share)(nil)
	if b, ok := o.s.Bookings.Get(sh.Booking); ok {
		sharer = b.Person
	}
	if sh.Parent != "" {
		var ok bool
		if parent, ok = o.s.Shares.Get(sh.Parent); !ok {
			w.add(true, "share_revoked")
			return nil
		}
		sharer = parent.Person
	}
	p, ok := o.s.People.Get(sharer)
	w.add(!ok || p.State != PersonStateActive, "sharer_suspended")
	return parent
}

// unitUser judges an access of a unit user: never more than the unit has (rules
// U5 to U8).
func (o *oracle) unitUser(u *UnitUser, a UnitAccess) way {
	w := way{"user:" + string(u.Unit) + "/" + string(u.Person) + "/" + string(a.Right), "unit_user", o.booking(u.Booking)}
	w.add(u.State != UnitUserStateActive, "no_access_right")
	if b, ok := o.s.Bookings.Get(u.Booking); ok && b.Person != u.Person {
		p, ok := o.s.People.Get(b.Person)
		w.add(!ok || p.State != PersonStateActive, "sharer_suspended")
	}
	w.reasons = append(w.reasons, o.right(a.Right)...)
	own, mapped := ID(""), false
	if unit, ok := o.s.Units.Get(u.Unit); ok {
		for _, ur := range unit.Rights {
			if ur.Right == a.Right {
				own, mapped = ur.Schedule, true
			}
		}
	}
	w.add(!mapped, "no_access_right")
	switch {
	case o.fobSchedule():
	case a.Mode != ModeLimited:
		w.reasons = append(w.reasons, o.follows(own)...)
	case own == "" || own == AlwaysID:
		w.reasons = append(w.reasons, o.holds(a.Limited)...)
	default:
		var unit schedule.Schedule
		if named, ok := o.s.Schedules.Get(own); ok {
			unit = named.Schedule
		}
		w.reasons = append(w.reasons, o.holds(a.Limited, unit)...)
	}
	return w
}

func (o *oracle) granted(id ID, g *Grant) way {
	w := way{id: string(id), source: "grant"}
	for _, at := range []ID{"", o.Site} {
		if r, ok := o.s.RoleAssignments.Get(roleKey(g.Person, at)); ok && r.Role != RoleGuest {
			w.source = "staff"
		}
	}
	w.add(g.Revoked, "no_access_right")
	early, late := o.buffered(g.From, g.Until, g.BufferBefore, g.BufferAfter)
	w.add(early || late, "no_access_right")
	w.reasons = append(w.reasons, o.right(g.Right)...)
	w.reasons = append(w.reasons, o.follows(g.Schedule)...)
	return w
}

// buffered is outside for days with some minutes before and after: it was not yet
// so long before the first, and is no longer so long after the last.
func (o *oracle) buffered(from, until schedule.Date, before, after int) (early, late bool) {
	sooner, later := *o, *o
	sooner.At = o.At.Add(time.Duration(before) * time.Minute)
	later.At = o.At.Add(-time.Duration(after) * time.Minute)
	early, _ = sooner.outside(from, until)
	_, late = later.outside(from, until)
	return early, late
}
