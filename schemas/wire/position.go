package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Position is a point in the ledger of one org: the number of its last commit and
// the epoch in which that was made. The epoch grows with the commit
// LedgerRestored alone; n goes on across epochs and has no gaps but for the range that
// LedgerRestored names as lost. Positions of one org are ordered by [Position.Before].
type Position struct {
	Epoch uint64
	N     uint64 // 0: before the first commit
}

// Before reports whether a position is an earlier one of the same org: of an earlier
// epoch, or of a lower number in the same one. A position of the range that a restore
// lost is before all that came after it.
func (p Position) Before(q Position) bool {
	return p.Epoch < q.Epoch || p.Epoch == q.Epoch && p.N < q.N
}

// String returns "<epoch>-<n>".
func (p Position) String() string {
	return strconv.FormatUint(p.Epoch, 10) + "-" + strconv.FormatUint(p.N, 10)
}

// MarshalText writes "<epoch>-<n>".
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads "<epoch>-<n>".
func (p *Position) UnmarshalText(text []byte) error {
	v, err := ParsePosition(string(text))
	*p = v
	return err
}

// ParsePosition reads "<epoch>-<n>".
func ParsePosition(s string) (Position, error) {
	e, n, ok := strings.Cut(s, "-")
	epoch, err1 := strconv.ParseUint(e, 10, 64)
	num, err2 := strconv.ParseUint(n, 10, 64)
	if !ok || err1 != nil || err2 != nil || epoch == 0 {
		return Position{}, fmt.Errorf("%q is no position; one is written <epoch>-<n>, as 1-42", s)
	}
	return Position{epoch, num}, nil
}

// Hash is a SHA-256. In JSON it is 64 hex digits; the zero hash stands before the
// first commit.
type Hash [sha256.Size]byte

// HashOf returns the hash of a stored body.
func HashOf(body []byte) Hash { return sha256.Sum256(body) }

// String returns 64 hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes 64 hex digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hex digits.
func (h *Hash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return fmt.Errorf("a hash is 64 hex digits")
	}
	copy(h[:], b)
	return nil
}
