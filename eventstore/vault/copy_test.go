package vault

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A copy has every live key and no byte of a destroyed one. It reveals nothing without
// the master key.
func TestACopyIsTheVaultAsItIs(t *testing.T) {
	master := newMaster()
	v := open(t, t.TempDir(), master)
	live, gone := reserve(t, v, "org", 400), reserve(t, v, "org", 400)
	lost := needlesOf(wrapped(t, v, gone...), spellings(gone...))
	_, err := v.Cursor(t.Context(), followed.Ledger, 1)
	require.NoError(t, err)
	require.NoError(t, v.Destroy(t.Context(), "org", ids(gone), at(7)))
	var sealed bytes.Buffer
	require.NoError(t, v.Copy(t.Context(), &sealed))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sealed"), sealed.Bytes(), 0o600))
	require.Zero(t, needlesOf(wrapped(t, v, live...)).in(t, dir), "the copy tells something without the master key")
	require.ErrorIs(t, PutBack(t.Context(), dir, newMaster(), bytes.NewReader(sealed.Bytes())), ErrWrongMaster)
	require.Error(t, PutBack(t.Context(), dir, master, bytes.NewReader(sealed.Bytes()[:sealed.Len()-1])), "cut off")
	require.NoError(t, PutBack(t.Context(), dir, master, bytes.NewReader(sealed.Bytes())))
	require.ErrorContains(t, PutBack(t.Context(), dir, master, bytes.NewReader(sealed.Bytes())), "already exists")
	require.Zero(t, lost.in(t, dir), "destroyed keys are in the copy")
	back := open(t, dir, master)
	assert.Equal(t, byID(live...), load(t, back, "org", append(live, gone...)...))
	id, err := v.ID(t.Context())
	require.NoError(t, err)
	again, err := back.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, id, again)
	cursor, err := back.Cursor(t.Context(), followed.Ledger, 10)
	require.NoError(t, err)
	assert.Equal(t, uint64(7), cursor)
}
