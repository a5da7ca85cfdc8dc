// Package backup writes the data of a ledger to a target outside it, and reads it back,
// verified.
//
// # The contents of a target
//
// A target is a folder or a prefix of S3-compatible storage. Its objects:
//
//	manifest                                       list of the backup's objects; replaced as a whole, last of all
//	segments/<stream>/<first>-<last>-<hash>        messages of one stream, in their order; never changed
//	vault/<instant>-<hash>                         a copy of the vault; a new one at each run
//	lock                                           of the writer that works there
//
// The manifest is one line, "gatehouse-backup 1 sha256:<hex of the rest>", and the JSON
// of a [Manifest]. It is not encrypted, so that a writer that holds public keys alone
// can continue from it. It contains only names, counts, sequences and hashes: no org,
// no subject. An object that the manifest does not name is not part of the backup: a
// writer that was killed leaves such objects, and the next run writes their messages
// again under other names. So a run may end after any step.
//
// The plain form of a segment is the JSON of a [SegmentHeader] on one line, and then
// its messages. Each message has its sequence as a uvarint, the time in Unix
// nanoseconds as a varint, and then subject, headers ("Key: value\r\n", sorted) and
// body, each with its length before it as a uvarint. The segment is compressed as one
// frame of zstd and encrypted as one file of age (age-encryption.org/v1), unless the
// backup is plain. The hash in its name and the one in the manifest are the SHA-256 of
// the object as it is stored. A segment is closed at SegmentSize. The last one of each
// stream is open: the next run writes its messages again together with the later ones,
// so that many small runs leave few objects.
//
// # The checks
//
// A writer checks each message before it writes it, and a reader before it returns it:
// sequences of the ledger without a gap, the chain of every org (n, prev, the subject),
// and the chain of every gateway's activity. A ledger whose chain is broken is not
// written any further, because in time only copies of the damage would be left. In
// activity, permissions and refusals, messages may be absent that retention has
// removed. Activity that breaks its chain is reported and copied as it is, because one
// gateway must not prevent the backup of the orgs.
//
// One attack no checksum can show: somebody with write access to the target puts all of
// it back to an older state. So compare the heads that [Backup.Verify] reports with the
// ledger's marks.
//
// # The vault
//
// The copy is sealed with a key derived from the vault's master key, in a plain backup,
// too. The master key itself is never in a backup: keep GATEHOUSE_VAULT_KEY or
// vault.key elsewhere, or anybody with the backup can read everything. The copy is made
// after the last sequence of the ledger was looked up, so that it has the key of every
// commit in the backup. A destroyed key remains in older copies until those are
// deleted. That bounds how long an erasure takes to be complete; see
// Options.VaultCopiesFor. A restore destroys such keys again before anything is served.
//
// # The writer
//
// The data flow from the service to the writer, over a socket below DATA that only its
// owner can open, see [Serve]. A user who can read DATA holds all of this already, so
// that a backup needs no authority that could be given away by mistake. A token that
// reads all orgs would be the worst secret of the service, and a service that writes to
// a target named by a caller could be made to write anywhere. The credentials of the
// target and the choice of recipients stay with the writer. It is the verb backup or,
// in serve, the same code beside the store.
package backup

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Format is the version of the stored form that this code writes and reads.
const Format = 1

// SegmentSize is the size of a segment's plain form, in bytes, at which it is closed.
const SegmentSize = 8 << 20

var (
	// ErrNoBackup says that a target holds no backup.
	ErrNoBackup = errors.New("there is no backup")
	// ErrDamaged says that an object of a backup is not as it was written. The error
	// that wraps it names the object.
	ErrDamaged = errors.New("the backup is damaged")
	// ErrMissing says that an object that the manifest names does not exist.
	ErrMissing = errors.New("a part of the backup is missing")
	// ErrWrongKey says that none of the given identities opens the backup.
	ErrWrongKey = errors.New("wrong key")
	// ErrBroken says that messages do not follow each other: some were lost or changed
	// before the backup.
	ErrBroken = errors.New("the chain is broken")
	// ErrBusy says that another writer works on the target.
	ErrBusy = errors.New("another backup is under way")
	// ErrOther says that the target holds the backup of another ledger, or of another
	// state of this one.
	ErrOther = errors.New("the target holds another backup")
)

// Hash is a SHA-256 that is written in hexadecimal.
type Hash [32]byte

// MarshalText writes hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return fmt.Errorf("%q is no SHA-256", text)
	}
	*h = Hash(b)
	return nil
}

// String returns the first half of the digits, which is enough to name an object.
func (h Hash) String() string { return hex.EncodeToString(h[:16]) }

// Manifest lists the contents of a backup.
type Manifest struct {
	Ledger     time.Time     `json:"ledger"`               // when the ledger's stream was made: its identity
	Run        uint64        `json:"run"`                  // 1, 2, 3 … of the writings of the manifest
	Begun      time.Time     `json:"begun"`                // when the run that wrote it looked up where the streams end
	Complete   bool          `json:"complete"`             // that run finished, with the vault
	Plain      bool          `json:"plain,omitempty"`      // nothing but the vault is encrypted
	Recipients []string      `json:"recipients,omitempty"` // public keys of age that the last run encrypted to
	Check      []byte        `json:"check,omitempty"`      // a text encrypted to them, which shows a wrong key at once
	Streams    []Stream      `json:"streams"`
	Vault      []VaultObject `json:"vault,omitempty"`    // the newest is the last
	Replaced   []Replaced    `json:"replaced,omitempty"` // objects that are no longer part of the backup, to be deleted
}

// Stream is the part of a backup for one stream.
type Stream struct {
	Name     string    `json:"name"`
	Made     time.Time `json:"made"` // when the stream was made
	Last     uint64    `json:"last"` // sequence up to which the backup has every message that the stream had
	Segments []Segment `json:"segments"`
	Flaws    []string  `json:"flaws,omitempty"` // chains of activity that were broken already, the first few
}

// Segment is one object with messages of a stream.
type Segment struct {
	Name     string    `json:"name"`
	First    uint64    `json:"first"` // sequences of its first and its last message
	Last     uint64    `json:"last"`
	Messages int       `json:"messages"`
	Newest   time.Time `json:"newest"` // time of its last message
	Size     int64     `json:"size"`   // as it is stored
	SHA256   Hash      `json:"sha256"` // as it is stored
	Tail     Hash      `json:"tail"`   // of the body of its last message
	Open     bool      `json:"open,omitempty"`
}

// VaultObject is one copy of the vault.
type VaultObject struct {
	Name   string    `json:"name"`
	Vault  string    `json:"vault"` // the vault's id
	At     time.Time `json:"at"`
	Size   int64     `json:"size"`
	SHA256 Hash      `json:"sha256"`
}

// Replaced is an object that a later one has replaced.
type Replaced struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// Stream returns the entry of a stream, nil if there is none.
func (m *Manifest) Stream(name string) *Stream {
	for i := range m.Streams {
		if m.Streams[i].Name == name {
			return &m.Streams[i]
		}
	}
	return nil
}
