// Package program runs a lock gateway as a program of its own: it reads flags and files,
// enrols, offers health and metrics, and holds no rule. The same program is a verb of
// gatehouse, for a demonstration on one machine.
package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gatehouse/gateways/drivers"
	"gatehouse/gateways/edge"
	"gatehouse/gateways/edge/identity"
	"gatehouse/gateways/mqtt"
)

// Options are the flags of the program.
type Options struct {
	Dir    string   `default:"." type:"path" env:"GATEHOUSE_GATEWAY_DIR" placeholder:"DIR" help:"Folder in which the gateway keeps its identity, permissions and records. Only one gateway can use it at a time."`
	File   string   `type:"path" placeholder:"FILE" help:"File with its doors and drivers. Default: gateway.json in the folder."`
	Enroll string   `placeholder:"CODE" env:"GATEHOUSE_ENROLL" help:"One-use code from RegisterGateway, or @FILE that holds it; the program waits for the file. It creates the identity of the gateway."`
	URL    string   `name:"url" env:"GATEHOUSE_URL" placeholder:"URL" help:"URL of the service; needed for --enroll only."`
	NATS   []string `name:"nats-url" env:"GATEHOUSE_GATEWAY_NATS_URL" placeholder:"URL" help:"Address of NATS, in place of those that the service told when the gateway enrolled, as tls://gatehouse.example.com:4222; may be given several times."`
	CA     string   `name:"ca" type:"existingfile" placeholder:"FILE" help:"Certificate authority (PEM) of the service and of NATS, if this machine does not know it; needed for --enroll only."`
	Only   bool     `name:"enroll-only" help:"End after --enroll."`
	Listen string   `default:"127.0.0.1:8090" placeholder:"ADDRESS" help:"Address of /healthz, /readyz and /metrics; default: none. They name doors and need no token: use it on this machine or in a closed network only."`
}

// Version is what the gateway tells the service of its software.
var Version = "gatehouse-gateway"

const (
	// memoryLimit is the size in bytes towards which the collector keeps the program: bases
	// are read with much that is dropped at once, on machines with little memory.
	memoryLimit = 90 << 20
	// collectAt is the growth of the live memory in percent after which it is collected.
	collectAt = 50
	// stopTime is how long open requests for health may take at the end.
	stopTime = 2 * time.Second
)

// Small keeps the program small, unless the environment says otherwise.
func Small() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// Run enrols if that is asked for, and runs the gateway until the context ends.
func (o *Options) Run(ctx context.Context, log *slog.Logger) error {
	who, err := o.identity(ctx, log)
	if err != nil || o.Only {
		return err
	}
	if len(o.NATS) > 0 {
		if err := who.Move(o.NATS); err != nil {
			return fmt.Errorf("--nats-url: %w", err)
		}
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g, err := Open(Place{Dir: o.Dir, File: o.File, Who: who, Connect: who.Connect, Metrics: reg, Log: log})
	if err != nil {
		return err
	}
	stop, err := o.offer(g.Gateway, reg, log)
	if err != nil {
		return errors.Join(err, g.Close())
	}
	err = g.Run(ctx)
	stop()
	return errors.Join(err, g.Close())
}

// Place is where a gateway is opened. Every field but File is required.
type Place struct {
	Dir     string // with its identity, its file and what it stores
	File    string // with its doors; default: gateway.json in Dir
	Who     *identity.Identity
	Connect func(...nats.Option) (*nats.Conn, error) // to the service
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Gateway is a gateway, with what shows its doors elsewhere.
type Gateway struct {
	*edge.Gateway
	home *mqtt.Home // nil: nothing does
}

// Open opens a gateway with the doors of its file.
func Open(p Place) (*Gateway, error) {
	if p.File == "" {
		p.File = filepath.Join(p.Dir, "gateway.json")
	}
	file, err := drivers.Read(p.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s; write one with the doors of the gateway, as docs/gateways.md says", p.File)
	}
	if err != nil {
		return nil, err
	}
	log := p.Log.With("org", p.Who.Org, "gateway", p.Who.Gateway)
	doors, err := file.Open(filepath.Join(p.Dir, "drivers"), time.Now, log)
	if err != nil {
		return nil, err
	}
	home, err := file.Home(log)
	if err != nil {
		return nil, err
	}
	cfg := edge.Config{Dir: p.Dir, Org: p.Who.Org, Site: p.Who.Site, ID: p.Who.Gateway, Key: p.Who.Key(), LogKey: p.Who.LogKey, Connect: p.Connect,
		Doors: doors, Policy: file.Policy(), Software: Version, Metrics: p.Metrics, Log: log}
	if home != nil {
		cfg.Recorded = home.Recorded
	}
	g, err := edge.Open(cfg)
	if err != nil {
		return nil, err
	}
	log.Info("the gateway runs", "site", p.Who.Site, "doors", len(doors), "dir", p.Dir)
	return &Gateway{g, home}, nil
}

// Run runs the gateway until the context ends, and beside it what shows its doors.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	var shown sync.WaitGroup
	if g.home != nil {
		shown.Go(func() { _ = g.Guard("home assistant", func() error { return g.home.Run(ctx) }) })
	}
	err := g.Gateway.Run(ctx)
	end()
	shown.Wait()
	return err
}

// identity opens the identity, or makes it by enrolling.
func (o *Options) identity(ctx context.Context, log *slog.Logger) (*identity.Identity, error) {
	if o.Enroll == "" {
		return identity.Open(o.Dir)
	}
	code, err := o.code(ctx, log)
	if err != nil {
		return nil, err
	}
	if code == "" {
		return identity.Open(o.Dir)
	}
	if o.URL == "" {
		return nil, errors.New("--enroll needs --url, the address of the service")
	}
	who, err := identity.Enrol(ctx, identity.Request{URL: o.URL, Code: code, Dir: o.Dir, CA: o.CA})
	if err == nil {
		log.Info("the gateway is enrolled", "org", who.Org, "site", who.Site, "gateway", who.Gateway)
	}
	return who, err
}

// codePause is how often a file with a code is looked for.
const codePause = 500 * time.Millisecond

// code is the code of the flag, or of the file that it names behind @. The file is waited
// for, as a box may start before its gateway is registered; a gateway that has an identity
// needs none, and the code is empty.
func (o *Options) code(ctx context.Context, log *slog.Logger) (string, error) {
	path, file := strings.CutPrefix(o.Enroll, "@")
	if !file {
		return o.Enroll, nil
	}
	for told := false; ; told = true {
		body, err := os.ReadFile(path)
		if !errors.Is(err, os.ErrNotExist) {
			return strings.TrimSpace(string(body)), err
		}
		if _, err := identity.Open(o.Dir); err == nil {
			return "", nil
		}
		if !told {
			log.Info("the gateway waits for a file with its code, which gatehouse do RegisterGateway gives", "file", path)
		}
		select {
		case <-time.After(codePause):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// offer serves health and metrics until stop is called.
func (o *Options) offer(g *edge.Gateway, reg *prometheus.Registry, log *slog.Logger) (stop func(), err error) {
	if o.Listen == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for /healthz on %s: %w", o.Listen, err)
	}
	server := &http.Server{Handler: Handler(g, reg), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health and metrics are not served any more", "error", err)
		}
	}()
	log.Info("health and metrics are served", "address", l.Addr().String())
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		_ = server.Shutdown(ctx)
		<-done
	}, nil
}
