package eventstore

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/clustertest"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
)

// waitLimit bounds what a test waits for on a machine that does much else.
const waitLimit = time.Minute

// testbed is a ledger's servers: one in process, or three in a cluster, with the
// one vault of the ledger.
type testbed struct {
	t        *testing.T
	dir      string
	replicas int
	servers  []*server.Server
	embedded *natsserver.Embedded
	vault    *vault.Vault
	next     atomic.Int32
}

// onEach runs a test on one server and on a cluster of three: they differ in how
// they answer conflicts and repeats.
func onEach(t *testing.T, test func(t *testing.T, b *testbed)) {
	t.Run("R1", func(t *testing.T) { test(t, newR1(t)) })
	t.Run("R3", func(t *testing.T) { test(t, newR3(t)) })
}

func newR1(t *testing.T) *testbed {
	t.Helper()
	b := &testbed{t: t, dir: t.TempDir(), replicas: 1}
	b.startR1()
	b.openVault()
	t.Cleanup(func() { b.embedded.Stop() })
	return b
}

func (b *testbed) startR1() {
	e, err := natsserver.Start(natsserver.Config{Dir: b.dir, Log: quiet()})
	require.NoError(b.t, err)
	b.embedded, b.servers = e, []*server.Server{e.Server()}
}

func (b *testbed) openVault() {
	master, _, err := vault.LoadOrCreateMaster(b.dir, "")
	require.NoError(b.t, err)
	v, err := vault.Open(context.Background(), b.dir, master)
	require.NoError(b.t, err)
	b.vault = v
	b.t.Cleanup(func() { require.NoError(b.t, v.Close()) })
}

const clusterAccounts = `
accounts {
  SYS { users: [ { user: sys, password: sys } ] }
  APP { jetstream: enabled, users: [ { user: app, password: app } ] }
}
system_account: SYS
`

func newR3(t *testing.T) *testbed {
	t.Helper()
	b := &testbed{t: t, dir: t.TempDir(), replicas: clustertest.Size}
	b.servers = clustertest.Start(t, b.dir, clusterAccounts)
	b.openVault()
	return b
}

// conf is the file with the settings of a server, counted from 0.
func (b *testbed) conf(i int) string { return clustertest.ConfigFile(b.dir, i) }

// serve starts a server of the cluster by what its file says.
func (b *testbed) serve(i int) { b.servers[i] = clustertest.Serve(b.t, b.dir, i) }

// halt stops a server of the cluster.
func (b *testbed) halt(i int) {
	b.servers[i].Shutdown()
	b.servers[i].WaitForShutdown()
}

// connect returns a connection to one of the servers, each in turn.
func (b *testbed) connect(user string) *nats.Conn {
	return b.connectTo(int(b.next.Add(1))%len(b.servers), user)
}

func (b *testbed) connectTo(i int, user string) *nats.Conn {
	opts := []nats.Option{nats.InProcessServer(b.servers[i]), nats.MaxReconnects(-1)}
	if b.embedded != nil {
		opts = []nats.Option{nats.InProcessServer(b.embedded), nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond)}
	} else {
		opts = append(opts, nats.UserInfo(user, user))
	}
	nc, err := nats.Connect("", opts...)
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	return nc
}

// config is that of a node of the service; the first one of a testbed holds the vault.
func (b *testbed) config() Config {
	cfg := Config{Conn: b.connect("app"), Embedded: b.embedded, Replicas: b.replicas, Keys: b.vault,
		Snapshots: filepath.Join(b.t.TempDir(), "snapshots"), Marks: b.marks(b.t.TempDir(), ""), Now: time.Now, Log: quiet()}
	if b.embedded == nil {
		cfg.System = b.connect("sys")
	}
	return cfg
}

// marks opens the marks of a node, until the end of the test.
func (b *testbed) marks(dir, witness string) *mark.Marks {
	b.t.Helper()
	m, err := mark.OpenMarks(dir, witness, waitLimit, quiet())
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, m.Close()) })
	return m
}

func (b *testbed) open(cfg Config) *Store {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	s, err := Open(ctx, cfg, NewMetrics(prometheus.NewRegistry()))
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		require.NoError(b.t, s.Close(ctx))
	})
	return s
}

// store opens a node of the service.
func (b *testbed) store() *Store { return b.open(b.config()) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

var lastID atomic.Int64

// newID returns a command id that no other call returned.
func newID() domain.UUID {
	return domain.DeriveUUID(domain.UUID{}, fmt.Sprint("test/", lastID.Add(1)))
}

// request makes a request of the owner from the type and fields of a command.
func request(fields ...any) Request {
	name := strings.TrimPrefix(fmt.Sprintf("%T", fields[0]), "*domain.")
	return Request{ID: newID(), Command: name, Fields: fields, Actor: domain.PersonActor("olga")}
}

// newOrg makes an org with its owner olga.
func newOrg(t *testing.T, s *Store, id domain.ID) {
	t.Helper()
	r := request(&domain.CreateOrg{Org: id, Name: "Test", Owner: "olga", OwnerName: domain.Clear("Olga Owner")})
	r.Actor = domain.Actor{Kind: domain.ActorBootstrap}
	_, err := s.Execute(t.Context(), id, r)
	require.NoError(t, err)
}

// digest is the digest of an org's state on a node.
func digest(t *testing.T, s *Store, id domain.ID) (d [32]byte, head Head) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), id, func(st *domain.State, h Head) (err error) {
		head = h
		d, err = st.Digest()
		return err
	}))
	return d, head
}
