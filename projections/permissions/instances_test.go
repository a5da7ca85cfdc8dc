package permissions

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/randomtest"
	"gatehouse/schemas/wire"
)

func withSubjects(filter string) jetstream.StreamInfoOpt { return jetstream.WithSubjectFilter(filter) }

func TestTheSecondInstanceFindsTheDeltaDone(t *testing.T) {
	b := newBed(t)
	one, two := b.node(), b.node()
	one.do("acme", house)
	one.settle("acme")
	two.caughtUp("acme", one)
	two.settle("acme")
	one.do("acme", `olga RevokeRight {"grant":"g-ben-n"}
olga SuspendPerson {"person":"anna"}`)
	two.caughtUp("acme", one)
	before := b.published("acme")
	one.turnAll()
	after := b.published("acme")
	assert.Equal(t, before+3, after)
	assert.NotZero(t, two.Lags()[0].Waiting)
	two.turnAll()
	assert.Equal(t, after, b.published("acme"), "nothing is published twice")
	assert.Zero(t, two.Lags()[0].Waiting)
	for _, n := range []*node{one, two} {
		n.agree("acme", "north", "south")
		assert.Zero(t, n.divergence())
	}

	// The second one continues where the first one ended.
	two.do("acme", `olga ReinstatePerson {"person":"anna"}`)
	two.turnAll()
	assert.Equal(t, after+2, b.published("acme"))
	two.agree("acme", "north", "south")
}

func TestADeltaWhoseAcknowledgementWasLostIsFoundDone(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house)
	n.settle("acme")
	n.do("acme", `olga RevokeRight {"grant":"g-ben-n"}`)
	o := n.org("acme")
	o.mu.Lock()
	e, pub, mine := *o.queue[0], o.queue[0].site.published, o.queue[0].site.mine
	o.mu.Unlock()
	n.turnAll()
	before := b.published("acme")
	s := e.site
	o.mu.Lock()
	s.published, s.mine = pub, mine
	o.enqueue(&e)
	o.mu.Unlock()
	o.wake()
	n.turnAll()
	assert.Equal(t, before, b.published("acme"))
	n.agree("acme", "north", "south")
	assert.Zero(t, n.divergence())
}

func TestAnInstanceBehindTheLedgerWaits(t *testing.T) {
	b := newBed(t)
	one, two := b.node(), b.node()
	one.do("acme", house)
	one.settle("acme")
	two.caughtUp("acme", one)
	two.settle("acme")
	one.do("acme", `olga RevokeRight {"grant":"g-ben-n"}`)
	two.caughtUp("acme", one)

	// While the second one holds its next commit back, the first publishes it.
	o := two.org("acme")
	one.do("acme", `olga SuspendPerson {"person":"ben"}`)
	one.turnAll()
	two.caughtUp("acme", one)
	o.mu.Lock()
	held := o.head
	o.head.N-- // as if the last commit had not come yet
	last := o.queue[len(o.queue)-1]
	o.queue = o.queue[:len(o.queue)-1]
	table := last.site.table.Load()
	last.site.table.Store(last.before)
	o.mu.Unlock()
	two.turnAll()
	assert.Equal(t, []domain.ID{"north"}, two.Lags()[0].Ahead, "the published table is of a commit that is not here")
	assert.Zero(t, two.Lags()[0].Waiting)

	o.mu.Lock()
	o.head = held
	o.queue = append(o.queue, last)
	last.site.table.Store(table)
	o.mu.Unlock()
	o.wake()
	two.turnAll()
	assert.Zero(t, two.Lags()[0].Waiting)
	assert.Empty(t, two.Lags()[0].Ahead)
	assert.Zero(t, two.divergence())
	two.agree("acme", "north", "south")
}

func TestOtherRowsOfAnotherInstanceStandAndAreReported(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house)
	n.settle("acme")
	n.do("acme", `olga RevokeRight {"grant":"g-ben-n"}`)
	head, err := n.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	b.forge("acme", "north", func(d *wire.PermissionDelta) {
		d.N = head.N
		d.Put = unlock.Rows{&unlock.Person{ID: "mallory", State: unlock.PersonActive}}
	})
	before := b.published("acme")
	n.turnAll()
	assert.Equal(t, before, b.published("acme"), "instances do not correct each other")
	assert.Equal(t, 1.0, n.divergence())
	assert.Equal(t, []domain.ID{"north"}, n.Lags()[0].Diverged)
	assert.Equal(t, head.N-1, n.Settled("acme"), "no snapshot keeps what may be wrong")

	// Changes that take access away are still published.
	n.do("acme", `olga SuspendPerson {"person":"anna"}`)
	n.turnAll()
	table, _ := b.load("acme", "north")
	row, _ := table.Row(unlock.Key{Kind: unlock.KindPerson, ID: "anna"})
	assert.Equal(t, unlock.PersonSuspended, row.(*unlock.Person).State)

	// The next start finds the difference and removes it.
	next := b.node()
	next.caughtUp("acme", n)
	next.turnAll()
	assert.Equal(t, 1.0, next.divergence())
	assert.Empty(t, next.Lags()[0].Diverged)
	next.agree("acme", "north", "south")
}

func TestTwoInstancesPublishAtTheSameTime(t *testing.T) {
	b := newBed(t)
	one, two := b.node().start(), b.node().start()
	one.do("acme", house)
	one.flush()
	for range 20 {
		one.do("acme", `olga SuspendPerson {"person":"anna"}
olga DisableDoor {"door":"office"}`)
		two.do("acme", `olga ReinstatePerson {"person":"anna"}
olga EnableDoor {"door":"office"}`)
	}
	one.caughtUp("acme", two)
	for _, n := range []*node{one, two} {
		n.tagged("acme", "north")
		n.tagged("acme", "south")
		n.flush()
		n.agree("acme", "north", "south")
		assert.Zero(t, n.divergence())
	}
	seen := map[string]bool{}
	for _, d := range told(b.deltas("acme", "north")) {
		assert.False(t, seen[d], "%s twice", d)
		seen[d] = true
	}
}

// TestInstancesInAnyOrderPublishEachCommitOnce lets instances execute, publish, stop
// and start in a random order.
func TestInstancesInAnyOrderPublishEachCommitOnce(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(20260302, randomtest.Seed(t, seed)))
			b := newBed(t)
			nodes := []*node{b.node(), b.node()}
			nodes[0].do("acme", house)
			changes := []string{
				`olga SuspendPerson {"person":"anna"}`, `olga ReinstatePerson {"person":"anna"}`,
				`olga SuspendPerson {"person":"ben"}`, `olga ReinstatePerson {"person":"ben"}`,
				`olga DisableDoor {"door":"office"}`, `olga EnableDoor {"door":"office"}`,
				`olga DisableDoor {"door":"south-gate"}`, `olga EnableDoor {"door":"south-gate"}`,
				`olga RenameSite {"site":"north","name":"Norden"}`,
				`olga SuspendCredential {"credential":"f-anna"}`, `olga ReinstateCredential {"credential":"f-anna"}`,
			}
			sites := 0
			for range 60 {
				n := nodes[r.IntN(len(nodes))]
				switch r.IntN(8) {
				case 0, 1, 2:
					n.do("acme", changes[r.IntN(len(changes))])
				case 3:
					sites++
					n.do("acme", fmt.Sprintf(`olga CreateSite {"site":"s%d","name":"S","zone":"UTC"}`, sites))
				case 4, 5, 6:
					for range r.IntN(4) {
						n.turnOnce()
					}
				case 7:
					i := r.IntN(len(nodes))
					nodes[i] = b.node()
					nodes[i].caughtUp("acme", n)
				}
			}
			all := []domain.ID{"north", "south"}
			for i := range sites {
				all = append(all, domain.ID(fmt.Sprint("s", i+1)))
			}
			for _, n := range nodes {
				n.caughtUp("acme", nodes[0])
				n.caughtUp("acme", nodes[1])
			}
			for _, n := range append(nodes, nodes...) {
				n.makeTags(t.Context(), n.org("acme"))
				n.turnAll()
			}
			for _, n := range nodes {
				n.agree("acme", all...)
				assert.Zero(t, n.divergence())
			}
			for _, site := range all {
				seen := map[string]bool{}
				for _, d := range told(b.deltas("acme", site)) {
					assert.False(t, seen[d], "%s of %s twice", d, site)
					seen[d] = true
				}
			}
		})
	}
}
