package domain

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"slices"
)

// table keeps the things of one kind by id. What it holds is never changed in
// place: a fold gets a value, copies it, puts the copy back, so that the journal
// can take a decision back and a reader never sees half a change.
type table[T any] struct {
	name    string
	rows    map[ID]*T
	keys    func(*T) []string // further keys to find a row by, as "booking:b1"
	index   map[string]map[ID]struct{}
	journal *journal
}

func newTable[T any](j *journal, name string, keys func(*T) []string) *table[T] {
	t := &table[T]{name: name, rows: map[ID]*T{}, keys: keys, index: map[string]map[ID]struct{}{}, journal: j}
	j.tables = append(j.tables, t)
	return t
}

// Get returns the row; it must not be changed.
func (t *table[T]) Get(id ID) (*T, bool) {
	r, ok := t.rows[id]
	return r, ok
}

// Has reports whether a row with the id is there.
func (t *table[T]) Has(id ID) bool { _, ok := t.rows[id]; return ok }

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
	v := *old
	change(&v)
	t.set(id, &v)
}

// Delete removes a row.
func (t *table[T]) Delete(id ID) { t.set(id, nil) }

func (t *table[T]) set(id ID, v *T) {
	old := t.rows[id]
	t.replace(id, old, v)
	t.journal.note(touch{t.name, id}, func() { t.replace(id, t.rows[id], old) })
}

func (t *table[T]) replace(id ID, old, v *T) {
	if t.keys != nil {
		if old != nil {
			for _, k := range t.keys(old) {
				t.unindex(k, id)
			}
		}
		if v != nil {
			for _, k := range t.keys(v) {
				m := t.index[k]
				if m == nil {
					m = map[ID]struct{}{}
					t.index[k] = m
				}
				m[id] = struct{}{}
			}
		}
	}
	if v == nil {
		delete(t.rows, id)
		return
	}
	t.rows[id] = v
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
func (t *table[T]) HasBy(key string) bool { return len(t.index[key]) > 0 }

// Each yields the rows with a further key in the order of their ids.
func (t *table[T]) Each(key string) iter.Seq2[ID, *T] {
	return func(yield func(ID, *T) bool) {
		for _, id := range t.By(key) {
			if !yield(id, t.rows[id]) {
				return
			}
		}
	}
}

// All yields every row in the order of the ids.
func (t *table[T]) All() iter.Seq2[ID, *T] {
	return func(yield func(ID, *T) bool) {
		for _, id := range slices.Sorted(maps.Keys(t.rows)) {
			if !yield(id, t.rows[id]) {
				return
			}
		}
	}
}

// reindex rebuilds the further keys, after values were opened in place.
func (t *table[T]) reindex() {
	t.index = map[string]map[ID]struct{}{}
	rows := t.rows
	t.rows = map[ID]*T{}
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
		EachPersonal(r, f)
	}
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
		v, err := json.Marshal(r)
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
	var rows map[ID]*T
	if err := json.Unmarshal(data, &rows); err != nil {
		return err
	}
	t.rows = rows
	if t.rows == nil {
		t.rows = map[ID]*T{}
	}
	var zero T
	if HasPersonal(zero) {
		for _, r := range t.rows {
			Boxes(r)
		}
	}
	t.reindex()
	return nil
}

// anyTable is what the state does with tables of every kind.
type anyTable interface {
	json.Marshaler
	json.Unmarshaler
	reindex()
	eachPersonal(func(ID, *Personal))
	tableName() string
}

func (t *table[T]) tableName() string { return t.name }

// touch names a row that changed.
type touch struct {
	table string
	id    ID
}

// journal remembers how to take changes back while a decision runs, and which
// rows the commits since the last look have changed.
type journal struct {
	tables  []anyTable
	depth   int
	undo    []func()
	touched map[touch]struct{}
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
	j.undo = j.undo[:m.undo]
	j.depth--
}

// keep ends a nested mark whose changes stay until the outer one is rolled back.
func (j *journal) keep() { j.depth-- }

func (j *journal) note(t touch, undo func()) {
	if j.depth > 0 {
		j.undo = append(j.undo, undo)
		return
	}
	if j.touched == nil {
		j.touched = map[touch]struct{}{}
	}
	j.touched[t] = struct{}{}
}

// takeTouched returns the rows changed since the last call, sorted.
func (j *journal) takeTouched() []touch {
	out := slices.SortedFunc(maps.Keys(j.touched), func(a, b touch) int {
		if a.table != b.table {
			return cmpString(a.table, b.table)
		}
		return cmpString(string(a.id), string(b.id))
	})
	clear(j.touched)
	return out
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
