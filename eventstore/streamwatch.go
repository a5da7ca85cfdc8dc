package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

// streamsEvery is the pause between two looks at the settings of the streams. A
// server that changes one says so, and the next look comes at once; this pause is
// for what it could not tell.
const streamsEvery = 5 * time.Second

// ledgerEvery is the pause between two looks at how far the ledger goes: the server
// cuts a damaged block when it reads it, and tells nobody.
const ledgerEvery = time.Second

// streams is what is known of the streams while the store runs.
type streamState struct {
	changed signal // a server told that a stream was changed

	mu       sync.Mutex // guards what follows
	found    streams.Report
	gap      uint64                      // messages of the ledger that were gone before this instance began
	lost     uint64                      // and how many have gone since, at the worst
	compared uint64                      // what lost was when the orgs were last compared with the ledger
	last     uint64                      // highest sequence that the ledger was seen to have
	ends     map[domain.ID]wire.Position // of orgs that lost commits since the start: where they ended before
}

// Streams returns the unsafe settings of streams, and the harmless ones that differ. A
// setting is unsafe when it can lose what was acknowledged; nothing is appended
// meanwhile. A harmless one is only not as this version makes it.
func (s *Store) Streams() (unsafe, differs []streams.Setting) {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return slices.Clone(s.streams.found.Unsafe), slices.Clone(s.streams.found.Differs)
}

// watchStreams looks at the settings of the streams at an interval. Anybody who has the
// operator's seed may change them while the store runs.
func (s *Store) watchStreams() {
	tick, glance := time.NewTicker(streamsEvery), time.NewTicker(ledgerEvery)
	defer tick.Stop()
	defer glance.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-glance.C:
			if err := s.lookAtLedger(s.ctx); err != nil && s.ctx.Err() == nil {
				s.log.Warn("the ledger was not asked how far it goes", "error", err)
			}
			continue
		case <-tick.C:
		case <-s.streams.changed:
		}
		if err := s.lookAtStreams(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("the streams were not asked for their settings", "error", err)
		}
		if s.cfg.Embedded == nil {
			continue
		}
		if err := s.lookAtFiles(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("the files of the streams were not looked at", "error", err)
		}
	}
}

// hearOfChanges makes the next look at the streams come at once after a change. A
// server tells when a stream was changed or deleted.
func (s *Store) hearOfChanges() error {
	for _, event := range []string{"UPDATED", "DELETED"} {
		sub, err := s.js.Conn().Subscribe("$JS.EVENT.ADVISORY.STREAM."+event+".*", func(*nats.Msg) { s.streams.changed.signal() })
		if err != nil {
			return fmt.Errorf("eventstore: hear of changes of streams: %w", err)
		}
		context.AfterFunc(s.ctx, func() { _ = sub.Unsubscribe() })
	}
	return nil
}

// lookAtStreams looks at the settings of all streams once.
func (s *Store) lookAtStreams(ctx context.Context) error {
	var found streams.Report
	for _, want := range streams.Wanted(s.cfg.Replicas) {
		stream, err := s.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			found.Unsafe = append(found.Unsafe, streams.Setting{Where: "stream " + want.Name, Setting: "stream", Value: "gone", Needed: "the one that was there"})
			continue
		}
		if err != nil {
			return fmt.Errorf("eventstore: look at stream %s: %w", want.Name, err)
		}
		info := stream.CachedInfo()
		found.Add(want, info.Config)
		if want.Name == streams.Ledger {
			found.Unsafe = append(found.Unsafe, s.lostOf(info)...)
		}
	}
	if s.cfg.AllowUnsafe {
		s.servers.looking.Lock()
		err := s.recordOnce(ctx, found.Unsafe)
		s.servers.looking.Unlock()
		if err != nil {
			return err
		}
	}
	s.noteStreams(found)
	return nil
}

// lostOf finds that the ledger is another than it was, or has fewer messages. That
// stays so for as long as this instance runs, whatever becomes of the setting by
// which they were lost.
func (s *Store) lostOf(info *jetstream.StreamInfo) []streams.Setting {
	st := &s.streams
	st.mu.Lock()
	defer st.mu.Unlock()
	if !info.Created.Equal(s.created) {
		return []streams.Setting{{Where: "stream " + streams.Ledger, Setting: "created", Value: info.Created.UTC().Format(time.RFC3339Nano), Needed: s.identity()}}
	}
	st.noteLost(info, s.cfg.Embedded != nil)
	if st.lost == 0 {
		return nil
	}
	return []streams.Setting{{Where: "stream " + streams.Ledger, Setting: "messages", Value: fmt.Sprintf("%d fewer than there were", st.lost), Needed: "all; " + streams.DamageAdvice}}
}

// noteLost compares the ledger with what it had. That it goes back is looked for on
// the server within the process alone: a server that leads a cluster since a moment
// ago may not know its last messages yet. The caller holds st.mu.
func (st *streamState) noteLost(info *jetstream.StreamInfo, embedded bool) {
	gone := gapOf(info)
	if last := info.State.LastSeq; embedded && last < st.last {
		gone += st.last - last
	}
	st.last = max(st.last, info.State.LastSeq)
	if gone > st.gap {
		st.lost = max(st.lost, gone-st.gap)
	}
}

// lookAtLedger compares how far the ledger goes with what it had, and holds back the
// orgs that lost commits.
func (s *Store) lookAtLedger(ctx context.Context) error {
	st := &s.streams
	top := s.top.Load() // before the ledger is asked: what is committed meanwhile is no loss
	info, err := s.ledger.Info(ctx)
	if err != nil {
		return err
	}
	st.mu.Lock()
	st.last = max(st.last, top)
	st.noteLost(info, s.cfg.Embedded != nil)
	lost, compared := st.lost, st.compared
	st.mu.Unlock()
	if lost == compared {
		return nil
	}
	s.log.Error("the ledger has lost messages while it was served; orgs that lost commits are held back", "messages", lost, "last_seq", info.State.LastSeq, "do", streams.DamageAdvice)
	s.streams.changed.signal() // so that nothing is appended any more
	for _, id := range s.Loaded() {
		if err := s.compareWithLedger(ctx, id); err != nil {
			return err
		}
	}
	st.mu.Lock()
	st.compared = lost // only now: a look that fails is taken again
	st.mu.Unlock()
	return nil
}

// compareWithLedger stops serving an org whose ledger ends before its state.
func (s *Store) compareWithLedger(ctx context.Context, id domain.ID) error {
	o := s.present(id)
	if o == nil {
		return nil
	}
	defer s.release(o)
	o.mu.RLock()
	head := o.head
	o.mu.RUnlock()
	end, err := s.storedEnd(ctx, o)
	if err != nil && !errors.Is(err, ErrBrokenChain) {
		return err
	}
	if err == nil && end.seq >= head.seq {
		return nil
	}
	st := &s.streams
	st.mu.Lock()
	if st.ends == nil {
		st.ends = map[domain.ID]wire.Position{}
	}
	st.ends[id] = head.Position()
	st.mu.Unlock()
	s.stopIfBroken(o, fmt.Errorf("%w: %w: it was at %s", ErrBrokenChain, ErrBehind, head.Position()))
	return nil
}

// gapOf is how many messages a stream had once and has no more.
func gapOf(info *jetstream.StreamInfo) uint64 { return info.State.LastSeq - info.State.Msgs }

// noteStreams takes over what was found of the streams, and says what is new of it.
func (s *Store) noteStreams(found streams.Report) {
	s.streams.mu.Lock()
	was := s.streams.found
	s.streams.found = found
	s.streams.mu.Unlock()
	for _, u := range found.Unsafe {
		if !slices.Contains(was.Unsafe, u) && !s.cfg.AllowUnsafe {
			s.log.Error("nothing is appended while a stream could lose what was acknowledged", "where", u.Where, "setting", u.Setting, "value", u.Value, "needed", u.Needed)
		}
	}
	for _, u := range found.Differs {
		if !slices.Contains(was.Differs, u) {
			s.log.Warn("a stream is not as this version makes it; gatehouse streams apply changes it", "where", u.Where, "setting", u.Setting, "value", u.Value, "needed", u.Needed)
		}
	}
	if len(was.Unsafe) > 0 && len(found.Unsafe) == 0 {
		s.log.Info("the settings of the streams are safe again")
	}
}
