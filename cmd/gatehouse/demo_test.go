package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// demoWorld is a world whose clock stands at noon of a Monday.
func demoWorld(ctx context.Context) (w *world, out *bytes.Buffer) {
	out = &bytes.Buffer{}
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	return &world{ctx: ctx, stdout: out, stderr: &bytes.Buffer{}, now: func() time.Time { return noon }}, out
}

// startDemo builds a demo that the test lets pass.
func startDemo(t *testing.T, c demoCmd) (*demo, *bytes.Buffer) {
	t.Helper()
	w, out := demoWorld(t.Context())
	c.Listen = "127.0.0.1:0"
	d, err := c.start(w)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, d.stop())
		assert.NoDirExists(t, d.dir)
	})
	require.NoError(t, d.build(t.Context()))
	return d, out
}

// passTime lets the site's time pass as fast as the ledger takes it.
func (d *demo) passTime(t *testing.T, lasts time.Duration) summary {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.after(lasts, func(context.Context) error { cancel(); return nil })
	require.NoError(t, d.play(ctx, 1_000_000*time.Hour))
	total, err := d.summary()
	require.NoError(t, err)
	return total
}

func TestTheDemoCountsWhatTheLedgerHolds(t *testing.T) {
	alongside(t)
	d, _ := startDemo(t, demoCmd{Seed: 1})
	total := d.passTime(t, 40*time.Hour)

	var denied = map[string]uint64{}
	allowed, inside := uint64(0), map[domain.ID]bool{}
	damaged, err := d.service.Store.Activity(t.Context(), demoOrg, demoSite, demoGateway, func(a *wire.Activity) error {
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
	for _, org := range []domain.ID{domain.SystemOrg, demoOrg} {
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
	days, lines := make([]summary, len(seeds)), make([]string, len(seeds))
	t.Run("days", func(t *testing.T) {
		for i, seed := range seeds {
			t.Run("", func(t *testing.T) {
				alongside(t)
				d, out := startDemo(t, demoCmd{Seed: seed, JSON: true})
				days[i] = d.passTime(t, 17*time.Hour)
				days[i].DecisionNS = decisionTimes{}
				lines[i], _, _ = strings.Cut(out.String(), `"kind":"read"`)
			})
		}
	})
	assert.Equal(t, days[0], days[1])
	assert.Equal(t, lines[0], lines[1])
	assert.NotEqual(t, days[0], days[2])
}

func TestTheDemoEndsWithOneLineOfJSON(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w, out := demoWorld(t.Context())
	require.NoError(t, (&demoCmd{For: 300 * time.Millisecond, Speed: 24 * time.Hour, Listen: "127.0.0.1:0", Seed: 1}).Run(w))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	var last map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	for _, name := range []string{"commands", "commits", "unlocks", "onsite", "decision_ns"} {
		assert.Contains(t, last, name)
	}
	assert.Len(t, last, 5)
	assert.NotContains(t, out.String(), "\x1b", "no colours but on a terminal")
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAnEarlyEndOfTheDemoIsNoFailure(t *testing.T) {
	t.Run("before anything is there", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		t.Setenv("TMPDIR", t.TempDir())
		w, out := demoWorld(ctx)
		require.NoError(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0"}).Run(w))
		assert.Empty(t, out.String())
		left, err := os.ReadDir(os.Getenv("TMPDIR"))
		require.NoError(t, err)
		assert.Empty(t, left)
	})
	t.Run("while the site is made", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w, out := demoWorld(ctx)
		w.stdout = writer(func(b []byte) (int, error) {
			if bytes.Contains(b, []byte("CreateUnit")) {
				cancel()
			}
			return out.Write(b)
		})
		require.NoError(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0"}).Run(w))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		assert.Contains(t, lines[len(lines)-1], `"unlocks":{"allowed":0,"denied":{}}`)
	})
	t.Run("when nobody reads on", func(t *testing.T) {
		w, _ := demoWorld(t.Context())
		w.stdout = writer(func([]byte) (int, error) { return 0, syscall.EPIPE })
		require.NoError(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0"}).Run(w))
	})
	t.Run("a speed that nobody can follow", func(t *testing.T) {
		w, _ := demoWorld(t.Context())
		assert.Equal(t, exitUsage, exitCode((&demoCmd{Speed: 48 * time.Hour}).Run(w)))
	})
}

type writer func([]byte) (int, error)

func (f writer) Write(b []byte) (int, error) { return f(b) }

func TestTheFeedLeavesRoomForWhatIsWorthSeeing(t *testing.T) {
	var out bytes.Buffer
	f := newFeed(&out, false)
	now := time.Unix(0, 0)
	f.now = func() time.Time { return now }
	d := demo{feed: f}
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

func TestADemoThatCannotWriteSaysSo(t *testing.T) {
	alongside(t)
	w, _ := demoWorld(t.Context())
	full := errors.New("no space is left")
	w.stdout = writer(func([]byte) (int, error) { return 0, full })
	require.ErrorIs(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0"}).Run(w), full)
}

func TestColumnsAreOfOneWidth(t *testing.T) {
	assert.Equal(t, "Zoë   ", column("Zoë", 6))
	assert.Equal(t, "Zoë Z…", column("Zoë Zimmermann", 6))
}
