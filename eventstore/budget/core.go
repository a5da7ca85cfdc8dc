package budget

import (
	"context"
	"math"
	"runtime"
	"time"
)

// slice is how long a turn runs before it makes way: short beside the 10 ms after
// which Go takes a processor away, so that a commit which wakes five goroutines one
// after the other is not held up by each.
const slice = 2 * time.Millisecond

// Core is the one processor that all heavy work shares. A turn must not begin while
// an org is held, and must end before its work waits for the network or a client.
type Core struct{ pool *Pool }

// NewCore makes a core.
func NewCore(m *Metrics) *Core {
	return &Core{New(Config{Name: "core", Places: Shares{All: 1}, Line: Shares{All: math.MaxInt}}, m)}
}

// Turn is a piece of heavy work that has the core.
type Turn struct {
	core  *Core
	who   Who
	since time.Time
	end   func()
}

// Begin waits for the core.
func (c *Core) Begin(ctx context.Context, who Who) (*Turn, error) {
	end, err := c.pool.Take(ctx, who, 1)
	if err != nil {
		return nil, err
	}
	return &Turn{c, who, time.Now(), end}, nil
}

// Yield lets others go on when the turn has lasted long enough: first the heavy work
// of other orgs that waits, and all else in any case. After an error the turn has
// ended.
func (t *Turn) Yield(ctx context.Context) error {
	if time.Since(t.since) < slice {
		return nil
	}
	if t.core.pool.Waiting() == 0 && ctx.Err() == nil {
		runtime.Gosched()
		t.since = time.Now()
		return nil
	}
	t.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	end, err := t.core.pool.Take(ctx, t.who, 1)
	if err != nil {
		return err
	}
	t.end, t.since = end, time.Now()
	return nil
}

// End gives the core to the next one.
func (t *Turn) End() { t.end() }
