package deploy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// upTimeout bounds how long the set may take until all of it is well.
const upTimeout = 2 * time.Minute

// Run runs the command line of the program "processes" and returns its exit code:
// 0 done, 1 failed, 2 wrong usage.
func Run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("processes", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: processes up|down [flags] [service …]\n\nup takes no services: it starts what does not run.")
		flags.PrintDefaults()
	}
	compose := flags.String("compose", "docker-compose.yml", "the compose `file`")
	dir := flags.String("dir", "deploy/state", "`directory` of what the set keeps")
	gatehouse := flags.String("gatehouse", "", "`path` of the service's program (default: the one on PATH)")
	natsServer := flags.String("nats-server", "", "`path` of the NATS server (default: the one on PATH)")
	free := flags.Bool("free-ports", false, "take free ports for what is published, too")
	if len(args) == 0 || args[0] != "up" && args[0] != "down" {
		flags.Usage()
		return 2
	}
	if err := flags.Parse(args[1:]); err != nil {
		return 2
	}
	if args[0] == "up" && flags.NArg() > 0 {
		flags.Usage()
		return 2
	}
	c, err := Load(*compose)
	if err == nil {
		*dir, err = filepath.Abs(*dir)
	}
	s := &Set{Compose: c, Dir: *dir, FreePorts: *free, Say: stderr, Programs: map[string]string{}}
	switch {
	case err != nil:
	case args[0] == "down":
		err = s.Down(ctx, flags.Args()...)
	default:
		if err = s.find(map[string]string{"gatehouse": *gatehouse, "nats": *natsServer, "prometheus": ""}); err == nil {
			err = s.upAndTell(ctx, stdout)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "processes:", err)
		return 1
	}
	return 0
}

// find finds the executables: those that are given, else those on PATH. Prometheus
// may be absent; the set goes on without it.
func (s *Set) find(given map[string]string) error {
	onPath := map[string]string{"gatehouse": "gatehouse", "nats": "nats-server", "prometheus": "prometheus"}
	for runs, path := range given {
		if path == "" {
			path = onPath[runs]
		}
		found, err := exec.LookPath(path)
		if err == nil {
			found, err = filepath.Abs(found)
		}
		if errors.Is(err, exec.ErrNotFound) && runs == "prometheus" {
			continue
		}
		if err != nil {
			return fmt.Errorf("deploy: the program of %s: %w", runs, err)
		}
		s.Programs[runs] = found
	}
	return nil
}

// upAndTell starts the set and writes where it is reached, a line each.
func (s *Set) upAndTell(ctx context.Context, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	if err := s.Up(ctx); err != nil {
		return err
	}
	for _, name := range s.Compose.Names() {
		if s.Programs[s.Compose.Services[name].Runs()] == "" {
			continue
		}
		for _, inside := range s.Compose.Services[name].published() {
			if _, err := fmt.Fprintf(stdout, "%s http://%s\n", name, s.Address(name, inside)); err != nil {
				return err
			}
		}
	}
	return nil
}
