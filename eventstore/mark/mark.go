// Package mark keeps where the ledger of every org is known to end, outside the
// ledger itself: a store that lost its last commits looks as whole as one that
// never had them.
//
// # Format
//
// DIR/marks holds a pair of slots of 256 bytes for each org, and nothing else. A
// mark is written over the older slot of its pair, so that the other is whole when
// a write is torn. Each slot stands for itself: a magic, the org, a counter that
// tells the newer of the two, the mark, and the SHA-256 of all that. The file grows
// by whole chunks of empty pairs, with the number of orgs alone, and is never
// shortened.
//
// # Durability
//
// A mark is written after its commit is durable and before the commit is
// acknowledged, without a flush of its own: it survives the end of the process
// exactly, and a power cut up to the last [File.Sync].
//
// # Witness
//
// A copy of the marks in another directory, on another disk, is the witness: it
// knows better when the whole data directory is put back to an older copy. The same
// directory may hold other files that outlive a restore, such as the fingerprints
// of destroyed keys.
package mark

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// Mark says how far the ledger of an org is known to go.
type Mark struct {
	Org    domain.ID
	Ledger int64     // when the stream was made that held it, in Unix nanoseconds: its identity
	Epoch  uint64    // of the last commit
	N      uint64    // of the last commit
	Seq    uint64    // of its message in that stream
	Hash   wire.Hash // of its body
}

// Position is that of the last commit.
func (m Mark) Position() wire.Position { return wire.Position{Epoch: max(m.Epoch, 1), N: m.N} }

// Beyond reports whether a mark knows of commits that a head lacks. After a restore
// the head is of a later epoch and its n is above all that was known to be lost; one
// that is not lacks commits still.
func (m Mark) Beyond(head wire.Position) bool {
	at := m.Position()
	return m.N > 0 && (at.N > head.N || at.Epoch > head.Epoch)
}

// streamSign begins the text that replaces an org's id in a mark of a stream. No id of
// an org begins with it.
const streamSign = "$"

// OfStream is the text that replaces the org's id in the mark of a whole stream. N then
// counts the marks, and the writer is free to use Hash.
func OfStream(name string) domain.ID { return domain.ID(streamSign + name) }

// IsStream reports whether a mark is of a whole stream, not of an org.
func (m Mark) IsStream() bool { return strings.HasPrefix(string(m.Org), streamSign) }

const (
	slotSize = 256
	pairSize = 2 * slotSize
	growth   = 64 // pairs by which the file grows
	maxOrg   = 64 // bytes

	// Where things lie in a slot.
	sizeAt  = 4 // of the org's id
	orgAt   = 5
	countAt = 72
	markAt  = 80 // ledger, epoch, n, sequence
	hashAt  = 112
	sumAt   = slotSize - sha256.Size
)

// magic begins every slot and names the version of the format.
var magic = []byte("GHM1")

// slot is a mark as written, with its place in the order of writes to the pair.
type slot struct {
	Mark
	count uint64
}

func (s slot) encode() []byte {
	b := make([]byte, slotSize)
	copy(b, magic)
	b[sizeAt] = byte(len(s.Org))
	copy(b[orgAt:], s.Org)
	le := binary.LittleEndian
	le.PutUint64(b[countAt:], s.count)
	for i, v := range []uint64{uint64(s.Ledger), s.Epoch, s.N, s.Seq} {
		le.PutUint64(b[markAt+8*i:], v)
	}
	copy(b[hashAt:], s.Hash[:])
	sum := sha256.Sum256(b[:sumAt])
	copy(b[sumAt:], sum[:])
	return b
}

// decode reads a slot; false when it is empty, torn or damaged.
func decode(b []byte) (slot, bool) {
	if len(b) != slotSize || !bytes.HasPrefix(b, magic) || sha256.Sum256(b[:sumAt]) != [sha256.Size]byte(b[sumAt:]) {
		return slot{}, false
	}
	size := int(b[sizeAt])
	if size == 0 || size > maxOrg {
		return slot{}, false
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	return slot{count: u64(countAt), Mark: Mark{
		Org: domain.ID(b[orgAt : orgAt+size]), Ledger: int64(u64(markAt)), Epoch: u64(markAt + 8), N: u64(markAt + 16), Seq: u64(markAt + 24),
		Hash: wire.Hash(b[hashAt : hashAt+sha256.Size]),
	}}, true
}
