package eventstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/highwayhash"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/streams"
)

// metaSum is the checksum that the server writes beside the description of a stream.
func metaSum(stream string, content []byte) string {
	key := sha256.Sum256([]byte(stream))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// withOldSum leaves a stream as a kill does that came while its settings were changed:
// with the description that is new, and the checksum of the one before.
func withOldSum(t *testing.T, folder, stream string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "meta.inf"))
	require.NoError(t, err)
	has, err := os.ReadFile(filepath.Join(folder, "meta.sum"))
	require.NoError(t, err)
	now := metaSum(stream, content)
	require.Equal(t, string(has), now, "the checksum as this version of the server makes it")
	before := metaSum(stream, bytes.Replace(content, []byte("Gatehouse: "), []byte("Before: "), 1))
	require.NotEqual(t, now, before)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "meta.sum"), []byte(before), 0o600))
	hour := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(folder, "meta.sum"), hour, hour))
}

// A kill while the settings of a stream are changed costs nothing. When the settings
// were written and their checksum was not, the next start writes it.
func TestAKillWhileSettingsChangeCostsNoStream(t *testing.T) {
	whole := afterKill(t)
	for _, stream := range allStreams {
		t.Run(stream, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			require.NoError(t, copyData(dir, whole))
			withOldSum(t, filepath.Join(dir, streamsIn, stream), stream)
			s, err := openData(t, dir, "")
			require.NoError(t, err)
			defer s.stop()
			fill(t, s.Store, "acme", 1)
			assert.Empty(t, s.cfg.Embedded.Kept())
			info, err := s.js.Stream(t.Context(), stream)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, info.CachedInfo().State.Msgs, uint64(3))
		})
	}
}

// A description that no kill leaves so is taken for damage: what it allows could take
// messages out.
func TestADamagedDescriptionIsNotBelieved(t *testing.T) {
	whole := afterKill(t)
	change := func(old, new string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			file := filepath.Join(folder, "meta.inf")
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Contains(t, string(content), old)
			require.NoError(t, os.WriteFile(file, bytes.Replace(content, []byte(old), []byte(new), 1), 0o600))
		}
	}
	for name, damage := range map[string]func(t *testing.T, folder string){
		"older than the checksum": func(t *testing.T, folder string) {
			day := time.Now().Add(-24 * time.Hour)
			require.NoError(t, os.Chtimes(filepath.Join(folder, "meta.inf"), day, day))
		},
		"of another stream": func(t *testing.T, folder string) {
			content, err := os.ReadFile(filepath.Join(folder, "..", streams.Activity, "meta.inf"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(folder, "meta.inf"), content, 0o600))
		},
		"made at another time":    change(`"Created":"2`, `"Created":"1`),
		"one message per subject": change(`"max_msgs_per_subject":-1`, `"max_msgs_per_subject":1`),
		"an unknown setting":      change(`"max_msgs_per_subject"`, `"max_msgs_per_sabject"`),
		"an unknown entry":        change(`"gatehouse_vault"`, `"gatehause_vault"`),
		"other subjects":          change(`ledger.*.*`, `ledfer.*.*`),
		"cut off":                 change(`}`, ``),
		"written by another":      change(`,`, `, `),
		"beside no marks": func(t *testing.T, folder string) {
			require.NoError(t, os.RemoveAll(filepath.Join(folder, "../../../../..", "marks")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			require.NoError(t, copyData(dir, whole))
			folder := filepath.Join(dir, streamsIn, streams.Ledger)
			withOldSum(t, folder, streams.Ledger)
			damage(t, folder)
			_, err := openData(t, dir, "")
			assert.ErrorIs(t, err, ErrLedgerLost, fmt.Sprint("a description ", name))
		})
	}
}
