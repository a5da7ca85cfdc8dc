package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
)

// # Following, org by org
//
// One goroutine reads the tail of the ledger. It hands every message to its org and
// waits for none: an org that is held, or whose vault does not answer, delays no other.
// Each org with messages has a goroutine of its own that folds them. A reader of the
// org first waits for the messages that were handed over before it came.

// followAhead is how many messages of one org wait at most. Further ones are read from
// the stream again when their turn comes.
const followAhead = 256

// message is one of the ledger that an org has not folded yet.
type message struct {
	seq  uint64
	body []byte
}

// follower holds the messages of one org until they are folded.
type follower struct {
	mu      sync.Mutex // guards what follows; held for moments alone
	waiting []message  // in their order
	skipped bool       // some were left out since they were too many
	running bool
	last    uint64        // sequence of the last message that was handed over
	done    uint64        // sequence up to which they are folded
	moved   chan struct{} // closed and replaced when done grows; nil: nobody waits
}

// add hands a message over and reports whether a goroutine is to be started for it.
func (f *follower) add(m message) (start bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = m.seq
	if len(f.waiting) < followAhead && !f.skipped {
		f.waiting = append(f.waiting, m)
	} else {
		f.skipped = true
	}
	start = !f.running
	f.running = true
	return start
}

// missed says that messages were taken and not folded.
func (f *follower) missed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skipped = true
}

// next takes what waits. When nothing does, the goroutine of the follower is to end.
func (f *follower) next() (all []message, skipped, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, skipped = f.waiting, f.skipped
	f.waiting, f.skipped = nil, false
	f.running = len(all) > 0 || skipped
	return all, skipped, f.running
}

// folded notes that everything up to a sequence was folded, or cannot be.
func (f *follower) folded(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = max(f.done, seq)
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
}

// behind returns a channel to wait for, and the sequence to wait for; nil when every
// message is folded.
func (f *follower) behind() (moved <-chan struct{}, last uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wait()
}

// wait is behind for a caller that holds f.mu.
func (f *follower) wait() (<-chan struct{}, uint64) {
	if f.done >= f.last {
		return nil, f.last
	}
	if f.moved == nil {
		f.moved = make(chan struct{})
	}
	return f.moved, f.last
}

// reached returns a channel to wait for until a sequence is folded; nil when it is.
func (f *follower) reached(seq uint64) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done >= seq {
		return nil
	}
	moved, _ := f.wait()
	return moved
}

// followOrg folds the messages of an org until none is left. The caller is among its
// users.
func (s *Store) followOrg(o *org) {
	for {
		all, skipped, more := o.follow.next()
		if !more {
			return
		}
		for _, m := range all {
			s.followMessage(o, m)
			o.follow.folded(m.seq)
		}
		if skipped {
			_, last := o.follow.behind()
			if err := s.catchUpGuarded(o); !errors.Is(err, errNotLoaded) {
				s.stopIfBroken(o, err)
			}
			o.follow.folded(last)
		}
	}
}

// followMessage brings an org up to a message of the ledger.
func (s *Store) followMessage(o *org, m message) {
	err := s.guardFold("tail", o, func() error { return s.bring(o, m) })
	if errors.Is(err, ErrBrokenChain) { // a message was missed: the stream has it
		err = s.catchUpGuarded(o)
	}
	if !errors.Is(err, errNotLoaded) {
		s.stopIfBroken(o, err)
	}
}

func (s *Store) catchUpGuarded(o *org) error {
	return s.guardFold("tail", o, func() error { return s.catchUp(s.ctx, o) })
}

// upToDate waits until the messages of an org that were handed over before are folded.
// It fails with [ErrBusy] when that takes too long.
func (s *Store) upToDate(ctx context.Context, o *org) error {
	moved, last := o.follow.behind()
	if moved == nil {
		return nil
	}
	limit := time.NewTimer(s.heldLimit)
	defer limit.Stop()
	for ; moved != nil; moved = o.follow.reached(last) {
		select {
		case <-moved:
			continue
		case <-limit.C:
		case <-ctx.Done():
		}
		return fmt.Errorf("eventstore: org %s does not follow its ledger in time: %w", o.id, ErrBusy)
	}
	return nil
}

// catchUp reads the commits behind the head until the tail. The org is not held while
// the server or the vault is asked.
func (s *Store) catchUp(ctx context.Context, o *org) error {
	for {
		m, found, err := s.behindHead(ctx, o, o.at.Load())
		if err != nil || !found {
			return err
		}
		if err := s.bring(o, m); err != nil {
			return err
		}
	}
}

// behindHead reads the next commit of an org behind a sequence; false when there is none.
func (s *Store) behindHead(ctx context.Context, o *org, seq uint64) (m message, found bool, err error) {
	msg, err := s.ledger.GetMsg(ctx, seq+1, jetstream.WithGetMsgSubject(o.subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("eventstore: catch up with %s: %w", o.id, err)
	}
	return message{msg.Sequence, msg.Data}, true, nil
}

// bring folds a message if it is the next one of an org. The keys of personal values
// that another node sealed are fetched before the org is held.
func (s *Store) bring(o *org, m message) error {
	if m.seq <= o.at.Load() {
		return nil
	}
	c, err := decodeBody(m.body)
	if err != nil {
		return err
	}
	r, err := decodeCommit(c, m.body, m.seq)
	if err != nil {
		return err
	}
	keys := s.missingKeys(o, r.applied.Events)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.loaded.Load() {
		return errNotLoaded
	}
	if m.seq <= o.head.seq {
		return nil // and a commit behind it may have ended the keys
	}
	maps.Copy(o.keys, keys)
	return s.applyRead(o, r, true)
}

// errNotLoaded says that an org is being loaded: it then reads the ledger itself.
var errNotLoaded = fmt.Errorf("eventstore: the org is being loaded: %w", ErrBusy)

// missingKeys gets the keys of a commit that another node made, so that its personal
// values are known here too. Without the vault they stay sealed for now.
func (s *Store) missingKeys(o *org, events []domain.Event) map[string]vault.Key {
	var boxed []string
	for _, e := range events {
		domain.MapPersonal(e, func(_ domain.ID, p domain.Personal) domain.Personal {
			if id, err := vault.BoxKeyID(p.Box()); err == nil {
				boxed = append(boxed, id)
			}
			return p
		})
	}
	if len(boxed) == 0 {
		return nil
	}
	ids, rest := o.lacked(boxed)
	if len(ids) == 0 || s.cfg.Now().Before(rest) {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, vaultPatience)
	defer cancel()
	keys, err := s.keys(ctx, o.id, ids)
	if err != nil {
		o.mu.Lock()
		o.vaultRetry = s.cfg.Now().Add(vaultPatience)
		o.mu.Unlock()
		s.log.Warn("personal values stay sealed until the vault answers", "org", o.id, "error", err)
		return nil
	}
	return keys
}

// lacked returns the keys that an org has not got, and until when it does not ask for any.
func (o *org) lacked(ids []string) (out []string, rest time.Time) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, id := range ids {
		if _, have := o.keys[id]; !have {
			out = append(out, id)
		}
	}
	return out, o.vaultRetry
}

// Head reads an org's tail from the ledger itself and returns where it is. A lease is
// answered by it, never by this node's memory alone.
func (s *Store) Head(ctx context.Context, id domain.ID) (Head, error) {
	o, err := s.org(ctx, id)
	if err != nil {
		return Head{}, err
	}
	defer s.release(o)
	err = s.catchUp(ctx, o)
	if held := s.rlock(ctx, o); held != nil {
		return Head{}, errors.Join(err, held)
	}
	defer o.mu.RUnlock()
	return o.head, err
}
