package wire

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/domain/unlock"
)

// SiteTable builds the table of one site from its published messages: from a base or
// from nothing, delta by delta. A message that does not fit is refused and leaves the
// table unchanged; there is never a partial one. It is not safe for concurrent use.
type SiteTable struct {
	org, site ID
	table     *unlock.Table
	head      PermissionHead
	signed    bool // by the key, the last change
	key       ed25519.PublicKey
	parts     []PermissionPart // of an incomplete delta
	last      *PermissionDelta // the last change without its rows
}

// NewSiteTable begins with an empty table.
func NewSiteTable(org, site ID) *SiteTable {
	return &SiteTable{org: org, site: site, table: new(unlock.Table)}
}

// ResumeSiteTable continues from a table with its head.
func ResumeSiteTable(org, site ID, table *unlock.Table, head PermissionHead) *SiteTable {
	return &SiteTable{org: org, site: site, table: table, head: head}
}

// Table is the table as of the last delta taken.
func (t *SiteTable) Table() *unlock.Table { return t.table }

// Verify sets the public key of the log. It belongs before the first message.
func (t *SiteTable) Verify(key ed25519.PublicKey) { t.key = key }

// Signed reports whether the log's key signed the last change, and with its digest the
// whole table. Earlier changes may be without: from before there were signatures.
func (t *SiteTable) Signed() bool { return t.signed }

// Voucher is the last change without its rows: its signature vouches for the whole table,
// by the digest in it. Nil while there is none.
func (t *SiteTable) Voucher() *PermissionDelta { return t.last }

// Vouch takes the voucher of a table that was stored without a signature. It reports
// whether the log's key signed it for exactly this table.
func (t *SiteTable) Vouch(d *PermissionDelta) bool {
	at, is := d.Head(), t.head
	at.At, is.At = at.At.UTC(), is.At.UTC()
	if d.Org != t.org || d.Site != t.site || at != is || !d.SignedBy(t.key) {
		return false
	}
	t.signed, t.last = true, d
	return true
}

// Clone is a table of its own that continues from this one.
func (t *SiteTable) Clone() *SiteTable {
	next := *t
	return &next
}

// Head is the head of the table.
func (t *SiteTable) Head() PermissionHead { return t.head }

// Take reads the next message of the deltas. It returns the delta that it applied, or
// nil when more parts of it must come. The error wraps ErrPermissions.
func (t *SiteTable) Take(body []byte) (*PermissionDelta, error) {
	d, p, err := DecodePermission(body)
	if err != nil {
		return nil, err
	}
	if p != nil {
		if d, err = t.takePart(p); d == nil {
			return nil, err
		}
	}
	t.parts = nil
	if err := t.apply(d); err != nil {
		return nil, err
	}
	return d, nil
}

// takePart returns the delta when p is its last part. A first part drops the parts of
// an unfinished delta.
func (t *SiteTable) takePart(p *PermissionPart) (*PermissionDelta, error) {
	if p.Part == 1 {
		t.parts = nil
	}
	if !p.follows(t.parts) || p.Part > maxParts {
		t.parts = nil
		return nil, fmt.Errorf("%w: part %d of %d at %d does not follow the one before", ErrPermissions, p.Part, p.Of, p.N)
	}
	t.parts = append(t.parts, *p)
	if p.Part != p.Of {
		return nil, nil
	}
	return joinDelta(t.parts)
}

func (t *SiteTable) apply(d *PermissionDelta) error {
	head := d.Head()
	from := t.table
	switch {
	case d.Org != t.org || d.Site != t.site:
		return fmt.Errorf("%w: they are those of %s/%s, not of %s/%s", ErrPermissions, d.Org, d.Site, t.org, t.site)
	case d.Whole():
		from = new(unlock.Table)
	case d.PrevN != t.head.N || d.PrevDigest != t.head.Digest:
		return fmt.Errorf("%w: the delta at %d follows %d with digest %s, the table stands at %d with %s",
			ErrPermissions, d.N, d.PrevN, d.PrevDigest, t.head.N, t.head.Digest)
	case head.Before(t.head):
		return fmt.Errorf("%w: the delta at %s is before %s", ErrPermissions, head.Position(), t.head.Position())
	}
	next, err := from.Apply(d.Rows())
	if err != nil {
		return fmt.Errorf("%w: at %d: %w", ErrPermissions, d.N, err)
	}
	if next.Digest() != d.Digest {
		return fmt.Errorf("%w: the delta at %d leads to digest %s, not to %s", ErrPermissions, d.N, next.Digest(), d.Digest)
	}
	t.table, t.head, t.signed = next, head, d.SignedBy(t.key)
	bare := *d
	bare.Put, bare.Delete = nil, nil
	t.last = &bare
	return nil
}

// baseHeader is the first line of a base; each further line is a row.
type baseHeader struct {
	Format int           `json:"format"`
	Org    ID            `json:"org"`
	Site   ID            `json:"site"`
	Epoch  uint64        `json:"epoch"`
	N      uint64        `json:"n"`
	Hash   Hash          `json:"hash"`
	At     time.Time     `json:"at"`
	Digest unlock.Digest `json:"digest"`
	Rows   int           `json:"rows"`
	// Signature is that of a whole delta with this head.
	Signature []byte `json:"signature,omitempty"`
}

// EncodeBase writes the base of a table, part by part, signed by the log's key if there is
// one. It emits the bodies of the messages one after the other, without holding them all.
func EncodeBase(org, site ID, table *unlock.Table, head PermissionHead, key ed25519.PrivateKey, emit func(body []byte) error) error {
	w := newParts(org, site, head, func(p PermissionPart) error {
		body, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("wire: write a base: %w", err)
		}
		return emit(body)
	})
	whole := head.whole(org, site)
	if key != nil {
		whole.Sign(key)
	}
	first, err := json.Marshal(baseHeader{
		Format: PermissionsFormat, Org: org, Site: site, Epoch: head.Epoch, N: head.N, Hash: head.Hash, At: head.At,
		Digest: head.Digest, Rows: table.Len(), Signature: whole.Signature,
	})
	if err != nil {
		return fmt.Errorf("wire: write a base: %w", err)
	}
	if _, err := w.Write(append(first, '\n')); err != nil {
		return err
	}
	for r := range table.All() {
		line, err := unlock.Encode(r)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return w.Close()
}

// A BaseReader assembles bases from their messages, oldest first, and keeps the newest
// whole one. The zero BaseReader has none.
type BaseReader struct {
	whole, parts []PermissionPart
	size         int
}

// Take reads the next message of the bases. It reports whether it completed a base. A
// part that does not follow drops its whole base: two instances that write at the same
// time leave such parts, and each base that was written alone is whole. The error wraps
// ErrPermissions.
func (b *BaseReader) Take(body []byte) (whole bool, err error) {
	var p PermissionPart
	if err := PermissionBounds.Decode(body, &p); err != nil {
		return false, fmt.Errorf("%w: %w", ErrPermissions, err)
	}
	if err := checkFormat(p.Format); err != nil {
		return false, err
	}
	if p.Part == 1 {
		b.parts = nil
	}
	if !p.follows(b.parts) || p.Part > maxParts {
		b.parts = nil
		return false, nil
	}
	b.parts = append(b.parts, p)
	if p.Part != p.Of {
		return false, nil
	}
	b.whole, b.parts, b.size = b.parts, nil, 0
	for _, p := range b.whole {
		b.size += len(p.Data)
	}
	return true, nil
}

// Size is roughly how many bytes of messages the newest whole base takes; 0 means that
// there is none.
func (b *BaseReader) Size() int { return b.size / 3 * 4 }

// SiteTable builds the table of the newest whole base, to be verified with the public
// key of the log; nil when there is none. The error wraps ErrPermissions.
func (b *BaseReader) SiteTable(org, site ID, key ed25519.PublicKey) (*SiteTable, error) {
	if b.whole == nil {
		return nil, nil
	}
	z, err := unzip(b.whole)
	if err != nil {
		return nil, err
	}
	head, rows, err := readBase(z)
	if err != nil {
		return nil, fmt.Errorf("%w: a base of %s/%s: %w", ErrPermissions, org, site, err)
	}
	if head.Org != org || head.Site != site {
		return nil, fmt.Errorf("%w: the base is that of %s/%s, not of %s/%s", ErrPermissions, head.Org, head.Site, org, site)
	}
	at := PermissionHead{Epoch: head.Epoch, N: head.N, Hash: head.Hash, At: head.At, Digest: head.Digest}
	table, err := new(unlock.Table).Apply(at.Delta(rows, nil))
	if err != nil {
		return nil, fmt.Errorf("%w: a base of %s/%s: %w", ErrPermissions, org, site, err)
	}
	if table.Digest() != head.Digest {
		return nil, fmt.Errorf("%w: the base of %s/%s at %d has digest %s, not %s", ErrPermissions, org, site, head.N, table.Digest(), head.Digest)
	}
	t := ResumeSiteTable(org, site, table, at)
	whole := at.whole(org, site)
	whole.Signature = head.Signature
	t.key, t.signed, t.last = key, whole.SignedBy(key), whole
	return t, nil
}
