package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

// ErrBehind says that the ledger of an org ends before what is known of it elsewhere.
// The error wraps [ErrBrokenChain] too: the org serves nothing.
var ErrBehind = errors.New("commits that were acknowledged are lost")

// knownEnd says how far the ledger of an org goes as one of those knows that keep
// something of it. One of a mark has the commit's hash and sequence as well.
type knownEnd struct {
	mark.Mark
	from string
}

// knownEnds lists what is known of where an org's ledger ends. It is asked before
// the ledger is: what is written meanwhile is no loss.
func (s *Store) knownEnds(id domain.ID, snap snapshotHeader) []knownEnd {
	var out []knownEnd
	if s.cfg.Marks != nil {
		if known, from, ok := s.cfg.Marks.Of(id); ok {
			out = append(out, knownEnd{known, from})
		}
	}
	if snap.N > 0 {
		out = append(out, knownEnd{mark.Mark{Org: id, Epoch: snap.Epoch, N: snap.N}, s.snapshotPath(id)})
	}
	s.streams.mu.Lock()
	if at, ok := s.streams.ends[id]; ok {
		out = append(out, knownEnd{mark.Mark{Org: id, Epoch: at.Epoch, N: at.N}, "this instance, which served it,"})
	}
	s.streams.mu.Unlock()
	for _, ob := range s.observers {
		if seen := ob.Seen(id); seen.N > 0 {
			out = append(out, knownEnd{mark.Mark{Org: id, Epoch: seen.Epoch, N: seen.N}, "what is published of it in " + streams.Permissions})
		}
	}
	return out
}

// storedEnd returns the end of an org's ledger as it is stored; the zero head when
// it has none. A message that is damaged on disk is answered by the server as one
// that is not there; without the count of messages, an org whose last commit is
// damaged would be served as it was before.
func (s *Store) storedEnd(ctx context.Context, o *org) (Head, error) {
	info, err := s.ledger.Info(ctx, jetstream.WithSubjectFilter(o.subject))
	if err != nil {
		return Head{}, fmt.Errorf("count the commits of %s: %w", o.id, err)
	}
	stored := info.State.Subjects[o.subject]
	last, err := s.ledger.GetLastMsgForSubject(ctx, o.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) && stored == 0 {
		return Head{}, nil
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Head{}, fmt.Errorf("%w: the last of the %d commits of %s cannot be read", ErrBrokenChain, stored, o.id)
	}
	if err != nil {
		return Head{}, fmt.Errorf("read the tail of %s: %w", o.subject, err)
	}
	c, err := decodeBody(last.Data)
	if err != nil {
		return Head{}, err
	}
	if c.N < stored {
		return Head{}, fmt.Errorf("%w: the ledger of %s counts %d commits, and the last that can be read is %s", ErrBrokenChain, o.id, stored, c.Position())
	}
	return Head{Epoch: c.Epoch, N: c.N, Hash: wire.HashOf(last.Data), At: c.At, seq: last.Sequence}, nil
}

// checkEnd compares the end of an org's ledger with what is known of it elsewhere.
// An org behind that would give back what was taken away since, so it is not served.
func (s *Store) checkEnd(ctx context.Context, o *org, end Head, known []knownEnd) error {
	if s.cfg.Restoring {
		return nil // what is lost is said, and accepted by an operator
	}
	if s.vaultBeyond > 0 {
		return fmt.Errorf("%w: %w: the vault has followed the ledger up to message %d, which is not there, and no mark tells whose it was", ErrBrokenChain, ErrBehind, s.vaultBeyond)
	}
	if err := s.checkUnmarked(o, end); err != nil {
		return err
	}
	for _, k := range known {
		if k.Beyond(end.Position()) {
			return fmt.Errorf("%w: %w: the ledger of %s ends at %s, and %s knows of %s", ErrBrokenChain, ErrBehind, o.id, end.Position(), k.from, k.Position())
		}
		if err := s.checkSame(ctx, o, end, k); err != nil {
			return err
		}
	}
	return nil
}

// checkUnmarked finds an org whose end nobody knows: the ledger has lost messages, or
// the server may have cut some off at a damaged block, and the org lost its mark.
func (s *Store) checkUnmarked(o *org, end Head) error {
	lost := s.lostMessages()
	if lost == "" {
		return nil
	}
	if s.cfg.Marks != nil {
		if _, _, ok := s.cfg.Marks.Of(o.id); ok || end.N == 0 && !s.cfg.Marks.Missing() {
			return nil
		}
	}
	return fmt.Errorf("%w: %w: %s, and no mark tells how far %s went beyond %s", ErrBrokenChain, ErrBehind, lost, o.id, end.Position())
}

// lostMessages tells how the ledger has lost messages, or may have; empty when it has
// not. Nothing is ever taken out of it, so it has no gaps by itself.
func (s *Store) lostMessages() string {
	s.streams.mu.Lock()
	gone := s.streams.gap + s.streams.lost
	s.streams.mu.Unlock()
	if gone > 0 {
		return fmt.Sprintf("the ledger has lost %d messages", gone)
	}
	if s.cfg.Embedded == nil {
		return ""
	}
	if blocks := s.cfg.Embedded.KeptBlocks(streams.Ledger); len(blocks) > 0 {
		return fmt.Sprintf("the ledger was cut at damage, which is kept as %s until you move it elsewhere", blocks[0])
	}
	return ""
}

// checkSame finds a ledger that was cut off and went on in another way: it has a
// commit of the number that is known, and it is another one.
func (s *Store) checkSame(ctx context.Context, o *org, end Head, k knownEnd) error {
	if k.Ledger != s.created.UnixNano() {
		return nil // neither of a mark nor of this stream
	}
	hash := end.Hash
	if k.Seq != end.seq {
		msg, err := s.ledger.GetMsg(ctx, k.Seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil // a gap, which the chain tells of where it is not behind a snapshot
		}
		if err != nil {
			return fmt.Errorf("compare %s with what is known of it: %w", o.id, err)
		}
		hash = wire.HashOf(msg.Data)
	}
	if hash != k.Hash {
		return fmt.Errorf("%w: %w: commit %s of %s is another than the one that %s knows of", ErrBrokenChain, ErrBehind, k.Position(), o.id, k.from)
	}
	return nil
}

// watchWitness compares the orgs that are served with a witness that is read later
// than the start.
func (s *Store) watchWitness() {
	select {
	case <-s.ctx.Done():
		return
	case <-s.cfg.Marks.WitnessRead():
	}
	for _, id := range s.Loaded() {
		s.recheck(id)
	}
}

// recheck stops serving an org that is behind its marks, which the next load tells of.
func (s *Store) recheck(id domain.ID) {
	o := s.present(id)
	if o == nil {
		return
	}
	defer s.release(o)
	o.mu.Lock()
	defer o.mu.Unlock()
	known, from, ok := s.cfg.Marks.Of(id)
	if ok && known.Beyond(o.head.Position()) && o.tooNew == (wire.Position{}) {
		s.stop(o, fmt.Errorf("%w: %w: %s knows of %s", ErrBrokenChain, ErrBehind, from, known.Position()))
	}
}

// mark notes outside the ledger how far an org's goes, before a commit is
// acknowledged.
func (s *Store) mark(id domain.ID, head Head) {
	for top := s.top.Load(); head.seq > top && !s.top.CompareAndSwap(top, head.seq); top = s.top.Load() {
	}
	if s.cfg.Marks != nil && head.N > 0 {
		s.cfg.Marks.Advance(mark.Mark{Org: id, Ledger: s.created.UnixNano(), Epoch: max(head.Epoch, 1), N: head.N, Seq: head.seq, Hash: head.Hash})
	}
}
