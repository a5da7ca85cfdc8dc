package unlock

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
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

// flatRows is how many rows a prefix of that length may have as one list. Longer prefixes
// of a list are not kept, so that a table of few rows does not pay for a deep tree. The
// bounds are low where many digests would have to be made again for each change.
var flatRows = [digestDepth]int{2, 4, 16, 64}

// digests is one prefix of the tree of digests: it has 16 longer ones, or is a list. It is
// not changed once it is made; nil has no rows.
type digests struct {
	digest Digest
	longer *[digestWays]*digests // nil: a list
	list   []hashed              // ascending
	n      int                   // of rows
}

// hashed is the hash of a row in its bucket.
type hashed struct {
	bucket uint16
	hash   Digest
}

func (h hashed) compare(o hashed) int {
	return cmp.Or(cmp.Compare(h.bucket, o.bucket), bytes.Compare(h.hash[:], o.hash[:]))
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
	n := 0
	if d != nil {
		n = d.n
	}
	for _, c := range changes {
		if c.new != (Digest{}) {
			n++
		}
		if c.old != (Digest{}) {
			n--
		}
	}
	if d == nil || d.longer == nil || n <= flatRows[depth] {
		return newDigests(d.changed(changes, n), depth)
	}
	longer := *d.longer
	for len(changes) > 0 {
		way := digit(changes[0].bucket, depth)
		k := 1
		for k < len(changes) && digit(changes[k].bucket, depth) == way {
			k++
		}
		longer[way] = longer[way].change(changes[:k], depth+1)
		changes = changes[k:]
	}
	return joined(&longer, n)
}

// changed gives the list of n hashes after the changes.
func (d *digests) changed(changes []rehash, n int) []hashed {
	list := make([]hashed, 0, n)
	for h := range d.all() {
		i, _ := slices.BinarySearchFunc(changes, h.bucket, func(c rehash, bucket uint16) int { return int(c.bucket) - int(bucket) })
		for i < len(changes) && changes[i].bucket == h.bucket && changes[i].old != h.hash {
			i++
		}
		if i == len(changes) || changes[i].bucket != h.bucket {
			list = append(list, h)
		}
	}
	for _, c := range changes {
		if c.new != (Digest{}) {
			list = append(list, hashed{c.bucket, c.new})
		}
	}
	slices.SortFunc(list, hashed.compare)
	return list
}

// all yields the hashes in ascending order.
func (d *digests) all() iter.Seq[hashed] {
	return func(yield func(hashed) bool) { d.each(yield) }
}

func (d *digests) each(yield func(hashed) bool) bool {
	if d == nil {
		return true
	}
	if d.longer != nil {
		for _, l := range d.longer {
			if !l.each(yield) {
				return false
			}
		}
	}
	for _, h := range d.list {
		if !yield(h) {
			return false
		}
	}
	return true
}

// newDigests makes the tree of a list, which may become a part of it.
func newDigests(list []hashed, depth int) *digests {
	switch {
	case len(list) == 0:
		return nil
	case depth == digestDepth, len(list) <= flatRows[depth]:
		return &digests{digest: digestOf(list, depth), list: list, n: len(list)}
	}
	var longer [digestWays]*digests
	for part := range prefixes(list, depth) {
		longer[digit(part[0].bucket, depth)] = newDigests(slices.Clone(part), depth+1)
	}
	return joined(&longer, len(list))
}

// joined makes a prefix of the longer ones.
func joined(longer *[digestWays]*digests, n int) *digests {
	var each [digestWays]Digest
	for i, l := range longer {
		if l != nil {
			each[i] = l.digest
		}
	}
	return &digests{digest: digestOfLonger(&each), longer: longer, n: n}
}

// digestOf gives the digest of a prefix from the list of its hashes, which is not empty.
func digestOf(list []hashed, depth int) (d Digest) {
	if depth == digestDepth {
		h := sha256.New()
		for i := range list {
			h.Write(list[i].hash[:])
		}
		h.Sum(d[:0])
		return d
	}
	var longer [digestWays]Digest
	for part := range prefixes(list, depth) {
		longer[digit(part[0].bucket, depth)] = digestOf(part, depth+1)
	}
	return digestOfLonger(&longer)
}

func digestOfLonger(longer *[digestWays]Digest) Digest {
	var all [digestWays * len(Digest{})]byte
	for i := range longer {
		copy(all[i*len(longer[i]):], longer[i][:])
	}
	return sha256.Sum256(all[:])
}

// prefixes yields the parts of a list with one digit at a depth.
func prefixes(list []hashed, depth int) iter.Seq[[]hashed] {
	return func(yield func([]hashed) bool) {
		for len(list) > 0 {
			n := 1
			for n < len(list) && digit(list[n].bucket, depth) == digit(list[0].bucket, depth) {
				n++
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}

// digit gives the hexadecimal digit of a bucket's name at a depth.
func digit(bucket uint16, depth int) uint16 { return bucket >> (12 - 4*depth) & (digestWays - 1) }
