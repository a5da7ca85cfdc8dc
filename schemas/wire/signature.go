package wire

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrUnsigned is wrapped, beside ErrPermissions, if permissions are not signed by the
// log's key.
var ErrUnsigned = errors.New("they are not signed by the ledger's key")

// statement is what the log's key signs of permissions: at this commit the table of the
// site has this digest, which stands for every row. A base, and a delta that is whole,
// follow nothing, so both say the same of one head.
//
// Its text is one value a line: the name below, org, site, epoch, n, hash of the commit,
// its instant in RFC 3339, prev_n, prev_digest, digest. Ids hold no line ends. The
// signature is ed25519 (RFC 8032) over that text.
func (h PermissionHead) statement(org, site ID, prevN uint64, prevDigest fmt.Stringer) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "gatehouse permissions 1\n%s\n%s\n%d\n%d\n%s\n%s\n%d\n%s\n%s\n", org, site, h.Epoch, h.N, h.Hash,
		h.At.UTC().Format(time.RFC3339Nano), prevN, prevDigest, h.Digest)
	return []byte(b.String())
}

// Sign signs the delta with the log's key. Call it once all else of the delta is set.
func (d *PermissionDelta) Sign(key ed25519.PrivateKey) {
	d.Signature = ed25519.Sign(key, d.Head().statement(d.Org, d.Site, d.PrevN, d.PrevDigest))
}

// SignedBy reports whether the log's key signed the delta.
func (d *PermissionDelta) SignedBy(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, d.Head().statement(d.Org, d.Site, d.PrevN, d.PrevDigest), d.Signature)
}

// MaxLost is how many ranges one answer tells.
const MaxLost = 10

// Lost is a range of positions that a restore of the ledger lost, for good: the numbers
// go on above it, in the epoch that begins there.
type Lost struct {
	Epoch uint64 `json:"epoch"` // that begins
	From  uint64 `json:"from"`  // first number that was lost
	To    uint64 `json:"to"`    // last one
	// Signature is that of the log's key over the org and the fields above.
	Signature []byte `json:"signature"`
}

func (l Lost) statement(org ID) []byte {
	return fmt.Appendf(nil, "gatehouse lost 1\n%s\n%d\n%d\n%d\n", org, l.Epoch, l.From, l.To)
}

// Sign signs the range with the log's key.
func (l *Lost) Sign(org ID, key ed25519.PrivateKey) {
	l.Signature = ed25519.Sign(key, l.statement(org))
}

// SignedBy reports whether the log's key signed the range.
func (l Lost) SignedBy(org ID, key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, l.statement(org), l.Signature)
}
