package domain

import (
	"encoding/hex"
	"fmt"
	"slices"
)

// # What a restore may have lost
//
// A ledger that comes back from a backup ends before the one that was served: what
// was committed in between is gone, but its positions stand in receipts, exports and
// gateways. So the numbers up to the highest that may have been used are named as
// lost and never used again, and the epoch grows, by which everybody sees the seam.
//
// # Why every site gets another key of tags
//
// A gateway may have been retired as stolen in the lost range, perhaps several one
// after the other. Each had a key of tags in the box. So the versions of an epoch
// begin above all that the epochs before can have reached, whether a theft is known
// or not: a key that was ever given out is not good again.
//
// # What is not done again
//
// A door must not open for a request of a time before the restore. The gateway may
// have had the order; nobody knows, and that is recorded.

//
// # What ends again
//
// Whom the lost range erased is erased still: the key is destroyed for ever, and so is
// that of a PIN which ended there. Nobody can read what they sealed, so the person is
// erased and the PIN revoked on record. The owner stays, unreadable, as does the only
// one of a group, until another is made.

var ledgerMessages = messages{
	commands: []CommandType{
		command[RestoreLedger]("Goes on with a ledger that came back from a backup, above the positions that it lost.",
			LedgerRestored{}, RemoteUnlockFailed{}, PersonErased{}, ShareRevoked{}, ShareEnded{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}, UnitUserRemoved{}),
	},
	events: []EventType{event[LedgerRestored](1)},
}

// maxEpoch bounds the epochs: each has tagVersions versions of tag keys.
const maxEpoch = 30_000

// tagVersions is how many versions of tag keys an epoch has. One is used for each
// stolen gateway of a site.
const tagVersions = 1 << 16

// MaxLost is the highest number that can be named as lost. JSON has no greater
// whole numbers that all readers agree on.
const MaxLost = 1 << 52

// RestoreLedger continues the ledger after a restore. The service sends it, for an operator who
// has accepted what is lost; its commit has the number behind LostTo.
type RestoreLedger struct {
	Epoch    uint64 `json:"epoch"`     // from the commit on; one more than before
	LostFrom uint64 `json:"lost_from"` // first number that is lost: the one behind the head
	LostTo   uint64 `json:"lost_to"`   // last number that is given up: the highest that was used, or more
	// HashAtLostFrom is the hash of the last commit that is there, 64 zeros without one.
	HashAtLostFrom string `json:"hash_at_lost_from"`
	// KnownTo is the highest number of which it is known that it was used; 0: of none.
	KnownTo uint64 `json:"known_to,omitempty"`
	// Accepted is the position from which an operator said to go on; empty: nothing is
	// known to be lost.
	Accepted string `json:"accepted,omitempty"`
	// DestroyedKeys are ids of keys that are destroyed, and of which the ledger knows no
	// end.
	DestroyedKeys []string `json:"destroyed_keys,omitempty"`
}

func (RestoreLedger) permit() Permit     { return Permit{Service: true} }
func (RestoreLedger) scope(*State) Scope { return Scope{} }
func (c RestoreLedger) decide(tx *Tx) *Refusal {
	hash, err := hex.DecodeString(c.HashAtLostFrom)
	switch {
	case c.Epoch < 2 || c.Epoch > maxEpoch:
		return invalid("invalid_field", "epoch: it is %d; the first restore begins epoch 2, and there are %d", c.Epoch, maxEpoch)
	case c.LostFrom != tx.State.N+1:
		return invalid("invalid_field", "lost_from: it is %d, and the ledger ends with %d", c.LostFrom, tx.State.N)
	case c.LostTo < c.LostFrom || c.LostTo < c.KnownTo || c.LostTo > MaxLost:
		return invalid("invalid_field", "lost_to: it is %d; from %d to %d is possible", c.LostTo, max(c.LostFrom, c.KnownTo), int64(MaxLost))
	case err != nil || len(hash) != 32:
		return invalid("invalid_field", "hash_at_lost_from: a hash is 64 hex digits")
	}
	tx.emit(LedgerRestored(c))
	for _, id := range tx.UnlockRequests.IDs(unlockPending, "") {
		request, _ := tx.UnlockRequests.Get(id)
		tx.emit(RemoteUnlockFailed{Request: id, Door: request.Door, Person: request.Person, Reason: UnlockUnknown})
	}
	c.endSealed(tx)
	return nil
}

// endSealed ends the people and the PINs whose keys are destroyed.
func (c RestoreLedger) endSealed(tx *Tx) {
	for _, subject := range tx.Keys.ids() {
		if !slices.Contains(c.DestroyedKeys, tx.KeyOf(subject)) {
			continue // one that ended with its holder is there no more
		}
		if p, ok := tx.People.Get(subject); ok && p.State != PersonStateErased && tx.owner() != subject && tx.checkNotLastOwner(subject) == nil {
			tx.emit(PersonErased{Person: subject, Keys: tx.keysOf(subject)})
			for _, b := range tx.bookingsOf(subject) {
				tx.settle(b)
			}
		}
	}
	for _, id := range tx.Credentials.ids() {
		pin, _ := tx.Credentials.Get(id)
		if key := tx.KeyOf(pin.Subject); pin.Kind == KindPin && key != "" && slices.Contains(c.DestroyedKeys, key) {
			tx.emit(tx.revocation(pin, ""))
		}
	}
}

// DestroyedKeysOf lists those of some keys that seal something in the state, sorted.
func (s *State) DestroyedKeysOf(destroyed []string) (used []string) {
	known := map[string]bool{}
	for _, key := range destroyed {
		known[key] = true
	}
	for _, subject := range s.Keys.ids() {
		if key := s.KeyOf(subject); known[key] {
			used = append(used, key)
		}
	}
	slices.Sort(used)
	return slices.Compact(used)
}

// LedgerRestored says which positions were lost with a restore. They are never used
// again, and every site has another key of tags from here on.
type LedgerRestored struct {
	Epoch          uint64 `json:"epoch"`
	LostFrom       uint64 `json:"lost_from"`
	LostTo         uint64 `json:"lost_to"`
	HashAtLostFrom string `json:"hash_at_lost_from"`
	KnownTo        uint64 `json:"known_to,omitempty"`
	Accepted       string `json:"accepted,omitempty"`
	// DestroyedKeys are ids of keys whose end the ledger had lost.
	DestroyedKeys []string `json:"destroyed_keys,omitempty"`
}

func (e LedgerRestored) fold(s *State, _ Moment) {
	for _, id := range s.Sites.ids() {
		s.Sites.Update(id, func(site *Site) { site.StolenKeys = max(site.StolenKeys+1, uint32(e.Epoch-1)*tagVersions) })
	}
}
func (LedgerRestored) affectedSites(*State) []ID { return nil }

// Lost names the positions that are lost, for people.
func (e LedgerRestored) Lost() string { return fmt.Sprintf("%d to %d", e.LostFrom, e.LostTo) }
