package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/restore"
)

// rolledBack is a stopped service whose ledger was put back to an earlier state. acme
// lost some commits by it; bolt lost nothing.
func rolledBack(t *testing.T) (b *backedUp, ends, lost eventstore.Head) {
	t.Helper()
	cfg := testConfig(t)
	cfg.Bootstrap = true
	b = newBackedUpBy(t, cfg)
	halt(t, b.s)
	b.s = serveIn(t, cfg)
	require.NoError(t, sends(t, ownerOf(t, b.s, "bolt"), "RegisterPerson", `{"person":"first"}`))
	ends, _ = headOf(t, b.s, "acme")
	halt(t, b.s)
	streams, aside := filepath.Join(cfg.Data, "jetstream"), filepath.Join(t.TempDir(), "aside")
	require.NoError(t, os.CopyFS(aside, os.DirFS(streams)))
	b.s = serveIn(t, cfg)
	b.olga.Base = b.s.URL
	require.NoError(t, sends(t, b.olga, "RevokeRight", `{"grant":"g-anna"}`))
	require.NoError(t, sends(t, b.olga, "ErasePerson", `{"person":"ben"}`))
	lost, _ = headOf(t, b.s, "acme")
	halt(t, b.s)
	require.NoError(t, os.RemoveAll(streams))
	require.NoError(t, os.CopyFS(streams, os.DirFS(aside)))
	return b, ends, lost
}

// served reports whether an org answers.
func served(t *testing.T, s *service, org domain.ID) error {
	t.Helper()
	return s.Store.View(t.Context(), org, func(*domain.State, eventstore.Head) error { return nil })
}

// An org whose ledger lost its last commits goes on when an operator accepts that. No
// position is then used twice, and doors decide on the state of the ledger.
func TestALossIsAcceptedWithoutARestore(t *testing.T) {
	alongside(t)
	b, ends, lost := rolledBack(t)
	data := b.s.cfg.Data
	s := b.serves(data)
	require.ErrorIs(t, served(t, s, "acme"), eventstore.ErrBehind)
	require.NoError(t, served(t, s, "bolt"))
	halt(t, s)
	for _, wrong := range []string{"acme=" + lost.Position().String(), "bolt=1-2", "nobody=1-0"} {
		said, err := b.restore(restoreCmd{Data: data, AcceptLoss: []string{wrong}})
		assert.ErrorIs(t, err, restore.ErrAccept, said)
	}
	s = b.serves(data)
	require.ErrorIs(t, served(t, s, "acme"), eventstore.ErrBehind, "nothing was accepted")
	halt(t, s)

	said, err := b.restore(restoreCmd{Data: data, AcceptLoss: []string{"acme=" + ends.Position().String()}})
	require.NoError(t, err, said)
	assert.Contains(t, said, "its mark in the data directory knows of "+lost.Position().String())
	s = b.serves(data)
	require.NoError(t, served(t, s, "acme"))
	now, _ := headOf(t, s, "acme")
	assert.Equal(t, uint64(2), now.Epoch)
	assert.Greater(t, now.N, lost.N, "no position is used twice")
	b.olga.Base = s.URL
	require.NoError(t, sends(t, b.olga, "RegisterPerson", `{"person":"carl","name":"Carl"}`))
	var fresh *unlock.Table
	require.NoError(t, s.Store.View(t.Context(), "acme", func(state *domain.State, _ eventstore.Head) (err error) {
		ben, _ := state.People.Get("ben")
		assert.Equal(t, domain.PersonStateErased, ben.State, "whose key is destroyed is erased")
		rows, untagged := state.Rows("north", func(site domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
			return s.Permissions.Tag("acme", site, kind, format, number)
		})
		assert.Empty(t, untagged)
		fresh, err = unlock.NewTable(rows...)
		return err
	}))
	require.Eventually(t, func() bool { return s.Permissions.Table("acme", "north").Digest() == fresh.Digest() }, patience, 20*time.Millisecond)
	halt(t, s)
	halt(t, b.serves(data)) // it is as good as any other
}

// Where the marks are lost too, the vault alone knows that commits are missing: nobody
// knows whose, so that all orgs go on together or none.
func TestALossThatOnlyTheVaultKnowsIsAcceptedForAll(t *testing.T) {
	alongside(t)
	b, ends, _ := rolledBack(t)
	data := b.s.cfg.Data
	require.NoError(t, os.Remove(filepath.Join(data, "marks")))
	require.NoError(t, os.RemoveAll(filepath.Join(data, "snapshots")))
	acme := "acme=" + ends.Position().String()
	said, err := b.restore(restoreCmd{Data: data, AcceptLoss: []string{acme}})
	require.ErrorIs(t, err, restore.ErrWaiting, said)
	assert.Equal(t, exitRefused, exitCode(err))
	cfg := testConfig(t)
	cfg.Data = data
	_, err = startService(t.Context(), cfg)
	require.ErrorIs(t, err, eventstore.ErrBehind, "nothing was accepted")
	all := []string{acme}
	for _, org := range []string{"bolt", "_system"} {
		_, rest, named := strings.Cut(said, "--accept-loss "+org+"=")
		require.True(t, named, said)
		all = append(all, org+"="+strings.Fields(rest)[0])
	}
	said, err = b.restore(restoreCmd{Data: data, AcceptLoss: all})
	require.NoError(t, err, said)
	for range 2 {
		s := b.serves(data)
		for _, org := range []domain.ID{"acme", "bolt", domain.SystemOrg} {
			now, _ := headOf(t, s, org)
			assert.Equal(t, uint64(2), now.Epoch, org)
		}
		halt(t, s)
	}
}
