package simulated

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// The protocol of the socket: each line is an Act in JSON, and each answer is a line with
// an Answer, or with {"error": "…"}. A process that reaches the socket opens doors, so it is only
// offered to processes of the same machine.

const (
	maxLine        = 4096 // bytes of an act
	maxConnections = 64
)

// reply is a line of the socket.
type reply struct {
	Answer
	Error string `json:"error,omitempty"`
}

// split gives network and address of a setting.
func split(listen string) (network, address string) {
	if path, is := strings.CutPrefix(listen, "unix:"); is {
		return "unix", path
	}
	return "tcp", listen
}

// checkListen refuses what other machines could reach.
func checkListen(listen string) error {
	network, address := split(listen)
	if listen == "" || network == "unix" && address != "" {
		return nil
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil || !a.Addr().IsLoopback() {
		return fmt.Errorf("%q is neither unix:PATH nor an address of this machine alone, such as 127.0.0.1:7070", listen)
	}
	return nil
}

// Address is where the devices can be played, as Dial takes it, while Run runs; empty:
// nowhere.
func (d *Driver) Address() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.address
}

// serve lets other processes play, until stop is called.
func (d *Driver) serve(ctx context.Context) (stop func(), err error) {
	if d.listen == "" {
		return func() {}, nil
	}
	network, address := split(d.listen)
	if network == "unix" {
		if s, err := os.Lstat(address); err == nil && s.Mode().Type() == os.ModeSocket {
			_ = os.Remove(address) // of a process that was killed
		}
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("simulated: %w", err)
	}
	shown := l.Addr().String()
	if network == "unix" {
		shown = d.listen
		if err := os.Chmod(address, 0o600); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	d.mu.Lock()
	d.address = shown
	d.notify()
	d.mu.Unlock()
	d.log.Info("simulated devices can be played", "address", shown)
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { d.accept(ctx, l, &all) })
	return func() {
		cancel()
		_ = l.Close() // it ends accept
		all.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.address = ""
	}, nil
}

func (d *Driver) accept(ctx context.Context, l net.Listener, all *sync.WaitGroup) {
	places := make(chan struct{}, maxConnections)
	for {
		places <- struct{}{}
		conn, err := l.Accept()
		if err != nil {
			return
		}
		all.Go(func() {
			defer func() { <-places }()
			d.talk(ctx, conn)
		})
	}
}

// talk answers the acts of one connection.
func (d *Driver) talk(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	out := json.NewEncoder(conn)
	for lines.Scan() {
		var a Act
		var r reply
		err := decode(lines.Bytes(), &a)
		if err == nil {
			r.Answer, err = d.Play(ctx, a)
		}
		if err != nil {
			r.Error = err.Error()
		}
		if out.Encode(r) != nil {
			return
		}
	}
}

// Player plays the devices of another process. It is safe for concurrent use; acts follow
// each other.
type Player struct {
	mu    sync.Mutex
	conn  net.Conn
	lines *bufio.Scanner
}

// Dial reaches a driver at its setting listen: unix:PATH or an address.
func Dial(ctx context.Context, listen string) (*Player, error) {
	network, address := split(listen)
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("simulated: %w", err)
	}
	return &Player{conn: conn, lines: bufio.NewScanner(conn)}, nil
}

// Play does something at a device of the other process. It ends with the context, and the
// connection with it.
func (p *Player) Play(ctx context.Context, a Act) (Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = p.conn.Close() })()
	if err := json.NewEncoder(p.conn).Encode(a); err != nil {
		return Answer{}, fmt.Errorf("simulated: %w", errors.Join(err, ctx.Err()))
	}
	if !p.lines.Scan() {
		return Answer{}, fmt.Errorf("simulated: no answer: %w", errors.Join(p.lines.Err(), ctx.Err(), net.ErrClosed))
	}
	var r reply
	if err := json.Unmarshal(p.lines.Bytes(), &r); err != nil {
		return Answer{}, fmt.Errorf("simulated: %w", err)
	}
	if r.Error != "" {
		return Answer{}, errors.New(r.Error)
	}
	return r.Answer, nil
}

// Close ends the connection.
func (p *Player) Close() error { return p.conn.Close() }
