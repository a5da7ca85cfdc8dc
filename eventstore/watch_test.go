package eventstore

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// away is the server of a cluster that comes and goes in these tests; nodes are
// connected to the others.
const away = 2

func (b *testbed) configBesides() Config {
	cfg := b.config()
	cfg.Conn, cfg.System = b.connectTo(0, "app"), b.connectTo(1, "sys")
	return cfg
}

// rewrite changes the settings of the server that is away.
func (b *testbed) rewrite(from, to string) {
	text, err := os.ReadFile(b.conf(away))
	require.NoError(b.t, err)
	require.Contains(b.t, string(text), from)
	require.NoError(b.t, os.WriteFile(b.conf(away), bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600))
}

// gauged reads a gauge.
func gauged(t *testing.T, g prometheus.Gauge) float64 {
	t.Helper()
	var m dto.Metric
	require.NoError(t, g.Write(&m))
	return m.GetGauge().GetValue()
}

// looks asks the servers for their settings until they say what is wanted.
func looks(t *testing.T, s *Store, silent, unsafe int) {
	t.Helper()
	require.Eventually(t, func() bool {
		err := s.lookAtServers(t.Context()) // what cannot be recorded just now is at the next look
		quiet, bad := s.Servers()
		return err == nil && len(quiet) == silent && len(bad) == unsafe
	}, waitLimit, 50*time.Millisecond)
}

// A node starts and serves while a majority of the servers answers; the one that
// does not is named, and forgiven when it is back. When it comes back with a setting
// that could lose commits, nothing is appended until that is put right.
func TestANodeRunsOnAMajorityOfServers(t *testing.T) {
	t.Parallel()
	b := newR3(t)
	s := b.open(b.configBesides())
	newOrg(t, s, "acme")
	b.halt(away)

	s = b.open(b.configBesides())
	silent, unsafe := s.Servers()
	assert.Equal(t, []string{"n3"}, silent)
	assert.Empty(t, unsafe)
	assert.InDelta(t, 1, gauged(t, s.metrics.Silent), 0)
	_, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "anna", Name: domain.Clear("Anna")}))
	require.NoError(t, err)
	b.serve(away)
	looks(t, s, 0, 0)

	b.halt(away)
	b.rewrite("sync_interval: always", "sync_interval: 2m")
	b.serve(away)
	looks(t, s, 0, 1)
	assert.InDelta(t, 1, gauged(t, s.metrics.Unsafe), 0)
	cut := request(&domain.SuspendPerson{Person: "anna"})
	_, err = s.Execute(t.Context(), "acme", cut)
	require.ErrorIs(t, err, ErrUnsafeStore)
	require.ErrorContains(t, err, "server n3: sync_interval is lazy, needed: always")
	dry := request(&domain.SuspendPerson{Person: "anna"})
	dry.DryRun = true
	_, err = s.Execute(t.Context(), "acme", dry)
	require.NoError(t, err, "what appends nothing goes on")
	w, err := s.ActivityWriter(t.Context(), "acme", "north", "lobby")
	require.NoError(t, err)
	require.ErrorIs(t, w.Append(t.Context(), records(1, 1)), ErrUnsafeStore)
	require.ErrorIs(t, openError(t, b.configBesides()), ErrUnsafeStore)

	b.halt(away)
	looks(t, s, 1, 0)
	_, err = s.Execute(t.Context(), "acme", cut)
	require.NoError(t, err, "a server that is down loses nothing")
	b.rewrite("sync_interval: 2m", "sync_interval: always")
	b.serve(away)
	looks(t, s, 0, 0)
}

// With the override of the operator the node goes on. Each server that could lose
// commits is recorded once, when it is found.
func TestAnOverrideIsRecordedForAServerThatComesBackUnsafe(t *testing.T) {
	t.Parallel()
	b := newR3(t)
	cfg := b.configBesides()
	cfg.AllowUnsafe = true
	s := b.open(cfg)
	newOrg(t, s, "acme")
	b.halt(away)
	b.rewrite("sync_interval: always", "sync_interval: 2m")
	b.serve(away)
	looks(t, s, 0, 1)
	require.NoError(t, s.lookAtServers(t.Context()))
	require.NoError(t, s.View(t.Context(), domain.SystemOrg, func(_ *domain.State, h Head) error {
		assert.Equal(t, uint64(1), h.N)
		return nil
	}))
	_, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "anna"}))
	require.NoError(t, err)
}

func TestTooFewServersStopTheStart(t *testing.T) {
	t.Parallel()
	b := newR3(t)
	cfg := b.configBesides()
	cfg.Conn, cfg.System = b.connectTo(0, "app"), b.connectTo(0, "sys")
	b.halt(1)
	b.halt(2)
	err := openError(t, cfg)
	require.ErrorIs(t, err, ErrUnsafeStore)
	assert.ErrorContains(t, err, "the cluster: servers that told their settings is 1, needed: at least 2, the majority of 3")
}
