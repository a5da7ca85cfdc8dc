package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
)

// fencesEvery is how often the vault's cursor is moved on while nothing is erased.
const fencesEvery = 30 * time.Second

// leaderPatience is how long a new leader of a cluster may take to know its last
// message.
const leaderPatience = 5 * time.Second

// startFences destroys every key that the ledger has fenced and the vault still has. It
// reads from the vault's cursor to the ledger's last message before anything is served;
// the tail continues from there. On a full disk an erasure waits for the next start.
// The cursor is in the vault's own file: a vault that was restored from a backup has an
// older cursor, and so meets every later erasure again.
func (s *Store) startFences(ctx context.Context, first, last uint64) error {
	cursor, err := s.vaultCursor(ctx, last)
	if err != nil {
		return fmt.Errorf("eventstore: %w", err)
	}
	cursor = max(cursor, max(first, 1)-1)
	s.fences = &fences{store: s, cursor: cursor, saved: cursor, moved: make(chan struct{}), lastSave: s.cfg.Now()}
	err = s.readWhole(ctx, cursor+1, last, func(seq uint64, body []byte) error {
		if s.fences.broken.Load() {
			return nil
		}
		s.fences.advance(seq)
		if err := s.fences.destroyKeys(ctx, seq, body); errors.Is(err, ErrBrokenChain) {
			s.fences.markUnreadable(seq, err)
		} else if isFull(err) { // doors must not stay shut for it; the commit has ended what the key seals
			s.fences.fail(seq, err)
			return nil
		} else if err != nil {
			return err
		}
		s.fences.move(seq)
		return nil
	})
	if err != nil {
		return fmt.Errorf("eventstore: destroy what the ledger has fenced: %w", err)
	}
	if s.fences.broken.Load() {
		return nil
	}
	s.fences.advance(last + 1)
	s.fences.move(last)
	if err := s.fences.save(ctx); isFull(err) { // it is tried again, and a next start looks at these commits again
		s.log.Error("how far erasures are done is not written down; trying again", "error", err)
	} else if err != nil {
		return err
	}
	return nil
}

// vaultCursor returns where the fences begin. A vault that has followed this very
// ledger beyond its last message knows of commits that are lost, and not of which
// orgs; unless the marks tell that, every org is held back. The vault keeps such a
// cursor, so that the next start knows it too.
func (s *Store) vaultCursor(ctx context.Context, last uint64) (uint64, error) {
	followed, err := s.cfg.Vault.Followed(ctx)
	if err != nil {
		return 0, err
	}
	if followed.Ledger == s.identity() && followed.Sequence > last {
		if last, err = s.lastOfLedger(ctx, followed.Sequence); err != nil {
			return 0, err
		}
	}
	if followed.Ledger != s.identity() || followed.Sequence <= last || s.cfg.Marks.Reaches(s.created.UnixNano(), followed.Sequence) {
		return s.cfg.Vault.Cursor(ctx, s.identity(), last)
	}
	s.vaultBeyond = followed.Sequence
	s.log.Error("the vault has followed the ledger beyond its end, and no mark tells which orgs lost commits; every org is held back",
		"vault_seq", followed.Sequence, "last_seq", last, "do", streams.DamageAdvice)
	return 0, nil
}

// lastOfLedger asks again for the last sequence of the ledger until it is as far as
// it should be. A server that leads a cluster since a moment ago may not know it yet.
func (s *Store) lastOfLedger(ctx context.Context, want uint64) (uint64, error) {
	for deadline := s.current.elapsed() + leaderPatience; ; {
		info, err := s.ledger.Info(ctx)
		if err != nil {
			return 0, err
		}
		if s.cfg.Embedded != nil || info.State.LastSeq >= want || s.current.elapsed() > deadline {
			return info.State.LastSeq, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// identity names the ledger stream for the vault's cursor.
func (s *Store) identity() string { return s.created.UTC().Format(time.RFC3339Nano) }

// fences reads the ledger for events that order keys to be destroyed.
type fences struct {
	store *Store

	// Of the one goroutine that follows the ledger:
	saved    uint64 // the cursor as the vault has it
	lastSave time.Time

	broken atomic.Bool // an erasure failed; nothing is skipped, so later ones wait too

	mu     sync.Mutex // guards what follows
	cursor uint64
	missed uint64        // first sequence that cannot be read; 0: none. The vault's cursor stays before it
	moved  chan struct{} // closed and replaced when the cursor moves
}

func (f *fences) at() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cursor
}

func (f *fences) move(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor = seq
	close(f.moved)
	f.moved = make(chan struct{})
}

// advance notes that a sequence is the next one that could be read. A sequence before it
// that could not be read may be an erasure: others are carried out, but the vault's
// cursor stays before it, so that the start after the ledger was mended meets it again.
func (f *fences) advance(seq uint64) {
	if next := f.at() + 1; seq > next {
		f.markUnreadable(next, errors.New("the server does not give it"))
	}
}

// markUnreadable notes a message that cannot be read.
func (f *fences) markUnreadable(seq uint64, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.missed == 0 {
		f.missed = seq
	}
	f.store.log.Error("a message of the ledger cannot be read; if it orders an erasure, the keys are there until the ledger is mended", "sequence", seq, "error", cause)
}

// fail notes an erasure that cannot be carried out before the next start.
func (f *fences) fail(seq uint64, cause error) {
	f.broken.Store(true)
	f.store.log.Error("an erasure could not be carried out; it is at the next start, and so are later ones", "sequence", seq, "error", cause)
}

// seenTo is how far the vault may note that erasures are carried out.
func (f *fences) seenTo(seq uint64) vault.Cursor {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.missed > 0 {
		seq = min(seq, f.missed-1)
	}
	return vault.Cursor{Ledger: f.store.identity(), Sequence: seq}
}

// ErasuresMissed reports that the ledger has a message that this node, which holds
// the vault, cannot read: it may order an erasure.
func (s *Store) ErasuresMissed() bool {
	if s.fences == nil {
		return false
	}
	s.fences.mu.Lock()
	defer s.fences.mu.Unlock()
	return s.fences.missed > 0
}

// ErasuresFailed reports that an erasure could not be carried out. It and later
// erasures wait for the next start.
func (s *Store) ErasuresFailed() bool { return s.fences != nil && s.fences.broken.Load() }

// wait returns when the fences up to a sequence are carried out.
func (f *fences) wait(ctx context.Context, seq uint64) error {
	for {
		f.mu.Lock()
		cursor, moved := f.cursor, f.moved
		f.mu.Unlock()
		if cursor >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// destroyKeys destroys the keys that one commit ends. Most commits end none, and are not
// decoded to find that out.
func (f *fences) destroyKeys(ctx context.Context, seq uint64, body []byte) error {
	ends := false
	for _, name := range domain.KeyEndingEvents() {
		ends = ends || bytes.Contains(body, []byte(`"type":"`+name+`"`))
	}
	if !ends {
		return nil
	}
	c, err := decodeBody(body)
	if err != nil {
		return err
	}
	var keys []string
	for _, e := range c.Events {
		ev, err := e.Decode()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBrokenChain, err)
		}
		keys = append(keys, domain.EndedKeys(ev)...)
	}
	if len(keys) == 0 {
		return nil
	}
	if told := f.store.cfg.Destroyed; told != nil {
		if err := told(c.Org, keys); err != nil {
			return fmt.Errorf("note the keys that %s of %s ends: %w", c.Position(), c.Org, err)
		}
	}
	if err := f.store.cfg.Vault.Destroy(ctx, string(c.Org), keys, f.seenTo(seq)); err != nil {
		return fmt.Errorf("destroy the keys that %s of %s ends: %w", c.Position(), c.Org, err)
	}
	f.saved = f.seenTo(seq).Sequence
	f.store.log.Info("keys that a commit ends were destroyed", "org", c.Org, "position", c.Position().String(), "keys", len(keys))
	return nil
}

func (f *fences) save(ctx context.Context) error {
	at := f.seenTo(f.at())
	if at.Sequence == f.saved {
		return nil
	}
	if err := f.store.cfg.Vault.SetCursor(ctx, at); err != nil {
		return fmt.Errorf("eventstore: save how far erasures are done: %w", err)
	}
	f.saved = at.Sequence
	return nil
}

// onMessage carries out what one message of the tail orders. An erasure that fails is
// carried out at the next start: the cursor in the vault stays before it.
func (f *fences) onMessage(seq uint64, body []byte) {
	s := f.store
	if f.broken.Load() {
		return
	}
	f.advance(seq)
	var err error
	if panicked := s.Guard("erasure", "", "", func() { err = f.destroyKeys(s.ctx, seq, body) }); panicked != nil {
		err = panicked
	}
	if errors.Is(err, ErrBrokenChain) {
		f.markUnreadable(seq, err)
	} else if err != nil {
		f.fail(seq, err)
		return
	}
	f.move(seq)
	if now := s.cfg.Now(); now.Sub(f.lastSave) >= fencesEvery {
		f.lastSave = now
		if err := f.save(s.ctx); err != nil {
			s.log.Warn("how far erasures are done is not saved", "error", err)
		}
	}
}
