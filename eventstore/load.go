package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// ErrBrokenChain says that a commit does not follow the one before it: something
// in the ledger was lost or changed. The org serves nothing.
var ErrBrokenChain = errors.New("the chain of commits is broken")

// ErrTooNew says that later code has written to the org, which this code may only
// read from its memory.
var ErrTooNew = errors.New("the org was written by a later version; update this instance")

// ErrClosed says that the store is closed.
var ErrClosed = errors.New("eventstore: the store is closed")

// load brings an org into memory: from its snapshot where that is good, then
// commit by commit. An org that cannot be loaded takes no memory.
func (s *Store) load(ctx context.Context, o *org) (err error) {
	begin, snap, snapErr, err := s.recall(ctx, o.id)
	if err != nil {
		return err
	}
	known := s.knownEnds(o.id, snap.snapshotHeader)
	end, err := s.storedEnd(ctx, o)
	if err != nil {
		return err
	}
	if err := s.checkEnd(ctx, o, end, known); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() {
		if err != nil {
			o.loaded.Store(false)
			o.reset()
		}
	}()
	o.reset()
	if err := s.restoreSnapshot(ctx, o, begin, snap, snapErr); err != nil {
		s.metrics.Thrown.Inc()
		s.log.Warn("a snapshot is thrown away and the ledger folded again", "org", o.id, "error", err)
		o.reset()
	}
	observing := false
	observe := func() {
		if !observing && o.head.N >= begin {
			observing = true
			s.beginObserving(o)
		}
	}
	observe()
	err = s.readCommits(ctx, o.subject, o.head.seq+1, func(r readCommit) error {
		if !observing && r.N > begin { // a restore lost the number that they begin at
			observing = true
			s.beginObserving(o)
		}
		if err := s.applyRead(o, r, observing); err != nil {
			return err
		}
		observe()
		return nil
	})
	if err != nil && !errors.Is(err, ErrTooNew) {
		return err
	}
	if err == nil && o.head.N < end.N {
		return fmt.Errorf("%w: the ledger of %s ends with commit %d and gives %d: some cannot be read", ErrBrokenChain, o.id, end.N, o.head.N)
	}
	if !observing {
		s.beginObserving(o)
	}
	s.openState(ctx, o)
	// The tail waits for no load, so it has skipped the commits that came in meanwhile.
	// From here on it hands them to the org.
	o.loaded.Store(true)
	s.mark(o.id, o.head)
	if err := s.readSkipped(ctx, o); err != nil && !errors.Is(err, ErrTooNew) {
		return err
	}
	if o.sealed > 0 { // what came meanwhile, or what has no key
		s.openState(ctx, o)
	}
	return nil
}

// recall reads what is stored beside the ledger of an org: its snapshot, while the
// observers read what they have published. Each of them takes some seconds in a large org.
func (s *Store) recall(ctx context.Context, id domain.ID) (begin uint64, snap snapshotFile, snapErr, err error) {
	read := make(chan struct{})
	go func() {
		defer close(read)
		if panicked := s.Guard("snapshot", id, "", func() { snap, snapErr = s.snapshotFile(id) }); panicked != nil {
			snapErr = panicked
		}
	}()
	begin, err = s.observeFrom(ctx, id)
	<-read
	return begin, snap, snapErr, err
}

// readSkipped folds the commits that came while an org was loaded. Personal values in
// them stay sealed for the moment. The caller holds o.mu, as nobody uses the org yet.
func (s *Store) readSkipped(ctx context.Context, o *org) error {
	for {
		m, found, err := s.behindHead(ctx, o, o.head.seq)
		if err != nil || !found {
			return err
		}
		c, err := decodeBody(m.body)
		if err != nil {
			return err
		}
		r, err := decodeCommit(c, m.body, m.seq)
		if err != nil {
			return err
		}
		if err := s.applyRead(o, r, true); err != nil {
			return err
		}
	}
}

// readAhead is how many commits are decoded ahead of the fold while an org loads.
const readAhead = 512

// readCommits gives the commits of a subject from a sequence on. They are decoded
// on another processor than the one that folds: 153,000 commits a second in place
// of 117,000 (BenchmarkStart, a million commits, two processors).
func (s *Store) readCommits(ctx context.Context, subject string, from uint64, f func(readCommit) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	decoded := make(chan readCommit, readAhead)
	var readErr error // settled when decoded is closed
	go func() {
		defer close(decoded)
		panicked := s.Guard("decode", "", "", func() {
			readErr = s.read(ctx, subject, from, math.MaxUint64, func(seq uint64, body []byte) error {
				c, err := decodeBody(body)
				if err != nil {
					return err
				}
				r, err := decodeCommit(c, body, seq)
				if err != nil {
					return err
				}
				select {
				case decoded <- r:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
		})
		readErr = errors.Join(readErr, panicked)
	}()
	var err error
	for r := range decoded {
		if err == nil {
			if err = f(r); err != nil {
				cancel()
			}
		}
	}
	if err != nil {
		return err
	}
	return readErr
}

func (o *org) reset() {
	o.state = domain.NewState()
	o.moveTo(Head{})
	o.ids, o.keys = map[domain.UUID]uint64{}, map[string]vault.Key{}
	o.seqs, o.lost, o.tooNew, o.snapped = nil, nil, wire.Position{}, 0
}

// observeFrom is the earliest commit that some observer still needs.
func (s *Store) observeFrom(ctx context.Context, id domain.ID) (uint64, error) {
	from := uint64(math.MaxUint64)
	for _, ob := range s.observers {
		n, err := ob.From(ctx, id)
		if err != nil {
			return 0, err
		}
		from = min(from, n)
	}
	return from, nil
}

func (s *Store) beginObserving(o *org) {
	for _, ob := range s.observers {
		ob.Begin(o.id, o.state, o.head)
	}
}

// read gives the messages of a subject from a sequence on. It ends with the last one
// that existed when the reading began, or with the sequence until, whichever is less.
// The body is the receiver's.
func (s *Store) read(ctx context.Context, subject string, from, until uint64, f func(seq uint64, body []byte) error) error {
	last, err := s.ledger.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the tail of %s: %w", subject, err)
	}
	until = min(until, last.Sequence)
	if from > until {
		return nil
	}
	if from == until && last.Sequence == until {
		return f(last.Sequence, last.Data)
	}
	return s.readThrough(ctx, streams.Ledger, []string{subject}, from, until, f)
}

// patience is for how long a reading goes on without a message. A cluster that
// lost the server which makes its consumers chooses another within some seconds,
// and answers nobody until then.
const patience = 30 * time.Second

// readThrough reads a stream until a sequence that is there. A consumer that is
// lost, or that nobody makes just now, is made again behind what was read.
func (s *Store) readThrough(ctx context.Context, stream string, subjects []string, from, until uint64, f func(seq uint64, body []byte) error) error {
	var failed error // what f answered, which no second reading mends
	next := from
	for begun := s.current.elapsed(); ; {
		err := ReadStream(ctx, s.bulk, stream, subjects, next, until, func(seq uint64, body []byte) error {
			failed = f(seq, body)
			next, begun = seq+1, s.current.elapsed()
			return failed
		})
		if err == nil || failed != nil {
			return failed
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.current.elapsed()-begun > patience || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		s.log.Warn("reading was interrupted; trying again", "stream", stream, "from_seq", next, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
