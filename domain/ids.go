package domain

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"
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

// # Ids of new things
//
// A command may leave out the id of what it makes. The thing then gets a short one, as
// p-1041: the prefix of its noun and a number of four digits, or of more where those
// are taken. The number is drawn by hashing a salt that is made for the decision and
// told to nobody. So ids follow no order, and nobody learns from one how many things
// exist, when they were made, or which numbers were skipped.
//
// The id is stored in the commit: folding it, or sending the command again, draws
// nothing. A trial gets stand-ins, as p-new-1: trials cost nothing, and would in the
// end tell which numbers never come.

// idPrefixes are the prefixes of made ids by noun. A noun that has none gets UUIDs:
// nobody types the id of a secret, of a closure or of a request to open.
var idPrefixes = map[string]string{
	"area":       "a",
	"booking":    "b",
	"credential": "c",
	"door":       "d",
	"gateway":    "gw",
	"grant":      "g",
	"group":      "gr",
	"person":     "p",
	"review":     "rv",
	"right":      "r",
	"schedule":   "sc",
	"share":      "s",
	"site":       "si",
	"token":      "t",
	"unit":       "u",
}

// Made ids begin with fewestDigits digits and get one more after drawsPerDigit numbers
// that were taken, up to mostDigits.
const (
	fewestDigits  = 4
	mostDigits    = 18
	drawsPerDigit = 8
)

// idFor returns given, or a new id when the command left it out. The command numbers
// its new things by noun.
func (tx *Tx) idFor(given ID, noun string) ID {
	subject, leftOut := tx.leftOut[given]
	if given != "" && !leftOut {
		return given
	}
	if tx.made == nil {
		tx.made, tx.drawn = map[string]int{}, map[ID]struct{}{}
	}
	n := tx.made[noun]
	tx.made[noun]++
	prefix, short := idPrefixes[noun]
	if !short {
		return ID(DeriveUUID(tx.ID, fmt.Sprintf("%s/%d", noun, n)).String())
	}
	id := tx.freeID(prefix, n)
	tx.drawn[id] = struct{}{}
	if leftOut {
		tx.noteSubject(subject, id)
	}
	return id
}

// freeID draws the nth id with a prefix until nothing has it.
func (tx *Tx) freeID(prefix string, n int) ID {
	for draw := 0; ; draw++ {
		id := ID(prefix + "-new-" + strconv.Itoa(n+draw+1))
		if !tx.Trial {
			id = hashedID(tx.Salt, tx.ID, prefix, n, draw)
		}
		if _, drawn := tx.drawn[id]; !drawn && !tx.taken(id) {
			return id
		}
	}
}

// hashedID is one draw of freeID: a number without leading zeros, all of a length equally
// likely.
func hashedID(salt [16]byte, command UUID, prefix string, n, draw int) ID {
	b := make([]byte, 0, 64)
	b = append(b, salt[:]...)
	b = append(b, command[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	b = binary.BigEndian.AppendUint64(b, uint64(draw))
	b = append(b, prefix...)
	sum := sha256.Sum256(b)
	lowest := uint64(1)
	for range min(fewestDigits+draw/drawsPerDigit, mostDigits) - 1 {
		lowest *= 10
	}
	return ID(prefix + "-" + strconv.FormatUint(lowest+binary.BigEndian.Uint64(sum[:])%(9*lowest), 10))
}

// taken reports whether a thing of any noun has an id. Things that have ended, were
// erased or are hidden from the sender count too.
func (tx *Tx) taken(id ID) bool {
	for _, h := range tx.unseen {
		if h.id == id {
			return true
		}
	}
	for _, t := range tx.journal.tables {
		if t.holds(id) {
			return true
		}
	}
	return false
}

// LeftOutSubject returns the nth stand-in, from 0, for the subjects that a command
// leaves out. [Complete] puts it in their place, the same for every retry. The thing
// that is made for it has another id, which [Decision.Made] tells.
func LeftOutSubject(command UUID, n int) ID {
	return ID(DeriveUUID(command, fmt.Sprintf("subject/%d", n)).String())
}

// leftOutOf finds the stand-ins in commands, as Complete numbered them.
func leftOutOf(command UUID, cmds []Command) map[ID]int {
	var found map[ID]int
	for _, cmd := range cmds {
		v := reflect.ValueOf(cmd)
		eachNewSubject(v, planOf(v.Type()), func(subject reflect.Value) {
			id := subject.Interface().(ID)
			if len(id) != len(UUID{}.String()) || id != LeftOutSubject(command, len(found)) {
				return
			}
			if found == nil {
				found = map[ID]int{}
			}
			found[id] = len(found)
		})
	}
	return found
}

// noteSubject tells in the decision which id was made for a stand-in.
func (tx *Tx) noteSubject(n int, id ID) {
	for len(tx.subjects) <= n {
		tx.subjects = append(tx.subjects, LeftOutSubject(tx.ID, len(tx.subjects)))
	}
	tx.subjects[n] = id
}
