package domain

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// rowCodec writes and reads the values of one type in a binary snapshot. Numbers are
// varints; texts, lists and maps have their length before them, lists and maps with one
// added so that 0 says that there is none. Types with a text or a JSON form of their
// own are written in it, because codes may get other numbers. A struct is its fields in turn.
type rowCodec struct {
	write func(out []byte, v reflect.Value) ([]byte, error)
	read  func(in *rowReader, v reflect.Value)
	// layout names the type with all that is below it. Values are only read with the
	// layout that wrote them.
	layout string
}

// errRowShort says that a row ends within a value or says it is longer than it is.
var errRowShort = errors.New("a row is not whole")

// rowReader reads one row. Texts share the row's memory.
type rowReader struct {
	rest string
	err  error
}

func (r *rowReader) fail(err error) {
	if r.err == nil {
		r.err, r.rest = err, ""
	}
}

func (r *rowReader) uint() uint64 {
	var n uint64
	for i := range min(len(r.rest), binary.MaxVarintLen64) {
		c := r.rest[i]
		if c < 0x80 {
			if i == binary.MaxVarintLen64-1 && c > 1 {
				break
			}
			r.rest = r.rest[i+1:]
			return n | uint64(c)<<(7*i)
		}
		n |= uint64(c&0x7f) << (7 * i)
	}
	r.fail(errRowShort)
	return 0
}

func (r *rowReader) int() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// length reads how many things follow, each of a byte at least.
func (r *rowReader) length() int {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.fail(errRowShort)
		return 0
	}
	return int(n)
}

func (r *rowReader) take(n int) string {
	if n > len(r.rest) {
		r.fail(errRowShort)
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *rowReader) text() string { return r.take(r.length()) }

func appendText(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

var (
	timeType    = reflect.TypeFor[time.Time]()
	ownTextType = reflect.TypeFor[encoding.TextMarshaler]()
	ownJSONType = reflect.TypeFor[json.Marshaler]()
)

// rowCodecOf makes the codec of a type. It panics at a type that rows do not have.
func rowCodecOf(t reflect.Type) rowCodec {
	switch {
	case t == personalType:
		return rowCodec{writePersonal, readPersonal, "personal"}
	case t == timeType:
		return rowCodec{writeTime, readTime, "time"}
	case t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8:
		return bytesCodec(t)
	case t.Implements(ownTextType) && t.Kind() != reflect.Pointer:
		return ownForm(t, "text", func(v any) ([]byte, error) { return v.(encoding.TextMarshaler).MarshalText() },
			func(v any, b []byte) error { return v.(encoding.TextUnmarshaler).UnmarshalText(b) })
	case t.Implements(ownJSONType) && t.Kind() != reflect.Pointer:
		return ownForm(t, "json", func(v any) ([]byte, error) { return v.(json.Marshaler).MarshalJSON() },
			func(v any, b []byte) error { return v.(json.Unmarshaler).UnmarshalJSON(b) })
	}
	switch t.Kind() {
	case reflect.String:
		return rowCodec{func(out []byte, v reflect.Value) ([]byte, error) { return appendText(out, v.String()), nil },
			func(in *rowReader, v reflect.Value) { v.SetString(in.text()) }, "string"}
	case reflect.Bool:
		return rowCodec{writeBool, func(in *rowReader, v reflect.Value) { v.SetBool(in.uint() == 1) }, "bool"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return rowCodec{func(out []byte, v reflect.Value) ([]byte, error) { return binary.AppendVarint(out, v.Int()), nil }, readInt, t.Kind().String()}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return rowCodec{func(out []byte, v reflect.Value) ([]byte, error) { return binary.AppendUvarint(out, v.Uint()), nil }, readUint, t.Kind().String()}
	case reflect.Pointer:
		return pointerCodec(t)
	case reflect.Slice:
		return sliceCodec(t)
	case reflect.Map:
		return mapCodec(t)
	case reflect.Struct:
		return structCodec(t)
	}
	panic(fmt.Sprintf("domain: a row has a %s, which no snapshot can hold", t))
}

// writePersonal writes the box; a value without one may not be written.
func writePersonal(out []byte, v reflect.Value) ([]byte, error) {
	box, err := v.Addr().Interface().(*Personal).MarshalText()
	return appendText(out, string(box)), err
}

func readPersonal(in *rowReader, v reflect.Value) {
	*v.Addr().Interface().(*Personal) = Personal{box: in.text()}
}

// A moment in UTC is a 0, the second and the nanosecond; another is a 1 and its text.
func writeTime(out []byte, v reflect.Value) ([]byte, error) {
	at := *v.Addr().Interface().(*time.Time)
	if at.Location() == time.UTC {
		out = binary.AppendVarint(append(out, 0), at.Unix())
		return binary.AppendUvarint(out, uint64(at.Nanosecond())), nil
	}
	text, err := at.MarshalText()
	return appendText(append(out, 1), string(text)), err
}

func readTime(in *rowReader, v reflect.Value) {
	at := v.Addr().Interface().(*time.Time)
	if in.uint() == 1 {
		if err := at.UnmarshalText([]byte(in.text())); err != nil {
			in.fail(err)
		}
		return
	}
	second, nano := in.int(), in.uint()
	*at = time.Unix(second, int64(min(nano, math.MaxInt32))).UTC()
}

func bytesCodec(t reflect.Type) rowCodec {
	return rowCodec{func(out []byte, v reflect.Value) ([]byte, error) { return append(out, v.Bytes()...), nil },
		func(in *rowReader, v reflect.Value) { copy(v.Bytes(), in.take(t.Len())) }, fmt.Sprintf("[%d]byte", t.Len())}
}

// ownForm writes values in the text that they have of their own. The zero value is the
// empty text, as some codes have none for it.
func ownForm(t reflect.Type, name string, text func(any) ([]byte, error), parse func(any, []byte) error) rowCodec {
	return rowCodec{func(out []byte, v reflect.Value) ([]byte, error) {
		if v.IsZero() {
			return appendText(out, ""), nil
		}
		b, err := text(v.Interface())
		return appendText(out, string(b)), err
	}, func(in *rowReader, v reflect.Value) {
		if s := in.text(); s != "" {
			if err := parse(v.Addr().Interface(), []byte(s)); err != nil {
				in.fail(err)
			}
		}
	}, name + " " + t.String()}
}

func writeBool(out []byte, v reflect.Value) ([]byte, error) {
	if v.Bool() {
		return append(out, 1), nil
	}
	return append(out, 0), nil
}

func readInt(in *rowReader, v reflect.Value) {
	n := in.int()
	if v.OverflowInt(n) {
		in.fail(fmt.Errorf("the number %d is out of the range of %s", n, v.Type()))
		return
	}
	v.SetInt(n)
}

func readUint(in *rowReader, v reflect.Value) {
	n := in.uint()
	if v.OverflowUint(n) {
		in.fail(fmt.Errorf("the number %d is out of the range of %s", n, v.Type()))
		return
	}
	v.SetUint(n)
}

func pointerCodec(t reflect.Type) rowCodec {
	elem := rowCodecOf(t.Elem())
	return rowCodec{func(out []byte, v reflect.Value) ([]byte, error) {
		if v.IsNil() {
			return append(out, 0), nil
		}
		return elem.write(append(out, 1), v.Elem())
	}, func(in *rowReader, v reflect.Value) {
		if in.uint() == 1 {
			v.Set(reflect.New(t.Elem()))
			elem.read(in, v.Elem())
		}
	}, "*" + elem.layout}
}

func sliceCodec(t reflect.Type) rowCodec {
	elem := rowCodecOf(t.Elem())
	return rowCodec{func(out []byte, v reflect.Value) (_ []byte, err error) {
		if v.IsNil() {
			return append(out, 0), nil
		}
		out = binary.AppendUvarint(out, uint64(v.Len())+1)
		for i := range v.Len() {
			if out, err = elem.write(out, v.Index(i)); err != nil {
				return out, err
			}
		}
		return out, nil
	}, func(in *rowReader, v reflect.Value) {
		n := in.uint()
		if n == 0 {
			return
		}
		if n--; n > uint64(len(in.rest)) {
			in.fail(errRowShort)
			return
		}
		v.Set(reflect.MakeSlice(t, int(n), int(n)))
		for i := 0; i < int(n) && in.err == nil; i++ {
			elem.read(in, v.Index(i))
		}
	}, "[]" + elem.layout}
}

// mapCodec writes the entries in the order of their keys, which are texts.
func mapCodec(t reflect.Type) rowCodec {
	if t.Key().Kind() != reflect.String {
		panic(fmt.Sprintf("domain: a row has a %s, which no snapshot can hold", t))
	}
	elem := rowCodecOf(t.Elem())
	return rowCodec{func(out []byte, v reflect.Value) (_ []byte, err error) {
		if v.IsNil() {
			return append(out, 0), nil
		}
		out = binary.AppendUvarint(out, uint64(v.Len())+1)
		entries := make(map[string]reflect.Value, v.Len())
		for k, e := range v.Seq2() {
			entries[k.String()] = e
		}
		for _, k := range slices.Sorted(maps.Keys(entries)) {
			e := reflect.New(t.Elem()).Elem()
			e.Set(entries[k])
			if out, err = elem.write(appendText(out, k), e); err != nil {
				return out, err
			}
		}
		return out, nil
	}, func(in *rowReader, v reflect.Value) {
		n := in.uint()
		if n == 0 {
			return
		}
		v.Set(reflect.MakeMap(t))
		for n--; n > 0 && in.err == nil; n-- {
			k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			k.SetString(in.text())
			elem.read(in, e)
			v.SetMapIndex(k, e)
		}
	}, "map[string]" + elem.layout}
}

// structCodec passes over what JSON passes over: a state's digest does not tell of it.
func structCodec(t reflect.Type) rowCodec {
	var fields []int
	var codecs []rowCodec
	var layout strings.Builder
	fmt.Fprintf(&layout, "%s{", t)
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
			continue
		}
		c := rowCodecOf(f.Type)
		fields, codecs = append(fields, i), append(codecs, c)
		fmt.Fprintf(&layout, "%s %s;", f.Name, c.layout)
	}
	return rowCodec{func(out []byte, v reflect.Value) (_ []byte, err error) {
		for i, c := range codecs {
			if out, err = c.write(out, v.Field(fields[i])); err != nil {
				return out, fmt.Errorf("%s: %w", t.Field(fields[i]).Name, err)
			}
		}
		return out, nil
	}, func(in *rowReader, v reflect.Value) {
		for i, c := range codecs {
			c.read(in, v.Field(fields[i]))
		}
	}, layout.String() + "}"}
}
