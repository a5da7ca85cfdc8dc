package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/gateways/simulated"
	"gatehouse/schemas/wire"
)

// box is a lock gateway as a process, at a door whose device is simulated.
type box struct {
	id, door domain.ID
	dir      string
	cmd      *exec.Cmd
	life     io.Closer  // the process ends once it is closed, so also if the demo is killed
	ended    chan error // how the process ended
	player   *simulated.Player
}

// ready waits until the devices can be played, and the gateway has locked its new door.
func (b *box) ready(ctx context.Context) error {
	if err := b.dial(ctx); err != nil {
		return err
	}
	for {
		a, err := b.player.Play(ctx, simulated.Act{Door: wire.ID(b.door)})
		if err != nil || a.Told > 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// boxFile is gateway.json: one door, that others may play by a socket.
const boxFile = `{"doors":{%q:{"driver":"simulated","sensor":true}},"drivers":{"simulated":{"listen":%q}}}`

// boxStop is how long a gateway may take to stop.
const boxStop = 5 * time.Second

func (b *box) socket() string { return "unix:" + filepath.Join(b.dir, "s") }

// start starts the gateway, which enrols by the code. A process finds NATS where the
// service tells, unless nats names another address.
func (b *box) start(g *Gateways, code, nats string) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "gateway.json"), fmt.Appendf(nil, boxFile, b.door, b.socket()), 0o600); err != nil {
		return err
	}
	log, err := os.Create(b.log())
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"gateway", "--dir", b.dir, "--url", g.URL, "--enroll", code, "--listen=", "--while-stdin"}
	if nats != "" {
		args = append(args, "--nats-url", nats)
	}
	b.cmd = exec.Command(g.Program, args...)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GATEHOUSE_") {
			b.cmd.Env = append(b.cmd.Env, v)
		}
	}
	if b.life, err = b.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := b.cmd.Start(); err != nil {
		return fmt.Errorf("start a gateway: %w", err)
	}
	b.ended = make(chan error, 1)
	go func() { b.ended <- b.cmd.Wait() }()
	return nil
}

func (b *box) log() string { return filepath.Join(b.dir, "log") }

// dial waits until the devices of the gateway can be played.
func (b *box) dial(ctx context.Context) (err error) {
	for {
		if b.player, err = simulated.Dial(ctx, b.socket()); err == nil {
			return nil
		}
		select {
		case how := <-b.ended:
			b.ended <- how
			text, _ := os.ReadFile(b.log())
			return fmt.Errorf("the gateway %s has ended (%v): %s", b.id, how, text)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// show lets somebody show a fob at the door, and go through if it opens.
func (b *box) show(ctx context.Context, v *visitor) (opened bool, err error) {
	door := wire.ID(b.door)
	answer, err := b.player.Play(ctx, simulated.Act{Door: door, Show: v.fob, Await: "30s"})
	if err != nil || answer.Command != "release" {
		return false, err
	}
	for _, do := range []string{"pull", "close"} {
		a, err := b.player.Play(ctx, simulated.Act{Door: door, Do: do})
		if err != nil {
			return false, err
		}
		opened = opened || a.Opened
	}
	return opened, nil
}

// stop ends the process, and waits until it has ended.
func (b *box) stop() error {
	if b.player != nil {
		_ = b.player.Close()
	}
	if b.ended == nil {
		return nil // it never began
	}
	_ = b.life.Close()
	var err error
	select {
	case err = <-b.ended:
	case <-time.After(boxStop):
		err = errors.Join(fmt.Errorf("the gateway %s did not stop within %s", b.id, boxStop), b.cmd.Process.Kill(), <-b.ended)
	}
	b.ended = nil
	return err
}
