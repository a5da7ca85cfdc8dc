package unlock

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Readers share tables with each other and with whoever makes the next one. The
// race detector sees what this test alone would not.
func TestReadersNeedNoLock(t *testing.T) {
	d := newDice(t, 7)
	rows := oracleOf(d.rows()...)
	table, err := NewTable(each[Row](rows)...)
	require.NoError(t, err)
	local := d.local()
	requests := make([]Request, 50)
	for i := range requests {
		requests[i] = d.request()
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	for range 20 {
		read := table
		want := make([]Code, len(requests))
		for i, r := range requests {
			want[i] = rows.decide(local, r).Code
		}
		for range 2 {
			readers.Go(func() {
				for i, r := range requests {
					assert.Equal(t, want[i], Decide(read, &local, r).Code)
				}
			})
		}
		table, err = table.Apply(d.delta(rows))
		require.NoError(t, err)
	}
}
