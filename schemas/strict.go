package schemas

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// A KeyError is a field of a JSON object that is not taken: one that stands twice,
// of which a reader takes the first or the last as it likes, or one whose name
// differs from that of a field by its case alone, which encoding/json would take.
type KeyError struct {
	Path  string // of the field: windows[1].from
	Wants string // the field as it is to be written; empty: it stands twice
}

// Error tells what is wrong with the field.
func (e *KeyError) Error() string {
	if e.Wants == "" {
		return e.Path + ": the field stands twice"
	}
	return fmt.Sprintf("%s: there is no such field; write %s", e.Path, e.Wants)
}

// CheckKeys reports with a KeyError the first field of a JSON text that stands twice
// or, as the type of into tells, is written in another case. What else may be wrong
// with the text is left to whoever decodes it.
func CheckKeys(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	k := keys{d}
	if e, ok := errors.AsType[*KeyError](k.value(reflect.TypeOf(into), "")); ok {
		return e
	}
	return nil
}

// keys walks through a JSON text beside the type that it is to be decoded into.
type keys struct{ d *json.Decoder }

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readInto is the type without pointers; nil for one that reads its JSON itself, whose
// fields are not known.
func readInto(t reflect.Type) reflect.Type {
	for t != nil {
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

func (k keys) value(t reflect.Type, path string) error {
	t = readInto(t)
	token, err := k.d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return k.object(t, path)
	case json.Delim('['):
		var elem reflect.Type
		if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
			elem = t.Elem()
		}
		for i := 0; k.d.More(); i++ {
			if err := k.value(elem, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		_, err = k.d.Token()
	}
	return err
}

func (k keys) object(t reflect.Type, path string) error {
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
		at := strings.TrimPrefix(path+"."+name, ".")
		if _, twice := seen[name]; twice {
			return &KeyError{Path: at}
		}
		seen[name] = struct{}{}
		field, wants := fieldOf(t, name)
		if wants != "" {
			return &KeyError{Path: at, Wants: wants}
		}
		if err := k.value(field, at); err != nil {
			return err
		}
	}
	_, err := k.d.Token()
	return err
}

// fieldOf is the type of an object's field, nil when it is not known. For a name
// that is none but for its case, wants is the right one.
func fieldOf(t reflect.Type, name string) (field reflect.Type, wants string) {
	switch {
	case t == nil:
		return nil, ""
	case t.Kind() == reflect.Map:
		return t.Elem(), ""
	case t.Kind() != reflect.Struct:
		return nil, ""
	}
	fields := reflect.VisibleFields(t)
	named := func(same func(have string) bool) int {
		return slices.IndexFunc(fields, func(f reflect.StructField) bool { return f.IsExported() && same(jsonName(f)) })
	}
	if i := named(func(have string) bool { return have == name }); i >= 0 {
		return fields[i].Type, ""
	}
	if i := named(func(have string) bool { return have != "" && strings.EqualFold(have, name) }); i >= 0 {
		return nil, jsonName(fields[i])
	}
	return nil, ""
}

// jsonName is the name of a field in JSON; empty for one that has none.
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
