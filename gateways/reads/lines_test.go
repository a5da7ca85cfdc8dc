package reads

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lined makes reads of one card with the lines of their file.
func lined(from int, lines ...string) (out []Read) {
	for i, line := range lines {
		out = append(out, Read{Number: uint64(from + i), At: monday, Door: "gate", Card: "1001", Line: line})
	}
	return out
}

func TestAReadOfAnotherFileIsRefused(t *testing.T) {
	b := newBed(t)
	first, again := b.gateway(), func() *Source { return b.gateway() }
	_, err := first.Take(t.Context(), lined(2, "a", "b", "c"))
	require.NoError(t, err)
	_, err = first.Take(t.Context(), lined(5, "d"))
	require.NoError(t, err)
	for _, g := range []*Source{first, again()} { // one that remembers, and one that has to look
		for _, c := range []struct {
			reads  []Read
			differ int // index; -1 means that the file is the same
		}{
			{lined(5, "d"), -1}, {lined(2, "a", "b", "c", "d"), -1}, {lined(3, "b"), -1}, {lined(5, "x"), 0},
			{lined(2, "a", "x", "y", "d"), 1}, {lined(2, ""), -1}, {lined(1, "x"), 0}, {lined(5, "x", "e"), 0},
		} {
			_, err := g.Take(t.Context(), c.reads)
			if c.differ < 0 {
				require.NoError(t, err, "%v", c.reads)
				continue
			}
			differs := &DifferError{}
			require.ErrorAs(t, err, &differs, "%v", c.reads)
			assert.Equal(t, c.differ, differs.Index)
			assert.Equal(t, c.reads[c.differ].Number, differs.Read)
		}
	}
	records := b.recorded()
	require.Len(t, records, 4, "nothing that came with a read of another file")
	assert.Regexp(t, "^[0-9]+:[0-9a-f]{16}$", records[0].Line)
}

// Reads continue after records from before there were lines, or under a former key.
func TestAReadIsComparedWithWhatItCanBeComparedWith(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	_, err := g.Take(t.Context(), lined(2, "", "b"))
	require.NoError(t, err)
	_, err = g.Take(t.Context(), lined(2, "x", "b", "c"))
	require.NoError(t, err)
	assert.Len(t, b.recorded(), 3)
}
