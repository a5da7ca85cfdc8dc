package restore

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/eventstore/backup"
)

// window is how many messages are in flight to the servers at once. They arrive in
// order, because one connection carries them.
const window = 256

// publish publishes the messages of a stream of the backup again. They are unchanged
// but for the headers that the servers set. Each must get the sequence after the one
// before; otherwise another writer is at work.
func (r *run) publish(ctx context.Context, stream string) error {
	var waiting []jetstream.PubAckFuture
	next := uint64(1)
	settle := func(left int) error {
		for len(waiting) > left {
			select {
			case ack := <-waiting[0].Ok():
				if ack.Sequence != next {
					return fmt.Errorf("message %d was stored as %d: somebody else writes there", next, ack.Sequence)
				}
			case err := <-waiting[0].Err():
				return fmt.Errorf("store message %d: %w", next, err)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			waiting = waiting[1:]
			next++
		}
		return nil
	}
	err := r.cfg.Backup.Messages(ctx, stream, func(m *backup.Message) error {
		if err := settle(window); err != nil {
			return err
		}
		msg := &nats.Msg{Subject: m.Subject, Data: m.Body, Header: nats.Header{}}
		for key, values := range m.Header {
			if !strings.HasPrefix(key, "Nats-") {
				msg.Header[key] = values
			}
		}
		future, err := r.js.PublishMsgAsync(msg, jetstream.WithExpectStream(stream))
		if err != nil {
			return err
		}
		waiting = append(waiting, future)
		return nil
	})
	if err != nil {
		return err
	}
	return settle(0)
}
