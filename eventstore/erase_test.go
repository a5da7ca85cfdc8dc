package eventstore

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
)

// canaries are personal values that must be found nowhere in clear, and after the
// erasure nowhere at all.
var canaries = []string{"Canary Bird", "canary@example.org", "+49 171 2468024", "CARD-8675309"}

// plant makes an org with a person whose every personal field holds a canary.
func plant(t *testing.T, s *Store) {
	t.Helper()
	newOrg(t, s, "acme")
	for _, cmd := range []any{
		&domain.RegisterPerson{Person: "canary", Name: domain.Clear(canaries[0]), Email: domain.Clear(canaries[1]), Phone: domain.Clear(canaries[2])},
		&domain.RegisterPerson{Person: "other", Name: domain.Clear("Other Person")},
		&domain.CreateSite{Site: "north", Name: "North", Zone: "Europe/Berlin"},
		&domain.AssignRole{Person: "canary", Role: domain.RoleStaff, Site: "north"},
		&domain.AssignFob{Credential: "fob1", Person: "canary", Sites: []domain.ID{"north"}, Number: domain.Clear(canaries[3])},
	} {
		_, err := s.Execute(t.Context(), "acme", request(cmd))
		require.NoError(t, err, "%T", cmd)
	}
}

// opened reads every box of the org's ledger that a vault in dir still opens.
func opened(t *testing.T, s *Store, v *vault.Vault) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, s.Commits(t.Context(), "acme", 0, 0, func(c *schemas.Commit, _ []byte) error {
		a, err := c.Applied()
		if err != nil {
			return err
		}
		for _, e := range a.Events {
			domain.MapPersonal(e, func(subject domain.ID, p domain.Personal) domain.Personal {
				id, err := vault.BoxKeyID(p.Box())
				require.NoError(t, err)
				keys, err := v.Keys(t.Context(), "acme", []string{id})
				require.NoError(t, err)
				if key, ok := keys[id]; ok {
					clear, err := key.Open(associated("acme", subject), p.Box())
					require.NoError(t, err)
					out.Write(clear)
					out.WriteByte('\n')
				}
				return p
			})
		}
		return nil
	}))
	return out.String()
}

// inClear lists the canaries that stand in clear in any file below a directory.
func inClear(t *testing.T, dir string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, c := range canaries {
			if bytes.Contains(b, []byte(c)) {
				found = append(found, c+" in "+path)
			}
		}
		return err
	}))
	return found
}

func erase(t *testing.T, s *Store) {
	t.Helper()
	_, err := s.Execute(t.Context(), "acme", request(&domain.ErasePerson{Person: "canary"}))
	require.NoError(t, err)
}

// holder is a node that holds the vault, with its snapshots in the testbed's
// directory, which stands for DATA.
func (b *testbed) holder() Config {
	cfg := b.config()
	cfg.Vault, cfg.Snapshots = b.vault, filepath.Join(b.dir, "snapshots")
	return cfg
}

func assertErased(t *testing.T, b *testbed, s *Store) {
	t.Helper()
	left := opened(t, s, b.vault)
	for _, c := range canaries {
		assert.NotContains(t, left, c)
	}
	assert.Contains(t, left, "Other Person", "others are untouched")
	assert.Empty(t, inClear(t, b.dir))
	require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ Head) error {
		p, ok := st.People.Get("canary")
		require.True(t, ok)
		assert.True(t, p.Name.Empty() && p.Email.Empty() && p.Phone.Empty())
		f, ok := st.Credentials.Get("fob1")
		require.True(t, ok)
		assert.True(t, f.Number.Empty())
		return nil
	}))
}

func TestErasureEndToEnd(t *testing.T) {
	b := newR1(t)
	s := b.open(b.holder())
	plant(t, s)
	require.NoError(t, s.SnapshotAll(t.Context()))
	before := opened(t, s, b.vault)
	for _, c := range canaries {
		assert.Contains(t, before, c, "with vault and key it opens")
	}
	assert.Empty(t, inClear(t, b.dir), "nothing stands in clear even before")

	stale := b.store() // another node that has not seen the erasure yet
	require.NoError(t, stale.View(t.Context(), "acme", func(*domain.State, Head) error { return nil }))
	erase(t, s)
	assertErased(t, b, s)
	_, err := stale.Execute(t.Context(), "acme", request(&domain.ChangePerson{Person: "canary", Name: domain.Give(domain.Clear(canaries[0]))}))
	assert.ErrorContains(t, err, "person_erased", "an append after the erasure brings no key back")
	o := s.present("acme")
	o.mu.RLock()
	for id := range o.keys {
		for _, key := range o.state.Keys.All() {
			if key.Key == id {
				id = ""
			}
		}
		assert.Empty(t, id, "a key in memory that the state does not name")
	}
	o.mu.RUnlock()

	// A rebuilt state is the same, and the snapshot of before is not used for more
	// than the ledger allows.
	want, _ := digest(t, s, "acme")
	got, _ := digest(t, b.store(), "acme")
	assert.Equal(t, want, got)
	again := b.open(b.holder())
	assertErased(t, b, again)
	assert.NotContains(t, opened(t, again, b.vault), canaries[0])
}

// The service dies between the commit of the erasure and the destruction: the next
// start destroys before it serves.
func TestErasureIsFinishedAfterACrash(t *testing.T) {
	b := newR1(t)
	s := b.store() // does not follow the fences: the holder is down
	plant(t, s)
	erase(t, s)
	assert.Contains(t, opened(t, s, b.vault), canaries[0], "committed, not destroyed yet")
	assertErased(t, b, b.open(b.holder()))
}

// A vault file from before the erasure is put back: its cursor is of then as well.
func TestARestoredVaultFileBringsNoKeyBack(t *testing.T) {
	b := newR1(t)
	s := b.open(b.holder())
	plant(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	require.NoError(t, s.fences.save(ctx))
	backup := t.TempDir()
	copyVault(t, b.dir, backup)
	erase(t, s)
	require.NoError(t, s.Close(ctx))
	require.NoError(t, b.vault.Close())

	copyVault(t, backup, b.dir)
	master, _, err := vault.LoadOrCreateMaster(b.dir, "")
	require.NoError(t, err)
	b.vault, err = vault.Open(ctx, b.dir, master)
	require.NoError(t, err)
	defer b.vault.Close()
	cfg := b.holder()
	again, err := Open(ctx, cfg, NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	assertErased(t, b, again)
	require.NoError(t, again.Close(ctx))
}

// A vault that was made again, or is another ledger's, would seal beside what it
// cannot open.
func TestAForeignVaultIsRefused(t *testing.T) {
	b := newR1(t)
	s := b.open(b.holder())
	plant(t, s)
	require.NoError(t, s.Close(t.Context()))
	own := b.vault
	master, _, err := vault.LoadOrCreateMaster(b.dir, "")
	require.NoError(t, err)
	foreign, err := vault.Open(t.Context(), t.TempDir(), master)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, foreign.Close()) })
	cfg := b.holder()
	cfg.Vault, cfg.Keys = foreign, foreign
	_, err = Open(t.Context(), cfg, NewMetrics(prometheus.NewRegistry()))
	require.ErrorIs(t, err, ErrForeignVault)
	assert.ErrorContains(t, err, "--adopt-vault")

	back := b.holder()
	back.Vault, back.Keys = own, own
	s = b.open(back)
	assert.Contains(t, opened(t, s, own), canaries[0], "the right one is taken again")
	require.NoError(t, s.Close(t.Context()))

	cfg.AdoptVault = true
	adopted := b.open(cfg)
	found := ""
	require.NoError(t, adopted.Commits(t.Context(), domain.SystemOrg, 0, 0, func(c *schemas.Commit, body []byte) error {
		found = string(body)
		return nil
	}))
	assert.Contains(t, found, "gatehouse_vault", "it is recorded")
	require.NoError(t, adopted.Close(t.Context()))
	cfg.AdoptVault = false
	b.open(cfg)
}

func copyVault(t *testing.T, from, to string) {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(to, "vault.db*"))
	require.NoError(t, err)
	for _, f := range old {
		require.NoError(t, os.Remove(f))
	}
	files, err := filepath.Glob(filepath.Join(from, "vault.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, filepath.Base(f)), data, 0o600))
	}
}

// A start on a full disk puts off an erasure that was not carried out, says so, and
// serves: the commit ended what the key seals. The first start with room destroys it.
func TestAnErasureWaitsForRoomAndTheStartDoesNot(t *testing.T) {
	b := newR1(t)
	s := b.store() // does not follow the fences: the holder is down
	plant(t, s)
	erase(t, s)
	cfg := b.holder()
	cfg.Destroyed = func(domain.ID, []string) error { return syscall.ENOSPC }
	for range 2 {
		s = b.open(cfg)
		assert.True(t, s.ErasuresFailed())
		assert.Contains(t, opened(t, s, b.vault), canaries[0])
		fill(t, s, "acme", 1)
		require.NoError(t, s.Close(t.Context()))
	}
	cfg.Destroyed = nil
	s = b.open(cfg)
	assert.False(t, s.ErasuresFailed())
	assertErased(t, b, s)
}
