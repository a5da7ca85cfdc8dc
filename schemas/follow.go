package schemas

import (
	"errors"
	"fmt"
	"slices"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// ErrDoesNotFollow says that a commit does not follow another one.
var ErrDoesNotFollow = errors.New("it does not follow the commit before")

// Follows returns an error if the commit cannot come after the one at prev with hash.
// Both are zero before the first commit. The number must be the next one, and the epoch
// the same. A commit with LedgerRestored comes after the range that it names as lost,
// whose first number is the next one, in the next epoch.
func (c *Commit) Follows(prev wire.Position, hash wire.Hash) error {
	if c.Prev != hash {
		return fmt.Errorf("%w: it names another hash", ErrDoesNotFollow)
	}
	epoch, n := max(prev.Epoch, 1), prev.N+1
	switch {
	case c.restores() && c.TooNew(): // its events are for later code to read
		epoch, n = max(c.Epoch, epoch+1), max(c.N, n+1)
	case c.restores():
		lost, err := c.Lost()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDoesNotFollow, err)
		}
		if lost.From != n {
			return fmt.Errorf("%w: it names numbers from %d on as lost", ErrDoesNotFollow, lost.From)
		}
		epoch, n = epoch+1, lost.To+1
	}
	if c.Epoch != epoch || c.N != n {
		return fmt.Errorf("%w: it should be %s", ErrDoesNotFollow, wire.Position{Epoch: epoch, N: n})
	}
	return nil
}

// restoredEvent is the wire name of LedgerRestored.
var restoredEvent = domain.EventName(domain.LedgerRestored{})

// restores reports whether the commit declares a range as lost, which is always its
// first event.
func (c *Commit) restores() bool { return len(c.Events) > 0 && c.Events[0].Type == restoredEvent }

// Lost is the range of numbers that a commit with LedgerRestored names as lost. It is
// zero for any other commit. It fails when the commit contradicts its event.
func (c *Commit) Lost() (Range, error) {
	if !c.restores() {
		return Range{}, nil
	}
	decoded, err := c.Events[0].Decode()
	if err != nil {
		return Range{}, err
	}
	e := decoded.(domain.LedgerRestored)
	if e.LostFrom == 0 || e.LostTo < e.LostFrom || e.LostTo > domain.MaxLost || e.Epoch != c.Epoch || e.HashAtLostFrom != c.Prev.String() {
		return Range{}, fmt.Errorf("commit %s says %d to %d are lost before epoch %d, behind %s", c.Position(), e.LostFrom, e.LostTo, e.Epoch, e.HashAtLostFrom)
	}
	return Range{e.LostFrom, e.LostTo}, nil
}

// Range is a range of numbers of commits, both ends inclusive.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Ranges are ranges that do not touch, in order: the lost numbers of an org.
type Ranges []Range

// Count is how many commits an org with these lost ranges has up to a number,
// inclusive.
func (r Ranges) Count(n uint64) uint64 {
	count := n
	for _, lost := range r {
		if n < lost.From {
			break
		}
		count -= min(n, lost.To) - lost.From + 1
	}
	return count
}

// Number is the number of the commit that is the count-th of the org; 0 for count 0.
func (r Ranges) Number(count uint64) uint64 {
	if count == 0 {
		return 0
	}
	n := count
	for _, lost := range r {
		if n < lost.From {
			break
		}
		n += lost.To - lost.From + 1
	}
	return n
}

// Has reports whether a number is lost.
func (r Ranges) Has(n uint64) bool {
	return slices.ContainsFunc(r, func(lost Range) bool { return lost.From <= n && n <= lost.To })
}
