package vault

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReservedKeysAreDurableFreshAndAnOrgsOwn(t *testing.T) {
	dir, master := t.TempDir(), newMaster()
	v := open(t, dir, master)
	first := reserve(t, v, "org", 100)
	crashed := copyDir(t, dir) // as it stands when Reserve has returned
	other := reserve(t, v, "other", 10)

	assert.Equal(t, byID(first...), load(t, v, "org", first...))
	assert.Empty(t, load(t, v, "other", first...))
	assert.Empty(t, load(t, v, "nobody", first...))
	assert.Equal(t, byID(other...), load(t, v, "other", append(other, first...)...))

	restarted := open(t, crashed, master)
	assert.Equal(t, byID(first...), load(t, restarted, "org", first...))
	again := reserve(t, restarted, "org", 100)
	assert.Len(t, byID(append(again, first...)...), 200, "a key was handed out twice")
	for _, k := range again {
		assert.Regexp(t, `^[0-9a-f]{16}$`, k.ID)
	}
}

func TestKeysPassesOverWhatItDoesNotHave(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	keys := reserve(t, v, "org", 3)
	asked := []string{keys[0].ID, "", "0123456789abcdef", keys[1].ID, keys[0].ID, strings.ToUpper(keys[2].ID), `"]`}
	found, err := v.Keys(t.Context(), "org", asked)
	require.NoError(t, err)
	assert.Equal(t, byID(keys[:2]...), found)

	found, err = v.Keys(t.Context(), "org", nil)
	require.NoError(t, err)
	assert.NotNil(t, found)
}

func TestManyKeysAtOnce(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	keys := reserve(t, v, "org", 2*loadChunk+1)
	assert.Equal(t, byID(keys...), load(t, v, "org", keys...))
}

func TestLimits(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	r, err := NewRemote(nil, newMaster()) // refuses before it asks
	require.NoError(t, err)
	for _, k := range []Keeper{v, r} {
		for _, n := range []int{-1, 0, MaxReserve + 1} {
			_, err := k.Reserve(t.Context(), "org", n)
			require.Error(t, err)
		}
		for _, name := range []string{"", strings.Repeat("x", maxName+1), "\xff"} {
			_, err := k.Reserve(t.Context(), name, 1)
			require.Error(t, err)
			_, err = k.Keys(t.Context(), name, nil)
			require.Error(t, err)
			_, err = k.TagKey(t.Context(), name, "s1", 1)
			require.Error(t, err)
			_, err = k.TagKey(t.Context(), "org", name, 1)
			require.Error(t, err)
		}
		for _, version := range []int{-1, 0, maxTagVersion} {
			_, err := k.TagKey(t.Context(), "org", "s1", version)
			require.Error(t, err)
		}
	}
}

// A wrapped key moved into another's place must not pass for that one.
func TestADamagedKeyIsNamedAndNotGiven(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	keys := reserve(t, v, "org", 2)
	_, err := v.db.Exec(`UPDATE secret SET wrapped = ? WHERE slot = (SELECT slot FROM key WHERE id = ?)`,
		wrapped(t, v, keys[0])[0], keys[1].ID)
	require.NoError(t, err)
	assert.Equal(t, byID(keys[0]), load(t, v, "org", keys...))
	assert.Equal(t, map[string][]string{"org": {keys[1].ID}}, v.Damaged())

	reserve(t, v, "other", 1)
	_, err = v.db.Exec(`UPDATE org SET slot = (SELECT slot FROM org WHERE name = 'org') WHERE name = 'other'`)
	require.NoError(t, err)
	_, err = v.Reserve(t.Context(), "other", 1)
	require.ErrorContains(t, err, "other")
	_, err = v.Keys(t.Context(), "other", []string{"0123456789abcdef"})
	require.ErrorIs(t, err, ErrDamaged)
	assert.Equal(t, []string{OrgKey}, v.Damaged()["other"])
}

func TestTagKeys(t *testing.T) {
	dir, master := t.TempDir(), newMaster()
	v := open(t, dir, master)
	tagKey := func(v *Vault, org, site string, version int) TagKey {
		k, err := v.TagKey(t.Context(), org, site, version)
		require.NoError(t, err)
		return k
	}
	empty := copyDir(t, dir)
	first := tagKey(v, "org", "s1", 1)
	assert.Equal(t, 1, first.Version)
	backup := copyDir(t, dir)

	second := tagKey(v, "org", "s1", 2)
	assert.Equal(t, 2, second.Version)
	assert.Equal(t, first, tagKey(v, "org", "s1", 1))
	assert.NotEqual(t, first.Tag("card", "26", "1"), second.Tag("card", "26", "1"))
	assert.NotEqual(t, first.secret, tagKey(v, "org", "s2", 1).secret)
	assert.NotEqual(t, first.secret, tagKey(v, "other", "s1", 1).secret)

	// A vault put back to before gives the same keys.
	restored := open(t, backup, master)
	assert.Equal(t, second, tagKey(restored, "org", "s1", 2))
	assert.Equal(t, first, tagKey(restored, "org", "s1", 1))

	// One from before the org would make keys of its own: it says so.
	early := open(t, empty, master)
	_, err := early.TagKey(t.Context(), "org", "s1", 2)
	require.ErrorIs(t, err, ErrNoTagKey)
	require.ErrorContains(t, err, "put back from before")
	assert.NotEqual(t, first, tagKey(early, "org", "s1", 1), "an org begins with a key of its own")
}

func TestACallThatIsGivenUpLeavesNothingHalfDone(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	keys := reserve(t, v, "org", 10)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Reserve(gone, "org", 10)
	require.ErrorIs(t, err, context.Canceled)
	_, err = v.Keys(gone, "org", ids(keys))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, v.Destroy(gone, "org", ids(keys), at(1)), context.Canceled)
	assert.Equal(t, byID(keys...), load(t, v, "org", keys...))

	// Given up at any time, the keys are all there or all gone, and the next call finds
	// the vault as it should be.
	for i := range 40 {
		batch := reserve(t, v, "org", 50)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*50*time.Microsecond)
		err := v.Destroy(ctx, "org", ids(batch), at(1))
		cancel()
		if left := load(t, v, "org", batch...); err == nil {
			require.Empty(t, left)
		} else {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Contains(t, []int{0, len(batch)}, len(left))
		}
		requireSettings(t, v) // a call that is given up may cost the connection
	}
}

func TestManyAtOnce(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	var mu sync.Mutex
	var kept []Key
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 5 {
				keys := reserve(t, v, "org", 20)
				assert.Equal(t, byID(keys...), load(t, v, "org", keys...))
				assert.NoError(t, v.Destroy(t.Context(), "org", ids(keys[:10]), at(uint64(5*w+i))))
				assert.Equal(t, byID(keys[10:]...), load(t, v, "org", keys...))
				_, err := v.TagKey(t.Context(), "org", "s1", 1)
				assert.NoError(t, err)
				mu.Lock()
				kept = append(kept, keys[10:]...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	assert.Len(t, byID(kept...), 400)
	assert.Equal(t, byID(kept...), load(t, v, "org", kept...))
}
