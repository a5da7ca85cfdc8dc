package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/demo"
	"gatehouse/domain"
	"gatehouse/gateways/control"
	"gatehouse/gateways/httpapi"
	"gatehouse/schemas/wire"
)

// demoCmd shows a self-storage site in fast motion.
type demoCmd struct {
	For    time.Duration `placeholder:"DURATION" help:"Stop after this time, such as 10s; default: run until Ctrl-C."`
	Listen string        `default:"127.0.0.1:0" placeholder:"ADDR" help:"Address of the HTTP API; port 0 takes a free one."`
	Speed  time.Duration `default:"3h" placeholder:"DURATION" help:"Simulated time that passes in a second, 1m to 24h."`
	Seed   uint64        `default:"1" help:"Another number gives other people and other days."`
	JSON   bool          `name:"json" help:"Write every line as JSON."`
}

// Help tells what is real and what is not.
func (demoCmd) Help() string {
	return `The demo runs the same service as gatehouse serve, in a data directory that is removed at
the end. Commands are stored durably, doors decide on the published permissions, and the
decisions are recorded. Only the people and the clock are made up. Not every decision is
shown, but all are counted.

Before the fast motion two lock gateways run for some seconds, each as a process of its own
with simulated locks. One of them is cut off and comes back.

The last line is JSON:

  {"commands":…,"commits":…,"unlocks":{"allowed":…,"denied":{CODE:…}},"onsite":…,"decision_ns":{"p50":…,"p99":…}}

commands counts the accepted commands of the people of the demo. commits counts all commits
of the ledger, including those that the service made because they were due.

Examples:

  gatehouse demo
  gatehouse demo --for 10s --speed 6h
  gatehouse demo --for 10s --json | tail -1`
}

// Run plays the demo and writes its summary.
func (c *demoCmd) Run(w *world) (err error) {
	if c.Speed < time.Minute || c.Speed > 24*time.Hour {
		return usage("--speed %s: it is 1m to 24h of the site's time for a second", c.Speed)
	}
	// A reader that goes away ends the demo in good order, its directory with it.
	signal.Ignore(syscall.SIGPIPE)
	color := os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && onTerminal(w.stdout)
	d, err := demo.New(demo.Config{Seed: c.Seed, Today: w.now(), Out: w.stdout, JSON: c.JSON, Color: color})
	if err != nil {
		return err
	}
	stop, err := c.open(w, d)
	switch {
	case err != nil && w.ctx.Err() != nil:
		return nil // there is nothing to tell yet, and nothing is left behind
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	err = d.Show(w.ctx, c.For, c.Speed)
	if err == nil {
		err = tellSummary(w, d)
	}
	if errors.Is(err, syscall.EPIPE) {
		return nil // the reader of the output has gone
	}
	return err
}

func tellSummary(w *world, d *demo.Demo) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	total, err := d.Summary(ctx)
	if err != nil {
		return err
	}
	return w.print(total, true)
}

// open starts a service on a directory of its own, creates the org, and opens the
// demo on it. The function that it returns ends the service and removes the directory.
func (c *demoCmd) open(w *world, d *demo.Demo) (_ func() error, err error) {
	s, err := startTemporary(w, "demo", serviceConfig{Listen: c.Listen, Now: d.Now, Wall: time.Now}) // the feed tells what happens
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.end())
		}
	}()
	w.say("The API is at %s until the demo ends; its owner's token lets you look around:\n\n  export GATEHOUSE_URL=%s GATEHOUSE_ORG=%s GATEHOUSE_SITE=%s GATEHOUSE_TOKEN=%s\n",
		s.URL, s.URL, demo.Org, demo.Site, s.org.Token)
	return s.end, d.Open(w.ctx, demo.Service{Store: s.Store, Permissions: s.Permissions, Failed: s.Failed, Gateways: s.demoGateways(w.program, s.dir, s.org.Token)})
}

// demoGateways lets the demo start lock gateways, and see what they enforce.
func (s *service) demoGateways(program, dir, token string) *demo.Gateways {
	owner := newClient(s.URL, token, string(demo.Org), string(demo.Site))
	return &demo.Gateways{
		Program: program, Dir: dir, URL: s.URL, NATS: s.embedded.Server().Addr().String(), Marks: control.MarksOf,
		Register: func(ctx context.Context, gateway domain.ID) (code string, at wire.Position, err error) {
			var answer httpapi.CommandResult
			fields, err := json.Marshal(domain.RegisterGateway{Gateway: gateway, Site: demo.Site})
			if err != nil {
				return "", at, err
			}
			body, err := owner.Command(ctx, "RegisterGateway", fields, "", nil)
			if err == nil {
				err = json.Unmarshal(body, &answer)
			}
			if err != nil || len(answer.Codes) != 1 {
				return "", at, errors.Join(err, fmt.Errorf("the answer has %d codes", len(answer.Codes)))
			}
			return answer.Codes[0].Code, answer.Position, nil
		},
		Enforced: func(ctx context.Context, gateway domain.ID, at wire.Position) error {
			if missing := s.receipts.Await(ctx, demo.Org, []domain.ID{gateway}, at); len(missing) > 0 {
				return ctx.Err()
			}
			return nil
		},
	}
}

// makeDemoOrg creates the org over the API, as everybody does, by the bootstrap token.
func makeDemoOrg(ctx context.Context, s *service) (*httpapi.NewOrg, error) {
	text, err := os.ReadFile(s.BootstrapPath)
	if err != nil {
		return nil, fmt.Errorf("the bootstrap token: %w", err)
	}
	body, err := json.Marshal(map[string]any{"org": demo.Org, "name": demo.OrgName, "owner": demo.Owner, "owner_name": demo.OwnerName})
	if err != nil {
		return nil, err
	}
	var made httpapi.NewOrg
	c := newClient(s.URL, strings.TrimSpace(string(text)), string(demo.Org), string(demo.Site))
	if err := c.Ask(ctx, client.Request{Method: http.MethodPost, Path: "/v1/orgs", Body: body}, &made); err != nil {
		return nil, fmt.Errorf("create the org: %w", err)
	}
	return &made, nil
}
