package demo

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
	"gatehouse/projections/due"
	"gatehouse/projections/permissions"
)

// alongside lets a test run beside others: most of its time goes by waiting for the
// disk. Where the full counts are run it has the machine to itself, for its figures.
func alongside(t *testing.T) {
	t.Helper()
	if os.Getenv("GATEHOUSE_LONG") == "" {
		t.Parallel()
	}
}

// startDemo builds the site of a demo that begins on a Monday.
func startDemo(t *testing.T, c Config) (*Demo, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	c.Today, c.Out = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), out
	d, err := New(c)
	require.NoError(t, err)
	require.NoError(t, d.Open(t.Context(), serve(t, d.Now)))
	require.NoError(t, d.build(t.Context()))
	require.NoError(t, d.begin(t.Context()))
	return d, out
}

// serve starts a ledger with the org of the demo, and what follows from its commits.
func serve(t *testing.T, now func() time.Time) Service {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	server, err := natsserver.Start(natsserver.Config{Dir: t.TempDir(), Log: log})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	dir := t.TempDir()
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	keys, err := vault.Open(t.Context(), dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, keys.Close()) })
	conn, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	store, err := eventstore.Open(t.Context(), eventstore.Config{Conn: conn, Embedded: server, Snapshots: t.TempDir(), Keys: keys, Vault: keys, Now: now, Log: log},
		eventstore.NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close(context.Background())) })
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	projector, err := permissions.New(t.Context(), permissions.Config{Store: store, JS: js, Keys: keys, LogKey: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), Metrics: prometheus.NewRegistry(), Now: now, Log: log})
	require.NoError(t, err)
	timer := due.New(due.Config{Store: store, Now: now, Log: log}, due.NewMetrics(prometheus.NewRegistry()))
	running, end := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { timer.Run(running) })
	parts.Go(func() { assert.NoError(t, projector.Run(running)) })
	t.Cleanup(func() { end(); parts.Wait() })

	for i, first := range []struct {
		org    domain.ID
		name   string
		fields any
	}{
		{domain.SystemOrg, "RegisterOrg", &domain.RegisterOrg{Org: Org, Name: OrgName}},
		{Org, "CreateOrg", &domain.CreateOrg{Org: Org, Name: OrgName, Owner: Owner, OwnerName: domain.Clear(OwnerName)}},
	} {
		_, err := store.Execute(t.Context(), first.org, eventstore.Request{ID: domain.UUID{15: byte(i + 1)}, Command: first.name, Fields: []any{first.fields},
			Actor: domain.Actor{Kind: domain.ActorBootstrap, ID: "test"}})
		require.NoError(t, err)
	}
	return Service{Store: store, Permissions: projector}
}

// passTime lets the site's time pass as fast as the ledger takes it.
func (d *Demo) passTime(t *testing.T, lasts time.Duration) Summary {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.after(lasts, func(context.Context) error { cancel(); return nil })
	require.NoError(t, d.play(ctx, 1_000_000*time.Hour))
	total, err := d.Summary(t.Context())
	require.NoError(t, err)
	return total
}
