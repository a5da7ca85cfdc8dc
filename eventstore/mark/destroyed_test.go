package mark

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDestroyedKeysAreKeptAndCopied(t *testing.T) {
	dir, witness := t.TempDir(), t.TempDir()
	none, err := ReadDestroyed(dir)
	require.NoError(t, err)
	assert.Empty(t, none)
	one, two, three := DestroyedKey{"acme", "k1"}, DestroyedKey{"acme", "k2"}, DestroyedKey{"beta", "k1"}
	require.NoError(t, NoteDestroyed(dir, []DestroyedKey{one, two}))
	require.NoError(t, CopyDestroyed(dir, witness))
	path := filepath.Join(dir, DestroyedName)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(content, []byte("beta k")...), 0o600)) // a power cut
	require.NoError(t, NoteDestroyed(dir, []DestroyedKey{three, one}))
	for range 2 {
		require.NoError(t, CopyDestroyed(dir, witness))
	}
	for _, at := range []string{dir, witness} {
		have, err := ReadDestroyed(at)
		require.NoError(t, err)
		assert.Equal(t, []DestroyedKey{one, two, three}, have)
	}
	size := func() int64 {
		at, err := os.Stat(filepath.Join(witness, DestroyedName))
		require.NoError(t, err)
		return at.Size()
	}
	before := size()
	require.NoError(t, CopyDestroyed(dir, witness))
	assert.Equal(t, before, size(), "what is there is not copied again")
}
