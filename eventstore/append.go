package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// outcome is what is known of a guarded append.
type outcome int

const (
	stored    outcome = iota // acknowledged after the fsync
	conflict                 // the subject's tail is another than the guard named
	unsettled                // no answer that tells: it is stored, will be, or never
	rejected                 // the server will not take it, whatever the tail
)

// Error codes of the server that mean: the tail is not what the guard names, or a
// message of this id is there or on its way (nats-server 2.15, errors.json).
const (
	codeWrongLastSequence         jetstream.ErrorCode = 10071 // the tail moved
	codeWrongLastSequenceConstant jetstream.ErrorCode = 10164 // R3: another write is in flight
	codeDuplicateInProcess        jetstream.ErrorCode = 10158
	codeDuplicateInBatch          jetstream.ErrorCode = 10201
)

// Error codes that mean: nothing was stored and the same message will not be
// taken.
var finalCodes = map[jetstream.ErrorCode]bool{
	10054: true, // message size exceeds maximum allowed
	10077: true, // maximum bytes or messages exceeded
	10047: true, // insufficient storage resources
	10109: true, // stream is sealed
	10060: true, // expected stream does not match
}

// classify sorts the answer to a guarded append. Everything that is not known to
// mean something is unsettled.
func classify(err error) outcome {
	if err == nil {
		return stored
	}
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		switch code := js.APIError().ErrorCode; {
		case code == codeWrongLastSequence, code == codeWrongLastSequenceConstant,
			code == codeDuplicateInProcess, code == codeDuplicateInBatch:
			return conflict
		case finalCodes[code]:
			return rejected
		}
	}
	return unsettled
}

// appendGuarded publishes a body as the next message of a subject whose last
// sequence is last. It does not repeat itself; the caller settles what is
// unsettled.
func appendGuarded(ctx context.Context, js jetstream.JetStream, stream, subject string, body []byte, last uint64) (uint64, outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	ack, err := js.Publish(ctx, subject, body,
		jetstream.WithExpectStream(stream), jetstream.WithExpectLastSequencePerSubject(last), jetstream.WithRetryAttempts(0))
	out := classify(err)
	if err != nil {
		return 0, out, fmt.Errorf("eventstore: append to %s: %w", subject, err)
	}
	return ack.Sequence, out, nil
}
