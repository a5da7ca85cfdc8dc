package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/failpoint"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// RecordsEnd tells where the records of a gateway end. It is zero when there are none.
func (s *Store) RecordsEnd(ctx context.Context, org, site, gateway domain.ID) (wire.RecordsEnd, error) {
	w, err := s.ActivityWriter(ctx, org, site, gateway)
	if err != nil {
		return wire.RecordsEnd{}, err
	}
	return w.end(), nil
}

func (w *ActivityWriter) end() wire.RecordsEnd {
	return wire.RecordsEnd{K: w.k, Boot: w.boot - 1, Prev: w.prev}
}

// TakeRecords stores the records that a gateway sends, 1 to wire.MaxRecords of them, as
// they are: as a whole, and behind those that are stored. It passes over records that are
// stored already, so that a gateway may send again whatever was not answered. It returns
// where the gateway's records end then, with an error too where that is known.
//
// A *wire.AskError says that the records are not those of the gateway, or do not follow:
// nothing is stored. Any other error says that they may be stored, and can be sent again.
func (s *Store) TakeRecords(ctx context.Context, org, site, gateway domain.ID, bodies [][]byte) (wire.RecordsEnd, error) {
	batch, err := wire.CheckRecords(wire.ID(gateway), bodies)
	if err != nil {
		return wire.RecordsEnd{}, err
	}
	if err := s.canAppend(); err != nil {
		return wire.RecordsEnd{}, errors.Join(ErrRejected, err)
	}
	for {
		w, err := s.ActivityWriter(ctx, org, site, gateway)
		if err != nil {
			return wire.RecordsEnd{}, err
		}
		rest, err := batch.Behind(w.end())
		if err != nil || len(rest) == 0 {
			return w.end(), err
		}
		failpoint.Reached(failpoint.RecordsChecked)
		err = w.append(ctx, rest, batch.Last.K, batch.LastHash)
		if errors.Is(err, ErrNotSoleWriter) && ctx.Err() == nil {
			continue // the same records by another connection, or those of a second box
		}
		if err != nil {
			return wire.RecordsEnd{}, fmt.Errorf("eventstore: take records %d to %d of gateway %s: %w", batch.First.K, batch.Last.K, gateway, err)
		}
		failpoint.Reached(failpoint.RecordsStored)
		return wire.RecordsEnd{K: w.k, Boot: batch.Last.Boot, Prev: w.prev}, nil
	}
}

// recordsPage is how many records one page of them has, at most: each is a read of its own.
const recordsPage = 500

// RecordsFrom gives the stored records of a gateway from a position of the stream on.
// They are as many as have room in size bytes, at most 500. next is where the following
// page begins; 0: there is none.
func (s *Store) RecordsFrom(ctx context.Context, org, site, gateway domain.ID, from uint64, size int) (bodies [][]byte, next uint64, err error) {
	w, err := s.ActivityWriter(ctx, org, site, gateway)
	if err != nil {
		return nil, 0, err
	}
	for {
		msg, err := w.stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(w.subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return bodies, 0, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("eventstore: read the records of gateway %s: %w", gateway, err)
		}
		if size -= len(msg.Data) + 1; len(bodies) > 0 && (size < 0 || len(bodies) == recordsPage) {
			return bodies, msg.Sequence, nil
		}
		bodies = append(bodies, msg.Data)
		from = msg.Sequence + 1
	}
}

// LostRanges gives the ranges of an org's numbers that restores lost, in order.
func (s *Store) LostRanges(ctx context.Context, org domain.ID) (schemas.Ranges, error) {
	o, err := s.org(ctx, org)
	if err != nil {
		return nil, err
	}
	defer s.release(o)
	if err := s.rlock(ctx, o); err != nil {
		return nil, err
	}
	defer o.mu.RUnlock()
	return slices.Clone(o.lost), nil
}
