package domain

import (
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"sync"
)

// Personal is a value about a person: a name, an e-mail, a card number, free
// text. It carries the clear form, the sealed box, or both. Only the box is ever
// written: into commits, snapshots and digests. The clear form is in memory alone
// and no fold branches on it but for equality.
//
// A struct field of this type bears the tag `personal:"Field"`, where Field is
// the sibling that holds the id of its subject: the person, or the credential for
// a secret that ends with it. `personal:"org"` is text about nobody, sealed with
// the org's key. With `personal:"Field,new"` on a field of a command the subject
// may be left out: [Complete] then makes its id.
type Personal struct {
	clear string
	box   string
}

// OrgSubject is the subject of text about nobody.
const OrgSubject ID = "org"

// MaxPersonal is the greatest length of a personal value in clear, in bytes.
const MaxPersonal = 1000

// errUnsealed stops a clear value from being written anywhere.
var errUnsealed = errors.New("domain: a personal value may not be written before it is sealed")

// Clear makes a personal value from its clear form.
func Clear(s string) Personal { return Personal{clear: s} }

// Value returns the clear form, and false while it is not known: sealed and not
// opened, or its key was destroyed.
func (p Personal) Value() (string, bool) { return p.clear, p.clear != "" || p.box == "" }

// Text returns the clear form, or nothing while it is not known.
func (p Personal) Text() string { return p.clear }

// Empty reports whether there is no value at all, neither clear nor sealed.
func (p Personal) Empty() bool { return p.clear == "" && p.box == "" }

// Box returns the sealed form, or nothing before it was sealed.
func (p Personal) Box() string { return p.box }

// Sealed returns the value with its box.
func (p Personal) Sealed(box string) Personal { return Personal{clear: p.clear, box: box} }

// Opened returns the value with its clear form.
func (p Personal) Opened(clear string) Personal { return Personal{clear: clear, box: p.box} }

// Same reports whether two values are known to be equal: by their clear forms
// where both are known, else by their boxes. Nothing is the same as nothing.
func (p Personal) Same(q Personal) bool {
	switch {
	case p.Empty() || q.Empty():
		return p.Empty() && q.Empty()
	case p.clear != "" && q.clear != "":
		return p.clear == q.clear
	}
	return p.box != "" && p.box == q.box
}

// String hides the value, so that no format verb prints it.
func (p Personal) String() string { return "[personal]" }

// GoString hides the value.
func (p Personal) GoString() string { return "[personal]" }

// LogValue hides the value from logs.
func (p Personal) LogValue() slog.Value { return slog.StringValue("[personal]") }

// IsZero reports an absent value, for omitzero.
func (p Personal) IsZero() bool { return p.Empty() }

// MarshalText writes the box; it fails when there is a clear form only.
func (p Personal) MarshalText() ([]byte, error) {
	if p.clear != "" && p.box == "" {
		return nil, errUnsealed
	}
	return []byte(p.box), nil
}

// UnmarshalText reads a clear form, as commands carry it. Values read from the ledger
// go through [Boxes] next.
func (p *Personal) UnmarshalText(text []byte) error {
	*p = Personal{clear: string(text)}
	return nil
}

func (p Personal) check() error {
	if len(p.clear) > MaxPersonal {
		return errors.New("a personal value has at most 1000 bytes")
	}
	return checkSeen(p.clear, unseenInPersonal)
}

// Boxes turns what was just decoded from the ledger into sealed
// values: the texts that were read are boxes, not clear forms.
func Boxes(v any) {
	EachPersonal(v, func(_ ID, p *Personal) { *p = Personal{box: p.clear} })
}

// EachPersonal calls f for every personal value in v, in the order of the fields. v is
// a pointer to a struct, or a struct, with pointers and slices of structs below. Empty
// values are skipped.
func EachPersonal(v any, f func(subject ID, p *Personal)) {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface {
		if rv.IsNil() {
			return
		}
		rv = rv.Elem()
	}
	walkPersonal(rv, planOf(rv.Type()), f)
}

// MapPersonal returns a copy of a command or event in which f replaced every
// personal value that is there. v itself stays as it was.
func MapPersonal[T any](v T, f func(subject ID, p Personal) Personal) T {
	plan := planOf(reflect.TypeOf(v))
	if plan == nil {
		return v
	}
	ptr := reflect.New(reflect.TypeOf(v))
	ptr.Elem().Set(reflect.ValueOf(v))
	unshare(ptr.Elem(), plan)
	walkPersonal(ptr.Elem(), plan, func(subject ID, p *Personal) { *p = f(subject, *p) })
	return ptr.Elem().Interface().(T)
}

// unshare gives a shallow copy its own slices and pointers on the way to its
// personal values.
func unshare(v reflect.Value, plan *personalPlan) {
	if v.Kind() == reflect.Slice {
		if v.IsNil() {
			return
		}
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		for i := range v.Len() {
			unshare(v.Index(i), plan)
		}
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(v.Elem())
		v.Set(own)
		unshare(own.Elem(), plan)
		return
	}
	for _, pf := range plan.fields {
		if pf.below != nil {
			unshare(v.Field(pf.index), pf.below)
		}
	}
}

// EndedKeys lists the ids of the keys that an event orders to be destroyed.
func EndedKeys(e Event) []string {
	if k, ok := e.(interface{ endedKeys() []string }); ok {
		return k.endedKeys()
	}
	return nil
}

// KeyEndingEvents lists the wire names of the events that end keys, sorted.
var KeyEndingEvents = sync.OnceValue(func() []string {
	var out []string
	for _, t := range Events() {
		if _, ok := reflect.Zero(t.typ).Interface().(interface{ endedKeys() []string }); ok {
			out = append(out, t.Name)
		}
	}
	return out
})

// HasPersonal reports whether a type can hold personal values.
func HasPersonal(v any) bool {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return planOf(t) != nil
}

// personalPlan says where in a struct type personal values lie. Nil: nowhere.
type personalPlan struct {
	fields []personalField
}

type personalField struct {
	index   int
	made    bool          // the subject's id is made when the command leaves it out
	subject int           // index of the sibling with the subject; -1: the org
	given   bool          // it stands in a [Given]
	below   *personalPlan // of a nested struct or slice of structs
}

var (
	personalType = reflect.TypeFor[Personal]()
	plans        sync.Map // reflect.Type -> *personalPlan
)

func planOf(t reflect.Type) *personalPlan {
	if p, ok := plans.Load(t); ok {
		return p.(*personalPlan)
	}
	var plan *personalPlan
	if t.Kind() == reflect.Struct {
		plan = planFields(t)
	}
	plans.Store(t, plan)
	return plan
}

func planFields(t reflect.Type) *personalPlan {
	var fields []personalField
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		if f.Type == personalType {
			subject, option, _ := strings.Cut(f.Tag.Get("personal"), ",")
			fields = append(fields, personalField{index: i, subject: subjectIndex(t, f, subject), made: option == "new"})
			continue
		}
		if of, ok := GivenType(f.Type); ok && of == personalType {
			fields = append(fields, personalField{index: i, subject: subjectIndex(t, f, f.Tag.Get("personal")), given: true})
			continue
		}
		ft := f.Type
		for ft.Kind() == reflect.Slice || ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct {
			if below := planOf(ft); below != nil {
				fields = append(fields, personalField{index: i, below: below})
			}
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return &personalPlan{fields}
}

// subjectIndex finds the sibling that a tag names. A wrong tag is a fault of the
// program and found by the test that walks all words, hence the panic.
func subjectIndex(t reflect.Type, f reflect.StructField, tag string) int {
	if tag == "org" {
		return -1
	}
	sub, ok := t.FieldByName(tag)
	if !ok || sub.Type != reflect.TypeFor[ID]() {
		panic("domain: " + t.Name() + "." + f.Name + " needs the tag personal with a sibling of type ID")
	}
	return sub.Index[0]
}

func walkPersonal(v reflect.Value, plan *personalPlan, f func(ID, *Personal)) {
	if plan == nil {
		return
	}
	for _, pf := range plan.fields {
		fv := v.Field(pf.index)
		if pf.below != nil {
			walkBelow(fv, pf.below, f)
			continue
		}
		if pf.given {
			fv = fv.FieldByName("Value")
		}
		if !fv.CanAddr() {
			panic("domain: EachPersonal needs a pointer")
		}
		p := fv.Addr().Interface().(*Personal)
		if p.Empty() {
			continue
		}
		subject := OrgSubject
		if pf.subject >= 0 {
			subject = v.Field(pf.subject).Interface().(ID)
		}
		f(subject, p)
	}
}

// Complete fills in stand-ins for the ids of subjects that commands leave out. A retry
// gets the same ones. It takes the pointers that [CommandType.New] made.
func Complete(id UUID, ptrs ...any) {
	n := 0
	for _, ptr := range ptrs {
		v := reflect.ValueOf(ptr).Elem()
		eachNewSubject(v, planOf(v.Type()), func(subject reflect.Value) {
			if subject.Interface() == ID("") {
				subject.Set(reflect.ValueOf(LeftOutSubject(id, n)))
				n++
			}
		})
	}
}

// eachNewSubject calls f for the fields with ids of subjects that a command may leave
// out. It calls f once for each personal value of the subject.
func eachNewSubject(v reflect.Value, plan *personalPlan, f func(subject reflect.Value)) {
	if plan == nil {
		return
	}
	for _, pf := range plan.fields {
		switch field := v.Field(pf.index); {
		case pf.below != nil && field.Kind() == reflect.Slice:
			for i := range field.Len() {
				eachNewSubject(reflect.Indirect(field.Index(i)), pf.below, f)
			}
		case pf.below != nil && field.Kind() == reflect.Struct:
			eachNewSubject(field, pf.below, f)
		case pf.made:
			f(v.Field(pf.subject))
		}
	}
}

func walkBelow(v reflect.Value, plan *personalPlan, f func(ID, *Personal)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walkBelow(v.Elem(), plan, f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkBelow(v.Index(i), plan, f)
		}
	case reflect.Struct:
		walkPersonal(v, plan, f)
	}
}

// normalEmail folds an e-mail address for comparison: as it is kept, in lower case.
func normalEmail(s string) string { return strings.ToLower(kept(s)) }
