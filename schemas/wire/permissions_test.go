package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
)

func personRows(from, to int) []unlock.Row {
	var rows []unlock.Row
	for i := from; i < to; i++ {
		h := sha256.Sum256(fmt.Append(nil, i)) // does not compress
		rows = append(rows, &unlock.Person{ID: hex.EncodeToString(h[:]), State: unlock.PersonActive})
	}
	return rows
}

// testKey is the log's key.
var testKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// followers makes deltas that follow one another, each of so many persons.
func followers(t *testing.T, sizes ...int) []*PermissionDelta {
	t.Helper()
	table := new(unlock.Table)
	var out []*PermissionDelta
	made := 0
	for i, size := range sizes {
		d := &PermissionDelta{Org: "acme", Site: "north", Cause: CauseCommit, Epoch: 1, N: uint64(3 * (i + 1)), Hash: Hash{byte(i)},
			At: time.Date(2026, 3, 2, 9, 0, i, 0, time.UTC), Put: personRows(made, made+size), Done: uint64(3 * (i + 1))}
		if i > 0 {
			d.PrevN, d.PrevDigest = out[i-1].N, out[i-1].Digest
		}
		made += size
		next, err := table.Apply(d.Rows())
		require.NoError(t, err)
		d.Digest, table = next.Digest(), next
		d.Sign(testKey)
		out = append(out, d)
	}
	return out
}

func encoded(t *testing.T, d *PermissionDelta) [][]byte {
	t.Helper()
	bodies, err := d.Encode()
	require.NoError(t, err)
	for _, b := range bodies {
		require.LessOrEqual(t, len(b), MaxPermissionBody)
	}
	return bodies
}

func TestATableFollowsItsDeltas(t *testing.T) {
	table := NewSiteTable("acme", "north")
	for i, d := range followers(t, 3, 1, 12_000, 1) {
		bodies := encoded(t, d)
		if i == 2 {
			require.Len(t, bodies, 2, "12,000 ids are no message any more")
			before := table.Table()
			none, err := table.Take(bodies[0])
			require.NoError(t, err)
			assert.Nil(t, none)
			assert.Same(t, before, table.Table(), "nothing is applied before the last part")
			bodies = bodies[1:]
		}
		got, err := table.Take(bodies[0])
		require.NoError(t, err)
		d.Format = PermissionsFormat
		assert.Equal(t, d, got)
		assert.Equal(t, d.Head(), table.Head())
		assert.Equal(t, d.Digest, table.Table().Digest())
		assert.Equal(t, d.Head().Position().String(), table.Table().Position())
	}
	assert.Equal(t, 12_005, table.Table().Len())
}

func TestPartsFollowOneAnother(t *testing.T) {
	ds := followers(t, 1, 12_000, 1)
	parts := encoded(t, ds[1])
	table := NewSiteTable("acme", "north")
	take := func(body []byte) error { _, err := table.Take(body); return err }
	require.NoError(t, take(encoded(t, ds[0])[0]))
	assert.ErrorIs(t, take(parts[1]), ErrPermissions, "the first part is missing")
	require.NoError(t, take(parts[0]))
	require.NoError(t, take(parts[0]), "it begins again")
	require.NoError(t, take(parts[1]))
	assert.Equal(t, ds[1].Head(), table.Head())
	assert.ErrorIs(t, take(parts[1]), ErrPermissions)

	// A delta that was begun and never ended is passed over.
	require.NoError(t, take(parts[0]))
	require.NoError(t, take(encoded(t, ds[2])[0]))
	assert.Equal(t, ds[2].Head(), table.Head())

	var p PermissionPart
	require.NoError(t, json.Unmarshal(parts[1], &p))
	for name, change := range map[string]func(*PermissionPart){
		"digest": func(p *PermissionPart) { p.Digest[0] ^= 1 },
		"n":      func(p *PermissionPart) { p.N++ },
		"site":   func(p *PermissionPart) { p.Site = "south" },
		"data":   func(p *PermissionPart) { p.Data[len(p.Data)/2] ^= 1 },
		"short":  func(p *PermissionPart) { p.Data = p.Data[:len(p.Data)-1] },
	} {
		table := NewSiteTable("acme", "north")
		q := p
		q.Data = append([]byte(nil), p.Data...)
		change(&q)
		body, err := json.Marshal(q)
		require.NoError(t, err)
		_, err = table.Take(encoded(t, ds[0])[0])
		require.NoError(t, err)
		_, err = table.Take(parts[0])
		require.NoError(t, err)
		_, err = table.Take(body)
		assert.ErrorIs(t, err, ErrPermissions, name)
		assert.Equal(t, ds[0].Head(), table.Head(), name)
	}
}

func TestADeltaThatDoesNotFitLeavesTheTable(t *testing.T) {
	ds := followers(t, 2, 2)
	for name, change := range map[string]func(*PermissionDelta){
		"previous digest": func(d *PermissionDelta) { d.PrevDigest[0] ^= 1 },
		"previous number": func(d *PermissionDelta) { d.PrevN-- },
		"digest":          func(d *PermissionDelta) { d.Digest[0] ^= 1 },
		"order":           func(d *PermissionDelta) { d.N = 2 },
		"org":             func(d *PermissionDelta) { d.Org = "other" },
		"site":            func(d *PermissionDelta) { d.Site = "south" },
		"rows":            func(d *PermissionDelta) { d.Put = d.Put[:1] },
		"twice":           func(d *PermissionDelta) { d.Put = append(d.Put[:1:1], d.Put[0]) },
		"a row no table can take": func(d *PermissionDelta) {
			d.Put = unlock.Rows{&unlock.Right{ID: "r", Doors: []string{"b", "a"}}}
		},
	} {
		table := NewSiteTable("acme", "north")
		_, err := table.Take(encoded(t, ds[0])[0])
		require.NoError(t, err)
		before := table.Table()
		d := *ds[1]
		change(&d)
		_, err = table.Take(encoded(t, &d)[0])
		assert.ErrorIs(t, err, ErrPermissions, name)
		assert.Same(t, before, table.Table(), name)
		assert.Equal(t, ds[0].Head(), table.Head(), name)
	}
}

func TestAWholeDeltaReplacesAnyTable(t *testing.T) {
	ds := followers(t, 2, 2)
	table := NewSiteTable("acme", "north")
	for _, d := range ds {
		_, err := table.Take(encoded(t, d)[0])
		require.NoError(t, err)
	}
	whole := followers(t, 1)[0]
	whole.N = 8
	require.True(t, whole.Whole())
	_, err := table.Take(encoded(t, whole)[0])
	require.NoError(t, err)
	assert.Equal(t, 1, table.Table().Len())
}

func TestWhatLaterCodeWroteIsTold(t *testing.T) {
	for _, body := range []string{
		`{"format":2,"org":"acme","site":"north","n":1,"put":[{"kind":"turnstile","row":{"id":"t1"}}]}`,
		`{"format":2,"n":"one"}`,
	} {
		_, _, err := DecodePermission([]byte(body))
		assert.ErrorIs(t, err, ErrPermissionsTooNew)
		assert.ErrorIs(t, err, ErrPermissions)
	}
	for _, body := range []string{``, `{}`, `[]`, `{"format":1,"put":[{"kind":"turnstile","row":{}}]}`, `{"format":1,"put":[{"kind":"person","row":{"id":"p","new":1}}]}`} {
		_, _, err := DecodePermission([]byte(body))
		assert.ErrorIs(t, err, ErrPermissions, body)
		assert.NotErrorIs(t, err, ErrPermissionsTooNew, body)
	}
}

func TestBasesArePutTogether(t *testing.T) {
	d := followers(t, 12_000)[0]
	table, err := new(unlock.Table).Apply(d.Rows())
	require.NoError(t, err)
	var bodies [][]byte
	require.NoError(t, EncodeBase("acme", "north", table, d.Head(), testKey, func(b []byte) error {
		require.LessOrEqual(t, len(b), MaxPermissionBody)
		bodies = append(bodies, b)
		return nil
	}))
	require.Len(t, bodies, 2)
	take := func(b *BaseReader, bodies ...[]byte) {
		for _, body := range bodies {
			_, err := b.Take(body)
			require.NoError(t, err)
		}
	}

	var none BaseReader
	take(&none, bodies[0])
	got, err := none.SiteTable("acme", "north", testKey.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	assert.Nil(t, got, "it is not whole")

	// One that was not finished, another instance's part in between, and a whole one.
	var b BaseReader
	take(&b, bodies[0], bodies[0], bodies[1], bodies[1], bodies[0])
	got, err = b.SiteTable("acme", "north", testKey.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	assert.Equal(t, d.Head(), got.Head())
	assert.Equal(t, table.Digest(), got.Table().Digest())
	assert.Equal(t, d.Head().Position().String(), got.Table().Position())
	assert.InDelta(t, len(bodies[0])+len(bodies[1]), b.Size(), 1024)

	_, err = b.SiteTable("acme", "south", testKey.Public().(ed25519.PublicKey))
	assert.ErrorIs(t, err, ErrPermissions)
	var p PermissionPart
	require.NoError(t, json.Unmarshal(bodies[0], &p))
	p.Data[len(p.Data)/2] ^= 1
	bad, err := json.Marshal(p)
	require.NoError(t, err)
	var damaged BaseReader
	take(&damaged, bad, bodies[1])
	_, err = damaged.SiteTable("acme", "north", testKey.Public().(ed25519.PublicKey))
	assert.ErrorIs(t, err, ErrPermissions)
}
