package eventstore

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// small is a node that may hold one org.
func (b *testbed) small(observers ...Observer) *Store {
	cfg := b.config()
	cfg.Memory = 1
	s := b.open(cfg)
	for _, o := range observers {
		s.Observe(o)
	}
	return s
}

// awaitGone waits until an org has left memory.
func awaitGone(t *testing.T, s *Store, id domain.ID) {
	t.Helper()
	require.Eventually(t, func() bool {
		o := s.present(id)
		if o != nil {
			s.release(o)
		}
		return o == nil
	}, waitLimit, time.Millisecond)
}

func TestAnOrgThatLeftMemoryAnswersAsItDid(t *testing.T) {
	b := newR1(t)
	s := b.small()
	newOrg(t, s, "acme")
	fill(t, s, "acme", 5)
	req := request(&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana")})
	first, err := s.Execute(t.Context(), "acme", req)
	require.NoError(t, err)
	want, head := digest(t, s, "acme")
	release, err := s.Hold(t.Context(), "acme")
	require.NoError(t, err)
	newOrg(t, s, "beta")
	awaitGone(t, s, "beta") // acme is held, so the other leaves
	release()
	newOrg(t, s, "core")
	awaitGone(t, s, "acme")

	got, head2 := digest(t, s, "acme")
	assert.Equal(t, want, got)
	assert.Equal(t, head, head2)
	o := s.present("acme")
	require.NotNil(t, o)
	assert.Equal(t, head.N, o.snapped, "it came from its snapshot")
	s.release(o)
	req.Fields = []any{&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana")}}
	again, err := s.Execute(t.Context(), "acme", req)
	require.NoError(t, err)
	assert.True(t, again.Repeated)
	assert.Equal(t, first.Position, again.Position)
	require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ Head) error {
		p, _ := st.People.Get("ana")
		assert.Equal(t, "Ana", p.Name.Text())
		return nil
	}))
}

// witness is an observer that fails on a commit that it sees twice or not at all. It
// also fails when an org begins that it still has.
type witness struct {
	t *testing.T

	mu   sync.Mutex // guards what follows
	last map[domain.ID]uint64
	open map[domain.ID]bool
	ends int
}

func newWitness(t *testing.T) *witness {
	return &witness{t: t, last: map[domain.ID]uint64{}, open: map[domain.ID]bool{}}
}

func (w *witness) From(_ context.Context, id domain.ID) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last[id], nil
}

func (w *witness) Begin(id domain.ID, _ *domain.State, head Head) {
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.False(w.t, w.open[id], "%s begins twice", id)
	assert.LessOrEqual(w.t, head.N, w.last[id], "%s begins behind commits that were not seen", id)
	w.open[id], w.last[id] = true, head.N
}

func (w *witness) Applied(id domain.ID, _ *domain.State, c *schemas.Commit, _ Head) {
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.True(w.t, w.open[id], "%s has ended", id)
	assert.Equal(w.t, w.last[id]+1, c.N, "of %s", id)
	w.last[id] = c.N
}

func (w *witness) Seen(domain.ID) wire.Position { return wire.Position{} }

func (w *witness) Settled(id domain.ID) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last[id]
}

func (w *witness) End(id domain.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.True(w.t, w.open[id], "%s ends twice", id)
	w.open[id] = false
	w.ends++
	return true
}

// Sixteen writers over eight orgs on two nodes that may hold one org each: nothing
// is lost or doubled, and each node's observer sees every commit once.
func TestConstantEvictionLosesAndDoublesNothing(t *testing.T) {
	b := newR1(t)
	witnesses := []*witness{newWitness(t), newWitness(t)}
	nodes := []*Store{b.small(witnesses[0]), b.small(witnesses[1])}
	orgs := []domain.ID{"acme", "beta", "core", "dune", "east", "fort", "gate", "hill"}
	for _, id := range orgs {
		newOrg(t, nodes[0], id)
	}
	c := &contention{began: time.Now(), acked: map[domain.UUID]uint64{}}
	var writers, churn sync.WaitGroup
	for w := range 16 {
		writers.Go(func() { c.write(t, nodes[w%2], orgs[w/2%len(orgs)], w) })
	}
	over := make(chan struct{})
	for _, s := range nodes {
		churn.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(time.Millisecond):
					s.trim(1)
				}
			}
		})
	}
	writers.Wait()
	close(over)
	churn.Wait()
	for _, id := range orgs {
		c.compare(t, nodes, id)
	}
	assert.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(ledgerModel, c.history, time.Minute))
	assert.NotEmpty(t, c.acked)
	for _, w := range witnesses {
		w.mu.Lock()
		assert.Greater(t, w.ends, len(orgs), "orgs left again and again")
		t.Logf("%d commits acknowledged, orgs left %d times", len(c.acked), w.ends)
		w.mu.Unlock()
	}
}

func TestAnOrgInUseStaysInMemory(t *testing.T) {
	s := newR1(t).store()
	newOrg(t, s, "acme")
	release, err := s.Hold(t.Context(), "acme")
	require.NoError(t, err)
	s.mu.Lock()
	o := s.orgs["acme"]
	s.mu.Unlock()
	gone, err := s.evict(o)
	require.NoError(t, err)
	assert.False(t, gone, "what is held would be of an org that nobody follows")
	release()
	require.Eventually(t, func() bool { // the one that follows the ledger may be looking at it
		gone, err := s.evict(o)
		return assert.NoError(t, err) && gone
	}, waitLimit, time.Millisecond)
}

// A node visits an org that it does not hold when another node has committed to it. The
// node that committed may be gone before its projections have worked.
func TestACommitOfAnotherNodeBringsTheOrgIn(t *testing.T) {
	b := newR1(t)
	w := newWitness(t)
	s, other := b.small(w), b.store()
	newOrg(t, other, "acme")
	r := fill(t, other, "acme", 3)
	seen := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.last["acme"] == r.Position.N
	}
	require.Eventually(t, seen, waitLimit, time.Millisecond)
	newOrg(t, s, "beta")
	require.Eventually(t, func() bool { // a second visit may come late, and push beta out
		_, head := digest(t, s, "beta")
		o := s.present("acme")
		if o != nil {
			s.release(o)
		}
		return head.N == 1 && o == nil
	}, waitLimit, time.Millisecond)
	r = fill(t, other, "acme", 1)
	require.Eventually(t, seen, waitLimit, time.Millisecond)
}

func TestWhatWasNeverMadeTakesNoMemory(t *testing.T) {
	s := newR1(t).small()
	for _, id := range []domain.ID{"none", "nobody", "nothing"} {
		require.NoError(t, s.View(t.Context(), id, func(*domain.State, Head) error { return nil }))
	}
	require.Eventually(t, func() bool { return len(s.Loaded()) <= 2 }, waitLimit, time.Millisecond)
}
