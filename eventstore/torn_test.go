package eventstore

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
)

// afterKill is a data directory as a kill leaves it: three messages of each stream are
// acknowledged and marked, and the server has not ended.
func afterKill(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	running := t.TempDir()
	s, err := openData(t, running, "")
	require.NoError(t, err)
	newOrg(t, s.Store, "acme")
	fill(t, s.Store, "acme", 2)
	w, err := s.ActivityWriter(t.Context(), "acme", "north", "lobby")
	require.NoError(t, err)
	var last uint64
	for k := range 3 {
		require.NoError(t, w.Append(t.Context(), records(k+1, 1)))
		_, err := s.Execute(t.Context(), "acme", request(&domain.SuspendPerson{Person: "nobody"}))
		require.Error(t, err)
		last, err = s.GuardedAppend(t.Context(), streams.Permissions, "permissions.acme.north", [][]byte{[]byte("{}")}, last)
		require.NoError(t, err)
	}
	require.NoError(t, copyData(dir, running))
	s.stop()
	return dir
}

func blockOf(dir, stream string) string {
	return filepath.Join(dir, streamsIn, stream, "msgs", "1.blk")
}

// A record in a block of the server: its head, and the bit of its length that tells of
// headers.
const (
	recordHead = 22
	headersBit = 1 << 31
)

var allStreams = []string{streams.Ledger, streams.Activity, streams.Permissions, streams.Refusals}

// lastRecord returns where the last record of a block begins.
func lastRecord(t *testing.T, content []byte) int {
	t.Helper()
	at := 0
	for {
		next := at + int(binary.LittleEndian.Uint32(content[at:])&^headersBit)
		if next >= len(content) {
			return at
		}
		at = next
	}
}

// opens starts on a data directory and returns what it tells of damage.
func opens(t *testing.T, dir string) (told []string, acme error) {
	t.Helper()
	s, err := openData(t, dir, "")
	require.NoError(t, err)
	defer s.stop()
	acme = s.View(t.Context(), "acme", func(*domain.State, Head) error { return nil })
	if acme == nil {
		fill(t, s.Store, "acme", 1)
	}
	return s.cfg.Embedded.Kept(), acme
}

// A record that was being written when the process was killed was acknowledged to
// nobody: it is dropped, and everything goes on.
func TestATornTailBeyondTheMarkIsNoDamage(t *testing.T) {
	torn := map[string]func(last []byte) []byte{
		"a byte":           func(last []byte) []byte { return last[:1] },
		"half of its head": func(last []byte) []byte { return last[:recordHead/2] },
		"half of it":       func(last []byte) []byte { return last[:len(last)/2] },
		"all but a byte":   func(last []byte) []byte { return last[:len(last)-1] },
		"room for it":      func(last []byte) []byte { return make([]byte, len(last)) },
		"its head and zeros": func(last []byte) []byte {
			return append(last[:recordHead:recordHead], make([]byte, len(last)-recordHead)...)
		},
		"a page that is away": func(last []byte) []byte { copy(last[recordHead:], make([]byte, 40)); return last },
	}
	from := afterKill(t)
	for name, tear := range torn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, copyData(dir, from))
			for _, stream := range allStreams {
				content, err := os.ReadFile(blockOf(dir, stream))
				require.NoError(t, err)
				next := append([]byte{}, content[lastRecord(t, content):]...)
				binary.LittleEndian.PutUint64(next[4:], binary.LittleEndian.Uint64(next[4:])+1)
				require.NoError(t, os.WriteFile(blockOf(dir, stream), append(content, tear(next)...), 0o600))
			}
			for range 2 {
				told, acme := opens(t, dir)
				assert.Empty(t, told)
				assert.NoError(t, acme)
			}
		})
	}
}

// A record that was acknowledged is not dropped in silence, however much its loss looks
// like what a crash leaves.
func TestATornTailWithinTheMarkIsDamage(t *testing.T) {
	from := afterKill(t)
	for name, cut := range map[string]func(content []byte, last int) []byte{
		"half of the last record": func(content []byte, last int) []byte { return content[:(last+len(content))/2] },
		"all of the last record":  func(content []byte, last int) []byte { return content[:last] },
		"zeros for the last record": func(content []byte, last int) []byte {
			return append(content[:last], make([]byte, len(content)-last)...)
		},
		"a bit in the last but one":    func(content []byte, last int) []byte { content[last-20] ^= 1; return content },
		"what follows the last record": func(content []byte, last int) []byte { return append(content, content[:last]...)[:len(content)+30] },
	} {
		for _, stream := range allStreams {
			t.Run(stream+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				require.NoError(t, copyData(dir, from))
				content, err := os.ReadFile(blockOf(dir, stream))
				require.NoError(t, err)
				damaged := cut(append([]byte{}, content...), lastRecord(t, content))
				require.NoError(t, os.WriteFile(blockOf(dir, stream), damaged, 0o600))
				for range 2 { // until somebody has moved what is kept elsewhere
					told, acme := opens(t, dir)
					if strings.HasPrefix(name, "what follows") {
						assert.Empty(t, told)
						assert.NoError(t, acme)
						continue
					}
					kept, err := filepath.Glob(filepath.Join(dir, natsserver.KeptFolder, "*-"+stream+"-1.blk"))
					require.NoError(t, err)
					if !strings.HasPrefix(name, "all of") {
						assert.Len(t, kept, 1, "what it was is kept")
					}
					if stream == streams.Ledger { // whose orgs tell of it
						assert.ErrorIs(t, acme, ErrBehind)
						continue
					}
					assert.Contains(t, strings.Join(told, "\n"), stream)
					assert.NoError(t, acme)
				}
				require.NoError(t, os.RemoveAll(filepath.Join(dir, natsserver.KeptFolder)))
				told, _ := opens(t, dir)
				assert.Empty(t, told, "it is told once more often than it is moved away")
			})
		}
	}
}

// A stream whose folder is gone is made again, and that is told.
func TestAStreamThatIsGoneIsTold(t *testing.T) {
	from := afterKill(t)
	for _, stream := range allStreams[1:] {
		dir := t.TempDir()
		require.NoError(t, errors.Join(copyData(dir, from), os.RemoveAll(filepath.Join(dir, streamsIn, stream))))
		for range 2 {
			told, acme := opens(t, dir)
			require.Len(t, told, 1, stream)
			assert.Contains(t, told[0], stream+" was made again; there was one of up to 3 messages before")
			assert.NoError(t, acme)
		}
	}
}
