package eventstore

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// A dry run on which many people hang is looked at on a copy, and tells the same
// while the org goes on; there are but so many of them at once.
func TestALargeDryRunDoesNotHoldTheOrg(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	do := func(cmds ...any) {
		t.Helper()
		_, err := s.Execute(t.Context(), "acme", request(cmds...))
		require.NoError(t, err)
	}
	do(&domain.CreateSite{Site: "north", Name: "North", Zone: "UTC"})
	do(&domain.CreateDoor{Door: "gate", Site: "north", Name: "Gate", Kind: "gate"})
	do(&domain.DefineAccessRight{Right: "entry", Name: "Entry", Doors: []domain.ID{"gate"}, Schedule: domain.AlwaysID})
	var people, roles, grants []any
	for i := range 2 * manyPeople {
		id := domain.ID(fmt.Sprintf("p%d", i))
		people = append(people, &domain.RegisterPerson{Person: id})
		roles = append(roles, &domain.AssignRole{Person: id, Role: domain.RoleStaff, Site: "north"})
		grants = append(grants, &domain.GrantRight{Person: id, Right: "entry"})
	}
	do(people...)
	do(roles...)
	do(grants...)

	var all sync.WaitGroup
	for range maxForks {
		all.Go(func() {
			dry := request(&domain.RetireAccessRight{Right: "entry"})
			dry.DryRun = true
			r, err := s.Execute(t.Context(), "acme", dry)
			if assert.NoError(t, err) {
				assert.Equal(t, 2*manyPeople, r.Impact.Lost.People)
			}
		})
	}
	for i := range 20 {
		do(&domain.RegisterPerson{Person: domain.ID(fmt.Sprintf("q%d", i)), Name: domain.Clear("Somebody")})
	}
	all.Wait()
	assert.Empty(t, s.forks)

	for range maxForks {
		s.forks <- struct{}{}
	}
	dry := request(&domain.RetireAccessRight{Right: "entry"})
	dry.DryRun = true
	_, err := s.Execute(t.Context(), "acme", dry)
	require.ErrorIs(t, err, ErrBusy)
	dry = request(&domain.SuspendPerson{Person: "p1"})
	dry.DryRun = true
	_, err = s.Execute(t.Context(), "acme", dry)
	require.NoError(t, err, "a small one needs no copy")
}
