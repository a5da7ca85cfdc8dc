package permissions

import (
	"context"
	"sync"
	"time"
)

// turns are the orgs that have something to publish, in the order in which they
// get a worker. An org is in it once and gets one delta per turn, so that a long
// queue of one org delays another by a delta per worker.
type turns struct {
	mu     sync.Mutex // guards what follows
	some   *sync.Cond
	list   []*org
	closed bool
}

func (t *turns) init() { t.some = sync.NewCond(&t.mu) }

func (t *turns) add(o *org) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, o)
	t.some.Signal()
}

// next waits for an org; nil when it is closed.
func (t *turns) next() *org {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.list) == 0 && !t.closed {
		t.some.Wait()
	}
	if t.closed {
		return nil
	}
	o := t.list[0]
	t.list[0] = nil
	t.list = t.list[1:]
	return o
}

func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.some.Broadcast()
}

// outcome is what a turn of an org led to.
type outcome int

const (
	idle  outcome = iota // there is nothing to publish
	more                 // there may be
	wait                 // until the store has applied further commits
	retry                // the stream did not take it; after a pause
)

// pauses between the tries of an org whose deltas the stream does not take.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 5 * time.Second
)

func (p *Projector) work(ctx context.Context) error {
	for {
		o := p.turns.next()
		if o == nil {
			return nil
		}
		out := retry // as when the turn panics
		_ = p.cfg.Store.Guard("permissions", o.id, "", func() { out = p.turn(ctx, o) })
		switch out {
		case retry:
			o.mu.Lock()
			o.pause = min(max(2*o.pause, firstPause), lastPause)
			pause := o.pause
			o.mu.Unlock()
			time.AfterFunc(pause, func() { p.turns.add(o) })
		default:
			o.after(out)
		}
	}
}

// after takes the org out of the turns, or puts it behind the others.
func (o *org) after(out outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pause = 0
	o.waiting = out == wait && !o.woken
	again := !o.waiting && (out == more || o.woken || o.due())
	o.woken, o.queued = false, again
	if again {
		o.p.turns.add(o)
	}
	close(o.moved)
	o.moved = make(chan struct{})
}

// wake gives the org a turn when there is something to do.
func (o *org) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wakeLocked()
}

func (o *org) wakeLocked() {
	switch {
	case o.queued:
		o.woken = true
	case o.due() || o.waiting:
		o.queued, o.waiting = true, false
		o.p.turns.add(o)
	}
	close(o.moved)
	o.moved = make(chan struct{})
}
