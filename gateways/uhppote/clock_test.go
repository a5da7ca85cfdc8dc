package uhppote

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
)

func TestInstantOfAnEvent(t *testing.T) {
	at := func(text string) civil {
		if text == "" {
			return civil{}
		}
		v, err := time.Parse("2006-01-02 15:04:05", text)
		require.NoError(t, err)
		return civil{v}
	}
	for name, c := range map[string]struct{ event, board, now, want string }{
		"just now":                                      {"2026-07-01 12:00:00", "2026-07-01 12:00:01", "2026-07-01T10:00:01Z", "2026-07-01T10:00:00Z"},
		"hours ago":                                     {"2026-07-01 08:00:00", "2026-07-01 12:00:00", "2026-07-01T10:00:00Z", "2026-07-01T06:00:00Z"},
		"in winter, told in summer":                     {"2026-03-01 12:00:00", "2026-07-01 12:00:00", "2026-07-01T10:00:00Z", "2026-03-01T11:00:00Z"},
		"the clock of the board is wrong":               {"2026-07-01 09:00:00", "2026-07-01 09:30:00", "2026-07-01T10:00:00Z", "2026-07-01T09:30:00Z"},
		"the clock of the board started over":           {"2000-01-01 00:20:00", "2000-01-01 01:20:00", "2026-07-01T10:00:00Z", "2026-07-01T09:00:00Z"},
		"before the clock started over":                 {"2026-06-30 23:00:00", "2000-01-01 01:20:00", "2026-07-01T10:00:00Z", "2026-06-30T21:00:00Z"},
		"the first of an hour that comes twice":         {"2026-10-25 02:29:59", "2026-10-25 02:30:00", "2026-10-25T00:30:00Z", "2026-10-25T00:29:59Z"},
		"the second of it":                              {"2026-10-25 02:29:59", "2026-10-25 02:30:00", "2026-10-25T01:30:00Z", "2026-10-25T01:29:59Z"},
		"one of the two, hours later":                   {"2026-10-25 02:30:00", "2026-10-25 12:00:00", "2026-10-25T11:00:00Z", "2026-10-25T01:30:00Z"},
		"the clock is not set back yet":                 {"2026-10-25 03:00:01", "2026-10-25 03:00:02", "2026-10-25T01:00:02Z", "2026-10-25T01:00:01Z"},
		"the clock was just set back":                   {"2026-10-25 02:59:59", "2026-10-25 02:00:01", "2026-10-25T01:00:01Z", "2026-10-25T00:59:59Z"},
		"the clock was just set back by a second":       {"2026-07-01 12:00:02", "2026-07-01 12:00:01", "2026-07-01T10:00:01Z", "2026-07-01T10:00:01Z"},
		"before the hour that is left out, told behind": {"2026-03-29 01:59:59", "2026-03-29 03:00:01", "2026-03-29T01:00:01Z", "2026-03-29T00:59:59Z"},
		"a time that is to come opens nothing":          {"2026-07-01 15:00:00", "2026-07-01 12:00:00", "2026-07-01T10:00:00Z", "2026-07-01T09:59:00Z"},
		"a time that never was opens nothing":           {"2026-03-29 02:30:00", "2026-07-01 12:00:00", "2026-07-01T10:00:00Z", "2026-07-01T09:59:00Z"},
		"no time opens nothing":                         {"", "2026-07-01 12:00:00", "2026-07-01T10:00:00Z", "2026-07-01T09:59:00Z"},
		"a board without a clock":                       {"2026-07-01 11:00:00", "", "2026-07-01T10:00:00Z", "2026-07-01T09:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		require.NoError(t, err)
		assert.Equal(t, c.want, instant(at(c.event), at(c.board), now, berlin).UTC().Format(time.RFC3339), name)
	}
}

// A board has a clock without a zone. It is set to that of the site whenever it is wrong,
// so also when the site changes its time.
func TestClockOfABoardIsSet(t *testing.T) {
	for name, behind := range map[string]time.Duration{"slow": time.Minute, "an hour ahead, as after the summer": -time.Hour, "of another zone": 9 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.behind = behind
			f.find()
			r := run(t, f, t.TempDir(), "", often())
			r.await("gate", driver.Online, 1)
			r.eventually("the clock is right", func() bool {
				left := time.Hour
				f.locked(func() { left = f.behind })
				return left.Abs() < 2*time.Second
			})
			f.press(1)
			e := r.await("gate", driver.ExitRequested, 1)
			assert.WithinDuration(t, time.Now(), e.At, time.Minute)
			r.stop()
			assert.Contains(t, r.logged.String(), "the clock of a board is set")
		})
	}
}
