// Package eventstore keeps the ledger on JetStream: it takes commands to commits,
// holds the state of every org in memory, and gives history back.
//
// # Order and retries
//
// One message is one commit is one accepted command, on one literal subject per org.
// Each is appended under the guard that the subject's last sequence is the one that
// was decided on. The guard alone makes a commit happen once: the server's duplicate
// window is not used, because R1 and R3 disagree on it and it forgets. A repeat of a
// guarded message either takes the place it was meant for or conflicts, and after a
// conflict the tail is read and tells whether the commit is there. So an unsettled
// outcome is never guessed.
//
// # The nodes of an org
//
// Every node that executes commands of an org holds its state and follows the
// ledger; any number of nodes may write. Commands of one org on one node pass one
// queue with three lanes: commands that take access away go first, long lists of
// them after short ones, and the rest last.
//
// # The orgs in memory
//
// An org is loaded on its first use. Beyond a number of orgs, those unused for longest
// are evicted, see [Config.Memory]: never while somebody has one, and only when its
// snapshot is at its head and its observers have nothing left to do. A load is a
// snapshot and the commits after it, so an org answers the same after an eviction. A
// commit of another node to an org that is not in memory makes this node visit the
// org, since the other may be gone before its projections have worked.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
	"gatehouse/eventstore/clock"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// Config says how to open a store. Fields not marked optional are required.
type Config struct {
	Conn        *nats.Conn           // to the server or cluster, of the account that holds the streams
	Bulk        *nats.Conn           // optional: another to the same, for what is read in bulk: a commit never waits behind it
	System      *nats.Conn           // optional: to its system account, to check settings
	Embedded    *natsserver.Embedded // optional: the server when it runs in this process
	Replicas    int                  // of the streams: 1, 3 or 5; 0 means 1
	Snapshots   string               // directory for snapshots of the orgs' states
	Marks       *mark.Marks          // optional: where the ledgers end, as known outside the ledger
	Keys        vault.Keeper         // keys of personal data
	Vault       *vault.Vault         // optional: the same, on the instance that holds the vault
	Memory      int                  // orgs to hold in memory, those in use aside; 0 means 500
	AdoptVault  bool                 // take Vault for the ledger's though it is another than before
	AllowUnsafe bool                 // run on settings that can lose acknowledged commits
	AwaitLedger bool                 // let the instance that holds the vault make the ledger, for a while
	Restoring   bool                 // it is the restore that opens the ledger, which is not whole yet
	// Destroyed is told of keys before they are destroyed; optional. When it fails they
	// are not.
	Destroyed func(org domain.ID, keys []string) error
	Now       func() time.Time     // the clock
	Clock     *clock.Clock         // optional: what Now is of; without it the time is always trusted
	Panics    *Panics              // optional: where panics are noted; without it the store has a record of its own
	elapsed   func() time.Duration // in tests: the time since the store was opened
	Log       *slog.Logger
}

// A Store is an open ledger. Its methods may be called from many goroutines.
type Store struct {
	cfg     Config
	js      jetstream.JetStream
	bulk    jetstream.JetStream // reads in bulk
	ledger  jetstream.Stream
	log     *slog.Logger
	metrics *Metrics
	created time.Time // of the ledger stream: its identity
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup    // tail, workers, snapshots, fences, what keeps memory, the check
	unsafe  []streams.Setting // of streams and the embedded server, that it was told to run on
	seen    uint64            // last sequence of the ledger that the tail has seen; of its one goroutine
	pools   keyPools
	// unsettledSince is when appends began to have no telling answer, in Unix
	// nanoseconds; 0: the last one had.
	unsettledSince atomic.Int64
	clockWatch     clockWatch // of its one goroutine
	panics         *Panics
	fences         *fences // nil on a node without the vault
	vaultBeyond    uint64  // sequence up to which the vault has followed a ledger that is shorter; 0: it is not
	servers        servers // of an external cluster
	disk           disk    // of the embedded server
	streams        streamState
	current        currency
	walking        sync.Mutex            // held by a walk through the files of a stream
	files          *natsserver.FileWatch // nil without the embedded server; of the goroutine that watches them
	top            atomic.Uint64         // highest sequence of a commit that an org was brought to

	copies *budget.Pool // of orgs, for large dry runs
	loads  *budget.Pool // of orgs, for requests that have proven nothing yet
	core   *budget.Core // of all heavy work

	heldLimit time.Duration // as the constant; less in tests

	crowded  signal     // there are more orgs in memory than may be
	visits   signal     // there are orgs in toVisit
	trimming sync.Mutex // held while orgs are let go

	mu        sync.Mutex // guards what follows; never taken while waiting for an org's own
	orgs      map[domain.ID]*org
	uses      uint64                 // of orgs, counted: the order of their last uses
	evictedAt map[domain.ID]uint64   // of orgs that were let go: the sequence up to which observers saw them
	parted    map[domain.ID]parted   // what is known of orgs that were let go
	toVisit   map[domain.ID]struct{} // orgs with commits that observers have not seen
	damaged   map[domain.ID]damage
	flaws     flaws
	observers []Observer
	closed    bool
}

// An Observer sees the state of every org that the store holds, commit by commit.
// Its methods run while the org is held, so they must be quick and may not call
// the store.
type Observer interface {
	// From names the last commit of an org whose effects the observer does not
	// need again; the store begins there or, without a usable snapshot, earlier.
	From(ctx context.Context, org domain.ID) (n uint64, err error)
	// Seen names the last commit of an org of which the observer keeps a trace of its
	// own, as From found it; zero: of none. It is asked after From.
	Seen(org domain.ID) wire.Position
	// Begin gives the state at which observation of an org starts or starts again.
	Begin(org domain.ID, state *domain.State, head Head)
	// Applied gives the state after each further commit.
	Applied(org domain.ID, state *domain.State, commit *schemas.Commit, head Head)
	// Settled names the last commit of an org of which the observer has nothing
	// left to do. Snapshots are not taken beyond it.
	Settled(org domain.ID) uint64
	// End lets go of an org that leaves memory, until it begins again. It reports
	// false when the observer still works on the org, which then stays; so it may be
	// asked without effect when another observer does.
	End(org domain.ID) bool
}

// Head is where the ledger of an org stands on this node.
type Head struct {
	Epoch uint64
	N     uint64
	Hash  wire.Hash // of the last body
	At    time.Time // of the last commit
	seq   uint64    // of the last message in the stream; never leaves the package
}

// Position is the head's position.
func (h Head) Position() wire.Position { return wire.Position{Epoch: max(h.Epoch, 1), N: h.N} }

// Now is the present moment of the org by a clock: never before its last commit. By a
// clock that was set back, what has ended would be good again.
func (h Head) Now(clock time.Time) time.Time {
	if clock.Before(h.At) {
		return h.At
	}
	return clock
}

// ErrUnsafeStore says that a setting could lose what was acknowledged. The error
// that wraps it lists the settings.
var ErrUnsafeStore = errors.New("the store could lose acknowledged commits")

// Open opens a store and starts to follow the ledger. It makes or checks the streams,
// refuses servers that could lose an acknowledged commit, and appends nothing while a
// stream could. When this node holds the vault, it destroys the keys that the ledger
// has fenced. Observers are added before the first org is used.
func Open(ctx context.Context, cfg Config, metrics *Metrics) (*Store, error) {
	if cfg.Replicas == 0 {
		cfg.Replicas = 1
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	if cfg.Panics == nil {
		cfg.Panics = NewPanics(metrics, cfg.Now, cfg.Log)
	}
	js, err := jetstream.New(cfg.Conn, jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		return nil, fmt.Errorf("eventstore: %w", err)
	}
	bulk := js
	if cfg.Bulk != nil {
		if bulk, err = jetstream.New(cfg.Bulk, jetstream.WithDefaultTimeout(apiTimeout)); err != nil {
			return nil, fmt.Errorf("eventstore: %w", err)
		}
	}
	var unsafe []streams.Setting
	var servers natsserver.Survey
	if cfg.Embedded != nil {
		unsafe = cfg.Embedded.Unsafe()
	} else if servers, unsafe, err = natsserver.CheckServers(ctx, cfg.System, cfg.Replicas); err != nil {
		return nil, err
	}
	if err := cfg.refuse(append(servers.Unsafe(), unsafe...)); err != nil {
		return nil, err // before the streams, which too few servers do not give
	}
	if err := cfg.checkRemains(ctx, js); err != nil {
		return nil, err // before the streams are made, which would hide the loss
	}
	found, err := cfg.openStreams(ctx, js)
	if err != nil {
		return nil, err
	}
	if cfg.Embedded != nil {
		if err := cfg.Embedded.CheckStreamEnds(); err != nil {
			return nil, err
		}
	}
	if cfg.AllowUnsafe {
		unsafe = append(unsafe, found.Unsafe...)
	}
	ledger, err := js.Stream(ctx, streams.Ledger)
	if err != nil {
		return nil, fmt.Errorf("eventstore: open the ledger: %w", err)
	}
	if ledger.CachedInfo().Config.Metadata[streams.RestoringKey] != "" && !cfg.Restoring {
		return nil, fmt.Errorf("eventstore: %w", streams.ErrRestoring)
	}
	s := &Store{cfg: cfg, js: js, bulk: bulk, ledger: ledger, log: cfg.Log, metrics: metrics, panics: cfg.Panics, unsafe: unsafe,
		created: ledger.CachedInfo().Created, orgs: map[domain.ID]*org{}, evictedAt: map[domain.ID]uint64{}, toVisit: map[domain.ID]struct{}{},
		copies: budget.New(copyBudget, metrics.Budgets), loads: budget.New(loadBudget, metrics.Budgets), core: budget.NewCore(metrics.Budgets),
		heldLimit: heldLimit, parted: map[domain.ID]parted{}, damaged: map[domain.ID]damage{}, flaws: flaws{orgs: map[domain.ID]error{}}, crowded: newSignal(), visits: newSignal()}
	s.streams.changed = newSignal()
	if cfg.Embedded != nil {
		s.files = cfg.Embedded.WatchFiles()
	}
	s.noteStreams(found)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.start(ctx, servers); err != nil {
		s.cancel()
		s.running.Wait()
		return nil, err
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, servers natsserver.Survey) error {
	info, err := s.ledger.Info(ctx)
	if err != nil {
		return fmt.Errorf("eventstore: look at the ledger: %w", err)
	}
	s.seen, s.streams.gap, s.streams.last = info.State.LastSeq, gapOf(info), info.State.LastSeq
	s.current.begin(s.seen, s.cfg.elapsed)
	if err := s.hearOfChanges(); err != nil {
		return err
	}
	if err := s.beginClock(ctx, s.seen); err != nil {
		return err
	}
	if s.cfg.Vault != nil {
		if err := s.bindVault(ctx); err != nil {
			return err
		}
		if err := s.startFences(ctx, info.State.FirstSeq, s.seen); err != nil {
			return err
		}
	}
	if err := s.startTail(ctx); err != nil {
		return err
	}
	if s.cfg.Embedded == nil {
		s.keepRunning("current", s.watchCurrent)
	}
	s.keepRunning("snapshots", s.snapshotLoop)
	s.keepRunning("held", s.watchHeld)
	s.keepRunning("memory", s.trimLoop)
	s.keepRunning("visits", s.visitLoop)
	s.keepRunning("check", s.checkLoop)
	s.keepRunning("streams", s.watchStreams)
	s.keepRunning("refusals", s.ageRefusals)
	if s.cfg.Marks != nil {
		s.keepRunning("witness", s.watchWitness)
	}
	if err := s.recordOverrides(ctx, s.unsafe); err != nil {
		return err
	}
	if s.cfg.Embedded != nil {
		s.lookAtDisk()
		s.keepRunning("disk", s.watchDisk)
	}
	if s.cfg.Clock != nil {
		s.lookAtClock(ctx)
		s.keepRunning("clock", s.watchClock)
	}
	if s.cfg.System == nil || s.cfg.Embedded != nil {
		return nil
	}
	if err := s.note(ctx, servers); err != nil {
		return err
	}
	s.keepRunning("servers", s.watchServers)
	return nil
}

// refuse returns an error when the store does not run on these settings. It returns nil
// when there are none, or when the operator allows them.
func (cfg *Config) refuse(unsafe []streams.Setting) error {
	if len(unsafe) == 0 || cfg.AllowUnsafe {
		return nil
	}
	return fmt.Errorf("eventstore: %w; mend this, or start with --allow-unsafe-store, which is recorded:%s", ErrUnsafeStore, streams.Lines(unsafe))
}

// recordOverrides commits to _system unsafe settings that the store runs on.
func (s *Store) recordOverrides(ctx context.Context, unsafe []streams.Setting) error {
	for _, u := range unsafe {
		s.log.Warn("the store runs on an unsafe setting", "where", u.Where, "setting", u.Setting, "value", u.Value, "needed", u.Needed)
		_, err := s.Execute(ctx, domain.SystemOrg, Request{
			ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("override/%s/%d", u, s.cfg.Now().UnixNano())), Command: "RecordOverride",
			Fields: []any{&domain.RecordOverride{Setting: u.Where + " " + u.Setting, Value: u.Value, Needed: u.Needed}},
			Actor:  domain.ServiceActor("serve"),
		})
		if err != nil {
			return fmt.Errorf("eventstore: record the override of %s: %w", u.Setting, err)
		}
	}
	return nil
}

// Observe adds an observer. It must be called before the first use of any org.
func (s *Store) Observe(o Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observers = append(s.observers, o)
}

// Close lets commands in flight finish, writes snapshots and stops following. The
// connection stays open; it is the caller's.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	orgs := make([]*org, 0, len(s.orgs))
	for _, o := range s.orgs {
		orgs = append(orgs, o)
	}
	s.mu.Unlock()
	// Every command ends within its deadline. One that runs longer hangs, and the other
	// orgs are to be written before the time of the stop is over.
	waiting, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var err error
	for _, o := range orgs {
		err = errors.Join(err, o.queue.close(waiting))
	}
	err = errors.Join(err, s.SnapshotAll(ctx), s.keepClock(ctx))
	s.cancel()
	err = errors.Join(err, waitAll(ctx, &s.running))
	if s.fences != nil {
		err = errors.Join(err, s.fences.save(ctx))
	}
	return err
}

// Budgets are the metrics of all budgets, for a caller that has further ones.
func (s *Store) Budgets() *budget.Metrics { return s.metrics.Budgets }

// Core is what heavy work shares.
func (s *Store) Core() *budget.Core { return s.core }

// apiTimeout bounds one request to the server. A commit is fsynced within
// milliseconds; a leader election takes seconds.
const apiTimeout = 5 * time.Second

// Unsettled returns since when the ledger has given no conclusive answer to an append.
// Its disk is full then, for example, or its cluster has no leader. It reports false
// while the ledger answers.
func (s *Store) Unsettled() (since time.Time, unsettled bool) {
	ns := s.unsettledSince.Load()
	return time.Unix(0, ns), ns != 0
}
