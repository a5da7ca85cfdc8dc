package domain

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

func TestIndexesHoldTheValuesOfTheRowsAndNothingElse(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	rapid.Check(t, func(t *rapid.T) {
		s := NewState()
		for n := range rapid.IntRange(1, 40).Draw(t, "commits") {
			scramble(t, s, uint64(n+1))
		}
		sameIndex(t, s.Bookings)
		sameIndex(t, s.Credentials)
		sameIndex(t, s.Doors)
		sameIndex(t, s.Units)
		sameIndex(t, s.UnitUsers)
		sameIndex(t, s.Shares)
		sameIndex(t, s.Fork().Shares)
	})
}

func sameIndex[T any](t require.TestingT, x *table[T]) {
	want := map[key[T]]map[ID]struct{}{}
	for id, r := range x.All() {
		for _, k := range x.keys(r) {
			require.NotZero(t, k.index, "%s: a value without an index", x.name)
			if want[k] == nil {
				want[k] = map[ID]struct{}{}
			}
			want[k][id] = struct{}{}
		}
	}
	got := map[key[T]]map[ID]struct{}{}
	for k, ids := range x.index {
		got[k] = map[ID]struct{}{}
		for id := range ids.all() {
			got[k][id] = struct{}{}
		}
		require.Equal(t, len(got[k]), x.Count(k.index, k.value), x.name)
	}
	require.Equal(t, want, got, x.name)
}

// A table hides rows from those who may not see them: whoever reads past its methods
// finds them.
func TestTablesAreReadByTheirMethodsAlone(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	past := regexp.MustCompile(`\.[A-Z]\w+\.(rows|index)\b`)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		assert.Empty(t, past.FindAllString(string(b), -1), f)
	}
}
