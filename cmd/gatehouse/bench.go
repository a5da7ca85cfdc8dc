package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"gatehouse/cmd/gatehouse/propagation"
	"gatehouse/schemas/wire"
)

// benchCmd measures.
type benchCmd struct {
	Propagation benchPropagationCmd `cmd:"" help:"Measure how long a command takes until lock gateways enforce it."`
}

// benchPropagationCmd measures from a command to its being enforced.
type benchPropagationCmd struct {
	Gateways []int `default:"1,10,100" placeholder:"N,…" help:"How many gateways each run has, 1 to 500."`
	Rounds   int   `default:"300" help:"Commands of each run, 10 to 10,000."`
	JSON     bool  `name:"json" help:"Write JSON, one line for each run."`
}

// Help tells what is measured.
func (benchPropagationCmd) Help() string {
	return `It starts a service in a directory that is removed at the end, with real lock gateways in
this process that connect over TCP. A person is suspended and reinstated; the time is from
sending the command until the last gateway decides by it. Gateways keep their files in
memory where the machine has such a place, for each real one has a disk of its own.

The bare hops alternate with the commands in the same run: a request over HTTP, two
publishes to JetStream, each durable when it is acknowledged, and a message to as many
subscribers. The ratio says more than the times, which the machine decides.

Example:

  gatehouse bench propagation --gateways 1,10 --rounds 100 --json`
}

// Run measures each number of gateways and writes a line for it.
func (c *benchPropagationCmd) Run(w *world) (err error) {
	if c.Rounds < 10 || c.Rounds > 10_000 {
		return usage("--rounds %d: it is 10 to 10,000", c.Rounds)
	}
	for _, n := range c.Gateways {
		if n < 1 || n > propagation.MaxGateways {
			return usage("--gateways %d: it is 1 to %d", n, propagation.MaxGateways)
		}
	}
	dir, err := propagation.TempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := startTemporary(w, "bench", serviceConfig{Listen: "127.0.0.1:0", Now: w.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	service := propagation.Service{Client: newClient(s.URL, s.org.Token, string(s.org.Org), propagation.Site), Org: wire.ID(s.org.Org), BareDir: filepath.Join(s.dir, "bare"),
		NATSURL: s.embedded.Server().ClientURL(), LogKey: s.logKey.Public().(ed25519.PublicKey), Dir: dir}
	if err := service.Prepare(w.ctx); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	if !c.JSON {
		fmt.Fprintln(table, "gateways\tp50 ms\tp99 ms\tmax ms\tbare p50\tbare p99\tbare max\tratio p99\t")
	}
	for _, n := range c.Gateways {
		r, err := service.Measure(w.ctx, n, c.Rounds)
		if err != nil {
			return err
		}
		if c.JSON {
			if err := w.print(r, true); err != nil {
				return err
			}
			continue
		}
		e, b := r.Enforced, r.Bare
		fmt.Fprintf(table, "%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", n, e.P50, e.P99, e.Max, b.P50, b.P99, b.Max, r.Ratio)
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}
