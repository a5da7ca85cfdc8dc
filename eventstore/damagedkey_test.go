package eventstore

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
)

// flipKey turns a bit of the wrapped key of an id in the file of a vault that is
// closed.
func flipKey(t *testing.T, dir, id string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "vault.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var slot int64
	var wrapped []byte
	require.NoError(t, db.QueryRow(`SELECT slot, wrapped FROM secret JOIN key USING (slot) WHERE id = ?`, id).Scan(&slot, &wrapped))
	wrapped[30] ^= 4
	_, err = db.Exec(`UPDATE secret SET wrapped = ? WHERE slot = ?`, wrapped, slot)
	require.NoError(t, err)
}

// A damaged key costs what it seals, and nobody else: the others are read, new people
// are registered, and the person can still be erased.
func TestADamagedKeyCostsOnePerson(t *testing.T) {
	b := newR1(t)
	dir := t.TempDir()
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	store := func() (*Store, func()) {
		v, err := vault.Open(t.Context(), dir, master)
		require.NoError(t, err)
		cfg := b.config()
		cfg.Keys, cfg.Vault = v, v
		s, err := Open(t.Context(), cfg, NewMetrics(prometheus.NewRegistry()))
		require.NoError(t, err)
		return s, func() {
			require.NoError(t, s.Close(context.Background()))
			require.NoError(t, v.Close())
		}
	}
	s, stop := store()
	newOrg(t, s, "acme")
	for _, id := range []domain.ID{"ana", "bo"} {
		_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: id, Name: domain.Clear(string(id))}))
		require.NoError(t, err)
	}
	var key string
	require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ Head) error { key = st.KeyOf("ana"); return nil }))
	stop()
	flipKey(t, dir, key)

	s, stop = store()
	defer stop()
	readable := map[domain.ID]bool{}
	require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ Head) error {
		for id, p := range st.People.All() {
			_, readable[id] = p.Name.Value()
		}
		return nil
	}))
	assert.Equal(t, map[domain.ID]bool{"olga": true, "ana": false, "bo": true}, readable)
	assert.Equal(t, map[domain.ID][]string{"acme": {key}}, s.DamagedKeys())
	assert.Zero(t, s.Sealed("acme"), "there is nothing to wait for")
	_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "cy", Name: domain.Clear("Cy")}))
	require.NoError(t, err)
	_, err = s.Execute(t.Context(), "acme", request(&domain.ChangePerson{Person: "ana", Name: domain.Give(domain.Clear("Anna"))}))
	assert.ErrorIs(t, err, vault.ErrDamaged)
	_, err = s.Execute(t.Context(), "acme", request(&domain.ErasePerson{Person: "ana"}))
	require.NoError(t, err)
	assert.Empty(t, s.DamagedKeys(), "the key is destroyed")
}
