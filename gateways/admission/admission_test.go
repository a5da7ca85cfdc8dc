package admission

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

func TestAGatewayPublishesItsOwnActivity(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		i, _ := b.instance()
		keys := i.house("acme", "gw-1", "gw-2")
		nc, err := b.dial("acme/gw-1", keys["gw-1"])
		require.NoError(t, err)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		ack, err := js.Publish(t.Context(), "activity.acme.north.gw-1", []byte("{}"))
		require.NoError(t, err)
		assert.Equal(t, uint64(1), ack.Sequence)
	})
}

func TestWhoIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
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
	})
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
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := conns[id].RequestWithContext(ctx, "activity.acme.north."+string(id), []byte("{}"))
			return err == nil
		}
		for id := range keys {
			require.True(t, publishes(id))
		}
		i.send("acme", &domain.RetireGateway{Gateway: "gw-1", Reason: domain.GatewayStolen})
		i.send("acme", &domain.RotateGatewayKey{Gateway: "gw-2", PublicKey: domain.GatewayKey(public(t, pair(t, nkeys.CreateUser)))})
		b.eventually("they are cut off", func() bool { return !publishes("gw-1") && !publishes("gw-2") })
		assert.True(t, publishes("gw-3"))
	})
}
