package unlock

// Keypad is the state of the back-off after wrong codes at one reader. The gateway of
// the reader keeps it and journals it, so that a restart resets nothing. The zero
// Keypad is that of a reader without any wrong code.
//
// # How long it takes to guess a PIN
//
// The reader checks a code only while it is not locked. The first freeCodes wrong ones
// in a row cost nothing. Each further one locks the reader: for shortLockout, then
// twice as long each time up to longLockout. A right code ends the row, or people would
// pay for the mistakes of others before them. But somebody with a PIN of their own
// could end it after every few guesses, so each wrong code also counts for a day or so:
// one is forgotten every longLockout, and while dayCodes of them count, each further
// one locks the reader for longLockout, even after right codes in between.
//
// So a reader checks at most dayCodes + 1 wrong codes at once, and from then on one in
// 15 minutes: 96 a day, 35,000 a year. PINs are long enough for their number of people
// that a guess hits one at most once in 10,000 (domain.PinLength), and at a site with
// 20 of them, which have 6 digits, once in 50,000. Somebody who tries at a reader day
// and night finds one after 10,000 guesses on average: after 103 days with the greatest
// number of people, after 17 months at the small site, and the lock-outs are on record
// all the while. Several readers make it as many times faster.
type Keypad struct {
	// Row is how many wrong codes there were since the last right one.
	Row uint32 `json:"row,omitempty"`
	// Count is the number of wrong codes that are not forgotten. One is forgotten at
	// Forgot + longLockout, the next one longLockout later, and so on.
	Count  uint32  `json:"count,omitempty"`
	Forgot Instant `json:"forgot,omitzero"`
	// Until ends the lock-out, exclusive; zero means there was none.
	Until Instant `json:"until,omitzero"`
}

// The parameters of the back-off, in wrong codes and in nanoseconds.
const (
	freeCodes    = 5
	dayCodes     = 100
	shortLockout = 30 * 1_000_000_000
	longLockout  = 15 * 60 * 1_000_000_000
)

// GuessesADay is the number of wrong codes that a reader checks in a day if somebody
// tries without a pause.
const GuessesADay = 24 * 3600 * 1_000_000_000 / longLockout

// LockedOut reports whether the reader takes no code at an instant.
func (k Keypad) LockedOut(at Instant) bool { return at < k.Until }

// badCredential are the denials of a code that belongs to no live credential, or not
// now.
const badCredential Checks = 1<<(DenyMaxUses-firstDenial+1) - 1<<(DenyWrongFacilityCode-firstDenial)

// badSecond are the denials for lack of a second factor.
const badSecond = 1<<(DenyInvalidPin-firstDenial) | 1<<(DenySecondPersonRequired-firstDenial) | 1<<(DenyEscortRequired-firstDenial)

// After gives the next state after the answer to a request at the reader. Without a
// code, and while the reader is locked, nothing changes. A code is right when a live
// credential has it, even if the holder is denied for another reason. A second factor
// that does not help counts as a wrong code: reader and door must not reveal a
// difference.
func (k Keypad) After(r Request, a Answer) Keypad {
	code := r.Tag != Tag{} && r.Kind == Pin
	second := r.Second != Tag{}
	if c := a.credential; c != nil && c.kind == Pin && r.Tag != (Tag{}) {
		code = true
	}
	switch {
	case !code && !second || k.LockedOut(r.At):
		return k
	case code && a.Failed&(badCredential|check(DenyInvalidPin)) != 0, second && a.Failed&badSecond != 0:
		return k.wrong(r.At)
	}
	return k.right(r.At)
}

// wrong counts a wrong code.
func (k Keypad) wrong(at Instant) Keypad {
	k = k.forget(at)
	k.Row++
	k.Count++
	switch {
	case k.Count > dayCodes:
		k.Until = at + longLockout
	case k.Row > freeCodes:
		k.Until = at + min(longLockout, Instant(shortLockout)<<min(k.Row-freeCodes-1, 8))
	}
	return k
}

// right ends the row of wrong codes.
func (k Keypad) right(at Instant) Keypad {
	k = k.forget(at)
	k.Row = 0
	return k
}

// forget forgets one wrong code for each longLockout that has passed. The last one also
// ends the row.
func (k Keypad) forget(at Instant) Keypad {
	past := max(0, at-k.Forgot) / longLockout
	if past >= Instant(k.Count) {
		return Keypad{Forgot: at, Until: k.Until}
	}
	k.Count -= uint32(past)
	k.Forgot += past * longLockout
	return k
}
