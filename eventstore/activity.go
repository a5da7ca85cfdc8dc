package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

// MaxActivityBatch is the greatest number of records of one append.
const MaxActivityBatch = wire.MaxRecords

// An ActivityWriter appends the activity of one gateway, exactly once over lost
// acknowledgements and restarts. It is the sole writer of its subject; a second
// one finds out at its next append. It is not safe for concurrent use.
type ActivityWriter struct {
	store   *Store
	stream  jetstream.Stream
	subject string
	gateway domain.ID
	boot    uint64
	k       uint64 // of the last record that is stored
	prev    wire.Hash
	seq     uint64 // of the last message on the subject
}

// ErrNotSoleWriter says that somebody else has written to the gateway's subject.
var ErrNotSoleWriter = errors.New("another writer has written for this gateway")

// ActivityWriter opens the subject of a gateway and finds where it stands: the
// counter goes on behind the last record, and the boot is one more than its.
func (s *Store) ActivityWriter(ctx context.Context, org, site, gateway domain.ID) (*ActivityWriter, error) {
	for _, id := range []domain.ID{org, site, gateway} {
		if err := domain.CheckID(id); err != nil {
			return nil, fmt.Errorf("eventstore: activity of %q: %w", id, err)
		}
	}
	stream, err := s.js.Stream(ctx, streams.Activity)
	if err != nil {
		return nil, fmt.Errorf("eventstore: open %s: %w", streams.Activity, err)
	}
	w := &ActivityWriter{store: s, stream: stream, gateway: gateway, boot: 1, subject: activitySubject(org, site, gateway)}
	last, err := w.last(ctx)
	if errors.Is(err, errUnread) {
		return w, s.standBehind(ctx, w)
	}
	if err != nil {
		return nil, err
	}
	if last != nil {
		w.boot = last.Boot + 1
	}
	return w, nil
}

// standBehind finds the counter and the boot of a subject whose last message is no
// record: it counts as one, so that the counter goes on.
func (s *Store) standBehind(ctx context.Context, w *ActivityWriter) error {
	return s.readThrough(ctx, streams.Activity, []string{w.subject}, 1, w.seq, func(_ uint64, body []byte) error {
		w.k++
		if a, err := wire.DecodeActivity(body); err == nil && a.Gateway == wire.ID(w.gateway) {
			w.k, w.boot = a.K, a.Boot+1
		}
		return nil
	})
}

func activitySubject(org, site, gateway domain.ID) string {
	return fmt.Sprintf("activity.%s.%s.%s", org, site, gateway)
}

// Activity gives the records of a gateway that are stored when it is called, in
// their order. It passes over messages that are no record of the gateway, or that do
// not follow the one before them, and tells how many those are; what stands before
// the first one may be gone by retention.
func (s *Store) Activity(ctx context.Context, org, site, gateway domain.ID, f func(*wire.Activity) error) (damaged uint64, err error) {
	w, err := s.ActivityWriter(ctx, org, site, gateway)
	if err != nil || w.seq == 0 {
		return 0, err
	}
	var prev *wire.Hash
	err = s.readThrough(ctx, streams.Activity, []string{w.subject}, 1, w.seq, func(_ uint64, body []byte) error {
		follows := prev
		hash := wire.HashOf(body)
		prev = &hash
		a, err := wire.DecodeActivity(body)
		if err != nil || a.Gateway != wire.ID(gateway) || follows != nil && a.Prev != *follows {
			damaged++
			return nil
		}
		return f(a)
	})
	return damaged, err
}

// errUnread says that the last message of a subject is no record.
var errUnread = errors.New("eventstore: the last message is no record")

// last reads the last record of the subject and stands behind it; nil when there
// is none. Where the last message is no record it fails with errUnread, and stands
// behind that but for the counter.
func (w *ActivityWriter) last(ctx context.Context) (*wire.Activity, error) {
	msg, err := w.stream.GetLastMsgForSubject(ctx, w.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("eventstore: read the tail of %s: %w", w.subject, err)
	}
	w.prev, w.seq = wire.HashOf(msg.Data), msg.Sequence
	a, err := wire.DecodeActivity(msg.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	w.k = a.K
	return a, nil
}

// K is the counter of the last record that is stored: how a source of records
// finds out where to go on.
func (w *ActivityWriter) K() uint64 { return w.k }

// Last reads the last stored record, or nil.
func (w *ActivityWriter) Last(ctx context.Context) (*wire.Activity, error) { return w.last(ctx) }

// Append stores records, 1 to MaxActivityBatch, as a whole and behind what is
// there. It sets their gateway, boot, counter and prev. It returns when they are
// durable. An outcome that is not known is settled by reading the tail; an error
// means that they may be stored, and that the same records must be given again
// to this writer, or the tail read by a new one.
func (w *ActivityWriter) Append(ctx context.Context, records []wire.Activity) error {
	if len(records) == 0 || len(records) > MaxActivityBatch {
		return fmt.Errorf("eventstore: %d activity records at once, 1 to %d are taken", len(records), MaxActivityBatch)
	}
	if err := w.store.canAppend(); err != nil {
		return errors.Join(ErrRejected, err)
	}
	bodies, prev, err := w.chain(records)
	if err != nil {
		return err
	}
	return w.append(ctx, bodies, w.k+uint64(len(records)), prev)
}

// append stores bodies behind the last record, as a whole. k and prev are the counter and
// the hash of the last of them. Its errors are those of Append.
func (w *ActivityWriter) append(ctx context.Context, bodies [][]byte, k uint64, prev wire.Hash) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		seq, err := w.store.GuardedAppend(ctx, streams.Activity, w.subject, bodies, w.seq)
		switch {
		case err == nil:
			w.k, w.prev, w.seq = k, prev, seq
			return nil
		case errors.Is(err, ErrRejected):
			return err
		}
		was := w.seq
		last, readErr := w.last(ctx)
		switch {
		case readErr == nil && last != nil && w.prev == prev:
			w.store.cfg.Marks.AdvanceStream(streams.Activity, w.seq)
			return nil // it was stored and its acknowledgement lost
		case (readErr == nil || errors.Is(readErr, errUnread)) && errors.Is(err, ErrConflict) && w.seq != was:
			return fmt.Errorf("%w: %s stands at %d", ErrNotSoleWriter, w.subject, w.k)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ErrUnsettled, err)
		case <-time.After(pause):
		}
	}
}

// chain numbers the records and encodes them, each with the hash of the one before. It
// returns the bodies and the hash of the last.
func (w *ActivityWriter) chain(records []wire.Activity) ([][]byte, wire.Hash, error) {
	bodies := make([][]byte, len(records))
	prev := w.prev
	for i := range records {
		a := &records[i]
		a.Gateway, a.Boot, a.K, a.Prev = wire.ID(w.gateway), w.boot, w.k+uint64(i)+1, prev
		body, err := a.Encode()
		if err != nil {
			return nil, prev, err
		}
		bodies[i], prev = body, wire.HashOf(body)
	}
	return bodies, prev, nil
}
