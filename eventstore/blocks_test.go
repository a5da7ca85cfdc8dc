package eventstore

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The layout of blocks is that of the server as it is linked; another version is to
// be looked at first.
func TestTheLayoutOfBlocksIsThatOfTheServer(t *testing.T) {
	assert.Equal(t, "2.15.2", server.VERSION)
	b := newR1(t)
	s := b.open(b.config())
	newOrg(t, s, "acme")
	fill(t, s, "acme", 5)
	require.NoError(t, s.Close(t.Context()))
	b.embedded.Stop()
	blocks, err := listBlocks(b.dir)
	require.NoError(t, err)
	at := slices.IndexFunc(blocks, func(b block) bool { return b.stream == StreamLedger })
	require.GreaterOrEqual(t, at, 0)
	ledger := blocks[at]
	assert.True(t, ledger.last)
	whole, err := os.ReadFile(ledger.path)
	require.NoError(t, err)
	var seqs []uint64
	found, err := ledger.check(whole, func(r record) {
		seqs = append(seqs, r.seq)
		_, err := decodeBody(r.body)
		assert.NoError(t, err)
	})
	require.NoError(t, err)
	assert.Equal(t, findings{first: 1, last: 6}, found)
	assert.Equal(t, []uint64{1, 2, 3, 4, 5, 6}, seqs)
	for at := range whole {
		whole[at] ^= 1 << (at % 8)
		found, err := ledger.check(whole, func(record) {})
		require.NoError(t, err)
		if found.damage == nil {
			t.Errorf("a flipped bit of byte %d is not found", at)
		}
		if found.last < 5 {
			t.Errorf("behind a flipped bit of byte %d only %d is found", at, found.last)
		}
		whole[at] ^= 1 << (at % 8)
	}
}

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
