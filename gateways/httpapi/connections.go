package httpapi

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/eventstore/budget"
)

// connections bounds the connections of the API, in all and per address.
//
// A new connection always gets in, as long as there is another that nothing is lost
// with: first the oldest one that has shown no good token yet, then the one that was
// unused for longest. So a thousand silent connections do not keep a lockdown out,
// not even from their own address, behind which there may be a proxy with all the
// others. Only where every connection has a request of a good token under way, which
// the other budgets bound, the new one is closed at once.
type connections struct {
	all, ofAddress int
	taken          prometheus.Gauge
	closed         func(budget.Share)

	mu    sync.Mutex // guards what follows
	count int
	peers map[string]*peer
}

// peer is an address with its connections.
type peer struct {
	address  string
	count    int
	unproven list.List // of *connection: no good token yet, the oldest first
	idle     list.List // of *connection: good before, the one unused for longest first
}

// connection is one of them.
type connection struct {
	net.Conn
	of   *connections
	peer *peer

	// guarded by of.mu
	gone bool
	busy int           // requests of good tokens that are under way
	in   *list.List    // of the peer; nil while it is busy
	at   *list.Element // there
}

func newConnections(l Limits, m *budget.Metrics) *connections {
	m.Limit.WithLabelValues("connections").Set(float64(l.Connections))
	return &connections{all: l.Connections, ofAddress: l.ConnectionsOfAddress, taken: m.Taken.WithLabelValues("connections"),
		closed: func(s budget.Share) { m.Refused.WithLabelValues("connections", string(s)).Inc() }, peers: map[string]*peer{}}
}

// Listener bounds the connections of a listener.
func (a *API) Listener(l net.Listener) net.Listener { return &boundedListener{l, a.connections} }

type boundedListener struct {
	net.Listener
	of *connections
}

// Accept waits for a connection that may stay.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if bound := l.of.admit(c); bound != nil {
			return bound, nil
		}
	}
}

// admit takes a connection in, for which another may have to go. It returns nil when
// it was closed.
func (cs *connections) admit(c net.Conn) *connection {
	cs.mu.Lock()
	victim, share := cs.victim(network(c.RemoteAddr().String()))
	bound := &connection{Conn: c, of: cs}
	if share != "" {
		cs.closed(share)
	}
	if share != "" && victim == nil {
		cs.mu.Unlock()
		_ = c.Close() // it is of no use to anybody
		return nil
	}
	if victim != nil {
		cs.remove(victim)
	}
	cs.add(bound, network(c.RemoteAddr().String()))
	cs.mu.Unlock()
	if victim != nil {
		_ = victim.Conn.Close() // it is of no use to anybody
	}
	return bound
}

// victim is the connection to close for a new one of an address. It also returns whose
// share is used up; nil and empty mean that none has to go. The caller holds mu.
func (cs *connections) victim(address string) (*connection, budget.Share) {
	if p := cs.peers[address]; p != nil && p.count >= cs.ofAddress {
		return p.spare(), shareAddress
	}
	if cs.count < cs.all {
		return nil, ""
	}
	var most *peer
	for _, p := range cs.peers {
		if p.spare() != nil && (most == nil || p.count > most.count) {
			most = p
		}
	}
	if most == nil {
		return nil, budget.ShareAll
	}
	return most.spare(), budget.ShareAll
}

// spare is the connection of a peer that costs least to close. It returns nil when all
// are busy.
func (p *peer) spare() *connection {
	for _, l := range []*list.List{&p.unproven, &p.idle} {
		if e := l.Front(); e != nil {
			return e.Value.(*connection)
		}
	}
	return nil
}

// add counts a connection. The caller holds mu.
func (cs *connections) add(c *connection, address string) {
	p := cs.peers[address]
	if p == nil {
		p = &peer{address: address}
		cs.peers[address] = p
	}
	c.peer = p
	p.count++
	cs.count++
	c.move(&p.unproven)
	cs.taken.Set(float64(cs.count))
}

// remove counts a connection no longer. The caller holds mu.
func (cs *connections) remove(c *connection) {
	if c.gone {
		return
	}
	c.gone = true
	c.move(nil)
	cs.count--
	if c.peer.count--; c.peer.count == 0 {
		delete(cs.peers, c.peer.address)
	}
	cs.taken.Set(float64(cs.count))
}

// move puts a connection into a list of its peer, or into none. The caller holds
// of.mu.
func (c *connection) move(to *list.List) {
	if c.in != nil {
		c.in.Remove(c.at)
	}
	if c.in = to; to != nil {
		c.at = to.PushBack(c)
	}
}

// Close closes the connection.
func (c *connection) Close() error {
	c.of.mu.Lock()
	c.of.remove(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// begin notes that a request of a good token is under way, until end is called.
func (c *connection) begin() (end func()) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.gone {
		return func() {}
	}
	c.busy++
	c.move(nil)
	return func() {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		if c.busy--; c.busy == 0 && !c.gone {
			c.move(&c.peer.idle)
		}
	}
}

type connectionKey struct{}

// withConnection notes in the context of requests by which connection they come.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if bound, ok := c.(*connection); ok {
		return context.WithValue(ctx, connectionKey{}, bound)
	}
	return ctx
}

// proven notes that the request has a good token, until end is called.
func proven(ctx context.Context) (end func()) {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		return c.begin()
	}
	return func() {}
}
