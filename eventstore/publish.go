package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MaxAppend is the greatest number of messages of one guarded append: the
// server's limit for an atomic batch.
const MaxAppend = 1000

// ErrConflict says that the subject does not end where the writer believed.
var ErrConflict = errors.New("another writer was first")

// GuardedAppend stores 1 to MaxAppend messages on a literal subject of a stream, all or
// none. It does so if the subject's last message has the sequence last, 0 for none. It
// returns the sequence of the last message when they are durable.
//
// ErrConflict means that the subject ends elsewhere, perhaps with these messages, when
// an earlier try had no answer. ErrRejected means that the server will not take them.
// With any other error they may be stored, and the same call again tells.
func (s *Store) GuardedAppend(ctx context.Context, stream, subject string, bodies [][]byte, last uint64) (uint64, error) {
	var seq uint64
	var out outcome
	var err error
	switch len(bodies) {
	case 0:
		return 0, fmt.Errorf("eventstore: append nothing to %s", subject)
	case 1:
		seq, out, err = appendGuarded(ctx, s.js, stream, subject, bodies[0], last)
	default:
		seq, out, err = s.appendBatch(ctx, stream, subject, bodies, last)
	}
	switch out {
	case stored:
		s.cfg.Marks.AdvanceStream(stream, seq)
		return seq, nil
	case conflict:
		return 0, errors.Join(ErrConflict, err)
	case rejected:
		return 0, errors.Join(ErrRejected, err)
	}
	return 0, err
}

// appendBatch stores messages as an atomic batch whose first bears the guard.
func (s *Store) appendBatch(ctx context.Context, stream, subject string, bodies [][]byte, last uint64) (uint64, outcome, error) {
	if len(bodies) > MaxAppend {
		return 0, rejected, fmt.Errorf("eventstore: %d messages at once for %s, at most %d are taken", len(bodies), subject, MaxAppend)
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	batch := uuid.NewString()
	for i, body := range bodies[:len(bodies)-1] {
		m := batchMsg(subject, batch, i+1, body)
		if i > 0 {
			if err := s.js.Conn().PublishMsg(m); err != nil {
				return 0, unsettled, fmt.Errorf("eventstore: append to %s: %w", subject, err)
			}
			continue
		}
		m.Header.Set(jetstream.ExpectedStreamHeader, stream)
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
		reply, err := s.js.Conn().RequestMsgWithContext(ctx, m)
		if err != nil {
			return 0, unsettled, fmt.Errorf("eventstore: append to %s: %w", subject, err)
		}
		if err := batchRefused(reply); err != nil {
			return 0, classify(err), fmt.Errorf("eventstore: append to %s: %w", subject, err)
		}
	}
	m := batchMsg(subject, batch, len(bodies), bodies[len(bodies)-1])
	m.Header.Set("Nats-Batch-Commit", "1")
	ack, err := s.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, classify(err), fmt.Errorf("eventstore: append to %s: %w", subject, err)
	}
	return ack.Sequence, stored, nil
}

func batchMsg(subject, batch string, n int, body []byte) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = body
	m.Header.Set("Nats-Batch-Id", batch)
	m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(n))
	return m
}

// batchRefused reads the answer to the first message of a batch, which is empty
// when the batch was begun.
func batchRefused(reply *nats.Msg) error {
	if len(reply.Data) == 0 {
		return nil
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return err
	}
	if answer.Error == nil {
		return nil
	}
	return answer.Error
}

// Unreachable reports whether an error says that the servers did not answer: they have
// no leader now, or none can be reached. The outcome of the request is not known, and
// it may be sent again.
func Unreachable(err error) bool {
	return slices.ContainsFunc([]error{context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, jetstream.ErrNoStreamResponse},
		func(silent error) bool { return errors.Is(err, silent) })
}
