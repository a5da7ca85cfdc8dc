// Package permissions publishes the permission rows that follow from the ledger. For
// each site it publishes one delta per commit that changed its rows, and bases from
// which a reader begins.
//
// # Order, and restarts
//
// The deltas of an org are published in the order of its commits, across all its sites.
// So each delta can state up to which commit everything is in the stream once it is
// itself (done), and a restart continues at the greatest done of an org. Commits that
// change no row publish nothing; for them a small cursor is written on
// permissions.<org>._ when an org is idle. A snapshot of the org is taken at a commit
// only when that is durable, see [Projector.Settled].
//
// # Two instances
//
// Every instance computes every delta and tries to append it under the guard of the
// site's last sequence. The one that comes second reads the published delta, compares
// digests, and continues after it. Instances whose rows differ do not correct each
// other: the published rows stand, the difference is reported, and the site is marked
// as diverged until the org is loaded again. An instance may find when it begins that
// the table built from the ledger differs from the published one. It reports that and
// publishes the difference once (cause rebuilt), since the ledger is the truth, and
// improved fold code must be able to correct the rows.
//
// # When too many deltas wait
//
// Applied may not wait for the stream, so deltas queue. When an org's queue holds more
// than maxWaiting rows, the waiting deltas are merged into one per site (cause jump)
// with the last value of each row: the queue is then bounded by the rows of the org,
// and revocations reach the gateways sooner. The rows in between remain computable from
// the ledger, but were never published.
//
// # Tags
//
// A tag needs the key of the site and the number in clear, and both need the vault.
// Without the vault nothing else waits: published rows keep their tags, new credentials
// are published without one, and a delta of its own (cause tags) follows when the vault
// answers. Zero never replaces a tag.
//
// The row of the site names the version of the key, and all tags of a table belong to
// it. The ledger says which version is wanted: a new one after a gateway was stolen.
// Changes that take access away are published at once and under the present key. Then
// all tags are made again in one delta, which drops the tags whose numbers are no
// longer known; it may come late, when the vault is away. Until then a reader continues
// with the old key, and no new tag is made with it. If two instances differ in the
// version, the later one stands.
package permissions

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// Config configures a Projector. A field that is not marked optional is required.
type Config struct {
	Store   *eventstore.Store
	JS      jetstream.JetStream // of the account that holds the streams
	Bulk    jetstream.JetStream // optional: the same over another connection, for bulk reads
	Keys    vault.Keeper        // provides the keys of tags
	LogKey  ed25519.PrivateKey  // signs what is published
	Metrics prometheus.Registerer
	Now     func() time.Time // the clock
	Log     *slog.Logger
	// Horizon is how long deltas are kept that no base needs. It is optional; 0 means
	// 400 days.
	Horizon time.Duration
}

// workers is how many orgs publish concurrently. Each waits for an fsync most of the
// time.
const workers = 8

// A Projector keeps the tables of all sites of the orgs that its store holds, and
// publishes their changes. It is an [eventstore.Observer] and safe for concurrent use.
type Projector struct {
	cfg     Config
	stream  jetstream.Stream
	metrics *metrics
	turns   turns
	tagging tagging
	bases   chan baseJob

	maxWaiting, minBase int // the constants of the same names

	orgs atomic.Pointer[map[domain.ID]*org] // replaced as a whole, so that readers take no lock

	mu    sync.Mutex // guards the fields below, and the replacement of orgs
	found map[domain.ID]published
	kept  map[domain.ID]tagKeys // of evicted orgs
}

// New makes a projector and registers it as an observer of its store. It publishes
// nothing before Run.
func New(ctx context.Context, cfg Config) (*Projector, error) {
	stream, err := cfg.JS.Stream(ctx, streams.Permissions)
	if err != nil {
		return nil, fmt.Errorf("permissions: open %s: %w", streams.Permissions, err)
	}
	if cfg.Bulk == nil {
		cfg.Bulk = cfg.JS
	}
	if cfg.Horizon == 0 {
		cfg.Horizon = 400 * 24 * time.Hour
	}
	p := &Projector{cfg: cfg, stream: stream, found: map[domain.ID]published{}, kept: map[domain.ID]tagKeys{}, bases: make(chan baseJob, 64),
		maxWaiting: maxWaiting, minBase: minBase}
	p.turns.init()
	p.tagging.init()
	p.orgs.Store(&map[domain.ID]*org{})
	p.metrics = newMetrics(cfg.Metrics, p)
	cfg.Store.Observe(p)
	return p, nil
}

// Run publishes until the context ends. Everything that is not published then is
// published after the next start.
func (p *Projector) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, p.turns.close)
	defer stop()
	for range workers {
		g.Go(func() error { return p.work(ctx) })
	}
	g.Go(func() error { return p.tagLoop(ctx) })
	g.Go(func() error { return p.baseLoop(ctx) })
	return g.Wait()
}

// Table is the table of a site as of the last commit that the store has applied. The
// service's own decisions use it. It is nil when the store does not hold the org (see
// [eventstore.Store.Hold]) or there is no such site. It takes no lock.
func (p *Projector) Table(orgID, siteID domain.ID) *unlock.Table {
	if o := p.org(orgID); o != nil {
		if s := o.site(siteID); s != nil {
			return s.table.Load()
		}
	}
	return nil
}

func (p *Projector) org(id domain.ID) *org { return (*p.orgs.Load())[id] }

// From implements [eventstore.Observer]. It reads the published state of the org, and
// returns the last commit up to which nothing is missing. It returns math.MaxUint64
// when nothing was ever published, so that the org begins with its whole tables.
func (p *Projector) From(ctx context.Context, id domain.ID) (uint64, error) {
	if id == domain.SystemOrg {
		return math.MaxUint64, nil
	}
	pub, err := p.readPublished(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("permissions: read what is published of %s: %w", id, err)
	}
	p.mu.Lock()
	p.found[id] = pub
	p.mu.Unlock()
	if pub.none() {
		return math.MaxUint64, nil
	}
	return pub.done, nil
}

// Seen implements [eventstore.Observer]: the last commit that any published message
// names.
func (p *Projector) Seen(id domain.ID) wire.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found[id].seen()
}

// Begin implements [eventstore.Observer].
func (p *Projector) Begin(id domain.ID, state *domain.State, head eventstore.Head) {
	if id == domain.SystemOrg {
		return
	}
	state.WatchChanges()
	p.mu.Lock()
	pub := p.found[id]
	delete(p.found, id)
	keys := p.kept[id]
	p.mu.Unlock()

	old := p.org(id)
	if old != nil {
		keys = old.tagKeys()
	}
	o := newOrg(p, id, pub, head)
	o.begin(state, keys)
	if old != nil {
		old.end()
	}
	p.mu.Lock()
	next := maps.Clone(*p.orgs.Load())
	next[id] = o
	p.orgs.Store(&next)
	p.mu.Unlock()
	o.wake()
}

// Applied implements [eventstore.Observer].
func (p *Projector) Applied(id domain.ID, state *domain.State, _ *schemas.Commit, head eventstore.Head) {
	if o := p.org(id); o != nil {
		o.applied(state, head)
		o.wake()
	}
}

// Settled implements [eventstore.Observer]: the last commit up to which everything is
// published and From will know it after a restart. A site that diverged holds it back,
// so that no snapshot keeps a state that may be wrong.
func (p *Projector) Settled(id domain.ID) uint64 {
	if o := p.org(id); o != nil {
		return o.settled()
	}
	return math.MaxUint64
}

// End implements [eventstore.Observer]. An org stays while one of its deltas or tags
// waits, or while its published rows differ.
func (p *Projector) End(id domain.ID) bool {
	o := p.org(id)
	if o == nil {
		return true
	}
	if !o.endIdle() {
		return false
	}
	keys := o.tagKeys()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept[id] = keys
	next := maps.Clone(*p.orgs.Load())
	delete(next, id)
	p.orgs.Store(&next)
	return true
}

// Published is the last commit of an org up to which all row changes are in the stream.
// It is 0 for an org that the store does not hold. A lease is answered by it and by the
// ledger's head, while the store holds the org.
func (p *Projector) Published(id domain.ID) uint64 {
	o := p.org(id)
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.publishedTo()
}

// Wait waits until an org is published up to commit n, or the context ends.
func (p *Projector) Wait(ctx context.Context, id domain.ID, n uint64) error {
	release, err := p.cfg.Store.Hold(ctx, id)
	if err != nil {
		return fmt.Errorf("permissions: wait for %s: %w", id, err)
	}
	defer release()
	return p.await(ctx, id, func(o *org) bool { return o.publishedTo() >= n })
}

// Flush waits until everything that the store has applied is published and a restart
// will know it. It also returns when the context ends. Call it before the store is
// closed, so that the store can take its snapshots.
func (p *Projector) Flush(ctx context.Context) error {
	for id, o := range *p.orgs.Load() {
		o.askCursor()
		if err := p.await(ctx, id, func(o *org) bool { return len(o.queue) == 0 && o.durable >= o.head.N }); err != nil {
			return err
		}
	}
	return nil
}

// await waits until holds is true for an org. It calls holds with the org locked.
func (p *Projector) await(ctx context.Context, id domain.ID, holds func(*org) bool) error {
	for {
		o := p.org(id)
		if o == nil { // evicted, after everything was published
			return nil
		}
		o.mu.Lock()
		ok, moved := holds(o), o.moved
		o.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("permissions: %s is published up to %d: %w", id, p.Published(id), context.Cause(ctx))
		}
	}
}
