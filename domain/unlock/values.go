package unlock

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"gatehouse/domain/schedule"
)

// Key names a row.
type Key struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`
}

// String gives "door/d1".
func (k Key) String() string { return k.Kind.String() + "/" + k.ID }

// Compare orders keys as bases list them: by kind, then by id.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Kind, other.Kind), strings.Compare(k.ID, other.ID))
}

// MaxID is the greatest length of an id in bytes.
const MaxID = 200

// ID is an id in the form that tables look up. It is the first 16 bytes of the SHA-256
// of its text. Frequent callers keep the IDs of doors and persons. The zero ID stands
// for the empty text.
type ID [16]byte

// IDOf gives the ID of a text; of "" the zero ID.
func IDOf(text string) ID {
	if text == "" {
		return ID{}
	}
	// A conversion would allocate; ids fit here.
	var buf [MaxID]byte
	in := buf[:]
	if len(text) > MaxID {
		in = make([]byte, len(text))
	}
	h := sha256.Sum256(in[:copy(in, text)])
	return ID(h[:16])
}

// Tag stands for the number of a card or the digits of a PIN: 16 bytes of an
// HMAC-SHA-256 under a key of the site. Its text is 32 hexadecimal digits.
type Tag [16]byte

// String gives the text.
func (t Tag) String() string { return hex.EncodeToString(t[:]) }

// MarshalText gives the text.
func (t Tag) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, t[:]), nil }

// UnmarshalText parses the text, in lower case.
func (t *Tag) UnmarshalText(text []byte) error {
	var read Tag
	if n, err := hex.Decode(read[:], text[:min(len(text), 32)]); err != nil || n != 16 || len(text) != 32 || read.String() != string(text) {
		return fmt.Errorf("%q is no tag: it has 32 hexadecimal digits in lower case", text)
	}
	*t = read
	return nil
}

// Instant is a point of time in nanoseconds since 1970 UTC, up to April 2262.
// Its text is RFC 3339 in UTC. As a bound of a window the zero Instant is none.
type Instant int64

// InstantOf gives the instant of a time, saturated where it is out of range.
func InstantOf(t time.Time) Instant { return Instant(schedule.Nanos(t)) }

// Time gives the time in UTC.
func (i Instant) Time() time.Time { return time.Unix(0, int64(i)).UTC() }

// String gives the text.
func (i Instant) String() string { return i.Time().Format(time.RFC3339Nano) }

// MarshalText gives the text.
func (i Instant) MarshalText() ([]byte, error) {
	return i.Time().AppendFormat(nil, time.RFC3339Nano), nil
}

// UnmarshalText reads the text, as MarshalText gives it.
func (i *Instant) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return fmt.Errorf("%q is no instant: it is written as in 2026-11-21T08:30:00Z", text)
	}
	if read := InstantOf(t); read.String() == string(text) {
		*i = read
		return nil
	}
	return fmt.Errorf("%q is no instant in its one form, with Z and within 1677 to 2262", text)
}

// Window is the time from From, inclusive, to Until, exclusive. A zero bound is
// none.
type Window struct {
	From  Instant `json:"from,omitzero"`
	Until Instant `json:"until,omitzero"`
}
