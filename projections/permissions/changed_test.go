package permissions

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// An instance that saw a commit remembers what it changed. One that did not, or long ago,
// finds it in the stream.
func TestWhichSitesACommitChanged(t *testing.T) {
	b := newBed(t)
	n := b.node().start()
	n.do("acme", house)
	n.flush()
	head, err := n.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	steps := []struct {
		command string
		sites   []domain.ID
	}{
		{`olga RegisterPerson {"person":"carl","name":"Carl"}`, nil},
		{`olga SuspendPerson {"person":"anna"}`, []domain.ID{"north", "south"}},
		{`olga RenameSite {"site":"north","name":"Far north"}`, nil},
		{`olga RevokeRight {"grant":"g-ben-n"}`, []domain.ID{"north"}},
		{`olga DisableDoor {"door":"south-gate"}`, []domain.ID{"south"}},
		{`olga RegisterPerson {"person":"dora","name":"Dora"}`, nil},
	}
	for _, step := range steps {
		n.do("acme", step.command)
	}
	n.flush()
	later := b.node().start()
	for i, step := range steps {
		at := head.N + uint64(i) + 1
		remembered, err := n.Changed(t.Context(), "acme", at)
		require.NoError(t, err)
		assert.Equal(t, step.sites, remembered, step.command)
		found, err := later.Changed(t.Context(), "acme", at)
		require.NoError(t, err)
		assert.Equal(t, step.sites, found, "by the stream: %s", step.command)
	}
	for range changesKept {
		n.do("acme", `olga EnableDoor {"door":"south-gate"}
olga DisableDoor {"door":"south-gate"}`)
	}
	found, err := n.Changed(t.Context(), "acme", head.N+4)
	require.NoError(t, err)
	assert.Equal(t, []domain.ID{"north"}, found, "forgotten, and found in the stream")
	o := n.org("acme")
	o.mu.Lock()
	defer o.mu.Unlock()
	assert.Len(t, o.changes.latest, changesKept)
}
