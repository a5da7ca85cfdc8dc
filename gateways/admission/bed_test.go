package admission

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/clustertest"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
)

// patience bounds what a test waits for on a machine that does much else.
const patience = time.Minute

// bed is a NATS with the org acme, its site north, and nobody who admits gateways.
type bed struct {
	t        *testing.T
	servers  []*server.Server
	embedded *natsserver.Embedded // nil: a cluster of three
	issuer   nkeys.KeyPair
	app, sys nkeys.KeyPair // users of the service in the cluster
	vault    *vault.Vault
	gateways string
}

// onEach runs a test on the server within the process and on a cluster of three.
// One cluster runs at a time: servers that have to wait for a processor elect no
// leader.
func onEach(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Run("embedded", func(t *testing.T) { t.Parallel(); test(t, newEmbedded(t)) })
	t.Run("cluster", func(t *testing.T) { test(t, newCluster(t)) })
}

func newEmbedded(t *testing.T) *bed {
	t.Helper()
	dir := t.TempDir()
	e, err := natsserver.Start(natsserver.Config{Dir: dir, Listen: "127.0.0.1:0", Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(e.Stop)
	b := &bed{t: t, servers: []*server.Server{e.Server()}, embedded: e, issuer: e.Issuer, gateways: natsserver.GatewaysAccount}
	b.begin(dir)
	return b
}

// clusterConfig is that of the package's documentation; its servers wait a little
// longer for an answer than they do by default.
const clusterConfig = `
accounts {
  APP {
    jetstream: enabled
    users: [ { nkey: %[1]s } ]
    exports: [ { service: "control.*.*.ask", accounts: [GATEWAYS] }, { stream: "tables.*.*", accounts: [GATEWAYS] } ]
    imports: [ { service: { account: GATEWAYS, subject: "control.*.*.do" } } ]
  }
  GATEWAYS {
    exports: [ { service: "control.*.*.do", accounts: [APP] } ]
    imports: [ { service: { account: APP, subject: "control.*.*.ask" } }, { stream: { account: APP, subject: "tables.*.*" } } ]
  }
  SYS { users: [ { nkey: %[2]s } ] }
}
system_account: SYS
authorization { timeout: 5, auth_callout { issuer: %[3]s, account: APP, auth_users: [ %[1]s, %[2]s ] } }
`

func newCluster(t *testing.T) *bed {
	t.Helper()
	dir := t.TempDir()
	b := &bed{t: t, gateways: "GATEWAYS", issuer: pair(t, nkeys.CreateAccount), app: pair(t, nkeys.CreateUser), sys: pair(t, nkeys.CreateUser)}
	b.servers = clustertest.Start(t, dir, fmt.Sprintf(clusterConfig, public(t, b.app), public(t, b.sys), public(t, b.issuer)))
	b.begin(dir)
	return b
}

// begin opens a store and makes the org.
func (b *bed) begin(dir string) {
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(b.t, err)
	b.vault, err = vault.Open(b.t.Context(), dir, master)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { assert.NoError(b.t, b.vault.Close()) })
}

// instance starts an instance of the service that admits gateways, until the test
// or the returned function ends that.
func (b *bed) instance() (i *instance, stop func()) {
	b.t.Helper()
	reg := prometheus.NewRegistry()
	cfg := eventstore.Config{Conn: b.conn(b.app), Embedded: b.embedded, Replicas: len(b.servers), Snapshots: b.t.TempDir(),
		Keys: b.vault, Vault: b.vault, Now: time.Now, Log: quiet()}
	sys := b.conn(b.sys)
	if b.embedded == nil {
		cfg.System = sys
	} else {
		var err error
		sys, err = b.embedded.ConnectSystem()
		require.NoError(b.t, err)
		b.t.Cleanup(sys.Close)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	store, err := eventstore.Open(ctx, cfg, eventstore.NewMetrics(reg))
	require.NoError(b.t, err)
	a, err := New(Config{Conn: cfg.Conn, System: sys, Issuer: b.issuer, Gateways: b.gateways, Store: store, Metrics: reg, Now: time.Now, Log: quiet()})
	require.NoError(b.t, err)
	i = &instance{b, store, a, cfg.Conn}
	running, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(running) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			end()
			assert.NoError(b.t, <-done)
		}
	}
	b.t.Cleanup(func() { assert.NoError(b.t, store.Close(context.Background())) })
	b.t.Cleanup(stop)
	return i, stop
}

// conn makes a connection of the service to one of the servers.
func (b *bed) conn(user nkeys.KeyPair) *nats.Conn {
	b.t.Helper()
	if b.embedded != nil {
		nc, err := b.embedded.Connect()
		require.NoError(b.t, err)
		b.t.Cleanup(nc.Close)
		return nc
	}
	nc, err := nats.Connect(b.servers[0].ClientURL(), nats.Nkey(public(b.t, user), user.Sign), nats.MaxReconnects(-1))
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	return nc
}

// dial connects as the gateway of a name with a key, to one server after another.
func (b *bed) dial(name string, key nkeys.KeyPair, options ...nats.Option) (*nats.Conn, error) {
	options = append([]nats.Option{nats.Name(name), nats.Nkey(public(b.t, key), key.Sign), nats.NoReconnect(), nats.IgnoreDiscoveredServers(), nats.Timeout(patience),
		nats.CustomInboxPrefix("_INBOX." + strings.ReplaceAll(name, "/", "."))}, options...)
	srv := b.servers[int(lastID.Add(1))%len(b.servers)]
	nc, err := nats.Connect(srv.ClientURL(), options...)
	if err == nil {
		b.t.Cleanup(nc.Close)
	}
	return nc, err
}

func (b *bed) eventually(what string, f func() bool) {
	b.t.Helper()
	require.Eventually(b.t, f, patience, 10*time.Millisecond, what)
}

// instance is one instance of the service.
type instance struct {
	*bed
	store     *eventstore.Store
	admission *Admission
	conn      *nats.Conn
}

var lastID atomic.Int64

func (i *instance) send(org domain.ID, fields any) {
	i.t.Helper()
	req := eventstore.Request{ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprint("test/", lastID.Add(1))), Fields: []any{fields},
		Command: strings.TrimPrefix(fmt.Sprintf("%T", fields), "*domain."), Actor: domain.PersonActor("olga")}
	switch req.Command {
	case "CreateOrg", "RegisterOrg":
		req.Actor = domain.Actor{Kind: domain.ActorBootstrap}
	case "EnrolGateway":
		req.Actor = domain.ServiceActor("enrolment")
	}
	_, err := i.store.Execute(i.t.Context(), org, req)
	require.NoError(i.t, err)
}

// house makes an org with the site north and gateways there.
func (i *instance) house(org domain.ID, gateways ...domain.ID) map[domain.ID]nkeys.KeyPair {
	i.t.Helper()
	i.send(org, &domain.CreateOrg{Org: org, Name: string(org), Owner: "olga"})
	i.send(domain.SystemOrg, &domain.RegisterOrg{Org: org, Name: string(org)})
	i.send(org, &domain.CreateSite{Site: "north", Name: "North", Zone: "Europe/Berlin"})
	keys := map[domain.ID]nkeys.KeyPair{}
	for _, id := range gateways {
		keys[id] = pair(i.t, nkeys.CreateUser)
		i.send(org, &domain.RegisterGateway{Gateway: id, Site: "north", PublicKey: domain.GatewayKey(public(i.t, keys[id]))})
	}
	return keys
}

// refused counts the questions of servers that were answered with a refusal.
func (i *instance) refused(why string) int {
	var m dto.Metric
	require.NoError(i.t, i.admission.metrics.questions.WithLabelValues(why).Write(&m))
	return int(m.GetCounter().GetValue())
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func pair(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	p, err := create()
	require.NoError(t, err)
	return p
}

func public(t *testing.T, p nkeys.KeyPair) string {
	t.Helper()
	name, err := p.PublicKey()
	require.NoError(t, err)
	return name
}
