package control

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
	"gatehouse/gateways/admission"
	"gatehouse/gateways/receipts"
	"gatehouse/projections/permissions"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// testLogKey signs permissions.
var testLogKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// bed is a ledger with the org acme. The gateway cabinet opens its door gate remotely,
// the gateway shed its door yard; olga works there.
type bed struct {
	t        *testing.T
	embedded *natsserver.Embedded
	vault    *vault.Vault
	key      nkeys.KeyPair // of the gateway cabinet
	ahead    atomic.Int64  // of the clock, in nanoseconds
	ids      atomic.Int64
	first    *instance
}

// instance is an instance of the service.
type instance struct {
	*bed
	store    *eventstore.Store
	control  *Control
	tables   *permissions.Projector
	receipts *receipts.Tracker
	conn     *nats.Conn
}

func newBed(t *testing.T) *bed {
	t.Helper()
	t.Parallel()
	b := &bed{t: t}
	dir := t.TempDir()
	var err error
	b.embedded, err = natsserver.Start(natsserver.Config{Dir: dir, Listen: "127.0.0.1:0", Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(b.embedded.Stop)
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	b.vault, err = vault.Open(t.Context(), dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.vault.Close()) })
	b.first = b.instance()
	b.admit(b.first)
	b.house()
	return b
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (b *bed) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// instance starts an instance until the test ends.
func (b *bed) instance() *instance {
	b.t.Helper()
	conn, err := b.embedded.Connect()
	require.NoError(b.t, err)
	b.t.Cleanup(conn.Close)
	reg := prometheus.NewRegistry()
	i := &instance{bed: b, conn: conn}
	i.store, err = eventstore.Open(b.t.Context(), eventstore.Config{Conn: conn, Embedded: b.embedded, Snapshots: b.t.TempDir(), Keys: b.vault, Vault: b.vault,
		Now: b.now, Log: quiet()}, eventstore.NewMetrics(reg))
	require.NoError(b.t, err)
	b.t.Cleanup(func() { assert.NoError(b.t, i.store.Close(context.Background())) })
	js, err := jetstream.New(conn)
	require.NoError(b.t, err)
	i.tables, err = permissions.New(b.t.Context(), permissions.Config{Store: i.store, JS: js, Keys: b.vault, LogKey: testLogKey, Metrics: reg, Now: b.now, Log: quiet()})
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = i.tables.Run(ctx) })
	i.receipts, err = receipts.New(receipts.Config{Conn: conn, Metrics: reg, Now: b.now, Log: quiet()})
	require.NoError(b.t, err)
	i.control = New(Config{Conn: conn, Store: i.store, Tables: i.tables, Receipts: i.receipts, Keys: b.vault, LogKey: testLogKey, Metrics: reg, Now: b.now, Log: quiet()})
	running.Go(func() { assert.NoError(b.t, i.control.Answer(ctx)) })
	b.t.Cleanup(func() {
		cancel()
		running.Wait()
		assert.NoError(b.t, i.control.Stop(context.Background()))
	})
	return i
}

// admit starts the admission of gateways.
func (b *bed) admit(i *instance) {
	system, err := b.embedded.ConnectSystem()
	require.NoError(b.t, err)
	b.t.Cleanup(system.Close)
	a, err := admission.New(admission.Config{Conn: i.conn, System: system, Issuer: b.embedded.Issuer, Gateways: natsserver.GatewaysAccount,
		Store: i.store, Metrics: prometheus.NewRegistry(), Now: time.Now, Log: quiet()})
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(b.t, a.Run(ctx)) })
	b.t.Cleanup(func() { cancel(); running.Wait() })
}

func (b *bed) house() {
	b.t.Helper()
	var err error
	b.key, err = nkeys.CreateUser()
	require.NoError(b.t, err)
	shed, err := nkeys.CreateUser()
	require.NoError(b.t, err)
	i := b.first
	i.execute(b.request(&domain.CreateOrg{Org: "acme", Name: "Acme", Owner: "olga"}))
	_, err = i.store.Execute(b.t.Context(), domain.SystemOrg, b.request(&domain.RegisterOrg{Org: "acme", Name: "Acme"}))
	require.NoError(b.t, err)
	i.execute(b.request(&domain.CreateSite{Site: "north", Name: "North", Zone: "Europe/Berlin"}))
	for gateway, key := range map[domain.ID]nkeys.KeyPair{"cabinet": b.key, "shed": shed} {
		public, err := key.PublicKey()
		require.NoError(b.t, err)
		i.execute(b.request(&domain.RegisterGateway{Gateway: gateway, Site: "north", PublicKey: domain.GatewayKey(public)}))
	}
	for door, gateway := range map[domain.ID]domain.ID{"gate": "cabinet", "yard": "shed"} {
		i.execute(b.request(&domain.CreateDoor{Door: door, Site: "north", Name: string(door), Kind: domain.DoorGate, Capabilities: []domain.DoorCapability{domain.CapabilityRemoteUnlock}}))
		i.execute(b.request(&domain.AssignDoorToGateway{Gateway: gateway, Door: door}))
	}
}

// request makes a request with an id of its own.
func (b *bed) request(fields any) eventstore.Request {
	req := eventstore.Request{ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprint("test/", b.ids.Add(1))), Fields: []any{fields},
		Command: fmt.Sprintf("%T", fields)[len("*domain."):], Actor: domain.PersonActor("olga")}
	if req.Command == "CreateOrg" || req.Command == "RegisterOrg" {
		req.Actor = domain.Actor{Kind: domain.ActorBootstrap}
	}
	return req
}

// open is a request for a remote unlock of a door.
func (b *bed) open(door domain.ID) eventstore.Request {
	return b.request(&domain.RemoteUnlock{Door: door})
}

// execute executes a command as the API does, but starts none of its orders.
func (i *instance) execute(req eventstore.Request) eventstore.Result {
	i.t.Helper()
	result, err := i.store.Execute(i.t.Context(), "acme", req)
	require.NoError(i.t, err)
	return result
}

// take executes a command as the API does, and returns the id of its remote unlock.
func (i *instance) take(req eventstore.Request) domain.ID {
	i.t.Helper()
	result := i.execute(req)
	i.control.Accepted("acme", req, result)
	return requested(i.t, result)
}

// requested is the id of the first remote unlock of a result.
func requested(t *testing.T, result eventstore.Result) domain.ID {
	t.Helper()
	require.NotEmpty(t, result.Events)
	e, err := result.Events[0].Decode()
	require.NoError(t, err)
	return e.(domain.RemoteUnlockRequested).Request
}

// outcome waits until a remote unlock has an outcome.
func (i *instance) outcome(id domain.ID) (outcome domain.UnlockOutcome, code domain.RefusalCode) {
	i.t.Helper()
	require.Eventually(i.t, func() bool {
		outcome, code = i.look(id)
		return outcome != ""
	}, time.Minute, time.Millisecond)
	return outcome, code
}

// look returns the present outcome.
func (i *instance) look(id domain.ID) (outcome domain.UnlockOutcome, code domain.RefusalCode) {
	require.NoError(i.t, i.store.View(i.t.Context(), "acme", func(s *domain.State, _ eventstore.Head) error {
		if r, ok := s.UnlockRequests.Get(id); ok {
			outcome, code = r.Outcome, r.Code
		}
		return nil
	}))
	return outcome, code
}

// outcomes counts the events with an outcome in the ledger.
func (i *instance) outcomes(id domain.ID) (n int) {
	require.NoError(i.t, i.store.Commits(i.t.Context(), "acme", 0, 0, func(c *schemas.Commit, _ []byte) error {
		for _, stored := range c.Events {
			switch e, err := stored.Decode(); e := e.(type) {
			case domain.RemoteUnlockExecuted:
				n += count(e.Request == id)
			case domain.RemoteUnlockFailed:
				n += count(e.Request == id)
			default:
				require.NoError(i.t, err)
			}
		}
		return nil
	}))
	return n
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// gateway is the gateway cabinet, as a client of NATS with the ticket that it received.
type gateway struct {
	t     *testing.T
	nc    *nats.Conn
	heard chan wire.Order
}

// ask sends a request and reads the answer; a refusal is an *wire.AskError.
func (g *gateway) ask(a wire.Ask, lines ...[]byte) (*wire.Answer, [][]byte, error) {
	g.t.Helper()
	body, err := wire.EncodeAsk(&a, lines)
	require.NoError(g.t, err)
	msg, err := g.nc.Request(wire.AskSubject("acme", "cabinet"), body, time.Minute)
	require.NoError(g.t, err)
	return wire.DecodeAnswer(msg.Data)
}

// gateway connects the gateway. It answers each order with the result of answer; a nil
// result sends no answer.
func (b *bed) gateway(answer func(wire.Order) []byte) *gateway {
	b.t.Helper()
	public, err := b.key.PublicKey()
	require.NoError(b.t, err)
	nc, err := nats.Connect(b.embedded.Server().ClientURL(), nats.Name("acme/cabinet"), nats.Nkey(public, b.key.Sign), nats.CustomInboxPrefix(wire.InboxPrefix("acme", "cabinet")))
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	g := &gateway{t: b.t, nc: nc, heard: make(chan wire.Order, 100)}
	_, err = nc.Subscribe(wire.OrderSubject("acme", "cabinet"), func(m *nats.Msg) {
		var order wire.Order
		assert.NoError(b.t, json.Unmarshal(m.Data, &order))
		if body := answer(order); body != nil {
			assert.NoError(b.t, m.Respond(body))
		}
		g.heard <- order
	})
	require.NoError(b.t, err)
	require.NoError(b.t, nc.Flush())
	return g
}

// opens answers that the door opened.
func opens(o wire.Order) []byte {
	return []byte(`{"id":"` + string(o.ID) + `","outcome":"executed"}`)
}

// silence answers nothing.
func silence(wire.Order) []byte { return nil }
