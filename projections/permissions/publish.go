package permissions

import (
	"context"
	"errors"
	"slices"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

// subject is the subject of a site's deltas.
func subject(org, site domain.ID) string {
	return "permissions." + string(org) + "." + string(site)
}

// turn publishes at most one delta of an org. An org has one turn at a time.
func (p *Projector) turn(ctx context.Context, o *org) outcome {
	o.mu.Lock()
	if o.ended {
		o.mu.Unlock()
		return idle
	}
	if len(o.queue) == 0 {
		write := o.asked && o.durable < o.head.N
		o.asked = write
		n := o.head.N
		o.mu.Unlock()
		if !write {
			return idle
		}
		return p.writeCursor(ctx, o, n)
	}
	e, head := o.queue[0], o.position()
	o.mu.Unlock()
	s := e.site
	switch {
	case !o.cursor.known:
		// Without the cursor a crash among the first deltas of the org would leave
		// nothing that says where to continue.
		return p.writeCursor(ctx, o, e.doneBefore())
	case s.frozen:
		s.take(e, e.head)
		return more
	case s.ahead && head.Before(s.published.head):
		return wait
	case s.ahead:
		s.meet()
		return more
	case !s.known && head.N < o.cursor.done:
		return wait
	case !s.known && o.gather(e):
		return more
	}
	return p.publish(ctx, o, e)
}

// doneBefore is the commit up to which nothing is missing before the delta is
// published. For a first delta that is its own commit, since an unpublished site begins
// as a whole.
func (e *entry) doneBefore() uint64 {
	if e.cause == wire.CauseBegin {
		return e.head.N
	}
	return e.head.N - 1
}

// gather merges a site's first delta with its later ones up to the cursor. It reports
// whether there were any. The cursor of another instance may be beyond the first delta:
// it means that an unpublished site begins as a whole at that commit or later, and a
// start in between would take the missing rows for a difference.
func (o *org) gather(first *entry) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []*entry
	for _, e := range o.queue {
		if e.site == first.site && e.head.N <= o.cursor.done {
			all = append(all, e)
		}
	}
	if len(all) < 2 {
		return false
	}
	last := all[len(all)-1]
	e := &entry{site: first.site, cause: first.cause, head: last.head, since: first.since, key: last.key}
	e.put, e.gone = lastRows(all)
	o.remove(func(q *entry) bool { return slices.Contains(all, q) })
	o.queue = slices.Insert(o.queue, 0, e)
	o.rows += e.rows()
	return true
}

// publish appends a delta after the published ones of its site.
func (p *Projector) publish(ctx context.Context, o *org, e *entry) outcome {
	s := e.site
	mine := s.step(s.mine, e)
	d := wire.PermissionDelta{
		Org: wire.ID(o.id), Site: wire.ID(s.id), Cause: e.cause, Epoch: e.head.Epoch, N: e.head.N, Hash: e.head.Hash, At: e.head.At.UTC(),
		PrevN: s.published.head.N, PrevDigest: s.published.head.Digest, Put: e.put, Delete: e.gone, Done: o.doneWith(e),
	}
	next := mine
	if e.before != s.mine || s.published.table != s.mine { // it was made for another table
		d.Put, d.Delete = differing(s.published.table, e.put, e.gone, e.key)
		if len(d.Put)+len(d.Delete) == 0 {
			s.advance(mine, s.published)
			s.take(e, e.head)
			return more
		}
		next = s.step(s.published.table, &entry{head: e.head, put: d.Put, gone: d.Delete, key: max(e.key, s.published.table.TagKey())})
	}
	d.Digest = next.Digest()
	d.Sign(p.cfg.LogKey)
	bodies, err := d.Encode()
	if err != nil {
		p.cfg.Log.Error("a permission delta cannot be written", "org", o.id, "site", s.id, "position", e.head.Position().String(), "error", err)
		return retry
	}
	seq, err := p.cfg.Store.GuardedAppend(ctx, streams.Permissions, subject(o.id, s.id), bodies, s.published.seq)
	switch {
	case errors.Is(err, eventstore.ErrConflict):
		return p.follow(ctx, o, s)
	case err != nil:
		if ctx.Err() == nil {
			p.cfg.Log.Warn("a permission delta cannot be published; trying again", "org", o.id, "site", s.id, "position", e.head.Position().String(), "error", err)
		}
		return retry
	}
	p.tell(o.id, s.id, bodies)
	pub := s.published
	pub.table, pub.head, pub.seq, pub.signed = next, d.Head(), seq, true
	s.sinceBase += p.metrics.published(bodies)
	s.advance(mine, pub)
	s.take(e, e.head)
	o.madeDurable(d.Done)
	p.askBase(s)
	return more
}

// tell tells the site's gateways of a delta that is durable. Nothing waits for them: one
// that misses it finds out when it asks for its lease.
func (p *Projector) tell(org, site domain.ID, bodies [][]byte) {
	for _, body := range bodies {
		if err := p.cfg.JS.Conn().Publish(wire.TableSubject(wire.ID(org), wire.ID(site)), body); err != nil {
			p.cfg.Log.Warn("the gateways of a site are not told of a change; they will ask", "org", org, "site", site, "error", err)
			return
		}
	}
}

// step is the table after a delta. A delta that this instance made for this very table
// has it cached.
func (s *site) step(t *unlock.Table, e *entry) *unlock.Table {
	if e.after != nil && e.before == t {
		return e.after
	}
	c := domain.SiteChange{}
	c.Put, c.Delete = differing(t, e.put, e.gone, e.key)
	return s.change(e.head, t, &c)
}

// advance moves the site to its next delta: mine is the table before it, pub the
// published state now. Tables with one digest become the same table, so that the next
// delta is applied once.
func (s *site) advance(mine *unlock.Table, pub publishedSite) {
	o := s.org
	o.mu.Lock()
	defer o.mu.Unlock()
	if pub.table.Digest() == mine.Digest() {
		pub.table = mine
	}
	s.mine, s.published, s.known = mine, pub, true
}

// take removes the site's deltas from the queue up to e. If e is no longer there, it
// removes those up to head.
func (s *site) take(e *entry, head wire.PermissionHead) {
	o := s.org
	o.mu.Lock()
	defer o.mu.Unlock()
	done := false
	o.remove(func(q *entry) bool {
		if q.site != s || done || head.Before(q.head) {
			return false
		}
		done = q == e
		return true
	})
	if now := s.table.Load(); s.mine != nil && now != s.mine && !o.has(s) && now.Digest() == s.mine.Digest() {
		if s.published.table == s.mine {
			s.published.table = now
		}
		s.mine = now
	}
}

// has reports whether a delta of the site waits. The caller holds the org's lock.
func (o *org) has(s *site) bool {
	for _, e := range o.queue {
		if e.site == s {
			return true
		}
	}
	return false
}

// doneWith is the commit up to which everything is published once e is.
func (o *org) doneWith(e *entry) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	behind := false
	for _, q := range o.queue {
		if behind && q.cause != wire.CauseTags {
			return q.head.N - 1
		}
		behind = behind || q == e
	}
	return o.head.N
}

// madeDurable notes the commit up to which a restart will know that everything is
// published.
func (o *org) madeDurable(n uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.durable = max(o.durable, n)
}
