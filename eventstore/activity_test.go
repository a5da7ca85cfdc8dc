package eventstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

func records(from, n int) []wire.Activity {
	out := make([]wire.Activity, n)
	for i := range out {
		out[i] = wire.Activity{Type: wire.AccessGranted, At: time.Unix(int64(from+i), 0).UTC(), Door: "gate", Source: fmt.Sprint(from + i)}
	}
	return out
}

// readActivity reads a gateway's records and checks that they are a chain without
// gaps.
func readActivity(t *testing.T, s *Store, subject string) (out []wire.Activity) {
	t.Helper()
	stream, err := s.js.Stream(t.Context(), streams.Activity)
	require.NoError(t, err)
	var prev wire.Hash
	for seq := uint64(1); ; {
		msg, err := stream.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
			return out
		}
		a, err := wire.DecodeActivity(msg.Data)
		require.NoError(t, err)
		require.Equal(t, uint64(len(out)+1), a.K)
		require.Equal(t, prev, a.Prev)
		out, prev, seq = append(out, *a), wire.HashOf(msg.Data), msg.Sequence+1
	}
}

func TestActivityIsWrittenOnceByOneWriter(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		w, err := s.ActivityWriter(t.Context(), "acme", "north", "gw1")
		require.NoError(t, err)
		require.NoError(t, w.Append(t.Context(), records(1, 1)))
		require.NoError(t, w.Append(t.Context(), records(2, 1000)))
		require.NoError(t, w.Append(t.Context(), records(1002, 2)))
		assert.Error(t, w.Append(t.Context(), nil))
		assert.Error(t, w.Append(t.Context(), records(1, 1001)))

		second, err := s.ActivityWriter(t.Context(), "acme", "north", "gw1")
		require.NoError(t, err)
		assert.Equal(t, uint64(1003), second.K())
		require.NoError(t, second.Append(t.Context(), records(1004, 3)))
		assert.ErrorIs(t, w.Append(t.Context(), records(9, 2)), ErrNotSoleWriter, "the first writer is out")
		assert.ErrorIs(t, w.Append(t.Context(), records(9, 1)), nil, "having read the tail it may go on, as its successor would")

		got := readActivity(t, s, "activity.acme.north.gw1")
		require.Len(t, got, 1007)
		assert.Equal(t, "1003", got[1002].Source)
		assert.Equal(t, uint64(1), got[1002].Boot)
		assert.Equal(t, uint64(2), got[1003].Boot)
		_, err = s.ActivityWriter(t.Context(), "acme", "no.rth", "gw1")
		assert.Error(t, err, "user text is no subject")
	})
}

// lossyActivity loses acknowledgements of activity after the server stored it.
type lossyActivity struct {
	jetstream.JetStream
	lose int
}

func (l *lossyActivity) Publish(ctx context.Context, subject string, data []byte, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := l.JetStream.Publish(ctx, subject, data, opts...)
	if err == nil && l.lose > 0 {
		l.lose--
		return nil, nats.ErrTimeout
	}
	return ack, err
}

func (l *lossyActivity) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := l.JetStream.PublishMsg(ctx, msg, opts...)
	if err == nil && l.lose > 0 {
		l.lose--
		return nil, nats.ErrTimeout
	}
	return ack, err
}

func TestActivityIsStoredOnceOverLostAcknowledgements(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		net := &lossyActivity{JetStream: s.js}
		s.js = net
		w, err := s.ActivityWriter(t.Context(), "acme", "north", "gw1")
		require.NoError(t, err)
		at := 1
		for _, n := range []int{1, 10, 1, 1000, 1} {
			net.lose = 1
			require.NoError(t, w.Append(t.Context(), records(at, n)))
			assert.Zero(t, net.lose)
			at += n
		}
		assert.Len(t, readActivity(t, s, "activity.acme.north.gw1"), at-1)
	})
}
