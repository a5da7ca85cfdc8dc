package domain

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
)

// table keeps the things of one kind by id. A row is never changed in place: a fold
// gets a value, copies it and puts the copy back, so that the journal can take a
// decision back and a reader never sees half a change.
type table[T any] struct {
	name    string
	rows    map[ID]*row[T]
	keys    func(*T) []key[T] // what the indexes find a row by; nil: its id alone
	index   map[key[T]]idSet
	order   atomic.Pointer[[]ID] // the ids, sorted; nil: not known
	due     *dueIndex
	dueOf   func(ID, *T) (dueThing, bool) // returns when the row is due; nil if the table has none
	follow  func(old, now *row[T])        // is told of every change once it is made; nil if nobody follows
	journal *journal
	hidden  map[ID]struct{} // rows that a reader of [table.without] does not find
}

// row is a thing with the numbers of the commits that made and changed it. An
// explanation names them: the first and the latest, maxChanges at most, ascending.
type row[T any] struct {
	v       T
	made    uint64
	changed []uint64
}

const maxChanges = 16

func newTable[T any](j *journal, name string, keys func(*T) []key[T]) *table[T] {
	t := &table[T]{name: name, rows: map[ID]*row[T]{}, keys: keys, index: map[key[T]]idSet{}, journal: j}
	j.tables = append(j.tables, t)
	return t
}

// Get returns the row; it must not be changed.
func (t *table[T]) Get(id ID) (*T, bool) {
	r, ok := t.rows[id]
	if !ok || t.hides(id) {
		return nil, false
	}
	return &r.v, true
}

// without is the table as somebody reads it who may not see the rows with the ids. It
// shares all else with t and is only for reading.
func (t *table[T]) without(ids map[ID]struct{}) *table[T] {
	return &table[T]{name: t.name, rows: t.rows, keys: t.keys, index: t.index, journal: t.journal, hidden: ids}
}

func (t *table[T]) hides(id ID) bool {
	_, gone := t.hidden[id]
	return gone
}

// Commits returns the numbers of the commits that made and changed a row,
// ascending: the first and the latest, 17 at most; none for a row that is not
// there.
func (t *table[T]) Commits(id ID) []uint64 {
	r, ok := t.rows[id]
	if !ok || t.hides(id) {
		return nil
	}
	return append([]uint64{r.made}, r.changed...)
}

// find returns the row of an id that a command names, or refuses it: as missing,
// or with the code unknown_<noun>.
func (t *table[T]) find(id ID, noun string) (*T, *Refusal) {
	if id == "" {
		return nil, invalid("invalid_field", "%s: an id is required", noun)
	}
	if r, ok := t.Get(id); ok {
		return r, nil
	}
	return nil, notFound("unknown_"+noun, "%s %s does not exist", strings.ReplaceAll(noun, "_", " "), id).about(id)
}

// Has reports whether a row with the id is there.
func (t *table[T]) Has(id ID) bool { _, ok := t.Get(id); return ok }

// Len returns the number of rows.
func (t *table[T]) Len() int { return len(t.rows) }

// Put sets a row.
func (t *table[T]) Put(id ID, v T) { t.set(id, &v) }

// Update puts a changed copy of a row. Slices and maps of the row must be cloned
// before they are changed. A row that is not there stays absent.
func (t *table[T]) Update(id ID, change func(*T)) {
	old, ok := t.rows[id]
	if !ok {
		return
	}
	v := old.v
	change(&v)
	t.set(id, &v)
}

// Delete removes a row.
func (t *table[T]) Delete(id ID) { t.set(id, nil) }

func (t *table[T]) set(id ID, v *T) {
	old := t.rows[id]
	var now *row[T]
	if v != nil {
		now = old.next(*v, t.journal.n)
	}
	t.replace(id, old, now)
	var before any
	if old != nil {
		before = &old.v
	}
	t.journal.note(touch{t.name, id}, before, func() { t.replace(id, t.rows[id], old) })
}

// next is the row with a new value that commit n gave it.
func (r *row[T]) next(v T, n uint64) *row[T] {
	switch {
	case r == nil:
		return &row[T]{v: v, made: n}
	case r.made == n || len(r.changed) > 0 && r.changed[len(r.changed)-1] == n:
		return &row[T]{v, r.made, r.changed}
	}
	kept := r.changed[max(0, len(r.changed)+1-maxChanges):]
	return &row[T]{v, r.made, append(slices.Clip(kept), n)}
}

func (t *table[T]) replace(id ID, old, now *row[T]) {
	if t.dueOf != nil {
		t.reschedule(id, old, now)
	}
	t.dropKeys(id, old)
	t.addKeys(id, now)
	if (old == nil) != (now == nil) {
		t.order.Store(nil)
	}
	if now == nil {
		delete(t.rows, id)
	} else {
		t.rows[id] = now
	}
	if t.follow != nil {
		t.follow(old, now)
	}
}

// ids are the ids of all rows, sorted. They are kept until a row comes or goes:
// every page of a list asks for them, and readers share the state.
func (t *table[T]) ids() []ID {
	if kept := t.order.Load(); kept != nil {
		return *kept
	}
	ids := slices.Sorted(maps.Keys(t.rows))
	t.order.Store(&ids)
	return ids
}

// reschedule keeps what falls due of a row.
func (t *table[T]) reschedule(id ID, old, now *row[T]) {
	var was, is dueThing
	var had, has bool
	if old != nil {
		was, had = t.dueOf(id, &old.v)
	}
	if now != nil {
		is, has = t.dueOf(id, &now.v)
	}
	switch {
	case had && has && was == is:
		return
	case had:
		t.due.remove(was)
	}
	if has {
		t.due.add(is)
	}
}

// All yields every row in the order of the ids. Rows that go meanwhile are passed
// over.
func (t *table[T]) All() iter.Seq2[ID, *T] {
	return func(yield func(ID, *T) bool) {
		for _, id := range t.ids() {
			if r, ok := t.Get(id); ok && !yield(id, r) {
				return
			}
		}
	}
}

// eachPersonal walks the personal values of all rows, in no order.
func (t *table[T]) eachPersonal(f func(ID, *Personal)) {
	var zero T
	if !HasPersonal(zero) {
		return
	}
	for _, r := range t.rows {
		EachPersonal(&r.v, f)
	}
}

// stored is the JSON form of a row.
type stored[T any] struct {
	Commits []uint64 `json:"n"`
	Row     T        `json:"row"`
}

// MarshalJSON writes the rows as one object in the order of the ids.
func (t *table[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	first := true
	for id, r := range t.All() {
		if !first {
			b.WriteByte(',')
		}
		first = false
		k, err := json.Marshal(id)
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		v, err := json.Marshal(stored[*T]{t.Commits(id), r})
		if err != nil {
			return nil, err
		}
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// anyTable is what the state does with tables of every kind.
type anyTable interface {
	json.Marshaler
	appendBinary([]byte) ([]byte, error)
	readBinary(*binaryReader)
	codec() rowCodec
	reindex()
	forkTo(anyTable)
	freezeTo(anyTable)
	eachPersonal(func(ID, *Personal))
	tableName() string
	holds(ID) bool
}

func (t *table[T]) tableName() string { return t.name }

// holds reports whether a row exists, whether or not anybody may see it.
func (t *table[T]) holds(id ID) bool { return t.rows[id] != nil }

// forkTo makes another table of the same kind a copy of this one.
func (t *table[T]) forkTo(other anyTable) {
	f := other.(*table[T])
	t.freezeTo(other)
	f.index = make(map[key[T]]idSet, len(t.index))
	for key, ids := range t.index {
		f.index[key] = ids.clone()
	}
}

// freezeTo makes the rows of another table of the same kind a copy of this one's.
func (t *table[T]) freezeTo(other anyTable) {
	f := other.(*table[T])
	f.due, f.dueOf = nil, nil
	f.rows = maps.Clone(t.rows)
	f.order.Store(t.order.Load())
}
