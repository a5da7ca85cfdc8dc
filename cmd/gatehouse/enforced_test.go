package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/edge"
	"gatehouse/schemas/wire"
)

// cable is the way from a gateway to the service, which tests cut.
type cable struct {
	mu    sync.Mutex // guards the fields below
	cut   bool
	conns []net.Conn
}

// Dial implements nats.CustomDialer.
func (c *cable) Dial(network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return nil, errors.New("the cable is cut")
	}
	conn, err := net.Dial(network, address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.conns = nil
	}
}

// reader is a device at which a test shows cards.
type reader struct {
	shown    chan driver.Event
	released chan struct{}
}

// Run implements driver.Driver.
func (r *reader) Run(ctx context.Context, report func(driver.Event)) error {
	for {
		select {
		case e := <-r.shown:
			report(e)
		case <-ctx.Done():
			return nil
		}
	}
}

// Do implements driver.Driver.
func (r *reader) Do(_ context.Context, _ wire.ID, c driver.Command) error {
	if c.Action == driver.Release {
		close(r.released)
	}
	return nil
}

// cutOff is a service with a gateway of its own, whose cable can be cut.
type cutOff struct {
	t *testing.T
	*service
	token string
	cable cable
	door  reader
}

func newCutOff(t *testing.T) *cutOff {
	t.Helper()
	alongside(t)
	cfg := testConfig(t)
	cfg.NATS.Listen = "127.0.0.1:0"
	c := &cutOff{t: t, service: serveIn(t, cfg), door: reader{make(chan driver.Event), make(chan struct{})}}
	owner := ownerOf(t, c.service, "acme")
	c.token = owner.Token
	key, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := key.PublicKey()
	require.NoError(t, err)
	for _, command := range [][2]string{
		{"CreateSite", `{"site":"north","name":"North","zone":"Europe/Berlin"}`},
		{"CreateDoor", `{"door":"gate","site":"north","name":"Gate","kind":"gate"}`},
		{"RegisterGateway", `{"gateway":"cabinet","site":"north","public_key":"` + public + `"}`},
		{"AssignDoorToGateway", `{"gateway":"cabinet","door":"gate"}`},
		{"RegisterPerson", `{"person":"kim","name":"Kim"}`},
		{"DefineAccessRight", `{"right":"all","name":"All","doors":["gate"],"schedule":"always"}`},
		{"GrantRight", `{"grant":"kims","person":"kim","right":"all"}`},
		{"AssignFob", `{"credential":"fob","person":"kim","sites":["north"],"number":"123456"}`},
	} {
		require.NoError(t, sends(t, owner, command[0], command[1]))
	}
	c.open(key)
	return c
}

// open starts the gateway.
func (c *cutOff) open(key nkeys.KeyPair) {
	c.t.Helper()
	public, err := key.PublicKey()
	require.NoError(c.t, err)
	g, err := edge.Open(edge.Config{Dir: c.t.TempDir(), Org: "acme", Site: "north", ID: "cabinet", Key: key, LogKey: c.logKey.Public().(ed25519.PublicKey),
		Connect: func(options ...nats.Option) (*nats.Conn, error) {
			return nats.Connect(c.embedded.Server().ClientURL(), append(options, nats.Name("acme/cabinet"), nats.Nkey(public, key.Sign),
				nats.CustomInboxPrefix(wire.InboxPrefix("acme", "cabinet")), nats.SetCustomDialer(&c.cable), nats.ReconnectWait(10*time.Millisecond))...)
		},
		Doors: map[wire.ID]edge.Door{"gate": {Driver: &c.door}}, Metrics: prometheus.NewRegistry(), Log: c.cfg.Log})
	require.NoError(c.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(c.t, g.Run(ctx)) })
	c.t.Cleanup(func() { cancel(); running.Wait(); assert.NoError(c.t, g.Close()) })
}

// do sends a command that waits until it is enforced, and returns what is said.
func (c *cutOff) do(timeout, key, name string, fields ...string) string {
	c.t.Helper()
	var stdout bytes.Buffer
	do := doCmd{Remote: remote{URL: c.URL, Token: c.token}, Name: name, Fields: fields, Wait: "enforced", Timeout: timeout, IdempotencyKey: key}
	require.NoError(c.t, do.Run(&world{ctx: c.t.Context(), stdout: &stdout, stderr: c.t.Output()}))
	return stdout.String()
}

// get asks a question, and reads the answer.
func (c *cutOff) get(answer any, what string, filters ...string) {
	c.t.Helper()
	var stdout bytes.Buffer
	get := getCmd{Remote: remote{URL: c.URL, Token: c.token, JSON: true}, What: what, Filters: filters}
	require.NoError(c.t, get.Run(&world{ctx: c.t.Context(), stdout: &stdout, stderr: c.t.Output()}))
	require.NoError(c.t, json.Unmarshal(stdout.Bytes(), answer))
}

// A command waits for a gateway, and tells that one lacks it which is cut off. The card that
// it let in meanwhile is marked when it is back.
func TestARevocationIsFollowedToTheDoor(t *testing.T) {
	c := newCutOff(t)
	assert.Contains(t, c.do("30s", "", "DisableDoor", "door=gate"), "every gateway enforces it\n")
	assert.Contains(t, c.do("30s", "", "EnableDoor", "door=gate"), "every gateway enforces it\n")

	c.cable.set(true)
	said := c.do("1s", "revoke", "RevokeRight", "grant=kims")
	assert.Contains(t, said, "not enforced yet by gateway cabinet (")
	assert.Contains(t, said, "doors may open as before, until ")
	var person struct {
		Doors []struct{ Door, Gateway string }
	}
	c.get(&person, "enforcement", "person=kim")
	require.Len(t, person.Doors, 1)
	assert.Equal(t, "gate", person.Doors[0].Door)
	c.door.shown <- driver.Event{Kind: driver.Read, Door: "gate", Side: unlock.In, At: time.Now(), Method: wire.MethodFob, Shown: driver.Shown{Number: "123456"}}
	<-c.door.released

	c.cable.set(false)
	assert.Contains(t, c.do("30s", "revoke", "RevokeRight", "grant=kims"), "every gateway enforces it\n", "a retry waits too")
	var site struct {
		Items []struct{ ID, State, Enforced string }
	}
	c.get(&site, "enforcement", "site=north")
	require.Len(t, site.Items, 1)
	assert.Equal(t, "current", site.Items[0].State)
	c.get(&person, "enforcement", "person=kim")
	assert.Empty(t, person.Doors)
	require.Eventually(t, func() bool { return c.stale(t) == 1 }, patience, 10*time.Millisecond)
}

// stale counts the marks of stale grants at the site.
func (c *cutOff) stale(t *testing.T) (n int) {
	t.Helper()
	families, err := c.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "gatehouse_stale_grants_total" {
			n += int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return n
}
