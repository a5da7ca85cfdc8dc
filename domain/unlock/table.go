package unlock

import (
	"iter"
	"slices"
	"strings"
)

// Table is the permissions of one site at one position, in a form that is quick to
// query. It is immutable: Apply gives another table that shares the unchanged parts
// with it, so that any number of readers keep theirs. The zero Table has no rows and
// allows nothing.
type Table struct {
	position string
	n        uint64
	at       Instant
	digests  *digests

	site      *site
	doors     index[door]
	rights    index[right]
	schedules index[timetable]

	// The rows below are the inputs of holders, but for credentials.
	persons     index[Person]
	units       index[Unit]
	bookings    index[booking]
	credentials index[credential]
	grants      index[Grant]

	holders index[holder]          // by person
	tags    tree[credential, gist] // by tag; several entries if several credentials have it
	// dependants are the persons whose holders, and of units the bookings that, are
	// recompiled when another row changes, by dependency.
	dependants index[[]key]
}

// NewTable makes a table of rows, in any order, without a position.
func NewTable(rows ...Row) (*Table, error) {
	return new(Table).Apply(Delta{Put: rows})
}

// Position gives the position of the commit that the table reflects; empty means none.
func (t *Table) Position() string { return t.position }

// N gives the number of that commit.
func (t *Table) N() uint64 { return t.n }

// At gives the instant of that commit.
func (t *Table) At() Instant { return t.at }

// TagKey gives the version of the key under which the tags in the rows were made. It is
// 0 without the row of the site. Tags from a reader can be matched under this key
// alone.
func (t *Table) TagKey() uint32 {
	if t.site == nil {
		return 0
	}
	return t.site.row.TagKey
}

// Digest gives the root over the rows; without rows it is zero.
func (t *Table) Digest() Digest {
	if t.digests == nil {
		return Digest{}
	}
	return t.digests.digest
}

// Len gives the number of rows.
func (t *Table) Len() int {
	n := 0
	for _, k := range Kinds() {
		n += t.Count(k)
	}
	return n
}

// Count gives the number of rows of a kind.
func (t *Table) Count(k Kind) int {
	switch k {
	case KindSite:
		if t.site != nil {
			return 1
		}
	case KindDoor:
		return t.doors.n
	case KindRight:
		return t.rights.n
	case KindSchedule:
		return t.schedules.n
	case KindPerson:
		return t.persons.n
	case KindUnit:
		return t.units.n
	case KindBooking:
		return t.bookings.n
	case KindCredential:
		return t.credentials.n
	case KindGrant:
		return t.grants.n
	}
	return 0
}

// Row gives the row of a key, which must not be changed.
func (t *Table) Row(k Key) (Row, bool) { return t.row(k, keyOf(IDOf(k.ID))) }

func (t *Table) row(k Key, id key) (Row, bool) {
	var r Row
	switch k.Kind {
	case KindSite:
		if t.site != nil && t.site.row.ID == k.ID {
			r = t.site.row
		}
	case KindDoor:
		r = rowOf(t.doors.get(id), (*door).source)
	case KindRight:
		r = rowOf(t.rights.get(id), (*right).source)
	case KindSchedule:
		r = rowOf(t.schedules.get(id), (*timetable).source)
	case KindPerson:
		r = rowOf(t.persons.get(id), asRow)
	case KindUnit:
		r = rowOf(t.units.get(id), asRow)
	case KindBooking:
		r = rowOf(t.bookings.get(id), (*booking).source)
	case KindCredential:
		r = rowOf(t.credentials.get(id), (*credential).source)
	case KindGrant:
		r = rowOf(t.grants.get(id), asRow)
	}
	return r, r != nil
}

// Rows yields the rows of a kind in the order of their ids. They must not be
// changed.
func (t *Table) Rows(k Kind) iter.Seq[Row] {
	switch k {
	case KindSite:
		return func(yield func(Row) bool) {
			if t.site != nil {
				yield(t.site.row)
			}
		}
	case KindDoor:
		return sortedRows(&t.doors, (*door).source)
	case KindRight:
		return sortedRows(&t.rights, (*right).source)
	case KindSchedule:
		return sortedRows(&t.schedules, (*timetable).source)
	case KindPerson:
		return sortedRows(&t.persons, asRow)
	case KindUnit:
		return sortedRows(&t.units, asRow)
	case KindBooking:
		return sortedRows(&t.bookings, (*booking).source)
	case KindCredential:
		return sortedRows(&t.credentials, (*credential).source)
	case KindGrant:
		return sortedRows(&t.grants, asRow)
	}
	return func(func(Row) bool) {}
}

// All yields every row in the order of the keys, as bases list them.
func (t *Table) All() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for _, k := range Kinds() {
			for r := range t.Rows(k) {
				if !yield(r) {
					return
				}
			}
		}
	}
}

func (d *door) source() Row      { return d.row }
func (r *right) source() Row     { return r.row }
func (t *timetable) source() Row { return t.row }

func asRow[R Row](r R) Row { return r }

func rowOf[V any](v *V, source func(*V) Row) Row {
	if v == nil {
		return nil
	}
	return source(v)
}

func sortedRows[V any](x *index[V], source func(*V) Row) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		rows := make([]Row, 0, x.n)
		for _, v := range x.all() {
			rows = append(rows, source(v))
		}
		slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Key().ID, b.Key().ID) })
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}
}
