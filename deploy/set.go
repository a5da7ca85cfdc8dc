package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Set runs the services of a compose file as processes of this machine. Every field
// but FreePorts is required.
type Set struct {
	Compose  *Compose
	Dir      string            // absolute path; holds volumes, logs, ports and process ids
	Programs map[string]string // path of the executable by what a service runs; a service without one is not started
	// FreePorts takes free ports for the published ports, too, so that several sets can
	// run at once.
	FreePorts bool
	Say       io.Writer // gets a line for everything started, stopped or left out

	ports *ports
}

// pollPause is the interval at which Set checks whether a process is healthy or has
// ended.
const pollPause = 50 * time.Millisecond

// Up starts every process that does not run, each after its dependencies. It returns
// when all are healthy. It fails when a process ends by itself, or when the context
// ends. The processes started by then keep running, so that their logs can be read.
func (s *Set) Up(ctx context.Context) error {
	waiting, unlock, err := s.open()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.prepare(); err != nil {
		return err
	}
	settled := map[string]bool{} // healthy, or ended as intended
	started := map[string]*running{}
	for len(waiting) > 0 {
		waiting, err = s.step(ctx, waiting, started, settled)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("deploy: %s: not well yet: %w; see %s", names(waiting), context.Cause(ctx), s.logs())
		case <-time.After(pollPause):
		}
	}
	return nil
}

// step starts the processes that can start and checks those that have started. It
// returns the processes that are not settled yet.
func (s *Set) step(ctx context.Context, waiting []*process, started map[string]*running, settled map[string]bool) ([]*process, error) {
	var left []*process
	for _, p := range waiting {
		if p.program == "" {
			fmt.Fprintf(s.Say, "%s: %s is not on this machine, left out\n", p.name, p.service.Image)
			settled[p.name] = true
			continue
		}
		if started[p.name] == nil && s.may(p, settled) {
			r, err := s.start(p)
			if err != nil {
				return nil, fmt.Errorf("deploy: start %s: %w", p.name, err)
			}
			started[p.name] = r
		}
		done := false
		if r := started[p.name]; r != nil {
			var err error
			if done, err = s.settled(ctx, p, r); err != nil {
				return nil, err
			}
		}
		if settled[p.name] = done; !done {
			left = append(left, p)
		}
	}
	return left, nil
}

// may reports whether all dependencies of a process are settled.
func (s *Set) may(p *process, settled map[string]bool) bool {
	for other := range p.service.DependsOn {
		if !settled[other] {
			return false
		}
	}
	return true
}

// settled reports whether a process is healthy, or has ended if it is one that is to
// end.
func (s *Set) settled(ctx context.Context, p *process, r *running) (bool, error) {
	alive, err := s.Alive(p.name)
	if err != nil {
		return false, err
	}
	if s.ends(p.name) {
		if alive {
			return false, nil
		}
		return true, r.succeeded()
	}
	if !alive {
		return false, fmt.Errorf("deploy: %s has ended; see %s", p.name, s.log(p.name))
	}
	if !p.well(ctx) {
		return false, nil
	}
	fmt.Fprintf(s.Say, "%s: up\n", p.name)
	return true, nil
}

// ends reports whether other services wait for a service to complete.
func (s *Set) ends(name string) bool {
	for _, other := range s.Compose.Services {
		if other.DependsOn[name].Condition == completed {
			return true
		}
	}
	return false
}

// Down stops the named services, or all if none is named, dependents first. It returns
// when their processes have ended. A process that does not end in time is killed.
func (s *Set) Down(ctx context.Context, only ...string) error {
	for _, name := range only {
		if s.Compose.Services[name] == nil {
			return fmt.Errorf("deploy: there is no service %s; there are %s", name, strings.Join(s.Compose.Names(), ", "))
		}
	}
	_, unlock, err := s.open()
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, name := range s.stopOrder() {
		if len(only) == 0 || slices.Contains(only, name) {
			errs = append(errs, s.stop(ctx, name))
		}
	}
	return errors.Join(errs...)
}

// stopOrder lists every service after the services that depend on it. Among equals the
// last name comes first.
func (s *Set) stopOrder() []string {
	var order []string
	left := s.Compose.Names()
	for len(left) > 0 {
		i := len(left) - 1
		for ; i > 0 && s.needed(left[i], left); i-- {
		}
		order = append(order, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return order
}

// needed reports whether any of the services by depends on name.
func (s *Set) needed(name string, by []string) bool {
	return slices.ContainsFunc(by, func(other string) bool {
		_, ok := s.Compose.Services[other].DependsOn[name]
		return ok
	})
}

// open loads the state of the set on this machine and locks the set. Until unlock
// nobody else can start or stop anything.
func (s *Set) open() (all []*process, unlock func() error, err error) {
	for _, dir := range []string{s.Dir, filepath.Join(s.Dir, "run"), filepath.Join(s.Dir, "log")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, nil, fmt.Errorf("deploy: %w", err)
		}
	}
	lock, err := os.OpenFile(filepath.Join(s.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("deploy: %w", err)
	}
	held, err := hold(lock)
	if err == nil && !held {
		err = fmt.Errorf("deploy: another up or down is at work in %s", s.Dir)
	}
	if err == nil {
		s.ports, err = openPorts(filepath.Join(s.Dir, "ports.json"))
	}
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	unlock = func() error { return errors.Join(s.ports.releaseAll(), lock.Close()) }
	if all, err = s.plan(); err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	return all, unlock, nil
}

func (s *Set) logs() string            { return filepath.Join(s.Dir, "log") }
func (s *Set) log(name string) string  { return filepath.Join(s.logs(), name+".log") }
func (s *Set) lock(name string) string { return filepath.Join(s.Dir, "run", name) }

func names(all []*process) string {
	var list []string
	for _, p := range all {
		list = append(list, p.name)
	}
	return strings.Join(list, ", ")
}
