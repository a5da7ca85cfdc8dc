package domain

import (
	"math"
	"math/bits"
	"slices"
	"strings"

	"gatehouse/domain/unlock"
)

// Candidates is a command that needs secrets, which the domain cannot make and no
// client may choose. The reader of the request makes them at random and passes them on
// before the command is decided. They are no field of the request, so that no record
// contains them; unused candidates are forgotten.
type Candidates interface {
	// Candidates says how many are needed, and of how many decimal digits.
	Candidates() (n, digits int)
	// SetCandidates gives them.
	SetCandidates(digits []string)
}

// pinCandidates is how many PINs are made for a command to choose from. One is
// taken or weak with a chance of less than one in a hundred.
const pinCandidates = 16

// minPinDigits is the least length of a PIN; maxPinDigits is as long as keypads
// take, and enough for a hundred million PINs at a site.
const (
	minPinDigits = 6
	maxPinDigits = 12
)

// madeDigits are the candidates of a command that needs PINs. They are as long as the
// longest PIN; a PIN takes as many of the digits as the crowd requires.
type madeDigits struct{ digits []Personal }

// Candidates asks for PINs of the greatest length.
func (*madeDigits) Candidates() (n, digits int) { return pinCandidates, maxPinDigits }

// SetCandidates gives them.
func (m *madeDigits) SetCandidates(digits []string) {
	m.digits = make([]Personal, len(digits))
	for i, d := range digits {
		m.digits[i] = Clear(d)
	}
}

// ToldOnce returns the subject of the secret that the service made in an event. The
// secret is shown to the sender of the command and to nobody else. Empty means that the
// event has none.
func ToldOnce(e Event) ID {
	if t, ok := e.(interface{ toldOnce() ID }); ok {
		return t.toldOnce()
	}
	return ""
}

// PinLength is how many digits the next PIN for some sites has: 6, and more from
// 101 live PINs at one of the sites on, so that a guess at a door hits one at most
// once in 10,000. Sites are counted and not doors: whose doors they open may change
// later.
func PinLength(s *State, sites []ID) int {
	crowd := 0
	for _, site := range sites {
		crowd = max(crowd, s.Credentials.Count(pinBySite, site))
	}
	length := minPinDigits
	for most := crowdOfLength; most < crowd+1 && length < maxPinDigits; most *= 10 {
		length++
	}
	return length
}

// freePin returns the first candidate that may become the digits of a PIN. It cuts the
// candidates to the length that the sites require and skips those that are weak, taken,
// or near other digits.
func (tx *Tx) freePin(sites []ID, candidates []Personal, others ...Personal) (Personal, *Refusal) {
	length, weak := PinLength(tx.State, sites), 0
	for _, c := range candidates {
		digits := c.Text()
		switch {
		case len(digits) < length || weakPin(digits[:length]) || near(digits[:length], others):
			weak++
		case !tx.pinTaken(sites, digits[:length]):
			return Clear(digits[:length]), nil
		}
	}
	if weak > 0 && weak == len(candidates) {
		return Personal{}, refuse("pin_too_weak", "no PIN could be made that is hard to guess; send the command again")
	}
	return Personal{}, refuse("pin_in_use", "no free PIN could be made; send the command again")
}

func near(pin string, others []Personal) bool {
	return slices.ContainsFunc(others, func(p Personal) bool { return !p.Empty() && nearPin(pin, p.Text()) })
}

// weakPin reports digits that people would try first: fewer than three different
// ones, a part repeated, or equal steps up or down.
func weakPin(pin string) bool {
	seen := uint16(0)
	step, steady := (pin[1]-pin[0]+10)%10, true
	for i := range len(pin) {
		if pin[i] < '0' || pin[i] > '9' {
			return true
		}
		seen |= 1 << (pin[i] - '0')
		steady = steady && (i == 0 || (pin[i]-pin[i-1]+10)%10 == step)
	}
	if bits.OnesCount16(seen) < 3 || steady {
		return true
	}
	for part := 1; part <= len(pin)/2; part++ {
		if strings.HasPrefix(strings.Repeat(pin[:part], len(pin)/part+1), pin) {
			return true
		}
	}
	return false
}

// pinTaken reports whether a live PIN at one of the sites is the same, begins
// with it, or begins it: a keypad that opens with the last digit would take the
// shorter for the longer. PINs of the future count, those whose end is not on record
// yet, and those that a thief knows.
func (s *State) pinTaken(sites []ID, pin string) bool {
	for _, site := range sites {
		if s.Credentials.HasBy(pinByBeginning, numberAt(site, formatPin, pin)) {
			return true
		}
		for n := minPinDigits; n <= len(pin); n++ {
			if s.Credentials.HasBy(credentialByNumber, numberAt(site, formatPin, pin[:n])) {
				return true
			}
		}
	}
	return false
}

// pinKeys are the further keys of a PIN.
func (c *Credential) pinKeys() (k []key[Credential]) {
	live := c.live()
	pin := c.Number.Text()
	for _, s := range c.Sites {
		if live {
			k = append(k, key[Credential]{pinBySite, s})
		}
		for n := minPinDigits; n < len(pin) && (live || c.Leaked != ""); n++ {
			k = append(k, key[Credential]{pinByBeginning, numberAt(s, formatPin, pin[:n])})
		}
	}
	if live && c.Home != "" {
		k = append(k, key[Credential]{pinCounted, c.Home})
	}
	if live && c.MaxUses > 0 && c.Home == "" {
		k = append(k, key[Credential]{index: pinPerGateway})
	}
	if c.DuressOf != "" && (live || c.leakOpen()) {
		k = append(k, key[Credential]{pinForDuress, c.DuressOf})
	}
	if c.DuressOf == "" && c.leakOpen() {
		k = append(k, key[Credential]{pinLeaked, c.Leaked})
	}
	return k
}

// maxBuffer bounds the time before and after a period in which it holds too, in
// minutes.
const maxBuffer = 720

func checkBuffers(before, after int) *Refusal {
	if min(before, after) < 0 || max(before, after) > maxBuffer {
		return invalid("invalid_field", "buffer_before, buffer_after: must be 0 to %d minutes", maxBuffer)
	}
	return nil
}

// PinGuessing tells how hard the PINs of a site are to guess. The operator can weigh a
// PIN alone against a second factor with it.
type PinGuessing struct {
	Digits int `json:"digits"` // of the next PIN; those that were made for a smaller crowd may have fewer
	Live   int `json:"live"`   // PINs that a guess may hit
	// GuessesADay is how many codes one reader looks at, when somebody tries day and
	// night.
	GuessesADay int `json:"guesses_a_day"`
	// ChanceAYear is how likely it is at most that somebody who tries at one reader day
	// and night for a year hits a PIN, from 0 to 1.
	ChanceAYear float64 `json:"chance_a_year"`
}

// crowdOfLength is how many live PINs of the least length there are at most. With each
// further digit there may be ten times as many, so that a guess of any length hits one
// no more often ([PinLength]).
const crowdOfLength = 100

// PinGuessingAt tells it of a site.
func PinGuessingAt(s *State, site ID) PinGuessing {
	live := s.Credentials.Count(pinBySite, site)
	guess := float64(min(live, crowdOfLength)) / math.Pow10(minPinDigits)
	chance := 1 - math.Pow(1-guess, unlock.GuessesADay*365)
	return PinGuessing{PinLength(s, []ID{site}), live, unlock.GuessesADay, math.Round(chance*1e4) / 1e4}
}

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
	for _, id := range s.Credentials.IDs(pinBySite, g.Site) {
		s.setCredential(id, func(c *Credential) {
			c.State, c.Reason, c.Leaked = CredentialStateRevoked, "", gateway
		})
	}
}

// warnOfTheft says how many people need another PIN, and how many cards may be
// copied. A PIN for duress is none of them: nobody would be told of it.
func (tx *Tx) warnOfTheft(site ID) {
	holders, cards := map[ID]struct{}{}, 0
	for _, c := range tx.Credentials.unsorted(CredentialBySite, site) {
		switch {
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

// PinLeaked records that a PIN ended because a stolen gateway knew its digits.
// Its holder needs another.
type PinLeaked struct {
	Credential ID `json:"credential"`
	Gateway    ID `json:"gateway"`
}

func (e PinLeaked) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) { c.Reason = reasonGatewayStolen })
	s.noteOwedGateway(e.Gateway)
}
func (PinLeaked) consequence()                  {}
func (e PinLeaked) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }
