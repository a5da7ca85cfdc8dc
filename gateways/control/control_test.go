package control

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/projections/due"
	"gatehouse/schemas/wire"
)

func TestADoorOpensForARemoteUnlock(t *testing.T) {
	b := newBed(t)
	g := b.gateway(opens)
	req := b.open("gate")
	result := b.first.execute(req)
	b.first.control.Accepted("acme", req, result)
	id := requested(t, result)
	outcome, code := b.first.outcome(id)
	assert.Equal(t, domain.UnlockExecuted, outcome)
	assert.Empty(t, code)
	assert.Equal(t, wire.Order{Type: "remote_unlock", ID: wire.ID(id), Org: "acme", Door: "gate", Person: "olga", At: result.At, ValidUntil: result.At.Add(5 * time.Second)}, <-g.heard)
	assert.Equal(t, 1, b.first.outcomes(id))
}

func TestAGatewayRefuses(t *testing.T) {
	b := newBed(t)
	b.gateway(func(o wire.Order) []byte {
		return []byte(`{"id":"` + string(o.ID) + `","outcome":"refused","code":"deny_lease_ended"}`)
	})
	outcome, code := b.first.outcome(b.first.take(b.open("gate")))
	assert.Equal(t, domain.UnlockRefused, outcome)
	assert.Equal(t, domain.RefusalCode("deny_lease_ended"), code)
}

func TestAnAnswerThatCannotBeReadIsUnknown(t *testing.T) {
	b := newBed(t)
	b.gateway(func(wire.Order) []byte { return []byte(`{"id":"another","outcome":"executed"}`) })
	outcome, _ := b.first.outcome(b.first.take(b.open("gate")))
	assert.Equal(t, domain.UnlockUnknown, outcome)
}

func TestNobodyHearsAnOrder(t *testing.T) {
	b := newBed(t)
	b.gateway(opens)
	outcome, _ := b.first.outcome(b.first.take(b.open("yard")))
	assert.Equal(t, domain.UnlockUnreachable, outcome, "which is not found by waiting: that gives unknown")
}

func TestASilentGatewayIsUnknownWhenTheOrderIsOver(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	req := b.open("gate")
	result := b.first.execute(req)
	b.ahead.Store(int64(domain.RemoteUnlockValid - 200*time.Millisecond)) // most of its time has gone
	b.first.control.Accepted("acme", req, result)
	outcome, _ := b.first.outcome(requested(t, result))
	assert.Equal(t, domain.UnlockUnknown, outcome)
	assert.Len(t, g.heard, 1)
}

func TestAnOrderIsNotSentWhenItIsOver(t *testing.T) {
	b := newBed(t)
	g := b.gateway(opens)
	req := b.open("gate")
	result := b.first.execute(req)
	b.ahead.Store(int64(domain.RemoteUnlockValid))
	b.first.control.Accepted("acme", req, result)
	outcome, _ := b.first.outcome(requested(t, result))
	assert.Equal(t, domain.UnlockUnreachable, outcome)
	assert.Empty(t, g.heard)
}

// A retry of the sender opens nothing again. It may reach any instance, at once or
// after the first was answered. A dry run opens nothing either.
func TestTheSameCommandOpensOnce(t *testing.T) {
	b := newBed(t)
	other := b.instance()
	g := b.gateway(opens)
	dry := b.open("gate")
	dry.DryRun = true
	b.first.take(dry)
	req := b.open("gate")
	var sending sync.WaitGroup
	for n := range 8 {
		i := []*instance{b.first, other}[n%2]
		sending.Go(func() { i.take(req) })
	}
	sending.Wait()
	id := other.take(req)
	outcome, _ := other.outcome(id)
	assert.Equal(t, domain.UnlockExecuted, outcome)
	b.first.take(req)
	// An order that comes behind all others tells that no more come.
	last := b.first.take(b.open("gate"))
	b.first.outcome(last)
	assert.Equal(t, wire.ID(id), (<-g.heard).ID)
	assert.Equal(t, wire.ID(last), (<-g.heard).ID)
	assert.Empty(t, g.heard)
	assert.Equal(t, 1, b.first.outcomes(id))
}

// If an instance ends between commit and answer, the timer records the outcome. No
// other instance opens the door in its place.
func TestWhatAnInstanceLeftUndoneIsNeverDone(t *testing.T) {
	b := newBed(t)
	g := b.gateway(opens)
	req := b.open("gate")
	id := requested(t, b.first.execute(req)) // and it ends here
	later := b.instance()
	timer := due.New(due.Config{Store: later.store, Now: b.now, Log: quiet()}, due.NewMetrics(prometheus.NewRegistry()))
	_, err := later.store.Head(t.Context(), "acme") // loads it
	require.NoError(t, err)
	assert.Equal(t, id, later.take(req), "the sender tries again")
	b.ahead.Store(int64(15 * time.Second))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { timer.Run(ctx) })
	outcome, _ := later.outcome(id)
	cancel()
	running.Wait()
	assert.Equal(t, domain.UnlockUnknown, outcome)
	later.take(req)
	require.NoError(t, later.control.Stop(t.Context()))
	assert.Empty(t, g.heard)

	// A late answer changes nothing of the record.
	b.first.control.settle(&task{order: wire.Order{ID: wire.ID(id), Org: "acme"}, cause: req.ID}, domain.UnlockExecuted, "")
	outcome, _ = b.first.look(id)
	assert.Equal(t, domain.UnlockUnknown, outcome)
	assert.Equal(t, 1, b.first.outcomes(id))
}

func TestAStopWaitsForTheOutcome(t *testing.T) {
	b := newBed(t)
	heard, answer := make(chan struct{}), make(chan struct{})
	b.gateway(func(o wire.Order) []byte {
		close(heard)
		<-answer
		return opens(o)
	})
	id := b.first.take(b.open("gate"))
	<-heard
	stopped := make(chan error)
	go func() { stopped <- b.first.control.Stop(t.Context()) }()
	close(answer)
	require.NoError(t, <-stopped)
	outcome, _ := b.first.look(id)
	assert.Equal(t, domain.UnlockExecuted, outcome)
	b.first.take(b.open("yard")) // is left to the timer
	require.NoError(t, b.first.control.Stop(t.Context()))
}

// A stop that cannot wait leaves orders in flight as unknown.
func TestAStopThatMayNotWait(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	id := b.first.take(b.open("gate"))
	<-g.heard
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, b.first.control.Stop(over))
	outcome, _ := b.first.look(id)
	assert.Equal(t, domain.UnlockUnknown, outcome)
}

func TestWhatIsAboveTheBoundIsNotSent(t *testing.T) {
	b := newBed(t)
	g := b.gateway(opens)
	b.first.control.places = make(chan struct{})
	var ids []domain.ID
	req := b.open("gate")
	req.Fields = []any{&domain.RemoteUnlock{Door: "gate"}, &domain.RemoteUnlock{Door: "gate"}}
	result := b.first.execute(req)
	b.first.control.Accepted("acme", req, result)
	for _, e := range result.Opened {
		ids = append(ids, e.(domain.RemoteUnlockRequested).Request)
	}
	require.Len(t, ids, 2)
	for _, id := range ids {
		outcome, _ := b.first.outcome(id)
		assert.Equal(t, domain.UnlockUnreachable, outcome)
	}
	assert.Empty(t, g.heard)
}
