package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// laneDepth is how many commands of one org may wait in each lane.
const laneDepth = 1024

// lane is one of the lines in which the commands of an org wait.
type lane int

// The lanes, in the order in which they pass.
const (
	laneUrgent lane = iota // takes access away: a lockdown, a lost fob
	laneBulk               // takes access away by a long list: the overlocks of a month's end
	laneNormal
	lanes
)

// String is the lane as metrics name it.
func (l lane) String() string { return [lanes]string{"urgent", "bulk", "normal"}[l] }

// shortList is the longest list that is not work in bulk. Deciding so many entries
// takes about as long as one commit, so that a lockdown does not wait for them.
const shortList = 16

// laneOf is the lane of a command, by whether it takes access away and how many
// entries it has.
func laneOf(urgent bool, entries int) lane {
	switch {
	case !urgent:
		return laneNormal
	case entries > shortList:
		return laneBulk
	}
	return laneUrgent
}

// ErrBusy says that too many commands of the org wait or that others kept coming
// first. The command had no effect.
var ErrBusy = errors.New("the org is busy; try again in a moment")

// queue passes the commands of one org on this node, one at a time. Commands that take
// access away pass first, and the short lists of them before the long ones.
type queue struct {
	store *Store
	org   *org

	mu      sync.Mutex // guards what follows
	waiting [lanes][]*job
	running bool
	closed  bool
	idle    *sync.Cond
}

// job is a command that waits for its turn.
type job struct {
	ctx      context.Context
	run      func(ctx context.Context)
	done     chan struct{}
	panicked any // what run panicked with, for the caller
}

// work runs the job. A panic is reported to the caller, whichever goroutine runs the
// job: it must not end the service or stop the queue.
func (j *job) work() {
	defer func() {
		j.panicked = recover()
		close(j.done)
	}()
	j.run(j.ctx)
}

func newQueue(s *Store, o *org) *queue {
	q := &queue{store: s, org: o}
	q.idle = sync.NewCond(&q.mu)
	return q
}

// do runs f when its turn comes. It returns nil when f has run, and an error when f has
// not run and never will. A context that ends takes the job out of its lane; when its
// turn has come by then, f runs with the ended context.
func (q *queue) do(ctx context.Context, l lane, f func(ctx context.Context)) error {
	j := &job{ctx: ctx, run: f, done: make(chan struct{})}
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return ErrClosed
	case len(q.waiting[l]) >= laneDepth:
		q.mu.Unlock()
		return ErrBusy
	}
	if !q.running { // nobody waits: no need to hand the job over
		q.running = true
		q.mu.Unlock()
		defer q.handOver() // also when f panics, or the org would stand still
		f(ctx)
		return nil
	}
	q.waiting[l] = append(q.waiting[l], j)
	q.count(l, 1)
	q.mu.Unlock()
	select {
	case <-j.done:
	case <-ctx.Done():
		if q.drop(l, j) {
			return ErrBusy
		}
		<-j.done
	}
	if j.panicked != nil {
		panic(j.panicked)
	}
	return nil
}

// drop takes a job out of its lane, if its turn has not come.
func (q *queue) drop(l lane, j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting[l], j)
	if i < 0 {
		return false
	}
	q.waiting[l] = slices.Delete(q.waiting[l], i, i+1)
	q.count(l, -1)
	return true
}

// handOver passes the queue on to a worker when jobs came in meanwhile.
func (q *queue) handOver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, waiting := range q.waiting {
		if len(waiting) > 0 {
			go q.work()
			return
		}
	}
	q.running = false
	q.idle.Broadcast()
}

// work runs the waiting jobs and ends when there are none. Every job ends within
// the deadline of its context, so the worker does too.
func (q *queue) work() {
	for {
		q.mu.Lock()
		j := q.next()
		if j == nil {
			q.running = false
			q.idle.Broadcast()
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		j.work()
	}
}

func (q *queue) next() *job {
	for l, waiting := range q.waiting {
		if len(waiting) > 0 {
			j := waiting[0]
			waiting[0] = nil
			q.waiting[l] = waiting[1:]
			q.count(lane(l), -1)
			return j
		}
	}
	return nil
}

func (q *queue) count(l lane, more float64) {
	q.store.metrics.Waiting.WithLabelValues(l.String()).Add(more)
}

// close refuses further commands and waits for those in the queue, until the context
// ends.
func (q *queue) close(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.idle.Broadcast()
	})()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for q.running && ctx.Err() == nil {
		q.idle.Wait()
	}
	if q.running {
		return fmt.Errorf("eventstore: a command of org %s does not end", q.org.id)
	}
	return nil
}
