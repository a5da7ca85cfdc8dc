package unlock

import (
	"errors"
	"fmt"
	"slices"
)

// ErrDelta is wrapped by the refusal of a delta that no table can take, or that this
// one cannot.
var ErrDelta = errors.New("unlock: delta refused")

// Apply returns the table after a delta; t stays as it is. The cost is in proportion to
// the rows of the delta and to the people whose access depends on one of them: on a
// credential, a grant, a booking or its unit. The cost of a change of a door, a right,
// a schedule or the site does not depend on how many people use it, but for a change of
// the zone's rules. An error wraps ErrDelta. A caller that received the delta from
// elsewhere compares the digests before and after.
func (t *Table) Apply(d Delta) (*Table, error) {
	e := edit{before: t, after: new(Table)}
	*e.after = *t
	e.after.position, e.after.n, e.after.at = d.Position, d.N, d.At
	for _, r := range d.Put {
		if err := e.put(r); err != nil {
			return nil, fmt.Errorf("%w: put %s: %w", ErrDelta, r.Key(), err)
		}
	}
	for _, k := range d.Delete {
		if err := e.delete(k); err != nil {
			return nil, fmt.Errorf("%w: delete %s: %w", ErrDelta, k, err)
		}
	}
	if err := e.settle(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDelta, err)
	}
	e.recompile()
	e.after.digests = t.digests.with(e.rehashes)
	return e.after, nil
}

// edit is a table under construction: its changes, by kind of row.
type edit struct {
	before, after *Table
	rehashes      []rehash

	site        *Site // put
	siteGone    bool
	doors       []change[door]
	rights      []change[right]
	schedules   []change[timetable]
	persons     []change[Person]
	units       []change[Unit]
	bookings    []change[booking]
	credentials []change[credential]
	grants      []change[Grant]
}

func (e *edit) put(r Row) error {
	if err := r.check(); err != nil {
		return err
	}
	t, id := e.before, keyOf(IDOf(r.Key().ID))
	if err := e.rehash(r.Key(), id, r); err != nil {
		return err
	}
	if h, ok := r.(hashedRow); ok {
		r = h.Row
	}
	switch r := r.(type) {
	case *Site:
		if e.site != nil {
			return errTwice
		}
		e.site = r
	case *Door:
		note(&e.doors, &t.doors, id, &door{row: r}) // compiled once the zone is known
	case *Right:
		note(&e.rights, &t.rights, id, compileRight(r))
	case *Schedule:
		note(&e.schedules, &t.schedules, id, compileSchedule(r))
	case *Person:
		note(&e.persons, &t.persons, id, r)
	case *Unit:
		note(&e.units, &t.units, id, r)
	case *Booking:
		note(&e.bookings, &t.bookings, id, &booking{row: r}) // compiled once the units are known
	case *Credential:
		note(&e.credentials, &t.credentials, id, compileCredential(r))
	case *Grant:
		note(&e.grants, &t.grants, id, r)
	}
	return nil
}

func (e *edit) delete(k Key) error {
	t, id := e.before, keyOf(IDOf(k.ID))
	if err := e.rehash(k, id, nil); err != nil {
		return err
	}
	switch k.Kind {
	case KindSite:
		e.siteGone = e.siteGone || t.site != nil && t.site.row.ID == k.ID
		if e.site != nil && e.site.ID == k.ID {
			return errTwice
		}
	case KindDoor:
		note(&e.doors, &t.doors, id, nil)
	case KindRight:
		note(&e.rights, &t.rights, id, nil)
	case KindSchedule:
		note(&e.schedules, &t.schedules, id, nil)
	case KindPerson:
		note(&e.persons, &t.persons, id, nil)
	case KindUnit:
		note(&e.units, &t.units, id, nil)
	case KindBooking:
		note(&e.bookings, &t.bookings, id, nil)
	case KindCredential:
		note(&e.credentials, &t.credentials, id, nil)
	case KindGrant:
		note(&e.grants, &t.grants, id, nil)
	default:
		return errors.New("there is no such kind of row")
	}
	return nil
}

var errTwice = errors.New("it is there twice")

func note[V any](changes *[]change[V], x *index[V], k key, v *V) {
	*changes = append(*changes, change[V]{key: k, old: x.get(k), new: v})
}

// rehash notes how a row changes the digest; a nil r means that the row is deleted.
func (e *edit) rehash(k Key, id key, r Row) error {
	c := rehash{bucket: bucketOf(k)}
	old, found := e.before.row(k, id)
	var err error
	if found {
		if c.old, err = hashRow(old); err != nil {
			return err
		}
	}
	if r != nil {
		if c.new, err = hashRow(r); err != nil {
			return err
		}
	}
	if c.old != c.new {
		e.rehashes = append(e.rehashes, c)
	}
	return nil
}

// settle changes the rows, and the values that are derived from one row alone.
func (e *edit) settle() error {
	rezoned, err := e.settleSite()
	if err != nil {
		return err
	}
	if rezoned {
		e.redoDoors()
	}
	for i, c := range e.doors {
		if c.new != nil {
			e.doors[i].new = compileDoor(c.new.row, e.after.site)
		}
	}
	if err := settle(&e.after.units, &e.units, KindUnit); err != nil {
		return err
	}
	e.redoBookings()
	for i, c := range e.bookings {
		if c.new != nil {
			row := c.new.row
			e.bookings[i].new = compileBooking(c.key, row, e.after.units.get(keyOf(IDOf(row.Unit))))
		}
	}
	return errors.Join(
		settle(&e.after.doors, &e.doors, KindDoor), settle(&e.after.rights, &e.rights, KindRight),
		settle(&e.after.schedules, &e.schedules, KindSchedule), settle(&e.after.persons, &e.persons, KindPerson),
		settle(&e.after.bookings, &e.bookings, KindBooking),
		settle(&e.after.credentials, &e.credentials, KindCredential), settle(&e.after.grants, &e.grants, KindGrant),
	)
}

// settleSite changes the row of the site. It reports whether the blackouts of doors now
// fall on other instants.
func (e *edit) settleSite() (rezoned bool, err error) {
	before := e.before.site
	if before != nil && e.site != nil && before.row.ID != e.site.ID && !e.siteGone {
		return false, fmt.Errorf("the table is that of %s and cannot be that of %s too", before.row.Key(), e.site.Key())
	}
	switch {
	case e.site != nil:
		e.after.site = compileSite(e.site, before)
		return before == nil || before.zone != e.after.site.zone, nil
	case e.siteGone:
		e.after.site = nil
	}
	return false, nil
}

// redoDoors notes the doors whose blackouts now follow another zone.
func (e *edit) redoDoors() {
	changed := keysOf(e.doors)
	for k, d := range e.before.doors.all() {
		if _, found := slices.BinarySearchFunc(changed, k, key.compare); !found && len(d.row.Blackouts) > 0 {
			e.doors = append(e.doors, change[door]{key: k, old: d, new: d})
		}
	}
}

// redoBookings notes the bookings of changed units.
func (e *edit) redoBookings() {
	changed := keysOf(e.bookings)
	for _, c := range e.units {
		of := e.before.dependants.get(dependency(KindUnit, c.key))
		if of == nil {
			continue
		}
		for _, k := range *of {
			if _, found := slices.BinarySearchFunc(changed, k, key.compare); !found {
				b := e.before.bookings.get(k)
				e.bookings = append(e.bookings, change[booking]{key: k, old: b, new: b})
			}
		}
	}
}

// keysOf gives the keys of changes, sorted.
func keysOf[V any](changes []change[V]) []key {
	keys := make([]key, len(changes))
	for i, c := range changes {
		keys[i] = c.key
	}
	slices.SortFunc(keys, key.compare)
	return keys
}

func settle[V any](x *index[V], changes *[]change[V], kind Kind) error {
	list := *changes
	slices.SortFunc(list, func(a, b change[V]) int { return a.key.compare(b.key) })
	for i := 1; i < len(list); i++ {
		if list[i].key == list[i-1].key {
			return fmt.Errorf("a %s: %w", kind, errTwice)
		}
	}
	list = slices.DeleteFunc(list, func(c change[V]) bool { return c.old == nil && c.new == nil })
	*x, *changes = x.with(list), list
	return nil
}
