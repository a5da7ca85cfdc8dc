package reads

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore"
)

// A gateway takes reads and counts them even if its records contain invalid messages.
func TestWhatIsNoRecordIsPassedOverAndCounted(t *testing.T) {
	b := newBed(t)
	conn, err := b.server.Connect()
	require.NoError(t, err)
	defer conn.Close()
	put := func(bodies ...string) {
		for _, body := range bodies {
			_, err := conn.Request("activity.acme.north.till", []byte(body), time.Minute)
			require.NoError(t, err)
		}
	}
	put("{", "nothing like a record")
	g := b.gateway()
	assert.Equal(t, uint64(2), g.Tally().Damaged)
	taken, err := g.Take(t.Context(), reads(1, 2))
	require.NoError(t, err)
	assert.Equal(t, uint64(2), taken.Reads)

	forged := `{"gateway":"till","boot":9,"k":9,"type":"access_granted","door":"gate","source":"till:99"}`
	put(forged, `{"gateway":"other"}`, "[]", `"`)
	_, err = g.Take(t.Context(), reads(3, 3))
	require.ErrorIs(t, err, eventstore.ErrNotSoleWriter)
	taken, err = g.Take(t.Context(), reads(1, 3))
	require.NoError(t, err)
	assert.Equal(t, uint64(3), taken.Reads)
	assert.Equal(t, uint64(3), taken.Last)
	assert.Equal(t, uint64(6), taken.Damaged)
	put(forged)
	again := b.gateway()
	taken, err = again.Take(t.Context(), reads(1, 4))
	require.NoError(t, err)
	assert.Equal(t, uint64(4), taken.Reads)
	assert.Equal(t, uint64(7), taken.Damaged)
	assert.Equal(t, taken, b.gateway().Tally())
}
