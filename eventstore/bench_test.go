package eventstore

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
)

// benchBed starts an embedded server with a store on it.
func benchBed(b *testing.B) (*Store, *nats.Conn) {
	b.Helper()
	dir := b.TempDir()
	e, err := natsserver.Start(natsserver.Config{Dir: dir, Log: quiet()})
	require.NoError(b, err)
	nc, err := e.Connect()
	require.NoError(b, err)
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(b, err)
	v, err := vault.Open(b.Context(), dir, master)
	require.NoError(b, err)
	marks, err := mark.OpenMarks(dir, "", waitLimit, quiet())
	require.NoError(b, err)
	s, err := Open(b.Context(), Config{Conn: nc, Embedded: e, Marks: marks, Keys: v, Vault: v, Snapshots: filepath.Join(dir, "snapshots"), Now: time.Now, Log: quiet()},
		NewMetrics(prometheus.NewRegistry()))
	require.NoError(b, err)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		require.NoError(b, s.Close(ctx))
		nc.Close()
		require.NoError(b, v.Close())
		require.NoError(b, marks.Close())
		e.Stop()
	})
	return s, nc
}

func benchOrg(b *testing.B, s *Store) {
	r := request(&domain.CreateOrg{Org: "acme", Name: "Test", Owner: "olga"})
	r.Actor = domain.Actor{Kind: domain.ActorBootstrap}
	_, err := s.Execute(b.Context(), "acme", r)
	require.NoError(b, err)
}

// BenchmarkExecute is a durable command with one sealed field, from the request to
// the acknowledged fsync and the folded state. Set it against BarePublish.
func BenchmarkExecute(b *testing.B) {
	s, _ := benchBed(b)
	benchOrg(b, s)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, err := s.Execute(b.Context(), "acme", request(&domain.RegisterPerson{Person: domain.ID(fmt.Sprint("p", i)), Name: domain.Clear("Some Person")}))
		require.NoError(b, err)
	}
}

// BenchmarkBarePublish is the floor: a fsynced publish of a body of the same size
// on the same kind of stream.
func BenchmarkBarePublish(b *testing.B) {
	s, nc := benchBed(b)
	benchOrg(b, s)
	_, err := s.Execute(b.Context(), "acme", request(&domain.RegisterPerson{Person: "p1", Name: domain.Clear("Some Person")}))
	require.NoError(b, err)
	msg, err := s.ledger.GetLastMsgForSubject(b.Context(), Subject("acme"))
	require.NoError(b, err)
	js, err := jetstream.New(nc)
	require.NoError(b, err)
	b.SetBytes(int64(len(msg.Data)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := js.Publish(b.Context(), "ledger.00.bare", msg.Data)
		require.NoError(b, err)
	}
}

// BenchmarkExecuteOverBarePublish does both in turn, so that the ratio holds on a
// machine whose speed drifts.
func BenchmarkExecuteOverBarePublish(b *testing.B) {
	s, nc := benchBed(b)
	benchOrg(b, s)
	js, err := jetstream.New(nc)
	require.NoError(b, err)
	var body []byte
	var execute, bare time.Duration
	for i := 0; b.Loop(); i++ {
		req := request(&domain.RegisterPerson{Person: domain.ID(fmt.Sprint("p", i)), Name: domain.Clear("Some Person")})
		began := time.Now()
		_, err := s.Execute(b.Context(), "acme", req)
		execute += time.Since(began)
		require.NoError(b, err)
		if body == nil {
			msg, err := s.ledger.GetLastMsgForSubject(b.Context(), Subject("acme"))
			require.NoError(b, err)
			body = msg.Data
		}
		began = time.Now()
		_, err = js.Publish(b.Context(), "ledger.00.bare", body)
		bare += time.Since(began)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(execute.Nanoseconds())/float64(b.N), "execute-ns/op")
	b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "bare-ns/op")
	b.ReportMetric(float64(execute)/float64(bare), "ratio")
}
