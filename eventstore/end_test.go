package eventstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/streams"
)

// keep copies a directory of the testbed aside. put replaces the directory with the
// copy.
func (b *testbed) keep(dir string) (put func()) {
	b.t.Helper()
	aside := b.t.TempDir()
	require.NoError(b.t, os.CopyFS(aside, os.DirFS(dir)))
	return func() {
		require.NoError(b.t, os.RemoveAll(dir))
		require.NoError(b.t, os.CopyFS(dir, os.DirFS(aside)))
	}
}

// rolledBack has an org whose ledger is put back to an older copy. Beside it is an org
// whose commits are all in that copy.
func rolledBack(t *testing.T, b *testbed, cfg Config) Config {
	s := b.open(cfg)
	newOrg(t, s, "beta")
	newOrg(t, s, "acme")
	fill(t, s, "acme", 3)
	require.NoError(t, s.Close(t.Context()))
	b.embedded.Stop()
	put := b.keep(filepath.Join(b.dir, "jetstream"))
	b.startR1()
	cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
	s = b.open(cfg)
	fill(t, s, "acme", 2)
	vaultFollowed(t, s)
	require.NoError(t, s.Close(t.Context()))
	b.embedded.Stop()
	put()
	b.startR1()
	cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
	return cfg
}

// vaultFollowed waits until the vault has followed the ledger to its end, as it does
// behind the commits.
func vaultFollowed(t *testing.T, s *Store) {
	t.Helper()
	if s.fences == nil {
		return
	}
	stream, err := s.js.Stream(t.Context(), streams.Ledger)
	require.NoError(t, err)
	require.NoError(t, s.fences.wait(t.Context(), stream.CachedInfo().State.LastSeq))
}

func TestALedgerBehindItsMarkServesNothing(t *testing.T) {
	b := newR1(t)
	cfg := rolledBack(t, b, b.config())
	require.NoError(t, os.RemoveAll(cfg.Snapshots))
	again := b.open(cfg)
	held(t, again, "acme", "beta")
	assert.ErrorIs(t, again.Damaged()["acme"], ErrBehind)
	assert.ErrorContains(t, again.Damaged()["acme"], "ends at 1-4, and its mark in the data directory knows of 1-6")
}

// The whole data directory is older, the marks in it too.
func TestALedgerBehindTheWitnessServesNothing(t *testing.T) {
	b := newR1(t)
	witness := b.t.TempDir()
	cfg := b.config()
	var err error
	cfg.Marks, err = mark.OpenMarks(t.TempDir(), witness, waitLimit, quiet())
	require.NoError(t, err)
	cfg = rolledBack(t, b, cfg)
	require.NoError(t, cfg.Marks.Close())
	require.NoError(t, os.RemoveAll(cfg.Snapshots))
	cfg.Marks = b.marks(t.TempDir(), witness)
	again := b.open(cfg)
	held(t, again, "acme", "beta")
	assert.ErrorContains(t, again.Damaged()["acme"], "ends at 1-4, and the witness knows of 1-6")
}

// The vault has followed the ledger further than that goes, and tells not of which
// orgs: none is served, and the next start knows it still.
func TestALedgerBehindItsVaultServesNothing(t *testing.T) {
	b := newR1(t)
	cfg := b.holder()
	cfg.Marks = nil
	cfg = rolledBack(t, b, cfg)
	for range 2 {
		require.NoError(t, os.RemoveAll(cfg.Snapshots))
		s := b.open(cfg)
		for _, org := range []domain.ID{"acme", "beta"} {
			assert.ErrorIs(t, s.View(t.Context(), org, func(*domain.State, Head) error { return nil }), ErrBehind)
			assert.ErrorContains(t, s.Damaged()[org], "the vault has followed the ledger up to message")
		}
		require.NoError(t, s.Close(t.Context()))
	}
}

// Marks that tell whose commits are lost leave the others be.
func TestALedgerBehindItsVaultAndItsMarksServesTheOthers(t *testing.T) {
	b := newR1(t)
	cfg := rolledBack(t, b, b.holder())
	require.NoError(t, os.RemoveAll(cfg.Snapshots))
	held(t, b.open(cfg), "acme", "beta")
}

// A snapshot of a ledger that was made again still tells what that one lacks.
func TestASnapshotOfAnotherStreamGuardsToo(t *testing.T) {
	b := newR1(t)
	cfg := rolledBack(t, b, b.config())
	cfg.Marks = nil
	again := b.open(cfg)
	again.created = again.created.Add(time.Second)
	held(t, again, "acme", "beta")
	assert.ErrorContains(t, again.Damaged()["acme"], "acme.snapshot knows of 1-6")
}

// A ledger that lost its last commits and then took others has as many as before.
func TestALedgerThatWentAnotherWayServesNothing(t *testing.T) {
	b := newR1(t)
	cfg := rolledBack(t, b, b.config())
	require.NoError(t, os.RemoveAll(cfg.Snapshots))
	marks := cfg.Marks
	cfg.Marks = nil
	blind := b.open(cfg)
	fill(t, blind, "acme", 4)
	require.NoError(t, blind.Close(t.Context()))
	require.NoError(t, os.RemoveAll(cfg.Snapshots))
	cfg.Marks = marks
	again := b.open(cfg)
	held(t, again, "acme", "beta")
	assert.ErrorContains(t, again.Damaged()["acme"], "commit 1-6 of acme is another than the one that its mark in the data directory knows of")
}

// Every acknowledged commit is marked when its sender hears of it.
func TestACommitIsMarkedBeforeItIsAcknowledged(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		dir := t.TempDir()
		cfg := b.config()
		cfg.Marks = b.marks(dir, "")
		s, other := b.open(cfg), b.store()
		newOrg(t, s, "acme")
		for range 5 {
			r := fill(t, s, "acme", 1)
			found, _, err := mark.Read(dir) // as another process finds it after a kill
			require.NoError(t, err)
			require.Len(t, found, 1)
			assert.Equal(t, r.Position, found[0].Position())
			assert.Equal(t, r.Hash, found[0].Hash)
		}
		r := fill(t, other, "acme", 1)
		_, err := s.WaitFor(t.Context(), "acme", r.Position.N)
		require.NoError(t, err)
		known, _, _ := cfg.Marks.Of("acme")
		assert.Equal(t, r.Hash, known.Hash, "what another instance commits is marked too")
	})
}

// A witness that is not there, or whose disk hangs, stops no commit and is told of.
func TestAWitnessThatIsAwayStopsNothing(t *testing.T) {
	b := newR1(t)
	dir := filepath.Join(t.TempDir(), "mount")
	began := time.Now()
	m, err := mark.OpenMarks(t.TempDir(), dir, 10*time.Millisecond, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	cfg := b.config()
	cfg.Marks = m
	s := b.open(cfg)
	newOrg(t, s, "acme")
	fill(t, s, "acme", 3)
	_, witness := m.Trouble(began.Add(time.Minute))
	assert.ErrorContains(t, witness, "no such file or directory")
	_, err = os.Stat(dir)
	assert.ErrorIs(t, err, os.ErrNotExist, "a directory that is made where a disk should be mounted is no other disk")

	require.NoError(t, os.Mkdir(dir, 0o700))
	require.Eventually(t, func() bool {
		found, _, err := mark.Read(dir)
		return err == nil && len(found) > 0 && found[0].N == 4
	}, waitLimit, 10*time.Millisecond, "it has all when it is back")
	require.Eventually(t, func() bool { _, witness := m.Trouble(began.Add(time.Hour)); return witness == nil }, waitLimit, 10*time.Millisecond)
}

// A witness whose directory goes away while the service runs is reported. Its open file
// still takes writes, which nobody would find again.
func TestAWitnessThatGoesIsToldOf(t *testing.T) {
	dir := t.TempDir()
	m, err := mark.OpenMarks(t.TempDir(), dir, waitLimit, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	away := filepath.Join(t.TempDir(), "away")
	require.NoError(t, os.Rename(dir, away))
	m.Advance(mark.Mark{Org: "acme", Epoch: 1, N: 4})
	later := time.Now().Add(time.Hour)
	require.Eventually(t, func() bool {
		_, witness := m.Trouble(later)
		return witness != nil && strings.Contains(witness.Error(), "no such file or directory")
	}, waitLimit, 10*time.Millisecond)

	require.NoError(t, os.Rename(away, dir))
	require.Eventually(t, func() bool { _, witness := m.Trouble(later); return witness == nil }, waitLimit, 10*time.Millisecond)
	found, _, err := mark.Read(dir)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.EqualValues(t, 4, found[0].N, "it has all when it is back")
}

// A witness that was away at the start and is read later is compared with the ledger.
// It may know of later commits than the ledger that is served by then.
func TestAWitnessThatComesLateIsCompared(t *testing.T) {
	b := newR1(t)
	away := t.TempDir()
	f, err := mark.Open(away)
	require.NoError(t, err)
	require.NoError(t, f.Advance(mark.Mark{Org: "acme", Epoch: 1, N: 9}))
	require.NoError(t, f.Close())
	dir := filepath.Join(t.TempDir(), "mount")
	m, err := mark.OpenMarks(t.TempDir(), dir, 10*time.Millisecond, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	cfg := b.config()
	cfg.Marks = m
	s := b.open(cfg)
	newOrg(t, s, "beta")
	newOrg(t, s, "acme")
	require.NoError(t, os.Rename(away, dir))
	require.Eventually(t, func() bool { return s.View(t.Context(), "acme", func(*domain.State, Head) error { return nil }) != nil }, waitLimit, 10*time.Millisecond)
	held(t, s, "acme", "beta")
}

// An empty ledger beside what is left of one is not begun: its orgs could be made
// again, and what was taken away in them would be given back.
func TestAnEmptyLedgerBesideRemainsDoesNotStart(t *testing.T) {
	for name, leave := range map[string]func(cfg *Config){
		"marks":     func(cfg *Config) { cfg.Vault = nil; os.RemoveAll(cfg.Snapshots) },
		"snapshots": func(cfg *Config) { cfg.Vault, cfg.Marks = nil, nil },
		"a vault":   func(cfg *Config) { cfg.Marks = nil; os.RemoveAll(cfg.Snapshots) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newR1(t)
			cfg := b.holder()
			s := b.open(cfg)
			newOrg(t, s, "acme")
			vaultFollowed(t, s)
			require.NoError(t, s.Close(t.Context()))
			b.embedded.Stop()
			require.NoError(t, os.RemoveAll(filepath.Join(b.dir, "jetstream")))
			b.startR1()
			cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
			leave(&cfg)
			_, err := Open(t.Context(), cfg, NewMetrics(prometheus.NewRegistry()))
			require.ErrorIs(t, err, ErrLedgerLost)
			js, err := jetstream.New(cfg.Conn)
			require.NoError(t, err)
			_, err = js.Stream(t.Context(), streams.Ledger)
			assert.ErrorIs(t, err, jetstream.ErrStreamNotFound, "nothing was made")
		})
	}
}

// An empty ledger beside other streams does not start. Published permissions or
// activity show that there was a ledger, where no mark, snapshot or vault is left.
func TestAnEmptyLedgerBesideOtherStreamsDoesNotStart(t *testing.T) {
	for _, subject := range []string{"permissions.acme.north", "activity.acme.north.g1"} {
		b := newR1(t)
		cfg := b.config()
		s := b.open(cfg)
		newOrg(t, s, "acme")
		_, err := s.js.Publish(t.Context(), subject, []byte("{}"))
		require.NoError(t, err)
		require.NoError(t, s.Close(t.Context()))
		b.embedded.Stop()
		require.NoError(t, os.RemoveAll(filepath.Join(b.dir, "jetstream", "jetstream", "$G", "streams", streams.Ledger)))
		require.NoError(t, os.RemoveAll(cfg.Snapshots))
		b.startR1()
		cfg.Conn, cfg.Embedded, cfg.Marks, cfg.Vault = b.connect("app"), b.embedded, nil, nil
		_, err = Open(t.Context(), cfg, NewMetrics(prometheus.NewRegistry()))
		require.ErrorIs(t, err, ErrLedgerLost, subject)
	}
}

// A stream whose description is lost is not made again over its messages.
func TestAStreamIsNotMadeOverItsOwnRemains(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	s := b.open(cfg)
	newOrg(t, s, "acme")
	for _, subject := range []string{"activity.acme.north.g1", "permissions.acme.north", "refusals.acme"} {
		_, err := s.js.Publish(t.Context(), subject, []byte("{}"))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close(t.Context()))
	for _, name := range []string{streams.Ledger, streams.Activity, streams.Permissions, streams.Refusals} {
		folder := filepath.Join(b.dir, "jetstream", "jetstream", "$G", "streams", name)
		b.embedded.Stop()
		sum, err := os.ReadFile(filepath.Join(folder, "meta.sum"))
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(folder, "meta.sum")))
		b.startR1()
		cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
		_, err = Open(t.Context(), cfg, NewMetrics(prometheus.NewRegistry()))
		assert.ErrorIs(t, err, ErrLedgerLost, name)
		assert.ErrorContains(t, err, "meta.sum")
		require.NoError(t, os.WriteFile(filepath.Join(folder, "meta.sum"), sum, 0o600))
	}
	b.embedded.Stop()
	b.startR1()
	cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
	_, head := digest(t, b.open(cfg), "acme")
	assert.Equal(t, uint64(1), head.N, "put back, it goes on")
}

// A kill while a stream is made leaves a folder that the server does not open. The
// next start makes the stream again, unless it ever held a message.
func TestAStreamThatWasNeverFinishedIsMadeAnew(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, folder string){
		"a folder alone": func(t *testing.T, folder string) {
			require.NoError(t, os.RemoveAll(folder))
			require.NoError(t, os.MkdirAll(folder, 0o700))
		},
		"no description": func(t *testing.T, folder string) {
			require.NoError(t, os.Remove(filepath.Join(folder, "meta.inf")))
			require.NoError(t, os.Remove(filepath.Join(folder, "meta.sum")))
		},
		"no checksum": func(t *testing.T, folder string) { require.NoError(t, os.Remove(filepath.Join(folder, "meta.sum"))) },
		"half a description": func(t *testing.T, folder string) {
			require.NoError(t, os.Truncate(filepath.Join(folder, "meta.inf"), 10))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newR1(t)
			cfg := b.config()
			for _, stream := range []string{streams.Ledger, streams.Activity, streams.Permissions, streams.Refusals} {
				_, err := streams.Apply(t.Context(), cfg.Conn, 1, "")
				require.NoError(t, err)
				b.embedded.Stop()
				leave(t, filepath.Join(b.dir, "jetstream", "jetstream", "$G", "streams", stream))
				b.startR1()
				cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
			}
			s := b.open(cfg)
			newOrg(t, s, "acme")
		})
	}
}
