package permissions

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

const (
	// maxWaiting is how many rows of an org may wait to be published. If there are
	// more, they are merged into one delta per site. A row is about 400 bytes.
	maxWaiting = 100_000
	// pinned is how many waiting deltas of an org keep their resulting table. That
	// saves building it again. But a table retains memory that later ones replaced, up
	// to some 100 MB for a list of 1,000 at a site of a million.
	pinned = 4
)

// org is the projector's data of one org, from one Begin to the next.
type org struct {
	id domain.ID
	p  *Projector

	sites  atomic.Pointer[map[domain.ID]*site] // replaced as a whole
	cursor cursor                              // used by the turn alone

	mu      sync.Mutex // guards the fields below
	head    eventstore.Head
	found   map[domain.ID]publishedSite // of sites that are not in the state yet
	queue   []*entry
	rows    int    // in the queue
	merged  int    // rows in it after the last merge
	durable uint64 // the last commit that From would return
	ended   bool   // the projector no longer uses it
	queued  bool   // in the queue of turns, or having a turn
	woken   bool   // asked for a further turn while queued
	waiting bool   // for further commits
	pause   time.Duration
	asked   bool        // the cursor must be written now
	delay   *time.Timer // until it is written
	moved   chan struct{}
	changes changes
}

// entry is a delta that waits to be published.
type entry struct {
	site  *site
	cause wire.DeltaCause
	head  wire.PermissionHead // without the digest
	put   []unlock.Row
	gone  []unlock.Key
	key   uint32 // version of the key of its tags
	since time.Time

	// The tables before and after it; nil when many deltas wait.
	before, after *unlock.Table
}

func (e *entry) rows() int { return len(e.put) + len(e.gone) }

func newOrg(p *Projector, id domain.ID, pub published, head eventstore.Head) *org {
	o := &org{id: id, p: p, head: head, found: pub.sites, durable: pub.done, moved: make(chan struct{}), cursor: pub.cursor, changes: changes{after: head.N}}
	if pub.none() {
		o.durable = 0
	}
	return o
}

// begin builds the tables of all sites from the state.
func (o *org) begin(state *domain.State, keys tagKeys) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sites := map[domain.ID]*site{}
	for id, row := range state.Sites.All() {
		s := o.newSite(id)
		s.want(row.TagKey())
		if key, ok := keys[id]; ok {
			s.setKey(key)
		}
		sites[id] = s
		rows, untagged := state.Rows(id, s.tag)
		s.begin(rows, untagged)
	}
	o.sites.Store(&sites)
	o.p.tagging.ask(o)
}

// end marks the org as ended, because another one takes its place.
func (o *org) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLocked()
}

// endIdle marks the org as ended unless it has pending work.
func (o *org) endIdle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queued || o.waiting || len(o.queue) > 0 || o.durable < o.head.N || o.lacksTags() {
		return false
	}
	for _, s := range *o.sites.Load() {
		if s.diverged > 0 {
			return false
		}
	}
	o.endLocked()
	return true
}

func (o *org) endLocked() {
	o.ended = true
	if o.delay != nil {
		o.delay.Stop()
	}
	close(o.moved)
	o.moved = make(chan struct{})
}

func (o *org) site(id domain.ID) *site { return (*o.sites.Load())[id] }

// newSite is a site without rows, with its published state.
func (o *org) newSite(id domain.ID) *site {
	s := &site{id: id, org: o, untagged: map[string]struct{}{}}
	s.table.Store(new(unlock.Table))
	s.published, s.known = o.found[id]
	delete(o.found, id)
	if !s.known {
		s.published = publishedSite{table: new(unlock.Table)}
	}
	s.sinceBase = s.published.sinceBase
	s.baseSize.Store(int64(s.published.baseSize))
	return s
}

// applied applies the changes of a commit. The store holds the org meanwhile.
func (o *org) applied(state *domain.State, head eventstore.Head) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.head = head
	var changed []domain.ID
	untagged := false
	for _, change := range state.TakeChanges(o.tag) {
		s := o.site(change.Site)
		if s == nil {
			s = o.newSite(change.Site)
			s.appear()
			sites := maps.Clone(*o.sites.Load())
			sites[change.Site] = s
			o.sites.Store(&sites)
			untagged = true
		}
		if s.apply(change) {
			changed = append(changed, s.id)
		}
		untagged = untagged || s.lacksTags()
	}
	o.changes.note(head.N, changed)
	o.merge()
	o.delayCursor()
	if untagged {
		o.p.tagging.ask(o)
	}
}

// tag makes a tag with the key of a site, if the key is available.
func (o *org) tag(siteID domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
	if s := o.site(siteID); s != nil {
		return s.tag(siteID, kind, format, number)
	}
	return unlock.Tag{}, false
}

// position is the org's position in the form of a delta's head. The caller holds the
// org's lock.
func (o *org) position() wire.PermissionHead {
	return wire.PermissionHead{Epoch: o.head.Position().Epoch, N: o.head.N, Hash: o.head.Hash, At: o.head.At}
}

// enqueue appends a delta to the queue. The caller holds the org's lock.
func (o *org) enqueue(e *entry) {
	e.since, e.key = o.p.cfg.Now(), e.site.tagVersion()
	if len(o.queue) >= pinned {
		e.before, e.after = nil, nil
	}
	o.queue = append(o.queue, e)
	o.rows += e.rows()
}

// remove removes deltas from the queue. The caller holds the org's lock.
func (o *org) remove(drop func(*entry) bool) {
	o.queue = slices.DeleteFunc(o.queue, func(e *entry) bool {
		if !drop(e) {
			return false
		}
		o.rows -= e.rows()
		return true
	})
	o.merged = min(o.merged, o.rows)
}

// merge merges the waiting deltas into one per site when there are too many rows. The
// first stays unchanged, because it may be in flight. The caller holds the org's lock.
func (o *org) merge() {
	if o.rows <= max(o.p.maxWaiting, 2*o.merged) || len(o.queue) < 3 {
		return
	}
	first, rest := o.queue[0], o.queue[1:]
	o.queue, o.rows = []*entry{first}, first.rows()
	last := map[*site][]*entry{}
	var sites []*site
	for _, e := range rest {
		if last[e.site] == nil {
			sites = append(sites, e.site)
		}
		last[e.site] = append(last[e.site], e)
	}
	for _, s := range sites {
		e := &entry{site: s, cause: wire.CauseJump, head: o.position()}
		e.put, e.gone = lastRows(last[s])
		o.enqueue(e)
		e.since = rest[0].since
	}
	o.merged = o.rows
	o.p.cfg.Log.Warn("too many permission deltas wait; they are merged", "org", o.id, "rows", o.rows, "position", o.head.Position().String())
	o.p.metrics.jumps.Inc()
}

// lastRows merges the deltas of one site, in order: the last value of each row counts.
func lastRows(deltas []*entry) (put []unlock.Row, gone []unlock.Key) {
	last := map[unlock.Key]unlock.Row{}
	for _, e := range deltas {
		for _, r := range e.put {
			last[r.Key()] = r
		}
		for _, k := range e.gone {
			last[k] = nil
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(last), unlock.Key.Compare) {
		if r := last[k]; r != nil {
			put = append(put, r)
		} else {
			gone = append(gone, k)
		}
	}
	return put, gone
}

// publishedTo is the last commit up to which nothing waits. Late tags do not count:
// they give access and take none away. The caller holds the org's lock.
func (o *org) publishedTo() uint64 {
	for _, e := range o.queue {
		if e.cause != wire.CauseTags {
			return min(e.head.N-1, o.head.N)
		}
	}
	return o.head.N
}

// settled is the commit up to which From will know after a restart that everything is
// published.
func (o *org) settled() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(o.publishedTo(), o.durable)
	for _, s := range *o.sites.Load() {
		if s.diverged > 0 {
			n = min(n, s.diverged-1)
		}
	}
	if o.durable < o.head.N && len(o.queue) == 0 {
		o.asked = true // a snapshot waits for the cursor
		o.wakeLocked()
	}
	return n
}

// due reports whether the org needs a turn. The caller holds the org's lock.
func (o *org) due() bool {
	return !o.ended && (len(o.queue) > 0 || o.asked && o.durable < o.head.N)
}
