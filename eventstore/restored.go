package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// Loss is what is given up when the ledger of an org goes on behind its head.
type Loss struct {
	KnownTo  uint64 // highest number of which it is known that it was used; 0: none behind the head
	LostTo   uint64 // highest number that is given up
	Accepted string // the position from which an operator said to go on; empty: nothing is known to be lost
	// Destroyed are ids of keys that are destroyed; those that the ledger uses still end.
	Destroyed []string
}

// GoOn commits LedgerRestored behind the head of an org: the numbers up to that of the
// loss are never used again, and the epoch grows. The same loss at the same head is
// committed once.
func (s *Store) GoOn(ctx context.Context, id domain.ID, loss Loss) (Result, error) {
	head, err := s.Head(ctx, id)
	if err != nil {
		return Result{}, err
	}
	var used []string
	err = s.View(ctx, id, func(state *domain.State, _ Head) error {
		used = state.DestroyedKeysOf(loss.Destroyed)
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	return s.Execute(ctx, id, Request{
		ID:      domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("restore/%s/%s/%d", id, head.Hash, loss.LostTo)),
		Command: "RestoreLedger", Actor: domain.ServiceActor("restore"),
		Fields: []any{&domain.RestoreLedger{
			Epoch: head.Position().Epoch + 1, LostFrom: head.N + 1, LostTo: loss.LostTo, HashAtLostFrom: head.Hash.String(),
			KnownTo: loss.KnownTo, Accepted: loss.Accepted, DestroyedKeys: used,
		}},
	})
}

// An End is where the ledger of an org ends, and what is known of it beyond that.
type End struct {
	Head    Head
	Known   wire.Position // the furthest that is known, of the mark or the snapshot
	KnownBy string        // which of them it is; empty: none knows of more than the head
	Unsure  bool          // nobody knows how far it went
}

// EndOf returns where the ledger of an org ends, whether it is served or not.
func (s *Store) EndOf(ctx context.Context, id domain.ID) (End, error) {
	o := &org{id: id, subject: Subject(id)}
	header, _, _, err := s.readSnapshot(id)
	if err != nil {
		header = snapshotHeader{} // it tells nothing
	}
	known := s.knownEnds(id, header)
	head, err := s.storedEnd(ctx, o)
	if err != nil {
		return End{}, err
	}
	end := End{Head: head, Unsure: s.vaultBeyond > 0 || s.checkUnmarked(o, head) != nil}
	for _, k := range known {
		same := s.checkSame(ctx, o, head, k)
		if same != nil && !errors.Is(same, ErrBehind) {
			return End{}, same
		}
		if (same != nil || k.Beyond(head.Position())) && (end.KnownBy == "" || k.N > end.Known.N) {
			end.Known, end.KnownBy = k.Position(), k.from
		}
	}
	return end, nil
}

// Orgs lists the orgs that the ledger has commits of or the marks know. It reports
// unsure when the vault knows of lost commits, and no mark tells whose they were.
func (s *Store) Orgs(ctx context.Context) (orgs []domain.ID, unsure bool, err error) {
	info, err := s.ledger.Info(ctx, jetstream.WithSubjectFilter("ledger.>"))
	if err != nil {
		return nil, false, fmt.Errorf("eventstore: list the orgs: %w", err)
	}
	for subject := range info.State.Subjects {
		orgs = append(orgs, domain.ID(subject[strings.LastIndexByte(subject, '.')+1:]))
	}
	if s.cfg.Marks != nil {
		for _, m := range s.cfg.Marks.All() {
			orgs = append(orgs, m.Org)
		}
	}
	slices.Sort(orgs)
	return slices.Compact(orgs), s.vaultBeyond > 0, nil
}

// FollowAnew lets the vault begin again at the first commit. The vault has followed the
// ledger beyond its end, and an operator has accepted what every org lost.
func (s *Store) FollowAnew(ctx context.Context) error {
	info, err := s.ledger.Info(ctx)
	if err == nil {
		_, err = s.cfg.Vault.Cursor(ctx, s.identity(), info.State.LastSeq)
	}
	if err != nil {
		return fmt.Errorf("eventstore: let the vault begin again: %w", err)
	}
	return nil
}
