package domain

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gatehouse/domain/strict"
)

// # What a Change… or Set… command leaves as it is
//
// A field that is not named stays as it was, null clears it, and a list is replaced
// whole. A field that may be cleared is a [Given]; one that may be left out but never
// be empty, as a name, is a pointer, and null is refused there. Events hold the whole
// result, so that what stands in a ledger does not depend on this.

// Given is a field of a command that changes something: left out, it leaves what there
// is; null clears it.
type Given[T any] struct {
	Value T    // the zero value where it clears
	Named bool // it was not left out
	Null  bool // it clears, which for a number or a switch means its default
}

// Give names a field with a value.
func Give[T any](v T) Given[T] { return Given[T]{Value: v, Named: true} }

// or returns the value that was given, or old when the field was left out. For null it
// returns the zero value.
func (g Given[T]) or(old T) T {
	var none T
	return g.orElse(old, none)
}

// orElse is or with another default than the zero value.
func (g Given[T]) orElse(old, def T) T {
	switch {
	case !g.Named:
		return old
	case g.Null:
		return def
	}
	return g.Value
}

// IsZero reports a field that was left out, for omitzero.
func (g Given[T]) IsZero() bool { return !g.Named }

// MarshalJSON writes the value, or null where it clears.
func (g Given[T]) MarshalJSON() ([]byte, error) {
	if g.Null {
		return []byte("null"), nil
	}
	return json.Marshal(g.Value)
}

// UnmarshalJSON reads a value or null, without unknown fields.
func (g *Given[T]) UnmarshalJSON(data []byte) error {
	*g = Given[T]{Named: true, Null: string(data) == "null"}
	if g.Null {
		return nil
	}
	return strict.Decode(data, &g.Value)
}

// ValueType is the type of what may be given, for those who read the types of
// commands.
func (Given[T]) ValueType() reflect.Type { return reflect.TypeFor[T]() }

// GivenType returns the type of value that a field of a command accepts. It reports
// false when the field is neither a [Given] nor a [Patch].
func GivenType(t reflect.Type) (reflect.Type, bool) {
	if t == nil || t.Kind() != reflect.Struct {
		return nil, false
	}
	g, ok := reflect.Zero(t).Interface().(interface{ ValueType() reflect.Type })
	if !ok {
		return nil, false
	}
	return g.ValueType(), true
}

// Patch is a group of settings of which a command gives some: what is not named stays,
// null sets the default, which is the zero value.
type Patch[T any] struct {
	Value T        // the zero value in what is not named
	Named []string // the JSON names of the fields that are given, sorted
}

// PatchOf names the fields of a value that are not at their default.
func PatchOf[T any](v T) Patch[T] {
	p := Patch[T]{Value: v}
	for i, f := range jsonNames(reflect.TypeFor[T]()) {
		if !reflect.ValueOf(v).Field(i).IsZero() {
			p.Named = append(p.Named, f)
		}
	}
	slices.Sort(p.Named)
	return p
}

// on is what the settings are with the fields that are named.
func (p Patch[T]) on(old T) T {
	to, from := reflect.ValueOf(&old).Elem(), reflect.ValueOf(p.Value)
	for i, f := range jsonNames(to.Type()) {
		if slices.Contains(p.Named, f) {
			to.Field(i).Set(from.Field(i))
		}
	}
	return old
}

func jsonNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// MarshalJSON writes the fields that are named.
func (p Patch[T]) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for i, f := range jsonNames(reflect.TypeFor[T]()) {
		if v := reflect.ValueOf(p.Value).Field(i); slices.Contains(p.Named, f) {
			out[f] = v.Interface()
			if v.IsZero() {
				out[f] = nil
			}
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads an object without unknown fields.
func (p *Patch[T]) UnmarshalJSON(data []byte) error {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(data, &named); err != nil {
		return err
	}
	if named == nil {
		return errors.New("an object names the settings to change; null sets none")
	}
	*p = Patch[T]{Named: slices.Sorted(maps.Keys(named))}
	return strict.Decode(data, &p.Value)
}

// ValueType is the type of the settings.
func (Patch[T]) ValueType() reflect.Type { return reflect.TypeFor[T]() }
