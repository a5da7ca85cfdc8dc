package eventstore

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
)

// ledgerFiles returns the directory in which the server of a testbed keeps the
// ledger's messages.
func (b *testbed) ledgerFiles() string {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.dir, "jetstream", "jetstream", "*", "streams", streams.Ledger, "msgs"))
	require.NoError(b.t, err)
	require.Len(b.t, found, 1)
	return found[0]
}

// damageTail flips a bit of the last message of the ledger while nobody has it open.
func (b *testbed) damageTail() {
	b.t.Helper()
	b.embedded.Stop()
	blocks, err := filepath.Glob(filepath.Join(b.ledgerFiles(), "*.blk"))
	require.NoError(b.t, err)
	require.Len(b.t, blocks, 1)
	bytes, err := os.ReadFile(blocks[0])
	require.NoError(b.t, err)
	bytes[len(bytes)-100] ^= 1
	require.NoError(b.t, os.WriteFile(blocks[0], bytes, 0o600))
}

// damage flips a bit behind the first place of a text in the ledger, or flips it back.
// Nobody may have the ledger open.
func (b *testbed) damage(text string) {
	b.t.Helper()
	blocks, err := filepath.Glob(filepath.Join(b.ledgerFiles(), "*.blk"))
	require.NoError(b.t, err)
	require.Len(b.t, blocks, 1)
	file, err := os.ReadFile(blocks[0])
	require.NoError(b.t, err)
	at := bytes.Index(file, []byte(text))
	require.Positive(b.t, at)
	file[at+len(text)] ^= 1
	require.NoError(b.t, os.WriteFile(blocks[0], file, 0o600))
}

// restart ends a node and the server, and starts the server again.
func (b *testbed) restart(s *Store, between func()) {
	b.t.Helper()
	require.NoError(b.t, s.Close(context.Background()))
	b.embedded.Stop()
	between()
	b.startR1()
}

// A damaged commit that a snapshot stands behind is not read when the org is loaded.
func TestTheCheckFindsDamageBeforeASnapshot(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	s := b.open(cfg)
	newOrg(t, s, "beta")
	newOrg(t, s, "acme")
	fill(t, s, "acme", 3)
	_, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "victim"}))
	require.NoError(t, err)
	fill(t, s, "acme", 3)
	require.NoError(t, s.check(t.Context(), 0))
	broken, unread := s.Flaws()
	assert.Empty(t, broken)
	assert.Zero(t, unread)
	b.restart(s, func() { b.damage(`"person":"victim`) })

	cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
	again := b.open(cfg)
	_, head := digest(t, again, "acme")
	assert.Equal(t, uint64(8), head.N, "the state is that of the snapshot")
	require.NoError(t, again.check(t.Context(), 0))
	broken, unread = again.Flaws()
	assert.Equal(t, uint64(1), unread)
	assert.ErrorContains(t, broken["acme"], "commit 1-6 does not follow 1-4")
	assert.Len(t, broken, 1, "others are whole")
}

// A damaged commit may order an erasure: the vault does not note that it is past
// it, later erasures are carried out, and this one when the ledger is whole again.
func TestAnErasureThatCannotBeReadIsNotPassedOver(t *testing.T) {
	b := newR1(t)
	s := b.store() // the holder of the vault is down
	plant(t, s)
	erase(t, s)
	r := request(&domain.ErasePerson{Person: "other"})
	_, err := s.Execute(t.Context(), "acme", r)
	require.NoError(t, err)
	whole := opened(t, s, b.vault)
	require.Contains(t, whole, canaries[0])
	b.restart(s, func() { b.damage(`"command":"ErasePerson","events":[{"type":"person.erased","version":1,"sites":[`) })

	holding := func() Config {
		cfg := b.holder()
		cfg.Marks = s.cfg.Marks
		return cfg
	}
	holder := b.open(holding())
	assert.True(t, holder.ErasuresMissed())
	at, err := b.vault.Cursor(t.Context(), holder.identity(), 1000)
	require.NoError(t, err)
	assert.Less(t, at, uint64(8))
	b.restart(holder, func() { b.damage(`"command":"ErasePerson","events":[{"type":"person.erased","version":1,"sites":[`) })

	holder = b.open(holding())
	assert.False(t, holder.ErasuresMissed())
	left := opened(t, holder, b.vault)
	assert.NotContains(t, left, canaries[0])
	assert.NotContains(t, left, "Other Person")
	assert.Contains(t, left, "Olga Owner")
}

// held fails unless an org serves neither questions nor commands, while another
// goes on.
func held(t *testing.T, s *Store, org, other domain.ID) {
	t.Helper()
	assert.ErrorIs(t, s.View(t.Context(), org, func(*domain.State, Head) error { return nil }), ErrBrokenChain)
	_, err := s.Execute(t.Context(), org, request(&domain.RegisterPerson{}))
	assert.ErrorIs(t, err, ErrBrokenChain)
	_, err = s.Execute(t.Context(), other, request(&domain.RegisterPerson{}))
	assert.NoError(t, err, "other orgs go on")
	assert.ErrorIs(t, s.Damaged()[org], ErrBrokenChain)
	assert.Len(t, s.Damaged(), 1)
}

func TestADamagedLastCommitServesNoEarlierState(t *testing.T) {
	for name, snapshots := range map[string]bool{"from the ledger": false, "from a snapshot before it": true} {
		t.Run(name, func(t *testing.T) {
			b := newR1(t)
			s := b.open(b.config())
			newOrg(t, s, "beta")
			newOrg(t, s, "acme")
			fill(t, s, "acme", 3)
			cfg := b.config()
			if snapshots {
				require.NoError(t, s.SnapshotAll(t.Context()))
				require.NoError(t, os.CopyFS(cfg.Snapshots, os.DirFS(s.cfg.Snapshots)))
			}
			fill(t, s, "acme", 1)
			require.NoError(t, s.Close(t.Context()))
			b.damageTail()
			b.startR1()
			cfg.Conn, cfg.Embedded, cfg.Marks = b.connect("app"), b.embedded, s.cfg.Marks
			held(t, b.open(cfg), "acme", "beta")
		})
	}
}

// Without its index the server reads the block up to the damage and cuts off the
// rest: the count is that of what is left, and only the snapshot knows of more.
func TestALedgerShorterThanItsSnapshotServesNothing(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	s := b.open(cfg)
	newOrg(t, s, "beta")
	newOrg(t, s, "acme")
	fill(t, s, "acme", 3)
	require.NoError(t, s.Close(t.Context()))
	b.damageTail()
	require.NoError(t, os.Remove(filepath.Join(b.ledgerFiles(), "index.db")))
	b.startR1()
	cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
	again := b.open(cfg)
	held(t, again, "acme", "beta")

	assert.ErrorContains(t, again.Damaged()["acme"], "ends at 1-3")
}
