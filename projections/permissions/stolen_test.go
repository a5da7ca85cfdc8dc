package permissions

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
	"gatehouse/randomtest"
	"gatehouse/schemas/wire"
)

// cabinet adds a gateway to the house, a PIN that both sites know, and a card of ben's.
const cabinet = `
olga RegisterGateway {"gateway":"cabinet","site":"north","public_key":"UDHMYFIH3QO524UVSUOCSCEI6CK23OIEJUNXHVUW43PQMXLIHPKPY3OP"}
olga AssignDoorToGateway {"gateway":"cabinet","door":"gate"}
olga IssuePin {"credential":"pin-anna","person":"anna","sites":["north","south"]}
olga IssuePin {"credential":"pin-south","person":"anna","sites":["south"]}
`

const stolen = `olga RetireGateway {"gateway":"cabinet","reason":"stolen"}`

// tagKey is the version of the key of tags in the published table of a site.
func (b *bed) tagKey(site domain.ID) uint32 {
	table, _ := b.load("acme", site)
	return table.TagKey()
}

// shows decides by a node's table about a number that a reader read at the gate.
func (n *node) shows(kind domain.CredentialKind, tag unlock.Tag) unlock.Answer {
	local := unlock.Local{LeaseEnd: unlock.Held}
	return unlock.Decide(n.Table("acme", "north"), &local, unlock.Request{Door: unlock.IDOf("gate"), Side: unlock.In, At: unlock.InstantOf(n.b.clock()), Tag: tag})
}

// credentialOf is a credential as the ledger has it.
func (n *node) credentialOf(id domain.ID) (c domain.Credential) {
	n.b.t.Helper()
	require.NoError(n.b.t, n.store.View(n.b.t.Context(), "acme", func(s *domain.State, _ eventstore.Head) error {
		there, ok := s.Credentials.Get(id)
		require.True(n.b.t, ok, id)
		c = *there
		return nil
	}))
	return c
}

func TestAStolenGatewayTakesPinsAtOnceAndTheKeyOfTags(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house+cabinet)
	n.settle("acme")
	pin := n.credentialOf("pin-anna").Number.Text()
	oldCard, ok := n.Tag("acme", "north", domain.KindCard, "", "1001")
	require.True(t, ok)
	oldPin, _ := n.Tag("acme", "north", domain.KindPin, "pin", pin)
	require.True(t, n.shows(domain.KindPin, oldPin).Allowed)
	south := b.credential("south", "f-anna").Tag

	n.do("acme", stolen)
	n.turnAll()
	assert.Equal(t, unlock.CredentialRevoked, b.credential("north", "pin-anna").State)
	assert.Equal(t, unlock.CredentialRevoked, b.credential("south", "pin-anna").State, "its digits are known wherever it is")
	assert.Equal(t, unlock.CredentialActive, b.credential("south", "pin-south").State)
	assert.Equal(t, unlock.DenyCredentialRevoked, n.shows(domain.KindPin, oldPin).Code)
	assert.True(t, n.shows(domain.KindCard, oldCard).Allowed, "cards go on, by the old tag until there is a new one")
	assert.Equal(t, uint32(1), b.tagKey("north"))
	tag, ok := n.Tag("acme", "north", domain.KindCard, "", "1001")
	assert.True(t, ok)
	assert.Equal(t, oldCard, tag, "and can be read until then")

	n.settle("acme")
	n.agree("acme", "north", "south")
	assert.Equal(t, uint32(2), b.tagKey("north"))
	assert.Equal(t, uint32(1), b.tagKey("south"))
	assert.Equal(t, south, b.credential("south", "f-anna").Tag)
	tag, ok = n.Tag("acme", "north", domain.KindCard, "", "1001")
	assert.True(t, ok)
	assert.NotEqual(t, oldCard, tag)
	assert.True(t, n.shows(domain.KindCard, tag).Allowed)
	for _, old := range []unlock.Tag{oldCard, oldPin} {
		assert.Equal(t, unlock.DenyUnknownCredential, n.shows(domain.KindCard, old).Code, "a tag of the old key is nobody's")
	}
	last := b.deltas("acme", "north")
	head, err := n.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, []string{fmt.Sprint(head.N, " commit"), fmt.Sprint(head.N, " tags")}, told(last[len(last)-2:]))
	assert.Zero(t, n.divergence())
}

func TestWithoutTheVaultAStolenKeyIsUsedForNothingNew(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house+cabinet)
	n.settle("acme")
	n.keys.away.Store(true)
	n.do("acme", stolen)
	n.turnAll()
	assert.False(t, n.makeTags(t.Context(), n.org("acme")))
	n.do("acme", `olga AssignFob {"credential":"f-ben","number":"2002","person":"ben","sites":["north"]}
olga SuspendPerson {"person":"anna"}`)
	n.turnAll()
	assert.Equal(t, unlock.CredentialRevoked, b.credential("north", "pin-anna").State)
	assert.Equal(t, uint32(1), b.tagKey("north"))
	assert.Zero(t, b.credential("north", "f-ben").Tag, "no tag is made with a key that was stolen")
	head, err := n.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, head.N, n.Published("acme"), "what takes access away never waits for tags")
	b.now.Add(int64(time.Second))
	assert.Equal(t, []domain.ID{"north"}, n.Lags()[0].Rekeying)
	assert.Equal(t, time.Second, n.Lags()[0].RekeyingFor)

	// An instance that starts meanwhile waits as well, and continues when the vault is
	// back.
	next := b.node()
	next.keys.away.Store(true)
	next.caughtUp("acme", n)
	next.turnAll()
	assert.False(t, next.makeTags(t.Context(), next.org("acme")))
	assert.Equal(t, uint32(1), b.tagKey("north"))
	next.keys.away.Store(false)
	b.now.Add(int64(time.Minute))
	next.settle("acme")
	next.agree("acme", "north", "south")
	assert.Equal(t, uint32(2), b.tagKey("north"))
	assert.NotZero(t, b.credential("north", "f-ben").Tag)
	assert.Empty(t, next.Lags()[0].Rekeying)

	n.keys.away.Store(false)
	n.settle("acme")
	n.agree("acme", "north", "south")
	assert.Zero(t, n.divergence()+next.divergence())
}

func TestInstancesTakeTheTagsOfAnotherKeyOver(t *testing.T) {
	b := newBed(t)
	one, two := b.node(), b.node()
	one.do("acme", house+cabinet)
	one.settle("acme")
	two.caughtUp("acme", one)
	two.settle("acme")

	// The other one has waiting commits from before and after the new tags, which
	// contain tags of the old key.
	two.keys.away.Store(true)
	one.do("acme", stolen)
	one.settle("acme")
	one.do("acme", `olga SuspendCredential {"credential":"f-anna"}
olga AssignFob {"credential":"f-ben","number":"2002","person":"ben","sites":["north"]}`)
	two.caughtUp("acme", one)
	two.do("acme", `olga ReinstateCredential {"credential":"f-anna"}
olga SetSitePolicy {"site":"north","policy":{"fob_holders":"anyone"}}`)
	two.turnAll()
	assert.Equal(t, uint32(2), b.tagKey("north"), "never back")
	card := b.credential("north", "f-anna")
	assert.Equal(t, unlock.CredentialActive, card.State)
	one.caughtUp("acme", two)
	one.settle("acme")
	tag, ok := one.Tag("acme", "north", domain.KindCard, "", "1001")
	assert.True(t, ok)
	assert.Equal(t, tag, card.Tag, "no tag of the old key beside those of the new one")
	one.agree("acme", "north", "south")

	_, ok = two.Tag("acme", "north", domain.KindCard, "", "1001")
	assert.False(t, ok, "the key is not here yet")
	two.keys.away.Store(false)
	b.now.Add(int64(time.Minute))
	two.settle("acme")
	two.agree("acme", "north", "south")
	tag, ok = two.Tag("acme", "north", domain.KindCard, "", "2002")
	assert.True(t, ok)
	assert.Equal(t, tag, b.credential("north", "f-ben").Tag)
	assert.Zero(t, one.divergence()+two.divergence())
}

func TestReplayGivesTheSameTagsByte(t *testing.T) {
	b := newBed(t)
	one := b.node()
	one.do("acme", house+cabinet)
	one.settle("acme")
	one.do("acme", stolen)
	one.settle("acme")
	one.do("acme", `olga IssuePin {"credential":"pin-ben","person":"ben","sites":["north"]}
olga ErasePerson {"person":"anna"}`)
	one.settle("acme")
	one.agree("acme", "north", "south")
	_, ok := one.Table("acme", "north").Row(unlock.Key{Kind: unlock.KindCredential, ID: "pin-anna"})
	assert.False(t, ok, "what an erased person had is nowhere")
	one.do("acme", `olga RegisterGateway {"gateway":"second","site":"north","public_key":"UBVXTRL6NIEVEOJIFQCIDDUWCEXT6A5EAAN2S6SWJQRYKKR7D2S7ZZV2"}
olga RetireGateway {"gateway":"second","reason":"stolen"}`)
	one.settle("acme")
	assert.Equal(t, uint32(3), b.tagKey("north"))
	digest := one.Table("acme", "north").Digest()

	two := b.node()
	two.caughtUp("acme", one)
	two.settle("acme")
	assert.Equal(t, digest, two.Table("acme", "north").Digest())
	two.agree("acme", "north", "south")
	assert.Zero(t, one.divergence()+two.divergence())
}

// The row of a PIN whose digits are erased keeps its tag, until the key changes.
func TestTagsOfNumbersThatAreGoneEndWithTheirKey(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house+cabinet)
	n.settle("acme")
	n.do("acme", `olga RevokeCredential {"credential":"pin-anna"}`)
	n.settle("acme")
	require.NotZero(t, b.credential("north", "pin-anna").Tag)
	n.do("acme", stolen)
	n.settle("acme")
	assert.Zero(t, b.credential("north", "pin-anna").Tag)
	assert.Equal(t, uint32(2), b.tagKey("north"))
	n.agree("acme", "north")
	assert.Zero(t, n.divergence())
}

// A number that the vault can no longer open must not keep a stolen key in use.
func TestANumberThatIsLostHoldsUpNoKey(t *testing.T) {
	b := newBed(t)
	old := b.node()
	old.do("acme", house+cabinet+`olga AssignFob {"credential":"f-ben","number":"2002","person":"ben","sites":["north"]}`)
	old.settle("acme")
	old.do("acme", stolen)
	old.turnAll()

	n := b.node()
	n.keys.without = old.credentialOf("f-ben").Number.Box()
	n.caughtUp("acme", old)
	n.turnAll()
	assert.False(t, n.makeTags(t.Context(), n.org("acme")))
	assert.Equal(t, uint32(1), b.tagKey("north"), "it may only be slow")
	b.now.Add(int64(sealedPatience))
	assert.False(t, n.makeTags(t.Context(), n.org("acme")))
	n.turnAll()
	assert.Equal(t, uint32(2), b.tagKey("north"))
	assert.Zero(t, b.credential("north", "f-ben").Tag)
	assert.NotZero(t, b.credential("north", "f-anna").Tag)
	old.settle("acme")
	old.agree("acme", "north")
	assert.Zero(t, n.divergence()+old.divergence())
	assert.Equal(t, wire.CauseTags, b.deltas("acme", "north")[len(b.deltas("acme", "north"))-1].Cause)
}

// In every published table the tags belong to one key. Instances with and without the
// vault execute, publish, make tags and start in a random order, while gateways are
// stolen. In any table of a reader, cards have tags of its key or none, and no PIN that
// a thief knows is valid. With the last seed an instance writes the cursor before
// another one publishes an earlier commit.
func TestEveryPublishedTableHasTagsOfOneKey(t *testing.T) {
	for _, seed := range []uint64{0, 1, 2, 3, 4, 97} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(8, randomtest.Seed(t, seed)))
			b := newBed(t)
			nodes := []*node{b.node(), b.node()}
			nodes[0].do("acme", house)
			numbers := map[domain.ID]string{"f-anna": "1001"}
			leaked := map[string]uint64{} // PIN: the commit of the theft
			var pins []string
			gateways := 0
			for step := range 90 {
				n := nodes[r.IntN(len(nodes))]
				switch r.IntN(10) {
				case 0:
					n.do("acme", fmt.Sprintf(`olga RegisterGateway {"gateway":"w%d","site":"north","public_key":"%s"}`, gateways, gatewayKey(step)))
					n.do("acme", fmt.Sprintf(`olga RetireGateway {"gateway":"w%d","reason":"stolen"}`, gateways))
					gateways++
					head, err := n.store.Head(t.Context(), "acme")
					require.NoError(t, err)
					for _, p := range pins {
						leaked[p] = head.N
					}
					pins = nil
				case 1:
					if n.keys.away.Load() {
						continue
					}
					id := fmt.Sprint("f", step)
					n.do("acme", fmt.Sprintf(`olga AssignFob {"credential":%q,"number":"%d","person":"anna","sites":["north","south"]}`, id, 5000+step))
					numbers[domain.ID(id)] = fmt.Sprint(5000 + step)
				case 2:
					n.do("acme", draw(r, `olga SuspendCredential {"credential":"f-anna"}`, `olga ReinstateCredential {"credential":"f-anna"}`,
						`olga SetSitePolicy {"site":"north","policy":{"fob_holders":"anyone"}}`, `olga SetSitePolicy {"site":"north","policy":{}}`))
				case 3:
					if n.keys.away.Load() {
						continue
					}
					id := fmt.Sprint("p", step)
					n.do("acme", fmt.Sprintf(`olga IssuePin {"credential":%q,"person":"anna","sites":["north"]}`, id))
					pins = append(pins, id)
				case 4, 5, 6:
					for range r.IntN(4) {
						n.turnOnce()
					}
				case 7:
					n.makeTags(t.Context(), n.org("acme"))
				case 8:
					n.keys.away.Store(!n.keys.away.Load())
				case 9:
					i := r.IntN(len(nodes))
					nodes[i] = b.node()
					nodes[i].caughtUp("acme", n)
				}
			}
			for _, n := range nodes {
				n.caughtUp("acme", nodes[0])
				n.caughtUp("acme", nodes[1])
				n.keys.away.Store(false)
			}
			b.now.Add(int64(time.Minute))
			for _, n := range append(nodes, nodes...) {
				n.turnAll()
				n.makeTags(t.Context(), n.org("acme"))
				n.turnAll()
			}
			for _, n := range nodes {
				n.agree("acme", "north", "south")
				assert.Zero(t, n.divergence())
			}
			assert.Equal(t, uint32(1+gateways), b.tagKey("north"))
			last := uint32(0)
			b.tables("acme", "north", func(table *unlock.Table) {
				require.GreaterOrEqual(t, table.TagKey(), last, "never back to a stolen key")
				last = table.TagKey()
				b.tagsFit(table, numbers)
				for pin, n := range leaked {
					if row, ok := table.Row(unlock.Key{Kind: unlock.KindCredential, ID: pin}); ok && table.N() >= n {
						require.Equal(t, unlock.CredentialRevoked, row.(*unlock.Credential).State, pin)
					}
				}
			})
		})
	}
}

func draw(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// gatewayKey is a public key that is unique to the step.
func gatewayKey(step int) string {
	raw := make([]byte, 33, 35)
	raw[0] = 20 << 3 // of a user
	binary.BigEndian.PutUint64(raw[1:], uint64(step))
	crc := uint16(0)
	for _, b := range raw {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			if crc <<= 1; carry {
				crc ^= 0x1021
			}
		}
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(binary.LittleEndian.AppendUint16(raw, crc))
}

// tables calls f with the table after each delta of a site.
func (b *bed) tables(org, site domain.ID, f func(*unlock.Table)) {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), streams.Permissions)
	require.NoError(b.t, err)
	last, err := stream.GetLastMsgForSubject(b.t.Context(), subject(org, site))
	require.NoError(b.t, err)
	reader := wire.NewSiteTable(wire.ID(org), wire.ID(site))
	require.NoError(b.t, each(b.t.Context(), b.js, subject(org, site), 1, last.Sequence, func(body []byte) error {
		d, err := reader.Take(body)
		if d != nil {
			f(reader.Table())
		}
		return err
	}))
}

// tagsFit checks that cards have no tag or one of the table's key.
func (b *bed) tagsFit(table *unlock.Table, numbers map[domain.ID]string) {
	b.t.Helper()
	key, err := b.vault.TagKey(b.t.Context(), "acme", "north", int(table.TagKey()))
	require.NoError(b.t, err)
	for r := range table.Rows(unlock.KindCredential) {
		c := r.(*unlock.Credential)
		number, known := numbers[domain.ID(c.ID)]
		if known && c.Tag != (unlock.Tag{}) {
			require.Equal(b.t, unlock.Tag(key.Tag("card", "raw", number)), c.Tag, "%s at %d", c.ID, table.N())
		}
	}
}
