package eventstore

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullBytes bounds in bytes what is on its way to a reader: far less than what a
	// server holds back for a connection (64 MiB) before it cuts it as a slow consumer.
	pullBytes = 16 << 20
	// consumerIdle is after what time the server forgets a consumer that nobody asks.
	// It is for readers that ended without a word; the others delete theirs, since a
	// server allows a stream 1,000 of them.
	consumerIdle = 30 * time.Second
	// consumerFarewell bounds the deletion of a consumer.
	consumerFarewell = time.Second
)

// pulls are the terms on which messages are pulled, so many ahead. On a cluster a
// pull that reaches a consumer which was made just now can be lost, and the client
// notices by missing heartbeats: with its own terms after ten seconds, with these
// after one.
func pulls(ahead int) []jetstream.PullMessagesOpt {
	return []jetstream.PullMessagesOpt{jetstream.PullMaxMessagesWithBytesLimit(ahead, pullBytes),
		jetstream.PullExpiry(5 * time.Second), jetstream.PullHeartbeat(500 * time.Millisecond)}
}

// ReadStream gives the messages of a stream between two sequences, both inclusive,
// of some subjects or, without any, of all. There must be such a message at until.
// It leaves no consumer behind.
func ReadStream(ctx context.Context, js jetstream.JetStream, stream string, subjects []string, from, until uint64, f func(seq uint64, body []byte) error) error {
	return readMessages(ctx, js, stream, subjects, from, until, false, func(msg jetstream.Msg, meta *jetstream.MsgMetadata) error {
		return f(meta.Sequence.Stream, msg.Data())
	})
}

// ReadSparse is ReadStream of whole messages of all subjects, of which any may be
// absent, the one at until too: it ends where the server says that nothing follows.
func ReadSparse(ctx context.Context, js jetstream.JetStream, stream string, from, until uint64, f func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	return readMessages(ctx, js, stream, nil, from, until, true, f)
}

func readMessages(ctx context.Context, js jetstream.JetStream, stream string, subjects []string, from, until uint64, sparse bool, f func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	if from > until {
		return nil
	}
	cons, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, InactiveThreshold: consumerIdle,
	})
	if err != nil {
		return err
	}
	defer deleteConsumer(ctx, js, stream, cons)
	if info := cons.CachedInfo(); sparse && info != nil && info.NumPending == 0 {
		return nil
	}
	msgs, err := cons.Messages(pulls(5000)...)
	if err != nil {
		return err
	}
	defer msgs.Stop()
	stop := context.AfterFunc(ctx, msgs.Stop)
	defer stop()
	for {
		msg, err := msgs.Next()
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		seq := meta.Sequence.Stream
		if seq > until {
			return nil
		}
		if err := f(msg, meta); err != nil || seq == until || sparse && meta.NumPending == 0 {
			return err
		}
	}
}

// deleteConsumer deletes the consumer of a reading that is over. One that stays is
// forgotten by the server a little later.
func deleteConsumer(ctx context.Context, js jetstream.JetStream, stream string, cons jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), consumerFarewell)
	defer cancel()
	if info := cons.CachedInfo(); info != nil {
		_ = js.DeleteConsumer(ctx, stream, info.Name)
	}
}
