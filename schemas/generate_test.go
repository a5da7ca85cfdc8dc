package schemas

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/explain"
	"gatehouse/domain/strict"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

var update = flag.Bool("update", false, "write the schemas, and examples of event versions that have none")

// described is one schema to write.
type described struct {
	file  string // below this directory
	title string // the one name of what it describes
	text  string // what that is
	typ   reflect.Type
	use   use
}

// all lists every schema, in the order of the files.
func all() []described {
	var out []described
	for _, c := range domain.Commands() {
		out = append(out, described{"commands/" + c.Name + ".json", c.Name, c.Summary, c.Type(), ofCommand})
	}
	for _, e := range domain.Events() {
		out = append(out, described{"events/" + e.Name + ".json", e.GoName, docs.of(e.Type()), e.Type(), stored})
	}
	for _, k := range unlock.Kinds() {
		row := rowTypes[k]
		out = append(out, described{"rows/" + k.String() + ".json", "row " + k.String(), docs.of(row), row, stored})
	}
	for _, typ := range records() {
		kind := string(domain.RecordOf(domain.NewState(), reflect.New(typ).Interface()).Kind)
		out = append(out, described{"records/" + kind + ".json", "record " + kind, docs.of(typ), typ, stored})
	}
	for _, r := range []struct {
		file, title string
		typ         reflect.Type
	}{
		{"activity.json", "Activity", reflect.TypeFor[wire.Activity]()},
		{"commit.json", "Commit", reflect.TypeFor[Commit]()},
		{"explanation.json", "Explanation", reflect.TypeFor[explain.Explanation]()},
		{"impact.json", "Impact", reflect.TypeFor[domain.Impact]()},
		{"order.json", "Order", reflect.TypeFor[wire.Order]()},
		{"order_answer.json", "OrderAnswer", reflect.TypeFor[wire.OrderAnswer]()},
		{"permission_delta.json", "PermissionDelta", reflect.TypeFor[wire.PermissionDelta]()},
		{"permission_part.json", "PermissionPart", reflect.TypeFor[wire.PermissionPart]()},
		{"refusal.json", "Refusal", reflect.TypeFor[Refusal]()},
	} {
		out = append(out, described{r.file, r.title, docs.of(r.typ), r.typ, stored})
	}
	return out
}

// records lists the types of the rows of the state that people read.
func records() []reflect.Type {
	var out []reflect.Type
	state := reflect.TypeFor[domain.State]()
	for i := range state.NumField() {
		get, ok := state.Field(i).Type.MethodByName("Get")
		if !ok {
			continue
		}
		row := get.Type.Out(0).Elem()
		if domain.RecordOf(domain.NewState(), reflect.New(row).Interface()).Kind != "" {
			out = append(out, row)
		}
	}
	return out
}

// rowTypes are the structs of the kinds of row.
var rowTypes = map[unlock.Kind]reflect.Type{
	unlock.KindSite: reflect.TypeFor[unlock.Site](), unlock.KindDoor: reflect.TypeFor[unlock.Door](),
	unlock.KindRight: reflect.TypeFor[unlock.Right](), unlock.KindSchedule: reflect.TypeFor[unlock.Schedule](),
	unlock.KindPerson: reflect.TypeFor[unlock.Person](), unlock.KindUnit: reflect.TypeFor[unlock.Unit](),
	unlock.KindBooking: reflect.TypeFor[unlock.Booking](), unlock.KindCredential: reflect.TypeFor[unlock.Credential](),
	unlock.KindGrant: reflect.TypeFor[unlock.Grant](),
}

// TestSchemas holds the schemas to the Go types. With -update it writes them.
func TestSchemas(t *testing.T) {
	wanted := map[string][]byte{}
	titles := map[string]string{}
	for _, d := range all() {
		require.NotContains(t, titles, d.title, "%s and %s describe one name", titles[d.title], d.file)
		titles[d.title] = d.file
		require.NotContains(t, wanted, d.file)
		wanted[d.file] = write(t, d)
	}
	found := onDisk(t)
	if *update {
		for file, body := range wanted {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, body, 0o644))
		}
		for _, file := range found {
			if _, ok := wanted[file]; !ok && path.Dir(file) == "commands" {
				require.NoError(t, os.Remove(file))
			}
		}
		found = onDisk(t)
	}
	for _, file := range found {
		body, ok := wanted[file]
		if !ok {
			t.Errorf("%s describes nothing that there is; the type of an event stays for ever, since ledgers may hold it", file)
			continue
		}
		have, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(body), string(have), "%s has drifted from its Go type: go test ./schemas -update", file)
	}
	assert.Equal(t, slices.Sorted(maps.Keys(wanted)), found, "go test ./schemas -update writes what is missing")
}

// onDisk lists the schema files, sorted.
func onDisk(t *testing.T) []string {
	var out []string
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && file == "testdata" {
			return fs.SkipDir
		}
		if err == nil && path.Ext(file) == ".json" && file != "codes.json" { // the register, which is no schema
			out = append(out, file)
		}
		return err
	})
	require.NoError(t, err)
	slices.Sort(out)
	return out
}

// write makes the file of a schema, with an example that satisfies it.
func write(t *testing.T, d described) []byte {
	s := schemaOf(t, d.typ, d.use)
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title, s.Description = d.title, d.text
	s.Examples = []any{example(s, "")}
	resolved, err := s.CloneSchemas().Resolve(nil)
	require.NoError(t, err, d.file)
	require.NoError(t, resolved.Validate(plain(t, s.Examples[0])), d.file)
	body, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err, d.file)
	return append(body, '\n')
}

// plain gives a value as JSON decodes it.
func plain(t *testing.T, v any) any {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	var out any
	require.NoError(t, json.Unmarshal(b, &out))
	return out
}

// exampleOf reads the example of a schema file. It takes the file on disk, since
// what is embedded is a run behind when schemas were just written.
func exampleOf(t *testing.T, file string) json.RawMessage {
	body, err := os.ReadFile(file)
	require.NoError(t, err)
	var s struct {
		Examples []json.RawMessage `json:"examples"`
	}
	require.NoError(t, json.Unmarshal(body, &s))
	require.Len(t, s.Examples, 1)
	return s.Examples[0]
}

// TestExamplesDecode takes the example of each schema, which has every field,
// through the decoder of the type: neither knows a field that the other does not.
func TestExamplesDecode(t *testing.T) {
	for _, c := range domain.Commands() {
		ptrs, err := DecodeCommands(c, exampleOf(t, "commands/"+c.Name+".json"))
		require.NoError(t, err, c.Name)
		require.Len(t, ptrs, 1)
	}
	for _, k := range unlock.Kinds() {
		row := append(append([]byte(`{"kind":"`+k.String()+`","row":`), exampleOf(t, "rows/"+k.String()+".json")...), '}')
		_, err := unlock.Decode(row)
		require.NoError(t, err, k)
	}
	for _, d := range all() {
		if path.Dir(d.file) == "." {
			require.NoError(t, strict.Decode(exampleOf(t, d.file), reflect.New(d.typ).Interface()), d.file)
		}
	}
	_, err := DecodeCommit(exampleOf(t, "commit.json"))
	require.NoError(t, err)
}

// TestFiles finds every schema where the program looks for it.
func TestFiles(t *testing.T) {
	for _, c := range domain.Commands() {
		_, ok := CommandSchema(c.Name)
		assert.True(t, ok || *update, c.Name)
	}
	for _, e := range domain.Events() {
		_, ok := EventSchema(e.Name)
		assert.True(t, ok || *update, e.Name)
	}
	_, ok := CommandSchema("NoSuchCommand")
	assert.False(t, ok)
	_, err := fs.Stat(Files(), "rows/door.json")
	assert.NoError(t, err)
}

// TestStoredEvents reads an example of every version of every event that was ever
// written. An example is written once and stays: one that no longer decodes means
// that ledgers could not be read any more, and that the event needs a further
// version and an upcaster.
func TestStoredEvents(t *testing.T) {
	dir := filepath.Join("testdata", "events")
	for _, typ := range domain.Events() {
		for v := 1; v <= typ.Version; v++ {
			file := filepath.Join(dir, typ.Name+"."+itoa(v)+".json")
			if _, err := os.Stat(file); *update && os.IsNotExist(err) && v == typ.Version {
				writeExample(t, file, typ)
			}
			data, err := os.ReadFile(file)
			require.NoError(t, err, "go test ./schemas -update writes the example of the present version")
			_, err = Event{Type: typ.Name, Version: v, Data: data}.Decode()
			assert.NoError(t, err, "%s was stored in ledgers; raise the version of the event and add an upcaster", file)
		}
	}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		parts := strings.Split(f.Name(), ".")
		require.Len(t, parts, 4, f.Name())
		_, ok := domain.EventNamed(parts[0] + "." + parts[1])
		assert.True(t, ok, "%s: the event is gone, but ledgers may hold it", f.Name())
	}
}

func writeExample(t *testing.T, file string, typ domain.EventType) {
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, exampleOf(t, "events/"+typ.Name+".json"), "", "  "))
	out.WriteByte('\n')
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644))
}

// TestEventsKeepTheirFields stores the example of each event again: whatever was
// read is written back, so that the schema describes what really is stored.
func TestEventsKeepTheirFields(t *testing.T) {
	for _, typ := range domain.Events() {
		data := exampleOf(t, "events/"+typ.Name+".json")
		e, err := Event{Type: typ.Name, Version: typ.Version, Data: data}.Decode()
		require.NoError(t, err, typ.Name)
		var c Commit
		require.NoError(t, c.SetEvents([]domain.Event{e}, [][]domain.ID{nil}))
		assert.JSONEq(t, string(data), string(c.Events[0].Data), typ.Name)
	}
}

// TestSchemaRefuses shows that the schemas say no: of every command, an unknown
// field and a missing one.
func TestSchemaRefuses(t *testing.T) {
	for _, c := range domain.Commands() {
		body, err := os.ReadFile("commands/" + c.Name + ".json")
		require.NoError(t, err)
		var s jsonschema.Schema
		require.NoError(t, json.Unmarshal(body, &s), c.Name)
		resolved, err := s.Resolve(nil)
		require.NoError(t, err, c.Name)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(exampleOf(t, "commands/"+c.Name+".json"), &fields))
		require.NoError(t, resolved.Validate(fields), c.Name)
		fields["nobody_knows"] = 1
		require.Error(t, resolved.Validate(fields), c.Name)
		delete(fields, "nobody_knows")
		for _, r := range s.Required {
			delete(fields, r)
			require.Error(t, resolved.Validate(fields), "%s without %s", c.Name, r)
		}
	}
}
