package demo

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// siteClock is the clock of the service in the demo. It stands still while
// something happens and goes on from happening to happening, so that a command and
// what follows from it take no time of the site, however fast its days pass, and
// nothing that waits for the other is ever late by hours. While lock gateways run it
// goes as fast as any other clock: their leases are real.
type siteClock struct {
	mu      sync.Mutex // guards the fields below
	at      time.Time
	running time.Time // since when it runs, by the real clock; zero: it stands still
}

func newSiteClock(at time.Time) *siteClock { return &siteClock{at: at.UTC().Round(0)} }

func (c *siteClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *siteClock) read() time.Time {
	if c.running.IsZero() {
		return c.at
	}
	return c.at.Add(time.Since(c.running))
}

// set moves the clock forward, never back.
func (c *siteClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.read()) {
		c.at = at.UTC().Round(0)
	}
}

// run lets the clock run until stand is called. From then on it stands still.
func (c *siteClock) run() (stand func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = time.Now()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.at, c.running = c.read(), time.Time{}
	}
}

// happening is something that is to happen at an instant of the site's time.
type happening struct {
	at time.Time
	n  uint64 // the order of those at the same instant
	do func(ctx context.Context) error
}

// agenda holds what is to happen, the earliest first.
type agenda struct {
	queue happenings
	n     uint64
}

type happenings []happening

func (h happenings) Len() int      { return len(h) }
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h happenings) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].n < h[j].n
	}
	return h[i].at.Before(h[j].at)
}
func (h *happenings) Push(x any) { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (a *agenda) add(at time.Time, do func(ctx context.Context) error) {
	a.n++
	heap.Push(&a.queue, happening{at, a.n, do})
}

// after plans something for a while from now.
func (d *Demo) after(wait time.Duration, do func(ctx context.Context) error) {
	d.agenda.add(d.clock.now().Add(wait), do)
}

const (
	// recordEvery is how often what happened at the doors is recorded while no
	// command comes: one record after the other would cost a disk write each.
	recordEvery = 250 * time.Millisecond
	statusEvery = time.Second
)

// play lets the site's time pass until the context ends. It finishes a happening that
// has begun by then.
func (d *Demo) play(ctx context.Context, speed time.Duration) error {
	began, from := time.Now(), d.clock.now()
	status, recorded := began, began
	whole := context.WithoutCancel(ctx)
	for {
		next := heap.Pop(&d.agenda.queue).(happening)
		at := began.Add(time.Duration(float64(next.at.Sub(from)) / float64(speed) * float64(time.Second)))
		if time.Since(recorded) >= recordEvery {
			if _, err := d.doors.flush(whole); err != nil {
				return err
			}
			recorded = time.Now()
		}
		if time.Since(status) >= statusEvery {
			if err := d.status(whole); err != nil {
				return err
			}
			status = time.Now()
		}
		if err := d.wait(ctx, at); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		d.clock.set(next.at)
		if err := next.do(whole); err != nil {
			return err
		}
	}
}
