package domain

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// TestNamesFollowTypes: one name in all places.
func TestNamesFollowTypes(t *testing.T) {
	for _, c := range Commands() {
		assert.Equal(t, c.Type().Name(), c.Name)
		assert.Regexp(t, `^[A-Z].*[.]$`, c.Summary, c.Name)
		fieldNames(t, c.Name, c.Type())
	}
	for _, e := range Events() {
		noun, verb, _ := strings.Cut(e.Name, ".")
		assert.Regexp(t, snakeCase, noun, e.GoName)
		assert.Regexp(t, snakeCase, verb, e.GoName)
		assert.Equal(t, e.GoName, e.Type().Name())
		assert.Positive(t, e.Version, e.Name)
		fieldNames(t, e.GoName, e.Type())
	}
}

// fieldNames checks that every field has a name in snake case. The type of the field
// must have one JSON form for the same value.
func fieldNames(t *testing.T, where string, typ reflect.Type) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.Anonymous {
			assert.Regexp(t, snakeCase, name, "%s.%s", where, f.Name)
		}
		ft := f.Type
		if of, ok := GivenType(ft); ok {
			ft = of
		}
		for ft.Kind() == reflect.Pointer || ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		switch ft.Kind() {
		case reflect.Map, reflect.Interface, reflect.Float32, reflect.Float64, reflect.Func, reflect.Chan:
			t.Errorf("%s.%s is of the type %s", where, f.Name, f.Type)
		case reflect.Struct:
			if strings.HasPrefix(ft.PkgPath(), "gatehouse/") && !ft.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
				fieldNames(t, where+"."+f.Name, ft)
			}
		}
	}
}

// TestWireNames: a wire name is the longest noun that begins the type, and the
// rest.
func TestWireNames(t *testing.T) {
	assert.Equal(t, "fob.assigned", wireName("FobAssigned"))
	assert.Equal(t, "unit_user.created", wireName("UnitUserCreated"))
	assert.Equal(t, "unit.moved_in", wireName("UnitMovedIn"))
	assert.Panics(t, func() { wireName("DragonSlain") })
	assert.Panics(t, func() { wireName("Unit") })
	assert.True(t, slices.IsSorted(nouns))
}

// TestCausesAndEventsMeet: every event has a command that says it causes it, and
// commands say nothing of events that are not there.
func TestCausesAndEventsMeet(t *testing.T) {
	caused := map[string]bool{}
	for _, c := range Commands() {
		assert.NotEmpty(t, c.Causes, c.Name)
		for _, name := range c.Causes {
			_, ok := EventNamed(name)
			assert.True(t, ok, "%s causes %s, which is no event", c.Name, name)
			caused[name] = true
		}
	}
	for _, e := range Events() {
		assert.True(t, caused[e.Name], "nothing causes %s", e.Name)
	}
}

var someActors = []Actor{PersonActor("olga"), PersonActor("nobody"), ServiceActor("due"), {Kind: ActorBootstrap, ID: "bootstrap"}, {}}

// TestCommandsNeverPanic decides every command, empty and full of unknown ids. It does
// so on an empty state and in an org in use, by its owner and by other actors.
func TestCommandsNeverPanic(t *testing.T) {
	for _, base := range []string{"", "storage"} {
		w := newWorld(t)
		if base != "" {
			w.base(base)
		}
		before := w.digest(w.state)
		for _, typ := range Commands() {
			for _, fill := range []bool{false, true} {
				ptr := typ.New()
				if fill {
					fillIn(reflect.ValueOf(ptr).Elem(), 0)
				}
				Complete(UUID{1}, ptr)
				for _, actor := range someActors {
					d, r := w.state.Decide(Context{ID: UUID{1}, At: w.at, Actor: actor}, typ.Command(ptr))
					assert.True(t, r == nil || len(d.Events) == 0, typ.Name)
				}
			}
		}
		assert.Equal(t, before, w.digest(w.state))
	}
}

// TestEventsNeverPanic folds every event, empty and full of unknown ids: a fold
// cannot fail, whatever stands in a ledger.
func TestEventsNeverPanic(t *testing.T) {
	for _, typ := range Events() {
		for _, fill := range []bool{false, true} {
			s := NewState()
			ptr := typ.New()
			if fill {
				fillIn(reflect.ValueOf(ptr).Elem(), 0)
			}
			EachPersonal(ptr, func(subject ID, p *Personal) { *p = p.Sealed("k_" + string(subject) + ".x") })
			e := typ.Event(ptr)
			s.Apply(Applied{Moment: Moment{N: 1, At: time.Unix(0, 0).UTC(), Actor: PersonActor("olga")}, Events: []Event{e}})
			_ = e.affectedSites(s)
			_, err := json.Marshal(s)
			assert.NoError(t, err, typ.Name)
		}
	}
}

// TestPersonalValuesAreFound: every personal value of every word is walked, under
// a subject, and none leaves unsealed.
func TestPersonalValuesAreFound(t *testing.T) {
	check := func(name string, ptr any) {
		v := reflect.ValueOf(ptr).Elem()
		fillIn(v, 0)
		want := countPersonal(v)
		got := 0
		EachPersonal(ptr, func(subject ID, p *Personal) {
			got++
			assert.NotEmpty(t, subject, "%s: the subject of a personal value", name)
		})
		assert.Equal(t, want, got, name)
		if want > 0 {
			_, err := json.Marshal(ptr)
			assert.ErrorIs(t, err, errUnsealed, name)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", v, v, v), clearText, name)
		}
	}
	for _, c := range Commands() {
		check(c.Name, c.New())
	}
	for _, e := range Events() {
		check(e.Name, e.New())
	}
}

const clearText = "in clear"

// fillIn gives every field below v a value: one entry per list, unknown ids.
func fillIn(v reflect.Value, depth int) {
	if depth > 8 {
		return
	}
	switch x := v.Addr().Interface().(type) {
	case *Personal:
		*x = Clear(clearText)
		return
	case *time.Time:
		*x = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x-1")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillIn(v.Index(0), depth+1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if _, given := GivenType(v.Type()); f.IsExported() && !(given && f.Name == "Null") {
				fillIn(v.Field(i), depth+1)
			}
		}
	}
}

func countPersonal(v reflect.Value) int {
	if v.Type() == personalType {
		return 1
	}
	n := 0
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n = countPersonal(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += countPersonal(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n += countPersonal(v.Field(i))
			}
		}
	}
	return n
}
