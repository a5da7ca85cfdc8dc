package unlock

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
)

// key is an ID or a tag as the index compares it: 16 bytes, big-endian.
type key struct{ hi, lo uint64 }

func keyOf(b [16]byte) key {
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (k key) compare(o key) int { return cmp.Or(cmp.Compare(k.hi, o.hi), cmp.Compare(k.lo, o.lo)) }

// slot is the k-th byte of the key.
func (k key) slot(depth uint) uint8 {
	if depth < 8 {
		return uint8(k.hi >> (56 - 8*depth))
	}
	return uint8(k.lo >> (120 - 8*depth))
}

const (
	fanOut = 256
	// maxLeaf bounds what one change copies, 12 KiB. Large leaves keep the upper
	// level of a site of 100,000 keys within the first cache: 6 KiB.
	maxLeaf = 512
	// lastDepth is the depth of the last byte of a key.
	lastDepth = 15
)

// index is an immutable map from keys that are spread evenly, as hashes are, to
// values. A key may be there several times with different values.
//
// It is a tree of 256 ways whose leaves are sorted arrays. As the keys are spread
// evenly, the place of a key in its leaf follows from its next bits to within a
// few entries, so that a look-up touches one or two lines of memory before that
// of the value.
type index[V any] struct {
	root *branch[V]
	n    int
}

type branch[V any] struct {
	leaves [fanOut][]entry[V]
	// subs are the branches of slots that outgrew a leaf; nil: none did.
	subs *[fanOut]*branch[V]
}

type entry[V any] struct {
	key   key
	value *V
}

// change replaces the value old of a key; nil: a value comes new or goes.
type change[V any] struct {
	key      key
	old, new *V
}

// get gives the first value of the key, nil when there is none.
func (x *index[V]) get(k key) *V {
	entries := x.find(k)
	if len(entries) > 0 && entries[0].key == k {
		return entries[0].value
	}
	return nil
}

// find gives the entries of a leaf from the first one on that is not below k.
func (x *index[V]) find(k key) []entry[V] {
	b := x.root
	if b == nil {
		return nil
	}
	slot, rest := k.hi>>56, k.hi<<8
	for depth := uint(1); b.subs != nil && b.subs[slot] != nil; depth++ {
		b = b.subs[slot]
		slot, rest = uint64(k.slot(depth)), rest<<8
	}
	leaf := b.leaves[slot]
	i := int((rest >> 32) * uint64(len(leaf)) >> 32)
	for i < len(leaf) && (leaf[i].key.hi < k.hi || leaf[i].key.hi == k.hi && leaf[i].key.lo < k.lo) {
		i++
	}
	for i > 0 && (leaf[i-1].key.hi > k.hi || leaf[i-1].key.hi == k.hi && leaf[i-1].key.lo >= k.lo) {
		i--
	}
	return leaf[i:]
}

// all yields every entry in the order of the keys.
func (x *index[V]) all() iter.Seq2[key, *V] {
	return func(yield func(key, *V) bool) {
		if x.root != nil {
			x.root.each(yield)
		}
	}
}

func (b *branch[V]) each(yield func(key, *V) bool) bool {
	for slot := range b.leaves {
		if b.subs != nil && b.subs[slot] != nil {
			if !b.subs[slot].each(yield) {
				return false
			}
			continue
		}
		for _, e := range b.leaves[slot] {
			if !yield(e.key, e.value) {
				return false
			}
		}
	}
	return true
}

// with gives the index after the changes, which it sorts. What it shares with x
// stays as it is.
func (x index[V]) with(changes []change[V]) index[V] {
	if len(changes) == 0 {
		return x
	}
	slices.SortFunc(changes, func(a, b change[V]) int { return a.key.compare(b.key) })
	for _, c := range changes {
		switch {
		case c.old == nil:
			x.n++
		case c.new == nil:
			x.n--
		}
	}
	if x.root == nil {
		x.root = new(branch[V])
	}
	x.root = x.root.with(changes, 0)
	return x
}

func (b *branch[V]) with(changes []change[V], depth uint) *branch[V] {
	out := *b
	if b.subs != nil {
		subs := *b.subs
		out.subs = &subs
	}
	for len(changes) > 0 {
		slot := changes[0].key.slot(depth)
		n := 1
		for n < len(changes) && changes[n].key.slot(depth) == slot {
			n++
		}
		out.change(slot, changes[:n], depth)
		changes = changes[n:]
	}
	return &out
}

// change changes one slot of a branch that nobody else has yet.
func (b *branch[V]) change(slot uint8, changes []change[V], depth uint) {
	if b.subs != nil && b.subs[slot] != nil {
		b.subs[slot] = b.subs[slot].with(changes, depth+1)
		return
	}
	leaf := merge(b.leaves[slot], changes)
	if len(leaf) <= maxLeaf || depth == lastDepth {
		b.leaves[slot] = leaf
		return
	}
	moved := make([]change[V], len(leaf))
	for i, e := range leaf {
		moved[i] = change[V]{e.key, nil, e.value}
	}
	if b.subs == nil {
		b.subs = new([fanOut]*branch[V])
	}
	b.subs[slot] = new(branch[V]).with(moved, depth+1)
	b.leaves[slot] = nil
}

// merge gives the leaf after the changes; both are sorted.
func merge[V any](leaf []entry[V], changes []change[V]) []entry[V] {
	n := len(leaf)
	for _, c := range changes {
		if c.old == nil {
			n++
		} else if c.new == nil {
			n--
		}
	}
	out := make([]entry[V], 0, n)
	for len(changes) > 0 {
		k := changes[0].key
		i := 0
		for i < len(leaf) && leaf[i].key.compare(k) < 0 {
			i++
		}
		out, leaf = append(out, leaf[:i]...), leaf[i:]
		for len(leaf) > 0 && leaf[0].key == k {
			out, leaf = append(out, leaf[0]), leaf[1:]
		}
		for len(changes) > 0 && changes[0].key == k {
			out = replace(out, changes[0])
			changes = changes[1:]
		}
	}
	return append(out, leaf...)
}

// replace applies a change to the entries of its key, the last ones of out.
func replace[V any](out []entry[V], c change[V]) []entry[V] {
	if c.old == nil {
		return append(out, entry[V]{c.key, c.new})
	}
	i := len(out) - 1
	for out[i].value != c.old {
		i--
	}
	if c.new == nil {
		return slices.Delete(out, i, i+1)
	}
	out[i].value = c.new
	return out
}
