package domain

// # What a thief of a gateway knows
//
// A gateway decides without asking anybody, so it holds the table of its site and
// the key of its tags, and whoever has the box finds the digits of every PIN and the
// number of every card of the site in seconds. So a gateway that is retired as
// stolen ends all PINs that are known at its site, whichever doors it opened: the
// digits of a neighbour's are as well known as those of its own doors, and which
// doors somebody has changes with every grant. A PIN that is known at a further site
// ends there too.
//
// Cards are things, and go on: their numbers can be copied, which the answer warns
// of. The site gets another key of tags, so that what leaves the box is good for
// nothing later: no tag of the old key matches a read, and the new key never was in
// the box.
//
// # Why the digits stay known
//
// Digits that somebody else has read must not come back as another's PIN, and whose
// PIN they were still types them for a while. So they stay sealed and taken, at any
// length that begins alike, until their holder is erased. The end of every other PIN
// destroys the key of its digits.

// TagKey is the version of the key under which the cards and PINs of the site become
// tags, from 1. It is part of the ledger, so that every replay and every instance
// asks the vault for the same key.
func (s *Site) TagKey() uint32 { return 1 + s.StolenKeys }

// reasonGatewayStolen is why a PIN ends whose digits a stolen gateway knew.
const reasonGatewayStolen = "gateway_stolen"

// leakedKey finds the PINs that ended with a stolen gateway and whose end is not
// recorded yet. PINs for duress are left out.
func leakedKey(gateway ID) string { return "leaked:" + string(gateway) }

// leakOpen reports whether the PIN ended with a stolen gateway and that is not on
// record yet: the record gives the reason.
func (c *Credential) leakOpen() bool { return c.Leaked != "" && c.Reason == "" }

// endLeaked ends all PINs of the site of a stolen gateway, and gives the site another
// key of tags.
func (s *State) endLeaked(gateway ID) {
	g, ok := s.Gateways.Get(gateway)
	if !ok {
		return
	}
	s.Sites.Update(g.Site, func(site *Site) { site.StolenKeys++ })
	for _, id := range s.Credentials.By(pinsKey(g.Site)) {
		s.setCredential(id, func(c *Credential) {
			c.State, c.Reason, c.Leaked = CredentialStateRevoked, "", gateway
		})
	}
}

// warnOfTheft says how many people need another PIN, and how many cards may be
// copied. A PIN for duress is none of them: nobody would be told of it.
func (tx *Tx) warnOfTheft(site ID) {
	holders, cards := map[ID]struct{}{}, 0
	for id := range tx.Credentials.index["site:"+string(site)] {
		switch c := &tx.Credentials.rows[id].v; {
		case !c.live():
		case c.Kind == KindPin:
			holders[c.Person] = struct{}{}
		case c.Person != "":
			cards++
		}
	}
	if len(holders) > 0 {
		tx.warn("pins_leaked", "whoever has the gateway can read the PINs of the site %s, and they end; people who need another one: %d", site, len(holders))
	}
	if cards > 0 {
		tx.warn("cards_readable", "whoever has the gateway can read the numbers of cards and fobs of the site %s, and copy those that are a number and no more; they go on: %d", site, cards)
	}
}

// PinLeaked puts on record that a PIN ended because a stolen gateway knew its digits.
// Its holder needs another.
type PinLeaked struct {
	Credential ID `json:"credential"`
	Gateway    ID `json:"gateway"`
}

func (e PinLeaked) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) { c.Reason = reasonGatewayStolen })
	s.noteOwedGateway(e.Gateway)
}
func (e PinLeaked) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }
