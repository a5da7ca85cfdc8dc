package domain

import (
	"math"

	"gatehouse/domain/unlock"
)

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
	live := len(s.Credentials.index[pinsKey(site)])
	guess := float64(min(live, crowdOfLength)) / math.Pow10(minPinDigits)
	chance := 1 - math.Pow(1-guess, unlock.GuessesADay*365)
	return PinGuessing{PinLength(s, []ID{site}), live, unlock.GuessesADay, math.Round(chance*1e4) / 1e4}
}
