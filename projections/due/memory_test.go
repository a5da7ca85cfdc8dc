package due

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

// Commands that become due in an evicted org are recorded at their instant.
func TestAnOrgThatLeftMemoryIsLookedAtWhenItIsDue(t *testing.T) {
	b := newBed(t)
	b.memory = 1
	s := b.open()
	timer := b.timer(s)
	stop := b.run(timer)
	b.house(s)
	var head eventstore.Head
	require.NoError(t, s.View(t.Context(), "acme", func(_ *domain.State, h eventstore.Head) error { head = h; return nil }))
	b.eventually("it is looked at", func() bool {
		timer.mu.Lock()
		defer timer.mu.Unlock()
		return timer.looked["acme"] == head.N
	})
	for _, other := range []domain.ID{"beta", "core"} { // both are looked at too, and one of them stays
		require.NoError(t, s.View(t.Context(), other, func(*domain.State, eventstore.Head) error { return nil }))
	}
	b.eventually("it leaves memory", func() bool { return !slices.Contains(s.Loaded(), "acme") })
	b.clock.Store(time.Date(2026, 3, 3, 23, 0, 0, 0, time.UTC).UnixNano())
	timer.note("beta")
	b.eventually("the booking ends", func() bool { return len(b.ended(s)) == 1 })
	stop()

	require.NoError(t, s.View(t.Context(), "acme", func(_ *domain.State, h eventstore.Head) error { head = h; return nil }))
	timer.takeStirred()
	timer.round(t.Context())
	changed := func() bool { // the others come and go meanwhile
		timer.mu.Lock()
		defer timer.mu.Unlock()
		_, is := timer.changed["acme"]
		return is
	}
	timer.Begin("acme", nil, head)
	assert.False(t, changed(), "an org that comes back as it was is not looked at again")
	head.N++
	timer.Begin("acme", nil, head)
	assert.True(t, changed())
}
