package eventstore

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/schemas"
)

// recordRefusal keeps that a command was refused: who, when, which and why, never
// its fields. That it cannot be kept does not change the answer; it is logged.
func (s *Store) recordRefusal(ctx context.Context, org domain.ID, x *execution, r *domain.Refusal) {
	body, err := json.Marshal(schemas.Refusal{ID: x.req.ID, At: s.cfg.Now().UTC(), Actor: x.req.Actor,
		Command: x.req.Command, Code: r.Code, IDs: r.IDs, DryRun: x.req.DryRun})
	if err == nil {
		err = s.mayAdd()
	}
	var ack *jetstream.PubAck
	if err == nil {
		ack, err = s.js.Publish(ctx, "refusals."+string(org), body)
	}
	if err == nil {
		s.cfg.Marks.advanceStream(StreamRefusals, ack.Sequence)
	} else {
		s.log.Error("a refusal could not be kept", "org", org, "command", x.req.Command, "code", r.Code, "error", err)
	}
}
