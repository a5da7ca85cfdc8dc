package eventstore

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
)

// issue gives the owner of an org a token, and returns what its holder claims.
func issue(t *testing.T, s *Store, org, token domain.ID, expires time.Time) Claim {
	t.Helper()
	hash := fmt.Sprintf("%064x", len(token)) // another for each name used here
	_, err := s.Execute(t.Context(), org, request(&domain.IssueToken{Token: token, Person: "olga", Hash: hash, Scope: domain.ScopeFull, Expires: expires}))
	require.NoError(t, err)
	return Claim{Token: token, Hash: hash, Who: budget.Who{Person: "192.0.2.1"}}
}

// A request that has proven nothing brings no org into memory, so that it puts none out
// of memory either; but a good token does, and so does one that another instance issued.
func TestWithoutAGoodTokenNoOrgIsLoaded(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	cfg.Memory = 1
	var ahead atomic.Int64
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := b.open(cfg)
	newOrg(t, s, "acme")
	expires := s.cfg.Now().Add(time.Hour).Truncate(time.Second)
	good := issue(t, s, "acme", "good", expires)
	revoked := issue(t, s, "acme", "revoked", expires)
	_, err := s.Execute(t.Context(), "acme", request(&domain.RevokeToken{Token: "revoked"}))
	require.NoError(t, err)
	newOrg(t, s, "beta")
	awaitGone(t, s, "acme")

	glance := func(c Claim) (seen bool) {
		t.Helper()
		told, err := s.Glance(t.Context(), "acme", c, func(state *domain.State, _ Head) error {
			seen = state.Tokens.Has(c.Token)
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, told, seen)
		return seen
	}
	other := good
	other.Hash = strings.Repeat("0", 64)
	for _, c := range []Claim{other, revoked, {Token: "unknown"}, {}} {
		for _, c.Latest = range []bool{false, true} {
			assert.False(t, glance(c))
		}
	}
	ahead.Store(int64(2 * time.Hour))
	assert.False(t, glance(good), "it has expired")
	ahead.Store(0)
	assert.Equal(t, []domain.ID{"beta"}, withoutSystem(s), "nothing was loaded")

	assert.True(t, glance(good))
	newOrg(t, s, "gamma")
	awaitGone(t, s, "acme")
	node := b.open(b.config())
	_, err = node.Execute(t.Context(), "acme", request(&domain.IssueToken{Token: "later", Person: "olga", Hash: other.Hash, Scope: domain.ScopeFull, Expires: expires}))
	require.NoError(t, err)
	assert.True(t, glance(Claim{Token: "later", Hash: other.Hash, Latest: true}), "another instance issued it")
}

// withoutSystem lists the orgs in memory.
func withoutSystem(s *Store) (out []domain.ID) {
	for _, id := range s.Loaded() {
		if id != domain.SystemOrg {
			out = append(out, id)
		}
	}
	return out
}

// To look at an org without having proven anything is no use of it: the org that others
// use stays.
func TestAGlanceIsNoUse(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	newOrg(t, s, "beta")
	o, err := s.org(t.Context(), "acme")
	require.NoError(t, err)
	s.release(o)
	o, err = s.org(t.Context(), "beta")
	require.NoError(t, err)
	s.release(o)
	for range 3 {
		_, err := s.Glance(t.Context(), "acme", Claim{Latest: true}, func(*domain.State, Head) error { return nil })
		require.NoError(t, err)
	}
	s.mu.Lock()
	idle := s.idle()
	s.mu.Unlock()
	require.NotEmpty(t, idle)
	assert.Equal(t, domain.ID("acme"), idle[0].id, "it was unused for longest")
}

// A reading of the past waits for the core, and ends when nobody waits for it any more.
func TestAReadingOfThePastTakesTurns(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	fill(t, s, "acme", 3)
	_, head := digest(t, s, "acme")
	who := budget.Who{Org: "acme", Person: "gus"}
	held, err := s.core.Begin(t.Context(), budget.Who{Org: "beta"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = s.StateAt(ctx, who, head.Position())
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "ada"}))
	require.NoError(t, err, "commands do not wait for the core")
	held.End()
	then, at, err := s.StateAt(t.Context(), who, head.Position())
	require.NoError(t, err)
	assert.Equal(t, head.Position(), at.Position())
	assert.False(t, then.People.Has("ada"))
}
