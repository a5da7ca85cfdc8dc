package admission

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
)

func TestAGatewayIsToldOfItsOwnSite(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		i, _ := b.instance()
		keys := i.house("acme", "gw-1")
		nc, err := b.dial("acme/gw-1", keys["gw-1"])
		require.NoError(t, err)
		told, err := nc.SubscribeSync("tables.acme.north")
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
		b.eventually("the gateway is told", func() bool {
			require.NoError(t, i.conn.Publish("tables.acme.south", []byte("of another site")))
			require.NoError(t, i.conn.Publish("tables.acme.north", []byte("changed")))
			m, err := told.NextMsg(time.Second)
			return err == nil && assert.Equal(t, "changed", string(m.Data))
		})
	})
}

// Nothing that a gateway sends reaches a stream, whatever reply subject and headers
// it bears: no batch, no guard, no acknowledgement to a ledger.
func TestNothingOfAGatewayReachesAStream(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		i, _ := b.instance()
		keys := i.house("acme", "gw-1", "gw-2")
		nc, err := b.dial("acme/gw-1", keys["gw-1"])
		require.NoError(t, err)
		js, err := jetstream.New(i.conn)
		require.NoError(t, err)
		names := []string{streams.Ledger, streams.Permissions, streams.Refusals, streams.Activity}
		last := func() (all []uint64) {
			for _, name := range names {
				stream, err := js.Stream(t.Context(), name)
				require.NoError(t, err)
				all = append(all, stream.CachedInfo().State.LastSeq)
			}
			return all
		}
		_, err = i.conn.Subscribe("control.*.*.ask", func(m *nats.Msg) { assert.NoError(t, m.Respond([]byte("heard"))) })
		require.NoError(t, err)
		require.NoError(t, i.conn.Flush())
		before := last()
		for _, subject := range []string{"control.acme.gw-1.ask", "activity.acme.north.gw-1"} {
			for _, reply := range []string{eventstore.Subject("acme"), "permissions.acme.north", "refusals.acme", "activity.acme.north.gw-2", "$JS.API.STREAM.PURGE.ACTIVITY"} {
				m := nats.NewMsg(subject)
				m.Reply, m.Data = reply, []byte("{}")
				m.Header.Set("Nats-Batch-Id", "endless")
				m.Header.Set("Nats-Batch-Sequence", "1")
				m.Header.Set("Nats-Expected-Last-Subject-Sequence-Subject", eventstore.Subject("acme"))
				require.NoError(t, nc.PublishMsg(m))
			}
		}
		b.eventually("what was sent before is heard", func() bool {
			answer, err := nc.Request("control.acme.gw-1.ask", []byte("{}"), time.Second)
			return err == nil && string(answer.Data) == "heard"
		})
		assert.Equal(t, before, last())
		i.send("acme", &domain.RenameSite{Site: "north", Name: "Far north"})
	})
}

func TestQuestionsAndOrdersPassBetweenTheAccounts(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		i, _ := b.instance()
		keys := i.house("acme", "gw-1")
		nc, err := b.dial("acme/gw-1", keys["gw-1"])
		require.NoError(t, err)
		answering := func(nc *nats.Conn, subject, answer string) {
			_, err := nc.Subscribe(subject, func(m *nats.Msg) { assert.NoError(t, m.Respond([]byte(answer))) })
			require.NoError(t, err)
			require.NoError(t, nc.Flush())
		}
		answering(i.conn, "control.*.*.ask", "hello")
		answering(nc, "control.acme.gw-1.do", "done")
		b.eventually("the service is asked", func() bool {
			m, err := nc.Request("control.acme.gw-1.ask", nil, time.Second)
			return err == nil && string(m.Data) == "hello"
		})
		b.eventually("the gateway is told", func() bool {
			m, err := i.conn.Request("control.acme.gw-1.do", nil, time.Second)
			return err == nil && string(m.Data) == "done"
		})
		_, err = i.conn.Request("control.acme.gw-9.do", nil, patience)
		require.ErrorIs(t, err, nats.ErrNoResponders, "nobody hears: that is known at once")
	})
}

func TestNobodyAnswersForAnotherGateway(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		i, _ := b.instance()
		keys := i.house("acme", "gw-1", "gw-2")
		one, err := b.dial("acme/gw-1", keys["gw-1"])
		require.NoError(t, err)
		two, err := b.dial("acme/gw-2", keys["gw-2"])
		require.NoError(t, err)
		orders, err := one.SubscribeSync("control.acme.gw-1.do")
		require.NoError(t, err)
		require.NoError(t, one.Flush())
		answered := make(chan string, 1)
		b.eventually("the gateway is told", func() bool {
			inbox := i.conn.NewInbox()
			sub, err := i.conn.SubscribeSync(inbox)
			require.NoError(t, err)
			require.NoError(t, i.conn.PublishRequest("control.acme.gw-1.do", inbox, []byte("open")))
			order, err := orders.NextMsg(time.Second)
			if err != nil {
				return false
			}
			require.NotEqual(t, inbox, order.Reply, "a gateway does not learn where the service listens")
			for _, reply := range []string{order.Reply, inbox} {
				require.NoError(t, two.Publish(reply, []byte("from another")))
				require.NoError(t, two.Flush())
				require.ErrorContains(t, two.LastError(), `Publish to "`+reply+`"`)
			}
			require.NoError(t, two.Flush())
			require.NoError(t, order.Respond([]byte("from itself")))
			answer, err := sub.NextMsg(5 * time.Second)
			require.NoError(t, err)
			answered <- string(answer.Data)
			return true
		})
		assert.Equal(t, "from itself", <-answered)
	})
}

func TestWhoIsRefused(t *testing.T) {
	t.Parallel()
	b := newEmbedded(t)
	i, _ := b.instance()
	keys := i.house("acme", "gw-1", "gw-2")
	i.house("other")
	i.send("other", &domain.RegisterGateway{Gateway: "gw-1", Site: "north", PublicKey: domain.GatewayKey(public(t, keys["gw-1"]))})
	stranger := pair(t, nkeys.CreateUser)
	refused := func(why, name string, key nkeys.KeyPair, options ...nats.Option) {
		t.Helper()
		before := i.refused(why)
		_, err := b.dial(name, key, options...)
		require.ErrorIs(t, err, nats.ErrAuthorization, why)
		assert.Equal(t, before+1, i.refused(why), why)
	}
	refused("unknown_gateway", "acme/gw-9", stranger)
	refused("unknown_gateway", "nowhere/gw-1", keys["gw-1"])
	refused("other_key", "acme/gw-1", stranger)
	refused("other_key", "acme/gw-2", keys["gw-1"])
	refused("no_gateway", "gw-1", keys["gw-1"])
	refused("wrong_signature", "acme/gw-1", keys["gw-1"], func(o *nats.Options) error {
		o.SignatureCB = stranger.Sign
		return nil
	})
	i.send("acme", &domain.RetireGateway{Gateway: "gw-2", Reason: domain.GatewayStolen})
	refused("retired", "acme/gw-2", keys["gw-2"])
	i.send("acme", &domain.RotateGatewayKey{Gateway: "gw-1", PublicKey: domain.GatewayKey(public(t, stranger))})
	refused("other_key", "acme/gw-1", keys["gw-1"])
	_, err := b.dial("acme/gw-1", stranger)
	require.NoError(t, err)
}

func TestARetiredGatewayIsCutOff(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		i, _ := b.instance()
		keys := i.house("acme", "gw-1", "gw-2", "gw-3")
		conns := map[domain.ID]*nats.Conn{}
		for id, key := range keys {
			nc, err := b.dial("acme/"+string(id), key)
			require.NoError(t, err)
			conns[id] = nc
		}
		publishes := func(id domain.ID) bool {
			return conns[id].Publish("control.acme."+string(id)+".ask", nil) == nil && conns[id].FlushTimeout(patience) == nil
		}
		for id := range keys {
			require.True(t, publishes(id))
		}
		i.send("acme", &domain.RetireGateway{Gateway: "gw-1", Reason: domain.GatewayStolen})
		i.send("acme", &domain.RotateGatewayKey{Gateway: "gw-2", PublicKey: domain.GatewayKey(public(t, pair(t, nkeys.CreateUser)))})
		b.eventually("they are cut off", func() bool { return conns["gw-1"].IsClosed() && conns["gw-2"].IsClosed() })
		assert.True(t, publishes("gw-3"))
	})
}

func TestAGatewayHasFewConnections(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		i, _ := b.instance()
		keys := i.house("acme", "gw-1", "gw-2")
		other, err := b.dial("acme/gw-2", keys["gw-2"])
		require.NoError(t, err)
		conns := make([]*nats.Conn, maxConnections+2)
		for n := range conns {
			conns[n], err = b.dial("acme/gw-1", keys["gw-1"])
			require.NoError(t, err)
		}
		open := func() (n int) {
			for _, nc := range conns {
				if !nc.IsClosed() {
					n++
				}
			}
			return n
		}
		b.eventually("those above the limit are ended", func() bool { return open() == maxConnections })
		require.NoError(t, i.admission.sweep(t.Context()))
		assert.Equal(t, maxConnections, open())
		assert.False(t, conns[len(conns)-1].IsClosed(), "the newest stays")
		assert.False(t, other.IsClosed())
	})
}

func TestConnectionsBetweenTwoLooksAreBounded(t *testing.T) {
	t.Parallel()
	var c crowd
	one, two := gatewayName{"acme", "gw-1"}, gatewayName{"other", "gw-1"}
	for n := range maxBetweenLooks {
		ok, look := c.enter(one)
		assert.True(t, ok)
		assert.Equal(t, n >= maxConnections, look, n)
	}
	ok, look := c.enter(one)
	assert.False(t, ok)
	assert.True(t, look)
	ok, _ = c.enter(two)
	assert.True(t, ok, "of another org")
	c.begin()
	ok, look = c.enter(one)
	assert.True(t, ok && !look, "a look that fails shuts nobody out")
	c.counted(map[gatewayName]int{one: maxConnections})
	ok, look = c.enter(one)
	assert.True(t, ok && look)
}

func TestInstancesStandInForEachOther(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		one, stopOne := b.instance()
		keys := one.house("acme", "gw-1", "gw-2")
		two, stopTwo := b.instance()
		admitted := func() {
			t.Helper()
			for range 4 {
				nc, err := b.dial("acme/gw-1", keys["gw-1"])
				require.NoError(t, err)
				nc.Close()
			}
		}
		admitted()
		one.house("later", "gw-1") // an org that the other has not seen yet
		stopOne()
		nc, err := b.dial("acme/gw-2", keys["gw-2"])
		require.NoError(t, err)
		admitted()
		two.send("acme", &domain.RetireGateway{Gateway: "gw-1", Reason: domain.GatewayBroken})
		_, err = b.dial("acme/gw-1", keys["gw-1"])
		require.ErrorIs(t, err, nats.ErrAuthorization)

		stopTwo()
		_, err = b.dial("acme/gw-2", keys["gw-2"], nats.Timeout(time.Second))
		require.Error(t, err, "nobody new gets in")
		require.NoError(t, nc.FlushTimeout(patience), "who is in stays")
		b.instance()
		b.eventually("the next instance admits", func() bool {
			_, err := b.dial("acme/gw-2", keys["gw-2"])
			return err == nil
		})
	})
}

func TestAnOrgOfAnotherInstanceIsLoaded(t *testing.T) {
	t.Parallel()
	b := newEmbedded(t)
	one, stopOne := b.instance()
	b.instance()
	keys := one.house("acme", "gw-1")
	stopOne()
	nc, err := b.dial("acme/gw-1", keys["gw-1"])
	require.NoError(t, err)
	nc.Close()
}

// An instance is always a little behind what another one commits. A gateway that
// connects as soon as it is registered, or has a new key, is admitted all the same.
func TestAnInstanceThatIsBehindTurnsNobodyAway(t *testing.T) {
	t.Parallel()
	b := newEmbedded(t)
	one, stopOne := b.instance()
	b.instance()
	stopOne()
	for n := range 20 {
		org := domain.ID(fmt.Sprint("org-", n))
		keys := one.house(org, "gw-1")
		nc, err := b.dial(string(org)+"/gw-1", keys["gw-1"])
		require.NoError(t, err, "registered")
		nc.Close()
		key := pair(t, nkeys.CreateUser)
		one.send(org, &domain.RotateGatewayKey{Gateway: "gw-1", PublicKey: domain.GatewayKey(public(t, key))})
		nc, err = b.dial(string(org)+"/gw-1", key)
		require.NoError(t, err, "with a new key")
		nc.Close()
	}
}

func TestTheKeyThatSignsIsOneOfAnAccount(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Issuer: pair(t, nkeys.CreateUser)})
	require.ErrorContains(t, err, "the seed of an account")
}

func TestTheServerWithinTheProcessTakesNobodyElse(t *testing.T) {
	t.Parallel()
	b := newEmbedded(t)
	b.instance()
	for name, option := range map[string]nats.Option{"nobody": nats.Name("x"), "password": nats.UserInfo("sys", "sys"), "token": nats.Token("s3cret")} {
		_, err := nats.Connect(b.servers[0].ClientURL(), option, nats.NoReconnect(), nats.Timeout(time.Minute))
		assert.ErrorIs(t, err, nats.ErrAuthorization, name)
	}
}
