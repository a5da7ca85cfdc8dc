package domain

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

func TestPinsGrowWithTheCrowd(t *testing.T) {
	s := NewState()
	have := func(n int) int {
		for i := s.Credentials.Len(); i < n; i++ {
			id := ID(fmt.Sprintf("p%d", i))
			s.Credentials.Put(id, Credential{ID: id, Kind: KindPin, Sites: []ID{"s1"}, State: CredentialStateActive})
		}
		return PinLength(s, []ID{"s2", "s1"})
	}
	assert.Equal(t, 6, have(0))
	assert.Equal(t, 6, have(99))
	assert.Equal(t, 7, have(100))
	assert.Equal(t, 7, have(999))
	assert.Equal(t, 8, have(1000))
	assert.Equal(t, 9, have(10_000))
	assert.Equal(t, 6, PinLength(s, []ID{"s2"}))
	for i := range 9_950 {
		s.Credentials.Update(ID(fmt.Sprintf("p%d", i)), func(c *Credential) { c.State = CredentialStateRevoked })
	}
	assert.Equal(t, 6, have(10_000), "what has ended is nobody's to guess")
}

func TestWeakPins(t *testing.T) {
	for _, pin := range strings.Fields("000000 111111 123456 654321 567890 098765 135791 121212 123123 112211 778877 12341234 123412341 48x915") {
		assert.True(t, weakPin(pin), pin)
	}
	for _, pin := range strings.Fields("482915 1234123 112233 123457 120120120121 1357924 000123") {
		assert.False(t, weakPin(pin), pin)
	}
	weak := 0
	for n := range 1_000_000 {
		if weakPin(fmt.Sprintf("%06d", n)) {
			weak++
		}
	}
	assert.Less(t, weak, 5_000, "few are passed over")
}

// TestPinsOfASiteNeverMeet: whatever is made, taken back and made again, no live
// PIN of a site is another or begins it, and guesses stay as unlikely as promised.
func TestPinsOfASiteNeverMeet(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		require.Nil(t, h.send(PersonActor("olga"), GrantRight{Grant: "g9", Person: "stan", Right: "south-doors"}))
		people := []ID{"anna", "ben", "vera", "stan", "mara"}
		for _, p := range people {
			h.send(PersonActor("olga"), GrantRight{Person: p, Right: "staff-doors"})
			h.send(PersonActor("olga"), GrantRight{Person: p, Right: "south-doors"})
		}
		for i := range rapid.IntRange(20, 60).Draw(t, "pins") {
			id := ID(fmt.Sprintf("n%d", i))
			pin := IssuePin{Credential: id, Person: draw(t, "person", people...), Sites: storageSites[:rapid.IntRange(1, 2).Draw(t, "sites")]}
			var made []string
			for range 6 {
				// Few digits, so that they meet.
				made = append(made, rapid.StringMatching("[1-3]{6}[0-9]{6}").Draw(t, "made"))
			}
			pin.SetCandidates(made)
			r := h.send(PersonActor("olga"), pin)
			require.True(t, r == nil || r.Code == "pin_in_use" || r.Code == "pin_too_weak" || r.Code == "too_many_pins", r)
			if rarely(t, "back") {
				h.send(PersonActor("olga"), RevokeCredential{Credential: numbered("n", i)})
			}
		}
		for _, site := range storageSites {
			requirePrefixFree(t, h.s, site)
		}
	})
}

func requirePrefixFree(t require.TestingT, s *State, site ID) {
	var pins []string
	for _, c := range s.Credentials.All() {
		if c.Kind == KindPin && c.live() && c.knownAt(site) {
			pins = append(pins, c.Number.Text())
		}
	}
	for i, a := range pins {
		for j, b := range pins {
			require.True(t, i == j || !strings.HasPrefix(b, a), "%s begins %s", a, b)
		}
	}
}

// TestAShorterPinIsNotTheBeginningOfALonger: lengths differ at one site when the
// crowd grew or shrank.
func TestAShorterPinIsNotTheBeginningOfALonger(t *testing.T) {
	s := NewState()
	s.Credentials.Put("long", Credential{ID: "long", Kind: KindPin, Format: formatPin, Number: Clear("48291573"), Sites: []ID{"s1"}, State: CredentialStateActive})
	s.Credentials.Put("short", Credential{ID: "short", Kind: KindPin, Format: formatPin, Number: Clear("739104"), Sites: []ID{"s1"}, State: CredentialStateActive})
	for pin, taken := range map[string]bool{
		"482915": true, "4829157": true, "48291573": true, "482915734": true, "482916": false, "48291574": false,
		"739104": true, "7391045": true, "739105": false,
	} {
		assert.Equal(t, taken, s.pinTaken([]ID{"s2", "s1"}, pin), pin)
		assert.False(t, s.pinTaken([]ID{"s2"}, pin), pin)
	}
}

func TestAPersonHasSoManyPins(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	for i := range maxPins {
		w.given("pins", fmt.Sprintf(`anna IssuePin {"credential":"p%d","person":"anna","booking":"book-a1"}`, i))
		w.given("pins", fmt.Sprintf(`anna IssueDuressPin {"pin":"p%d"}`, i)) // takes no room
	}
	_, r := w.command("pins", `anna IssuePin {"person":"anna","booking":"book-a1"}`)
	require.NotNil(t, r)
	assert.Equal(t, "too_many_pins", r.Code)
	w.given("pins", `anna RevokeCredential {"credential":"p0"}`)
	w.given("pins", `anna IssuePin {"person":"anna","booking":"book-a1"}`)
}

// TestNothingIsSealedUnderAKeyThatEnded: with erasure and the ends of PINs.
func TestNothingIsSealedUnderAKeyThatEnded(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	w.given("pins", `anna IssuePin {"credential":"p1","person":"anna","booking":"book-a1"}
anna IssuePin {"credential":"p2","person":"anna","booking":"book-a1"}
stan GrantRight {"person":"vera","right":"staff-doors"}
vera IssuePin {"credential":"p3","person":"vera","sites":["north"]}
anna RotatePin {"credential":"p1"}
anna RevokeCredential {"credential":"p2"}
olga ErasePerson {"person":"vera"}`)
	for id, has := range map[ID]bool{"p1": true, "p2": false, "p3": false} {
		c, ok := w.state.Credentials.Get(id)
		require.True(t, ok)
		assert.Equal(t, has, !c.Number.Empty(), id)
		assert.Equal(t, has, w.state.KeyOf(c.Subject) != "", id)
	}
	w.check()
}

// candidates are what the service would make at random for a command.
func candidates(id UUID) (digits []string) {
	for i := range pinCandidates {
		u := DeriveUUID(id, fmt.Sprintf("candidate/%d", i))
		digits = append(digits, fmt.Sprintf("%012d", binary.BigEndian.Uint64(u[:8])%1e12))
	}
	return digits
}

// checkKeys looks for values under keys that the ledger ordered to be destroyed.
func (w *world) checkKeys() {
	ended := map[string]bool{}
	for _, c := range w.commits {
		for i, name := range c.Names {
			typ, _ := EventNamed(name)
			ptr := typ.New()
			w.unmarshal(c.Bodies[i], ptr)
			for _, k := range EndedKeys(typ.Event(ptr)) {
				ended[k] = true
			}
		}
	}
	w.state.EachPersonal(func(subject ID, p *Personal) {
		key, _, _ := bytesCut(p.Box())
		require.False(w.t, ended[key], "a value of %s is sealed under a key that has ended", subject)
	})
}

// pin is one for what a fob would be for.
func (h *history) pin(id, person ID, fob AssignFob) Command {
	pin := IssuePin{Credential: id, Person: person, Booking: fob.Booking, Unit: fob.Unit, Sites: fob.Sites, Until: fob.Until}
	if rarely(h.t, "times") {
		if times := drawSchedule(h.t); len(times.Windows) > 0 {
			pin.Times = times
		}
	}
	if rarely(h.t, "buffers") {
		pin.BufferAfter = 15
	}
	if rarely(h.t, "uses") {
		pin.MaxUses = 2
	}
	return h.withDigits(pin)
}

func (h *history) withDigits(pin IssuePin) Command {
	pin.SetCandidates(candidates(DeriveUUID(UUID{}, fmt.Sprintf("digits/%d", h.sent))))
	return pin
}

func (h *history) duress(pin ID) Command {
	c := IssueDuressPin{Credential: pin + "-duress", Pin: pin}
	c.SetCandidates(candidates(DeriveUUID(UUID{}, fmt.Sprintf("duress/%d", h.sent))))
	return c
}

func (h *history) withRotation(id ID) Command {
	rotate := RotatePin{Credential: id}
	rotate.SetCandidates(candidates(DeriveUUID(UUID{}, fmt.Sprintf("digits/%d", h.sent))))
	return rotate
}
