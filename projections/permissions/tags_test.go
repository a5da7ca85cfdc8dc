package permissions

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
)

// credential is a credential's row as published.
func (b *bed) credential(site domain.ID, id string) *unlock.Credential {
	b.t.Helper()
	table, _ := b.load("acme", site)
	r, ok := table.Row(unlock.Key{Kind: unlock.KindCredential, ID: id})
	require.True(b.t, ok, id)
	return r.(*unlock.Credential)
}

func TestRevocationsGoOnWithoutTheVault(t *testing.T) {
	b := newBed(t)
	old := b.node()
	old.do("acme", house)
	old.settle("acme")
	tag := b.credential("north", "f-anna").Tag
	require.NotZero(t, tag)

	n := b.node()
	n.keys.away.Store(true)
	n.do("acme", `olga SuspendPerson {"person":"ben"}
olga ReportCredential {"credential":"f-anna","as":"stolen"}`)
	n.turnAll()
	row := b.credential("north", "f-anna")
	assert.Equal(t, unlock.CredentialStolen, row.State)
	assert.Equal(t, tag, row.Tag, "a reader still knows whose it is")
	assert.Zero(t, n.divergence())
	assert.Zero(t, n.Lags()[0].Untagged)
	old.caughtUp("acme", n)
	old.settle("acme")
	old.agree("acme", "north", "south")
}

func TestTagsThatCouldNotBeMadeFollow(t *testing.T) {
	b := newBed(t)
	one, two := b.node(), b.node()
	one.do("acme", house)
	one.settle("acme")
	two.keys.away.Store(true)
	two.caughtUp("acme", one)
	two.turnAll()
	one.do("acme", `olga AssignFob {"credential":"f-ben","number":"2002","person":"ben","sites":["north"]}`)
	two.caughtUp("acme", one)
	two.turnAll()
	assert.Zero(t, b.credential("north", "f-ben").Tag)
	assert.Equal(t, 1, two.Lags()[0].Untagged)
	head, err := two.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, head.N, two.Published("acme"), "what takes access away never waits for tags")

	// The instance with the vault finds them missing, and publishes them.
	one.turnAll()
	one.agree("acme", "north")
	last := b.deltas("acme", "north")
	assert.Equal(t, fmt.Sprint(head.N, " tags"), told(last)[len(last)-1])

	// The other one takes them over with the next delta.
	two.do("acme", `olga SuspendPerson {"person":"ben"}`)
	two.turnAll()
	table, _ := b.load("acme", "north")
	assert.Equal(t, table.Digest(), two.Table("acme", "north").Digest())
	assert.Zero(t, two.Lags()[0].Untagged)
	one.caughtUp("acme", two)
	one.turnAll()
	one.agree("acme", "north")
	assert.Zero(t, one.divergence()+two.divergence())
}

func TestTagsAreMadeWhenTheVaultComesBack(t *testing.T) {
	b := newBed(t)
	one, two := b.node(), b.node()
	one.do("acme", house)
	one.settle("acme")
	two.keys.away.Store(true)
	two.caughtUp("acme", one)
	one.do("acme", `olga AssignFob {"credential":"f-ben","number":"2002","person":"ben","sites":["north"]}`)
	two.caughtUp("acme", one)
	two.start()
	two.flush()
	assert.Zero(t, b.credential("north", "f-ben").Tag)
	two.keys.away.Store(false)
	b.now.Add(int64(1e10)) // past the time for which the store does not ask the vault again
	two.tagged("acme", "north")
	two.agree("acme", "north")
	one.turnAll()
	one.agree("acme", "north")
	assert.Zero(t, one.divergence()+two.divergence())
}
