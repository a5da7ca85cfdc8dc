package vault

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMaster(t *testing.T) {
	want := newSecret()
	for _, text := range []string{
		hex.EncodeToString(want.bytes()), strings.ToUpper(hex.EncodeToString(want.bytes())),
		base64.StdEncoding.EncodeToString(want.bytes()), base64.RawStdEncoding.EncodeToString(want.bytes()),
		base64.URLEncoding.EncodeToString(want.bytes()), base64.RawURLEncoding.EncodeToString(want.bytes()),
		" " + base64.StdEncoding.EncodeToString(want.bytes()) + "\n",
	} {
		m, err := ParseMaster(text)
		require.NoError(t, err)
		assert.Equal(t, want, m.secret)
	}
	for _, text := range []string{
		"", "swordfish", hex.EncodeToString(want.bytes()[:31]), hex.EncodeToString(want.bytes()) + "00",
		base64.StdEncoding.EncodeToString(want.bytes()[:31]), base64.StdEncoding.EncodeToString(append(want.bytes(), 1)),
	} {
		_, err := ParseMaster(text)
		require.Error(t, err)
		if text != "" {
			assert.NotContains(t, err.Error(), text)
		}
	}
}

func TestMasterIsMadeAtFirstStartOnly(t *testing.T) {
	dir := t.TempDir()
	m, made, err := LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	assert.True(t, made)
	info, err := os.Stat(filepath.Join(dir, "vault.key"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	assert.Len(t, readAll(t, dir), 1)

	again, made, err := LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	assert.False(t, made)
	assert.Equal(t, m.secret, again.secret)

	other := newMaster()
	env, made, err := LoadOrCreateMaster(dir, hex.EncodeToString(other.secret.bytes()))
	require.NoError(t, err)
	assert.False(t, made)
	assert.Equal(t, other.secret, env.secret)
	_, _, err = LoadOrCreateMaster(dir, "swordfish")
	require.ErrorContains(t, err, "GATEHOUSE_VAULT_KEY")
	assert.NotContains(t, err.Error(), "swordfish")
}

func TestACrashWhileTheMasterIsMadeLeavesNoHalfKey(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vault.key.new"), []byte("half"), 0o600))
	_, made, err := LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	assert.True(t, made)
	assert.Len(t, readAll(t, dir), 1)
}

func TestNoNewMasterBesideAVault(t *testing.T) {
	dir := t.TempDir()
	master, _, err := LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	v, err := Open(t.Context(), dir, master)
	require.NoError(t, err)
	require.NoError(t, v.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "vault.key")))

	_, made, err := LoadOrCreateMaster(dir, "")
	require.ErrorIs(t, err, ErrNoMaster)
	assert.False(t, made)
	assert.ErrorContains(t, err, "GATEHOUSE_VAULT_KEY")
	assert.NoFileExists(t, filepath.Join(dir, "vault.key"))
}

func TestAMasterThatOthersMayReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	_, _, err := LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	path := filepath.Join(dir, "vault.key")
	require.NoError(t, os.Chmod(path, 0o640))
	_, _, err = LoadOrCreateMaster(dir, "")
	require.ErrorContains(t, err, "0640")

	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("half"), 0o600))
	_, _, err = LoadOrCreateMaster(dir, "")
	require.ErrorContains(t, err, path)
}
