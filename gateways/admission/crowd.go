package admission

import (
	"slices"
	"sync"
)

const (
	// maxConnections bounds the connections of one gateway: one that it uses, and a
	// few that ended without a word and that the servers have not missed yet.
	maxConnections = 4
	// maxBetweenLooks bounds the connections that one gateway can have until a look
	// ends those above maxConnections.
	maxBetweenLooks = 16
)

// crowd counts the connections of each gateway, so that none takes up the servers.
// Those that were admitted since the last look count as if they all lasted.
type crowd struct {
	mu    sync.Mutex // guards what follows
	there map[gatewayName]int
	since map[gatewayName]int
}

// gatewayName names a gateway with any key.
type gatewayName struct{ org, gateway string }

func (p passport) gatewayName() gatewayName { return gatewayName{string(p.org), string(p.gateway)} }

// enter counts one more connection. It reports whether there may be that many, and
// whether there are so many that a look is needed.
func (c *crowd) enter(name gatewayName) (ok, look bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.there[name] + c.since[name]
	if n >= maxBetweenLooks {
		return false, true
	}
	if c.since == nil {
		c.since = map[gatewayName]int{}
	}
	c.since[name]++
	return true, n >= maxConnections
}

// begin forgets what was admitted before a look, also before one that fails: else
// gateways that come and go would be shut out while no server answers.
func (c *crowd) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = nil
}

// counted takes over what a look has left of each gateway.
func (c *crowd) counted(there map[gatewayName]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.there = there
}

// excess returns the connections that are too many of their gateway, and how many
// of each gateway remain. The newest remain, as an old one may be dead.
func excess(all []connection) (out []connection, left map[gatewayName]int) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b connection) int { return b.start.Compare(a.start) })
	left = map[gatewayName]int{}
	for _, c := range all {
		if name := c.who.gatewayName(); left[name] < maxConnections {
			left[name]++
		} else {
			out = append(out, c)
		}
	}
	return out, left
}
