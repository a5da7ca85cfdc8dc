package domain

import (
	"reflect"
	"strings"
)

// trimmed returns a command without blanks at the ends of its texts and personal
// values; the command that is given stays as it is. Nobody sees such blanks: kept,
// they would make two names of one, and a name that comes back from a file another
// than it was.
func trimmed(cmd Command) Command {
	v := reflect.ValueOf(cmd)
	if !hasBlanks(v) {
		return cmd
	}
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	trim(own)
	return own.Interface().(Command)
}

// hasBlanks reports whether a text below a value has blanks at its ends. Ids, and
// words out of a few, are no texts: with blanks they are refused.
func hasBlanks(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return v.Type() == textType && strings.TrimSpace(v.String()) != v.String()
	case reflect.Pointer:
		return !v.IsNil() && hasBlanks(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if hasBlanks(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		if p, ok := v.Interface().(Personal); ok {
			return strings.TrimSpace(p.clear) != p.clear
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && hasBlanks(v.Field(i)) {
				return true
			}
		}
	}
	return false
}

var textType = reflect.TypeFor[string]()

// trim takes the blanks away. Slices and pointers on the way become the value's own.
func trim(v reflect.Value) {
	if !hasBlanks(v) {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.TrimSpace(v.String()))
	case reflect.Pointer:
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(v.Elem())
		trim(own.Elem())
		v.Set(own)
	case reflect.Slice:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		for i := range v.Len() {
			trim(v.Index(i))
		}
	case reflect.Struct:
		if p, ok := v.Interface().(Personal); ok {
			p.clear = strings.TrimSpace(p.clear)
			v.Set(reflect.ValueOf(p))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				trim(v.Field(i))
			}
		}
	}
}
