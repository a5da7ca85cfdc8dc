// Package backup writes what a ledger consists of to a target outside it, and reads it back, verified.
//
// # What a target holds
//
// A target is a folder or a prefix of S3-compatible storage. Its objects:
//
//	manifest                                       what the backup consists of; replaced as a whole, last of all
//	segments/<stream>/<first>-<last>-<hash>        messages of one stream, in their order; never changed
//	vault/<instant>-<hash>                         a copy of the vault; a new one at each run
//	lock                                           of the writer that works there
//
// The manifest is one line, "gatehouse-backup 1 sha256:<hex of the rest>", and the JSON of a [Manifest]. It is in clear,
// so that a writer which holds public keys alone can go on from it, and says nothing but names, counts, sequences and
// hashes: no org, no subject. What the manifest does not name is no part of the backup: a writer that was killed leaves
// such objects, and the next run writes their messages again under other names. So every step may be the last one.
//
// The plain form of a segment is the JSON of a [SegmentHeader] on one line, and then its messages. Of each: the sequence as
// a uvarint, the time in Unix nanoseconds as a varint, and then subject, headers ("Key: value\r\n", sorted) and body, each
// with its length before it as a uvarint. It is compressed as one frame of zstd and encrypted as one file of age
// (age-encryption.org/v1), unless the backup is plain; the hash in its name and the one in the manifest are the SHA-256 of
// the object as it is stored. A segment is cut at SegmentSize. The last one of each stream is open: the next run writes
// its messages anew together with those behind them, so that many small runs leave few objects.
//
// # What is checked
//
// A writer checks each message before it is written and a reader each before it is given: sequences of the ledger without
// a gap, the chain of every org (n, prev, the subject), that of every gateway's activity. A ledger whose chain is broken
// is not written any further, for a copy of damage would in time be all that is left. In activity, permissions and
// refusals messages may be absent, which retention has taken; activity that breaks its chain is told and copied as it is,
// because one gateway must not keep the orgs from being backed up.
//
// What no checksum can show is a whole target put back to an older state by whoever may write there. The heads that
// [Backup.Verify] reports are to be held against the ledger's marks.
//
// # The vault
//
// The copy is sealed with a key derived from the vault's master key, in a plain backup too, and the master key itself is
// never in a backup: GATEHOUSE_VAULT_KEY or vault.key is kept elsewhere, else whoever has the backup reads everything.
// It is made after the last sequence of the ledger was looked up, so that it has the key of every commit in the backup.
// A key that is destroyed lives on in older copies until those are deleted, which bounds how long an erasure takes to be
// true everywhere; see Options.VaultCopiesFor. A restore destroys such keys again before anything is served.
//
// # Who writes
//
// The data flow from the service to whoever writes, over a socket below DATA that its owner alone may open, see [Serve]:
// who may read DATA holds all of this already, so that a backup needs no authority that could be given away by mistake. A
// token that reads all orgs would be the worst secret of the service, and a service that writes to a target named by a
// caller could be made to write anywhere. Credentials of the target and the choice of recipients stay with the writer,
// which is the verb backup or, in serve, the same code beside the store.
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
	// ErrDamaged says that an object of a backup is not as it was written. The error that wraps it names the object.
	ErrDamaged = errors.New("the backup is damaged")
	// ErrMissing says that an object that the manifest names is not there.
	ErrMissing = errors.New("a part of the backup is missing")
	// ErrWrongKey says that no identity that was given opens the backup.
	ErrWrongKey = errors.New("wrong key")
	// ErrBroken says that messages do not follow each other: something was lost or changed before it was backed up.
	ErrBroken = errors.New("the chain is broken")
	// ErrBusy says that another writer works on the target.
	ErrBusy = errors.New("another backup is under way")
	// ErrOther says that the target holds the backup of another ledger, or of another state of this one.
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

// String gives the first half, which names an object well enough.
func (h Hash) String() string { return hex.EncodeToString(h[:16]) }

// Manifest says what a backup consists of.
type Manifest struct {
	Ledger     time.Time     `json:"ledger"`               // when the ledger's stream was made: its identity
	Run        uint64        `json:"run"`                  // 1, 2, 3 … of the writings of the manifest
	Begun      time.Time     `json:"begun"`                // when the run that wrote it looked up where the streams end
	Complete   bool          `json:"complete"`             // that run came to its end, with the vault
	Plain      bool          `json:"plain,omitempty"`      // nothing but the vault is encrypted
	Recipients []string      `json:"recipients,omitempty"` // public keys of age that the last run encrypted to
	Check      []byte        `json:"check,omitempty"`      // a text encrypted to them, by which a wrong key is found at once
	Streams    []Stream      `json:"streams"`
	Vault      []VaultObject `json:"vault,omitempty"`    // the newest is the last
	Replaced   []Replaced    `json:"replaced,omitempty"` // objects that are no part any more, to be deleted
}

// Stream is what a backup has of one stream.
type Stream struct {
	Name     string    `json:"name"`
	Made     time.Time `json:"made"` // when the stream was made
	Last     uint64    `json:"last"` // sequence up to which everything that was there is in the backup
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

// Replaced is an object that a later one took the place of.
type Replaced struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// Stream gives what the backup has of a stream, nil when it has none.
func (m *Manifest) Stream(name string) *Stream {
	for i := range m.Streams {
		if m.Streams[i].Name == name {
			return &m.Streams[i]
		}
	}
	return nil
}
