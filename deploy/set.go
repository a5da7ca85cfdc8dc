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

// A Set is the services of a compose file as processes of this machine. All fields
// are required but FreePorts.
type Set struct {
	Compose  *Compose
	Dir      string            // absolute: volumes, logs, ports and numbers of processes
	Programs map[string]string // path of the executable by what a service runs; a service without one is left out
	// FreePorts takes free ports for what is published, too, so that several sets
	// run at once.
	FreePorts bool
	Say       io.Writer // what is started, stopped and left out, a line each

	ports *ports
}

// pollPause is how long it waits before it looks again whether a process is well or
// has ended.
const pollPause = 50 * time.Millisecond

// Up starts every process that does not run, each after what it depends on, and
// returns when all are well. It fails when one ends by itself, or with the context;
// what runs by then goes on running, for a look at its log.
func (s *Set) Up(ctx context.Context) error {
	waiting, unlock, err := s.open()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.prepare(); err != nil {
		return err
	}
	settled := map[string]bool{} // well, or ended as they should
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

// step starts what can be started and asks what is started, and returns what is
// not settled yet.
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

// may reports whether what a process depends on is there.
func (s *Set) may(p *process, settled map[string]bool) bool {
	for other := range p.service.DependsOn {
		if !settled[other] {
			return false
		}
	}
	return true
}

// settled reports whether a process is well, or has ended where it is to end.
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

// ends reports whether a service is one that others wait to end.
func (s *Set) ends(name string) bool {
	for _, other := range s.Compose.Services {
		if other.DependsOn[name].Condition == completed {
			return true
		}
	}
	return false
}

// Down stops the services that are named, or all, dependents first, and returns
// when their processes have ended. One that does not end in its time is killed.
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

// stopOrder names every service after those that depend on it; among equals the
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

// needed reports whether one of several services depends on another.
func (s *Set) needed(name string, by []string) bool {
	return slices.ContainsFunc(by, func(other string) bool {
		_, ok := s.Compose.Services[other].DependsOn[name]
		return ok
	})
}

// open reads what is known of the set on this machine, and keeps others from
// starting or stopping anything until unlock.
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
