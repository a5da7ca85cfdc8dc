package eventstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/schemas/wire"
)

// Records are walked page by page from any counter on, among those of other gateways.
func TestRecordsAreWalkedFromACounterOn(t *testing.T) {
	b := newR1(t)
	s := b.store()
	from, err := s.RecordsAfter(t.Context(), "acme", "north", "gw1", 0, time.Hour)
	require.NoError(t, err)
	assert.Zero(t, from, "there are none")
	all := outbox(t, 150, "a")
	for i := 0; i < len(all); i += 30 {
		_, err := s.TakeRecords(t.Context(), "acme", "north", "gw1", all[i:i+30])
		require.NoError(t, err)
		w, err := s.ActivityWriter(t.Context(), "acme", "north", "gw2")
		require.NoError(t, err)
		require.NoError(t, w.Append(t.Context(), []wire.Activity{{Type: wire.DoorOpened}}))
	}
	for k := range uint64(len(all)) {
		next, err := s.RecordsAfter(t.Context(), "acme", "north", "gw1", k, time.Hour)
		require.NoError(t, err)
		first := uint64(0)
		_, more, err := s.EachRecord(t.Context(), "acme", "north", "gw1", next, 1, func(a *wire.Activity) { first = a.K })
		require.NoError(t, err)
		assert.Equal(t, k+1, first)
		assert.Equal(t, k+1 < uint64(len(all)), more)
	}
	for _, page := range []int{7, 100, 1000} {
		var got []uint64
		next, err := s.RecordsAfter(t.Context(), "acme", "north", "gw1", 50, time.Hour)
		require.NoError(t, err)
		for more := true; more; {
			next, more, err = s.EachRecord(t.Context(), "acme", "north", "gw1", next, page, func(a *wire.Activity) { got = append(got, a.K) })
			require.NoError(t, err)
		}
		require.Len(t, got, 100, "pages of %d", page)
		assert.EqualValues(t, 51, got[0])
		assert.EqualValues(t, 150, got[99])
	}
	behind, err := s.RecordsAfter(t.Context(), "acme", "north", "gw1", 150, time.Hour)
	require.NoError(t, err)
	_, more, err := s.EachRecord(t.Context(), "acme", "north", "gw1", behind, 10, func(*wire.Activity) { t.Error("there is none") })
	require.NoError(t, err)
	assert.False(t, more)
	old, err := s.RecordsAfter(t.Context(), "acme", "north", "gw1", 0, -time.Hour)
	require.NoError(t, err)
	assert.Equal(t, behind, old, "all are older")
}
