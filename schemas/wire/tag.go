package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

// The kinds under which tags are made: of PINs, and of everything that a card reader
// reads, for it cannot tell a fob from a card. The format of the digits of a PIN is pin.
const (
	TagCard = "card"
	TagPin  = "pin"
)

// TagFormat is the format under which the tag of a number is made: that of the number, or
// raw.
func TagFormat(format string) string {
	if format == "" {
		return "raw"
	}
	return format
}

// A Tagger makes tags without allocating: setting up the hash for each costs several
// times the tag itself. It is for one goroutine: each reader has its own.
type Tagger struct{ to **tagging } // it holds a key and the last number read, which no %v must print

type tagging struct {
	mac  hash.Hash
	text []byte
	sum  [sha256.Size]byte
}

// NewTagger makes a Tagger under the key of a site.
func NewTagger(key []byte) *Tagger {
	t := &tagging{mac: hmac.New(sha256.New, key), text: make([]byte, 0, 64)}
	return &Tagger{&t}
}

// String says what it is, and nothing of the key.
func (g *Tagger) String() string { return "a maker of tags" }

// Format writes String for every verb.
func (g *Tagger) Format(f fmt.State, _ rune) { fmt.Fprint(f, g.String()) }

// Tag returns the first 16 bytes of an HMAC-SHA-256 under the site's key. The input is
// kind, format and number, each after its length in bytes (32 bits, big endian), so
// that no two triples give one text.
func (g *Tagger) Tag(kind, format, number string) [16]byte {
	t := *g.to
	t.text = t.text[:0]
	for _, s := range [...]string{kind, format, number} {
		t.text = binary.BigEndian.AppendUint32(t.text, uint32(len(s)))
		t.text = append(t.text, s...)
	}
	t.mac.Reset()
	t.mac.Write(t.text)
	return [16]byte(t.mac.Sum(t.sum[:0]))
}
