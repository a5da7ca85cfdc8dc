// Package propagation measures how long it takes from a command to its being enforced at
// lock gateways, beside the same hops bare: a request over HTTP, two publishes that are
// durable when they are acknowledged, and a message to every gateway. Both alternate in
// one run, for the machine may be busy with something else.
package propagation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/edge"
	"gatehouse/schemas/wire"
)

// Service is the running service that is measured. Nobody else uses its org meanwhile.
type Service struct {
	Client  *client.Client // as the owner of the org
	Org     wire.ID
	NATSURL string // where gateways connect
	LogKey  []byte // public, of permissions
	Dir     string // for the files of the gateways
	BareDir string // for those of the bare server, on the disk of the service
}

// Times are quantiles in milliseconds.
type Times struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// Result is what one number of gateways came to.
type Result struct {
	Gateways int   `json:"gateways"`
	Rounds   int   `json:"rounds"`
	Enforced Times `json:"enforced"` // by the last of the gateways
	Bare     Times `json:"bare"`
	// Ratio is that of the two p99.
	Ratio float64 `json:"ratio_p99"`
}

const (
	// Rounds is how many commands are measured for each number of gateways.
	Rounds = 300
	// MaxGateways is how many gateways one process can play.
	MaxGateways = 500
	warmUp      = 20 // rounds that do not count
	patience    = 30 * time.Second
)

// Site is the site of the gateways. Its person, who is suspended and reinstated, has a
// grant at every door.
const (
	Site   = "bench"
	person = "sam"
)

// run is one measurement.
type run struct {
	Service
	gateways []*gateway
	enforced chan struct{} // one value for each gateway that has reached wanted
	wanted   atomic.Uint64
}

// gateway is one of the gateways while it runs.
type gateway struct {
	run  *run
	seen atomic.Uint64 // wanted position that it has told
}

// Prepare makes the site of the measurement, once.
func (s Service) Prepare(ctx context.Context) error {
	for _, c := range []struct {
		name string
		body map[string]any
	}{
		{"CreateSite", map[string]any{"site": Site, "name": "Bench", "zone": "Europe/Berlin"}},
		{"RegisterPerson", map[string]any{"person": person, "name": "Sam"}},
		{"CreateDoor", map[string]any{"door": "bench-0", "site": Site, "name": "Bench 0", "kind": "gate"}},
		{"DefineAccessRight", map[string]any{"right": "bench", "name": "Bench", "doors": []string{"bench-0"}, "schedule": "always"}},
		{"AssignRole", map[string]any{"person": person, "role": "staff", "site": Site}},
		{"GrantRight", map[string]any{"person": person, "right": "bench"}},
	} {
		if _, err := s.command(ctx, c.name, c.body); err != nil {
			return err
		}
	}
	return nil
}

// command sends a command, and returns the number of its commit.
func (s Service) command(ctx context.Context, name string, body map[string]any) (uint64, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Position wire.Position `json:"position"`
	}
	err = s.Client.Ask(ctx, client.Request{Method: http.MethodPost, Path: "/v1/orgs/" + url.PathEscape(string(s.Org)) + "/commands/" + name, Body: text}, &answer)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return answer.Position.N, nil
}

// Measure measures with a number of gateways, which it registers and runs.
func (s Service) Measure(ctx context.Context, gateways, rounds int) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{Service: s, enforced: make(chan struct{}, gateways)}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range gateways {
		if err := r.start(ctx, &running, gateways, i); err != nil {
			return Result{}, err
		}
	}
	bare, err := newBare(ctx, s.BareDir, gateways)
	if err != nil {
		return Result{}, err
	}
	defer bare.close()
	var ours, floor []time.Duration
	for i := range rounds + warmUp {
		took, err := r.round(ctx, i%2 == 0)
		if err != nil {
			return Result{}, err
		}
		without, err := bare.round(ctx)
		if err != nil {
			return Result{}, err
		}
		if i >= warmUp {
			ours, floor = append(ours, took), append(floor, without)
		}
	}
	out := Result{Gateways: gateways, Rounds: rounds, Enforced: timesOf(ours), Bare: timesOf(floor)}
	out.Ratio = out.Enforced.P99 / out.Bare.P99
	return out, nil
}

// round sends one command and waits until every gateway enforces it.
func (r *run) round(ctx context.Context, suspend bool) (time.Duration, error) {
	name := "ReinstatePerson"
	body := map[string]any{"person": person}
	if suspend {
		name = "SuspendPerson"
	}
	began := time.Now()
	// The position is known once the answer is here, and gateways may be faster: any
	// change is that of this command, for nothing else changes the rows.
	before := r.wanted.Add(1)
	n, err := r.command(ctx, name, body)
	if err != nil {
		return 0, err
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for range r.gateways {
		select {
		case <-r.enforced:
		case <-timeout.C:
			return 0, fmt.Errorf("gateways do not enforce commit %d after %s (round %d)", n, patience, before)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return time.Since(began), nil
}

// start registers a gateway with a door and runs it.
func (r *run) start(ctx context.Context, running *sync.WaitGroup, of, i int) error {
	key, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	public, err := key.PublicKey()
	if err != nil {
		return err
	}
	id := wire.ID(fmt.Sprintf("bench-%d-%d", of, i))
	door := "door-" + string(id)
	for _, c := range []struct {
		name string
		body map[string]any
	}{
		{"RegisterGateway", map[string]any{"gateway": id, "site": Site, "public_key": public}},
		{"CreateDoor", map[string]any{"door": door, "site": Site, "name": "Door", "kind": "gate"}},
		{"AssignDoorToGateway", map[string]any{"gateway": id, "door": door}},
	} {
		if _, err := r.command(ctx, c.name, c.body); err != nil {
			return err
		}
	}
	g := &gateway{run: r}
	r.gateways = append(r.gateways, g)
	current := make(chan struct{}, 1)
	e, err := edge.Open(edge.Config{Dir: filepath.Join(r.Dir, string(id)), Org: r.Org, Site: Site, ID: id, Key: key, LogKey: r.LogKey,
		Doors: map[wire.ID]edge.Door{wire.ID(door): {Driver: idle{}}}, Software: "bench", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Connect: func(o ...nats.Option) (*nats.Conn, error) {
			return nats.Connect(r.NATSURL, append(o, nats.Name(string(r.Org)+"/"+string(id)), nats.Nkey(public, key.Sign), nats.CustomInboxPrefix(wire.InboxPrefix(r.Org, id)))...)
		},
		Applied: func(wire.PermissionHead) {
			select {
			case current <- struct{}{}:
			default:
			}
			g.applied()
		}})
	if err != nil {
		return err
	}
	running.Go(func() {
		_ = e.Run(ctx)
		_ = e.Close()
	})
	select {
	case <-current:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("gateway %s has no permissions after %s", id, patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// applied tells the round that waits, once.
func (g *gateway) applied() {
	wanted := g.run.wanted.Load()
	if wanted > 0 && g.seen.Swap(wanted) != wanted {
		g.run.enforced <- struct{}{}
	}
}

// idle is a driver without devices.
type idle struct{}

// Run waits.
func (idle) Run(ctx context.Context, _ func(driver.Event)) error { <-ctx.Done(); return nil }

// Do does nothing.
func (idle) Do(context.Context, wire.ID, driver.Command) error { return nil }

func timesOf(all []time.Duration) Times {
	slices.Sort(all)
	at := func(percent int) float64 {
		return float64(all[min(len(all)-1, len(all)*percent/100)].Microseconds()) / 1000
	}
	return Times{P50: at(50), P99: at(99), Max: at(100)}
}

// TempDir makes a directory for the files of the gateways, in memory where the machine has
// such a place: each real gateway has a disk of its own.
func TempDir() (string, error) {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		if dir, err := os.MkdirTemp(memory, "gatehouse-bench-"); err == nil {
			return dir, nil
		}
	}
	return os.MkdirTemp("", "gatehouse-bench-")
}
