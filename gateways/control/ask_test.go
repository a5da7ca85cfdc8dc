package control

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// code is the code of a refusal.
func code(err error) wire.AskCode {
	refused, ok := errors.AsType[*wire.AskError](err)
	if !ok {
		return ""
	}
	return refused.Code
}

// wrote makes records of the gateway cabinet from a counter on.
func wrote(t *testing.T, from, n int, prev wire.Hash) (bodies [][]byte, last wire.Hash) {
	t.Helper()
	for k := from; k < from+n; k++ {
		at := time.Unix(int64(1_700_000_000+k), 0).UTC()
		a := wire.Activity{Gateway: "cabinet", Boot: 1, K: uint64(k), Prev: prev, Type: wire.AccessGranted, At: at, RecordedAt: at, Door: "gate"}
		body, err := a.Encode()
		require.NoError(t, err)
		bodies, prev = append(bodies, body), wire.HashOf(body)
	}
	return bodies, prev
}

// follow brings a table up to date by asking, from its head on.
func (g *gateway) follow(table *wire.SiteTable) *wire.SiteTable {
	g.t.Helper()
	ask := wire.Ask{Type: wire.AskTable, Epoch: table.Head().Epoch, N: table.Head().N, Digest: table.Head().Digest}
	var base wire.BaseReader
	for basing := false; ; {
		answer, messages, err := g.ask(ask)
		require.NoError(g.t, err)
		if answer.Base {
			table, basing = wire.NewSiteTable("acme", "north"), true
			table.Verify(testLogKey.Public().(ed25519.PublicKey))
		}
		for _, m := range messages {
			if whole, err := base.Take(m); basing && err == nil && whole {
				table, err = base.SiteTable("acme", "north", testLogKey.Public().(ed25519.PublicKey))
				require.NoError(g.t, err)
				continue
			}
			_, err := table.Take(m)
			require.NoError(g.t, err)
		}
		if ask.Page = answer.Page; ask.Page == "" {
			return table
		}
	}
}

func leaseFor(table *wire.SiteTable) wire.Ask {
	return wire.Ask{Type: wire.AskLease, Epoch: table.Head().Epoch, N: table.Head().N, Digest: table.Head().Digest}
}

// lease asks for a lease until the service is ready to answer.
func (g *gateway) lease(table *wire.SiteTable) *wire.Answer {
	g.t.Helper()
	var answer *wire.Answer
	require.Eventually(g.t, func() (ok bool) {
		var err error
		answer, _, err = g.ask(leaseFor(table))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return answer
}

func TestAGatewaySendsItsRecordsOverItsControlSubject(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	hello, _, err := g.ask(wire.Ask{Type: wire.AskHello})
	require.NoError(t, err)
	assert.Equal(t, wire.ID("north"), hello.Site)
	assert.Equal(t, &wire.RecordsEnd{}, hello.Records)
	assert.WithinDuration(t, b.now(), hello.Time, time.Minute)

	thousand, last := wrote(t, 1, 1000, wire.Hash{})
	answer, _, err := g.ask(wire.Ask{Type: wire.AskRecords}, thousand...)
	require.NoError(t, err)
	assert.Equal(t, &wire.RecordsEnd{K: 1000, Boot: 1, Prev: last}, answer.Records)
	answer, _, err = g.ask(wire.Ask{Type: wire.AskRecords}, thousand[500:]...)
	require.NoError(t, err, "sent again, as its answer was lost")
	assert.EqualValues(t, 1000, answer.Records.K)

	other, _ := wrote(t, 1001, 2, wire.Hash{1})
	answer, _, err = g.ask(wire.Ask{Type: wire.AskRecords}, other...)
	assert.Equal(t, wire.AskForked, code(err))
	assert.EqualValues(t, 1000, answer.Records.K, "a refusal tells where the records end")
	_, _, err = g.ask(wire.Ask{Type: wire.AskRecords}, []byte(`{"gateway":"shed"}`))
	assert.Equal(t, wire.AskMalformed, code(err))

	hello, _, err = g.ask(wire.Ask{Type: wire.AskHello})
	require.NoError(t, err)
	assert.Equal(t, &wire.RecordsEnd{K: 1000, Boot: 1, Prev: last}, hello.Records)
	n := 0
	_, err = b.first.store.Activity(t.Context(), "acme", "north", "cabinet", func(*wire.Activity) error { n++; return nil })
	require.NoError(t, err)
	assert.Equal(t, 1000, n)
}

func TestAFastGatewayIsToldToWait(t *testing.T) {
	b := newBed(t)
	stands := b.now()
	b.first.control.cfg.Now = func() time.Time { return stands } // no budget grows
	g := b.gateway(silence)
	for range asksAtOnce {
		_, _, err := g.ask(wire.Ask{Type: wire.AskHello})
		require.NoError(t, err)
	}
	answer, _, err := g.ask(wire.Ask{Type: wire.AskHello})
	require.Equal(t, wire.AskTooFast, code(err))
	assert.NotZero(t, answer.Error.RetryMS)
}

// Requests of a gateway beyond its share wait for nothing, so they take no place of others.
func TestAGatewayThatFloodsTakesNoPlaceOfAnother(t *testing.T) {
	b := newBed(t)
	waiting := make(chan *question, asksWaiting)
	ask := func(gateway wire.ID) { b.first.control.take(nats.NewMsg(wire.AskSubject("acme", gateway)), waiting) }
	for range asksWaiting {
		ask("cabinet")
	}
	assert.Len(t, waiting, perGateway)
	ask("shed")
	assert.Len(t, waiting, perGateway+1)
}

func TestAGatewayFollowsItsSiteByTellingAndAsking(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	table := wire.NewSiteTable("acme", "north")
	answer := g.lease(table)
	assert.False(t, answer.Current)
	table = g.follow(table)
	answer = g.lease(table)
	require.True(t, answer.Current)
	assert.True(t, table.Signed())
	assert.Equal(t, table.Head().N, answer.N)

	told, err := g.nc.SubscribeSync(wire.TableSubject("acme", "north"))
	require.NoError(t, err)
	require.NoError(t, g.nc.Flush())
	stale := table.Head()
	commit := b.first.execute(b.request(&domain.DisableDoor{Door: "gate"}))
	answer = g.lease(wire.ResumeSiteTable("acme", "north", table.Table(), stale))
	assert.False(t, answer.Current, "a lease is answered by the ledger's head, not by what was published before")
	assert.True(t, answer.Since.Equal(commit.At), "it ran out when the first change that it lacks was committed")
	msg, err := told.NextMsg(time.Minute)
	require.NoError(t, err)
	_, err = table.Take(msg.Data)
	require.NoError(t, err)
	assert.True(t, table.Signed())
	assert.True(t, g.lease(table).Current)
	door, ok := table.Table().Row(unlock.Key{Kind: unlock.KindDoor, ID: "gate"})
	require.True(t, ok)
	assert.False(t, door.(*unlock.Door).Enabled)
	assert.Equal(t, table.Head(), g.follow(wire.ResumeSiteTable("acme", "north", nil, wire.PermissionHead{})).Head(), "from nothing on")
}

// A page has at most half a megabyte, and a gateway of long ago begins with the base.
func TestAGatewayCatchesUpByPages(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	first := g.follow(wire.NewSiteTable("acme", "north"))
	for i := range 30 {
		var people []any
		for j := range 200 {
			people = append(people, &domain.RegisterPerson{Person: domain.ID(fmt.Sprintf("p-%d-%d", i, j)), Name: domain.Clear("Ana")})
		}
		req := b.request(&domain.RegisterPerson{})
		req.Fields = people
		b.first.execute(req)
		b.first.execute(b.request(&domain.DisableDoor{Door: "gate"}))
		b.first.execute(b.request(&domain.EnableDoor{Door: "gate"}))
	}
	require.Eventually(t, func() bool { // the last commits may not be published yet
		first = g.follow(first)
		return g.lease(first).Current
	}, time.Minute, time.Millisecond)
	require.True(t, g.lease(g.follow(wire.NewSiteTable("acme", "north"))).Current)
	_, _, err := g.ask(wire.Ask{Type: wire.AskTable, Page: "base-ffff"})
	assert.Equal(t, wire.AskMalformed, code(err))
	_, _, err = g.ask(wire.Ask{Type: wire.AskTable, Page: "../x"})
	assert.Equal(t, wire.AskMalformed, code(err))
}

// tagOf makes a tag as a gateway does: HMAC-SHA-256 over each text behind its length.
func tagOf(key []byte, texts ...string) [16]byte {
	mac := hmac.New(sha256.New, key)
	for _, s := range texts {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		mac.Write([]byte(s))
	}
	return [16]byte(mac.Sum(nil))
}

func TestTheKeyOfTagsIsSealedToTheGateway(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	box, err := nkeys.CreateCurveKeys()
	require.NoError(t, err)
	public, err := box.PublicKey()
	require.NoError(t, err)
	ask := wire.Ask{Type: wire.AskKey, Version: 1, Box: public}
	sign := func(key nkeys.KeyPair) wire.Ask {
		a := ask
		a.Proof, err = key.Sign(wire.KeyStatement("acme", "cabinet", a.Version, a.Box))
		require.NoError(t, err)
		return a
	}
	answer, _, err := g.ask(sign(b.key))
	require.NoError(t, err)
	secret, err := box.Open(answer.Key, answer.From)
	require.NoError(t, err)
	assert.Len(t, secret, 32)
	want, err := b.vault.TagKey(t.Context(), "acme", "north", 1)
	require.NoError(t, err)
	assert.Equal(t, want.Tag("card", "raw", "4711"), tagOf(secret, "card", "raw", "4711"), "the gateway makes the same tags")

	other, err := nkeys.CreateUser()
	require.NoError(t, err)
	_, _, err = g.ask(sign(other))
	assert.Equal(t, wire.AskMalformed, code(err))
	for _, version := range []uint32{0, 2, 1 << 31} { // one to come would outlive a theft
		ask.Version = version
		_, _, err = g.ask(sign(b.key))
		assert.Equal(t, wire.AskNoKey, code(err), version)
	}
	ask.Version, ask.Box = 1, "XNOKEY"
	_, _, err = g.ask(sign(b.key))
	assert.Equal(t, wire.AskMalformed, code(err))
}

func TestARetiredGatewayIsAnsweredNothing(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	_, _, err := g.ask(wire.Ask{Type: wire.AskHello})
	require.NoError(t, err)
	b.first.execute(b.request(&domain.RetireGateway{Gateway: "cabinet", Reason: domain.GatewayStolen}))
	body, err := wire.EncodeAsk(&wire.Ask{Type: wire.AskHello}, nil)
	require.NoError(t, err)
	msg, err := b.first.conn.Request(wire.AskSubject("acme", "cabinet"), body, time.Minute) // it is being cut off
	require.NoError(t, err)
	_, _, err = wire.DecodeAnswer(msg.Data)
	assert.Equal(t, wire.AskNotYours, code(err))
}

func TestARequestThatNobodyKnowsIsRefused(t *testing.T) {
	b := newBed(t)
	g := b.gateway(silence)
	_, _, err := g.ask(wire.Ask{Type: "firmware"})
	assert.Equal(t, wire.AskUnknown, code(err))
	for _, body := range []string{"", "x", "[]", "{}\n\n\n", `{"type":"hello"`} {
		msg, err := g.nc.Request(wire.AskSubject("acme", "cabinet"), []byte(body), time.Minute)
		require.NoError(t, err)
		_, _, err = wire.DecodeAnswer(msg.Data)
		assert.Contains(t, []wire.AskCode{wire.AskMalformed, wire.AskUnknown}, code(err), body)
	}
	require.NoError(t, g.nc.PublishMsg(nats.NewMsg(wire.AskSubject("acme", "cabinet"))), "without a reply subject")
	_, _, err = g.ask(wire.Ask{Type: wire.AskHello})
	require.NoError(t, err)
}
