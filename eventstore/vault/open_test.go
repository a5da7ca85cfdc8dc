package vault

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a dir?with#odd%20name")
	require.NoError(t, os.Mkdir(dir, 0o755))
	master := newMaster()
	v, err := Open(t.Context(), dir, master)
	require.NoError(t, err)
	key := reserve(t, v, "org", 1)[0]
	requireOwnerOnly(t, dir)
	require.NoError(t, v.Close())

	// Put back from a backup that forgot the mode.
	require.NoError(t, os.Chmod(filepath.Join(dir, dbFile), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, dbFile+"-journal"), nil, 0o644))
	require.NoError(t, os.Chmod(filepath.Join(dir, dbFile+"-journal"), 0o644))
	v = open(t, dir, master)
	assert.Equal(t, byID(key), load(t, v, "org", key))
	requireOwnerOnly(t, dir)
}

func requireOwnerOnly(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), e.Name())
	}
}

func TestWrongMasterIsRefusedAndChangesNothing(t *testing.T) {
	dir, master := t.TempDir(), newMaster()
	v, err := Open(t.Context(), dir, master)
	require.NoError(t, err)
	key := reserve(t, v, "org", 1)[0]
	require.NoError(t, v.Close())
	before := readAll(t, dir)

	_, err = Open(t.Context(), dir, newMaster())
	require.ErrorIs(t, err, ErrWrongMaster)
	assert.ErrorContains(t, err, "GATEHOUSE_VAULT_KEY")
	_, err = Open(t.Context(), dir, Master{})
	require.ErrorIs(t, err, ErrNoMaster)
	assert.Equal(t, before[dbFile], readAll(t, dir)[dbFile])

	assert.Equal(t, byID(key), load(t, open(t, dir, master), "org", key))
}

func TestOneVaultPerFile(t *testing.T) {
	dir, master := t.TempDir(), newMaster()
	v, err := Open(t.Context(), dir, master)
	require.NoError(t, err)
	_, err = Open(t.Context(), dir, master)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, v.Close())
	open(t, dir, master)

	_, err = v.Reserve(t.Context(), "org", 1)
	require.Error(t, err, "closed")
}

func TestOtherFilesAreNoVault(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, dbFile), []byte("a text of some length, but not an SQLite file"), 0o600))
	_, err := Open(t.Context(), dir, newMaster())
	require.ErrorContains(t, err, "not a database")

	dir = t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, dbFile))
	require.NoError(t, err)
	_, err = db.Exec(`CREATE TABLE people (name TEXT)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = Open(t.Context(), dir, newMaster())
	require.ErrorContains(t, err, "not a vault")

	dir, master := t.TempDir(), newMaster()
	v, err := Open(t.Context(), dir, master)
	require.NoError(t, err)
	_, err = v.db.Exec(`PRAGMA user_version = 2`)
	require.NoError(t, err)
	require.NoError(t, v.Close())
	_, err = Open(t.Context(), dir, master)
	require.ErrorContains(t, err, "format 2")
}

// An empty file is what a crash between making the file and its tables leaves.
func TestACrashWhileTheVaultIsMade(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, dbFile), nil, 0o600))
	master, made, err := LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	assert.True(t, made)
	reserve(t, open(t, dir, master), "org", 1)
}

func TestTheSettingsHold(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	reserve(t, v, "org", 1)
	requireSettings(t, v)
}

func requireSettings(t *testing.T, v *Vault) {
	t.Helper()
	for pragma, want := range map[string]string{
		"journal_mode": "truncate", "locking_mode": "exclusive", "secure_delete": "1", "synchronous": "2",
		"auto_vacuum": "0", "temp_store": "2",
	} {
		var got string
		require.NoError(t, v.db.QueryRow("PRAGMA "+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
}
