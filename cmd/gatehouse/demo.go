package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/local"
)

// demoCmd shows a self-storage site in fast motion.
type demoCmd struct {
	For    time.Duration `placeholder:"DURATION" help:"End after this time of fast motion, as 10s; without it, with Ctrl-C."`
	Listen string        `default:"127.0.0.1:0" placeholder:"ADDR" help:"Address of the HTTP API; port 0 takes a free one."`
	Speed  time.Duration `default:"3h" placeholder:"DURATION" help:"How much of the site's time passes in a second, 1m to 24h."`
	Seed   uint64        `default:"1" help:"Another number gives other people and other days."`
	JSON   bool          `name:"json" help:"Write every line as JSON."`
}

// Help tells what is real and what is not.
func (demoCmd) Help() string {
	return `The service is the one of gatehouse serve, with a data directory that is removed at the
end: every command is decided and durable, every door is decided on the permissions that
follow, and what happened there is recorded. Only the people and the clock are made up.
Not every passage is shown, all are counted. The last line is one line of JSON:

  {"commands":…,"commits":…,"unlocks":{"allowed":…,"denied":{CODE:…}},"onsite":…,"decision_ns":{"p50":…,"p99":…}}

commands are those that the people of the demo sent and the ledger took; commits are all of
the ledger, with those that the service sent because time had made them due.

Examples:

  gatehouse demo
  gatehouse demo --for 10s --speed 6h
  gatehouse demo --for 10s --json | tail -1`
}

// summary is the last line of the demo.
type summary struct {
	Commands   uint64        `json:"commands"`
	Commits    uint64        `json:"commits"`
	Unlocks    unlockCount   `json:"unlocks"`
	OnSite     int           `json:"onsite"`
	DecisionNS decisionTimes `json:"decision_ns"`
}

type unlockCount struct {
	Allowed uint64            `json:"allowed"`
	Denied  map[string]uint64 `json:"denied"` // by code
}

// decisionTimes are in nanoseconds, of single decisions.
type decisionTimes struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
}

// Run plays the demo and writes what it came to.
func (c *demoCmd) Run(w *world) (err error) {
	if c.Speed < time.Minute || c.Speed > 24*time.Hour {
		return usage("--speed %s: it is 1m to 24h of the site's time for a second", c.Speed)
	}
	// A reader that goes away ends the demo in good order, its directory with it.
	signal.Ignore(syscall.SIGPIPE)
	d, err := c.start(w)
	switch {
	case err != nil && w.ctx.Err() != nil:
		return nil // there is nothing to tell yet, and nothing is left behind
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	err = d.show(w.ctx, c.For, c.Speed)
	if err == nil {
		var total summary
		if total, err = d.summary(); err == nil {
			err = w.print(total, true)
		}
	}
	if errors.Is(err, syscall.EPIPE) {
		return nil // the reader of the output has gone
	}
	return err
}

// show builds the site and lets its days pass, until the context ends or the demo
// has lasted long enough.
func (d *demo) show(ctx context.Context, lasts, speed time.Duration) error {
	if err := d.build(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if lasts > 0 {
		limited, cancel := context.WithTimeout(ctx, lasts)
		defer cancel()
		ctx = limited
	}
	return d.play(ctx, speed)
}

// demo is a running demo. One goroutine alone uses it, but for the clock.
type demo struct {
	service *service
	dir     string
	clock   *demoClock
	zone    *schedule.Zone
	random  *mathrand.Rand
	feed    *feed
	agenda  agenda
	house   house
	doors   *demoDoors
	space   domain.UUID // of the ids of commands

	sent     uint64 // commands, for their ids
	accepted uint64 // of those
	position uint64 // of the last commit that the feed has told
}

// The org and the site of the demo.
const (
	demoOrg   domain.ID = "harbour"
	demoSite  domain.ID = "quay"
	demoZone            = "Europe/Berlin"
	demoStart           = 6 * 60 // minutes of the first day
)

// start starts a service on a directory of its own, makes the org and opens the
// gateway.
func (c *demoCmd) start(w *world) (_ *demo, err error) {
	d := &demo{random: mathrand.New(mathrand.NewPCG(c.Seed, 0)), feed: newFeed(w.stdout, c.JSON),
		space: domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("gatehouse/demo/%d", c.Seed))}
	rules, err := schedule.LoadRules(demoZone)
	if err != nil {
		return nil, err
	}
	d.zone = rules.Compile()
	d.feed.zone = d.zone
	today := d.zone.Local(schedule.Nanos(w.now())).Date
	d.clock = newDemoClock(time.Unix(0, d.zone.Instant(schedule.DateTime{Date: today, Time: demoStart})))
	if d.dir, err = os.MkdirTemp("", "gatehouse-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop())
		}
	}()
	if err := d.serve(w, c.Listen); err != nil {
		return nil, err
	}
	org, err := d.makeOrg(w.ctx)
	if err != nil {
		return nil, err
	}
	w.say("The API is at %s until the demo ends; its owner's token lets you look around:\n\n  export GATEHOUSE_URL=%s GATEHOUSE_ORG=%s GATEHOUSE_SITE=%s GATEHOUSE_TOKEN=%s\n",
		d.service.URL, d.service.URL, demoOrg, demoSite, org.Token)
	gateway, err := local.Open(w.ctx, d.service.Store, &d.doors.pinned, d.clock.now, demoOrg, demoSite, demoGateway)
	if err != nil {
		return nil, err
	}
	d.doors.gateway = gateway
	return d, nil
}

// serve starts the service. Its master key is nobody's and ends with the process.
func (d *demo) serve(w *world, listen string) error {
	key := make([]byte, 32)
	rand.Read(key) // it never fails: the program ends instead
	log := slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	d.service, err = startService(w.ctx, serviceConfig{Data: d.dir, Listen: listen, NATS: natsConfig{Replicas: 1},
		VaultKey: base64.StdEncoding.EncodeToString(key), Now: d.clock.now, Log: log})
	if err == nil {
		d.doors = newDemoDoors(d.service.Permissions)
	}
	return err
}

// makeOrg makes the org over the API, as everybody does, by the bootstrap token.
func (d *demo) makeOrg(ctx context.Context) (*httpapi.NewOrg, error) {
	text, err := os.ReadFile(d.service.BootstrapPath)
	if err != nil {
		return nil, fmt.Errorf("the bootstrap token: %w", err)
	}
	body, err := json.Marshal(map[string]any{"org": demoOrg, "name": "Harbour Storage", "owner": owner, "owner_name": "Olga Harbour"})
	if err != nil {
		return nil, err
	}
	var made httpapi.NewOrg
	c := newClient(d.service.URL, strings.TrimSpace(string(text)), string(demoOrg), string(demoSite))
	if err := c.ask(ctx, request{method: http.MethodPost, path: "/v1/orgs", body: body}, &made); err != nil {
		return nil, fmt.Errorf("make the org: %w", err)
	}
	// The request sends commands of its own, each a commit.
	d.accepted, err = d.heads(ctx)
	return &made, err
}

// heads is how many commits the ledger holds.
func (d *demo) heads(ctx context.Context) (uint64, error) {
	total := uint64(0)
	for _, org := range []domain.ID{domain.SystemOrg, demoOrg} {
		head, err := d.service.Store.Head(ctx, org)
		if err != nil {
			return 0, fmt.Errorf("the head of %s: %w", org, err)
		}
		total += head.N
	}
	return total, nil
}

// summary records what is left to record and adds everything up.
func (d *demo) summary() (summary, error) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	tally, err := d.doors.flush(ctx)
	if err != nil {
		return summary{}, err
	}
	commits, err := d.heads(ctx)
	return summary{Commands: d.accepted, Commits: commits, Unlocks: unlockCount{tally.Allowed, tally.Denied},
		OnSite: d.doors.onSite(), DecisionNS: d.doors.times()}, err
}

// stop stops the service and removes its directory.
func (d *demo) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var err error
	if d.service != nil {
		err = d.service.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}
