package eventstore

import (
	"context"
	"fmt"

	"gatehouse/domain"
)

// Loss is what is given up when the ledger of an org goes on behind its head.
type Loss struct {
	KnownTo  uint64 // highest number of which it is known that it was used; 0: none behind the head
	LostTo   uint64 // highest number that is given up
	Accepted string // the position from which an operator said to go on; empty: nothing is known to be lost
}

// GoOn commits LedgerRestored behind the head of an org: the numbers up to that of the
// loss are never used again, and the epoch grows. The same loss at the same head is
// committed once.
func (s *Store) GoOn(ctx context.Context, id domain.ID, loss Loss) (Result, error) {
	head, err := s.Head(ctx, id)
	if err != nil {
		return Result{}, err
	}
	return s.Execute(ctx, id, Request{
		ID:      domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("restore/%s/%s/%d", id, head.Hash, loss.LostTo)),
		Command: "RestoreLedger", Actor: domain.ServiceActor("restore"),
		Fields: []any{&domain.RestoreLedger{
			Epoch: head.Position().Epoch + 1, LostFrom: head.N + 1, LostTo: loss.LostTo, HashAtLostFrom: head.Hash.String(),
			KnownTo: loss.KnownTo, Accepted: loss.Accepted,
		}},
	})
}
