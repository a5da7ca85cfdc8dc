package permissions

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/vault"
)

// mined is a keeper of keys that panics when it is asked for the tag keys of an org.
type mined struct {
	vault.Keeper
	armed atomic.Bool
}

func (m *mined) TagKey(ctx context.Context, org, site string, version int) (vault.TagKey, error) {
	if m.armed.Load() && org == "acme" {
		panic("boom")
	}
	return m.Keeper.TagKey(ctx, org, site, version)
}

func (n *node) panicked(part string, org domain.ID) bool {
	return slices.ContainsFunc(n.store.Panics(), func(c eventstore.PanicCount) bool {
		return c.Panic == eventstore.Panic{Part: part, Org: org}
	})
}

// A turn that panics, or tags that do, stop the org that they are of and name it: others
// are published, and a start publishes that org as well.
func TestWhatPanicsInTheProjectorStopsItsOrgAlone(t *testing.T) {
	b := newBed(t)
	mine := &mined{Keeper: b.vault}
	mine.armed.Store(true)
	n := b.nodeAt("mined", &keys{Keeper: mine})
	n.do("acme", house)
	n.do("beta", strings.ReplaceAll(house, `"acme"`, `"beta"`))
	o := n.org("acme")
	o.mu.Lock()
	o.queue = slices.Insert(o.queue, 0, &entry{head: o.queue[0].head}) // of no site
	o.mu.Unlock()
	n.start()
	head, err := n.store.Head(t.Context(), "beta")
	require.NoError(t, err)
	require.NoError(t, n.Wait(t.Context(), "beta", head.N))
	require.Eventually(t, func() bool { return n.panicked("permissions", "acme") && n.panicked("tags", "acme") }, patience, 10*time.Millisecond)
	for _, c := range n.store.Panics() {
		assert.Equal(t, domain.ID("acme"), c.Org)
	}
	n.quit()
	mine.armed.Store(false)

	again := b.nodeAt("again", &keys{Keeper: mine}).start()
	require.NoError(t, again.store.View(t.Context(), "acme", func(*domain.State, eventstore.Head) error { return nil }))
	again.flush()
	again.agree("acme", "north", "south")
	assert.Empty(t, again.store.Panics())
	again.quit()
}
