package backup

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// newLive makes a ledger with that number of commits on a server, and its vault.
func newLive(t *testing.T, commits int) (Store, string) {
	t.Helper()
	dir := t.TempDir()
	log := newBed(t, nil).opts.Log
	server, err := natsserver.Start(natsserver.Config{Dir: dir, Log: log})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	v, err := vault.Open(t.Context(), dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	_, err = v.Reserve(t.Context(), "org-0", 100)
	require.NoError(t, err)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	store, err := eventstore.Open(t.Context(), eventstore.Config{Conn: nc, Embedded: server, Snapshots: filepath.Join(dir, "snapshots"),
		Keys: v, Vault: v, Now: time.Now, Log: log}, eventstore.NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	require.NoError(t, store.Close(t.Context()))
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	require.NoError(t, err)
	publishCommits(t, js, commits)
	return Store{JS: js, Vault: v}, dir
}

// publishCommits makes commits of 100 orgs with one sealed value each.
func publishCommits(t *testing.T, js jetstream.JetStream, commits int) {
	t.Helper()
	type tail struct {
		n    uint64
		prev wire.Hash
	}
	tails := make([]tail, 100)
	box := make([]byte, 60)
	for i := range commits {
		org := domain.ID(fmt.Sprintf("org-%d", i%len(tails)))
		last := &tails[i%len(tails)]
		rand.Read(box)
		data, err := json.Marshal(map[string]string{"person": fmt.Sprintf("p-%d", i), "name": "0123456789abcdef." + base64.RawURLEncoding.EncodeToString(box)})
		require.NoError(t, err)
		c := &schemas.Commit{ID: domain.UUID(box[:16]), Request: wire.HashOf(box), Org: org, Epoch: 1, N: last.n + 1, Prev: last.prev,
			At: made.Add(time.Duration(i) * time.Second), Actor: domain.PersonActor("olga"), Command: "RegisterPerson", MinReader: 1,
			Events: []schemas.Event{{Type: "person.registered", Version: 1, Sites: []domain.ID{}, Data: data}}}
		body, err := c.Encode()
		require.NoError(t, err)
		last.n, last.prev = c.N, wire.HashOf(body)
		_, err = js.PublishAsync(eventstore.Subject(org), body)
		require.NoError(t, err)
	}
	<-js.PublishAsyncComplete()
}

// A ledger on a server is backed up the same over the socket as over the connection.
// The vault in the backup opens with the master key. GATEHOUSE_LONG=N takes N commits
// and logs the time it took.
func TestALiveLedgerIsBackedUp(t *testing.T) {
	commits := 2000
	if long, err := strconv.Atoi(os.Getenv("GATEHOUSE_LONG")); err == nil {
		commits = max(commits, long)
	}
	store, dir := newLive(t, commits)
	l, err := Listen(dir)
	require.NoError(t, err)
	b := newBed(t, newFolder(t))
	b.opts.Spool = dir
	go func() { assert.NoError(t, store.Serve(t.Context(), l, dir, b.opts.Log)) }()
	run := func(what string, target Target, s Source) *Result {
		w, err := NewWriter(target, s, b.opts)
		require.NoError(t, err)
		begun := time.Now()
		r, err := w.Run(t.Context())
		require.NoError(t, err)
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		t.Logf("%s: %d messages in %s, %d bytes in %d objects; %d MB of heap, %d MB from the system", what, r.Messages[streams.Ledger],
			time.Since(begun).Round(time.Millisecond), r.Size, r.Objects, mem.HeapInuse>>20, mem.Sys>>20)
		return r
	}
	assert.Equal(t, commits, run("over the socket", b.target, Running(dir)).Messages[streams.Ledger])
	source, err := store.Source()
	require.NoError(t, err)
	assert.Zero(t, run("again, nothing new", b.target, source).Messages[streams.Ledger])
	assert.Equal(t, commits, run("over the connection", newFolder(t), source).Messages[streams.Ledger])

	begun := time.Now()
	back := b.open()
	r, err := back.Verify(t.Context())
	require.NoError(t, err)
	t.Logf("verified in %s", time.Since(begun).Round(time.Millisecond))
	assert.Len(t, r.Heads, 100)
	assert.Equal(t, uint64(commits/100), r.Heads["org-0"].Position.N)

	var sealed bytes.Buffer
	require.NoError(t, back.Vault(t.Context(), &sealed))
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	again := t.TempDir()
	require.NoError(t, vault.PutBack(t.Context(), again, master, &sealed))
	v, err := vault.Open(t.Context(), again, master)
	require.NoError(t, err)
	id, err := v.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, back.Manifest().Vault[0].Vault, id)
	require.NoError(t, v.Close())

	_, err = Store{JS: store.JS}.Source()
	require.ErrorIs(t, err, ErrNoVault)
}
