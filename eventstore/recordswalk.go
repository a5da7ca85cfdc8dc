package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

// fewRecords is up to how many records are read one by one: a consumer costs more.
const fewRecords = 32

var errPageFull = errors.New("eventstore: the page is full")

// RecordsAfter finds where in the stream the records of a gateway begin whose counter is
// above k. It passes over those that were stored longer than an age before the last one.
// It is behind the last record where there are no others, and 0 where there is no record.
func (s *Store) RecordsAfter(ctx context.Context, org, site, gateway domain.ID, k uint64, age time.Duration) (from uint64, err error) {
	stream, err := s.js.Stream(ctx, streams.Activity)
	if err != nil {
		return 0, fmt.Errorf("eventstore: open %s: %w", streams.Activity, err)
	}
	subject := activitySubject(org, site, gateway)
	last, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("eventstore: read the tail of %s: %w", subject, err)
	}
	oldest := last.Time.Add(-age)
	var failed error
	found := sort.Search(int(last.Sequence), func(i int) bool {
		if failed != nil {
			return true
		}
		msg, err := stream.GetMsg(ctx, uint64(i)+1, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			failed = err
			return true
		}
		a, err := wire.DecodeActivity(msg.Data)
		return !msg.Time.Before(oldest) && (err != nil || a.K > k)
	})
	if failed != nil {
		return 0, fmt.Errorf("eventstore: find the records of %s behind %d: %w", subject, k, failed)
	}
	return uint64(found) + 1, nil
}

// EachRecord calls f with records of a gateway from a position of the stream on. They come
// in their order, at most limit of them. It passes over messages that are no records. It
// returns behind which position it ended, and whether there are more.
func (s *Store) EachRecord(ctx context.Context, org, site, gateway domain.ID, from uint64, limit int, f func(*wire.Activity)) (next uint64, more bool, err error) {
	stream, err := s.js.Stream(ctx, streams.Activity)
	if err != nil {
		return from, false, fmt.Errorf("eventstore: open %s: %w", streams.Activity, err)
	}
	subject := activitySubject(org, site, gateway)
	last, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return from, false, nil
	}
	if err != nil {
		return from, false, fmt.Errorf("eventstore: read the tail of %s: %w", subject, err)
	}
	next = max(from, 1)
	give := func(seq uint64, body []byte) error {
		next = seq + 1
		if a, err := wire.DecodeActivity(body); err == nil && a.Gateway == wire.ID(gateway) {
			f(a)
		}
		if limit--; limit == 0 {
			return errPageFull
		}
		return nil
	}
	for n := 0; n < fewRecords && next <= last.Sequence && err == nil; n++ {
		msg, failed := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject))
		if failed != nil {
			return next, false, fmt.Errorf("eventstore: read the records of %s: %w", subject, failed)
		}
		err = give(msg.Sequence, msg.Data)
	}
	if err == nil && next <= last.Sequence {
		err = s.readThrough(ctx, streams.Activity, []string{subject}, next, last.Sequence, give)
	}
	if err != nil && !errors.Is(err, errPageFull) {
		return next, false, fmt.Errorf("eventstore: read the records of %s: %w", subject, err)
	}
	return next, next <= last.Sequence, nil
}
