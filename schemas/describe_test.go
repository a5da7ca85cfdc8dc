package schemas

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// use is what a schema is for.
type use int

const (
	ofCommand use = iota // what a client sends
	stored               // what the ledger, a table or a stream holds
)

const idPattern = "^[a-z0-9][a-z0-9_-]*$"

// values are the schemas of types that write themselves as text, with an example
// of each.
var values = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[domain.ID]():          {Type: "string", Pattern: idPattern, MaxLength: jsonschema.Ptr(domain.MaxID), Examples: []any{"an-id"}},
	reflect.TypeFor[wire.ID]():            {Type: "string", Pattern: idPattern, MaxLength: jsonschema.Ptr(domain.MaxID), Examples: []any{"an-id"}},
	reflect.TypeFor[wire.RefusalCode]():   {Type: "string", Pattern: "^deny_[a-z_]{1,59}$", Examples: []any{"deny_lockdown"}},
	reflect.TypeFor[domain.UUID]():        {Type: "string", Format: "uuid", Examples: []any{"018f4e6a-7c2b-7000-8000-2f6d3c1b9a55"}},
	reflect.TypeFor[domain.Actor]():       {Type: "string", Pattern: "^(person|service|bootstrap):[a-z0-9_-]*$", Examples: []any{"person:anna"}},
	reflect.TypeFor[schedule.Date]():      {Type: "string", Format: "date", Examples: []any{"2026-03-02"}},
	reflect.TypeFor[domain.RefusalCode](): {Type: "string", Pattern: "^deny_[a-z_]{1,59}$", Examples: []any{"deny_lockdown"}},
	reflect.TypeFor[schedule.TimeOfDay](): {Type: "string", Pattern: "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", Examples: []any{"08:30"}},
	reflect.TypeFor[schedule.DateTime]():  {Type: "string", Pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$", Examples: []any{"2026-03-02T08:30"}},
	reflect.TypeFor[schedule.Kind]():      {Type: "string", Pattern: "^[a-z][a-z0-9_-]*$", MaxLength: jsonschema.Ptr(32), Examples: []any{"holiday"}},
	reflect.TypeFor[schedule.Day]():       {Type: "string", Pattern: "^[a-z][a-z0-9_-]*(/(mon|tue|wed|thu|fri|sat|sun))?$", MaxLength: jsonschema.Ptr(36), Examples: []any{"mon"}},
	reflect.TypeFor[wire.Hash]():          {Type: "string", Pattern: "^[0-9a-f]{64}$", Examples: []any{strings.Repeat("0a", 32)}},
	reflect.TypeFor[wire.Position]():      {Type: "string", Pattern: "^[1-9][0-9]*-[0-9]+$", Examples: []any{"1-42"}},
	reflect.TypeFor[unlock.Instant]():     {Type: "string", Format: "date-time", Examples: []any{"2026-03-02T08:30:00Z"}},
	reflect.TypeFor[unlock.Tag]():         {Type: "string", Pattern: "^[0-9a-f]{32}$", Examples: []any{strings.Repeat("0b", 16)}},
	reflect.TypeFor[unlock.Code]():        codes(),
	reflect.TypeFor[unlock.Checks]():      {Type: "array", Items: codes(), Examples: []any{[]any{}}},
	reflect.TypeFor[unlock.Digest]():      {Type: "string", Pattern: "^[0-9a-f]{64}$", Examples: []any{strings.Repeat("0d", 32)}},
	reflect.TypeFor[unlock.Rows](): {Type: "array", Items: &jsonschema.Schema{Type: "object", Required: []string{"kind", "row"},
		Properties: map[string]*jsonschema.Schema{"kind": enum(unlock.KindSite.Texts()), "row": {Type: "object", Description: "as rows/<kind>.json"}}}, Examples: []any{[]any{}}},
	reflect.TypeFor[[]byte]():          {Type: "string", ContentEncoding: "base64", Examples: []any{"AAE="}},
	reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time", Examples: []any{"2026-03-02T08:30:00Z"}},
	reflect.TypeFor[json.RawMessage](): {Type: "object", Examples: []any{map[string]any{}}},
}

// codes lists the codes of decisions.
func codes() *jsonschema.Schema {
	var texts []string
	for _, c := range unlock.Codes() {
		texts = append(texts, c.String())
	}
	return enum(texts)
}

var personalType = reflect.TypeFor[domain.Personal]()

// personal is the schema of a personal value: clear in a command, sealed where it
// is stored.
func personal(u use) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string", Extra: map[string]any{"x-personal": true}}
	if u == ofCommand {
		s.MaxLength = jsonschema.Ptr(domain.MaxPersonal)
	} else {
		s.Examples = []any{"key.box"}
	}
	return s
}

// schemaOf makes the schema of a type.
func schemaOf(t *testing.T, typ reflect.Type, u use) *jsonschema.Schema {
	types := map[reflect.Type]*jsonschema.Schema{personalType: personal(u)}
	for v, s := range values {
		types[v] = s
	}
	enumerations(typ, types, map[reflect.Type]bool{})
	s, err := jsonschema.ForType(typ, &jsonschema.ForOptions{TypeSchemas: types})
	require.NoError(t, err, typ)
	finish(s, typ, u)
	if typ == reflect.TypeFor[Commit]() {
		s.Properties["org"].Pattern = "^(_system|[a-z0-9][a-z0-9_-]*)$"
	}
	return s
}

// enumerations adds the types below typ whose values are a list: those that list
// their texts themselves, and strings with constants.
func enumerations(typ reflect.Type, types map[reflect.Type]*jsonschema.Schema, seen map[reflect.Type]bool) {
	if seen[typ] || types[typ] != nil {
		return
	}
	seen[typ] = true
	if lister, ok := reflect.Zero(typ).Interface().(interface{ Texts() []string }); ok {
		types[typ] = enum(lister.Texts())
		return
	}
	if of, ok := domain.GivenType(typ); ok {
		enumerations(of, types, seen)
		s := types[of]
		if s == nil {
			var err error
			s, err = jsonschema.ForType(of, &jsonschema.ForOptions{TypeSchemas: types})
			if err != nil {
				panic(err)
			}
		}
		types[typ] = s.CloneSchemas()
		return
	}
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		enumerations(typ.Elem(), types, seen)
	case reflect.Struct:
		for i := range typ.NumField() {
			enumerations(typ.Field(i).Type, types, seen)
		}
	case reflect.String:
		if list := docs.constants[typ.String()]; len(list) > 0 {
			types[typ] = enum(list)
		}
	}
}

func enum(texts []string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, text := range texts {
		if text != "" {
			s.Enum = append(s.Enum, text)
		}
	}
	return s
}

// finish adds what the types do not say: descriptions from the comments of the
// source, the bounds that commands have, and where null may stand.
func finish(s *jsonschema.Schema, typ reflect.Type, u use) {
	clearable := isPatch(typ)
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if of, ok := domain.GivenType(typ); ok {
		typ = of
	}
	if values[typ] != nil || typ == personalType || len(s.Enum) > 0 {
		return
	}
	switch typ.Kind() {
	case reflect.String:
		if u == ofCommand {
			s.MaxLength = jsonschema.Ptr(domain.MaxText)
		}
	case reflect.Slice:
		finish(s.Items, typ.Elem(), u)
		if u == ofCommand {
			s.MaxItems = jsonschema.Ptr(domain.MaxList)
		}
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(typ) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := s.Properties[name]
			if f.Anonymous || p == nil {
				continue
			}
			p.Description = inWire(typ, docs.field(typ, f))
			finish(p, f.Type, u)
			if some := f.Tag.Get("enum"); some != "" {
				p.Enum = enum(strings.Split(some, ",")).Enum // of the values of its type those that it takes
			}
			if u == ofCommand || strings.Contains(options, "omit") {
				notNull(p)
			}
			if isGiven(f.Type) || clearable {
				orNull(p)
			}
		}
	}
}

// inWire gives a comment with the fields of a struct under the names that they
// have on the wire.
func inWire(typ reflect.Type, comment string) string {
	return goName.ReplaceAllStringFunc(comment, func(word string) string {
		if f, ok := typ.FieldByName(word); ok {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return name
		}
		return word
	})
}

var goName = regexp.MustCompile(`\b[A-Z][A-Za-z]*\b`)

// notNull takes null out of the types of a field that is left out instead.
func notNull(s *jsonschema.Schema) {
	s.Types = slices.DeleteFunc(slices.Clone(s.Types), func(t string) bool { return t == "null" })
	if len(s.Types) == 1 {
		s.Type, s.Types = s.Types[0], nil
	}
}

// isGiven reports whether null clears a field, and isPatch whether it clears those
// below it.
func isGiven(t reflect.Type) bool { return strings.HasPrefix(t.Name(), "Given[") }
func isPatch(t reflect.Type) bool { return strings.HasPrefix(t.Name(), "Patch[") }

// orNull lets null stand for a field.
func orNull(s *jsonschema.Schema) {
	s.Type, s.Types = "", []string{"null", s.Type}
	if len(s.Enum) > 0 {
		s.Enum = append(slices.Clone(s.Enum), nil)
	}
}

// example makes a value with every field; name is that of the field it is for.
func example(s *jsonschema.Schema, name string) any {
	typ := s.Type
	if typ == "" && len(s.Types) > 0 {
		typ = s.Types[len(s.Types)-1]
	}
	switch {
	case s.Pattern == idPattern:
		s.Examples = nil
		return strings.ReplaceAll(strings.TrimSuffix(name, "s"), "_", "-") + "-1"
	case len(s.Examples) > 0:
		v := s.Examples[0]
		s.Examples = nil
		return v
	case len(s.Enum) > 0:
		return s.Enum[0]
	case typ == "string" && texts[name] != "":
		return texts[name]
	case typ == "object":
		v := map[string]any{}
		for name, p := range s.Properties {
			v[name] = example(p, name)
		}
		return v
	case typ == "array":
		return []any{example(s.Items, name)}
	case typ == "integer":
		return 1
	case typ == "boolean":
		return true
	}
	return "a text"
}

// source is what the comments of the Go source say.
type source struct {
	types     map[string]string   // by "domain.Booking": its comment
	fields    map[string]string   // by "domain.Booking.Until"
	constants map[string][]string // by "domain.BookingState": its values in order
}

// docs is read once from the packages whose types cross the wire.
var docs = readSource(".", "wire", "../domain", "../domain/explain", "../domain/schedule", "../domain/unlock")

func readSource(dirs ...string) source {
	s := source{map[string]string{}, map[string]string{}, map[string][]string{}}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			panic(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				panic(err)
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments)
			if err != nil {
				panic(err)
			}
			s.add(f)
		}
	}
	return s
}

func (s *source) add(f *ast.File) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				s.addType(f.Name.Name, g, spec)
			case *ast.ValueSpec:
				s.addConstant(f.Name.Name, g.Tok, spec)
			}
		}
	}
}

func (s *source) addType(pkg string, g *ast.GenDecl, t *ast.TypeSpec) {
	name := pkg + "." + t.Name.Name
	s.types[name] = sentence(g.Doc, t.Doc)
	if st, ok := t.Type.(*ast.StructType); ok {
		for _, field := range st.Fields.List {
			for _, n := range field.Names {
				s.fields[name+"."+n.Name] = sentence(field.Doc, field.Comment)
			}
		}
	}
}

func (s *source) addConstant(pkg string, tok token.Token, v *ast.ValueSpec) {
	typ, ok := v.Type.(*ast.Ident)
	if !ok || tok != token.CONST || len(v.Values) != 1 {
		return
	}
	lit, ok := v.Values[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		panic(err)
	}
	name := pkg + "." + typ.Name
	s.constants[name] = append(s.constants[name], text)
}

// sentence joins the lines of the first paragraph of the first comment that is
// there.
func sentence(groups ...*ast.CommentGroup) string {
	for _, g := range groups {
		if text := g.Text(); text != "" {
			first, _, _ := strings.Cut(text, "\n\n")
			return strings.Join(strings.Fields(first), " ")
		}
	}
	return ""
}

func (s *source) of(t reflect.Type) string { return s.types[t.String()] }

// field is the comment of a field, which may stand in an embedded struct.
func (s *source) field(t reflect.Type, f reflect.StructField) string {
	for _, i := range f.Index[:len(f.Index)-1] {
		t = t.Field(i).Type
	}
	return s.fields[t.String()+"."+f.Name]
}

// texts are examples of fields that are plain text.
var texts = map[string]string{
	"email": "anna@example.com", "owner_email": "anna@example.com", "phone": "+49 30 123456", "name": "Anna Amann",
	"owner_name": "Anna Amann", "zone": "Europe/Berlin", "number": "0004711", "hash": strings.Repeat("0c", 32),
}

func itoa(n int) string { return fmt.Sprint(n) }
