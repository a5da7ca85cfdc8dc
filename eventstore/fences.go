package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
)

// fencesEvery is how often the vault's cursor is moved on while nothing is erased.
const fencesEvery = 30 * time.Second

// startFences destroys every key that the ledger has fenced and the vault still
// has, before anything is served, and follows the ledger from there. The vault's
// cursor lies in the vault's own file: one that was restored from a backup has an
// older cursor, and so meets every later erasure again.
func (s *Store) startFences(ctx context.Context) error {
	info, err := s.ledger.Info(ctx)
	if err != nil {
		return fmt.Errorf("eventstore: follow erasures: %w", err)
	}
	cursor, err := s.cfg.Vault.Cursor(ctx, s.identity(), info.State.LastSeq)
	if err != nil {
		return fmt.Errorf("eventstore: %w", err)
	}
	cons, err := s.js.OrderedConsumer(ctx, StreamLedger, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: cursor + 1,
	})
	if err != nil {
		return fmt.Errorf("eventstore: follow erasures: %w", err)
	}
	msgs, err := cons.Messages(pulls(5000)...)
	if err != nil {
		return fmt.Errorf("eventstore: follow erasures: %w", err)
	}
	f := &fences{store: s, cursor: cursor, saved: cursor, moved: make(chan struct{})}
	s.fences = f
	stop := context.AfterFunc(ctx, msgs.Stop)
	for f.at() < info.State.LastSeq {
		if err := f.next(ctx, msgs); err != nil {
			stop()
			msgs.Stop()
			return fmt.Errorf("eventstore: destroy what the ledger has fenced: %w", err)
		}
	}
	stop()
	if err := f.save(ctx); err != nil {
		msgs.Stop()
		return err
	}
	s.running.Go(func() { f.follow(msgs) })
	return nil
}

// identity names the ledger stream for the vault's cursor.
func (s *Store) identity() string { return s.created.UTC().Format(time.RFC3339Nano) }

// fences reads the ledger for events that order keys to be destroyed.
type fences struct {
	store *Store
	saved uint64 // the cursor as the vault has it; of the one goroutine that follows

	mu     sync.Mutex // guards what follows
	cursor uint64
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

func (f *fences) next(ctx context.Context, msgs jetstream.MessagesContext) error {
	msg, err := msgs.Next()
	if err != nil {
		return err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	if err := f.take(ctx, meta.Sequence.Stream, msg.Data()); err != nil {
		return err
	}
	f.move(meta.Sequence.Stream)
	return nil
}

// take destroys the keys that one commit ends. Most commits end none, and are not
// decoded to find that out.
func (f *fences) take(ctx context.Context, seq uint64, body []byte) error {
	ends := false
	for _, name := range domain.KeyEndingEvents() {
		ends = ends || bytes.Contains(body, []byte(`"type":"`+name+`"`))
	}
	if !ends {
		return nil
	}
	c, err := schemas.DecodeCommit(body)
	if err != nil {
		return err
	}
	var keys []string
	for _, e := range c.Events {
		ev, err := e.Decode()
		if err != nil {
			return err
		}
		keys = append(keys, domain.EndedKeys(ev)...)
	}
	if err := f.store.cfg.Vault.Destroy(ctx, string(c.Org), keys, vault.Cursor{Ledger: f.store.identity(), Sequence: seq}); err != nil {
		return fmt.Errorf("destroy the keys that %s of %s ends: %w", c.Position(), c.Org, err)
	}
	f.saved = seq
	f.store.log.Info("keys of an erased person were destroyed", "org", c.Org, "position", c.Position().String(), "keys", len(keys))
	return nil
}

func (f *fences) save(ctx context.Context) error {
	at := f.at()
	if at == f.saved {
		return nil
	}
	if err := f.store.cfg.Vault.SetCursor(ctx, vault.Cursor{Ledger: f.store.identity(), Sequence: at}); err != nil {
		return fmt.Errorf("eventstore: save how far erasures are done: %w", err)
	}
	f.saved = at
	return nil
}

func (f *fences) follow(msgs jetstream.MessagesContext) {
	s := f.store
	stop := context.AfterFunc(s.ctx, msgs.Stop)
	defer stop()
	lastSave := s.cfg.Now()
	for {
		err := f.next(s.ctx, msgs)
		if s.ctx.Err() != nil {
			break
		}
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			s.log.Error("following erasures has ended; keys of persons erased from now on are destroyed at the next start", "error", err)
			break
		}
		if err != nil {
			s.log.Error("an erasure could not be carried out; it is tried again at the next start", "error", err)
			continue
		}
		if now := s.cfg.Now(); now.Sub(lastSave) >= fencesEvery {
			lastSave = now
			if err := f.save(s.ctx); err != nil {
				s.log.Warn("how far erasures are done is not saved", "error", err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), apiTimeout)
	defer cancel()
	if err := f.save(ctx); err != nil {
		s.log.Warn("how far erasures are done is not saved", "error", err)
	}
}
