package permissions

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore/streams"
)

// Three orgs share the memory of one, and each is written to while the others evict it.
// Everything is published once, and readers are known as before.
func TestPermissionsFlowWhileOrgsLeaveMemory(t *testing.T) {
	b := newBed(t)
	b.memory = 1
	n := b.node().start()
	orgs := []domain.ID{"acme", "beta", "core"}
	var writers sync.WaitGroup
	for _, org := range orgs {
		writers.Go(func() {
			n.do(org, strings.ReplaceAll(house, `"org":"acme"`, `"org":"`+string(org)+`"`))
			for range 10 {
				n.do(org, `olga SuspendPerson {"person":"anna"}
olga ReinstatePerson {"person":"anna"}`)
			}
		})
	}
	writers.Wait()
	for _, org := range orgs {
		head, err := n.store.Head(t.Context(), org)
		require.NoError(t, err)
		release, err := n.store.Hold(t.Context(), org)
		require.NoError(t, err)
		n.agreeAfter(org, head.N)
		release()
	}
	assert.Zero(t, n.divergence())
	for _, org := range orgs {
		require.Eventually(t, func() bool {
			_, err := n.store.Head(t.Context(), orgs[(slices.Index(orgs, org)+1)%3]) // evicts the org
			return err == nil && n.Table(org, "north") == nil
		}, patience, time.Millisecond)
		release, err := n.store.Hold(t.Context(), org)
		require.NoError(t, err)
		table := n.Table(org, "north")
		require.NotNil(t, table)
		tag, ok := n.Tag(org, "north", domain.KindFob, "", "1001")
		require.True(t, ok, "the key of the site is at hand at once")
		answer := unlock.Decide(table, &unlock.Local{LeaseEnd: unlock.Held}, unlock.Request{Door: unlock.IDOf("gate"), At: unlock.InstantOf(b.clock()), Tag: tag})
		assert.NotNil(t, answer.Credential())
		release()
	}
}

// An instance may load an org while another still has deltas of it to publish. It never
// made the rows of those commits: it accepts them unchanged, and continues to its own.
func TestWhatIsPublishedOfCommitsBeforeTheLoadIsNotCompared(t *testing.T) {
	b := newBed(t)
	one := b.node()
	one.do("acme", house)
	one.do("acme", `olga RevokeRight {"grant":"g-ben-n"}
olga RegisterPerson {"person":"carl","name":"Carl"}
olga GrantRight {"grant":"g-carl-n","person":"carl","right":"north-doors"}
olga RevokeRight {"grant":"g-carl-n"}
olga SuspendPerson {"person":"anna"}`)
	two := b.node()
	two.caughtUp("acme", one)
	one.settle("acme")
	require.True(t, two.makeTags(t.Context(), two.org("acme")))
	two.do("acme", `olga ReinstatePerson {"person":"anna"}`)
	two.turnAll()
	one.caughtUp("acme", two)
	one.turnAll()
	for _, n := range []*node{one, two} {
		n.agree("acme", "north", "south")
		assert.Zero(t, n.divergence())
		assert.Empty(t, n.Lags()[0].Diverged)
		assert.Zero(t, n.Lags()[0].Waiting)
	}
}

// A server allows a stream 1,000 consumers, and removes an abandoned one after minutes.
func TestReadersLeaveNoConsumersBehind(t *testing.T) {
	b := newBed(t)
	n := b.node().start()
	n.do("acme", house)
	n.flush()
	for range 20 {
		_, _, err := Load(t.Context(), b.js, "acme", "north")
		require.NoError(t, err)
	}
	stream, err := b.js.Stream(t.Context(), streams.Permissions)
	require.NoError(t, err)
	assert.Eventually(t, func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Consumers == 0
	}, patience, time.Millisecond)
}
