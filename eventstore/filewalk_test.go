package eventstore

import (
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

// runningData is a service at work on files of which older copies are kept.
func runningData(t *testing.T) (s openedData, dir, older string) {
	t.Helper()
	dir, older = t.TempDir(), t.TempDir()
	s, err := openData(t, dir, "")
	require.NoError(t, err)
	t.Cleanup(s.stop)
	newOrg(t, s.Store, "acme")
	var last uint64
	more := func() {
		fill(t, s.Store, "acme", 3)
		w, err := s.ActivityWriter(t.Context(), "acme", "north", "lobby")
		require.NoError(t, err)
		for range 3 {
			require.NoError(t, w.Append(t.Context(), records(int(w.K())+1, 1)))
			_, err = s.Execute(t.Context(), "acme", request(&domain.SuspendPerson{Person: "nobody"}))
			require.Error(t, err)
			last, err = s.GuardedAppend(t.Context(), streams.Permissions, "permissions.acme.north", [][]byte{[]byte("{}")}, last)
			require.NoError(t, err)
		}
	}
	more()
	require.NoError(t, os.CopyFS(older, os.DirFS(filepath.Join(dir, "jetstream"))))
	more()
	return s, dir, filepath.Join(older, strings.TrimPrefix(streamsIn, "jetstream/"))
}

// A file that is damaged while the server runs is found before the server cuts it. The
// walk through the files finds it before the server reads it. The damaged file is kept
// and reported.
func TestADamagedFileOfARunningServerIsFoundBeforeItIsCut(t *testing.T) {
	for _, stream := range allStreams {
		for _, way := range ways[1:] {
			t.Run(stream+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				s, dir, older := runningData(t)
				require.NoError(t, s.checkFiles(t.Context(), 0))
				require.Empty(t, s.cfg.Embedded.Kept(), "what is not damaged")
				block := blockOf(dir, stream)
				require.NoError(t, way.do(block, filepath.Join(older, stream, "msgs", "1.blk")))
				damaged, err := os.ReadFile(block)
				gone := errors.Is(err, os.ErrNotExist)
				for range 2 {
					require.NoError(t, s.checkFiles(t.Context(), 0))
				}
				told := strings.Join(s.cfg.Embedded.Kept(), "\n")
				assert.Contains(t, told, stream)
				found, err := filepath.Glob(filepath.Join(dir, natsserver.KeptFolder, "*-"+stream+"-1.blk"))
				require.NoError(t, err)
				if gone {
					assert.Contains(t, told, "are in no file any more")
					return
				}
				require.Len(t, found, 1, "it is kept once")
				kept, err := os.ReadFile(found[0])
				require.NoError(t, err)
				assert.Equal(t, damaged, kept, "whole")
				now, err := os.ReadFile(block)
				require.NoError(t, err)
				assert.Equal(t, damaged, now, "the server has not cut it")
			})
		}
	}
}

// A block that is replaced, cut or written over does not wait for the slow walk.
func TestAFileThatChangesAsTheServerNeverDoesIsReadAtOnce(t *testing.T) {
	for _, way := range ways[1:] {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			s, dir, older := runningData(t)
			watch := &Store{cfg: s.cfg, log: s.log, metrics: s.metrics, flaws: flaws{orgs: map[domain.ID]error{}}, files: s.cfg.Embedded.WatchFiles()}
			watch.streams.changed = newSignal()
			require.NoError(t, watch.lookAtFiles(t.Context()))
			fill(t, s.Store, "acme", 1)
			require.NoError(t, watch.lookAtFiles(t.Context()))
			require.Empty(t, s.cfg.Embedded.Kept())
			require.NoError(t, way.do(blockOf(dir, streams.Ledger), filepath.Join(older, streams.Ledger, "msgs", "1.blk")))
			require.NoError(t, watch.lookAtFiles(t.Context()))
			assert.NotEmpty(t, s.cfg.Embedded.Kept())
		})
	}
}

// A commit behind a loss would be lost with it, so nothing is appended any more.
func TestNothingIsAppendedToALedgerWhoseFilesAreGone(t *testing.T) {
	s, dir, _ := runningData(t)
	require.NoError(t, os.Remove(blockOf(dir, streams.Ledger)))
	require.NoError(t, s.checkFiles(t.Context(), 0))
	require.NoError(t, s.lookAtStreams(t.Context()))
	_, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{}))
	assert.ErrorIs(t, err, ErrUnsafeStore)
}

// A bit that the disk lost after a good end leaves the file as it was by size and time:
// the start passes over it, and the walk finds it.
func TestTheWalkReadsWhatTheStartPassedOver(t *testing.T) {
	dir := t.TempDir()
	s, err := openData(t, dir, "")
	require.NoError(t, err)
	newOrg(t, s.Store, "acme")
	fill(t, s.Store, "acme", 3)
	s.stop()
	block := blockOf(dir, streams.Ledger)
	was, err := os.Stat(block)
	require.NoError(t, err)
	content, err := os.ReadFile(block)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, errors.Join(os.WriteFile(block, content, 0o600), os.Chtimes(block, was.ModTime(), was.ModTime())))

	s, err = openData(t, dir, "")
	require.NoError(t, err)
	defer s.stop()
	assert.Empty(t, s.cfg.Embedded.Kept(), "the start reads no file that is as it was")
	require.NoError(t, s.check(t.Context(), 0))
	assert.Len(t, s.cfg.Embedded.Kept(), 1)
	broken, unread := s.Flaws()
	assert.ErrorIs(t, broken["acme"], ErrBrokenChain)
	assert.Equal(t, uint64(1), unread)
}

// After an end that was none every block is read, whatever its size and time.
func TestAStartAfterAKillReadsEveryBlock(t *testing.T) {
	dir := afterKill(t)
	block := blockOf(dir, streams.Ledger)
	was, err := os.Stat(block)
	require.NoError(t, err)
	content, err := os.ReadFile(block)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, errors.Join(os.WriteFile(block, content, 0o600), os.Chtimes(block, was.ModTime(), was.ModTime())))
	told, acme := opens(t, dir)
	assert.Len(t, told, 1)
	assert.ErrorIs(t, acme, ErrBehind)
}
