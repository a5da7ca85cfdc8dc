package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

func TestTheDemoCountsWhatTheLedgerHolds(t *testing.T) {
	alongside(t)
	d, _ := startDemo(t, Config{Seed: 1})
	total := d.passTime(t, 40*time.Hour)

	var denied = map[string]uint64{}
	allowed, inside := uint64(0), map[domain.ID]bool{}
	damaged, err := d.service.Store.Activity(t.Context(), Org, Site, gatewayID, func(a *wire.Activity) error {
		if a.Type == wire.AccessGranted {
			allowed++
		} else {
			denied[a.Code]++
		}
		if isGate(domain.ID(a.Door)) && a.Person != "" {
			switch {
			case a.Side == "out":
				delete(inside, domain.ID(a.Person))
			case a.Type == wire.AccessGranted:
				inside[domain.ID(a.Person)] = true
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Zero(t, damaged)
	assert.Equal(t, allowed, total.Unlocks.Allowed)
	assert.Equal(t, denied, total.Unlocks.Denied)
	assert.Len(t, inside, total.OnSite)
	for _, code := range []string{"deny_holiday", "deny_outside_schedule", "deny_unknown_credential"} {
		assert.Positive(t, denied[code], code)
	}

	byPeople, commits := uint64(0), uint64(0)
	for _, org := range []domain.ID{domain.SystemOrg, Org} {
		require.NoError(t, d.service.Store.Commits(t.Context(), org, 0, 0, func(c *schemas.Commit, _ []byte) error {
			commits++
			if c.Actor.Kind != domain.ActorService {
				byPeople++
			}
			return nil
		}))
	}
	assert.Equal(t, commits, total.Commits)
	assert.Equal(t, byPeople, total.Commands)
	assert.Greater(t, total.Commits, total.Commands, "bookings end by themselves")
	assert.Positive(t, total.DecisionNS.P50)
	assert.GreaterOrEqual(t, total.DecisionNS.P99, total.DecisionNS.P50)
}

// Nothing falls due before the first midnight, so that the people alone make the
// difference until then.
func TestASeedGivesTheSameDayAgain(t *testing.T) {
	alongside(t)
	seeds := []uint64{7, 7, 8}
	days, lines := make([]Summary, len(seeds)), make([]string, len(seeds))
	t.Run("days", func(t *testing.T) {
		for i, seed := range seeds {
			t.Run("", func(t *testing.T) {
				alongside(t)
				d, out := startDemo(t, Config{Seed: seed, JSON: true})
				days[i] = d.passTime(t, 17*time.Hour)
				days[i].DecisionNS = DecisionTimes{}
				lines[i], _, _ = strings.Cut(out.String(), `"kind":"read"`)
			})
		}
	})
	assert.Equal(t, days[0], days[1])
	assert.Equal(t, lines[0], lines[1])
	assert.NotEqual(t, days[0], days[2])
}

func TestTheFeedLeavesRoomForWhatIsWorthSeeing(t *testing.T) {
	var out bytes.Buffer
	f := newFeed(Config{Out: &out}, nil)
	now := time.Unix(0, 0)
	f.now = func() time.Time { return now }
	d := Demo{feed: f}
	require.NoError(t, d.feed.rule("before"))
	f.limit()
	taken := func(reserve float64) (n int) {
		for f.takes(reserve) {
			n++
		}
		return n
	}
	assert.Equal(t, lineBurst-allowedReserve, taken(allowedReserve))
	assert.Equal(t, allowedReserve-deniedReserve, taken(deniedReserve))
	assert.Equal(t, deniedReserve, taken(0))
	now = now.Add(time.Second / 2)
	assert.Equal(t, linesPerSecond/2, taken(0))
}

func TestColumnsAreOfOneWidth(t *testing.T) {
	assert.Equal(t, "Zoë   ", column("Zoë", 6))
	assert.Equal(t, "Zoë Z…", column("Zoë Zimmermann", 6))
}
