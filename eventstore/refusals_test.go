package eventstore

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/clock"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas"
)

// Old refusals are taken out by the time of the service, which a clock that jumps does
// not move; that is never taken for a loss.
func TestRefusalsAreTakenOutByTheTimeOfTheService(t *testing.T) {
	dir := t.TempDir()
	s, err := openData(t, dir, "")
	require.NoError(t, err)
	newOrg(t, s.Store, "acme")
	var last uint64
	for _, age := range []time.Duration{streams.HistoryAge + 72*time.Hour, streams.HistoryAge + 48*time.Hour, streams.HistoryAge - time.Hour, time.Hour} {
		body, err := json.Marshal(schemas.Refusal{ID: newID(), At: time.Now().Add(-age), Command: "SuspendPerson", Code: "unknown", Actor: domain.PersonActor("olga")})
		require.NoError(t, err)
		last, err = s.GuardedAppend(t.Context(), streams.Refusals, "refusals.acme", [][]byte{body}, last)
		require.NoError(t, err)
	}
	oldest := func() uint64 {
		stream, err := s.js.Stream(t.Context(), streams.Refusals)
		require.NoError(t, err)
		return stream.CachedInfo().State.FirstSeq
	}
	glitch := clock.New(clock.Config{Wall: func() time.Time { return time.Now().AddDate(10, 0, 0) }, Elapsed: func() time.Duration { return 0 }})
	glitch.Begin(time.Now(), 1)
	jumped := &Store{cfg: s.cfg, js: s.js, log: s.log}
	jumped.cfg.Clock, jumped.cfg.Now = glitch, glitch.Now
	require.ErrorIs(t, jumped.ClockTrusted(), ErrClock)
	require.NoError(t, jumped.takeOutRefusals(t.Context()))
	assert.Equal(t, uint64(1), oldest())

	require.NoError(t, s.takeOutRefusals(t.Context()))
	assert.Equal(t, uint64(3), oldest())
	s.stop()
	told, acme := opens(t, dir)
	assert.Empty(t, told)
	assert.NoError(t, acme)
}
