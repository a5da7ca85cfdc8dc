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
// messages as such: a consumer that is made anew would then pass over what came in
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
		s.deliver(msg.Subject(), meta.Sequence.Stream, msg.Data())
		if s.fences != nil {
			s.fences.seen(meta.Sequence.Stream, msg.Data())
		}
		s.current.brought(meta.Sequence.Stream)
	}
}

// deliver brings an org in memory up to a message of the ledger.
func (s *Store) deliver(subject string, seq uint64, body []byte) {
	_, rest, _ := strings.Cut(subject, ".")
	_, id, _ := strings.Cut(rest, ".")
	o := s.present(domain.ID(id))
	if o == nil { // what is being loaded now reads the message itself
		s.elsewhere(domain.ID(id), seq)
		return
	}
	defer s.release(o)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.loaded.Load() || seq <= o.head.seq {
		return
	}
	var err error
	panicked := s.guardFold("tail", o, func() {
		if err = s.take(o, seq, body); errors.Is(err, ErrBrokenChain) { // a message was missed: the stream has it
			err = s.catchUp(s.ctx, o)
		}
	})
	s.stopIfBroken(o, errors.Join(err, panicked))
}

// stopIfBroken marks an org whose ledger could not be followed as not loaded. The next
// use loads it anew and reports the error. The caller holds o.mu.
func (s *Store) stopIfBroken(o *org, err error) {
	if err == nil || errors.Is(err, ErrTooNew) || s.ctx.Err() != nil {
		return
	}
	s.log.Error("an org cannot follow its ledger", "org", o.id, "position", o.head.Position().String(), "error", err)
	o.loaded.Store(false)
	s.elsewhere(o.id, math.MaxUint64)
}

// settle waits until an org is at least at the present tail of the ledger, and returns
// its head.
func (s *Store) settle(ctx context.Context, id domain.ID) (Head, error) {
	o, err := s.org(ctx, id)
	if err != nil {
		return Head{}, err
	}
	defer s.release(o)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := s.catchUp(ctx, o); err != nil {
		return o.head, err
	}
	return o.head, nil
}

// Head reads an org's tail from the ledger itself and returns where it stands:
// what a lease is answered by, never by this node's memory alone.
func (s *Store) Head(ctx context.Context, id domain.ID) (Head, error) { return s.settle(ctx, id) }
