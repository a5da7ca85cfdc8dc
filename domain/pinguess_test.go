package domain

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHowHardPinsAreToGuess holds the figures of a site to the arithmetic of rule L5: a
// guess hits one PIN in 10,000 at most, and a reader looks at one in 15 minutes.
func TestHowHardPinsAreToGuess(t *testing.T) {
	w := newWorld(t)
	w.base("busy")
	assert.Equal(t, PinGuessing{Digits: 6, GuessesADay: 96}, PinGuessingAt(w.state, "south"))
	// Three of a million: 3e-6 × 35,040 guesses.
	assert.Equal(t, PinGuessing{Digits: 6, Live: 3, GuessesADay: 96, ChanceAYear: 0.0998}, PinGuessingAt(w.state, "north"))
	for i := range 100 {
		id := ID(fmt.Sprintf("p%d", i))
		w.state.Credentials.Put(id, Credential{ID: id, Kind: KindPin, State: CredentialStateActive, Sites: []ID{"north"}})
	}
	many := PinGuessingAt(w.state, "north")
	require.Equal(t, 103, many.Live)
	assert.Equal(t, 7, many.Digits)
	assert.InDelta(t, 0.97, many.ChanceAYear, 0.001, "1 in 10,000 × 35,040 guesses")
	w.state.Credentials.Update("p1", func(c *Credential) { c.State = CredentialStateRevoked })
	assert.Equal(t, 102, PinGuessingAt(w.state, "north").Live)
}
