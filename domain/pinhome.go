package domain

import (
	"slices"
)

// # Who counts how often a PIN opens
//
// A gateway decides without asking anybody, so it counts what it opens by itself,
// and two gateways that open for one PIN let a one-time PIN in twice. A PIN with a
// number of uses therefore has a home: the one gateway of all doors that it opens
// when it is made. It stands in the row of the credential, and the gateway of a door
// in that of the door, so that the PIN opens no door of another gateway whatever
// becomes of doors and grants later. A site may choose the policy uses: per_gateway,
// and a PIN that was made under it has no home.
//
// A door that gets another gateway, or none, is so lost to such PINs, and the answer
// warns of it: refusing would let a guest's one-time PIN stand against the repair of
// a door. The PINs that a retired gateway counted end, as nobody else knows how often
// they were used.

// maxHomeless is how many PINs a refusal names.
const maxHomeless = 100

// countsPerGateway reports whether PINs at a site need no home.
func (p Policy) countsPerGateway() bool { return p.Uses == "per_gateway" }

// findHome finds the gateway that counts the uses of a PIN, or refuses it.
func (e *PinIssued) findHome(tx *Tx) *Refusal {
	if e.MaxUses == 0 {
		return nil
	}
	open := true
	for _, id := range e.Sites {
		site, r := tx.Sites.find(id, "site")
		if r != nil {
			return r
		}
		open = open && site.Policy.countsPerGateway()
	}
	if open {
		return nil
	}
	for _, id := range tx.doorsOfHolder(e.Person, e.Booking) {
		d, ok := tx.Doors.Get(id)
		if !ok || !slices.Contains(e.Sites, d.Site) {
			continue
		}
		if d.Gateway == "" || e.Home != "" && e.Home != d.Gateway {
			return usesNeedOneGateway(d, e.Home)
		}
		e.Home = d.Gateway
	}
	if e.Home == "" {
		return refuse("uses_need_one_gateway", "a PIN with a number of uses is counted by the gateway of its doors, and person %s has none at %v yet", e.Person, e.Sites).about(e.Person)
	}
	return nil
}

func usesNeedOneGateway(d *Door, home ID) *Refusal {
	const or = "; the policy uses: per_gateway lets each gateway count for itself"
	if d.Gateway == "" {
		return refuse("uses_need_one_gateway", "door %s has no gateway that could count the uses; AssignDoorToGateway gives it one"+or, d.ID).about(d.ID)
	}
	return refuse("uses_need_one_gateway", "the PIN would open at doors of the gateways %s and %s (door %s), and each counts for itself"+or, home, d.Gateway, d.ID).about(home, d.Gateway, d.ID)
}

// refuseHomeless refuses a policy by which one gateway counts all uses of a PIN at a
// site. It does so while the site has PINs whose uses each gateway counts for itself.
func (tx *Tx) refuseHomeless(site ID) *Refusal {
	var there []ID
	for id, c := range tx.Credentials.Each(pinPerGateway, "") {
		if slices.Contains(c.Sites, site) && (c.Until.IsZero() || tx.At.Before(c.Until)) && len(there) < maxHomeless {
			there = append(there, id)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return refuse("uses_need_one_gateway", "of the PINs at site %s each gateway counts the uses of %d for itself, as of %s; revoke them first", site, len(there), there[0]).about(there...)
}

// warnOfHome warns that PINs are not taken at a door any more, for it leaves the
// gateway that counts them.
func (tx *Tx) warnOfHome(d *Door) {
	if d.Gateway == "" {
		return
	}
	if n := tx.Credentials.Count(pinCounted, d.Gateway); n > 0 {
		tx.warn("uses_counted_elsewhere", "%d PINs have a number of uses that the gateway %s counts; they do not open the door %s any more", n, d.Gateway, d.ID)
	}
}

// reasonGatewayRetired is why a PIN ends whose uses nobody counts any more.
const reasonGatewayRetired = "gateway_retired"

func pendingGateway(id ID) ID { return "gateway/" + id }

// noteOwedGateway updates the list of pending consequences for a gateway. A retired
// gateway is on it while PINs are left whose uses it counted, or whose digits it knew
// when it was stolen.
func (s *State) noteOwedGateway(id ID) {
	g, ok := s.Gateways.Get(id)
	owed := ok && g.Retired != "" && (s.Credentials.HasBy(pinCounted, id) || s.Credentials.HasBy(pinLeaked, id))
	switch has := s.Pending.Has(pendingGateway(id)); {
	case owed && !has:
		s.Pending.Put(pendingGateway(id), Pending{Gateway: id})
	case !owed && has:
		s.Pending.Delete(pendingGateway(id))
	}
}

// settlePins records the ends of the PINs that a stolen gateway knew. It then ends the
// PINs whose uses a retired gateway counted. It stops when the budget of the commit is
// spent.
func (tx *Tx) settlePins(gateway ID) {
	for id := range tx.Credentials.Each(pinLeaked, gateway) {
		if tx.budget <= 0 {
			return
		}
		tx.emitConsequence(PinLeaked{Credential: id, Gateway: gateway})
	}
	for _, c := range tx.Credentials.Each(pinCounted, gateway) {
		if tx.budget <= 0 {
			return
		}
		tx.emitConsequence(tx.revocation(c, reasonGatewayRetired))
	}
}

// PinRevoked takes a PIN away for good, and orders the key of its digits to be
// destroyed; they may be given again.
type PinRevoked struct {
	Credential ID       `json:"credential"`
	Cause      string   `json:"cause,omitempty"`
	Keys       []string `json:"keys"`
}

func (e PinRevoked) endedKeys() []string { return e.Keys }
func (e PinRevoked) fold(s *State, _ Moment) {
	s.endSecrets(e.Credential)
	s.setCredential(e.Credential, func(c *Credential) { c.State, c.Reason = CredentialStateRevoked, e.Cause })
}
func (PinRevoked) consequence()                  {}
func (e PinRevoked) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// revocation is the event that takes a credential away for good.
func (s *State) revocation(c *Credential, cause string) consequence {
	if c.Kind == KindPin {
		return PinRevoked{Credential: c.ID, Cause: cause, Keys: s.keysOfPins(s.withDuress(c.ID)...)}
	}
	return CredentialRevoked{Credential: c.ID, Cause: cause}
}

// keysOfPins lists the keys that seal the digits of PINs, sorted; of other
// credentials none.
func (s *State) keysOfPins(ids ...ID) (keys []string) {
	for _, id := range ids {
		if c, ok := s.Credentials.Get(id); ok && c.Kind == KindPin {
			keys = append(keys, s.KeyOf(c.Subject))
		}
	}
	slices.Sort(keys)
	return slices.DeleteFunc(keys, func(k string) bool { return k == "" })
}

// withDuress gives a credential with the live one for duress that follows it.
func (s *State) withDuress(id ID) []ID {
	return append([]ID{id}, s.Credentials.IDs(pinForDuress, id)...)
}

// endSecrets forgets the digits of a PIN and of what follows it, and which keys
// sealed them.
func (s *State) endSecrets(id ID) {
	for _, id := range s.withDuress(id) {
		s.endSecret(id)
	}
}

// endSecret forgets the digits of a PIN and which key sealed them.
func (s *State) endSecret(id ID) {
	c, ok := s.Credentials.Get(id)
	if !ok || c.Kind != KindPin {
		return
	}
	s.Keys.Delete(c.Subject)
	s.Credentials.Update(id, func(c *Credential) { c.Number = Personal{} })
}
