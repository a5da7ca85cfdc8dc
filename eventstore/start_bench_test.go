package eventstore

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// BenchmarkStart loads an org of many commits from the ledger and from its snapshot. It
// also reads the same messages with a bare consumer. The count is GATEHOUSE_LONG, or
// 100,000.
func BenchmarkStart(b *testing.B) {
	n := count(100_000)
	cfg := longLedger(b, n)
	perSecond := func(took time.Duration) float64 { return float64(n) / took.Seconds() }
	for b.Loop() {
		s, err := Open(b.Context(), cfg, NewMetrics(prometheus.NewRegistry()))
		require.NoError(b, err)
		began := time.Now()
		require.NoError(b, s.readThrough(b.Context(), streams.Ledger, []string{Subject("acme")}, 1, uint64(n), func(uint64, []byte) error { return nil }))
		bare := time.Since(began)
		began = time.Now()
		require.NoError(b, s.View(b.Context(), "acme", func(_ *domain.State, h Head) error {
			require.Equal(b, uint64(n), h.N)
			return nil
		}))
		load := time.Since(began)
		require.NoError(b, s.Close(b.Context()))

		s, err = Open(b.Context(), cfg, NewMetrics(prometheus.NewRegistry()))
		require.NoError(b, err)
		began = time.Now()
		require.NoError(b, s.View(b.Context(), "acme", func(*domain.State, Head) error { return nil }))
		snapshot := time.Since(began)
		require.NoError(b, s.snapshotGone("acme"))
		b.ReportMetric(perSecond(bare), "bare-commits/s")
		b.ReportMetric(perSecond(load), "load-commits/s")
		b.ReportMetric(float64(bare)/float64(load), "load/bare")
		b.ReportMetric(snapshot.Seconds(), "snapshot-s")
	}
}

// longLedger fills a ledger with people who come and change, without fsyncs: what
// is measured is the reading.
func longLedger(b *testing.B, n int) Config {
	b.Helper()
	dir := b.TempDir()
	srv, err := server.NewServer(&server.Options{ServerName: "bench", DontListen: true, JetStream: true, NoSigs: true, NoLog: true, StoreDir: filepath.Join(dir, "js")})
	require.NoError(b, err)
	srv.Start()
	require.True(b, srv.ReadyForConnections(waitLimit))
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	require.NoError(b, err)
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(b, err)
	v, err := vault.Open(b.Context(), dir, master)
	require.NoError(b, err)
	b.Cleanup(func() { nc.Close(); require.NoError(b, v.Close()); srv.Shutdown(); srv.WaitForShutdown() })
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	require.NoError(b, err)
	_, err = surveyStreams(b.Context(), js, &Config{Replicas: 1})
	require.NoError(b, err)
	var prev wire.Hash
	for i := range n {
		person := domain.ID(fmt.Sprint("person-", i%20_000))
		var event domain.Event = domain.PersonRegistered{Person: person}
		if i >= 20_000 {
			event = domain.PersonSuspended{Person: person}
			if i/20_000%2 == 0 {
				event = domain.PersonReinstated{Person: person}
			}
		}
		data, err := json.Marshal(event)
		require.NoError(b, err)
		c := &schemas.Commit{ID: newID(), Org: "acme", Epoch: 1, N: uint64(i + 1), At: time.Unix(int64(i), 0).UTC(), Actor: domain.PersonActor("olga"),
			Command: "Bench", Prev: prev, MinReader: 1, Events: []schemas.Event{{Type: domain.EventName(event), Version: 1, Sites: []domain.ID{}, Data: data}}}
		body, err := c.Encode()
		require.NoError(b, err)
		prev = wire.HashOf(body)
		_, err = js.PublishAsync(Subject("acme"), body)
		require.NoError(b, err)
	}
	<-js.PublishAsyncComplete()
	return Config{Conn: nc, Keys: v, Snapshots: filepath.Join(dir, "snapshots"), Now: time.Now, Log: quiet(), AllowUnsafe: true}
}

// snapshotGone removes an org's snapshot and closes the store without writing it
// again.
func (s *Store) snapshotGone(id domain.ID) error {
	if err := os.Remove(s.snapshotPath(id)); err != nil {
		return err
	}
	s.present(id).snapped = math.MaxUint64 - 1
	s.cancel()
	s.running.Wait()
	return nil
}
