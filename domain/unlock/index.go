package unlock

import (
	"cmp"
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
)

// key is an ID or a tag as indexes compare it: 16 bytes, big-endian.
type key struct{ hi, lo uint64 }

func keyOf(b [16]byte) key {
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// tag gives the tag that the key was made of.
func (k key) tag() (t Tag) {
	binary.BigEndian.PutUint64(t[:8], k.hi)
	binary.BigEndian.PutUint64(t[8:], k.lo)
	return t
}

func (k key) compare(o key) int { return cmp.Or(cmp.Compare(k.hi, o.hi), cmp.Compare(k.lo, o.lo)) }

// slot gives the bits of the key that select the way at a depth.
func (k key) slot(depth uint) uint8 {
	if depth < waysOfHi {
		return uint8(k.hi>>(64-wayBits*(depth+1))) & (fanOut - 1)
	}
	return uint8(k.lo>>(64-wayBits*(depth+1-waysOfHi))) & (fanOut - 1)
}

const (
	wayBits = 6
	fanOut  = 1 << wayBits
	// waysOfHi is the number of levels at which the upper half of a key selects the
	// way.
	waysOfHi  = 64 / wayBits
	lastDepth = 2*waysOfHi - 1
	// maxLeaf is the greatest number of entries of a leaf. It bounds the bytes that one
	// change copies, 12 KiB, or 24 with tags. With leaves that large, the branches on
	// the way to a million keys take 100 KiB and stay in the processor's cache.
	maxLeaf = 512
)

// tree is an immutable map from keys to values, with something extra beside the key.
// The keys must be spread evenly, as hashes are. A key may occur several times with
// different values.
//
// It has 64 ways at each branch. Its leaves are hash tables, at most three quarters
// full, that are copied when they change. As the keys are spread evenly, their next
// bits serve as the hash, and a look-up touches little more than one cache line of a
// leaf.
type tree[V, X any] struct {
	root *branch[V, X]
	n    int
}

// index is a tree without anything extra.
type index[V any] = tree[V, none]

type none = struct{}

type branch[V, X any] struct {
	leaves [fanOut]leaf[V, X]
	// subs are the branches of the slots that outgrew a leaf; nil means none did.
	subs *[fanOut]*branch[V, X]
}

// leaf is a hash table with open addressing; its length is zero or a power of
// two.
type leaf[V, X any] []entry[V, X]

// entry is a place of a leaf; without a value it is free.
type entry[V, X any] struct {
	extra X // first, as a field without size would take 8 bytes at the end
	key   key
	value *V
}

// update replaces the value old of a key. A nil old means that a value is added, a nil
// new that it is removed.
type update[V, X any] struct {
	key      key
	old, new *V
	extra    X // of new
}

// change is an update of an index.
type change[V any] = update[V, none]

// place is the index at which the search for a key begins in a leaf of a depth. The
// next bits of the key determine it.
func (l leaf[V, X]) place(k key, depth uint) int {
	return int((k.hi << (wayBits * (depth + 1)) >> 32) * uint64(len(l)) >> 32)
}

// find gives the leaf of a key and the place at which to begin the search. The search
// ends at the first free place.
func (x *tree[V, X]) find(k key) (l leaf[V, X], place int) {
	b := x.root
	if b == nil {
		return nil, 0
	}
	slot, rest := k.hi>>(64-wayBits), k.hi<<wayBits
	for depth := uint(1); b.subs != nil && b.subs[slot] != nil; depth++ {
		b = b.subs[slot]
		slot, rest = uint64(k.slot(depth)), rest<<wayBits
	}
	l = b.leaves[slot]
	return l, int((rest >> 32) * uint64(len(l)) >> 32)
}

// get gives the value of the key, nil when there is none. It is find and the search in
// one function, because another call would take a tenth of a decision.
func (x *tree[V, X]) get(k key) *V {
	b := x.root
	if b == nil {
		return nil
	}
	slot, rest := k.hi>>(64-wayBits), k.hi<<wayBits
	for depth := uint(1); b.subs != nil && b.subs[slot] != nil; depth++ {
		b = b.subs[slot]
		slot, rest = uint64(k.slot(depth)), rest<<wayBits
	}
	l := b.leaves[slot]
	if len(l) == 0 {
		return nil
	}
	i := int((rest >> 32) * uint64(len(l)) >> 32)
	for l[i].key != k && l[i].value != nil {
		i = (i + 1) & (len(l) - 1)
	}
	return l[i].value
}

// list gives all values of the key.
func (x *tree[V, X]) list(k key) []*V {
	var values []*V
	l, i := x.find(k)
	for len(l) > 0 && l[i].value != nil {
		if l[i].key == k {
			values = append(values, l[i].value)
		}
		i = (i + 1) & (len(l) - 1)
	}
	return values
}

// all yields every entry, in no order.
func (x *tree[V, X]) all() iter.Seq2[key, *V] {
	return func(yield func(key, *V) bool) {
		if x.root != nil {
			x.root.each(yield)
		}
	}
}

func (b *branch[V, X]) each(yield func(key, *V) bool) bool {
	for slot := range b.leaves {
		if b.subs != nil && b.subs[slot] != nil && !b.subs[slot].each(yield) {
			return false
		}
		for _, e := range b.leaves[slot] {
			if e.value != nil && !yield(e.key, e.value) {
				return false
			}
		}
	}
	return true
}

// with gives the index after the changes, which it sorts. The parts that it shares with
// x stay as they are.
func (x tree[V, X]) with(changes []update[V, X]) tree[V, X] {
	if len(changes) == 0 {
		return x
	}
	slices.SortFunc(changes, compareKeys)
	x.n += growth(changes)
	if x.root == nil {
		x.root = new(branch[V, X])
	}
	x.root = x.root.with(changes, 0)
	return x
}

func compareKeys[V, X any](a, b update[V, X]) int { return a.key.compare(b.key) }

// growth is by how many the changes raise the number of values.
func growth[V, X any](changes []update[V, X]) int {
	n := 0
	for _, c := range changes {
		switch {
		case c.old == nil:
			n++
		case c.new == nil:
			n--
		}
	}
	return n
}

func (b *branch[V, X]) with(changes []update[V, X], depth uint) *branch[V, X] {
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

// change changes one slot of a branch that nobody else refers to yet.
func (b *branch[V, X]) change(slot uint8, changes []update[V, X], depth uint) {
	if b.subs != nil && b.subs[slot] != nil {
		b.subs[slot] = b.subs[slot].with(changes, depth+1)
		return
	}
	if l := b.leaves[slot].patched(changes, depth); l != nil {
		b.leaves[slot] = l
		return
	}
	kept := b.leaves[slot].without(changes)
	if len(kept) <= maxLeaf || depth == lastDepth {
		b.leaves[slot] = newLeaf(kept, depth)
		return
	}
	moved := make([]update[V, X], len(kept))
	for i, e := range kept {
		moved[i] = update[V, X]{e.key, nil, e.value, e.extra}
	}
	slices.SortFunc(moved, compareKeys)
	if b.subs == nil {
		b.subs = new([fanOut]*branch[V, X])
	}
	b.subs[slot] = new(branch[V, X]).with(moved, depth+1)
	b.leaves[slot] = nil
}

// patched gives a copy of the leaf after the changes. It gives nil if a change deletes
// or the leaf has no room.
func (l leaf[V, X]) patched(changes []update[V, X], depth uint) leaf[V, X] {
	n := growth(changes)
	for i := range l {
		if l[i].value != nil {
			n++
		}
	}
	deletes := slices.ContainsFunc(changes, func(c update[V, X]) bool { return c.new == nil })
	if deletes || n > maxLeaf || leafSize(n) > len(l) {
		return nil
	}
	out := slices.Clone(l)
	for _, c := range changes {
		i := out.place(c.key, depth)
		for out[i].value != c.old || c.old != nil && out[i].key != c.key {
			i = (i + 1) & (len(out) - 1)
		}
		out[i] = entry[V, X]{c.extra, c.key, c.new}
	}
	return out
}

// without gives the entries of the leaf after the changes, in no order.
func (l leaf[V, X]) without(changes []update[V, X]) []entry[V, X] {
	kept := make([]entry[V, X], 0, len(l)+len(changes))
	for _, e := range l {
		if e.value != nil && !slices.ContainsFunc(of(changes, e.key), func(c update[V, X]) bool { return c.old == e.value }) {
			kept = append(kept, e)
		}
	}
	for _, c := range changes {
		if c.new != nil {
			kept = append(kept, entry[V, X]{c.extra, c.key, c.new})
		}
	}
	return kept
}

// of gives the changes of one key among sorted changes.
func of[V, X any](changes []update[V, X], k key) []update[V, X] {
	first, _ := slices.BinarySearchFunc(changes, k, func(c update[V, X], k key) int { return c.key.compare(k) })
	n := first
	for n < len(changes) && changes[n].key == k {
		n++
	}
	return changes[first:n]
}

// leafSize is the least length of a leaf with that number of entries.
func leafSize(entries int) int { return 1 << bits.Len(uint(entries*4/3)) }

// newLeaf builds the leaf of a depth from entries.
func newLeaf[V, X any](entries []entry[V, X], depth uint) leaf[V, X] {
	if len(entries) == 0 {
		return nil
	}
	l := make(leaf[V, X], leafSize(len(entries)))
	for _, e := range entries {
		i := l.place(e.key, depth)
		for l[i].value != nil {
			i = (i + 1) & (len(l) - 1)
		}
		l[i] = e
	}
	return l
}
