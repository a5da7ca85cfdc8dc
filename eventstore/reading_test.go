package eventstore

import (
	"encoding/json"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas"
)

// consumers counts the consumers of a stream.
func consumers(t *testing.T, s *Store, stream string) int {
	t.Helper()
	st, err := s.js.Stream(t.Context(), stream)
	require.NoError(t, err)
	info, err := st.Info(t.Context())
	require.NoError(t, err)
	return info.State.Consumers
}

// A server allows a stream 1,000 consumers, and forgets one that is left behind
// after minutes.
func TestLoadsLeaveNoConsumersBehind(t *testing.T) {
	b := newR1(t)
	s := b.small()
	for _, org := range []domain.ID{"acme", "beta"} {
		newOrg(t, s, org)
		fill(t, s, org, 3)
	}
	before := consumers(t, s, streams.Ledger)
	for range count(20) {
		for _, org := range []domain.ID{"acme", "beta"} { // each pushes the other out
			require.NoError(t, s.Commits(t.Context(), org, 0, 0, func(*schemas.Commit, []byte) error { return nil }))
		}
	}
	// A consumer is gone some time after its deletion was answered.
	assert.Eventually(t, func() bool { return consumers(t, s, streams.Ledger) <= before }, waitLimit, time.Millisecond)
}

// A server cuts a connection for which it holds back 64 MiB.
func TestReadersAskForNoMoreBytesThanAConnectionTakes(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	fill(t, s, "acme", 3)
	asked, err := b.connect("app").SubscribeSync("$JS.API.CONSUMER.MSG.NEXT.>")
	require.NoError(t, err)
	require.NoError(t, asked.AutoUnsubscribe(1))
	require.NoError(t, b.connect("app").Flush())
	require.NoError(t, s.Commits(t.Context(), "acme", 0, 0, func(*schemas.Commit, []byte) error { return nil }))
	msg, err := asked.NextMsg(waitLimit)
	require.NoError(t, err)
	var pull struct {
		Bytes int `json:"max_bytes"`
	}
	require.NoError(t, json.Unmarshal(msg.Data, &pull))
	assert.Positive(t, pull.Bytes)
	assert.LessOrEqual(t, pull.Bytes, pullBytes)
}

func TestSlowConnectionsAreCounted(t *testing.T) {
	s := newR1(t).store()
	counted := func() float64 {
		var m dto.Metric
		require.NoError(t, s.metrics.Slow.WithLabelValues("server").Write(&m))
		return m.GetCounter().GetValue()
	}
	s.noteSlow("n1", 5)
	assert.Zero(t, counted(), "nobody knows when those were")
	s.noteSlow("n1", 7)
	assert.InDelta(t, 2, counted(), 0)
	s.noteSlow("n1", 1)
	assert.InDelta(t, 3, counted(), 0, "it was started again")
}

// The slow parts of a snapshot, its encoding and its file, hold up nothing.
func TestCommandsPassWhileASnapshotIsWritten(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	s := b.open(cfg)
	newOrg(t, s, "acme")
	fill(t, s, "acme", 5)
	o := s.present("acme")
	require.NotNil(t, o)
	defer s.release(o)
	want, head := digest(t, s, "acme")
	f, ok := s.freeze(o, 1)
	require.True(t, ok)
	fill(t, s, "acme", 1)
	o.mu.Lock() // whoever asked for the org now would wait for ever
	err := s.writeSnapshot(f)
	o.mu.Unlock()
	o.looks.Add(-1)
	require.NoError(t, err)
	h, state, _, err := s.readSnapshot("acme")
	require.NoError(t, err)
	assert.Equal(t, head.N, h.N)
	st := domain.NewState()
	require.NoError(t, st.UnmarshalBinary(state))
	got, err := st.Digest()
	require.NoError(t, err)
	assert.Equal(t, want, got, "it is the state at its head")
}
