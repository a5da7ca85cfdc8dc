package main

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas"
)

// A wall clock that jumps is reported by /readyz and the metrics and stops commands
// that are not urgent. They go on when the clock is right again or, across a restart,
// when an operator confirms it.
func TestAServiceSaysThatItsClockIsWrong(t *testing.T) {
	var off atomic.Int64
	began := time.Now()
	cfg := testConfig(t)
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	cfg.Elapsed = func() time.Duration { return time.Since(began) }
	cfg.Synced = func() bool { return false }
	cfg.MetricsListen = "127.0.0.1:0"
	s := serveIn(t, cfg)
	owner := ownerOf(t, s, "acme")
	off.Store(int64(10 * 365 * 24 * time.Hour))
	status, text := bodyOf(t, s.wholeReadiness())
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, text, `"part":"clock"`)
	assert.Contains(t, text, "--confirm-clock")
	err := owner.Ask(t.Context(), client.Request{Method: "POST", Path: "/v1/orgs/acme/commands/RegisterPerson", Body: []byte(`{"person":"ana"}`)}, &struct{}{})
	assert.ErrorContains(t, err, "clock_untrusted")
	err = owner.Ask(t.Context(), client.Request{Method: "POST", Path: "/v1/orgs/acme/commands/SuspendPerson", Body: []byte(`{"person":"nobody"}`)}, &struct{}{})
	assert.ErrorContains(t, err, "unknown_person", "what takes access away is decided")
	off.Store(0)
	_, text = bodyOf(t, s.wholeReadiness())
	assert.NotContains(t, text, `"part":"clock"`)
	halt(t, s)

	off.Store(int64(40 * 24 * time.Hour)) // off for six weeks
	held := serveIn(t, cfg)
	require.ErrorIs(t, held.Store.ClockTrusted(), eventstore.ErrClock)
	halt(t, held)
	cfg.ConfirmClock = began
	_, err = startService(t.Context(), cfg)
	require.ErrorContains(t, err, "set the clock first", "the operator has another time")
	cfg.ConfirmClock = cfg.Now()
	s = serveIn(t, cfg)
	require.NoError(t, s.Store.ClockTrusted())
	recorded := 0
	require.NoError(t, s.Store.Commits(t.Context(), domain.SystemOrg, 0, 0, func(c *schemas.Commit, _ []byte) error {
		if c.Command == "RecordOverride" {
			recorded++
		}
		return nil
	}))
	assert.Equal(t, 1, recorded, "the word is on record")
}
