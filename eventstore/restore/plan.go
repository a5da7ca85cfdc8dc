package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/backup"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

const (
	// marginWitnessed is how many numbers are given up beyond what a witness knows. It
	// is a second behind at most, or as much as its disk was away.
	marginWitnessed = 100_000
	// marginBlind is how many are given up where nothing knows what was lost: a
	// thousand commits a second for more than a week.
	marginBlind = 1_000_000_000
)

// Org is what a restore found of one org.
type Org struct {
	Org      domain.ID     `json:"org"`
	Head     wire.Position `json:"head"` // where the backup ends
	Hash     wire.Hash     `json:"hash"` // of the commit there
	At       time.Time     `json:"at"`
	Known    wire.Position `json:"known,omitzero"`     // the furthest that anything knows of
	KnownBy  string        `json:"known_by,omitempty"` // what knows of it; empty: nothing knows more than the backup
	Blind    bool          `json:"blind,omitempty"`    // no witness was asked
	LostTo   uint64        `json:"lost_to"`            // the last number that is given up
	Accepted bool          `json:"accepted,omitempty"` // an operator accepted the loss
	GoesOn   wire.Position `json:"goes_on,omitzero"`   // of the commit that goes on; n 0: there is none yet
}

// Lost tells what is lost, for people.
func (o Org) Lost() string {
	switch {
	case o.KnownBy != "":
		return fmt.Sprintf("%d to %d are lost, %s knows of %s", o.Head.N+1, o.Known.N, o.KnownBy, o.Known)
	case o.Blind:
		return "nobody knows what came after"
	}
	return "nothing is known to be lost"
}

// Waits reports whether an operator must accept a loss before the org is served.
func (o Org) Waits() bool { return (o.KnownBy != "" || o.Blind) && !o.Accepted }

// loss is what is given up when the org goes on.
func (o Org) loss() eventstore.Loss {
	l := eventstore.Loss{LostTo: o.LostTo}
	if o.KnownBy != "" {
		l.KnownTo = o.Known.N
	}
	if o.Accepted {
		l.Accepted = o.Head.String()
	}
	return l
}

// plan says what is lost of every org, by what the backup and the witnesses know.
func plan(ctx context.Context, b *backup.Backup, heads map[domain.ID]backup.Head, witnesses []string) ([]Org, error) {
	orgs := map[domain.ID]*Org{}
	of := func(id domain.ID) *Org {
		if orgs[id] == nil {
			orgs[id] = &Org{Org: id, Head: wire.Position{Epoch: 1}, Blind: len(witnesses) == 0}
		}
		return orgs[id]
	}
	for id, h := range heads {
		o := of(id)
		o.Head, o.Hash, o.At = h.Position, h.Hash, h.At
	}
	for _, dir := range witnesses {
		marks, damaged, err := mark.Read(dir)
		if err != nil {
			return nil, fmt.Errorf("restore: --witness %s: %w", dir, err)
		}
		marks = slices.DeleteFunc(marks, mark.Mark.IsStream)
		if len(marks) == 0 || damaged > 0 {
			return nil, fmt.Errorf("restore: --witness %s: %d marks can be read and %d are damaged: it does not say where the ledgers ended; "+
				"name the directory that serve was given, or leave it out and accept what nobody knows", dir, len(marks), damaged)
		}
		for _, m := range marks {
			o := of(m.Org)
			if m.N == o.Head.N && m.N > 0 && m.Hash != o.Hash {
				return nil, fmt.Errorf("restore: commit %s of %s is another in the backup than the one that %s knows of: they are of two ledgers", o.Head, m.Org, dir)
			}
			o.know(m.Position(), "the witness "+dir)
		}
	}
	if err := published(ctx, b, func(id domain.ID, at wire.Position) {
		of(id).know(at, "what was published of it in "+streams.Permissions)
	}); err != nil {
		return nil, err
	}
	var all []Org
	for _, o := range orgs {
		o.giveUp()
		all = append(all, *o)
	}
	slices.SortFunc(all, func(a, b Org) int { return cmp.Compare(a.Org, b.Org) })
	return all, nil
}

func (o *Org) know(at wire.Position, by string) {
	if at.N > max(o.Head.N, o.Known.N) {
		o.Known, o.KnownBy = at, by
	}
}

// giveUp sets the last number that is given up when the org goes on.
func (o *Org) giveUp() {
	margin := uint64(marginWitnessed)
	if o.Blind {
		margin = marginBlind
	}
	o.LostTo = max(o.Head.N, o.Known.N) + margin
}

// published gives the positions that deltas and cursors in the backup were made at.
// They may be ahead of the ledger in it, which is copied first.
func published(ctx context.Context, b *backup.Backup, f func(domain.ID, wire.Position)) error {
	return b.Messages(ctx, streams.Permissions, func(m *backup.Message) error {
		words := strings.Split(m.Subject, ".")
		if at, ok := publishedAt(m.Body); ok && len(words) > 2 {
			f(domain.ID(words[1]), at)
		}
		return nil
	})
}

// ErrAccept says that a loss was accepted that is not the one that is there.
var ErrAccept = errors.New("the loss cannot be accepted")

// accept notes the losses that an operator accepts, each by the position where the
// restored ledger ends.
func accept(orgs []Org, losses map[domain.ID]wire.Position) error {
	for id, at := range losses {
		i := slices.IndexFunc(orgs, func(o Org) bool { return o.Org == id })
		switch {
		case i < 0:
			return fmt.Errorf("restore: --accept-loss %s=%s: %w: there is no org %s in the backup or at the witness", id, at, ErrAccept, id)
		case orgs[i].Head != at:
			return fmt.Errorf("restore: --accept-loss %s=%s: %w: the ledger of %s ends at %s; look again at what is lost, and name that", id, at, ErrAccept, id, orgs[i].Head)
		}
		orgs[i].Accepted = true
	}
	return nil
}
