package unlock

import (
	"cmp"
	"slices"
)

// byTag finds the credential of a tag; twice: several are live.
func (s *slowCase) byTag(tag Tag) (c *Credential, twice bool) {
	var live, dead []*Credential
	for _, c := range each[*Credential](s.oracle) {
		if c.Tag != tag {
			continue
		}
		final := c.State == CredentialRevoked || c.State == CredentialExpired
		if !final && inside(c.Window, s.r.At) {
			live = append(live, c)
		} else {
			dead = append(dead, c)
		}
	}
	switch {
	case len(live) > 1:
		return nil, true
	case len(live) == 1:
		return live[0], false
	case len(dead) == 0:
		return nil, false
	}
	return slices.MaxFunc(dead, func(a, b *Credential) int {
		return cmp.Or(cmp.Compare(begin(a.Window.From), begin(b.Window.From)), cmp.Compare(a.ID, b.ID))
	}), false
}

func inside(w Window, at Instant) bool { return !before(w, at) && !after(w, at) }
func before(w Window, at Instant) bool { return w.From != 0 && at < w.From }
func after(w Window, at Instant) bool  { return w.Until != 0 && at >= w.Until }

func (s *slowCase) who() (*Credential, *Person, codes) {
	failed := codes{}
	switch {
	case s.r.Fault == WrongFacilityCode:
		failed.add(DenyWrongFacilityCode)
		return nil, nil, failed
	case s.r.Fault == WrongCardFormat:
		failed.add(DenyCardFormat)
		return nil, nil, failed
	case s.r.Tag != Tag{}:
		c, twice := s.byTag(s.r.Tag)
		switch {
		case twice:
			failed.add(DenyUnknownCredential, DenyCredentialDuplicate)
		case c == nil && s.r.Kind == Pin:
			failed.add(DenyInvalidPin)
			if s.r.At < s.local.Keypad.Until {
				failed.add(DenyLockout)
			}
		case c == nil:
			failed.add(DenyUnknownCredential)
		default:
			failed.addAll(s.credential(c))
		}
		return c, nil, failed
	case s.r.Credential != ID{}:
		for _, c := range each[*Credential](s.oracle) {
			if IDOf(c.ID) == s.r.Credential {
				return c, nil, s.credential(c)
			}
		}
	case s.r.Person != ID{}:
		for _, p := range each[*Person](s.oracle) {
			if IDOf(p.ID) == s.r.Person {
				return nil, p, s.person(p.ID)
			}
		}
	}
	failed.add(DenyUnknownCredential)
	return nil, nil, failed
}

func (s *slowCase) person(id string) codes {
	failed := codes{}
	p, ok := find[*Person](s.oracle, KindPerson, id)
	switch {
	case !ok:
		failed.add(DenyUnknownCredential)
	case p.State == PersonSuspended:
		failed.add(DenyPersonSuspended)
	case p.State == PersonPending:
		failed.add(DenyIdentityPending)
	}
	return failed
}

func (s *slowCase) credential(c *Credential) codes {
	failed := s.person(c.Person)
	switch c.State {
	case CredentialSuspended:
		if c.SuspendedUntil == 0 || s.r.At < c.SuspendedUntil {
			failed.add(DenyCredentialSuspended)
		}
	case CredentialLost:
		failed.add(DenyCredentialLost)
	case CredentialStolen:
		failed.add(DenyCredentialStolen)
	case CredentialDamaged:
		failed.add(DenyCredentialDamaged)
	case CredentialRevoked:
		failed.add(DenyCredentialRevoked)
	case CredentialExpired:
		failed.add(DenyCredentialExpired)
	}
	if c.DenyListed {
		failed.add(DenyCredentialRevoked)
	}
	if before(c.Window, s.r.At) {
		failed.add(DenyCredentialNotActive)
	}
	if after(c.Window, s.r.At) {
		failed.add(DenyCredentialExpired)
	}
	if c.Home != "" && s.door != nil && s.door.Gateway != c.Home {
		failed.add(DenyOtherGateway)
	}
	if c.MaxUses != 0 && s.local.Uses >= c.MaxUses {
		failed.add(DenyMaxUses)
	}
	if c.Kind == Pin && s.r.At < s.local.Keypad.Until {
		failed.add(DenyLockout)
	}
	if s.site != nil {
		failed.addAll(s.times(c.Schedule))
	}
	failed.addAll(s.booking(c.Booking))
	return failed
}
