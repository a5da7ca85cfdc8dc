package eventstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
)

// openError opens a node and returns why it does not start.
func openError(t *testing.T, cfg Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	s, err := Open(ctx, cfg, NewMetrics(prometheus.NewRegistry()))
	if err == nil {
		require.NoError(t, s.Close(ctx))
	}
	return err
}

// Every setting that could lose or rewrite an acknowledged commit stops commands. The
// error has the setting's name, its value and the value that is needed.
func TestUnsafeStreamSettingsStopCommands(t *testing.T) {
	for setting, change := range map[string]func(*jetstream.StreamConfig){
		"max_age":              func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"max_msgs":             func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 },
		"max_msgs_per_subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"discard":              func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"deny_delete":          func(c *jetstream.StreamConfig) { c.DenyDelete = false },
		"deny_purge":           func(c *jetstream.StreamConfig) { c.DenyPurge = false },
		"storage":              func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"persist_mode":         func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
		"allow_rollup_hdrs":    func(c *jetstream.StreamConfig) { c.AllowRollup, c.DenyPurge = true, false },
		"allow_msg_ttl":        func(c *jetstream.StreamConfig) { c.AllowMsgTTL, c.DenyPurge = true, false },
		"allow_msg_schedules": func(c *jetstream.StreamConfig) {
			c.AllowMsgSchedules, c.DenyPurge, c.Discard = true, false, jetstream.DiscardOld
		},
		"no_ack":    func(c *jetstream.StreamConfig) { c.NoAck = true },
		"retention": func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
		"subject_transform": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "ledger.*.*", Destination: "other.{{wildcard(1)}}.{{wildcard(2)}}"}
		},
		"sources": func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "ELSEWHERE"}} },
	} {
		t.Run(setting, func(t *testing.T) {
			b := newR1(t)
			cfg := b.config()
			js, err := jetstream.New(cfg.Conn)
			require.NoError(t, err)
			ledger := streams.Wanted(1)[0]
			change(&ledger)
			_, err = js.CreateStream(t.Context(), ledger)
			require.NoError(t, err)
			s := b.open(cfg)
			require.NoError(t, s.View(t.Context(), "acme", func(*domain.State, Head) error { return nil }), "it is read")
			create := request(&domain.CreateOrg{Org: "acme", Name: "Acme", Owner: "olga"})
			create.Actor = domain.Actor{Kind: domain.ActorBootstrap}
			_, err = s.Execute(t.Context(), "acme", create)
			require.ErrorIs(t, err, ErrUnsafeStore)
			assert.Contains(t, err.Error(), "stream LEDGER: "+setting+" is ")
			assert.Contains(t, err.Error(), "needed: ")
		})
	}
}

func TestALazyServerStopsTheStartAndAnOverrideIsRecorded(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "lazy.conf")
	text := fmt.Sprintf("server_name: lazy\njetstream { store_dir: %q }\n%s", filepath.Join(dir, "js"), clusterAccounts)
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	opts, err := server.ProcessConfigFile(conf)
	require.NoError(t, err)
	opts.DontListen, opts.NoSigs, opts.NoLog = true, true, true
	srv, err := server.NewServer(opts)
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(waitLimit))
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	b := &testbed{t: t, dir: dir, replicas: 1, servers: []*server.Server{srv}}
	b.openVault()
	cfg := b.config()
	err = openError(t, cfg)
	require.ErrorIs(t, err, ErrUnsafeStore)
	assert.Contains(t, err.Error(), "server lazy: sync_interval is lazy, needed: always")

	cfg.AllowUnsafe = true
	s := b.open(cfg)
	require.NoError(t, s.View(t.Context(), domain.SystemOrg, func(_ *domain.State, h Head) error {
		assert.Equal(t, uint64(1), h.N, "the override is a commit of _system")
		return nil
	}))
}

func TestAClusterIsCheckedThroughItsSystemAccount(t *testing.T) {
	b := newR3(t)
	cfg := b.config()
	cfg.System = nil
	err := openError(t, cfg)
	require.ErrorIs(t, err, ErrUnsafeStore)
	assert.Contains(t, err.Error(), "sync_interval is unknown")
	cfg.System = b.connect("sys")
	assert.NoError(t, openError(t, cfg))

}

func TestStreamsOfAnEarlierVersionAreReconciled(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	js, err := jetstream.New(cfg.Conn)
	require.NoError(t, err)
	ledger := streams.Wanted(1)[0]
	ledger.MaxMsgSize, ledger.AllowDirect = 1024, true
	_, err = js.CreateStream(t.Context(), ledger)
	require.NoError(t, err)
	require.NoError(t, openError(t, cfg))
	stream, err := js.Stream(t.Context(), streams.Ledger)
	require.NoError(t, err)
	assert.Equal(t, streams.Wanted(1)[0].MaxMsgSize, stream.CachedInfo().Config.MaxMsgSize)
	assert.False(t, stream.CachedInfo().Config.AllowDirect)
}

func TestTheLedgerCannotBeDeletedFromOrPurged(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	assert.Error(t, s.ledger.DeleteMsg(t.Context(), 1))
	assert.Error(t, s.ledger.SecureDeleteMsg(t.Context(), 1))
	assert.Error(t, s.ledger.Purge(t.Context()))
	rollup := nats.NewMsg(Subject("acme"))
	rollup.Header.Set("Nats-Rollup", "all")
	_, err := s.js.PublishMsg(t.Context(), rollup)
	assert.Error(t, err)
}

// Two nodes that start at once on empty servers both get their streams. Each finds
// those of the other half made.
func TestTwoNodesMakeTheStreamsAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
		defer cancel()
		var nodes errgroup.Group
		for range 2 {
			js, err := jetstream.New(b.connect("app"), jetstream.WithDefaultTimeout(apiTimeout))
			require.NoError(t, err)
			nodes.Go(func() error {
				_, err := surveyStreams(ctx, js, &Config{Replicas: b.replicas})
				return err
			})
		}
		require.NoError(t, nodes.Wait())
	})
}
