package uhppote

import "time"

const (
	// maxSkew is how much the clock of a board may be wrong before it is set. It shows whole
	// seconds.
	maxSkew = 2 * time.Second
	// fresh is the age up to which an event is dated by the board's own clock alone.
	fresh = 10 * time.Minute
	// unsure is how old an event counts whose time makes no sense: nobody stands there any
	// more.
	unsure = time.Minute
)

// civilOf is the time that a clock on the wall of a zone shows.
func civilOf(t time.Time, zone *time.Location) civil {
	t = t.In(zone)
	return civil{time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)}
}

// instant is when an event happened that a board dates at, while its clock showed board
// and it was now. The board's own clock gives the age of what is fresh, whatever the zone
// did meanwhile, and of all events if that clock is wrong. Else the zone gives the instant;
// of two in an hour that comes twice it is the later one that is not to come.
func instant(at, board civil, now time.Time, zone *time.Location) time.Time {
	if at.IsZero() {
		return now.Add(-unsure)
	}
	if !board.IsZero() {
		age := board.Sub(at.Time)
		wrong := board.Sub(civilOf(now, zone).Time).Abs() > maxSkew
		switch {
		case age >= 0 && (age < fresh || wrong):
			return now.Add(-age)
		case age < 0 && age >= -maxSkew:
			return now // the clock was just set
		}
	}
	found := time.Time{}
	guess := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, zone)
	for _, t := range []time.Time{guess.Add(-time.Hour), guess, guess.Add(time.Hour)} {
		if civilOf(t, zone).Equal(at.Time) && !t.After(now) {
			found = t
		}
	}
	if found.IsZero() {
		return now.Add(-unsure)
	}
	return found
}
