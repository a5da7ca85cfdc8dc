package natsserver

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/streams"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// The layout of blocks is that of the server as it is linked; another version is to
// be looked at first.
func TestTheLayoutOfBlocksIsThatOfTheServer(t *testing.T) {
	assert.Equal(t, "2.15.2", server.VERSION)
	dir := t.TempDir()
	e, err := Start(Config{Dir: dir, Log: quiet()})
	require.NoError(t, err)
	nc, err := e.Connect()
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), streams.Wanted(1)[0])
	require.NoError(t, err)
	var bodies []string
	for i, body := range []string{"one", "two", "three", "four", "five", "six"} {
		_, err := js.Publish(t.Context(), "ledger.00.acme", []byte(body), jetstream.WithExpectLastSequencePerSubject(uint64(i)))
		require.NoError(t, err)
		bodies = append(bodies, body)
	}
	nc.Close()
	e.Stop()
	blocks, err := listBlocks(dir)
	require.NoError(t, err)
	at := slices.IndexFunc(blocks, func(b block) bool { return b.stream == streams.Ledger })
	require.GreaterOrEqual(t, at, 0)
	ledger := blocks[at]
	assert.True(t, ledger.last)
	whole, err := os.ReadFile(ledger.path)
	require.NoError(t, err)
	var seqs []uint64
	var read []string
	found, err := ledger.check(whole, func(r record) {
		seqs = append(seqs, r.seq)
		read = append(read, string(r.body))
	})
	require.NoError(t, err)
	assert.Equal(t, findings{first: 1, last: 6}, found)
	assert.Equal(t, []uint64{1, 2, 3, 4, 5, 6}, seqs)
	assert.Equal(t, bodies, read)
	for at := range whole {
		whole[at] ^= 1 << (at % 8)
		found, err := ledger.check(whole, func(record) {})
		require.NoError(t, err)
		if found.damage == nil {
			t.Errorf("a flipped bit of byte %d is not found", at)
		}
		if found.last < 5 {
			t.Errorf("behind a flipped bit of byte %d only %d is found", at, found.last)
		}
		whole[at] ^= 1 << (at % 8)
	}
}

func TestALazyServerIsUnsafe(t *testing.T) {
	dir := t.TempDir()
	srv, err := server.NewServer(&server.Options{ServerName: "lazy", DontListen: true, JetStream: true, NoSigs: true, NoLog: true, StoreDir: filepath.Join(dir, "js")})
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	lazy := &Embedded{cfg: Config{Dir: dir, Log: quiet()}}
	lazy.server.Store(srv)
	assert.Equal(t, []streams.Setting{{Where: "the embedded server", Setting: "sync_interval", Value: "lazy", Needed: "always"}}, lazy.Unsafe())

	e, err := Start(Config{Dir: t.TempDir(), Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(e.Stop)
	assert.Empty(t, e.Unsafe())
}

func TestVersions(t *testing.T) {
	for v, want := range map[string]bool{
		"2.15.2": true, "2.15.3": true, "2.16.0": true, "3.0.0": true, "v2.15.2": true,
		"2.15.1": false, "2.14.9": false, "2.15.2-RC.1": false, "2.16.0-beta": true, "": false, "unknown": false, "2.15": false,
	} {
		assert.Equal(t, want, newEnough(v), v)
	}
}

func TestWantOfRoomIsToldFromOtherErrors(t *testing.T) {
	assert.True(t, noRoom("JetStream stream '$G > LEDGER' write error: write 1.blk: no space left on device"))
	assert.True(t, noRoom("JetStream stream '$G > LEDGER' write error: sync 1.blk: disk quota exceeded"))
	assert.False(t, noRoom("JetStream stream '$G > LEDGER' write error: sync 1.blk: input/output error"))
}
