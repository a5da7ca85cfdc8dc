// Package budget bounds the use of scarce places and shares them fairly.
//
// # Shares
//
// A [Pool] bounds its places in total and per org, per person and per token, so that
// nobody takes them all. All tokens that a person issues to themselves count against
// the one share of that person.
//
// # Waiting
//
// Most places are free again within moments, so a short, bounded queue is better for
// everybody than a refusal. The orgs in it take turns: one that sends a thousand
// requests delays its own, and delays each other org by one request.
//
// # One core
//
// Work that keeps a processor busy for long shares one [Core], in turns of a few
// milliseconds, so that the other processors stay free for commands that take access
// away.
package budget

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// A Who is the caller of Take. An empty field has no share of its own.
type Who struct{ Org, Person, Token string }

// Share names a bound of a pool.
type Share string

// The shares, as refusals and metrics name them.
const (
	ShareAll    Share = "instance"
	ShareOrg    Share = "org"
	SharePerson Share = "person"
	ShareToken  Share = "token"
)

// Shares bound places, or the waiters for them. Zero means that the share has no bound
// of its own; for All it means no places at all.
type Shares struct{ All, Org, Person, Token int }

// Config describes a pool.
type Config struct {
	Name     string        // as refusals and metrics name it
	Places   Shares        // at most
	Line     Shares        // bounds of the waiters; zero means that nobody waits
	Patience time.Duration // greatest wait; zero means until the context ends
}

// Full says that a budget is used up.
type Full struct {
	Budget string
	Share  Share // the bound that was reached
	Limit  int   // of it
}

// Error names the budget and the share, and says what to do.
func (e *Full) Error() string {
	if e.Share == ShareAll {
		return fmt.Sprintf("the budget %s of this instance, %d, is used up; try again", e.Budget, e.Limit)
	}
	return fmt.Sprintf("the share of this %s in the budget %s, %d, is used up; wait for what is under way, or try again", e.Share, e.Budget, e.Limit)
}

// Pool is a number of places.
type Pool struct {
	cfg    Config
	gauges gauges

	mu      sync.Mutex // guards the fields below
	taken   counts
	waiting counts
	lines   []*line           // of the orgs with waiters
	gifts   uint64            // number of times that places were given
	last    map[string]uint64 // org -> the last gift to it, while the org has or awaits places
}

// line is the queue of one org's waiters, first in, first out.
type line struct {
	org  string
	wait []*waiter
}

type waiter struct {
	who   Who
	n     int
	ready chan struct{} // closed when it has its places
}

// New makes a pool.
func New(cfg Config, m *Metrics) *Pool {
	return &Pool{cfg: cfg, gauges: m.of(cfg), taken: counts{}, waiting: counts{}, last: map[string]uint64{}}
}

// Take takes n places, and waits for them if necessary. It fails with a [*Full], or
// with the cause of the context's end. A caller that asks for more than its share gets
// the whole share. release gives the places back and may be called more than once.
func (p *Pool) Take(ctx context.Context, who Who, n int) (release func(), err error) {
	n = max(1, p.cfg.Places.most(n))
	p.mu.Lock()
	full := p.taken.misses(p.cfg.Places, who, n)
	if full == "" {
		defer p.mu.Unlock()
		return p.give(who, n), nil
	}
	if p.waiting.misses(p.cfg.Line, who, 1) != "" {
		p.mu.Unlock()
		return nil, p.refuse(full)
	}
	w := &waiter{who, n, make(chan struct{})}
	p.enqueue(w)
	p.mu.Unlock()
	return p.await(ctx, w, full)
}

// await waits until a waiter has its places.
func (p *Pool) await(ctx context.Context, w *waiter, full Share) (release func(), err error) {
	var over <-chan time.Time
	if p.cfg.Patience > 0 {
		timer := time.NewTimer(p.cfg.Patience)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-w.ready:
		return p.releaser(w.who, w.n), nil
	case <-over:
		err = &Full{p.cfg.Name, full, p.cfg.Places.of(full)}
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dequeue(w) { // it got them at the same moment
		return p.releaser(w.who, w.n), nil
	}
	if over != nil && ctx.Err() == nil {
		p.gauges.refused(full)
	}
	return nil, err
}

// refuse counts a refusal and returns its error.
func (p *Pool) refuse(full Share) error {
	p.gauges.refused(full)
	return &Full{p.cfg.Name, full, p.cfg.Places.of(full)}
}

// give takes places for somebody. The caller holds mu.
func (p *Pool) give(who Who, n int) (release func()) {
	p.gifts++
	p.last[who.Org] = p.gifts
	p.taken.add(who, n)
	p.gauges.taken.Set(float64(p.taken[holder{ShareAll, ""}]))
	return p.releaser(who, n)
}

func (p *Pool) releaser(who Who, n int) func() {
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken.add(who, -n)
		p.gauges.taken.Set(float64(p.taken[holder{ShareAll, ""}]))
		p.serve()
		if len(p.taken) == 0 && len(p.lines) == 0 {
			clear(p.last)
		}
	})
}

// serve gives free places to the waiters. The org that has waited longest since its
// last gift comes first. The caller holds mu.
func (p *Pool) serve() {
	for w := p.next(); w != nil; w = p.next() {
		p.dequeue(w)
		p.give(w.who, w.n)
		close(w.ready)
	}
}

// next returns the waiter to serve next, nil if there is no place for any. The caller
// holds mu.
func (p *Pool) next() *waiter {
	slices.SortStableFunc(p.lines, func(a, b *line) int { return cmp.Compare(p.last[a.org], p.last[b.org]) })
	for _, l := range p.lines {
		for _, w := range l.wait {
			if p.taken.misses(p.cfg.Places, w.who, w.n) == "" {
				return w
			}
		}
	}
	return nil
}

// enqueue puts a waiter at the end of its org's line. The caller holds mu.
func (p *Pool) enqueue(w *waiter) {
	i := slices.IndexFunc(p.lines, func(l *line) bool { return l.org == w.who.Org })
	if i < 0 {
		i = len(p.lines)
		p.lines = append(p.lines, &line{org: w.who.Org})
	}
	p.lines[i].wait = append(p.lines[i].wait, w)
	p.count(w.who, 1)
}

// dequeue takes a waiter out of its queue. It returns false if the waiter is in none.
// The caller holds mu.
func (p *Pool) dequeue(w *waiter) bool {
	i := slices.IndexFunc(p.lines, func(l *line) bool { return l.org == w.who.Org })
	if i < 0 {
		return false
	}
	l := p.lines[i]
	j := slices.Index(l.wait, w)
	if j < 0 {
		return false
	}
	l.wait = slices.Delete(l.wait, j, j+1)
	if len(l.wait) == 0 {
		p.lines = slices.Delete(p.lines, i, i+1)
	}
	p.count(w.who, -1)
	return true
}

// count updates the number of waiters. The caller holds mu.
func (p *Pool) count(who Who, more int) {
	p.waiting.add(who, more)
	p.gauges.waiting.Set(float64(p.waiting[holder{ShareAll, ""}]))
}

// Name is the name of the budget.
func (p *Pool) Name() string { return p.cfg.Name }

// Places are the bounds of its places.
func (p *Pool) Places() Shares { return p.cfg.Places }

// Line is the bounds of the waiters.
func (p *Pool) Line() Shares { return p.cfg.Line }

// Taken is how many places are taken.
func (p *Pool) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken[holder{ShareAll, ""}]
}

// Waiting is the number of waiters.
func (p *Pool) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting[holder{ShareAll, ""}]
}

// holder is an org, a person, a token or the instance, whose places are counted.
type holder struct {
	share Share
	id    string
}

// holders lists the holders whose shares a caller uses.
func (w Who) holders() []holder {
	out := append(make([]holder, 0, 4), holder{ShareAll, ""})
	if w.Org != "" {
		out = append(out, holder{ShareOrg, w.Org})
	}
	if w.Person != "" {
		out = append(out, holder{SharePerson, w.Org + "/" + w.Person})
	}
	if w.Token != "" {
		out = append(out, holder{ShareToken, w.Org + "/" + w.Token})
	}
	return out
}

// counts are the places that each holder has.
type counts map[holder]int

// misses returns the narrowest share without room for n more; empty means that all have
// room.
func (c counts) misses(limits Shares, who Who, n int) Share {
	for _, h := range slices.Backward(who.holders()) {
		if c[h]+n > limits.of(h.share) {
			return h.share
		}
	}
	return ""
}

func (c counts) add(who Who, n int) {
	for _, h := range who.holders() {
		if c[h] += n; c[h] == 0 {
			delete(c, h)
		}
	}
}

// of is the bound of one share.
func (s Shares) of(share Share) int {
	bound := s.All
	switch share {
	case ShareOrg:
		bound = s.Org
	case SharePerson:
		bound = s.Person
	case ShareToken:
		bound = s.Token
	}
	if bound == 0 && share != ShareAll {
		return math.MaxInt
	}
	return bound
}

// most is the greatest number of n places that one caller may have.
func (s Shares) most(n int) int {
	for _, share := range []Share{ShareAll, ShareOrg, SharePerson, ShareToken} {
		n = min(n, s.of(share))
	}
	return n
}
