package edge

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
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
	"gatehouse/gateways/control"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/receipts"
	"gatehouse/projections/permissions"
	"gatehouse/schemas/wire"
)

// testLogKey signs permissions.
var testLogKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// bed is a service with the org acme and its site north, where olga works. The gateway
// cabinet opens the door gate, and kim has the card 123456 and a right to it.
type bed struct {
	t        *testing.T
	embedded *natsserver.Embedded
	vault    *vault.Vault
	store    *eventstore.Store
	tables   *permissions.Projector
	receipts *receipts.Tracker
	control  *control.Control
	key      nkeys.KeyPair // of the gateway cabinet
	dir      string        // of that gateway
	ids      atomic.Int64
	stop     func() // ends the service's answers
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func newBed(t *testing.T) *bed {
	t.Helper()
	t.Parallel()
	dir, err := os.MkdirTemp("", "gatehouse-edge-")
	require.NoError(t, err)
	// The server may still write a file when it says that it is shut.
	t.Cleanup(func() {
		assert.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, time.Minute, 10*time.Millisecond)
	})
	return bedIn(t, dir)
}

// bedIn makes a service of what a directory holds, or a new one there.
func bedIn(t *testing.T, dir string) *bed {
	t.Helper()
	var err error
	b := &bed{t: t, dir: t.TempDir(), key: keyIn(t, dir)}
	b.embedded, err = natsserver.Start(natsserver.Config{Dir: dir, Listen: "127.0.0.1:0", Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(b.embedded.Stop)
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	b.vault, err = vault.Open(t.Context(), dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.vault.Close()) })
	b.serve()
	made := filepath.Join(dir, "made")
	if _, err := os.Stat(made); err != nil {
		b.house()
		require.NoError(t, os.WriteFile(made, nil, 0o600))
	}
	return b
}

// keyIn is the key of the gateway of the service in a directory.
func keyIn(t *testing.T, dir string) nkeys.KeyPair {
	t.Helper()
	path := filepath.Join(dir, "cabinet.seed")
	seed, err := os.ReadFile(path)
	if err == nil {
		key, err := nkeys.FromSeed(seed)
		require.NoError(t, err)
		return key
	}
	key, err := nkeys.CreateUser()
	require.NoError(t, err)
	seed, err = key.Seed()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, seed, 0o600))
	return key
}

// serve starts what answers gateways.
func (b *bed) serve() {
	t := b.t
	conn, err := b.embedded.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	reg := prometheus.NewRegistry()
	b.store, err = eventstore.Open(t.Context(), eventstore.Config{Conn: conn, Embedded: b.embedded, Snapshots: t.TempDir(), Keys: b.vault, Vault: b.vault,
		Now: time.Now, Log: quiet()}, eventstore.NewMetrics(reg))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.store.Close(context.Background())) })
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	b.tables, err = permissions.New(t.Context(), permissions.Config{Store: b.store, JS: js, Keys: b.vault, LogKey: testLogKey, Metrics: reg, Now: time.Now, Log: quiet()})
	require.NoError(t, err)
	b.receipts, err = receipts.New(receipts.Config{Conn: conn, Metrics: reg, Now: time.Now, Log: quiet()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.tables.Run(ctx) })
	b.control = control.New(control.Config{Conn: conn, Store: b.store, Tables: b.tables, Receipts: b.receipts, Keys: b.vault, LogKey: testLogKey,
		Metrics: reg, Now: time.Now, Log: quiet()})
	answering, end := context.WithCancel(ctx)
	var answers sync.WaitGroup
	answers.Go(func() { assert.NoError(t, b.control.Answer(answering)) })
	b.stop = func() { end(); answers.Wait() }
	system, err := b.embedded.ConnectSystem()
	require.NoError(t, err)
	t.Cleanup(system.Close)
	a, err := admission.New(admission.Config{Conn: conn, System: system, Issuer: b.embedded.Issuer, Gateways: natsserver.GatewaysAccount,
		Store: b.store, Metrics: prometheus.NewRegistry(), Now: time.Now, Log: quiet()})
	require.NoError(t, err)
	running.Go(func() { assert.NoError(t, a.Run(ctx)) })
	t.Cleanup(func() {
		b.stop()
		cancel()
		running.Wait()
		assert.NoError(t, b.control.Stop(context.Background()))
	})
}

func (b *bed) house() {
	t := b.t
	b.do(&domain.CreateOrg{Org: "acme", Name: "Acme", Owner: "olga"})
	_, err := b.store.Execute(t.Context(), domain.SystemOrg, b.request(&domain.RegisterOrg{Org: "acme", Name: "Acme"}))
	require.NoError(t, err)
	b.do(&domain.CreateSite{Site: "north", Name: "North", Zone: "Europe/Berlin"})
	public, err := b.key.PublicKey()
	require.NoError(t, err)
	b.do(&domain.RegisterGateway{Gateway: "cabinet", Site: "north", PublicKey: domain.GatewayKey(public)})
	b.do(&domain.CreateDoor{Door: "gate", Site: "north", Name: "Gate", Kind: domain.DoorGate, Capabilities: []domain.DoorCapability{domain.CapabilityRemoteUnlock}})
	b.do(&domain.AssignDoorToGateway{Gateway: "cabinet", Door: "gate"})
	b.do(&domain.RegisterPerson{Person: "kim", Name: domain.Clear("Kim")})
	b.do(&domain.DefineAccessRight{Right: "all", Name: "All", Doors: []domain.ID{"gate"}, Schedule: "always"})
	b.do(&domain.AssignRole{Person: "kim", Role: domain.RoleStaff, Site: "north"})
	b.do(&domain.GrantRight{Grant: "kims", Person: "kim", Right: "all"})
	b.do(&domain.AssignFob{Credential: "fob", Person: "kim", Sites: []domain.ID{"north"}, Number: domain.Clear("123456")})
}

func (b *bed) request(fields any) eventstore.Request {
	req := eventstore.Request{ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprint("test/", b.ids.Add(1))), Fields: []any{fields},
		Command: fmt.Sprintf("%T", fields)[len("*domain."):], Actor: domain.PersonActor("olga")}
	if req.Command == "CreateOrg" || req.Command == "RegisterOrg" {
		req.Actor = domain.Actor{Kind: domain.ActorBootstrap}
	}
	return req
}

// do executes a command.
func (b *bed) do(fields any) eventstore.Result {
	b.t.Helper()
	req := b.request(fields)
	result, err := b.store.Execute(b.t.Context(), "acme", req)
	require.NoError(b.t, err)
	b.control.Accepted("acme", req, result)
	return result
}

// device plays the devices of a gateway's doors.
type device struct {
	mu       sync.Mutex
	commands []driver.Command
	fails    error
	report   chan driver.Event
}

func newDevice() *device { return &device{report: make(chan driver.Event)} }

func (d *device) Run(ctx context.Context, report func(driver.Event)) error {
	for {
		select {
		case e := <-d.report:
			report(e)
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *device) Do(_ context.Context, _ wire.ID, c driver.Command) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails == nil {
		d.commands = append(d.commands, c)
	}
	return d.fails
}

// did counts the commands of an action.
func (d *device) did(a driver.Action) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.commands {
		if c.Action == a {
			n++
		}
	}
	return n
}

// show shows a fob at the gate.
func (d *device) show(number string) {
	d.report <- driver.Event{Kind: driver.Read, Door: "gate", Method: wire.MethodFob, Shown: driver.Shown{Number: number}}
}

// gateway is the gateway cabinet while it runs.
type gateway struct {
	*Gateway
	device *device
	stop   func() // and store everything
}

func (b *bed) config(d *device) Config {
	public, err := b.key.PublicKey()
	require.NoError(b.t, err)
	return Config{Dir: b.dir, Org: "acme", Site: "north", ID: "cabinet", Key: b.key, LogKey: testLogKey.Public().(ed25519.PublicKey), Log: quiet(),
		Doors: map[wire.ID]Door{"gate": {Driver: d, Settings: DoorSettings{Sensor: true}}},
		Connect: func(o ...nats.Option) (*nats.Conn, error) {
			return nats.Connect(b.embedded.Server().ClientURL(), append(o, nats.Name("acme/cabinet"), nats.Nkey(public, b.key.Sign),
				nats.CustomInboxPrefix(wire.InboxPrefix("acme", "cabinet")), nats.ReconnectWait(10*time.Millisecond))...)
		}}
}

// gateway runs the gateway until it is stopped or the test ends.
func (b *bed) gateway(change ...func(*Config)) *gateway {
	b.t.Helper()
	d := newDevice()
	cfg := b.config(d)
	for _, f := range change {
		f(&cfg)
	}
	g, err := Open(cfg)
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(b.t, g.Run(ctx)) })
	out := &gateway{Gateway: g, device: d}
	out.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		assert.NoError(b.t, g.Close())
	})
	b.t.Cleanup(out.stop)
	return out
}

// current waits until the gateway has a table and a lease from now on.
func (g *gateway) current(t *testing.T) {
	t.Helper()
	began := time.Now()
	require.Eventually(t, func() bool {
		s := g.Status(t.Context())
		return s.Position != "" && !s.Current.Before(began)
	}, time.Minute, 5*time.Millisecond)
}

// records reads the stored records of the gateway, of some types.
func (b *bed) records(types ...wire.ActivityType) (all []*wire.Activity) {
	b.t.Helper()
	_, err := b.store.Activity(b.t.Context(), "acme", "north", "cabinet", func(a *wire.Activity) error {
		for _, t := range types {
			if a.Type == t {
				all = append(all, a)
			}
		}
		return nil
	})
	require.NoError(b.t, err)
	return all
}

// waitRecords waits until there are as many stored records of a type.
func (b *bed) waitRecords(n int, types ...wire.ActivityType) (all []*wire.Activity) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		all = b.records(types...)
		return len(all) >= n
	}, time.Minute, 5*time.Millisecond)
	require.Len(b.t, all, n)
	return all
}
