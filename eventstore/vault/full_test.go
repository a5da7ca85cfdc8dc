package vault

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A vault whose disk is full reserves nothing and says that it is not available;
// what it holds it gives, and with room again it goes on.
func TestAVaultOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, newMaster())
	held := reserve(t, v, "acme", 2)
	limit := func(pages int) {
		_, err := v.db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
		require.NoError(t, err)
	}
	limit(1) // no page more than there are
	var err error
	got := 0
	for range 100 {
		var keys []Key
		if keys, err = v.Reserve(t.Context(), "acme", 50); err != nil {
			break
		}
		got += len(keys)
	}
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, err, ErrFull)
	assert.Equal(t, byID(held...), load(t, v, "acme", held...))
	var rows int
	require.NoError(t, v.db.QueryRow("SELECT count(*) FROM key").Scan(&rows))
	assert.Equal(t, len(held)+got, rows, "nothing half done")
	limit(1 << 20)
	reserve(t, v, "acme", 50)
}
