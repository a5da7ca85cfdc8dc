package permissions

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
)

// goOn continues above numbers that a restore lost.
func (n *node) goOn(lost uint64) uint64 {
	n.b.t.Helper()
	head, err := n.store.Head(n.b.t.Context(), "acme")
	require.NoError(n.b.t, err)
	r, err := n.store.GoOn(n.b.t.Context(), "acme", eventstore.Loss{KnownTo: head.N + lost, LostTo: head.N + lost})
	require.NoError(n.b.t, err)
	return r.Position.N
}

// A tag key that may have been stolen in the lost range is never used again. That holds
// for any version of it.
func TestARestoredLedgerHasOtherKeysOfTags(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house+cabinet+stolen)
	n.settle("acme")
	require.Equal(t, uint32(2), b.tagKey("north"))
	before, ok := n.Tag("acme", "north", domain.KindCard, "", "1001")
	require.True(t, ok)

	back := n.goOn(50)
	n.settle("acme")
	n.agree("acme", "north", "south")
	assert.Equal(t, back, n.Published("acme"))
	for _, site := range []domain.ID{"north", "south"} {
		assert.Greater(t, b.tagKey(site), uint32(1<<16), "above all that the lost range can have used")
	}
	assert.Equal(t, unlock.DenyUnknownCredential, n.shows(domain.KindCard, before).Code)
	after, ok := n.Tag("acme", "north", domain.KindCard, "", "1001")
	require.True(t, ok)
	assert.True(t, n.shows(domain.KindCard, after).Allowed)
}

// Publication continues over a lost range, also after a crash.
func TestAStartGoesOnOverALostRange(t *testing.T) {
	b := newBed(t)
	old := b.node()
	old.do("acme", house)
	old.settle("acme")
	was := old.Published("acme")
	back := old.goOn(50)
	old.do("acme", `olga SuspendPerson {"person":"anna"}`)
	require.True(t, old.turnOnce(), "the first of the two sites, and the crash comes here")

	n := b.node()
	from, err := n.From(t.Context(), "acme")
	require.NoError(t, err)
	assert.GreaterOrEqual(t, from, was)
	n.do("acme", `olga ReinstatePerson {"person":"anna"}`)
	n.settle("acme")
	n.agree("acme", "north", "south")
	assert.Equal(t, back+2, n.Published("acme"))
	assert.Zero(t, n.divergence())
	for _, d := range b.deltas("acme", "north") {
		assert.False(t, d.N > was && d.N < back, "%d is lost", d.N)
	}
}
