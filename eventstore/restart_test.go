package eventstore

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
)

func TestTheLedgerSurvivesARestartOfTheServer(t *testing.T) {
	b := newR1(t)
	s := b.open(b.holder())
	newOrg(t, s, "acme")
	last := fill(t, s, "acme", 10)
	want, head := digest(t, s, "acme")
	require.NoError(t, s.Close(t.Context()))
	b.embedded.Stop()
	b.startR1()

	again := b.open(b.holder())
	got, head2 := digest(t, again, "acme")
	assert.Equal(t, want, got)
	assert.Equal(t, head, head2)
	assert.Equal(t, last.Hash, head2.Hash)
	r, err := again.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Name: domain.Clear("After")}))
	require.NoError(t, err)
	assert.Equal(t, head.N+1, r.Position.N)
}

// One of three servers goes away while commands are sent: what was acknowledged is
// there, once, and the rest of the cluster goes on.
func TestTheLedgerSurvivesTheLossOfOneServer(t *testing.T) {
	b := newR3(t)
	s := b.store()
	newOrg(t, s, "acme")
	// The server that this node is connected to in process stays.
	lost := b.servers[(int(b.next.Load())+1)%3]
	for _, srv := range b.servers {
		if srv.JetStreamIsLeader() && srv.Name() != s.cfg.Conn.ConnectedServerName() && srv.Name() != s.cfg.System.ConnectedServerName() {
			lost = srv
		}
	}
	if lost.Name() == s.cfg.Conn.ConnectedServerName() {
		lost = b.servers[(int(b.next.Load())+2)%3]
	}
	acked := map[domain.UUID]uint64{}
	var mu sync.Mutex
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range count(15) {
				req := request(&domain.RegisterPerson{Name: domain.Clear(fmt.Sprintf("writer %d, %d", w, i))})
				for try := range 5 { // as a client does: the same id again
					req.Fields = []any{&domain.RegisterPerson{Name: domain.Clear(fmt.Sprintf("writer %d, %d", w, i))}}
					r, err := s.Execute(t.Context(), "acme", req)
					if err == nil {
						mu.Lock()
						acked[req.ID] = r.Position.N
						mu.Unlock()
						break
					}
					assert.Less(t, try, 4, "%v", err)
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	lost.Shutdown()
	writers.Wait()

	stored := map[domain.UUID]uint64{}
	require.NoError(t, s.Commits(t.Context(), "acme", 0, 0, func(c *schemas.Commit, _ []byte) error {
		_, twice := stored[c.ID]
		assert.False(t, twice)
		stored[c.ID] = c.N
		return nil
	}))
	assert.Len(t, acked, 4*count(15))
	for id, n := range acked {
		assert.Equal(t, n, stored[id])
	}
}

func TestCommitsBetweenPositions(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	newOrg(t, s, "beta")
	fill(t, s, "acme", 9)
	for _, c := range []struct{ from, to, first, last uint64 }{
		{0, 0, 1, 10}, {0, 1, 1, 1}, {1, 0, 2, 10}, {3, 5, 4, 5}, {9, 10, 10, 10}, {10, 0, 0, 0}, {99, 0, 0, 0}, {5, 3, 0, 0}, {8, 99, 9, 10},
	} {
		var got []uint64
		require.NoError(t, s.Commits(t.Context(), "acme", c.from, c.to, func(commit *schemas.Commit, _ []byte) error {
			got = append(got, commit.N)
			return nil
		}))
		if c.first == 0 {
			assert.Empty(t, got, "%+v", c)
			continue
		}
		require.Len(t, got, int(c.last-c.first+1), "%+v", c)
		assert.Equal(t, c.first, got[0], "%+v", c)
		assert.Equal(t, c.last, got[len(got)-1], "%+v", c)
	}
}

// An instance that is behind does not refuse on what it has not seen yet.
func TestARefusalIsDecidedOnTheTailOfTheLedger(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	other := b.store()
	_, head := digest(t, other, "acme")
	require.Equal(t, uint64(1), head.N)
	other.cancel() // it follows nothing from now on
	other.running.Wait()
	_, err := s.Execute(t.Context(), "acme", request(&domain.CreateSite{Site: "north", Name: "North", Zone: "UTC"}))
	require.NoError(t, err)
	_, err = other.Execute(t.Context(), "acme", request(&domain.CreateArea{Area: "yard", Site: "north", Name: "Yard"}))
	require.NoError(t, err, "the site is there")

	_, err = s.Execute(t.Context(), "acme", request(&domain.CreateArea{Area: "hall", Site: "north", Name: "Hall"}))
	require.NoError(t, err)
	dry := request(&domain.CreateArea{Area: "hall", Site: "north", Name: "Hall"})
	dry.DryRun = true
	_, err = other.Execute(t.Context(), "acme", dry)
	assert.ErrorContains(t, err, "area_exists")
}

// A command that panics is its caller's trouble; the org goes on.
func TestAPanicLeavesTheQueueGoing(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	o, err := s.org(t.Context(), "acme")
	require.NoError(t, err)
	boom := func(context.Context) { panic("boom") }
	assert.PanicsWithValue(t, "boom", func() { _ = o.queue.do(t.Context(), laneNormal, boom) })
	hold, entered, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, o.queue.do(t.Context(), laneNormal, func(context.Context) { close(entered); <-hold }))
	}()
	<-entered
	queued := make(chan struct{})
	go func() {
		defer close(queued)
		assert.PanicsWithValue(t, "boom", func() { _ = o.queue.do(t.Context(), laneNormal, boom) })
	}()
	waiting(t, o.queue, laneNormal, 1)
	close(hold)
	<-done
	<-queued
	fill(t, s, "acme", 1)
}
