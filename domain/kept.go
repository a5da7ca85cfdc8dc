package domain

import "reflect"

// inKeptForm returns a command with its texts and personal values as they are [kept]; the
// command that is given stays as it is. A name that comes back from a file is then the
// name that it was.
func inKeptForm(cmd Command) Command {
	v := reflect.ValueOf(cmd)
	if !keptOtherwise(v) {
		return cmd
	}
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	keep(own)
	return own.Interface().(Command)
}

// keptOtherwise reports whether a text below a value is kept otherwise. Ids, and words out
// of a few, are no texts: with blanks they are refused.
func keptOtherwise(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return v.Type() == textType && kept(v.String()) != v.String()
	case reflect.Pointer:
		return !v.IsNil() && keptOtherwise(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if keptOtherwise(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		if p, ok := v.Interface().(Personal); ok {
			return kept(p.clear) != p.clear
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && keptOtherwise(v.Field(i)) {
				return true
			}
		}
	}
	return false
}

var textType = reflect.TypeFor[string]()

// keep gives texts the form in which they are kept. Slices and pointers on the way become the value's own.
func keep(v reflect.Value) {
	if !keptOtherwise(v) {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(kept(v.String()))
	case reflect.Pointer:
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(v.Elem())
		keep(own.Elem())
		v.Set(own)
	case reflect.Slice:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		for i := range v.Len() {
			keep(v.Index(i))
		}
	case reflect.Struct:
		if p, ok := v.Interface().(Personal); ok {
			p.clear = kept(p.clear)
			v.Set(reflect.ValueOf(p))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				keep(v.Field(i))
			}
		}
	}
}
