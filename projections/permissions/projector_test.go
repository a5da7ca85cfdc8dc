package permissions

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
)

func TestOneDeltaPerCommitAndSiteThatChanged(t *testing.T) {
	b := newBed(t)
	n := b.node().start()
	n.do("acme", house)
	n.flush()
	n.agree("acme", "north", "south")

	n.do("acme", `olga SuspendPerson {"person":"anna"}
olga RegisterPerson {"person":"carl","name":"Carl"}
olga RevokeRight {"grant":"g-ben-n"}`)
	n.flush()
	n.agree("acme", "north", "south")
	assert.Zero(t, n.divergence())
	head, err := n.store.Head(t.Context(), "acme")
	require.NoError(t, err)

	north := b.deltas("acme", "north")
	prev := uint64(0)
	for _, d := range north {
		assert.Equal(t, prev, d.PrevN)
		prev = d.N
	}
	last := north[len(north)-1]
	assert.Equal(t, head.N, last.N)
	assert.Equal(t, head.Hash, last.Hash, "the commit as stored")
	require.Len(t, last.Put, 1)
	assert.Equal(t, "g-ben-n", last.Put[0].Key().ID)
	assert.Equal(t, unlock.GrantRevoked, last.Put[0].(*unlock.Grant).State)
	south := b.deltas("acme", "south")
	assert.Equal(t, head.N-2, south[len(south)-1].N, "the last two commits changed nothing there")

	table := n.Table("acme", "north")
	assert.Equal(t, last.Head().Position().String(), table.Position())
	assert.Nil(t, n.Table("acme", "west"))
	assert.Nil(t, n.Table("nobody", "north"))
	assert.Equal(t, head.N, n.Settled("acme"))
	assert.Equal(t, head.N, n.Published("acme"))
}

func TestACardIsFoundByItsTag(t *testing.T) {
	b := newBed(t)
	n := b.node().start()
	n.do("acme", house)
	n.flush()
	n.agree("acme", "north")
	tag, ok := n.Tag("acme", "north", "card", "", "1001")
	require.True(t, ok)
	row, _ := n.Table("acme", "north").Row(unlock.Key{Kind: unlock.KindCredential, ID: "f-anna"})
	assert.Equal(t, tag, row.(*unlock.Credential).Tag, "a reader cannot tell a card from a fob")
	other, _ := n.Tag("acme", "south", "card", "raw", "1001")
	assert.NotEqual(t, tag, other)
	pin, _ := n.Tag("acme", "north", "pin", "", "1001")
	assert.NotEqual(t, tag, pin)
}
