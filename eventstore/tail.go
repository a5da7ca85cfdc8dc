package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
)

// startTail follows the ledger from its present end. So the orgs in memory learn of
// commits that other nodes made.
func (s *Store) startTail(ctx context.Context) error {
	msgs, err := s.tail(ctx)
	if err != nil {
		return err
	}
	s.keepRunning("tail", func() { s.followTail(msgs) })
	return nil
}

// tail reads the ledger behind the last message seen. It never asks for new
// messages as such: a consumer that is made again would then pass over what came in
// between.
func (s *Store) tail(ctx context.Context) (jetstream.MessagesContext, error) {
	cons, err := s.js.OrderedConsumer(ctx, streams.Ledger, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.seen + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("eventstore: follow the ledger: %w", err)
	}
	msgs, err := cons.Messages(pulls(500)...)
	if err != nil {
		return nil, fmt.Errorf("eventstore: follow the ledger: %w", err)
	}
	return msgs, nil
}

func (s *Store) followTail(msgs jetstream.MessagesContext) {
	for {
		s.drainTail(msgs)
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(time.Second):
		}
		next, err := s.tail(s.ctx)
		if err != nil {
			s.log.Warn("cannot follow the ledger; trying again", "error", err)
			continue
		}
		msgs = next
	}
}

func (s *Store) drainTail(msgs jetstream.MessagesContext) {
	stop := context.AfterFunc(s.ctx, msgs.Stop)
	defer stop()
	for {
		// The context ends it as well: a stop during a reset of the consumer is lost.
		msg, err := msgs.Next(jetstream.NextContext(s.ctx))
		if err != nil {
			if s.ctx.Err() == nil {
				s.log.Warn("following the ledger was interrupted", "error", err)
				msgs.Stop()
			}
			return
		}
		meta, err := msg.Metadata()
		if err != nil {
			s.log.Error("a message of the ledger without metadata", "error", err)
			continue
		}
		s.seen = meta.Sequence.Stream
		s.deliver(msg.Subject(), message{meta.Sequence.Stream, msg.Data()})
		if s.fences != nil {
			s.fences.onMessage(meta.Sequence.Stream, msg.Data())
		}
		s.current.brought(meta.Sequence.Stream)
	}
}

// deliver hands a message of the ledger to its org, if that is in memory.
func (s *Store) deliver(subject string, m message) {
	_, rest, _ := strings.Cut(subject, ".")
	_, id, _ := strings.Cut(rest, ".")
	o := s.present(domain.ID(id))
	if o == nil { // what is being loaded now reads the message itself
		s.noteRemoteCommit(domain.ID(id), m.seq)
		return
	}
	if m.seq <= o.at.Load() || !o.follow.add(m) {
		s.release(o)
		return
	}
	s.running.Go(func() {
		defer s.release(o)
		for s.Guard("tail", o.id, "", func() { s.followOrg(o) }) != nil && pause(s.ctx, panicRest) == nil {
			o.follow.missed() // what it had taken is read again from the ledger
		}
	})
}

// stopIfBroken marks an org whose ledger could not be followed as not loaded. The next
// use loads it again and reports the error.
func (s *Store) stopIfBroken(o *org, err error) {
	if err == nil || errors.Is(err, ErrTooNew) || s.ctx.Err() != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s.stop(o, err)
}

// stop marks an org as not loaded. The caller holds o.mu.
func (s *Store) stop(o *org, err error) {
	s.log.Error("an org cannot follow its ledger", "org", o.id, "position", o.head.Position().String(), "error", err)
	o.loaded.Store(false)
	s.noteRemoteCommit(o.id, math.MaxUint64)
}
