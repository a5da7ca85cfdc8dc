package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// A KeyError names a field of a JSON object that is refused. It occurs twice, and
// readers differ in whether they take the first or the last; or its name differs from
// that of a field by its case alone, which encoding/json would accept; or it is null,
// while a command may leave it out but not clear it.
type KeyError struct {
	Path  string // of the field: windows[1].from
	Wants string // the correct name; empty means that the field occurs twice
	Null  bool   // it may be left out, but must not be null
}

// Error says what is wrong with the field.
func (e *KeyError) Error() string {
	if e.Null {
		return e.Path + ": it cannot be cleared, so that null says nothing; leave it out to keep what there is"
	}
	if e.Wants == "" {
		return e.Path + ": the field is given twice"
	}
	return fmt.Sprintf("%s: unknown field; write %s", e.Path, e.Wants)
}

// CheckText refuses a JSON text with characters that a decoder would silently replace
// by U+FFFD. These are bytes that are not UTF-8, and half of a surrogate pair. The
// error names the place.
func CheckText(data []byte) error {
	if !utf8.Valid(data) {
		at := 0
		for c, n := utf8.DecodeRune(data); c != utf8.RuneError || n > 1; c, n = utf8.DecodeRune(data[at:]) {
			at += n
		}
		return fmt.Errorf("byte %d (0x%02x) is not UTF-8; send the text in UTF-8", at, data[at])
	}
	for i := 0; i+1 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		half, ok := escaped(data[i+1:])
		if !ok || !utf16.IsSurrogate(half) {
			continue
		}
		if i+6 < len(data) && data[i+5] == '\\' && data[i+6] == 'u' {
			if other, ok := escaped(data[i+7:]); ok && utf16.DecodeRune(half, other) != utf8.RuneError {
				i += 10
				continue
			}
		}
		return fmt.Errorf(`byte %d: \u%04x is half of a character; send both halves, or the character itself`, i-1, half)
	}
	return nil
}

// escaped parses the four digits of an escape.
func escaped(digits []byte) (rune, bool) {
	if len(digits) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits[:4]), 16, 32)
	return rune(n), err == nil
}

// CheckKeys returns a KeyError for the first field that occurs twice or has the wrong
// case. The type of into gives the correct names. All other faults of the text are left
// to the decoder. The caller has checked the [Bounds] of the text; a text deeper than
// MaxDepth is refused here in any case.
func CheckKeys(data []byte, into any) error {
	if err := (Bounds{}).Check(data); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	k := keys{d}
	if e, ok := errors.AsType[*KeyError](k.value(reflect.TypeOf(into), nil)); ok {
		return e
	}
	return nil
}

// ValueError is a value that its type refuses, as a date that the calendar does not have.
type ValueError struct {
	Path string // of the field: windows[1].from
	Err  error
}

// Error tells the field and what is wrong with its value.
func (e *ValueError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap gives what the type said.
func (e *ValueError) Unwrap() error { return e.Err }

// FindValue says which field of a JSON text a decoder of into failed at. The decoder
// itself tells no path where a type reads its text; nil where each field by itself is
// readable.
func FindValue(data []byte, into any) *ValueError {
	e := refusedValue(data, reflect.TypeOf(into).Elem())
	if e == nil || e.Path == "" {
		return nil
	}
	return e
}

func refusedValue(data []byte, t reflect.Type) *ValueError {
	err := json.Unmarshal(data, reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	inner := readInto(t)
	switch {
	case inner != nil && inner.Kind() == reflect.Struct:
		var parts map[string]json.RawMessage
		if json.Unmarshal(data, &parts) != nil {
			break
		}
		for _, f := range namedFields(inner) {
			if part, given := parts[f.name]; given {
				if e := refusedValue(part, f.typ); e != nil {
					e.Path = strings.TrimSuffix(f.name+"."+e.Path, ".")
					e.Path = strings.ReplaceAll(e.Path, ".[", "[")
					return e
				}
			}
		}
	case inner != nil && inner.Kind() == reflect.Slice:
		var parts []json.RawMessage
		if json.Unmarshal(data, &parts) != nil {
			break
		}
		for i, part := range parts {
			if e := refusedValue(part, inner.Elem()); e != nil {
				e.Path = strings.TrimSuffix(fmt.Sprintf("[%d].%s", i, e.Path), ".")
				return e
			}
		}
	}
	return &ValueError{Err: err}
}

// keys walks through a JSON text along with the type into which it is to be decoded.
type keys struct{ d *json.Decoder }

// place is the position of a value in a text: below another, as a field or an entry.
// The path is built from it only for an error.
type place struct {
	above *place
	field string
	entry int // of a list; -1 means a field
}

// path is the place as text: windows[1].from.
func (p *place) path() string {
	var steps []string
	for ; p != nil; p = p.above {
		if p.entry >= 0 {
			steps = append(steps, fmt.Sprintf("[%d]", p.entry))
		} else {
			steps = append(steps, "."+p.field)
		}
	}
	slices.Reverse(steps)
	return strings.TrimPrefix(strings.Join(steps, ""), ".")
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readInto is the type without pointers. It is nil for a type that reads its own JSON,
// whose fields are not known.
func readInto(t reflect.Type) reflect.Type {
	for t != nil {
		if g, ok := reflect.Zero(t).Interface().(interface{ ValueType() reflect.Type }); ok && t.Kind() == reflect.Struct {
			t = g.ValueType() // of an optional field of a command
			continue
		}
		if p := reflect.PointerTo(t); p.Implements(unmarshaler) || p.Implements(textUnmarshaler) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}

func (k keys) value(t reflect.Type, at *place) error {
	token, err := k.d.Token()
	if err != nil {
		return err
	}
	switch token {
	case nil:
		if t != nil && t.Kind() == reflect.Pointer && at != nil {
			return &KeyError{Path: at.path(), Null: true}
		}
	case json.Delim('{'):
		return k.object(readInto(t), at)
	case json.Delim('['):
		var elem reflect.Type
		if t = readInto(t); t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
			elem = t.Elem()
		}
		for entry := (place{above: at}); k.d.More(); entry.entry++ {
			if err := k.value(elem, &entry); err != nil {
				return err
			}
		}
		_, err = k.d.Token()
	}
	return err
}

func (k keys) object(t reflect.Type, above *place) error {
	seen := map[string]struct{}{}
	for k.d.More() {
		token, err := k.d.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return io.ErrUnexpectedEOF
		}
		at := place{above: above, field: name, entry: -1}
		if _, twice := seen[name]; twice {
			return &KeyError{Path: at.path()}
		}
		seen[name] = struct{}{}
		field, wants := fieldOf(t, name)
		if wants != "" {
			return &KeyError{Path: at.path(), Wants: wants}
		}
		if err := k.value(field, &at); err != nil {
			return err
		}
	}
	_, err := k.d.Token()
	return err
}

// fieldsOf caches the fields of struct types: reflect.Type -> []namedField.
var fieldsOf sync.Map

type namedField struct {
	name string
	typ  reflect.Type
}

// namedFields lists the fields of a struct type by their names in JSON.
func namedFields(t reflect.Type) []namedField {
	if known, ok := fieldsOf.Load(t); ok {
		return known.([]namedField)
	}
	var out []namedField
	for _, f := range reflect.VisibleFields(t) {
		if name := jsonName(f); f.IsExported() && name != "" {
			out = append(out, namedField{name, f.Type})
		}
	}
	fieldsOf.Store(t, out)
	return out
}

// fieldOf is the type of an object's field, nil when it is not known. For a name in the
// wrong case, wants is the correct one.
func fieldOf(t reflect.Type, name string) (field reflect.Type, wants string) {
	switch {
	case t == nil:
		return nil, ""
	case t.Kind() == reflect.Map:
		return t.Elem(), ""
	case t.Kind() != reflect.Struct:
		return nil, ""
	}
	fields := namedFields(t)
	if i := slices.IndexFunc(fields, func(f namedField) bool { return f.name == name }); i >= 0 {
		return fields[i].typ, ""
	}
	if i := slices.IndexFunc(fields, func(f namedField) bool { return strings.EqualFold(f.name, name) }); i >= 0 {
		return nil, fields[i].name
	}
	return nil, ""
}

// jsonName is the name of a field in JSON, empty if it has none.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch {
	case name == "-" || name == "" && f.Anonymous:
		return ""
	case name == "":
		return f.Name
	}
	return name
}
