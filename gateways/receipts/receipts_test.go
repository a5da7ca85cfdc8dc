package receipts

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/natsserver"
	"gatehouse/schemas/wire"
)

// bed is the trackers of some instances, with a clock that tests move.
type bed struct {
	t      *testing.T
	server *natsserver.Embedded
	now    time.Time
}

func newBed(t *testing.T) *bed {
	t.Helper()
	t.Parallel()
	b := &bed{t: t, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	var err error
	b.server, err = natsserver.Start(natsserver.Config{Dir: t.TempDir(), Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(b.server.Stop)
	return b
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// tracker is that of a new instance.
func (b *bed) tracker() *Tracker {
	b.t.Helper()
	conn, err := b.server.Connect(nats.Name("test"))
	require.NoError(b.t, err)
	b.t.Cleanup(conn.Close)
	t, err := New(Config{Conn: conn, Metrics: prometheus.NewRegistry(), Now: func() time.Time { return b.now }, Log: quiet()})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { assert.NoError(b.t, t.Close()) })
	return t
}

// upto is a receipt for commits up to n, now.
func (b *bed) upto(n uint64, current bool) Receipt {
	p := wire.Position{Epoch: 1, N: n}
	if n == 0 {
		p = wire.Position{}
	}
	return Receipt{Org: "acme", Site: "north", Gateway: "cabinet", Table: p, Upto: p, Current: current, Asked: b.now, Anchor: b.now}
}

func (b *bed) pass(d time.Duration) { b.now = b.now.Add(d) }

func TestAReceiptTellsSinceWhen(t *testing.T) {
	b := newBed(t)
	tracker := b.tracker()
	first := b.now
	tracker.Take(b.upto(7, true))
	b.pass(10 * time.Second)
	tracker.Take(b.upto(7, true))
	s := tracker.Look("acme", "cabinet")
	assert.Equal(t, Current, s.State)
	assert.Equal(t, first, s.Since)
	assert.Equal(t, first, s.Online)
	assert.Equal(t, b.now, s.Begun)
	b.pass(Silence + time.Second)
	assert.Equal(t, Offline, tracker.Look("acme", "cabinet").State)
	tracker.Take(b.upto(8, false))
	s = tracker.Look("acme", "cabinet")
	assert.Equal(t, Behind, s.State)
	assert.Equal(t, b.now, s.Since)
	assert.Equal(t, b.now, s.Online)
}

// A new gateway asks before it has a table. Every instance knows then that it asks.
func TestAGatewayWithoutATableIsKnownToAllInstances(t *testing.T) {
	b := newBed(t)
	one, other := b.tracker(), b.tracker()
	one.Take(b.upto(0, false))
	require.Eventually(t, func() bool { return other.Look("acme", "cabinet").State == Behind }, time.Minute, time.Millisecond)
}

// A message that comes late takes nothing back.
func TestAnOlderReceiptIsPassedOver(t *testing.T) {
	b := newBed(t)
	tracker := b.tracker()
	old := b.upto(7, true)
	b.pass(time.Second)
	tracker.Take(b.upto(9, true))
	tracker.Take(old)
	assert.EqualValues(t, 9, tracker.Look("acme", "cabinet").Upto.N)
}

// A box that starts again from an older table may still hold the lease of before.
func TestALeaseDoesNotEndEarlierByAnOlderTable(t *testing.T) {
	b := newBed(t)
	tracker := b.tracker()
	tracker.Take(b.upto(9, true))
	begun := b.now
	b.pass(time.Second)
	older := b.upto(7, false)
	older.Anchor = begun.Add(-time.Hour)
	tracker.Take(older)
	s := tracker.Look("acme", "cabinet")
	assert.False(t, s.Enforces(wire.Position{Epoch: 1, N: 9}))
	assert.Equal(t, begun, s.Begun)
}

func TestAnInstanceHearsWhatOthersAreTold(t *testing.T) {
	b := newBed(t)
	one, two := b.tracker(), b.tracker()
	began := b.now
	assert.Equal(t, Sight{Receipt: Receipt{Org: "acme", Gateway: "cabinet"}, State: Unknown, Begun: began}, two.Look("acme", "cabinet"), "as late as it began to listen")
	one.Take(b.upto(7, true))
	assert.Empty(t, two.Await(t.Context(), "acme", []domain.ID{"cabinet"}, wire.Position{Epoch: 1, N: 7}))
	assert.Equal(t, one.Look("acme", "cabinet"), two.Look("acme", "cabinet"))
	now, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, []domain.ID{"cabinet"}, two.Await(now, "acme", []domain.ID{"cabinet"}, wire.Position{Epoch: 1, N: 8}))
	assert.Equal(t, []domain.ID{"cabinet"}, two.Await(now, "acme", []domain.ID{"cabinet"}, wire.Position{Epoch: 2, N: 3}))
	assert.Equal(t, []domain.ID{"other"}, two.Await(now, "acme", []domain.ID{"cabinet", "other"}, wire.Position{Epoch: 1, N: 7}))
}

// Once a message may have been lost, a gateway may have a lease that was not heard of.
func TestALostMessageMayHaveBeenALease(t *testing.T) {
	b := newBed(t)
	tracker := b.tracker()
	tracker.Take(b.upto(7, true))
	b.pass(20 * time.Second)
	tracker.losses-- // as if the connection had been lost in between
	assert.Equal(t, b.now, tracker.Look("acme", "cabinet").Begun)
	b.pass(time.Second)
	tracker.Take(b.upto(7, true))
	b.pass(time.Second)
	assert.Equal(t, b.now.Add(-time.Second), tracker.Look("acme", "cabinet").Begun)
}

func TestWhatIsKeptOfGatewaysIsBounded(t *testing.T) {
	b := newBed(t)
	tracker := b.tracker()
	for n := range 100 {
		r := b.upto(7, true)
		r.Gateway = domain.ID(fmt.Sprint("gw-", n))
		tracker.Take(r)
	}
	b.pass(forgotten + time.Second)
	tracker.Take(b.upto(7, true))
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	assert.Len(t, tracker.heard, 1)
	assert.LessOrEqual(t, len(tracker.moved), 1)
}

func TestHowLongDoorsMayOpenByAnOlderTable(t *testing.T) {
	begun := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	s := Sight{Begun: begun}
	standard, critical := &domain.Door{}, &domain.Door{Class: domain.ClassCritical}
	lasting := &domain.Door{Class: domain.ClassCritical, AfterLease: domain.AfterLeaseLastTable}
	assert.Equal(t, []ClassEnd{{domain.ClassStandard, 2, begun.Add(15 * time.Minute)}, {domain.ClassCritical, 1, begun.Add(30 * time.Second)}},
		s.Ends([]*domain.Door{standard, critical, standard}))
	assert.Equal(t, []ClassEnd{{domain.ClassCritical, 2, begun.Add(72*time.Hour + 30*time.Second)}}, s.Ends([]*domain.Door{lasting, critical}))
	assert.Empty(t, s.Ends(nil))
}

func TestMetricsTellOfGatewaysThatLag(t *testing.T) {
	b := newBed(t)
	tracker := b.tracker()
	tracker.Take(b.upto(7, true))
	behind := b.upto(3, false)
	behind.Gateway, behind.Lacks = "shed", b.now.Add(-4*time.Second)
	tracker.Take(behind)
	b.pass(5 * time.Second)
	assert.Equal(t, map[string]float64{"gatehouse_gateway_lag_seconds": 9, "gatehouse_gateway_silent_seconds": 5,
		"gatehouse_gateways current": 1, "gatehouse_gateways behind": 1, "gatehouse_gateways offline": 0}, gauges(t, tracker.metrics))
}

// gauges reads the gauges of a collector, each by its name and its label.
func gauges(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			out[name] = m.GetGauge().GetValue()
		}
	}
	return out
}
