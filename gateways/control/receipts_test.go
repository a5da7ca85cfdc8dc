package control

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/gateways/receipts"
	"gatehouse/schemas/wire"
)

// at is the position of a commit.
func at(t *testing.T, text wire.Position) wire.Position {
	t.Helper()
	require.NotZero(t, text.N)
	return text
}

// enforces reports whether an instance knows that cabinet enforces a position.
func (i *instance) enforces(p wire.Position) bool {
	now, cancel := context.WithCancel(i.t.Context())
	cancel()
	return len(i.receipts.Await(now, "acme", []domain.ID{"cabinet"}, p)) == 0
}

// A gateway that has not taken a revocation over does not enforce it, however often it
// asks and whoever answers; with the next table it does.
func TestTheRequestForALeaseIsTheReceipt(t *testing.T) {
	b := newBed(t)
	i := b.first
	other := b.instance()
	g := b.gateway(silence)
	assert.Equal(t, receipts.Unknown, i.receipts.Look("acme", "cabinet").State)
	table := g.follow(wire.NewSiteTable("acme", "north"))
	require.True(t, g.lease(table).Current)
	begun := i.receipts.Look("acme", "cabinet")
	require.Equal(t, receipts.Current, begun.State)
	assert.Equal(t, table.Head().Position(), begun.Table)

	commit := at(t, i.execute(b.request(&domain.DisableDoor{Door: "gate"})).Position)
	before := b.now()
	answer := g.lease(table)
	require.False(t, answer.Current)
	for _, each := range []*instance{i, other} {
		require.Eventually(t, func() bool { return each.receipts.Look("acme", "cabinet").State == receipts.Behind }, time.Minute, time.Millisecond)
		assert.False(t, each.enforces(commit))
		behind := each.receipts.Look("acme", "cabinet")
		assert.True(t, behind.Enforces(table.Head().Position()), "what its table has")
		assert.True(t, behind.Begun.Before(before), "its lease ended with the first change that it lacks")
		assert.Equal(t, answer.Since, behind.Lacks)
	}
	table = g.follow(table)
	require.True(t, g.lease(table).Current)
	for _, each := range []*instance{i, other} {
		assert.Empty(t, each.receipts.Await(t.Context(), "acme", []domain.ID{"cabinet"}, commit))
	}
	assert.Equal(t, begun.Online, i.receipts.Look("acme", "cabinet").Online)

	// Commits that change nothing at the site are enforced with the present table.
	later := at(t, i.execute(b.request(&domain.RegisterPerson{Person: "ada"})).Position)
	require.True(t, g.lease(table).Current)
	assert.Empty(t, i.receipts.Await(t.Context(), "acme", []domain.ID{"cabinet"}, later))
}

// Where the device decides, nothing is enforced that was not read back from it.
func TestADeviceThatDecidesEnforcesWhatWasReadBack(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	table := g.follow(wire.NewSiteTable("acme", "north"))
	commit := at(t, b.first.execute(b.request(&domain.DisableDoor{Door: "gate"})).Position)
	held := table.Head().N
	require.Eventually(t, func() bool { // until the commit is published
		table = g.follow(table)
		return table.Head().N == commit.N
	}, time.Minute, 5*time.Millisecond)
	ask := leaseFor(table)
	ask.DeviceN, ask.ClockErrorMS = held, 7
	require.Eventually(t, func() bool { _, _, err := g.ask(ask); return err == nil }, time.Minute, 10*time.Millisecond)
	seen := b.first.receipts.Look("acme", "cabinet")
	assert.EqualValues(t, 7, seen.ClockErrorMS)
	assert.Equal(t, held, seen.Upto.N)
	assert.False(t, b.first.enforces(commit))
	ask.DeviceN = table.Head().N
	_, _, err := g.ask(ask)
	require.NoError(t, err)
	assert.True(t, b.first.enforces(commit))
}

// A head that the service never published proves nothing.
func TestAHeadThatIsNotOfTheSiteEnforcesNothing(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	table := g.follow(wire.NewSiteTable("acme", "north"))
	ask := leaseFor(table)
	ask.Digest[0]++
	require.Eventually(t, func() bool { _, _, err := g.ask(ask); return err == nil }, time.Minute, 10*time.Millisecond)
	seen := b.first.receipts.Look("acme", "cabinet")
	assert.Equal(t, receipts.Behind, seen.State)
	assert.Zero(t, seen.Upto.N)
	assert.False(t, b.first.enforces(wire.Position{Epoch: 1, N: 1}))
}
