package domain

import (
	"slices"
	"strings"

	"gatehouse/domain/schedule"
)

// ways lists what lets the person through this door, by id.
func (o *oracle) ways() []way {
	var ways []way
	for id, b := range o.s.Bookings.All() {
		if b.Person == o.person && b.Site == o.Site {
			if w, ok := o.tenant(id); ok {
				w.reasons = append(w.reasons, o.carries(nil, nil, id, false)...)
				ways = append(ways, w)
			}
		}
	}
	for _, sh := range o.s.Shares.All() {
		if sh.Person == o.person && sh.Site == o.Site {
			if w, ok := o.shared(sh); ok {
				w.reasons = append(w.reasons, o.carries(nil, nil, sh.Booking, true)...)
				ways = append(ways, w)
			}
		}
	}
	for _, u := range o.s.UnitUsers.All() {
		for _, a := range u.Access {
			if u.Person == o.person && u.Site == o.Site && o.opens(a.Right) {
				w := o.unitUser(u, a)
				w.reasons = append(w.reasons, o.carries(nil, nil, u.Booking, false)...)
				ways = append(ways, w)
			}
		}
	}
	for id, g := range o.s.Grants.All() {
		if g.Person == o.person && o.opens(g.Right) {
			w := o.granted(id, g)
			w.reasons = append(w.reasons, o.carries(g.Kinds, g.Capabilities, "", false)...)
			ways = append(ways, w)
		}
	}
	ways = append(ways, o.memberships()...)
	slices.SortFunc(ways, func(a, b way) int { return strings.Compare(a.id, b.id) })
	return ways
}

// opens says whether the door is one of the right's.
func (o *oracle) opens(right ID) bool {
	r, ok := o.s.AccessRights.Get(right)
	return ok && slices.Contains(r.Doors, o.Door)
}

func (o *oracle) tenant(id ID) (way, bool) {
	b, ok := o.s.Bookings.Get(id)
	if !ok || b.Site != o.Site {
		return way{}, false
	}
	times, opens := o.unit(b.Unit)
	return way{"booking:" + string(id), "booking", append(times, o.booking(id)...)}, opens
}

// unit says whether something mapped to the unit opens the door, and what stands
// against it at this time: of several the best.
func (o *oracle) unit(id ID) (best reasons, opens bool) {
	u, ok := o.s.Units.Get(id)
	if !ok {
		return nil, false
	}
	for _, ur := range u.Rights {
		if !o.opens(ur.Right) {
			continue
		}
		times := append(o.right(ur.Right), o.follows(ur.Schedule)...)
		if !opens || times.first() > best.first() {
			best, opens = times, true
		}
	}
	return best, opens
}

// right says what the right's own schedule says against the instant.
func (o *oracle) right(id ID) reasons {
	r, _ := o.s.AccessRights.Get(id)
	return o.follows(r.Schedule)
}

// follows says what a schedule says against the instant; fobs need not follow the
// schedules of their users.
func (o *oracle) follows(id ID) reasons {
	if id == "" || id == AlwaysID || o.fobSchedule() {
		return nil
	}
	named, ok := o.s.Schedules.Get(id)
	if !ok {
		return reasons{"outside_schedule"}
	}
	return o.holds(named.Schedule)
}

func (o *oracle) holds(schedules ...schedule.Schedule) reasons {
	local := o.s.zone(o.Site).Local(o.At.UnixNano())
	today := o.site.Calendar.Compile().Kind(local.Date)
	now, ordinarily := true, true
	for _, s := range schedules {
		c := schedule.Compile(s)
		now = now && c.Contains(local, today)
		ordinarily = ordinarily && c.Contains(local, "")
	}
	switch {
	case now:
		return nil
	case today != "" && ordinarily:
		return reasons{"holiday"}
	}
	return reasons{"outside_schedule"}
}

// kind is what is shown; none: nothing in particular.
func (o *oracle) kind() CredentialKind {
	switch {
	case o.credential != nil:
		return o.credential.Kind
	case o.Kind == "" && o.Remote:
		return KindMobileKey
	}
	return o.Kind
}

func (o *oracle) fobSchedule() bool {
	return (o.kind() == KindFob || o.kind() == KindCard) && o.site.Policy.FobSchedule != ""
}

// carries returns what denies a way to the credential that is shown. It looks at the
// kind, remote commands and blackouts. The argument bound is the booking under which
// the way exists.
func (o *oracle) carries(kinds []CredentialKind, may []DoorCapability, bound ID, shared bool) (against reasons) {
	kind := o.kind()
	wrong := kind != "" && len(kinds) > 0 && !slices.Contains(kinds, kind)
	wrong = wrong || (kind == KindFob || kind == KindCard) && shared && o.site.Policy.FobHolders != "anyone"
	wrong = wrong || o.credential != nil && o.credential.Booking != "" && o.credential.Booking != bound
	against.add(wrong, "credential_type_not_permitted")
	if o.Remote {
		against.add(!slices.Contains(o.door.Capabilities, CapabilityRemoteUnlock), "capability")
		against.add(!slices.Contains(may, CapabilityRemoteUnlock), "remote_unlock_not_permitted")
	}
	against.add(o.blackout(), "blackout")
	if o.fobSchedule() {
		named, ok := o.s.Schedules.Get(o.site.Policy.FobSchedule)
		if !ok {
			return append(against, "outside_schedule")
		}
		against = append(against, o.holds(named.Schedule)...)
	}
	return against
}
