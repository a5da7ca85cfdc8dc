package demo

import (
	"io"
	"net"
	"sync"
)

// cable is the network between a gateway and NATS. It can be cut: then nothing goes
// either way, and nobody is reached.
type cable struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	cut   bool
	conns map[net.Conn]struct{}
}

// lay lays a cable to an address.
func lay(to string) (*cable, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &cable{listener: l, to: to, conns: map[net.Conn]struct{}{}}
	c.running.Go(c.accept)
	return c, nil
}

func (c *cable) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil || !c.hold(near, far) {
			_ = near.Close()
			if err == nil {
				_ = far.Close()
			}
			continue
		}
		c.running.Go(func() { c.carry(near, far) })
		c.running.Go(func() { c.carry(far, near) })
	}
}

// hold keeps both ends of a connection; false: the cable is cut.
func (c *cable) hold(near, far net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return false
	}
	c.conns[near], c.conns[far] = struct{}{}, struct{}{}
	return true
}

// carry carries bytes until one of the ends is closed, and closes the other.
func (c *cable) carry(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range []net.Conn{from, to} {
		_ = conn.Close()
		delete(c.conns, conn)
	}
}

// set cuts the cable, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for conn := range c.conns {
			_ = conn.Close()
		}
	}
}

// close takes the cable away.
func (c *cable) close() {
	c.set(true)
	_ = c.listener.Close()
	c.running.Wait()
}
