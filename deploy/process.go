package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// running is a process that this call has started, or found.
type running struct {
	name string
	log  string
	// ended gets how it ended; nil: an earlier call has started it.
	ended chan error
}

// succeeded reports, of a process that has ended, whether it did what it was for.
func (r *running) succeeded() error {
	if r.ended == nil {
		return nil // of an earlier call, which has seen to it
	}
	if err := <-r.ended; err != nil {
		return fmt.Errorf("deploy: %s: %w; see %s", r.name, err, r.log)
	}
	return nil
}

// start starts a process unless it runs. It goes on when this program ends.
func (s *Set) start(p *process) (*running, error) {
	r := &running{name: p.name, log: s.log(p.name)}
	lock, err := os.OpenFile(s.lock(p.name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if held, err := hold(lock); err != nil || !held {
		return r, err
	}
	log, err := os.OpenFile(r.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if err := s.ports.release(p.name); err != nil {
		return nil, err
	}
	cmd := exec.Command(p.program, p.args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.Dir, p.env, log, log
	cmd.ExtraFiles = []*os.File{lock} // inherited, and with it the lock
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r.ended = make(chan error, 1)
	go func() { r.ended <- cmd.Wait() }() // until the process ends, which is longer than this call
	return r, errors.Join(lock.Truncate(0), writeNumber(lock, cmd.Process.Pid))
}

func writeNumber(f *os.File, pid int) error {
	_, err := f.WriteAt([]byte(strconv.Itoa(pid)+"\n"), 0)
	return err
}

// hold takes the lock of an open file, and reports false when another has it.
func hold(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Alive reports whether the process of a service runs.
func (s *Set) Alive(name string) (bool, error) {
	lock, err := os.OpenFile(s.lock(name), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("deploy: %s: %w", name, err)
	}
	defer lock.Close()
	held, err := hold(lock)
	if err != nil {
		return false, fmt.Errorf("deploy: %s: %w", name, err)
	}
	return !held, nil
}

// Signal sends a signal to the process of a service, and reports whether it runs.
func (s *Set) Signal(name string, signal os.Signal) (bool, error) {
	alive, err := s.Alive(name)
	if err != nil || !alive {
		return false, err
	}
	text, err := os.ReadFile(s.lock(name))
	if err != nil {
		return false, fmt.Errorf("deploy: %s: %w", name, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return false, fmt.Errorf("deploy: %s: the number of its process: %w", name, err)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Signal(signal)
	}
	if errors.Is(err, os.ErrProcessDone) {
		return false, nil
	}
	return true, err
}

// stop ends a process in good order, or else by force.
func (s *Set) stop(ctx context.Context, name string) error {
	alive, err := s.Signal(name, syscall.SIGTERM)
	if err != nil || !alive {
		return err
	}
	grace := s.Compose.Services[name].StopGracePeriod
	if grace == 0 {
		grace = 10 * time.Second
	}
	patient, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := s.gone(patient, name); err == nil {
		fmt.Fprintf(s.Say, "%s: stopped\n", name)
		return nil
	}
	fmt.Fprintf(s.Say, "%s: did not stop within %s, killed\n", name, grace)
	if _, err := s.Signal(name, syscall.SIGKILL); err != nil {
		return err
	}
	return s.gone(ctx, name)
}

// gone waits until the process of a service has ended.
func (s *Set) gone(ctx context.Context, name string) error {
	for {
		if alive, err := s.Alive(name); err != nil || !alive {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("deploy: %s: has not ended: %w", name, context.Cause(ctx))
		case <-time.After(pollPause):
		}
	}
}

// well asks a process by its health check whether it is well.
func (p *process) well(ctx context.Context) bool {
	if len(p.health) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, p.service.HealthCheck.Timeout)
	defer cancel()
	if p.health[0] != "wget" {
		// The program of the service, at its place in the image.
		return exec.CommandContext(ctx, p.program, p.health[1:]...).Run() == nil
	}
	// Not every machine has wget, so the question is asked here.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.health[len(p.health)-1], nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false
	}
	return resp.StatusCode == http.StatusOK
}
