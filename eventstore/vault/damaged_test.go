package vault

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// flip turns one bit of the slot that holds a wrapped key.
func flip(t testing.TB, v *Vault, id string, at int, bit byte) {
	t.Helper()
	var slot int64
	var w []byte
	require.NoError(t, v.db.QueryRow(`SELECT slot, wrapped FROM secret JOIN key USING (slot) WHERE id = ?`, id).Scan(&slot, &w))
	w[at] ^= 1 << bit
	require.NoError(t, one(v.db.Exec(`UPDATE secret SET wrapped = ? WHERE slot = ?`, w, slot)))
}

// A flipped bit anywhere in a slot, nonce, cipher text or tag, costs the one key that
// lies there.
func TestAFlippedBitCostsOneKey(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	keys := reserve(t, v, "org", 3)
	for at := range wrappedSize {
		bit := byte(at % 8)
		flip(t, v, keys[1].ID, at, bit)
		assert.Equal(t, byID(keys[0], keys[2]), load(t, v, "org", keys...), "byte %d", at)
		assert.Equal(t, map[string][]string{"org": {keys[1].ID}}, v.Damaged(), "byte %d", at)
		flip(t, v, keys[1].ID, at, bit)
		assert.Equal(t, byID(keys...), load(t, v, "org", keys...), "the slot is mended")
		assert.Empty(t, v.Damaged())
	}
}

func TestADamagedKeyIsDestroyedAsAnyOther(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	keys := reserve(t, v, "org", 2)
	flip(t, v, keys[0].ID, 20, 3)
	load(t, v, "org", keys...)
	require.NoError(t, v.Destroy(t.Context(), "org", ids(keys[:1]), at(1)))
	assert.Empty(t, v.Damaged(), "there is nothing left to mend")
	assert.Equal(t, byID(keys[1]), load(t, v, "org", keys...))
}

// The holder of the vault tells those who ask it which keys are damaged.
func TestDamageIsToldToWhoAsks(t *testing.T) {
	master := newMaster()
	v := open(t, t.TempDir(), master)
	keys := reserve(t, v, "org", 2)
	flip(t, v, keys[0].ID, 59, 7)
	h := &holder{vault: v, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	reply, err := h.keys(context.Background(), wireRequest{Org: "org", IDs: ids(keys)})
	require.NoError(t, err)
	assert.Len(t, reply.Keys, 1)
	assert.Equal(t, []string{keys[0].ID}, reply.Damaged)
	var d damage
	d.note("org", []string{keys[0].ID, keys[1].ID}, reply.Damaged)
	assert.Equal(t, map[string][]string{"org": {keys[0].ID}}, d.Damaged())
}
