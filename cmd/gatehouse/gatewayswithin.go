package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/cmd/gatehouse-gateway/program"
	"gatehouse/gateways/edge/identity"
	"gatehouse/gateways/httpapi"
)

// gatewayWithin is a lock gateway that runs within the service, by the same code as a box
// at the doors.
type gatewayWithin struct {
	s   *service
	dir string

	mu      sync.Mutex // guards the fields below
	id      string     // of the gateway; while it is not known, the name of its folder
	running *program.Gateway
	err     error // why it does not run
}

const (
	// gatewayPause is the time between two attempts to open a gateway: it may have yet to
	// enrol.
	gatewayPause = time.Second
	// gatewayLook is how long a gateway may take to say how it is.
	gatewayLook = 300 * time.Millisecond
)

// runGateways runs the gateways of this process until a stop, which ends them first.
func (s *service) runGateways() {
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, dir := range s.cfg.Gateways {
		g := &gatewayWithin{s: s, dir: dir, id: filepath.Base(dir)}
		s.within = append(s.within, g)
		running.Go(func() {
			for ctx.Err() == nil {
				_ = s.panics.Guard("gateway", "", "", func() { g.set(nil, g.run(ctx)) })
				select {
				case <-time.After(gatewayPause):
				case <-ctx.Done():
				}
			}
		})
	}
	s.onStop(func(context.Context) error { end(); running.Wait(); return nil })
}

// run opens the gateway and runs it until the context ends.
func (g *gatewayWithin) run(ctx context.Context) error {
	who, err := identity.Open(g.dir)
	if errors.Is(err, identity.ErrNone) {
		return fmt.Errorf("%w; then gatehouse gateway --dir %s --url %s --enroll CODE --enroll-only", err, g.dir, g.s.URL)
	}
	if err != nil {
		return err
	}
	connect := who.Connect
	if g.s.embedded != nil {
		connect = func(o ...nats.Option) (*nats.Conn, error) {
			return who.Connect(append(o, nats.InProcessServer(g.s.embedded))...)
		}
	}
	// Each gateway has its own label; and one that is opened again, its own counters.
	metrics := prometheus.NewRegistry()
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"gateway": string(who.Gateway)}, g.s.metrics)
	opened, err := program.Open(program.Place{Dir: g.dir, Who: who, Connect: connect, Metrics: metrics, Log: g.s.cfg.Log})
	if err != nil {
		return err
	}
	if err := labelled.Register(metrics); err != nil {
		return errors.Join(err, opened.Close())
	}
	defer labelled.Unregister(metrics)
	g.mu.Lock()
	g.id = string(who.Gateway)
	g.mu.Unlock()
	g.set(opened, nil)
	return errors.Join(opened.Run(ctx), opened.Close())
}

// set notes that the gateway runs, or why it does not.
func (g *gatewayWithin) set(running *program.Gateway, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil && (g.err == nil || g.err.Error() != err.Error()) {
		g.s.cfg.Log.Error("a gateway of this service does not run; it is tried again", "dir", g.dir, "error", err)
	}
	g.running, g.err = running, err
}

// gatewaysAmiss tells of the gateways of this process that do not decide as they should.
func (s *service) gatewaysAmiss() (out []httpapi.Trouble) {
	ctx, cancel := context.WithTimeout(context.Background(), gatewayLook)
	defer cancel()
	for _, g := range s.within {
		g.mu.Lock()
		id, running, err := g.id, g.running, g.err
		g.mu.Unlock()
		add := func(format string, args ...any) {
			out = append(out, httpapi.Trouble{Part: "gateway:" + id, Message: fmt.Sprintf(format, args...)})
		}
		if running == nil {
			if err != nil {
				add("its doors are not served: %v", err)
			} else {
				add("it starts")
			}
			continue
		}
		status := running.Status(ctx)
		for _, fault := range slices.Sorted(maps.Keys(status.Faults)) {
			add("%s: %s", fault, status.Faults[fault])
		}
		switch {
		case !status.Alive:
			add("it hangs")
		case !status.Leased:
			add("it has no lease: its doors are not decided by present permissions")
		}
	}
	return out
}
