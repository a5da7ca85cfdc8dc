package permissions

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// Every table that was published is found again with those that follow it. A base may lie
// before it, or not.
func TestThePublishedTablesAreFoundAgain(t *testing.T) {
	for name, minBase := range map[string]int{"by deltas alone": 1 << 20, "with bases": 1} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			n := b.node()
			n.minBase = minBase
			n.start()
			n.do("acme", house)
			for range 5 {
				n.do("acme", `olga SuspendPerson {"person":"anna"}
olga ReinstatePerson {"person":"anna"}`)
				n.flush()
			}
			deltas := b.deltas("acme", "north")
			require.Greater(t, len(deltas), 10)
			for i, d := range deltas {
				var found []unlock.Digest
				err := n.Tables(t.Context(), "acme", "north", func(h wire.PermissionHead) bool { return h.N <= d.N }, func(table *unlock.Table, head wire.PermissionHead) error {
					assert.Equal(t, table.Digest(), head.Digest)
					found = append(found, head.Digest)
					return nil
				})
				require.NoError(t, err)
				require.Len(t, found, len(deltas)-i)
				for j, digest := range found {
					assert.Equal(t, deltas[i+j].Digest, digest)
				}
			}
		})
	}
}

func TestPublishedTablesBeginWithNothing(t *testing.T) {
	b := newBed(t)
	n := b.node().start()
	n.do("acme", house)
	n.flush()
	first := 0
	err := n.Tables(t.Context(), "acme", "north", func(wire.PermissionHead) bool { return false }, func(table *unlock.Table, _ wire.PermissionHead) error {
		first = table.Len()
		return ErrEnough
	})
	require.NoError(t, err)
	assert.Zero(t, first)
}
