package eventstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
)

// unguarded lets a panic end the test.
func unguarded(_ string, f func()) error { f(); return nil }

// Two instances, one with the vault: the other seals and opens through it, and
// without it goes on with everything that has no personal field.
func TestANodeWithoutTheVaultAsksForKeys(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		holder := b.config()
		holder.Vault = b.vault
		s := b.open(holder)
		newOrg(t, s, "acme")
		stop, err := vault.Serve(b.connect("app"), b.vault, unguarded, quiet())
		require.NoError(t, err)
		master, _, err := vault.LoadOrCreateMaster(b.dir, "")
		require.NoError(t, err)
		cfg := b.config()
		remote, err := vault.NewRemote(b.connect("app"), master)
		require.NoError(t, err)
		cfg.Keys = remote
		reachable := func() bool {
			_, err := remote.Keys(t.Context(), "acme", []string{"0123456789abcdef"})
			return err == nil
		}
		require.Eventually(t, reachable, waitLimit, 5*time.Millisecond, "interest has to cross the cluster")
		other := b.open(cfg)
		_, err = other.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana")}))
		require.NoError(t, err)
		name := func(s *Store, id domain.ID) (text string, known bool) {
			require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ Head) error {
				p, ok := st.People.Get(id)
				if ok {
					text, known = p.Name.Value()
				}
				return nil
			}))
			return text, known
		}
		require.Eventually(t, func() bool { text, _ := name(s, "ana"); return text == "Ana" }, waitLimit, 5*time.Millisecond)

		stop()
		_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "bo", Name: domain.Clear("Bo")}))
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, known := name(other, "bo")
			found := false
			require.NoError(t, other.View(t.Context(), "acme", func(st *domain.State, _ Head) error { found = st.People.Has("bo"); return nil }))
			return found && !known
		}, waitLimit, 5*time.Millisecond, "the other node follows; the name is sealed")
		_, err = other.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "cy", Name: domain.Clear("Cy")}))
		assert.ErrorIs(t, err, vault.ErrUnavailable)
		_, err = other.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "dee"}))
		assert.NoError(t, err, "no personal field, no vault needed")

		stop, err = vault.Serve(b.connect("app"), b.vault, unguarded, quiet())
		require.NoError(t, err)
		defer stop()
		require.Eventually(t, reachable, waitLimit, 5*time.Millisecond)
		_, err = other.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "cy", Name: domain.Clear("Cy")}))
		require.NoError(t, err, "the vault is back")
		text, _ := name(other, "bo")
		assert.Equal(t, "Bo", text)
	})
}
