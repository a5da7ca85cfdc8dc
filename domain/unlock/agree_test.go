package unlock

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/randomtest"
)

// TestDecideAgreesWithOracle and the fuzz test compare every answer with that of
// the slow and obvious decision.
func TestDecideAgreesWithOracle(t *testing.T) {
	seen := map[Code]int{}
	for seed := range uint64(250) {
		agree(t, randomtest.Seed(t, seed), seen)
	}
	if !randomtest.Fixed() {
		return // which codes some worlds give is chance
	}
	for _, c := range Codes() {
		if c != DenyCredentialDuplicate && c != DenyBookingSuspended { // never the primary one; told to people alone
			require.NotZero(t, seen[c], "no random world gave %s", c)
		}
	}
}

func FuzzDecide(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { agree(t, seed, map[Code]int{}) })
}

func agree(t *testing.T, seed uint64, seen map[Code]int) {
	t.Helper()
	d := newDice(t, seed)
	rows := d.rows()
	table, err := NewTable(rows...)
	require.NoError(t, err, "seed %d", seed)
	o := oracleOf(rows...)
	for range 100 {
		local, r := d.local(), d.request()
		got, want := verdictOf(Decide(table, &local, r)), o.decide(local, r)
		require.Equal(t, want, got, "seed %d, local %+v, request %+v", seed, local, r)
		seen[got.Code]++
	}
}

// TestApplyIsRebuild applies random deltas one after another. Each table must be
// the one that a rebuild gives, in rows, digest, size of what it keeps, and
// answers; and at the end those before must still be what they were.
func TestApplyIsRebuild(t *testing.T) {
	for seed := range uint64(40) {
		rebuild(t, randomtest.Seed(t, seed))
	}
}

func FuzzApply(f *testing.F) {
	for seed := range uint64(5) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { rebuild(t, seed) })
}

func rebuild(t *testing.T, seed uint64) {
	t.Helper()
	d := newDice(t, seed)
	rows := oracle{}
	table := new(Table)
	type past struct {
		table    *Table
		digest   Digest
		requests []Request
		local    Local
		answers  []verdict
	}
	var history []past
	for n := range 25 {
		delta := d.delta(rows)
		if n == 0 {
			start := d.rows()
			rows = oracleOf(start...)
			delta = Delta{Put: start}
		}
		var err error
		table, err = table.Apply(delta)
		require.NoError(t, err, "seed %d", seed)
		shuffled := each[Row](rows)
		d.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		fresh, err := NewTable(shuffled...)
		require.NoError(t, err, "seed %d", seed)
		require.Equal(t, fresh.Digest(), table.Digest(), "seed %d", seed)
		require.Equal(t, slices.Collect(fresh.All()), slices.Collect(table.All()), "seed %d", seed)
		require.Equal(t, sizes(fresh), sizes(table), "seed %d", seed)
		p := past{table: table, digest: table.Digest(), local: d.local()}
		for range 20 {
			r := d.request()
			p.requests = append(p.requests, r)
			p.answers = append(p.answers, oracle(rows).decide(p.local, r))
		}
		history = append(history, p)
	}
	for n, p := range history {
		require.Equal(t, p.digest, p.table.Digest(), "seed %d, table %d", seed, n)
		for i, r := range p.requests {
			require.Equal(t, p.answers[i], verdictOf(Decide(p.table, &p.local, r)), "seed %d, table %d", seed, n)
		}
	}
}

// sizes counts what a table keeps beside rows, lest it keeps too much for ever.
func sizes(t *Table) map[string]int {
	dependants := 0
	for _, d := range t.dependants.all() {
		dependants += len(*d)
	}
	entries := 0
	for range t.tags.all() {
		entries++
	}
	return map[string]int{
		"rows": t.Len(), "holders": t.holders.n, "tags": t.tags.n, "entries": entries,
		"needed": t.dependants.n, "dependants": dependants,
	}
}
