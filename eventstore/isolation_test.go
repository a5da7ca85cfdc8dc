package eventstore

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
)

// slowVault answers for one org only when its gate is open, whatever the context says.
type slowVault struct {
	vault.Keeper
	slow  string
	gate  atomic.Pointer[chan struct{}] // nil: open
	asked chan struct{}                 // holds one message: somebody waits at the gate
}

func (v *slowVault) shut() (open func()) {
	gate := make(chan struct{})
	v.gate.Store(&gate)
	return func() {
		if v.gate.CompareAndSwap(&gate, nil) {
			close(gate)
		}
	}
}

func (v *slowVault) pass(org string) {
	if gate := v.gate.Load(); gate != nil && org == v.slow {
		select {
		case v.asked <- struct{}{}:
		default:
		}
		<-*gate
	}
}

func (v *slowVault) Reserve(ctx context.Context, org string, n int) ([]vault.Key, error) {
	v.pass(org)
	return v.Keeper.Reserve(ctx, org, n)
}

func (v *slowVault) Keys(ctx context.Context, org string, ids []string) (map[string]vault.Key, error) {
	v.pass(org)
	return v.Keeper.Keys(ctx, org, ids)
}

// A vault that does not answer for one org delays that org alone: the node still
// follows the others, carries out their erasures and takes their commands.
func TestASlowVaultDelaysItsOrgAlone(t *testing.T) {
	b := newR1(t)
	other := b.store()
	register := func(s *Store, org, person domain.ID) Result {
		t.Helper()
		r, err := s.Execute(t.Context(), org, request(&domain.RegisterPerson{Person: person, Name: domain.Clear("Somebody")}))
		require.NoError(t, err)
		return r
	}
	for _, org := range []domain.ID{"acme", "beta"} {
		newOrg(t, other, org)
		register(other, org, "ana")
	}
	cfg := b.holder()
	slow := &slowVault{Keeper: cfg.Keys, slow: "acme", asked: make(chan struct{}, 1)}
	cfg.Keys = slow
	s := b.open(cfg)
	nothing := func(*domain.State, Head) error { return nil }
	require.NoError(t, s.View(t.Context(), "acme", nothing))
	require.NoError(t, s.View(t.Context(), "beta", nothing))

	open := slow.shut()
	defer open()
	done := make(chan error, 1)
	go func() {
		_, err := s.Execute(context.WithoutCancel(t.Context()), "acme", request(&domain.RegisterPerson{Person: "bo", Name: domain.Clear("Bo")}))
		done <- err
	}()
	<-slow.asked // the command of acme waits for its vault
	require.NoError(t, s.View(t.Context(), "acme", nothing), "nobody else waits with it")
	ofAcme := register(other, "acme", "cy")
	ofBeta := register(other, "beta", "bo")

	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	_, err := s.WaitFor(ctx, "beta", ofBeta.Position.N)
	require.NoError(t, err, "the other org is followed")
	register(s, "beta", "cy")
	var key string
	require.NoError(t, other.View(ctx, "beta", func(st *domain.State, _ Head) error { key = st.KeyOf("ana"); return nil }))
	_, err = other.Execute(ctx, "beta", request(&domain.ErasePerson{Person: "ana"}))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		keys, err := b.vault.Keys(ctx, "beta", []string{key})
		return err == nil && len(keys) == 0
	}, waitLimit, 10*time.Millisecond, "its erasure is carried out")

	open()
	<-done // accepted, or answered busy as its time was over
	_, err = s.WaitFor(ctx, "acme", ofAcme.Position.N)
	assert.NoError(t, err, "the slow org is followed when its vault answers")
}
