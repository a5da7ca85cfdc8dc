package unlock

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/randomtest"
)

func TestRowsSurviveTheWire(t *testing.T) {
	for seed := range uint64(20) {
		rows := Rows(newDice(t, randomtest.Seed(t, seed)).rows())
		data, err := json.Marshal(rows)
		require.NoError(t, err)
		var read Rows
		require.NoError(t, json.Unmarshal(data, &read))
		require.Len(t, read, len(rows))
		for i := range rows {
			want, err := Encode(rows[i])
			require.NoError(t, err)
			got, err := Encode(read[i])
			require.NoError(t, err)
			require.Equal(t, string(want), string(got), "seed %d", seed)
		}
	}
}

func TestEncode(t *testing.T) {
	got, err := Encode(&Credential{
		ID: "c1", Tag: Tag{0xab}, Kind: MobileKey, Person: "p1", State: CredentialActive,
		Window: Window{Until: InstantOf(time.Date(2026, 12, 24, 17, 0, 0, 5, time.UTC))},
	})
	require.NoError(t, err)
	assert.Equal(t, `{"kind":"credential","row":{"id":"c1","tag":"ab000000000000000000000000000000","kind":"mobile_key",`+
		`"person":"p1","window":{"until":"2026-12-24T17:00:00.000000005Z"},"state":"active"}}`, string(got))
	got, err = Encode(&Door{ID: "d1", Enabled: true})
	require.NoError(t, err)
	assert.Equal(t, `{"kind":"door","row":{"id":"d1","class":"standard","enabled":true,"posture":"normal",`+
		`"after_lease":"deny","factor":"none","presence":"off"}}`, string(got))
}

func TestDecodeRefuses(t *testing.T) {
	for _, data := range []string{
		``, `[]`, `{}`, `{"kind":"door"}`, `{"row":{"id":"d1"}}`, `{"kind":"gate","row":{"id":"d1"}}`,
		`{"kind":"door","row":{"id":"d1","narrower":true}}`, `{"kind":"door","row":{"id":"d1"},"more":1}`,
		`{"kind":"person","row":{"id":"p1","state":""}}`, `{"kind":"person","row":{"id":"p1","state":"dead"}}`,
		`{"kind":"person","row":{"id":"p1","state":1}}`, `{"kind":"person","row":{"id":"p1","state":"active"}}{}`,
		`{"kind":"credential","row":{"id":"c1","tag":"AB000000000000000000000000000000"}}`,
		`{"kind":"booking","row":{"id":"b1","window":{"from":"2026-12-24T18:00:00+01:00"}}}`,
		`{"kind":"booking","row":{"id":"b1","window":{"from":"2026-12-24"}}}`,
		`{"kind":"booking","row":{"id":"b1","window":{"from":"2525-12-24T18:00:00Z"}}}`,
	} {
		_, err := Decode([]byte(data))
		assert.Error(t, err, data)
	}
}

func TestApplyRefuses(t *testing.T) {
	s := newStorage(t)
	table, err := NewTable(s.all()...)
	require.NoError(t, err)
	site := *s.site
	site.ID = "elsewhere"
	for name, d := range map[string]Delta{
		"no id":                  {Put: Rows{&Person{State: PersonActive}}},
		"a long id":              {Put: Rows{&Person{strings.Repeat("x", MaxID+1), PersonActive}}},
		"an id with a space":     {Put: Rows{&Person{"a b", PersonActive}}},
		"no state":               {Put: Rows{&Person{ID: "p"}}},
		"an unknown state":       {Put: Rows{&Person{"p", 99}}},
		"doors out of order":     {Put: Rows{&Right{ID: "r", Doors: []string{"b", "a"}}}},
		"a door twice":           {Put: Rows{&Right{ID: "r", Doors: []string{"a", "a"}}}},
		"a window that ends":     {Put: Rows{&Booking{ID: "b", Unit: "u", Person: "p", Window: Window{2, 1}, State: BookingActive}}},
		"a credential of nobody": {Put: Rows{&Credential{ID: "c", Kind: Fob, State: CredentialActive}}},
		"no kind of credential":  {Put: Rows{&Credential{ID: "c", Person: "p", State: CredentialActive}}},
		"a grant of nothing":     {Put: Rows{&Grant{ID: "g", Person: "p", Source: SourceGrant, State: GrantActive}}},
		"any kind":               {Put: Rows{&Grant{ID: "g", Person: "p", Right: "r", Kinds: []CredentialKind{AnyKind}, Source: SourceGrant, State: GrantActive}}},
		"a door that escorts":    {Put: Rows{&Door{ID: "d", Capabilities: []Capability{Escort}}}},
		"a site of no posture":   {Put: Rows{&Site{ID: "site", Zone: s.site.Zone, LeaseStandard: 1, LeaseCritical: 1, Posture: 99}}},
		"an endless lease":       {Put: Rows{&Site{ID: "site", Zone: s.site.Zone, LeaseStandard: 72*3600 + 1, LeaseCritical: 1}}},
		"another site":           {Put: Rows{&site}},
		"a site twice":           {Put: Rows{s.site, s.site}},
		"a row twice":            {Put: Rows{s.anna, s.anna}},
		"a key twice":            {Delete: []Key{s.anna.Key(), s.anna.Key()}},
		"put and deleted":        {Put: Rows{s.anna}, Delete: []Key{s.anna.Key()}},
		"put again and deleted":  {Put: Rows{&Person{"eve", PersonActive}}, Delete: []Key{{KindPerson, "eve"}}},
		"the site put and gone":  {Put: Rows{s.site}, Delete: []Key{s.site.Key()}},
		"no such kind":           {Delete: []Key{{0, "x"}}},
	} {
		_, err := table.Apply(d)
		assert.ErrorIs(t, err, ErrDelta, name)
	}
	other, err := table.Apply(Delta{Put: Rows{&site}, Delete: []Key{s.site.Key()}})
	require.NoError(t, err, "the site may be another from now on")
	r, ok := other.Row(site.Key())
	assert.True(t, ok)
	assert.Equal(t, &site, r)
}

func TestTable(t *testing.T) {
	s := newStorage(t)
	table, err := new(Table).Apply(Delta{Position: "1-7", N: 7, At: noon, Put: s.all()})
	require.NoError(t, err)
	assert.Equal(t, "1-7", table.Position())
	assert.Equal(t, uint64(7), table.N())
	assert.Equal(t, noon, table.At())
	assert.Equal(t, len(s.all()), table.Len())
	assert.Equal(t, 6, table.Count(KindCredential))
	for _, want := range s.all() {
		got, ok := table.Row(want.Key())
		assert.True(t, ok)
		assert.Equal(t, want, got)
	}
	_, ok := table.Row(Key{KindDoor, "nowhere"})
	assert.False(t, ok)

	var last Key
	n := 0
	for r := range table.All() {
		assert.Negative(t, last.Compare(r.Key()))
		last = r.Key()
		n++
	}
	assert.Equal(t, table.Len(), n)

	same, err := table.Apply(Delta{Position: "1-8", N: 8, Put: Rows{s.anna}, Delete: []Key{{KindDoor, "nowhere"}}})
	require.NoError(t, err)
	assert.Equal(t, table.Digest(), same.Digest(), "rows that stay the same do not change the digest")
	assert.Equal(t, "1-7", table.Position(), "a table is not changed")

	var gone Delta
	for _, r := range s.all() {
		gone.Delete = append(gone.Delete, r.Key())
	}
	empty, err := table.Apply(gone)
	require.NoError(t, err)
	assert.Zero(t, empty.Len())
	assert.Equal(t, Digest{}, empty.Digest())
	assert.Equal(t, sizes(new(Table)), sizes(empty), "nothing is kept of what is gone")
}

func TestDigestIsAsDescribed(t *testing.T) {
	table, err := NewTable(&Person{"anna", PersonActive})
	require.NoError(t, err)
	// Calculated elsewhere from the description.
	assert.Equal(t, "dd0275a7efca7a1a152268994461a7e5ce08b05914e9019047bdb853a779b64f", table.Digest().String())
	var read Digest
	require.NoError(t, read.UnmarshalText([]byte(table.Digest().String())))
	assert.Equal(t, table.Digest(), read)
	assert.Error(t, read.UnmarshalText([]byte("AB")))
}

func TestCodes(t *testing.T) {
	for _, c := range Codes() {
		text, err := c.MarshalText()
		require.NoError(t, err)
		var read Code
		require.NoError(t, read.UnmarshalText(text))
		assert.Equal(t, c, read)
		assert.Equal(t, c.Allows(), strings.HasPrefix(c.String(), "allow_"), c)
		assert.Equal(t, !c.Allows(), strings.HasPrefix(c.String(), "deny_"), c)
	}
	assert.Len(t, Codes(), int(AllowStaff)+int(endOfDenials-firstDenial), "every code is in the table")
	_, err := NoCode.MarshalText()
	assert.Error(t, err)
	_, err = ParseCode("deny_whatever")
	assert.Error(t, err)
	assert.Empty(t, Code(255).String())
}

// Every code is told in a few words of its own.
func TestEveryCodeHasOneShortMeaning(t *testing.T) {
	seen := map[string]Code{}
	for _, c := range Codes() {
		words := strings.Fields(c.Meaning())
		assert.NotEmpty(t, words, c)
		assert.LessOrEqual(t, len(words), 8, "%s: %s", c, c.Meaning())
		assert.NotContains(t, c.Meaning(), ";", "%s lists clauses", c)
		assert.NotContains(t, c.Meaning(), " or is ", "%s lists clauses", c)
		assert.NotContains(t, seen, c.Meaning(), "%s", c)
		seen[c.Meaning()] = c
	}
}

// A row that denies nothing by its state says so here.
func TestEveryStateThatClosesHasItsCode(t *testing.T) {
	assert.Equal(t, []string{"active"}, opens[PersonState](PersonState.Denial))
	assert.Equal(t, []string{"vacant", "occupied"}, opens[UnitState](UnitState.Denial))
	assert.Equal(t, []string{"active"}, opens[BookingState](BookingState.Denial))
	assert.Equal(t, []string{"active"}, opens[CredentialState](CredentialState.Denial))
	for _, of := range []Source{SourceGrant, SourceBooking, SourceShare, SourceUnitUser, SourceGroup, SourceStaff} {
		assert.Equal(t, []string{"active"}, opens[GrantState](func(s GrantState) Code { return s.Denial(of) }))
	}
}

// opens lists the states that no code denies.
func opens[S interface {
	~uint8
	Texts() []string
	String() string
}](denial func(S) Code) (open []string) {
	for s := S(1); int(s) <= len(s.Texts()); s++ {
		if denial(s) == NoCode {
			open = append(open, s.String())
		}
	}
	return open
}

func TestChecks(t *testing.T) {
	s := check(DenyGatelock) | check(DenyEscortRequired)
	assert.True(t, s.Has(DenyGatelock))
	assert.False(t, s.Has(DenyOverlock))
	assert.False(t, s.Has(AllowGrant))
	assert.Equal(t, DenyGatelock, s.First())
	assert.Equal(t, NoCode, Checks(0).First())
	data, err := json.Marshal(s)
	require.NoError(t, err)
	assert.JSONEq(t, `["deny_gatelock","deny_escort_required"]`, string(data))
	var read Checks
	require.NoError(t, json.Unmarshal(data, &read))
	assert.Equal(t, s, read)
	assert.Error(t, json.Unmarshal([]byte(`["allow_grant"]`), &read))
	data, err = json.Marshal(Checks(0))
	require.NoError(t, err)
	assert.Equal(t, "[]", string(data))
}

func TestEnumerations(t *testing.T) {
	for _, e := range []interface{ Texts() []string }{
		Kind(0), Posture(0), DoorClass(0), AfterLease(0), Factor(0), Presence(0), PersonState(0), UnitState(0),
		BookingState(0), CredentialKind(0), CredentialState(0), Capability(0), Source(0), GrantState(0), Side(0),
	} {
		assert.NotEmpty(t, e.Texts())
		assert.NotContains(t, e.Texts(), "")
	}
	assert.Equal(t, []string{"active", "suspended", "pending"}, PersonState(0).Texts())
	assert.Equal(t, "99", PersonState(99).String())
	_, err := PersonState(0).MarshalText()
	assert.Error(t, err, "a state has no default")
}

// The tree keeps lists where few rows are. All the same it gives the digest that is
// described for a full tree, however many rows come and go.
func TestDigestDoesNotDependOnHowItIsKept(t *testing.T) {
	d := rand.New(rand.NewPCG(1, 4))
	var tree *digests
	rows := map[uint64]hashed{}
	made := func(n uint64) hashed {
		h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
		return hashed{uint16(h[0])<<8 | uint16(h[1])&15, Digest(h)} // in crowded buckets
	}
	for _, size := range []int{1, 3, 20, 300, 5000, 40_000, 2000, 50, 4, 0, 2} {
		var changes []rehash
		for n := range rows {
			if len(rows) <= size {
				break
			}
			changes = append(changes, rehash{bucket: rows[n].bucket, old: rows[n].hash})
			delete(rows, n)
		}
		for len(rows) < size {
			n := d.Uint64()
			rows[n] = made(n)
			changes = append(changes, rehash{bucket: rows[n].bucket, new: rows[n].hash})
		}
		tree = tree.with(changes)
		want := described(slices.Collect(maps.Values(rows)), 0)
		if tree == nil {
			require.Zero(t, want)
			continue
		}
		require.Equal(t, want, tree.digest, "%d rows", size)
		require.Equal(t, newDigests(slices.Collect(tree.all()), 0), tree, "%d rows: kept as if made at once", size)
	}
}

// described gives the digest of hashes as the comment of Digest describes it.
func described(list []hashed, depth int) Digest {
	if len(list) == 0 {
		return Digest{}
	}
	var all []byte
	if depth == digestDepth {
		slices.SortFunc(list, hashed.compare)
		for _, h := range list {
			all = append(all, h.hash[:]...)
		}
		return sha256.Sum256(all)
	}
	var longer [digestWays][]hashed
	for _, h := range list {
		n := h.bucket >> (12 - 4*depth) & 15
		longer[n] = append(longer[n], h)
	}
	for _, l := range longer {
		d := described(l, depth+1)
		all = append(all, d[:]...)
	}
	return sha256.Sum256(all)
}
