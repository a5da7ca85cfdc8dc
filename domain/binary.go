package domain

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
)

// layoutOf is the digest of what the rows of the state look like in this code. A state
// that other code wrote is not read: one field more and every value means another.
var layoutOf = sync.OnceValue(func() [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "fold %d\n", FoldVersion)
	for _, t := range NewState().journal.tables {
		fmt.Fprintf(h, "%s %s\n", t.tableName(), t.codec().layout)
	}
	return [sha256.Size]byte(h.Sum(nil))
})

// errLayout says that a state was written by other code.
var errLayout = errors.New("domain: the state was written by another version of the code")

// AppendBinary writes the state: the layout's digest, the number and the moment of the
// last commit, then table by table the count of the rows and each with its length
// before it, in the order of their ids. Personal values are boxes. The same state gives
// the same bytes.
func (s *State) AppendBinary(out []byte) ([]byte, error) {
	layout := layoutOf()
	out = append(out, layout[:]...)
	out = binary.AppendUvarint(out, s.N)
	out, err := writeTime(out, reflect.ValueOf(&s.LastAt).Elem())
	if err != nil {
		return out, err
	}
	for _, t := range s.journal.tables {
		if out, err = t.appendBinary(out); err != nil {
			return out, fmt.Errorf("domain: write %s: %w", t.tableName(), err)
		}
	}
	return out, nil
}

// UnmarshalBinary reads what [State.AppendBinary] wrote into a new state. It refuses
// what other code wrote.
func (s *State) UnmarshalBinary(data []byte) error {
	layout := layoutOf()
	if len(data) < len(layout) || [sha256.Size]byte(data[:len(layout)]) != layout {
		return errLayout
	}
	*s = *NewState()
	in := binaryReader{rest: data[len(layout):]}
	s.N = in.uint()
	head := rowReader{rest: string(in.rest[:min(len(in.rest), maxMoment)])}
	before := len(head.rest)
	readTime(&head, reflect.ValueOf(&s.LastAt).Elem())
	if in.fail(head.err); in.err == nil {
		in.rest = in.rest[before-len(head.rest):]
	}
	sections := make([][]byte, len(s.journal.tables))
	for i := range sections {
		sections[i] = in.section()
	}
	switch {
	case in.err != nil:
		return fmt.Errorf("domain: read a state: %w", in.err)
	case len(in.rest) > 0:
		return fmt.Errorf("domain: %d bytes follow the state", len(in.rest))
	}
	return s.readTables(sections)
}

// readTables reads every table, as many at once as there are processors.
func (s *State) readTables(sections [][]byte) error {
	places, failed := make(chan struct{}, runtime.GOMAXPROCS(0)), make([]error, len(sections))
	var reading sync.WaitGroup
	for i, t := range s.journal.tables {
		places <- struct{}{}
		reading.Go(func() {
			defer func() {
				if cause := recover(); cause != nil {
					failed[i] = fmt.Errorf("domain: read %s: %v", t.tableName(), cause)
				}
				<-places
			}()
			in := binaryReader{rest: sections[i]}
			if t.readBinary(&in); in.err != nil {
				failed[i] = fmt.Errorf("domain: read %s: %w", t.tableName(), in.err)
			}
		})
	}
	reading.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	for _, t := range s.journal.tables { // one after the other: they share what falls due
		t.reindex()
	}
	return nil
}

// maxMoment is the greatest size of a moment in a snapshot.
const maxMoment = 64

// AppendBinary writes what [State.AppendBinary] would have written at that moment.
func (f Frozen) AppendBinary(out []byte) ([]byte, error) { return f.state.AppendBinary(out) }

// binaryReader reads what lies between the rows.
type binaryReader struct {
	rest []byte
	err  error
}

func (r *binaryReader) fail(err error) {
	if r.err = cmp.Or(r.err, err); r.err != nil {
		r.rest = nil
	}
}

func (r *binaryReader) uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail(errRowShort)
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// section returns the bytes of a table, and is behind it.
func (r *binaryReader) section() []byte {
	whole := r.rest
	for count := r.uint(); count > 0 && r.err == nil; count-- {
		n := r.uint()
		if n > uint64(len(r.rest)) {
			r.fail(errRowShort)
			break
		}
		r.rest = r.rest[n:]
	}
	if r.err != nil {
		return nil
	}
	return whole[:len(whole)-len(r.rest)]
}

// row returns the bytes of the next row as a text of its own. So they leave memory with
// the row.
func (r *binaryReader) row() rowReader {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.fail(errRowShort)
		return rowReader{}
	}
	row := string(r.rest[:n])
	r.rest = r.rest[n:]
	return rowReader{rest: row}
}

func (t *table[T]) codec() rowCodec { return rowCodecOf(reflect.TypeFor[T]()) }

func (t *table[T]) appendBinary(out []byte) (_ []byte, err error) {
	codec := t.codec()
	out = binary.AppendUvarint(out, uint64(len(t.rows)))
	var b []byte
	for _, id := range t.ids() {
		r := t.rows[id]
		b = appendText(b[:0], string(id))
		b = binary.AppendUvarint(b, r.made)
		b = binary.AppendUvarint(b, uint64(len(r.changed)))
		for _, n := range r.changed {
			b = binary.AppendUvarint(b, n)
		}
		if b, err = codec.write(b, reflect.ValueOf(&r.v).Elem()); err != nil {
			return out, fmt.Errorf("%s: %w", id, err)
		}
		out = append(binary.AppendUvarint(out, uint64(len(b))), b...)
	}
	return out, nil
}

// readBinary reads the rows, which nothing finds but their ids yet. Personal values are
// boxes.
func (t *table[T]) readBinary(in *binaryReader) {
	codec := t.codec()
	count := in.uint()
	if count > uint64(len(in.rest)) { // each has a byte for its length at least
		in.fail(errRowShort)
		return
	}
	t.rows = make(map[ID]*row[T], count)
	ids := make([]ID, 0, count)
	for range count {
		from := in.row()
		id, r := t.readRow(&from, codec)
		if len(ids) > 0 && id <= ids[len(ids)-1] {
			from.fail(fmt.Errorf("it does not follow %s", ids[len(ids)-1]))
		}
		if from.err != nil {
			in.fail(fmt.Errorf("the row %q: %w", id, from.err))
		}
		if in.err != nil {
			return
		}
		t.rows[id], ids = r, append(ids, id)
	}
	t.order.Store(&ids)
}

func (t *table[T]) readRow(in *rowReader, codec rowCodec) (ID, *row[T]) {
	id := ID(in.text())
	r := &row[T]{made: in.uint()}
	if n := in.length(); n > 0 {
		r.changed = make([]uint64, n)
		for i := range r.changed {
			r.changed[i] = in.uint()
		}
	}
	codec.read(in, reflect.ValueOf(&r.v).Elem())
	if in.err == nil && len(in.rest) > 0 {
		in.fail(fmt.Errorf("%d bytes follow it", len(in.rest)))
	}
	return id, r
}
