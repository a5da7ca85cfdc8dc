package edge

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// ledger publishes the permissions of the site north.
type ledger struct {
	t     *testing.T
	table *unlock.Table
	head  wire.PermissionHead
	key   ed25519.PrivateKey
}

func newLedger(t *testing.T) *ledger {
	l := &ledger{t: t, table: new(unlock.Table), key: testLogKey}
	return l
}

// site is the rows of a site with a door that the gateway opens.
func site(t *testing.T) []unlock.Row {
	zone, err := schedule.LoadRules("Europe/Berlin")
	require.NoError(t, err)
	return []unlock.Row{&unlock.Site{ID: "north", Zone: zone, LeaseStandard: 900, LeaseCritical: 30, TagKey: 1},
		&unlock.Door{ID: "gate", Gateway: "cabinet", Enabled: true}, &unlock.Right{ID: "all", Doors: []string{"gate"}}}
}

// person is the rows of somebody with a mobile key and a grant.
func person(id string, state unlock.PersonState) []unlock.Row {
	return []unlock.Row{&unlock.Person{ID: id, State: state},
		&unlock.Credential{ID: "key-" + id, Kind: unlock.MobileKey, Person: id, State: unlock.CredentialActive},
		&unlock.Grant{ID: "g-" + id, Person: id, Right: "all", Source: unlock.SourceGrant, State: unlock.GrantActive}}
}

// commit publishes the rows of a commit, and returns the message.
func (l *ledger) commit(epoch, n uint64, rows ...unlock.Row) []byte {
	l.t.Helper()
	head := wire.PermissionHead{Epoch: epoch, N: n, Hash: wire.HashOf(fmt.Append(nil, epoch, n)), At: noon}
	next, err := l.table.Apply(head.Delta(rows, nil))
	require.NoError(l.t, err)
	head.Digest = next.Digest()
	d := &wire.PermissionDelta{Org: "acme", Site: "north", Cause: wire.CauseCommit, Epoch: epoch, N: n, Hash: head.Hash, At: noon,
		PrevN: l.head.N, PrevDigest: l.head.Digest, Digest: head.Digest, Put: rows}
	if l.key != nil {
		d.Sign(l.key)
	}
	bodies, err := d.Encode()
	require.NoError(l.t, err)
	require.Len(l.t, bodies, 1)
	l.table, l.head = next, head
	return bodies[0]
}

// base gives the messages of a base of the present table.
func (l *ledger) base() (all [][]byte) {
	l.t.Helper()
	require.NoError(l.t, wire.EncodeBase("acme", "north", l.table, l.head, l.key, func(body []byte) error {
		all = append(all, body)
		return nil
	}))
	return all
}

func openTestTables(t *testing.T, dir string, seen wire.Position) (*tables, error) {
	t.Helper()
	tables, err := openTables(dir, "acme", "north", testLogKey.Public().(ed25519.PublicKey), seen)
	if tables != nil {
		t.Cleanup(func() { _ = tables.close() })
	}
	return tables, err
}

// takes takes messages and makes what they lead to the present table.
func (t *tables) takes(test *testing.T, messages ...[]byte) error {
	test.Helper()
	c := t.continued()
	for _, m := range messages {
		if err := c.take(m); err != nil {
			return err
		}
	}
	if !c.good() {
		return wire.ErrUnsigned
	}
	return t.adopt(c)
}

func TestATableIsReadAsItWasStored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "table")
	l := newLedger(t)
	a, err := openTestTables(t, dir, wire.Position{})
	require.NoError(t, err)
	assert.Nil(t, a.view.Load())
	require.NoError(t, a.takes(t, l.commit(1, 1, site(t)...)))
	require.NoError(t, a.takes(t, l.commit(1, 2, person("kim", unlock.PersonActive)...), l.commit(1, 3, person("lee", unlock.PersonActive)...)))
	require.NoError(t, a.close())
	b, err := openTestTables(t, dir, wire.Position{Epoch: 1, N: 3})
	require.NoError(t, err)
	assert.Equal(t, l.head, b.head())
	require.NoError(t, b.takes(t, l.commit(1, 4, person("kim", unlock.PersonSuspended)...)))
	assert.Equal(t, l.table.Digest(), b.view.Load().table.Digest())
}

// A table that was lost with its disk is not followed by an earlier one: the gateway has
// decided by it, and has said so.
func TestAfterALossNoEarlierTableIsTaken(t *testing.T) {
	l := newLedger(t)
	a, err := openTestTables(t, filepath.Join(t.TempDir(), "table"), wire.Position{Epoch: 1, N: 3})
	require.NoError(t, err)
	require.ErrorIs(t, a.takes(t, l.commit(1, 1, site(t)...), l.commit(1, 2, person("kim", unlock.PersonActive)...)), errOlder)
	assert.Nil(t, a.view.Load())
	l.commit(1, 3, person("kim", unlock.PersonSuspended)...)
	c := a.begin()
	for _, m := range l.base() {
		require.NoError(t, c.take(m))
	}
	require.NoError(t, a.adopt(c))
	assert.Equal(t, l.head, a.head())
}

func TestABaseTakesThePlaceOfTheStoredTable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "table")
	l := newLedger(t)
	a, err := openTestTables(t, dir, wire.Position{})
	require.NoError(t, err)
	first := l.commit(1, 1, site(t)...)
	require.NoError(t, a.takes(t, first))
	l.commit(1, 2, person("kim", unlock.PersonActive)...)
	c := a.begin()
	for _, m := range append(l.base(), l.commit(1, 3, person("lee", unlock.PersonActive)...)) {
		require.NoError(t, c.take(m))
	}
	require.NoError(t, a.adopt(c))
	require.NoError(t, a.close())
	b, err := openTestTables(t, dir, wire.Position{})
	require.NoError(t, err)
	assert.Equal(t, l.head, b.head())
	// A base that is older than the table is refused.
	c = b.begin()
	require.NoError(t, c.take(first))
	require.ErrorIs(t, b.adopt(c), errOlder)
	assert.Equal(t, l.head, b.head())
}

// A table is written again when its changes have become as much as its base. The base of
// many people has several parts.
func TestATableThatWasWrittenAnewIsReadAsItWas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "table")
	l := newLedger(t)
	rows := site(t)
	random := rand.New(rand.NewPCG(1, 0))
	for range 12_000 {
		c := &unlock.Credential{ID: fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64()), Kind: unlock.Card, Person: "kim", State: unlock.CredentialActive}
		binary.BigEndian.PutUint64(c.Tag[:], random.Uint64())
		binary.BigEndian.PutUint64(c.Tag[8:], random.Uint64())
		rows = append(rows, c)
	}
	next, err := l.table.Apply(wire.PermissionHead{Epoch: 1, N: 1, At: noon}.Delta(append(rows, person("kim", unlock.PersonActive)...), nil))
	require.NoError(t, err)
	l.table, l.head = next, wire.PermissionHead{Epoch: 1, N: 1, At: noon, Digest: next.Digest()}
	a, err := openTestTables(t, dir, wire.Position{})
	require.NoError(t, err)
	c := a.begin()
	for _, m := range l.base() {
		require.NoError(t, c.take(m))
	}
	require.NoError(t, a.adopt(c))
	require.NoError(t, a.takes(t, l.commit(1, 2, person("lee", unlock.PersonActive)...)))
	a.deltas = max(a.base, compactAfter)
	require.NoError(t, a.compact())
	require.Zero(t, a.deltas)
	require.Greater(t, a.next, uint64(3), "several parts")
	require.NoError(t, a.close())
	b, err := openTestTables(t, dir, wire.Position{Epoch: 1, N: 2})
	require.NoError(t, err)
	assert.Equal(t, l.head, b.head())
	require.NoError(t, b.takes(t, l.commit(1, 3, person("lee", unlock.PersonSuspended)...)))
}

func TestATableThatIsNotSignedIsNotDecidedBy(t *testing.T) {
	l := newLedger(t)
	_, other, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	for name, key := range map[string]ed25519.PrivateKey{"unsigned": nil, "by another": other} {
		a, err := openTestTables(t, filepath.Join(t.TempDir(), "table"), wire.Position{})
		require.NoError(t, err)
		l.key, l.table, l.head = key, new(unlock.Table), wire.PermissionHead{}
		require.ErrorIs(t, a.takes(t, l.commit(1, 1, site(t)...)), wire.ErrUnsigned, name)
		assert.Nil(t, a.view.Load(), name)
	}
}

func TestADeltaThatDoesNotFollowIsRefused(t *testing.T) {
	l := newLedger(t)
	a, err := openTestTables(t, filepath.Join(t.TempDir(), "table"), wire.Position{})
	require.NoError(t, err)
	require.NoError(t, a.takes(t, l.commit(1, 1, site(t)...)))
	l.commit(1, 2, person("kim", unlock.PersonActive)...)
	before := a.view.Load()
	require.ErrorIs(t, a.takes(t, l.commit(1, 3, person("lee", unlock.PersonActive)...)), wire.ErrPermissions)
	assert.Same(t, before, a.view.Load())
}

// Every byte of the stored table is damaged in turn: what is read is the table as it was,
// one that the last position refuses, or none.
func TestDamageOfTheStoredTableNeverGivesAnother(t *testing.T) {
	made := filepath.Join(t.TempDir(), "table")
	l := newLedger(t)
	a, err := openTestTables(t, made, wire.Position{})
	require.NoError(t, err)
	require.NoError(t, a.takes(t, l.commit(1, 1, site(t)...)))
	require.NoError(t, a.takes(t, l.commit(1, 2, person("kim", unlock.PersonSuspended)...)))
	require.NoError(t, a.close())
	files, err := filepath.Glob(filepath.Join(made, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	body, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for i := 0; i < len(body); i += 97 {
		dir := filepath.Join(t.TempDir(), "table")
		require.NoError(t, os.Mkdir(dir, 0o700))
		damaged := append([]byte(nil), body...)
		damaged[i] ^= 0x40
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(files[0])), damaged, 0o600))
		b, err := openTables(dir, "acme", "north", testLogKey.Public().(ed25519.PublicKey), wire.Position{Epoch: 1, N: 2})
		require.NotNil(t, b, "%v", err)
		assert.Error(t, err, "byte %d", i)
		assert.Nil(t, b.view.Load(), "byte %d", i)
		require.NoError(t, b.takes(t, l.base()...), "it begins again")
		require.NoError(t, b.close())
	}
}

func TestANewEpochIsTakenOnlyWhereItsRestoreCoversWhatWasSeen(t *testing.T) {
	signed := func(l wire.Lost) wire.Lost {
		l.Sign("acme", testLogKey)
		return l
	}
	before, next := wire.PermissionHead{Epoch: 1, N: 20}, wire.PermissionHead{Epoch: 2, N: 31}
	key := testLogKey.Public().(ed25519.PublicKey)
	for name, c := range map[string]struct {
		lost []wire.Lost
		next wire.PermissionHead
		is   bool
	}{
		"seen within the loss": {[]wire.Lost{signed(wire.Lost{Epoch: 2, From: 11, To: 30})}, next, true},
		"seen before the loss": {[]wire.Lost{signed(wire.Lost{Epoch: 2, From: 25, To: 30})}, next, true},
		"seen beyond the loss": {[]wire.Lost{signed(wire.Lost{Epoch: 2, From: 11, To: 19})}, next, false},
		"not signed":           {[]wire.Lost{{Epoch: 2, From: 11, To: 30}}, next, false},
		"of another epoch":     {[]wire.Lost{signed(wire.Lost{Epoch: 3, From: 11, To: 30})}, next, false},
		"nothing is said":      {nil, next, false},
		"one of two restores":  {[]wire.Lost{signed(wire.Lost{Epoch: 3, From: 11, To: 30})}, wire.PermissionHead{Epoch: 3, N: 40}, false},
		"both of two restores": {[]wire.Lost{signed(wire.Lost{Epoch: 2, From: 11, To: 30}), signed(wire.Lost{Epoch: 3, From: 35, To: 39})}, wire.PermissionHead{Epoch: 3, N: 40}, true},
	} {
		assert.Equal(t, c.is, covered(before.Position(), c.next, c.lost, "acme", key), name)
	}
}

func TestUntilANewEpochIsAcceptedBothTablesMustAllow(t *testing.T) {
	l := newLedger(t)
	l.commit(1, 1, append(append(site(t), person("kim", unlock.PersonActive)...), person("lee", unlock.PersonSuspended)...)...)
	old := &view{table: l.table, head: l.head}
	l.commit(2, 9, append(person("kim", unlock.PersonSuspended), person("lee", unlock.PersonActive)...)...)
	restored := &view{table: l.table, head: l.head}
	m := newMachine()
	c := newClock(m.clocks(), clockState{})
	m.hears(c, noon, 0, true, noon)
	d := &decider{gateway: "cabinet", clock: c, local: newLocal(), fire: map[wire.ID]bool{}}
	for _, id := range []string{"kim", "lee"} {
		ask := unlock.Request{Side: unlock.In, Credential: unlock.IDOf("key-" + id)}
		a := d.decide(question{view: old, older: restored, now: c.now(), door: "gate", ask: ask})
		assert.False(t, a.Allowed, id)
		assert.Equal(t, unlock.DenyPersonSuspended, a.Code, id)
	}
	ask := unlock.Request{Side: unlock.In, Credential: unlock.IDOf("key-kim")}
	assert.True(t, d.decide(question{view: old, now: c.now(), door: "gate", ask: ask}).Allowed)

	// An order by a role has no grant: the door alone decides, by both tables too.
	l.commit(2, 10, &unlock.Door{ID: "gate", Gateway: "cabinet"})
	disabled := &view{table: l.table, head: l.head}
	order := unlock.Request{Side: unlock.In, Command: unlock.CommandRemoteUnlock}
	for _, both := range [][2]*view{{old, disabled}, {disabled, old}} {
		a := d.byRole(d.decide(question{view: both[0], older: both[1], now: c.now(), door: "gate", ask: order}))
		assert.False(t, a.Allowed)
		assert.Equal(t, unlock.DenyPointDisabled, a.Code)
	}
	assert.True(t, d.byRole(d.decide(question{view: old, older: restored, now: c.now(), door: "gate", ask: order})).Allowed)
}

// The disk is full in the middle of a change, which is told again when there is room.
func TestAChangeThatWasStoredInPartIsStoredAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "table")
	l := newLedger(t)
	a, err := openTestTables(t, dir, wire.Position{})
	require.NoError(t, err)
	require.NoError(t, a.takes(t, l.commit(1, 1, site(t)...)))
	change := l.commit(1, 2, person("kim", unlock.PersonActive)...)
	c := a.continued()
	require.NoError(t, c.take(change))
	c.store = append(c.store, nil) // which no journal takes
	require.Error(t, a.adopt(c))
	require.NoError(t, a.takes(t, change))
	require.NoError(t, a.takes(t, l.commit(1, 3, person("lee", unlock.PersonActive)...)))
	require.NoError(t, a.close())
	b, err := openTestTables(t, dir, wire.Position{Epoch: 1, N: 3})
	require.NoError(t, err)
	assert.Equal(t, l.head, b.head())
}
