package durable

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A file is replaced as a whole and readable by its owner alone. Nothing else is left
// beside it, whether that succeeds or not.
func TestReplaceLeavesOneWholeFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	path := filepath.Join(dir, "file")
	names := func() (out []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	require.NoError(t, Replace(path, []byte("a longer text")))
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, Replace(path, []byte("short")))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "short", string(content))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	assert.Equal(t, []string{"file"}, names())

	taken := filepath.Join(dir, "folder")
	require.NoError(t, os.MkdirAll(filepath.Join(taken, "inside"), 0o700))
	assert.Error(t, Replace(taken, []byte("a folder has its name")))
	assert.Equal(t, []string{"file", "folder"}, names())
}
