package eventstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
	"gatehouse/eventstore/vault"
)

// crowd makes a right of the org acme that twice manyPeople people have. A dry run
// looks at manyPeople of them at most while it holds the org.
func crowd(t *testing.T, s *Store) {
	t.Helper()
	var people, roles, grants []any
	for i := range 2 * manyPeople {
		id := domain.ID(fmt.Sprintf("p%d", i))
		people = append(people, &domain.RegisterPerson{Person: id})
		roles = append(roles, &domain.AssignRole{Person: id, Role: domain.RoleStaff, Site: "north"})
		grants = append(grants, &domain.GrantRight{Person: id, Right: "entry"})
	}
	for _, list := range [][]any{
		{&domain.CreateSite{Site: "north", Name: "North", Zone: "UTC"}},
		{&domain.CreateDoor{Door: "gate", Site: "north", Name: "Gate", Kind: "gate"}},
		{&domain.DefineAccessRight{Right: "entry", Name: "Entry", Doors: []domain.ID{"gate"}, Schedule: domain.AlwaysID}},
		people, roles, grants,
	} {
		_, err := s.Execute(t.Context(), "acme", request(list...))
		require.NoError(t, err)
	}
}

// A dry run that affects many people is computed on a copy. It tells the same impact
// while the org goes on. Only a bounded number of them run at once.
func TestALargeDryRunDoesNotHoldTheOrg(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	crowd(t, s)
	do := func(cmds ...any) {
		t.Helper()
		_, err := s.Execute(t.Context(), "acme", request(cmds...))
		require.NoError(t, err)
	}

	var all sync.WaitGroup
	for range copyBudget.Places.All + copyBudget.Places.Org {
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
	assert.Zero(t, s.copies.Taken())

	// Without a place nothing is copied, and nobody waits for one in the org's queue.
	none := copyBudget
	none.Places, none.Line = budget.Shares{}, budget.Shares{}
	s.copies = budget.New(none, s.metrics.Budgets)
	dry := request(&domain.RetireAccessRight{Right: "entry"})
	dry.DryRun = true
	_, err := s.Execute(t.Context(), "acme", dry)
	var full *budget.Full
	require.ErrorAs(t, err, &full)
	assert.Equal(t, "dry_run_copies", full.Budget)
	dry = request(&domain.SuspendPerson{Person: "p1"})
	dry.DryRun = true
	_, err = s.Execute(t.Context(), "acme", dry)
	require.NoError(t, err, "a small one needs no copy")
}

// A lockdown is committed while a large dry run is computed. The dry run tells the
// state before it. The same holds when personal values are sealed; they then stay
// sealed until nobody reads their copy.
func TestALockdownPassesALargeDryRun(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	crowd(t, s)
	o, err := s.org(t.Context(), "acme")
	require.NoError(t, err)
	defer s.release(o)
	o.mu.Lock()
	o.sealed = 1
	o.mu.Unlock()

	x := &execution{store: s, org: o, req: request(&domain.RetireAccessRight{Right: "entry"})}
	x.req.DryRun = true
	x.typ, _ = domain.CommandNamed(x.req.Command)
	_, err = x.pass(t.Context(), laneNormal)
	require.NoError(t, err)
	require.NotNil(t, x.look, "it is to be looked at still")
	_, before := digest(t, s, "acme")

	r, err := s.Execute(t.Context(), "acme", request(&domain.Lockdown{Site: "north"}))
	require.NoError(t, err)
	assert.Equal(t, before.N+1, r.Position.N)
	assert.Equal(t, 1, s.Sealed("acme"), "nothing is opened under the eyes of the copy")
	_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "bo", Name: domain.Clear("Bo")}))
	require.ErrorIs(t, err, ErrBusy)

	assert.Equal(t, 2*manyPeople, x.look().Lost.People)
	x.free()
	assert.Zero(t, s.copies.Taken())
	_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "bo", Name: domain.Clear("Bo")}))
	require.NoError(t, err)
	assert.Zero(t, s.Sealed("acme"))
}

// meteredKeys counts the keys that are reserved.
type meteredKeys struct {
	vault.Keeper
	reserved atomic.Int64
}

func (k *meteredKeys) Reserve(ctx context.Context, org string, n int) ([]vault.Key, error) {
	k.reserved.Add(int64(n))
	return k.Keeper.Reserve(ctx, org, n)
}

func TestADryRunReservesNoKeys(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	keys := &meteredKeys{Keeper: cfg.Keys}
	cfg.Keys = keys
	s := b.open(cfg)
	newOrg(t, s, "acme")
	before := keys.reserved.Load()
	var people []any
	for i := range 1000 {
		people = append(people, &domain.RegisterPerson{Person: domain.ID(fmt.Sprint("p", i)), Name: domain.Clear("Somebody")})
	}
	dry := request(people...)
	dry.DryRun = true
	r, err := s.Execute(t.Context(), "acme", dry)
	require.NoError(t, err)
	assert.Len(t, r.Events, 1000)
	assert.Less(t, keys.reserved.Load()-before, int64(1000), "but for those that are reserved ahead")
	_, err = s.Execute(t.Context(), "acme", request(people...))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, keys.reserved.Load(), int64(1000))
}
