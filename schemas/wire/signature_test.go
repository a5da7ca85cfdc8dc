package wire

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// With the digest the signature vouches for every row: a delta of which any signed
// field is changed is not signed.
func TestAChangedDeltaIsNotSigned(t *testing.T) {
	public := testKey.Public().(ed25519.PublicKey)
	for field, change := range map[string]func(*PermissionDelta){
		"org":         func(d *PermissionDelta) { d.Org = "other" },
		"site":        func(d *PermissionDelta) { d.Site = "south" },
		"epoch":       func(d *PermissionDelta) { d.Epoch++ },
		"n":           func(d *PermissionDelta) { d.N++ },
		"hash":        func(d *PermissionDelta) { d.Hash[0]++ },
		"at":          func(d *PermissionDelta) { d.At = d.At.Add(time.Nanosecond) },
		"prev_n":      func(d *PermissionDelta) { d.PrevN++ },
		"prev_digest": func(d *PermissionDelta) { d.PrevDigest[0]++ },
		"digest":      func(d *PermissionDelta) { d.Digest[0]++ },
		"signature":   func(d *PermissionDelta) { d.Signature = bytes.Clone(d.Signature); d.Signature[0]++ },
		"none":        func(d *PermissionDelta) { d.Signature = nil },
	} {
		d := followers(t, 1, 1)[1]
		require.True(t, d.SignedBy(public))
		change(d)
		assert.False(t, d.SignedBy(public), field)
	}
	d := followers(t, 1)[0]
	assert.False(t, d.SignedBy(nil), "without a key nothing is signed")
	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	assert.False(t, d.SignedBy(other))
}

// A ledger has changes from before there were signatures; the next one vouches for the
// table that it leads to.
func TestTheLastChangeVouchesForTheTable(t *testing.T) {
	public := testKey.Public().(ed25519.PublicKey)
	deltas := followers(t, 3, 12_000, 1)
	deltas[0].Signature, deltas[1].Signature = nil, nil
	table := NewSiteTable("acme", "north")
	table.Verify(public)
	for i, d := range deltas {
		for _, body := range encoded(t, d) {
			_, err := table.Take(body)
			require.NoError(t, err)
		}
		assert.Equal(t, i == 2, table.Signed(), i)
	}
	var base BaseReader
	require.NoError(t, EncodeBase("acme", "north", table.Table(), table.Head(), testKey, func(body []byte) error {
		_, err := base.Take(body)
		return err
	}))
	again, err := base.SiteTable("acme", "north", public)
	require.NoError(t, err)
	assert.True(t, again.Signed())
	again, err = base.SiteTable("acme", "north", nil)
	require.NoError(t, err)
	assert.False(t, again.Signed())
}
