package eventstore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The server cuts a damaged block; what it was is kept.
func TestADamagedBlockIsKeptWhole(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	s := b.open(cfg)
	newOrg(t, s, "beta")
	newOrg(t, s, "acme")
	fill(t, s, "acme", 3)
	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, os.RemoveAll(cfg.Snapshots))
	b.damageTail()
	require.NoError(t, os.Remove(filepath.Join(b.ledgerFiles(), "index.db")))
	damaged, err := os.ReadFile(filepath.Join(b.ledgerFiles(), "1.blk"))
	require.NoError(t, err)
	b.startR1()
	found, err := filepath.Glob(filepath.Join(b.dir, "damaged", "*-LEDGER-1.blk"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Len(t, b.embedded.Kept(), 1)
	assert.Contains(t, b.embedded.Kept()[0], found[0])
	kept, err := os.ReadFile(found[0])
	require.NoError(t, err)
	assert.Equal(t, damaged, kept)
	cfg.Conn, cfg.Embedded = b.connect("app"), b.embedded
	held(t, b.open(cfg), "acme", "beta")
}
