package unlock

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/randomtest"
)

// An index agrees with a map over small and large changes. Their numbers make leaves
// grow, split, shrink and vanish. An index from before a change stays the same.
func TestIndexIsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(3, randomtest.Seed(t, 4)))
	want := map[key]*int{}
	var keys []key
	var x, before index[int]
	was := map[key]*int{}
	for round := range 60 {
		var changes []change[int]
		touched := map[key]bool{}
		n := []int{1, 7, 3000}[random.IntN(3)]
		if round == 0 {
			n = 50_000
		}
		for range n {
			k := key{random.Uint64(), random.Uint64()}
			if len(keys) > 0 && random.IntN(10) < 6 {
				k = keys[random.IntN(len(keys))]
			}
			if touched[k] {
				continue
			}
			touched[k] = true
			c := change[int]{key: k, old: want[k], new: new(int)}
			if c.old == nil {
				keys = append(keys, k)
			} else if random.IntN(2) == 0 {
				c.new = nil
			}
			changes = append(changes, c)
		}
		if round == 10 {
			before = x
			for k, v := range want {
				was[k] = v
			}
		}
		for _, c := range changes {
			delete(want, c.key)
			if c.new != nil {
				want[c.key] = c.new
			}
		}
		x = x.with(changes)
		require.Equal(t, len(want), x.n)
	}
	for what, pair := range map[string]struct {
		index index[int]
		want  map[key]*int
	}{"after": {x, want}, "before": {before, was}} {
		for _, k := range keys {
			if got := pair.index.get(k); got != pair.want[k] {
				t.Fatalf("%s: %v gives %p, not %p", what, k, got, pair.want[k])
			}
		}
		n := 0
		for k, v := range pair.index.all() {
			require.Same(t, pair.want[k], v, what)
			n++
		}
		require.Equal(t, len(pair.want), n, what)
	}
}

// Values of one key lie in one leaf, until the last of them is removed.
func TestIndexWithOneKeySeveralTimes(t *testing.T) {
	var x tree[int, string]
	k := key{1 << 63, 5}
	values := make([]int, 4)
	for i := range values {
		x = x.with([]update[int, string]{{key: k, new: &values[i], extra: "first"}})
	}
	require.Len(t, x.list(k), 4)
	x = x.with([]update[int, string]{
		{key: k, old: &values[2]}, {key: k, old: &values[0], new: &values[0], extra: "second"},
	})
	require.ElementsMatch(t, []*int{&values[0], &values[1], &values[3]}, x.list(k))
	l, i := x.find(k)
	extras := map[*int]string{}
	for ; l[i].value != nil; i = (i + 1) & (len(l) - 1) {
		extras[l[i].value] = l[i].extra
	}
	require.Equal(t, map[*int]string{&values[0]: "second", &values[1]: "first", &values[3]: "first"}, extras)
	require.Empty(t, x.list(key{1 << 63, 6}))
}

// Keys that are not spread evenly make an index slow, never wrong.
func TestIndexOfUnevenKeys(t *testing.T) {
	var x index[int]
	values := make([]int, 3*maxLeaf)
	var changes []change[int]
	keyAt := func(i int) key { return key{uint64(i % 3), uint64(i)} }
	for i := range values {
		changes = append(changes, change[int]{key: keyAt(i), new: &values[i]})
	}
	x = x.with(changes)
	for i := range values {
		require.Same(t, &values[i], x.get(keyAt(i)))
	}
	require.Nil(t, x.get(key{3, 1}))
	without := x.with([]change[int]{{key: keyAt(7), old: &values[7]}})
	require.Nil(t, without.get(keyAt(7)))
	require.Same(t, &values[7], x.get(keyAt(7)))
	require.Equal(t, len(values)-1, without.n)
}
