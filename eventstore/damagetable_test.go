package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// storedData is a data directory as a service leaves it, and what it has acknowledged.
type storedData struct {
	older, clean, unclean string // directories: long before, after a stop, and as a kill leaves it
	witness               string // directory, as of the end
	heads                 map[domain.ID]Head
	digests               map[domain.ID][32]byte
	messages              uint64 // of each other stream
}

// openedData is a service on a data directory, without its network.
type openedData struct {
	*Store
	stop func()
}

func openData(t *testing.T, dir, witness string) (openedData, error) {
	var stops []func()
	stop := func() {
		for _, f := range slices.Backward(stops) {
			f()
		}
	}
	fail := func(err error) (openedData, error) { stop(); return openedData{}, err }
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	if err != nil {
		return fail(err)
	}
	held, err := vault.Open(context.Background(), dir, master)
	if err != nil {
		return fail(err)
	}
	stops = append(stops, func() { held.Close() })
	marks, err := mark.OpenMarks(dir, witness, waitLimit, quiet())
	if err != nil {
		return fail(err)
	}
	stops = append(stops, func() { marks.Close() })
	embedded, err := natsserver.Start(natsserver.Config{Dir: dir, Marks: marks, Log: quiet()})
	if err != nil {
		return fail(err)
	}
	stops = append(stops, embedded.Stop)
	conn, err := embedded.Connect()
	if err != nil {
		return fail(err)
	}
	stops = append(stops, conn.Close)
	s, err := Open(t.Context(), Config{Conn: conn, Embedded: embedded, Snapshots: filepath.Join(dir, "snapshots"), Marks: marks,
		Keys: held, Vault: held, Now: time.Now, Log: quiet()}, NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		return fail(err)
	}
	stops = append(stops, func() { s.Close(context.Background()) })
	return openedData{s, stop}, nil
}

// storeData makes a data directory with n commits of acme and one of beta.
func storeData(t *testing.T, n int) *storedData {
	t.Helper()
	at := t.TempDir()
	d := &storedData{older: filepath.Join(at, "older"), clean: filepath.Join(at, "clean"), unclean: filepath.Join(at, "unclean"), witness: filepath.Join(at, "witness"),
		heads: map[domain.ID]Head{}, digests: map[domain.ID][32]byte{}}
	dir := filepath.Join(at, "data")
	require.NoError(t, errors.Join(os.Mkdir(d.witness, 0o700), os.Mkdir(dir, 0o700)))
	keep := func(to string) { require.NoError(t, copyData(to, dir)) }
	s, err := openData(t, dir, d.witness)
	require.NoError(t, err)
	newOrg(t, s.Store, "beta")
	publish := func() {
		d.messages++
		for stream, subject := range map[string]string{streams.Activity: "activity.acme.home.g1", streams.Permissions: "permissions.acme.home", streams.Refusals: "refusals.acme"} {
			_, err := s.GuardedAppend(t.Context(), stream, subject, [][]byte{[]byte(`{"a":"message"}`)}, d.messages-1)
			require.NoError(t, err)
		}
	}
	publish()
	if n > 1 {
		newOrg(t, s.Store, "acme")
		fill(t, s.Store, "acme", n/2-1)
	}
	s.stop()
	keep(d.older)
	s, err = openData(t, dir, d.witness)
	require.NoError(t, err)
	publish()
	if n > 1 {
		fill(t, s.Store, "acme", n-n/2)
	} else {
		newOrg(t, s.Store, "acme")
	}
	for _, org := range []domain.ID{"acme", "beta"} {
		d.digests[org], d.heads[org] = digest(t, s.Store, org)
	}
	keep(d.unclean)
	s.stop()
	keep(d.clean)
	return d
}

// copyData copies a data directory; the master key stays private.
func copyData(to, from string) error {
	return errors.Join(os.CopyFS(to, os.DirFS(from)), os.Chmod(filepath.Join(to, "vault.key"), 0o600), os.Chmod(filepath.Join(to, "vault.db"), 0o600))
}

// ways are how a file is damaged.
var ways = []struct {
	name string
	do   func(path, older string) error
}{
	{"nothing", func(string, string) error { return nil }},
	{"bit flipped", change(func(b []byte) []byte { b[len(b)/2] ^= 1; return b })},
	{"bytes overwritten", change(func(b []byte) []byte { copy(b[len(b)/2:], bytes.Repeat([]byte{0xa5}, 64)); return b })},
	{"truncated", change(func(b []byte) []byte { return b[:len(b)/2] })},
	{"zeroed", change(func(b []byte) []byte { return make([]byte, len(b)) })},
	{"deleted", func(path, _ string) error { return os.RemoveAll(path) }},
	{"older copy", func(path, older string) error {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		b, err := os.ReadFile(older)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(path, b, 0o600)
	}},
}

func change(f func([]byte) []byte) func(path, older string) error {
	return func(path, _ string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, f(b), 0o600)
	}
}

const streamsIn = "jetstream/jetstream/$G/streams/"

// damagedFiles lists the files of the table. A file after a plus is deleted too.
func damagedFiles() []string {
	var out []string
	for _, stream := range allStreams {
		for _, file := range []string{"msgs/1.blk", "msgs/index.db", "meta.inf", "meta.sum"} {
			if file != "msgs/1.blk" && stream != streams.Ledger && os.Getenv("GATEHOUSE_LONG") == "" {
				continue // as with the ledger
			}
			out = append(out, streamsIn+stream+"/"+file)
		}
	}
	return append(out, "snapshots/acme.snapshot", "marks", "blocks", "vault.db",
		ledgerBlock+" + marks", ledgerBlock+" + marks + snapshots", ledgerBlock+" + blocks", ledgerBlock+" + marks + blocks")
}

const ledgerBlock = streamsIn + "LEDGER/msgs/1.blk"

// look starts on a data directory and says what became of what it had acknowledged.
func (d *storedData) look(t *testing.T, dir, witness string) (told string, lost bool) {
	s, err := openData(t, dir, witness)
	if err != nil {
		return "refused", false
	}
	defer s.stop()
	return d.says(t, s)
}

// says tells what became of what was acknowledged, and whether some of it is lost in
// silence.
func (d *storedData) says(t *testing.T, s openedData) (told string, lost bool) {
	var says []string
	for _, org := range []domain.ID{"acme", "beta"} {
		says = append(says, d.lookAt(t, s.Store, org))
	}
	for _, stream := range allStreams[1:] {
		if info, err := s.js.Stream(t.Context(), stream); err != nil {
			says = append(says, "LOST: "+err.Error())
		} else if have := info.CachedInfo().State.Msgs; have < d.messages {
			says = append(says, fmt.Sprintf("LOST %d of %d of %s", d.messages-have, d.messages, stream))
		}
	}
	told = strings.Join(slices.Compact(says), "/")
	lost = strings.Contains(told, "LOST")
	// A loss of which the log, /readyz and gatehouse ready tell is none in silence.
	if kept := strings.Join(s.cfg.Embedded.Kept(), "\n"); lost && tells(kept, told) {
		return strings.ReplaceAll(told, "LOST", "told: lost"), false
	}
	return told, lost
}

// tells reports whether what is kept of damage names every stream that lost something.
func tells(kept, lost string) bool {
	for part := range strings.SplitSeq(lost, "/") {
		stream := streams.Ledger
		for _, other := range allStreams[1:] {
			if strings.HasSuffix(part, other) {
				stream = other
			}
		}
		if strings.Contains(part, "LOST") && !strings.Contains(kept, stream) {
			return false
		}
	}
	return true
}

func (d *storedData) lookAt(t *testing.T, s *Store, org domain.ID) string {
	var head Head
	var sum [32]byte
	view := func() error {
		return s.View(t.Context(), org, func(st *domain.State, h Head) (err error) { head = h; sum, err = st.Digest(); return err })
	}
	err := view()
	for tries := 0; errors.Is(err, context.DeadlineExceeded) && tries < 5; tries++ { // of a machine that is busy
		err = view()
	}
	if err != nil {
		if s.Damaged()[org] == nil {
			return "LOST: it fails and is not named: " + err.Error()
		}
		return "held"
	}
	want := d.heads[org]
	if head.N != want.N || head.Hash != want.Hash || sum != d.digests[org] {
		return fmt.Sprintf("LOST %d of %d", int(want.N-head.N), want.N)
	}
	n, last := uint64(0), wire.Hash{}
	err = s.read(t.Context(), Subject(org), 1, math.MaxUint64, func(_ uint64, body []byte) error {
		n++
		last = wire.HashOf(body)
		return nil
	})
	if err == nil && n == want.N && last == want.Hash {
		return "whole"
	}
	if err := s.check(t.Context(), 0); err != nil {
		return "LOST: " + err.Error()
	}
	if broken, unread := s.Flaws(); broken[org] == nil && unread == 0 {
		return fmt.Sprintf("LOST %d of %d behind the state", int(want.N-n), want.N)
	}
	return "state whole, damage told"
}

// Each file of the store is damaged in each way; no acknowledged commit is ever
// missed in silence, neither at the start that follows nor at the next one.
func TestNoDamagedFileLosesCommitsInSilence(t *testing.T) {
	sizes := []int{1, 60}
	if os.Getenv("GATEHOUSE_LONG") != "" {
		sizes = append(sizes, 10_000)
	}
	for _, n := range sizes {
		d := storeData(t, n)
		files := damagedFiles()
		if n == 1 { // the other files are as with more commits
			files = slices.DeleteFunc(files, func(file string) bool { return !strings.Contains(file, "LEDGER/msgs/1.blk") })
		}
		if n > 1000 { // what describes a stream is as with fewer
			files = slices.DeleteFunc(files, func(file string) bool { return strings.Contains(file, "/meta.") })
		}
		for end, from := range map[string]string{"clean": d.clean, "unclean": d.unclean} {
			d.table(t, fmt.Sprintf("%d commits, %s end", n, end), from, files, d.cell)
		}
		alone := slices.DeleteFunc(slices.Clone(files), func(file string) bool { return strings.Contains(file, "+") })
		d.table(t, fmt.Sprintf("%d commits, while it runs", n), d.clean, alone, d.running)
		d.wholeOlder(t, n)
	}
}

// wholeOlder puts all of the data directory back: only the witness can know.
func (d *storedData) wholeOlder(t *testing.T, n int) {
	dir := t.TempDir()
	require.NoError(t, copyData(dir, d.older))
	witness := t.TempDir()
	require.NoError(t, os.CopyFS(witness, os.DirFS(d.witness)))
	told, lost := d.look(t, dir, witness)
	if lost {
		t.Errorf("%d commits, all older, with a witness: %s", n, told)
	}
	t.Logf("%d commits, all of the data directory an older copy: with a witness %s", n, told)
}
