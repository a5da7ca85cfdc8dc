package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	keys    func(*T) []string // further keys to find a row by, as "booking:b1"
	index   map[string]map[ID]struct{}
	order   atomic.Pointer[[]ID] // the ids, sorted; nil: not known
	due     *dueIndex
	dueOf   func(ID, *T) (dueThing, bool) // what time makes of a row, kept in due; nil: nothing
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

func newTable[T any](j *journal, name string, keys func(*T) []string) *table[T] {
	t := &table[T]{name: name, rows: map[ID]*row[T]{}, keys: keys, index: map[string]map[ID]struct{}{}, journal: j}
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
		return nil, refuse("invalid_field", "%s: an id is required", noun)
	}
	if r, ok := t.Get(id); ok {
		return r, nil
	}
	return nil, refuse("unknown_"+noun, "%s %s does not exist", strings.ReplaceAll(noun, "_", " "), id).about(id)
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
	if t.keys != nil {
		if old != nil {
			for _, k := range t.keys(&old.v) {
				t.unindex(k, id)
			}
		}
		if now != nil {
			for _, k := range t.keys(&now.v) {
				m := t.index[k]
				if m == nil {
					m = map[ID]struct{}{}
					t.index[k] = m
				}
				m[id] = struct{}{}
			}
		}
	}
	if (old == nil) != (now == nil) {
		t.order.Store(nil)
	}
	if now == nil {
		delete(t.rows, id)
		return
	}
	t.rows[id] = now
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

func (t *table[T]) unindex(key string, id ID) {
	m := t.index[key]
	delete(m, id)
	if len(m) == 0 {
		delete(t.index, key)
	}
}

// By returns the ids of the rows with a further key, sorted.
func (t *table[T]) By(key string) []ID {
	return slices.Sorted(maps.Keys(t.index[key]))
}

// HasBy reports whether any row has a further key.
func (t *table[T]) HasBy(key string) bool {
	if t.hidden == nil {
		return len(t.index[key]) > 0
	}
	return anyRow(t, key, func(*T) bool { return true })
}

// Each yields the rows with a further key in the order of their ids. It skips rows that
// are deleted meanwhile.
func (t *table[T]) Each(key string) iter.Seq2[ID, *T] {
	return func(yield func(ID, *T) bool) {
		for _, id := range t.By(key) {
			if r, ok := t.Get(id); ok && !yield(id, r) {
				return
			}
		}
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

// reindex rebuilds the further keys, after values were opened in place.
func (t *table[T]) reindex() {
	t.index = map[string]map[ID]struct{}{}
	rows := t.rows
	t.rows = map[ID]*row[T]{}
	for id, r := range rows {
		t.replace(id, nil, r)
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

// stored is the form of a row in a snapshot.
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

// UnmarshalJSON reads the rows; personal values are boxes.
func (t *table[T]) UnmarshalJSON(data []byte) error {
	var rows map[ID]*stored[T]
	if err := json.Unmarshal(data, &rows); err != nil {
		return err
	}
	t.rows = make(map[ID]*row[T], len(rows))
	var zero T
	boxes := HasPersonal(zero)
	for id, r := range rows {
		if r == nil || len(r.Commits) == 0 {
			return fmt.Errorf("the row %s names no commit", id)
		}
		if boxes {
			Boxes(&r.Row)
		}
		t.rows[id] = &row[T]{r.Row, r.Commits[0], r.Commits[1:]}
	}
	t.reindex()
	return nil
}

// anyTable is what the state does with tables of every kind.
type anyTable interface {
	json.Marshaler
	json.Unmarshaler
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

// touch names a row that changed.
type touch struct {
	table string
	id    ID
}

// journal remembers how to take changes back while a decision runs. It also remembers
// which rows the commits since the last look have changed.
type journal struct {
	tables  []anyTable
	n       uint64 // number of the commit that is folded or decided now
	depth   int
	undo    []func()
	touched map[touch]any // with the row as it was, nil when there was none; nil: nobody looks
	// supposed is touched for what is folded only to be looked at.
	supposed map[touch]any
}

// mark is a point to roll back to.
type mark struct{ undo int }

func (j *journal) begin() mark {
	j.depth++
	return mark{len(j.undo)}
}

func (j *journal) rollback(m mark) {
	for i := len(j.undo) - 1; i >= m.undo; i-- {
		j.undo[i]()
	}
	clear(j.undo[m.undo:])
	j.undo = j.undo[:m.undo]
	j.depth--
}

// keep ends a nested mark whose changes stay until the outer one is rolled back.
func (j *journal) keep() { j.depth-- }

func (j *journal) note(t touch, before any, undo func()) {
	if j.depth > 0 {
		j.undo = append(j.undo, undo)
		if _, known := j.supposed[t]; !known && j.supposed != nil {
			j.supposed[t] = before
		}
		return
	}
	if j.touched == nil {
		return
	}
	if _, known := j.touched[t]; !known {
		j.touched[t] = before
	}
}

// watch begins to note which rows change.
func (j *journal) watch() { j.touched = map[touch]any{} }

// take returns the rows that changed since the last look, as they were then.
func (j *journal) take() map[touch]any {
	if j.touched == nil {
		return nil
	}
	out := j.touched
	j.touched = map[touch]any{}
	return out
}
