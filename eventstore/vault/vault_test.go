package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var followed = Cursor{Ledger: "2026-01-05T07:00:00Z", Sequence: 0}

func at(sequence uint64) Cursor { return Cursor{followed.Ledger, sequence} }

// open opens a vault that follows the ledger of at, and closes it at the end of the test.
func open(t testing.TB, dir string, master Master) *Vault {
	t.Helper()
	v, err := Open(t.Context(), dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v
}

func newMaster() Master { return Master{newSecret()} }

func reserve(t testing.TB, k Keeper, org string, n int) []Key {
	t.Helper()
	keys, err := k.Reserve(t.Context(), org, n)
	require.NoError(t, err)
	require.Len(t, keys, n)
	return keys
}

func load(t testing.TB, k Keeper, org string, keys ...Key) map[string]Key {
	t.Helper()
	found, err := k.Keys(t.Context(), org, ids(keys))
	require.NoError(t, err)
	require.NotNil(t, found)
	return found
}

func ids(keys []Key) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.ID
	}
	return all
}

// byID is what Keys answers when all of keys are there.
func byID(keys ...Key) map[string]Key {
	all := make(map[string]Key)
	for _, k := range keys {
		all[k.ID] = k
	}
	return all
}

// wrapped gives the slots' bytes of keys as they lie in the file.
func wrapped(t testing.TB, v *Vault, keys ...Key) [][]byte {
	t.Helper()
	all := make([][]byte, 0, len(keys))
	for _, k := range keys {
		var w []byte
		err := v.db.QueryRow(`SELECT wrapped FROM secret JOIN key USING (slot) WHERE id = ?`, k.ID).Scan(&w)
		require.NoError(t, err)
		require.Len(t, w, wrappedSize)
		all = append(all, w)
	}
	return all
}

// spellings gives the bytes of keys in every way in which a program writes bytes.
func spellings(keys ...Key) [][]byte {
	var all [][]byte
	for _, k := range keys {
		all = append(all, spell(k.secret)...)
	}
	return all
}

func spell(secret secret) [][]byte {
	s := secret.bytes()
	return [][]byte{
		s, []byte(hex.EncodeToString(s)), bytes.ToUpper([]byte(hex.EncodeToString(s))),
		[]byte(base64.RawStdEncoding.EncodeToString(s)), []byte(base64.RawURLEncoding.EncodeToString(s)),
	}
}

// windowSize is how long a part of a needle counts as found: no 16 random bytes occur
// twice.
const windowSize = 16

// needles are the parts that a search looks for.
type needles map[[windowSize]byte]bool

func needlesOf(all ...[][]byte) needles {
	n := make(needles)
	n.add(all...)
	return n
}

func (n needles) add(all ...[][]byte) {
	for _, texts := range all {
		for _, b := range texts {
			for i := 0; i+windowSize <= len(b); i++ {
				n[[windowSize]byte(b[i:])] = true
			}
		}
	}
}

// in counts the places in any file under dir where a needle lies.
func (n needles) in(t testing.TB, dir string) int {
	t.Helper()
	found := 0
	for _, b := range readAll(t, dir) {
		for i := 0; i+windowSize <= len(b); i++ {
			if n[[windowSize]byte(b[i:])] {
				found++
			}
		}
	}
	return found
}

func readAll(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = b
	}
	return files
}

// copyDir gives a directory with the same files: what a crash at this moment, or a
// backup, would have left.
func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for name, b := range readAll(t, dir) {
		require.NoError(t, os.WriteFile(filepath.Join(to, name), b, 0o600))
	}
	return to
}
