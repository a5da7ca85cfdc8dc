package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/domain/unlock"
)

// PermissionsFormat is the version of the stored form of permissions that this code
// writes, and the greatest that it reads.
const PermissionsFormat = 1

// MaxPermissionBody is the greatest size in bytes of one message of permissions.
const MaxPermissionBody = 512 << 10

// maxPartData is the greatest amount of data in one part: base64 makes 4 bytes of 3,
// and the rest of the part needs less than 1 KiB.
const maxPartData = (MaxPermissionBody - 1024) / 4 * 3

// ErrPermissions is wrapped by the refusal of a message of permissions. The message
// cannot be read, or does not fit the table to which it is applied.
var ErrPermissions = errors.New("permissions refused")

// ErrPermissionsTooNew is wrapped, beside ErrPermissions, if later code wrote the
// message.
var ErrPermissionsTooNew = errors.New("later code wrote them")

// DeltaCause is the cause of a delta.
type DeltaCause string

// The causes of deltas.
const (
	// CauseCommit: what the one commit n changed.
	CauseCommit DeltaCause = "commit"
	// CauseBegin: the whole table, onto nothing.
	CauseBegin DeltaCause = "begin"
	// CauseJump: what several commits up to n changed, as too many waited.
	CauseJump DeltaCause = "jump"
	// CauseTags: tags of credentials that could not be made at their commits.
	CauseTags DeltaCause = "tags"
	// CauseRebuilt: the table, made again from the ledger, differed from what had
	// been published.
	CauseRebuilt DeltaCause = "rebuilt"
	// CauseSigned: nothing but the signature, as what was published last has none by
	// the present key of the log.
	CauseSigned DeltaCause = "signed"
)

// PermissionDelta is a change of the permission rows of one site. It fits on one
// table alone, the one with the number and digest that it names as previous. A
// delta whose previous number and digest are zero is whole: it fits on no table,
// or in place of any.
type PermissionDelta struct {
	Format     int           `json:"format"`
	Org        ID            `json:"org"`
	Site       ID            `json:"site"`
	Cause      DeltaCause    `json:"cause"`
	Epoch      uint64        `json:"epoch"`
	N          uint64        `json:"n"`    // of the last commit that is in it
	Hash       Hash          `json:"hash"` // of that commit as stored
	At         time.Time     `json:"at"`   // of that commit
	PrevN      uint64        `json:"prev_n"`
	PrevDigest unlock.Digest `json:"prev_digest"`
	Digest     unlock.Digest `json:"digest"`
	// Done is the last commit whose changes stand in the stream for all sites of
	// the org, once this delta does.
	Done   uint64       `json:"done"`
	Put    unlock.Rows  `json:"put,omitempty"`
	Delete []unlock.Key `json:"delete,omitempty"`
	// Signature is that of the log's key over org, site, epoch, n, hash, at, prev_n,
	// prev_digest and digest. A gateway takes no table whose last change has none.
	Signature []byte `json:"signature,omitempty"`
}

// Whole reports whether the delta has every row of its table.
func (d *PermissionDelta) Whole() bool { return d.PrevN == 0 && d.PrevDigest == unlock.Digest{} }

// Head is the head of the table after the delta.
func (d *PermissionDelta) Head() PermissionHead {
	return PermissionHead{Epoch: d.Epoch, N: d.N, Hash: d.Hash, At: d.At, Digest: d.Digest}
}

// Rows is the delta in the form that tables take.
func (d *PermissionDelta) Rows() unlock.Delta { return d.Head().Delta(d.Put, d.Delete) }

// PermissionHead is the position and digest of the table of a site.
type PermissionHead struct {
	Epoch  uint64
	N      uint64    // of the last commit that changed it; 0 means it is empty
	Hash   Hash      // of that commit
	At     time.Time // of that commit
	Digest unlock.Digest
}

// whole is the delta that brings the table onto nothing, without its rows.
func (h PermissionHead) whole(org, site ID) *PermissionDelta {
	return &PermissionDelta{Org: org, Site: site, Epoch: h.Epoch, N: h.N, Hash: h.Hash, At: h.At, Digest: h.Digest}
}

// Position is the position of the last commit that changed the table.
func (h PermissionHead) Position() Position { return Position{h.Epoch, h.N} }

// Before reports whether the head belongs to an earlier commit than another.
func (h PermissionHead) Before(o PermissionHead) bool {
	return h.Epoch < o.Epoch || h.Epoch == o.Epoch && h.N < o.N
}

func (h PermissionHead) delta(put []unlock.Row, gone []unlock.Key) unlock.Delta {
	return unlock.Delta{Position: h.Position().String(), N: h.N, At: unlock.InstantOf(h.At), Put: put, Delete: gone}
}

// Delta is a change of rows that brings a table to this head, in the form that tables
// take.
func (h PermissionHead) Delta(put []unlock.Row, gone []unlock.Key) unlock.Delta {
	return h.delta(put, gone)
}

// PermissionPart is a piece of a document that is greater than a message: of the
// gzipped JSON of a delta, on the subject of the deltas, or of a base. It is cut
// by bytes and not between rows, as one row can be greater than a message: a
// right may have every door of a site.
type PermissionPart struct {
	Format int           `json:"format"`
	Org    ID            `json:"org"`
	Site   ID            `json:"site"`
	Epoch  uint64        `json:"epoch"`
	N      uint64        `json:"n"`
	At     time.Time     `json:"at,omitzero"` // of the commit n
	Digest unlock.Digest `json:"digest"`
	Part   int           `json:"part"`         // from 1
	Of     int           `json:"of,omitempty"` // how many there are; in a base only the last one tells
	Data   []byte        `json:"data"`
}

// follows reports whether the part comes next after those of one document.
func (p *PermissionPart) follows(parts []PermissionPart) bool {
	if p.Part != len(parts)+1 {
		return false
	}
	if len(parts) == 0 {
		return true
	}
	a := parts[0]
	return p.Org == a.Org && p.Site == a.Site && p.Epoch == a.Epoch && p.N == a.N && p.Digest == a.Digest
}

// Encode writes the bodies of the messages of the delta: itself, or its parts when it
// is greater than MaxPermissionBody.
func (d *PermissionDelta) Encode() ([][]byte, error) {
	d.Format = PermissionsFormat
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("wire: write permissions of %s/%s at %d: %w", d.Org, d.Site, d.N, err)
	}
	if len(body) <= MaxPermissionBody {
		return [][]byte{body}, nil
	}
	var bodies [][]byte
	var parts []PermissionPart
	w := newParts(d.Org, d.Site, d.Head(), func(p PermissionPart) error {
		parts = append(parts, p)
		return nil
	})
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	for _, p := range parts {
		p.Of = len(parts)
		b, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("wire: write permissions: %w", err)
		}
		bodies = append(bodies, b)
	}
	return bodies, nil
}

// DecodePermission reads the body of a message on the subject of a site's deltas:
// a delta, or else a part of one.
func DecodePermission(body []byte) (*PermissionDelta, *PermissionPart, error) {
	return decodePermission(PermissionBounds, body)
}

func decodePermission(bounds Bounds, body []byte) (*PermissionDelta, *PermissionPart, error) {
	var m struct {
		PermissionDelta
		Part int    `json:"part"`
		Of   int    `json:"of"`
		Data []byte `json:"data"`
	}
	if err := bounds.Check(body); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrPermissions, err)
	}
	unread := json.Unmarshal(body, &m)
	if unread != nil {
		var lax struct {
			Format int `json:"format"`
		}
		if err := json.Unmarshal(body, &lax); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrPermissions, err)
		}
		m.Format = lax.Format
	}
	if err := checkFormat(m.Format); err != nil {
		return nil, nil, err
	}
	d := m.PermissionDelta
	switch {
	case unread != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrPermissions, unread)
	case m.Part > 0:
		return nil, &PermissionPart{Format: d.Format, Org: d.Org, Site: d.Site, Epoch: d.Epoch, N: d.N, At: d.At, Digest: d.Digest,
			Part: m.Part, Of: m.Of, Data: m.Data}, nil
	}
	return &d, nil, nil
}

func checkFormat(format int) error {
	switch {
	case format < 1:
		return fmt.Errorf("%w: they have no format", ErrPermissions)
	case format > PermissionsFormat:
		return fmt.Errorf("%w: %w: they have format %d, this code reads 1 to %d", ErrPermissions, ErrPermissionsTooNew, format, PermissionsFormat)
	}
	return nil
}

// joinDelta reads a delta from all its parts.
func joinDelta(parts []PermissionPart) (*PermissionDelta, error) {
	z, err := unzip(parts)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPermissions, err)
	}
	d, inner, err := decodePermission(joinedBounds, body)
	if err != nil {
		return nil, err
	}
	if inner != nil {
		return nil, fmt.Errorf("%w: a part of %d holds parts", ErrPermissions, parts[0].N)
	}
	if p := parts[0]; d.Org != p.Org || d.Site != p.Site || d.Epoch != p.Epoch || d.N != p.N || d.Digest != p.Digest {
		return nil, fmt.Errorf("%w: the parts of %d are those of another delta", ErrPermissions, p.N)
	}
	return d, nil
}

// unzip decompresses the content of parts, up to maxUnzipped.
func unzip(parts []PermissionPart) (io.Reader, error) {
	var rs []io.Reader
	for i := range parts {
		rs = append(rs, bytes.NewReader(parts[i].Data))
	}
	z, err := gzip.NewReader(io.MultiReader(rs...))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPermissions, err)
	}
	return &unzipped{z, maxUnzipped}, nil
}

// parts compresses the bytes written to it and cuts them into parts. Close emits the
// last part, which states how many there are.
type parts struct {
	*gzip.Writer
	cut *cutter
}

func newParts(org, site ID, h PermissionHead, emit func(PermissionPart) error) *parts {
	c := &cutter{emit: emit, next: PermissionPart{
		Format: PermissionsFormat, Org: org, Site: site, Epoch: h.Epoch, N: h.N, At: h.At, Digest: h.Digest, Part: 1,
	}}
	return &parts{gzip.NewWriter(c), c}
}

// Close emits the last part.
func (p *parts) Close() error {
	if err := p.Writer.Close(); err != nil {
		return err
	}
	p.cut.next.Of = p.cut.next.Part
	return p.cut.flush()
}

type cutter struct {
	emit func(PermissionPart) error
	next PermissionPart
}

func (c *cutter) Write(b []byte) (int, error) {
	written := len(b)
	for len(b) > 0 {
		// A full part is emitted only when more data follows: the last one must be
		// marked.
		if len(c.next.Data) == maxPartData {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
		n := min(len(b), maxPartData-len(c.next.Data))
		c.next.Data = append(c.next.Data, b[:n]...)
		b = b[n:]
	}
	return written, nil
}

func (c *cutter) flush() error {
	p := c.next
	c.next.Part++
	c.next.Data = nil
	return c.emit(p)
}
