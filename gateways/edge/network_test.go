package edge

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// cable is the way between a gateway and the server, of which either direction can be cut:
// what is sent then is lost without anybody being told.
type cable struct {
	listener  net.Listener
	up, down  atomic.Bool // cut
	mu        sync.Mutex
	conns     []net.Conn
	server    string
	transfers sync.WaitGroup
}

func newCable(t *testing.T, server string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{listener: l, server: strings.TrimPrefix(server, "nats://")}
	c.transfers.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", c.server)
			if err != nil {
				_ = near.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, near, far)
			c.mu.Unlock()
			c.transfers.Go(func() { carry(far, near, &c.up) })
			c.transfers.Go(func() { carry(near, far, &c.down) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.pull()
		c.transfers.Wait()
	})
	return c
}

// pull ends the connections.
func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func carry(to, from net.Conn, cut *atomic.Bool) {
	defer func() { _ = errors.Join(to.Close(), from.Close()) }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !cut.Load() {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// through makes a gateway connect over the cable.
func (c *cable) through(cfg *Config) {
	connect := cfg.Connect
	cfg.Connect = func(o ...nats.Option) (*nats.Conn, error) {
		return connect(append(o, func(n *nats.Options) error {
			n.Url, n.Servers = "nats://"+c.listener.Addr().String(), nil
			return nil
		})...)
	}
}

// A gateway that cannot know of a revocation lets the person in while its lease lasts.
// It does so not an instant longer, and learns of it when the cable is whole again.
func TestALeaseBoundsARevocationWhicheverWayTheCableIsCut(t *testing.T) {
	for name, way := range map[string]struct{ up, down bool }{
		"both ways": {true, true}, "to the gateway alone": {false, true}, "from the gateway alone": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			c := newCable(t, b.embedded.Server().ClientURL())
			m := &sharedMachine{m: newMachine()}
			g := b.gateway(func(cfg *Config) { cfg.Clocks = m.clocks() }, c.through)
			g.current(t)
			c.up.Store(way.up)
			c.down.Store(way.down)
			r := b.do(&domain.RevokeRight{Grant: "kims"})
			if !way.down { // it is told of the revocation, though nobody hears it
				require.Eventually(t, func() bool { return g.Status(t.Context()).Position == r.Position.String() }, time.Minute, time.Millisecond)
				g.device.show("123456")
				require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
				assert.Zero(t, g.device.did(driver.Release))
				return
			}
			g.device.show("123456")
			require.Eventually(t, func() bool { return g.device.did(driver.Release) == 1 }, time.Minute, time.Millisecond)
			end := g.clock.state().Current.Add(15 * time.Minute)
			m.pass(end.Sub(g.clock.now().at) - time.Millisecond)
			g.device.show("123456")
			require.Eventually(t, func() bool { return g.device.did(driver.Release) == 2 }, time.Minute, time.Millisecond)
			m.pass(time.Millisecond)
			g.device.show("123456")
			require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
			c.up.Store(false)
			c.down.Store(false)
			c.pull()
			denied := b.waitRecords(1, wire.AccessDenied)
			assert.Equal(t, "deny_lease_ended", denied[0].Code)
			assert.Len(t, b.records(wire.AccessGranted), 2)
		})
	}
}

// A crowd of gateways loses its server at once and comes back.
func TestACrowdOfGatewaysComesBackAtOnce(t *testing.T) {
	crowd := 8
	if os.Getenv("GATEHOUSE_LONG") != "" {
		crowd = 100
	}
	b := newBed(t)
	c := newCable(t, b.embedded.Server().ClientURL())
	var all []*gateway
	for i := range crowd {
		key, err := nkeys.CreateUser()
		require.NoError(t, err)
		public, err := key.PublicKey()
		require.NoError(t, err)
		id := wire.ID(fmt.Sprintf("gateway-%d", i))
		b.do(&domain.RegisterGateway{Gateway: domain.ID(id), Site: "north", PublicKey: domain.GatewayKey(public)})
		all = append(all, b.gateway(func(cfg *Config) {
			cfg.ID, cfg.Key, cfg.Dir = id, key, filepath.Join(t.TempDir(), string(id))
			cfg.Connect = func(o ...nats.Option) (*nats.Conn, error) {
				return nats.Connect("nats://"+c.listener.Addr().String(), append(o, nats.Name("acme/"+string(id)), nats.Nkey(public, key.Sign),
					nats.CustomInboxPrefix(wire.InboxPrefix("acme", id)), nats.ReconnectWait(10*time.Millisecond))...)
			}
		}))
	}
	for _, change := range []any{&domain.SetPosture{Door: "gate", Posture: domain.PostureUnlocked}, &domain.ClearPosture{Door: "gate"},
		&domain.SuspendPerson{Person: "kim"}} {
		r := b.do(change)
		for _, g := range all {
			g.enforces(t, r)
		}
		c.pull()
	}
}
