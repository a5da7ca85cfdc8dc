package permissions

import (
	"context"
	"errors"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// follow reads what was published of a site after its known end. It compares that with
// the own rows of the same commits. Another instance published it, or this one before
// its acknowledgement was lost.
func (p *Projector) follow(ctx context.Context, o *org, s *site) outcome {
	subject := subject(o.id, s.id)
	pub := s.published
	reader := wire.ResumeSiteTable(wire.ID(o.id), wire.ID(s.id), pub.table, pub.head)
	first := pub.seq + 1
	for seq := first; ; {
		msg, err := p.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			if seq == first { // a write is still in flight
				return retry
			}
			s.endsAt(seq - 1)
			return more
		}
		if err != nil {
			if ctx.Err() == nil {
				p.cfg.Log.Warn("published permissions cannot be read; trying again", "org", o.id, "site", s.id, "error", err)
			}
			return retry
		}
		seq = msg.Sequence + 1
		delta, err := reader.Take(msg.Data)
		if err != nil {
			return s.beginAnew(ctx, p, err)
		}
		s.sinceBase += len(msg.Data)
		if delta == nil {
			continue
		}
		pub.table, pub.head, pub.seq = reader.Table(), reader.Head(), msg.Sequence
		if s.adopt(pub, delta.Done) {
			return more // the turn waits for the ledger
		}
		s.meet()
	}
}

// endsAt notes the end of the subject. It may come after parts of a delta that was not
// finished.
func (s *site) endsAt(seq uint64) {
	s.org.mu.Lock()
	defer s.org.mu.Unlock()
	s.published.seq = seq
}

// adopt notes what another instance published, for comparison. It reports whether it
// belongs to a commit that this instance has not applied yet.
func (s *site) adopt(pub publishedSite, done uint64) (behind bool) {
	o := s.org
	o.mu.Lock()
	defer o.mu.Unlock()
	s.published, s.known, s.ahead = pub, true, true
	o.durable = max(o.durable, done)
	return o.position().Before(pub.head)
}

// beginAnew publishes the whole table after a message that cannot be read.
func (s *site) beginAnew(ctx context.Context, p *Projector, cause error) outcome {
	o := s.org
	last, err := p.stream.GetLastMsgForSubject(ctx, subject(o.id, s.id))
	if err != nil {
		p.cfg.Log.Warn("published permissions cannot be read; trying again", "org", o.id, "site", s.id, "error", err)
		return retry
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s.published.seq = last.Sequence
	s.published.tooNew = errors.Is(cause, wire.ErrPermissionsTooNew)
	s.published.broken = !s.published.tooNew
	s.report("published permissions cannot be read: "+cause.Error(), o.position(), domain.SiteChange{})
	s.unreadable()
	if s.frozen {
		return more
	}
	s.mine = s.replacePublished(s.published)
	return more
}

// meet compares the published table of a commit with the own one. It then counts the
// own deltas up to that commit as published. The own head has reached that commit.
func (s *site) meet() {
	o, pub := s.org, s.published
	if pub.head.Before(s.began) {
		s.rebase()
		return
	}
	o.mu.Lock()
	var own []*entry
	for _, e := range o.queue {
		if e.site == s && !pub.head.Before(e.head) {
			own = append(own, e)
		}
	}
	forked := o.position().Epoch > pub.head.Epoch
	o.mu.Unlock()

	mine := s.mine
	for i, e := range own {
		mine = s.step(mine, e)
		if e.head.N == pub.head.N && mine.Digest() == pub.head.Digest {
			own = own[:i+1] // later tags have a delta of their own
			break
		}
	}
	s.ahead = false
	if mine.Digest() != pub.head.Digest {
		mine = s.reconcile(mine, pub, forked)
	}
	s.advance(mine, pub)
	if len(own) > 0 {
		s.take(own[len(own)-1], pub.head)
	}
}

// rebase accepts a table that another instance published of a commit before this one
// began with the site. The rows of that time were never made here, so nothing can be
// compared. The difference from the published table to the own one is queued, in place
// of the difference from the table that was published before.
func (s *site) rebase() {
	o, pub := s.org, s.published
	o.mu.Lock()
	i := slices.IndexFunc(o.queue, func(e *entry) bool { return e.site == s })
	at, own := s.mine, i >= 0 && o.queue[i].cause != wire.CauseCommit
	var was *entry
	if own {
		was = o.queue[i]
		at = s.step(s.mine, was)
	}
	if pub.table.TagKey() > at.TagKey() {
		at = s.takeTags(at, pub.table)
	}
	rows := slices.Collect(at.All())
	e := &entry{site: s, cause: wire.CauseBegin, head: s.began, since: o.p.cfg.Now(), key: at.TagKey()}
	e.put, e.gone = differing(pub.table, rows, everyKey(pub.table, rows), e.key)
	if own {
		e.cause, e.head, e.since = was.cause, was.head, was.since
		o.remove(func(q *entry) bool { return q == was })
	} else {
		i = slices.IndexFunc(o.queue, func(q *entry) bool { return s.began.Before(q.head) })
	}
	if e.rows() > 0 {
		if i < 0 {
			i = len(o.queue)
		}
		o.queue = slices.Insert(o.queue, i, e)
		o.rows += e.rows()
	}
	s.offerTags(pub.table)
	o.mu.Unlock()
	s.ahead = false
	s.advance(pub.table, pub)
}

// reconcile handles published rows that differ from the own ones of the same commit.
// Tags are copied or published. For the rest the published rows stand, unless they
// belong to an epoch whose commits the ledger does not have. It returns the table for
// the next delta.
func (s *site) reconcile(mine *unlock.Table, pub publishedSite, forked bool) *unlock.Table {
	o := s.org
	o.mu.Lock()
	defer o.mu.Unlock()
	rows := slices.Collect(mine.All())
	c := domain.SiteChange{}
	c.Put, c.Delete = differing(pub.table, rows, everyKey(pub.table, rows), mine.TagKey())
	switch {
	case onlyTags(pub.table, c):
		mine = s.takeTags(mine, pub.table)
		s.offerTags(pub.table)
	case forked:
		s.report("permissions are published of commits that the ledger does not have; they are published again", pub.head, c)
		return s.replacePublished(pub)
	default:
		s.diverged = max(pub.head.N, 1)
		s.report("another instance published other permissions for the same commit; they stand", pub.head, c)
	}
	return mine
}

// replacePublished queues the difference from the published table to the present one,
// in place of the site's pending deltas. It returns the table for the next delta. The
// caller holds the org's lock.
func (s *site) replacePublished(pub publishedSite) *unlock.Table {
	o := s.org
	o.remove(func(q *entry) bool { return q.site == s })
	rows := slices.Collect(s.table.Load().All())
	c := domain.SiteChange{}
	c.Put, c.Delete = differing(pub.table, rows, everyKey(pub.table, rows), s.tagVersion())
	if len(c.Put)+len(c.Delete) > 0 {
		o.enqueue(&entry{site: s, cause: wire.CauseRebuilt, head: o.position(), put: c.Put, gone: c.Delete})
	}
	return pub.table
}

// report logs and counts a difference at a commit.
func (s *site) report(what string, at wire.PermissionHead, c domain.SiteChange) {
	var keys []string
	for _, r := range c.Put {
		keys = append(keys, r.Key().String())
	}
	for _, k := range c.Delete {
		keys = append(keys, k.String())
	}
	const shown = 5
	s.org.p.cfg.Log.Error(what, "org", s.org.id, "site", s.id, "position", at.Position().String(),
		"rows", len(keys), "keys", keys[:min(len(keys), shown)])
	s.org.p.metrics.divergence.Inc()
}
