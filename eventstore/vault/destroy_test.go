package vault

import (
	"database/sql"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/randomtest"
)

// No file holds a byte of a destroyed key, even while the vault is open. That holds for
// any keys reserved and destroyed in any order; every other key stays the same.
func TestDestroyLeavesNoByte(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(randomtest.Seed(t, seed), 0))
		dir := t.TempDir()
		v := open(t, dir, newMaster())
		live := map[string][]Key{}
		var gone []Key
		lost := make(needles)
		for round := range 12 {
			for _, org := range []string{"org", "other"} {
				live[org] = append(live[org], reserve(t, v, org, 1+r.IntN(120))...)
				r.Shuffle(len(live[org]), func(i, j int) { live[org][i], live[org][j] = live[org][j], live[org][i] })
				n := r.IntN(len(live[org]))
				if round == 0 {
					n = len(live[org]) // the first page of the table
				}
				doomed := live[org][:n]
				live[org] = live[org][n:]
				gone = append(gone, doomed...)
				lost.add(wrapped(t, v, doomed...), spellings(doomed...))
				require.NoError(t, v.Destroy(t.Context(), org, ids(doomed), at(uint64(round))))
			}
			require.Zero(t, lost.in(t, dir), "seed %d, round %d: bytes of %d destroyed keys", seed, round, len(gone))
		}
		require.NotEmpty(t, gone)
		for org, keys := range live {
			require.Equal(t, byID(keys...), load(t, v, org, append(keys, gone...)...))
			require.NotZero(t, needlesOf(wrapped(t, v, keys...)).in(t, dir), "the search finds what is there")
			require.Zero(t, needlesOf(spellings(keys...)).in(t, dir), "a key lies in the file unwrapped")
		}
	}
}

func TestDestroyMayBeRepeatedAndConcernsOneOrg(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	mine, other := reserve(t, v, "org", 4), reserve(t, v, "other", 4)
	asked := append(ids(mine[:2]), ids(other)...)
	asked = append(asked, "", "0123456789abcdef", mine[0].ID)
	for range 3 {
		require.NoError(t, v.Destroy(t.Context(), "org", asked, at(1)))
		assert.Equal(t, byID(mine[2:]...), load(t, v, "org", mine...))
		assert.Equal(t, byID(other...), load(t, v, "other", other...))
	}
	require.NoError(t, v.Destroy(t.Context(), "nobody", asked, at(1)))
	reserve(t, v, "nobody", 1)
}

func TestDestroyedSlotsAreUsedAgain(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	for range 5 {
		keys := reserve(t, v, "org", 50)
		require.NoError(t, v.Destroy(t.Context(), "org", ids(keys), at(1)))
	}
	var slots int
	require.NoError(t, v.db.QueryRow(`SELECT count(*) FROM secret`).Scan(&slots))
	assert.Equal(t, 51, slots)
}

func TestDestroyOrg(t *testing.T) {
	dir, master := t.TempDir(), newMaster()
	v := open(t, dir, master)
	mine, other := reserve(t, v, "org", 200), reserve(t, v, "other", 4)
	tag, err := v.TagKey(t.Context(), "org", "s1", 2)
	require.NoError(t, err)
	var orgKey []byte
	require.NoError(t, v.db.QueryRow(`SELECT wrapped FROM secret JOIN org USING (slot) WHERE name = 'org'`).Scan(&orgKey))
	lost := needlesOf(wrapped(t, v, mine...), spellings(mine...), [][]byte{orgKey}, spell(tag.secret))

	for range 2 {
		require.NoError(t, v.DestroyOrg(t.Context(), "org", at(1)))
		require.NoError(t, v.DestroyOrg(t.Context(), "never", at(1)))
		assert.Zero(t, lost.in(t, dir))
		for _, org := range []string{"org", "never"} {
			assert.Empty(t, load(t, v, org, mine...))
			_, err = v.Reserve(t.Context(), org, 1)
			require.ErrorIs(t, err, ErrDestroyed)
			_, err = v.TagKey(t.Context(), org, "s1", 2)
			require.ErrorIs(t, err, ErrDestroyed)
			require.NoError(t, v.Destroy(t.Context(), org, ids(mine), at(1)))
		}
	}
	assert.Equal(t, byID(other...), load(t, v, "other", other...))
	reserve(t, v, "other", 300) // into the slots of the destroyed
	assert.Equal(t, byID(other...), load(t, v, "other", other...))
}

func TestNoCallThatBeginsAfterDestroyGivesTheKey(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	keys := reserve(t, v, "org", loadChunk+100)
	under := make(chan map[string]Key)
	stop := make(chan struct{})
	go func() {
		defer close(under)
		for {
			found, err := v.Keys(t.Context(), "org", ids(keys))
			assert.NoError(t, err)
			select {
			case under <- found:
			case <-stop:
				return
			}
		}
	}()
	<-under
	require.NoError(t, v.Destroy(t.Context(), "org", ids(keys), at(1)))
	<-under // began before, perhaps
	assert.Empty(t, <-under)
	close(stop)
	for range under {
	}
}

func TestCursor(t *testing.T) {
	dir, master := t.TempDir(), newMaster()
	v := open(t, dir, master)
	cursor := func(v *Vault, ledger string, last uint64) uint64 {
		n, err := v.Cursor(t.Context(), ledger, last)
		require.NoError(t, err)
		return n
	}
	require.Error(t, v.SetCursor(t.Context(), at(5)), "a ledger that Cursor was not asked for")
	assert.Zero(t, cursor(v, followed.Ledger, 100))
	require.NoError(t, v.SetCursor(t.Context(), at(5)))
	assert.EqualValues(t, 5, cursor(v, followed.Ledger, 100))
	require.NoError(t, v.SetCursor(t.Context(), at(4)))
	assert.EqualValues(t, 5, cursor(v, followed.Ledger, 100), "went back")

	keys := reserve(t, v, "org", 2)
	require.NoError(t, v.Destroy(t.Context(), "org", ids(keys[:1]), at(7)))
	require.NoError(t, v.DestroyOrg(t.Context(), "gone", at(9)))
	require.NoError(t, v.DestroyOrg(t.Context(), "gone too", at(8)))
	assert.EqualValues(t, 9, cursor(open(t, copyDir(t, dir), master), followed.Ledger, 100))

	// Of another ledger nothing is known: the keys go, the cursor stays.
	require.NoError(t, v.Destroy(t.Context(), "org", ids(keys[1:]), Cursor{"another", 50}))
	assert.Empty(t, load(t, v, "org", keys...))
	assert.EqualValues(t, 9, cursor(v, followed.Ledger, 9))
	assert.Zero(t, cursor(v, followed.Ledger, 8), "the ledger was put back to before the cursor")
	assert.Zero(t, cursor(v, followed.Ledger, 100))

	require.NoError(t, v.SetCursor(t.Context(), at(9)))
	assert.Zero(t, cursor(v, "another", 100))
	require.Error(t, v.SetCursor(t.Context(), at(10)))
	assert.Zero(t, cursor(v, followed.Ledger, 100), "the vault had turned to another ledger since")
}

// fences is a ledger: the keys that the message of each sequence destroys.
type fences map[uint64][]string

// catchUp follows the ledger as an instance does before it serves.
func (f fences) catchUp(t *testing.T, v *Vault, last uint64) {
	t.Helper()
	from, err := v.Cursor(t.Context(), followed.Ledger, last)
	require.NoError(t, err)
	for n := from + 1; n <= last; n++ {
		if len(f[n]) > 0 {
			require.NoError(t, v.Destroy(t.Context(), "org", f[n], at(n)))
		}
	}
	require.NoError(t, v.SetCursor(t.Context(), at(last)))
}

func TestARestoredVaultDestroysAgain(t *testing.T) {
	dir, master := t.TempDir(), newMaster()
	v := open(t, dir, master)
	keys := reserve(t, v, "org", 200)
	lost := needlesOf(wrapped(t, v, keys[:150]...), spellings(keys[:150]...))
	ledger := fences{3: ids(keys[:50]), 8: ids(keys[50:100]), 11: ids(keys[100:150])}
	ledger.catchUp(t, v, 5)
	backup := copyDir(t, dir)
	ledger.catchUp(t, v, 12)
	assert.Zero(t, lost.in(t, dir))

	restored := open(t, backup, master)
	require.Len(t, load(t, restored, "org", keys...), 150, "the backup has what was destroyed since")
	require.NotZero(t, lost.in(t, backup))
	ledger.catchUp(t, restored, 12)
	assert.Equal(t, byID(keys[150:]...), load(t, restored, "org", keys...))
	assert.Zero(t, lost.in(t, backup))
}

// A crash may come before, in or after the transaction of Destroy. The keys are there
// with the old cursor, or gone with the new one. When the vault has caught up with the
// ledger, nothing of them is left.
func TestCrashWhileDestroying(t *testing.T) {
	dir, master := t.TempDir(), newMaster()
	v := open(t, dir, master)
	keys := reserve(t, v, "org", 800)
	doomed := keys[:600]
	lost := needlesOf(wrapped(t, v, doomed...), spellings(doomed...))
	ledger := fences{6: ids(doomed)}
	ledger.catchUp(t, v, 5)

	before := copyDir(t, dir)
	// With room for a few pages only, SQLite writes into the file before the end of the
	// transaction.
	_, err := v.db.Exec(`PRAGMA cache_size = 5`)
	require.NoError(t, err)
	var during string
	err = v.destroyIn(t.Context(), at(6), func(tx *sql.Tx) error {
		if err := destroyKeys(tx, "org", ids(doomed)); err != nil {
			return err
		}
		during = copyDir(t, dir)
		return nil
	})
	require.NoError(t, err)
	after := copyDir(t, dir)

	was, torn := readAll(t, before), readAll(t, during)
	require.NotEqual(t, was[dbFile], torn[dbFile], "the file is half written")
	require.NotEmpty(t, torn[dbFile+"-journal"], "the journal can undo it")
	require.NotZero(t, lost.in(t, during))
	require.Zero(t, lost.in(t, after))

	for name, c := range map[string]struct {
		dir    string
		cursor uint64
		left   []Key
	}{
		"before": {before, 5, keys},
		"during": {during, 5, keys},
		"after":  {after, 6, keys[600:]},
	} {
		t.Run(name, func(t *testing.T) {
			v := open(t, c.dir, master)
			cursor, err := v.Cursor(t.Context(), followed.Ledger, 6)
			require.NoError(t, err)
			assert.Equal(t, c.cursor, cursor)
			assert.Equal(t, byID(c.left...), load(t, v, "org", keys...))
			ledger.catchUp(t, v, 6)
			assert.Equal(t, byID(keys[600:]...), load(t, v, "org", keys...))
			assert.Zero(t, lost.in(t, c.dir))
		})
	}
}
