package eventstore

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// mine is an observer that panics where the test wants it to.
type mine struct {
	begin domain.ID // of this org
	at    string    // this command is applied
}

func (m *mine) From(context.Context, domain.ID) (uint64, error) { return math.MaxUint64, nil }
func (m *mine) Begin(id domain.ID, _ *domain.State, _ Head) {
	if id == m.begin {
		panic("begin")
	}
}
func (m *mine) Applied(_ domain.ID, _ *domain.State, c *schemas.Commit, _ Head) {
	if c.Command == m.at {
		panic("applied")
	}
}
func (m *mine) Seen(domain.ID) wire.Position { return wire.Position{} }
func (m *mine) Settled(domain.ID) uint64     { return math.MaxUint64 }
func (m *mine) End(domain.ID) bool           { return true }

func panicked(s *Store) []Panic {
	var out []Panic
	for _, c := range s.Panics() {
		out = append(out, c.Panic)
	}
	return out
}

func TestACommandThatPanicsIsAnsweredAndTheOrgGoesOn(t *testing.T) {
	b := newR1(t)
	s := b.store()
	s.Observe(&mine{at: "SuspendPerson"})
	newOrg(t, s, "acme")
	_, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "ana"}))
	require.NoError(t, err)

	decided := request(&domain.RegisterPerson{})
	decided.Fields = []any{(*domain.RegisterPerson)(nil)}
	_, err = s.Execute(t.Context(), "acme", decided)
	require.ErrorIs(t, err, ErrPanicked)
	fill(t, s, "acme", 1)

	folded := request(&domain.SuspendPerson{Person: "ana"})
	if _, err = s.Execute(t.Context(), "acme", folded); err != nil { // else the tail was first to fold it
		require.ErrorIs(t, err, ErrPanicked, "the commit is stored, and its fold panicked")
	}
	fill(t, s, "acme", 1)
	require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ Head) error {
		p, _ := st.People.Get("ana")
		assert.Equal(t, domain.PersonStateSuspended, p.State, "the org was loaded again, as the ledger has it")
		return nil
	}))
	found := panicked(s)
	require.Greater(t, len(found), 1)
	assert.Equal(t, Panic{"command", "acme", "RegisterPerson"}, found[0])
	for _, p := range found[1:] { // of the command, of the tail, or of both
		assert.Equal(t, "SuspendPerson", p.Command)
	}
}

func TestAnOrgThatCannotBeFoldedServesNothingAndTheOthersGoOn(t *testing.T) {
	b := newR1(t)
	first := b.store()
	newOrg(t, first, "acme")
	newOrg(t, first, "beta")
	for range 2 { // after a restart as before
		s := b.store()
		s.Observe(&mine{begin: "acme"})
		for range 2 {
			err := s.View(t.Context(), "acme", func(*domain.State, Head) error { return nil })
			require.ErrorIs(t, err, ErrPanicked)
		}
		fill(t, s, "beta", 1)
		assert.ErrorIs(t, s.Damaged()["acme"], ErrPanicked)
		assert.Equal(t, []Panic{{"load", "acme", "CreateOrg"}}, panicked(s))
	}
}

func TestFollowingTheLedgerOutlivesAPanic(t *testing.T) {
	b := newR1(t)
	one, two := b.store(), b.store()
	two.Observe(&mine{at: "RenameOrg"})
	newOrg(t, one, "acme")
	newOrg(t, one, "beta")
	for _, id := range []domain.ID{"acme", "beta"} {
		require.NoError(t, two.View(t.Context(), id, func(*domain.State, Head) error { return nil }))
	}
	_, err := one.Execute(t.Context(), "acme", request(&domain.RenameOrg{Name: "New"}))
	require.NoError(t, err)
	r := fill(t, one, "beta", 1)
	_, err = two.WaitFor(t.Context(), "beta", r.Position.N)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(panicked(two)) == 1 }, waitLimit, time.Millisecond)
	assert.Equal(t, []Panic{{"tail", "acme", "RenameOrg"}}, panicked(two))
	fill(t, two, "acme", 1)
}

func TestALoopRunsAgainAfterAPanic(t *testing.T) {
	s := newR1(t).store()
	runs := make(chan int, 2)
	n := 0
	s.keepRunning("test", func() {
		n++
		runs <- n
		if n == 1 {
			panic("boom")
		}
	})
	assert.Equal(t, 1, <-runs)
	assert.Equal(t, 2, <-runs)
	assert.Equal(t, []Panic{{"test", "", ""}}, panicked(s))
}
