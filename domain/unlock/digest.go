package unlock

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Digest is a root over the rows of a table: the same rows give the same digest, in any
// order. Its text is 64 hexadecimal digits.
//
// The hash of a row is the SHA-256 of its encoding. It lies in the bucket named by the
// first four hexadecimal digits of the SHA-256 of its key ("door/d1"). The digest of a
// bucket is the SHA-256 of its hashes in ascending order. That of a prefix of up to
// three digits is the SHA-256 of the digests of the 16 prefixes one digit longer.
// Without rows it is 32 zero bytes.
type Digest [32]byte

// String gives the text.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText gives the text.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads the text, in lower case.
func (d *Digest) UnmarshalText(text []byte) error {
	var read Digest
	if n, err := hex.Decode(read[:], text[:min(len(text), 64)]); err != nil || n != 32 || read.String() != string(text) {
		return fmt.Errorf("%q is no digest: it has 64 hexadecimal digits in lower case", text)
	}
	*d = read
	return nil
}

const (
	digestWays  = 16
	digestDepth = 4
)

// digests is one prefix of the tree of digests: it has 16 longer ones, or is a
// bucket. It is not changed once it is made; nil has no rows.
type digests struct {
	digest Digest
	longer *[digestWays]*digests
	hashes []Digest // ascending
}

// rehash removes the hash of one row from the tree and adds another; zero means none.
type rehash struct {
	bucket   uint16
	old, new Digest
}

func hashRow(r Row) (Digest, error) {
	if h, ok := r.(hashedRow); ok {
		return h.hash, nil
	}
	encoded, err := Encode(r)
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(encoded), nil
}

func bucketOf(k Key) uint16 {
	h := sha256.Sum256([]byte(k.String()))
	return uint16(h[0])<<8 | uint16(h[1])
}

// with gives the tree after the changes, which it sorts.
func (d *digests) with(changes []rehash) *digests {
	if len(changes) == 0 {
		return d
	}
	slices.SortFunc(changes, func(a, b rehash) int { return int(a.bucket) - int(b.bucket) })
	return d.change(changes, 0)
}

func (d *digests) change(changes []rehash, depth int) *digests {
	if depth == digestDepth {
		return d.bucket(changes)
	}
	out := &digests{longer: new([digestWays]*digests)}
	if d != nil {
		*out.longer = *d.longer
	}
	digit := func(c rehash) uint16 { return c.bucket >> (12 - 4*depth) & (digestWays - 1) }
	for len(changes) > 0 {
		way := digit(changes[0])
		n := 1
		for n < len(changes) && digit(changes[n]) == way {
			n++
		}
		out.longer[way] = out.longer[way].change(changes[:n], depth+1)
		changes = changes[n:]
	}
	var all [digestWays * len(Digest{})]byte
	empty := true
	for i, l := range out.longer {
		if l != nil {
			empty = false
			copy(all[i*len(l.digest):], l.digest[:])
		}
	}
	if empty {
		return nil
	}
	out.digest = sha256.Sum256(all[:])
	return out
}

func (d *digests) bucket(changes []rehash) *digests {
	var hashes []Digest
	if d != nil {
		hashes = d.hashes
	}
	kept := make([]Digest, 0, len(hashes)+len(changes))
	kept = append(kept, hashes...)
	for _, c := range changes {
		if c.old != (Digest{}) {
			i, _ := slices.BinarySearchFunc(kept, c.old, compareDigests)
			kept = slices.Delete(kept, i, i+1)
		}
		if c.new != (Digest{}) {
			i, _ := slices.BinarySearchFunc(kept, c.new, compareDigests)
			kept = slices.Insert(kept, i, c.new)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	h := sha256.New()
	for i := range kept {
		h.Write(kept[i][:])
	}
	out := &digests{hashes: kept}
	h.Sum(out.digest[:0])
	return out
}

func compareDigests(a, b Digest) int { return bytes.Compare(a[:], b[:]) }
