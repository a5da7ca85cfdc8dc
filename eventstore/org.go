package eventstore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// Shards is the number of shards over which orgs are spread. With them the ledger can
// be split over streams without renaming a subject.
const Shards = 64

// Subject returns the literal subject of an org's ledger: ledger.<shard>.<org>,
// the shard two decimal digits.
func Subject(id domain.ID) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("ledger.%02d.%s", sum[0]%Shards, id)
}

// org is the state of one org on this node.
type org struct {
	id      domain.ID
	subject string
	queue   *queue

	loading  sync.Mutex // held while the org is loaded, so that one load runs at a time
	snapping sync.Mutex // held while a snapshot is written, so that an older one never replaces a newer

	// loaded is written under mu. It becomes true when the state is whole but for the
	// commits that the tail has skipped meanwhile, which are read before mu is released.
	loaded atomic.Bool

	follow follower
	at     atomic.Uint64 // sequence of the head, for who does not wait for mu

	hold       atomic.Pointer[holding]       // what has the org alone now; nil: nothing is noted
	opening    atomic.Bool                   // somebody opens what stayed sealed
	lastSealed atomic.Int64                  // sealed as it was told last
	lastTooNew atomic.Pointer[wire.Position] // tooNew as it was told last

	folding atomic.Pointer[string] // the command whose commit is folded, or was last
	looks   atomic.Int32           // copies of the state that are looked at; grows under mu alone
	users   int                    // guarded by the store's mutex: who has it now; more than none keeps it in memory
	lastUse uint64                 // guarded by the store's mutex

	mu         sync.RWMutex // guards what follows; a goroutine that locks it is among the users
	state      *domain.State
	head       Head
	ids        map[domain.UUID]uint64 // command id -> sequence of its commit
	seqs       []uint64               // of the commits, the first one first
	lost       schemas.Ranges         // numbers that no commit has, for restores lost them
	keys       map[string]vault.Key   // by key id; forgotten when the ledger fences them
	sealed     int                    // personal values of the state that are not known in clear
	vaultPause time.Duration          // between the last two looks for their keys
	vaultRetry time.Time              // until when the vault is not asked again while following
	tooNew     wire.Position          // of the first commit that later code wrote; zero: none
	advanced   chan struct{}          // closed and replaced when the head moves
	snapped    uint64                 // n of the last snapshot
}

// readCommit is a commit as read from the ledger, with all that can be made of it
// without the state.
type readCommit struct {
	*schemas.Commit
	applied domain.Applied // empty when later code wrote the commit
	hash    wire.Hash
	seq     uint64
}

func decodeCommit(c *schemas.Commit, body []byte, seq uint64) (r readCommit, err error) {
	r = readCommit{Commit: c, hash: wire.HashOf(body), seq: seq}
	if !c.TooNew() {
		r.applied, err = c.Applied()
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrBrokenChain, err)
	}
	return r, err
}

// applyRead folds the next commit as read from the ledger. The caller holds o.mu. The
// commit must be the one behind the head; anything else is a broken chain.
func (s *Store) applyRead(o *org, r readCommit, observe bool) error {
	if err := r.Follows(o.head.Position(), o.head.Hash); err != nil {
		return fmt.Errorf("%w: commit %s of %s does not follow %s: %w", ErrBrokenChain, r.Position(), o.id, o.head.Position(), err)
	}
	if r.TooNew() {
		if o.tooNew == (wire.Position{}) {
			o.tooNew = r.Position()
		}
		return ErrTooNew
	}
	events := r.applied.Events
	for i := range events {
		events[i] = s.openEvent(o, events[i])
	}
	s.fold(o, r.Commit, r.applied, r.hash, r.seq, observe)
	return nil
}

// fold folds a commit whose events are at hand and moves the head. The caller
// holds o.mu.
func (s *Store) fold(o *org, c *schemas.Commit, a domain.Applied, hash wire.Hash, seq uint64, observe bool) {
	o.folding.Store(&c.Command)
	o.state.Apply(a)
	o.forgetKeys(a.Events)
	o.ids[c.ID] = seq
	o.seqs = append(o.seqs, seq)
	if lost, err := c.Lost(); err == nil && lost != (schemas.Range{}) { // Follows has checked it
		o.lost = append(o.lost, lost)
	}
	o.moveTo(Head{Epoch: c.Epoch, N: c.N, Hash: hash, At: c.At, seq: seq})
	if observe {
		for _, ob := range s.observers {
			ob.Applied(o.id, o.state, c, o.head)
		}
	}
	if o.loaded.Load() {
		s.mark(o.id, o.head)
	}
	close(o.advanced)
	o.advanced = make(chan struct{})
}

// moveTo sets the head. The caller holds o.mu.
func (o *org) moveTo(head Head) {
	o.head = head
	o.at.Store(head.seq)
}

// forgetKeys drops the keys that events end from memory.
func (o *org) forgetKeys(events []domain.Event) {
	for _, e := range events {
		for _, id := range domain.EndedKeys(e) {
			delete(o.keys, id)
		}
	}
}

// View calls f with the state of an org and its head. f must not keep or change
// anything of the state, nor ask the store about the org: a command that waits in
// between would hold both up for ever.
func (s *Store) View(ctx context.Context, id domain.ID, f func(*domain.State, Head) error) error {
	o, err := s.org(ctx, id)
	if err != nil {
		return err
	}
	defer s.release(o)
	if err := s.upToDate(ctx, o); err != nil {
		return err
	}
	s.openAgain(ctx, o)
	if err := s.rlock(ctx, o); err != nil {
		return err
	}
	defer o.mu.RUnlock()
	return f(o.state, o.head)
}

// openAgain opens what stayed sealed while the vault was away. It looks again
// after vaultPatience, then after twice that and so on up to vaultRest: walking a
// whole state for keys that are gone must not hold up the org.
func (s *Store) openAgain(ctx context.Context, o *org) {
	if s.rlock(ctx, o) != nil {
		return // the next caller looks again
	}
	again := o.sealed > 0 && s.cfg.Now().After(o.vaultRetry)
	o.mu.RUnlock()
	if !again || !o.opening.CompareAndSwap(false, true) {
		return // so too when somebody opens them
	}
	defer o.opening.Store(false)
	if s.openSealed(ctx, o) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed == 0 {
		o.vaultPause = 0
		return
	}
	o.vaultPause = min(max(2*o.vaultPause, vaultPatience), vaultRest)
	o.vaultRetry = s.cfg.Now().Add(o.vaultPause)
}

// Sealed returns how many personal values of an org this node cannot read. It lacks the
// vault or their keys. Values of erased people do not count.
func (s *Store) Sealed(id domain.ID) int {
	o := s.present(id)
	if o == nil {
		return 0
	}
	defer s.release(o)
	if o.mu.TryRLock() { // readiness waits for no org
		o.lastSealed.Store(int64(o.sealed))
		o.mu.RUnlock()
	}
	return int(o.lastSealed.Load())
}

// WaitFor waits until this node has an org's ledger up to n, or the context ends.
// It returns the head reached in either case.
func (s *Store) WaitFor(ctx context.Context, id domain.ID, n uint64) (Head, error) {
	o, err := s.org(ctx, id)
	if err != nil {
		return Head{}, err
	}
	defer s.release(o)
	for {
		if err := s.rlock(ctx, o); err != nil {
			return Head{}, err
		}
		head, advanced := o.head, o.advanced
		o.mu.RUnlock()
		if head.N >= n {
			return head, nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return head, context.Cause(ctx)
		}
	}
}

// Loaded lists the orgs that this node holds, in no order.
func (s *Store) Loaded() []domain.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]domain.ID, 0, len(s.orgs))
	for id, o := range s.orgs {
		if o.loaded.Load() {
			out = append(out, id)
		}
	}
	return out
}

// ReadOnly tells of an org that later code has written to: the position of the
// first commit that this code may not fold.
func (s *Store) ReadOnly(id domain.ID) (wire.Position, bool) {
	o := s.present(id)
	if o == nil {
		return wire.Position{}, false
	}
	defer s.release(o)
	if o.mu.TryRLock() { // readiness waits for no org
		tooNew := o.tooNew
		o.lastTooNew.Store(&tooNew)
		o.mu.RUnlock()
	}
	at := o.lastTooNew.Load()
	if at == nil {
		return wire.Position{}, false
	}
	return *at, *at != wire.Position{}
}
