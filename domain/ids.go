package domain

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// ID names one thing within an org: a slug or a UUID, 1 to 64 characters out of
// a-z, 0-9, hyphen and underscore, beginning with a letter or a digit. Ids stand
// in clear in the ledger for ever, so they must say nothing about a person.
type ID string

// MaxID is the greatest length of an ID in bytes.
const MaxID = 64

// check says what is wrong with the id; the empty id passes, a rule asks for it.
func (id ID) check() error {
	if id == "" {
		return nil
	}
	if len(id) > MaxID {
		return fmt.Errorf("an id has at most %d characters", MaxID)
	}
	for i, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case (c == '-' || c == '_') && i > 0:
		default:
			return fmt.Errorf("an id has only a-z, 0-9, - and _, and begins with a letter or a digit")
		}
	}
	return nil
}

// CheckID says what is wrong with an id that must be there.
func CheckID(id ID) error {
	if id == "" {
		return fmt.Errorf("an id is missing")
	}
	return id.check()
}

// sortedIDs returns a sorted copy without doubles.
func sortedIDs(ids []ID) []ID {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}

// UUID is a universally unique identifier (RFC 9562).
type UUID [16]byte

// String returns the canonical form of 36 characters.
func (u UUID) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// MarshalText writes the canonical form.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads the canonical form.
func (u *UUID) UnmarshalText(text []byte) error {
	v, err := ParseUUID(string(text))
	*u = v
	return err
}

// ParseUUID reads the canonical form of 36 characters, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("%q is no UUID", s)
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(raw) != 16 {
		return u, fmt.Errorf("%q is no UUID", s)
	}
	copy(u[:], raw)
	return u, nil
}

// DeriveUUID returns the version 5 UUID of name in the name space of a UUID
// (RFC 9562, section 5.5): the same for the same two for ever, so that a timer,
// a retry or a second instance names the same thing.
func DeriveUUID(space UUID, name string) UUID {
	h := sha1.New()
	h.Write(space[:])
	h.Write([]byte(name))
	var u UUID
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}

// OfService reports whether an id of a command lies in the name space of the service:
// its version is 8. Ids of the service follow from public data, so that anybody could
// send a command under them before it does; ids from clients are never of this version.
func (u UUID) OfService() bool { return u[6]>>4 == 8 }

// ForService returns the id in the name space of the service, where no client's id is.
func (u UUID) ForService() UUID {
	u[6] = u[6]&0x0f | 0x80
	return u
}
