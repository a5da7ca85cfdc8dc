package permissions

import (
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// A gateway takes no table that the log's key did not sign: what a version before, or
// another key, published last is followed by a delta with nothing but a signature.
func TestAStartSignsWhatIsPublishedWithoutTheKey(t *testing.T) {
	b := newBed(t)
	b.logKey = ed25519.NewKeyFromSeed([]byte("another key, of 32 bytes in all!"))
	old := b.node().start()
	old.do("acme", house)
	old.flush()
	old.quit()
	before := map[domain.ID][]*wire.PermissionDelta{"north": b.deltas("acme", "north"), "south": b.deltas("acme", "south")}
	table, _ := b.load("acme", "north")
	head, err := old.store.Head(t.Context(), "acme")
	require.NoError(t, err)

	b.logKey = testLogKey
	for range 2 { // the second start finds it signed
		n := b.node().start()
		n.agreeAfter("acme", head.N)
		n.quit()
	}
	for site, before := range before {
		after := b.deltas("acme", site)
		require.Len(t, after, len(before)+1, site)
		last := after[len(before)]
		assert.Equal(t, wire.CauseSigned, last.Cause)
		assert.Equal(t, last.PrevDigest, last.Digest)
		assert.Empty(t, last.Put)
		assert.Empty(t, last.Delete)
		assert.True(t, last.SignedBy(testLogKey.Public().(ed25519.PublicKey)))
	}
	now, _ := b.load("acme", "north")
	assert.Equal(t, table.Digest(), now.Digest())
}

func TestEveryDeltaIsSigned(t *testing.T) {
	b := newBed(t)
	n := b.node().start()
	n.do("acme", house)
	n.flush()
	n.do("acme", `olga RevokeRight {"grant":"g-ben-n"}`)
	n.flush()
	for _, d := range b.deltas("acme", "north") {
		assert.True(t, d.SignedBy(testLogKey.Public().(ed25519.PublicKey)), d.N)
	}
}
