package unlock

import (
	"slices"

	"gatehouse/domain/schedule"
)

func (s *slowCase) booking(id string) codes {
	failed := codes{}
	if id == "" {
		return failed
	}
	b, ok := find[*Booking](s.oracle, KindBooking, id)
	if !ok {
		failed.add(DenyBookingRevoked)
		return failed
	}
	switch b.State {
	case BookingRevoked:
		failed.add(DenyBookingRevoked)
	case BookingEnded:
		failed.add(DenyBookingEnded)
	case BookingOverlock:
		failed.add(DenyOverlock)
	case BookingGatelock:
		if s.door != nil && s.door.Entry {
			failed.add(DenyGatelock)
		}
	}
	if before(b.Window, s.r.At) {
		failed.add(DenyBookingNotStarted)
	}
	if after(b.Window, s.r.At) {
		failed.add(DenyBookingEnded)
	}
	u, ok := find[*Unit](s.oracle, KindUnit, b.Unit)
	if !ok {
		failed.add(DenyBookingRevoked)
	} else if u.State == UnitToCheck {
		failed.add(DenyUnitToCheck)
	}
	return failed
}

// times checks a schedule.
func (s *slowCase) times(id string) codes {
	failed := codes{}
	if id == "" {
		return failed
	}
	r, ok := find[*Schedule](s.oracle, KindSchedule, id)
	if !ok {
		failed.add(DenyOutsideSchedule)
		return failed
	}
	for _, w := range r.Closed {
		if inside(w, s.r.At) {
			failed.add(DenyBlackout)
			return failed
		}
	}
	at := int64(s.r.At)
	if schedule.Contains(r.Schedule, s.zone, s.site.Calendar, at) {
		return failed
	}
	if s.site.Calendar.Compile().Kind(s.zone.Local(at).Date) != "" && schedule.Contains(r.Schedule, s.zone, nil, at) {
		failed.add(DenyHoliday)
	} else {
		failed.add(DenyOutsideSchedule)
	}
	return failed
}

// better reports whether a set of denials begins later than another.
func (s *slowCase) better(a, b codes) bool {
	x, y := a.but(s.marks).sorted(), b.but(s.marks).sorted()
	if len(y) == 0 {
		return false
	}
	return len(x) == 0 || x[0] > y[0]
}

// doorsOf checks what a grant opens by itself; nil: not this door.
func (s *slowCase) doorsOf(g *Grant, fobHours bool) codes {
	ways := []UnitRight{{Right: g.Right}}
	if g.Right == "" {
		ways = nil
		if b, ok := find[*Booking](s.oracle, KindBooking, g.Booking); ok {
			if u, ok := find[*Unit](s.oracle, KindUnit, b.Unit); ok {
				ways = u.Rights
			}
		}
	}
	var best codes
	plain := slowCase{} // marks have no say within one grant
	for _, w := range ways {
		r, ok := find[*Right](s.oracle, KindRight, w.Right)
		if !ok || !slices.Contains(r.Doors, s.door.ID) {
			continue
		}
		failed := codes{}
		failed.addAll(s.times(r.Schedule))
		failed.addAll(s.times(w.Schedule))
		if best == nil || plain.better(failed, best) {
			best = failed
		}
	}
	if best != nil && fobHours {
		best = onlyBlackout(best)
	}
	return best
}

// onlyBlackout is what schedules say to fobs that follow one of their own.
func onlyBlackout(c codes) codes {
	if c[DenyBlackout] {
		return codes{DenyBlackout: true}
	}
	return codes{}
}

// grant checks a grant that begins or continues a chain of a source; nil: it is
// not for this door.
func (s *slowCase) grant(g *Grant, of Source, fobHours bool, parents int) codes {
	failed := s.doorsOf(g, fobHours)
	if failed == nil {
		return nil
	}
	pick := func(share Code) Code {
		if of == SourceShare {
			return share
		}
		return DenyNoAccessRight
	}
	times := s.times(g.Schedule)
	if fobHours {
		times = onlyBlackout(times)
	}
	failed.addAll(times)
	switch g.State {
	case GrantEnded:
		failed.add(pick(DenyShareEnded))
	case GrantRevoked, GrantSuspended:
		failed.add(pick(DenyShareRevoked))
	}
	if before(g.Window, s.r.At) {
		failed.add(pick(DenyShareNotStarted))
	}
	if after(g.Window, s.r.At) {
		failed.add(pick(DenyShareEnded))
	}
	failed.addAll(s.booking(g.Booking))
	if g.Parent == "" {
		// The tenant lets others do it, by a grant or not.
		if b, ok := find[*Booking](s.oracle, KindBooking, g.Booking); ok && b.Person != g.Person && len(s.person(b.Person)) > 0 {
			failed.add(DenySharerSuspended)
		}
		return failed
	}
	parent, ok := find[*Grant](s.oracle, KindGrant, g.Parent)
	if !ok || parents == MaxParents {
		failed.add(pick(DenyShareRevoked))
		return failed
	}
	if len(s.person(parent.Person)) > 0 {
		failed.add(DenySharerSuspended)
	}
	above := s.grant(parent, of, fobHours, parents+1)
	if above == nil {
		return nil
	}
	failed.addAll(above)
	return failed
}

func (s *slowCase) grants(p *Person, c *Credential, kind CredentialKind) (*Grant, codes) {
	var best *Grant
	bestFailed := codes{DenyNoAccessRight: true}
	fobHours := (kind == Fob || kind == Card) && s.site.FobSchedule != ""
	for _, g := range each[*Grant](s.oracle) {
		if g.Person != p.ID {
			continue
		}
		failed := s.grant(g, g.Source, fobHours, 0)
		if failed == nil {
			continue
		}
		if fobHours {
			failed.addAll(s.times(s.site.FobSchedule))
		}
		if s.blackout() {
			failed.add(DenyBlackout)
		}
		if len(g.Kinds) > 0 && kind != AnyKind && !slices.Contains(g.Kinds, kind) ||
			(kind == Fob || kind == Card) && g.Source == SourceShare && !s.site.SharedUserFobs ||
			c != nil && c.Booking != "" && c.Booking != g.Booking {
			failed.add(DenyCredentialTypeNotPermitted)
		}
		if s.r.Command != NoCommand {
			want := map[Command]Capability{CommandRemoteUnlock: RemoteUnlock, CommandUnlockFor: UnlockFor}[s.r.Command]
			if !slices.Contains(s.door.Capabilities, want) {
				failed.add(DenyCapability)
			}
			right, ok := find[*Right](s.oracle, KindRight, g.Right)
			if !slices.Contains(g.Capabilities, want) && !(ok && slices.Contains(right.Capabilities, want)) {
				failed.add(DenyRemoteUnlockNotPermitted)
			}
		}
		if s.local.FirstInPending && !slices.Contains(g.Capabilities, FirstIn) {
			failed.add(DenyFirstInPending)
		}
		if s.door.Factor == EscortFactor && !s.escort && !slices.Contains(g.Capabilities, Escort) {
			failed.add(DenyEscortRequired)
		}
		if best == nil || s.better(failed, bestFailed) {
			best, bestFailed = g, failed
		}
	}
	return best, bestFailed
}

func (s *slowCase) second(p *Person) codes {
	failed := codes{}
	if s.door.Factor == NoFactor {
		return failed
	}
	var other *Person
	var c *Credential
	if s.r.Second != (Tag{}) {
		c, _ = s.byTag(s.r.Second)
	}
	s.duress = s.duress || c != nil && c.Duress
	if c != nil && c.MaxUses == 0 && len(s.credential(c).but(s.marks)) == 0 {
		other, _ = find[*Person](s.oracle, KindPerson, c.Person)
	}
	passes := false
	if other != nil && other.ID != p.ID {
		_, f := s.grants(other, c, c.Kind)
		passes = len(f.but(s.marks)) == 0
	}
	switch s.door.Factor {
	case PinFactor:
		if other == nil || other.ID != p.ID || c.Kind != Pin {
			failed.add(DenyInvalidPin)
		}
		if s.r.At < s.local.Keypad.Until {
			failed.add(DenyLockout)
		}
	case PersonFactor:
		if !passes {
			failed.add(DenySecondPersonRequired)
		}
	case EscortFactor:
		s.escort = passes
	}
	return failed
}
