package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas"
)

// recordRefusal keeps that a command was refused: who, when, which and why, never
// its fields. That it cannot be kept does not change the answer; it is logged.
func (s *Store) recordRefusal(ctx context.Context, org domain.ID, x *execution, r *domain.Refusal) {
	body, err := json.Marshal(schemas.Refusal{ID: x.req.ID, At: s.cfg.Now().UTC(), Actor: x.req.Actor,
		Command: x.req.Command, Code: r.Code, IDs: r.IDs, DryRun: x.req.DryRun})
	if err == nil {
		err = s.canAppend()
	}
	var ack *jetstream.PubAck
	if err == nil {
		ack, err = s.js.Publish(ctx, "refusals."+string(org), body)
	}
	if err == nil {
		s.cfg.Marks.AdvanceStream(streams.Refusals, ack.Sequence)
	} else {
		s.log.Error("a refusal could not be kept", "org", org, "command", x.req.Command, "code", r.Code, "error", err)
	}
}

// refusalsEvery is the pause between two looks for refusals that are old enough to be
// taken out.
const refusalsEvery = time.Hour

func (s *Store) ageRefusals() {
	for pause(s.ctx, refusalsEvery) == nil {
		if err := s.takeOutRefusals(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("old refusals were not taken out; trying again", "error", err)
		}
	}
}

// takeOutRefusals deletes the refusals beyond the audit horizon. It goes by the time of
// the service, and deletes none while that is not trusted. The service itself may not
// empty the stream: with an embedded server it does so as the operator, and on a
// cluster they stay until an operator deletes them.
func (s *Store) takeOutRefusals(ctx context.Context) error {
	if s.ClockTrusted() != nil || s.cfg.Embedded == nil {
		return nil
	}
	stream, err := s.js.Stream(ctx, streams.Refusals)
	if err != nil {
		return fmt.Errorf("eventstore: open %s: %w", streams.Refusals, err)
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	horizon := s.cfg.Now().Add(-streams.HistoryAge)
	var failed error
	young := sort.Search(int(state.LastSeq-state.FirstSeq), func(i int) bool { // the last one stays
		msg, err := stream.GetMsg(ctx, state.FirstSeq+uint64(i))
		var r schemas.Refusal
		if err == nil {
			err = json.Unmarshal(msg.Data, &r)
		}
		failed = errors.Join(failed, err)
		return err != nil || r.At.After(horizon)
	})
	if failed != nil || young == 0 {
		return failed
	}
	first := state.FirstSeq + uint64(young)
	s.cfg.Marks.TakeOut(streams.Refusals, first) // before, so that it is never taken for a loss
	err = s.cfg.asOperator(func(nc *nats.Conn) error {
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		stream, err := js.Stream(ctx, streams.Refusals)
		if err != nil {
			return err
		}
		return stream.Purge(ctx, jetstream.WithPurgeSequence(first))
	})
	if err != nil {
		return fmt.Errorf("eventstore: take out old refusals: %w", err)
	}
	return nil
}
