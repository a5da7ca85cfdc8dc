package edge

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"gatehouse/durable"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/edge/seal"
	"gatehouse/schemas/wire"
)

// Config configures a Gateway.
type Config struct {
	Dir           string // in which it keeps everything; one gateway alone may use it
	Org, Site, ID wire.ID
	Key           nkeys.KeyPair     // its identity
	LogKey        ed25519.PublicKey // signs permissions
	// Connect connects to the service with further options.
	Connect func(...nats.Option) (*nats.Conn, error)
	Doors   map[wire.ID]Door
	Policy  Policy
	// Applied is optional: it is called with each table once that is decided by.
	Applied func(wire.PermissionHead)
	// Recorded is optional: it is called with each record once that is kept. It must neither
	// wait nor change the record.
	Recorded func(*wire.Activity)
	// Software tells people what runs here.
	Software string
	Clocks   Clocks // of the machine; the zero value for the real ones
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// Door is a door that the gateway opens.
type Door struct {
	Driver   driver.Driver
	Settings DoorSettings
}

// Policy is what an operator decides of one gateway.
type Policy struct {
	// TagKeyInMemory keeps the key of tags off the disk. No card and no PIN opens then after
	// a power cut that takes the network too.
	TagKeyInMemory bool
	// TPM is the device, or the socket, of the TPM that seals the key of tags on the disk.
	// Empty: the one of this machine, if there is one that opens; none: it is not sealed.
	TPM string
	// Strict makes each record durable before its door opens. Otherwise it is within
	// 100 ms, and a power cut in between loses it.
	Strict bool
	// OpenUnrecorded opens doors also when a full or broken disk keeps no record.
	OpenUnrecorded bool
}

// pagesASecond bounds how fast pages of records and permissions are asked for.
const pagesASecond, pagesAtOnce = 5, 30

// MaxDoors is how many doors one gateway opens at most.
const MaxDoors = 256

// A Gateway is a lock gateway. Make it with [Open], run it with [Gateway.Run].
type Gateway struct {
	cfg     Config
	ctx     context.Context // of Run
	cancel  context.CancelFunc
	lock    *os.File
	seen    wire.Position // of the table that was in force before the start
	clock   *clock
	tables  *tables
	tags    *tags
	outbox  *Outbox
	engine  *engine
	codes   *codes
	metrics *metrics

	offered   atomic.Pointer[view] // a table of a later epoch that is not accepted yet
	clone     atomic.Bool          // another box has the identity of this one
	connected chan struct{}        // the connection was made again
	swapped   chan struct{}        // there is another table, for the engine
	changed   chan struct{}        // and for the lease
	behind    chan behind          // the table is not the present one
	pages     *rate.Limiter        // of requests for pages
	line      atomic.Pointer[line] // the connection of now
	resumed   chan struct{}        // the service has told where the records end
	status    status
}

// stored is what of a gateway outlives a start, beside table, records and local state.
type stored struct {
	Clock clockState `json:"clock"`
	Epoch uint64     `json:"epoch"` // of the last table in force
	N     uint64     `json:"n"`
}

func (g *Gateway) path(name string) string { return filepath.Join(g.cfg.Dir, name) }

// Open opens a gateway: what it stored, as far as it is whole. It reaches for nothing
// outside of its directory.
func Open(cfg Config) (*Gateway, error) {
	if len(cfg.Doors) > MaxDoors {
		return nil, fmt.Errorf("edge: %d doors, at most %d are served by one gateway", len(cfg.Doors), MaxDoors)
	}
	g := &Gateway{cfg: cfg, connected: make(chan struct{}, 1), swapped: make(chan struct{}, 1), resumed: make(chan struct{}, 1),
		changed: make(chan struct{}, 1), behind: make(chan behind, 1), pages: rate.NewLimiter(pagesASecond, pagesAtOnce)}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.line.Store(newLine())
	err := os.MkdirAll(cfg.Dir, 0o700)
	if err == nil {
		g.lock, err = lockDir(g.path("lock"))
	}
	if err == nil {
		err = g.open()
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Gateway) open() error {
	s, err := g.readStored()
	if err != nil {
		g.cfg.Log.Error("what the gateway stored of its state cannot be read", "error", err)
	}
	g.clock = newClock(g.cfg.Clocks, s.Clock)
	g.outbox = openOutboxAnyhow(g.path("outbox"), g.cfg.ID, func() time.Time { return g.clock.now().at })
	g.seen = wire.Position{Epoch: s.Epoch, N: s.N}
	if last, err := wire.ParsePosition(g.outbox.decided); err == nil && g.seen.Before(last) {
		g.seen = last // it is stored now and then, and each decision with its record
	}
	g.tables, err = openTables(g.path("table"), g.cfg.Org, g.cfg.Site, g.cfg.LogKey, g.seen)
	if _, damaged := errors.AsType[*damagedTable](err); err != nil && !damaged {
		return err
	} else if damaged {
		g.cfg.Log.Error("the stored permissions are not used; doors stay shut until the service gives others", "error", err)
	}
	keyPath := g.path("tag.key")
	if g.cfg.Policy.TagKeyInMemory {
		if err := os.RemoveAll(keyPath); err != nil {
			return err
		}
		keyPath = ""
	}
	if g.tags, err = openTags(keyPath, seal.Find(g.cfg.Policy.TPM)); err != nil {
		g.cfg.Log.Error("the stored key of tags is not used", "error", err)
	}
	if g.codes, err = openCodes(g.path("codes.json")); err != nil {
		g.cfg.Log.Error("the codes in devices are read back", "error", err)
	}
	g.metrics = newMetrics(g.cfg.Metrics, g)
	g.engine, err = newEngine(g)
	return err
}

// readStored reads what was stored. Of what cannot be read nothing is used: then there is
// no lease.
func (g *Gateway) readStored() (s stored, err error) {
	body, err := os.ReadFile(g.path("state.json"))
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		return stored{}, err
	}
	return s, nil
}

// store stores the state.
func (g *Gateway) store() error {
	head := g.latest()
	body, err := json.Marshal(stored{Clock: g.clock.state(), Epoch: head.Epoch, N: head.N})
	if err == nil {
		err = durable.Replace(g.path("state.json"), body)
	}
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

// latest is the position of the latest table that was in force here. It outlives the table.
func (g *Gateway) latest() wire.Position {
	if v := g.tables.view.Load(); v != nil {
		return v.head.Position()
	}
	return g.seen
}

// headOf is the head of the table; zero without one.
func (v *view) headOf() wire.PermissionHead {
	if v == nil {
		return wire.PermissionHead{}
	}
	return v.head
}

// Run serves the doors until the context ends: also without the service, by what is stored.
func (g *Gateway) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, g.cancel)()
	nc, err := g.cfg.Connect(nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ConnectHandler(func(*nats.Conn) { signal(g.connected) }),
		nats.ReconnectHandler(func(*nats.Conn) { signal(g.connected) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { g.disconnected(err) }))
	if err != nil {
		return fmt.Errorf("edge: connect to the service: %w", err)
	}
	defer nc.Close()
	orders, err := g.listen(nc)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	var failed [4]error
	g.codes.keepers = g.newKeepers(nc)
	for _, k := range g.codes.keepers {
		running.Go(func() { _ = g.Guard("codes", func() error { return k.run(g.ctx) }) })
	}
	running.Go(func() { failed[0] = g.Guard("lease", func() error { return newLeaser(g, nc).run(g.ctx) }) })
	running.Go(func() { failed[3] = g.Guard("follower", func() error { return newFollower(g, nc).run(g.ctx) }) })
	running.Go(func() { failed[1] = g.Guard("upload", func() error { return g.upload(g.ctx, nc) }) })
	running.Go(func() { failed[2] = g.Guard("engine", func() error { return g.engine.run(g.ctx, orders) }) })
	for _, d := range g.drivers() {
		running.Go(func() { _ = g.Guard("driver", func() error { return g.drive(g.ctx, d) }) })
	}
	running.Wait()
	return errors.Join(failed[:]...)
}

// drivers lists the drivers of the doors, each once, in the order of the doors.
func (g *Gateway) drivers() (all []driver.Driver) {
	for _, id := range slices.Sorted(maps.Keys(g.cfg.Doors)) {
		if d := g.cfg.Doors[id].Driver; !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

// drive runs a driver, again after each failure: the doors of the others go on.
func (g *Gateway) drive(ctx context.Context, d driver.Driver) error {
	for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, time.Minute) {
		err := d.Run(ctx, func(e driver.Event) {
			if e.Kind == driver.Fire {
				g.engine.fire(e.Door)
			}
			select {
			case g.engine.events <- e:
			case <-ctx.Done():
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		g.cfg.Log.Error("a driver ended; it is started again", "driver", fmt.Sprintf("%T", d), "error", err, "wait_ms", wait.Milliseconds())
		pause(ctx, wait)
	}
	return nil
}

// Guard runs a function of the gateway until it returns. After a panic it is run again, a
// second later, unless the gateway stops.
func (g *Gateway) Guard(what string, f func() error) error {
	for {
		panicked, err := g.try(what, f)
		if !panicked || g.ctx.Err() != nil {
			return err
		}
		pause(g.ctx, time.Second)
	}
}

// try runs a function and reports whether it panicked, which it logs.
func (g *Gateway) try(what string, f func() error) (panicked bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.metrics.panics.Inc()
			g.cfg.Log.Error("a part of the gateway panicked", "part", what, "panic", p, "stack", string(debug.Stack()))
			panicked, err = true, fmt.Errorf("edge: %s panicked: %v", what, p)
		}
	}()
	return false, f()
}

// pause waits, at most until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// signal makes a channel of capacity 1 have a value.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close stores everything and closes the gateway. Run has ended, or never began.
func (g *Gateway) Close() error {
	g.cancel()
	var failed []error
	if g.engine != nil {
		failed = append(failed, g.engine.save())
	}
	if g.outbox != nil {
		failed = append(failed, g.outbox.Close())
	}
	if g.tables != nil && g.tables.journal != nil {
		failed = append(failed, g.tables.close())
	}
	if g.lock != nil {
		failed = append(failed, g.lock.Close())
	}
	return errors.Join(failed...)
}
