package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/backup"
	"gatehouse/eventstore/budget"
	trusted "gatehouse/eventstore/clock"
	"gatehouse/eventstore/restore"
	"gatehouse/eventstore/streams"
)

// fate is what becomes of a part of DATA when DATA is lost.
type fate int

const (
	inBackup  fate = iota + 1
	derived        // a start, a run or a restore makes it again
	elsewhere      // it is kept apart from the backup, and a restore is given it
)

// dataParts are the names below DATA, each with all that lies in it unless a longer
// name says otherwise.
var dataParts = []struct {
	name string // a pattern of path.Match
	fate fate
	why  string
}{
	{"jetstream/jetstream/$G/streams/LEDGER", inBackup, "segments"},
	{"jetstream/jetstream/$G/streams/ACTIVITY", inBackup, "segments"},
	{"jetstream/jetstream/$G/streams/PERMISSIONS", inBackup, "segments: the rows as they were published are evidence"},
	{"jetstream/jetstream/$G/streams/REFUSALS", inBackup, "segments"},
	{"jetstream/jetstream/$G/streams/*/obs", derived, "consumers of a running service, which makes others at each start"},
	{"jetstream/jetstream/$G/streams/*/msgs/index.db", derived, "the server reads the blocks without it"},
	{"vault.db", inBackup, "a copy at each run, sealed by the master key"},
	{"vault.db-journal", derived, "the copy of the vault is made in a transaction"},
	{"vault.db.new", derived, "an unfinished restore; the next one makes it again"},
	{"vault.key", elsewhere, "who has it and the backup reads everything: its operator keeps a copy"},
	{"vault.key.new-*", derived, "a master key that nothing was sealed with yet"},
	{"destroyed", elsewhere, "the witness has the ids of destroyed keys, newer than any backup"},
	{"marks", elsewhere, "the witness has them, newer than any backup; a restore makes others from the ledger"},
	{"blocks", derived, "how the files of the streams were at the last end in good order; without it they are all read"},
	{"blocks.*", derived, "a killed writing of it"},
	{"snapshots", derived, "of the ledger; without them a start reads it from its first commit"},
	{"clock", derived, "the last good time; without it the clock is held against the ledger and the kernel"},
	{"clock.new-*", derived, "a killed writing of the clock"},
	{"damaged", derived, "what a start found damaged, for people; the backup has those messages whole"},
	{"restore.json", derived, "what a restore did here; the next one writes its own"},
	{"restore.json.new", derived, "a killed writing of it"},
	{"backup-*.heads", derived, "where chains stand behind the closed segments; else the next run walks there"},
	{"backup-*.heads.new", derived, "a killed writing of it"},
	{"backup.sock", derived, "the socket of a running service"},
	{"socket-*", derived, "a socket that a killed start had not named yet"},
	{"vault-copy-*", derived, "a sealed copy on its way to the target, without a name but for an instant"},
	{"bootstrap.token", derived, "a start without orgs writes another"},
	{"bootstrap.token.new-*", derived, "a killed writing of it"},
	{"lock", derived, "of the running process"},
	{"probe", derived, "a trial of the disk"},
	{"fsync-*", derived, "a measure of the disk"},
}

// fateOf gives the fate of a path below DATA; 0 for one that nothing is said of.
func fateOf(name string, folder bool) fate {
	longest, found := 0, fate(0)
	for _, part := range dataParts {
		depth := strings.Count(part.name, "/")
		words := strings.Split(name, "/")
		if folder && len(words) <= depth {
			leading := strings.Join(strings.Split(part.name, "/")[:len(words)], "/")
			if is, _ := path.Match(leading, name); is && found == 0 {
				found = derived // a folder of what is listed
			}
			continue
		}
		if len(words) <= depth {
			continue
		}
		if is, _ := path.Match(part.name, strings.Join(words[:depth+1], "/")); is && len(part.name) > longest {
			longest, found = len(part.name), part.fate
		}
	}
	return found
}

// walkData gives the paths below DATA that have a fate, and lists the others.
func walkData(t *testing.T, data string, each func(path string, what fate)) (unlisted []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) || path == data {
			return nil // it was of an instant
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		what := fateOf(filepath.ToSlash(name), d.IsDir())
		if what == 0 {
			unlisted = append(unlisted, name)
		} else if each != nil {
			each(path, what)
		}
		return nil
	}))
	return unlisted
}

// unlistedStreams are the streams that are neither backed up nor derived.
func unlistedStreams(t *testing.T, s *service) (unlisted []string) {
	t.Helper()
	js, err := jetstream.New(s.conn)
	require.NoError(t, err)
	names := js.StreamNames(t.Context())
	for name := range names.Name() {
		if !slices.Contains(backup.Streams, name) || fateOf("jetstream/jetstream/$G/streams/"+name, true) != inBackup {
			unlisted = append(unlisted, name)
		}
	}
	require.NoError(t, names.Err())
	return unlisted
}

// A new file in DATA, or a new stream, must be listed as backed up or as derived.
// Otherwise a restore would come back without it. The test removes everything derived,
// and the service is as it was; so is a restored one, which has no derived data.
func TestEverythingInDataIsBackedUpOrDerived(t *testing.T) {
	cfg := testConfig(t)
	cfg.Elapsed, cfg.Synced = trusted.Elapsed, func() bool { return true }
	cfg.Witness = t.TempDir()
	b := newBackedUpBy(t, cfg)
	b.witness = cfg.Witness
	b.run()
	data := cfg.Data
	js, err := jetstream.New(b.s.conn)
	require.NoError(t, err)
	_, err = js.CreateConsumer(t.Context(), streams.Ledger, jetstream.ConsumerConfig{Durable: "somebody"})
	require.NoError(t, err)
	assert.Empty(t, walkData(t, data, nil), "of a running service")
	assert.Empty(t, unlistedStreams(t, b.s))
	for _, part := range dataParts {
		if folder, name := path.Split(part.name); part.fate == inBackup && strings.HasSuffix(folder, "/streams/") {
			assert.Contains(t, backup.Streams, name)
		}
	}

	t.Run("what is added is found", func(t *testing.T) {
		added := []string{"new", "snapshot/new", "jetstream/new", "jetstream/jetstream/$G/streams/NEW/msgs/1.blk"}
		var folders []string
		for _, name := range added {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(data, name)), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(data, name), nil, 0o600))
			for dir := filepath.Dir(name); fateOf(filepath.ToSlash(dir), true) == 0 && dir != "."; dir = filepath.Dir(dir) {
				folders = append(folders, dir)
			}
		}
		assert.ElementsMatch(t, append(folders, added...), walkData(t, data, nil))
		for _, name := range append(added, folders...) {
			require.NoError(t, os.RemoveAll(filepath.Join(data, name)))
		}
		operator, err := b.s.embedded.ConnectOperator()
		require.NoError(t, err)
		defer operator.Close()
		js, err := jetstream.New(operator)
		require.NoError(t, err)
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "PROOF", Subjects: []string{"proof.>"}})
		require.NoError(t, err)
		assert.Equal(t, []string{"PROOF"}, unlistedStreams(t, b.s))
		require.NoError(t, js.DeleteStream(t.Context(), "PROOF"))
	})

	head, digest := headOf(t, b.s, "acme")
	halt(t, b.s)
	var remove []string
	assert.Empty(t, walkData(t, data, func(path string, what fate) {
		if info, err := os.Stat(path); what == derived && (err != nil || !info.IsDir()) {
			remove = append(remove, path)
		}
	}), "of a stopped service")
	for _, name := range []string{"snapshots/acme.snapshot", "clock", "lock", "jetstream/jetstream/$G/streams/LEDGER/msgs/index.db"} {
		assert.Contains(t, remove, filepath.Join(data, name))
	}
	for _, path := range remove {
		require.NoError(t, os.Remove(path))
	}
	s := serveIn(t, cfg)
	again, same := headOf(t, s, "acme")
	assert.Equal(t, head.Position(), again.Position())
	assert.Equal(t, digest, same, "it is as it was, without what is derived")
	halt(t, s)

	restored := b.data()
	said, err := b.restore(restoreCmd{Target: b.target, Data: restored, Witness: []string{b.witness}})
	require.NoError(t, err, said)
	require.FileExists(t, filepath.Join(restored, restore.RecordName))
	assert.Empty(t, walkData(t, restored, nil), "of a restore")
	s = b.serves(restored)
	then, _, err := s.Store.StateAt(t.Context(), budget.Who{Org: "acme"}, head.Position())
	require.NoError(t, err)
	same, err = then.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, same)
}
