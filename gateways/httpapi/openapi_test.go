package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
)

// contract is the OpenAPI document as a client reads it.
type contract struct {
	t     *testing.T
	doc   document
	defs  map[string]json.RawMessage
	cache map[string]*jsonschema.Resolved
}

type document struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	OperationID string  `json:"operationId"`
	Summary     string  `json:"summary"`
	Parameters  []param `json:"parameters"`
	RequestBody *struct {
		Content map[string]struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

type param struct {
	Name string `json:"name"`
}

func readContract(t *testing.T, body []byte) *contract {
	c := &contract{t: t, cache: map[string]*jsonschema.Resolved{}}
	text := strings.ReplaceAll(string(body), componentPrefix, "#/$defs/")
	require.NoError(t, json.Unmarshal([]byte(text), &c.doc))
	c.defs = c.doc.Components.Schemas
	return c
}

// holds checks an answer against what the document says of its status.
func (c *contract) holds(op operation, r reply) {
	c.t.Helper()
	said, ok := op.Responses[strconv.Itoa(r.status)]
	if !ok {
		said, ok = op.Responses["default"]
	}
	if !assert.True(c.t, ok, "%s answers %d, which is not documented: %s", op.OperationID, r.status, r.body) {
		return
	}
	media, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	content, ok := said.Content[media]
	if !assert.True(c.t, ok, "%s answers %d as %s", op.OperationID, r.status, media) || media == "text/plain" || media == "application/jsonl" {
		return
	}
	var value any
	require.NoError(c.t, json.Unmarshal(r.body, &value))
	assert.NoError(c.t, c.schema(content.Schema).Validate(value), "%s answers %d: %s", op.OperationID, r.status, r.body)
}

func (c *contract) schema(raw json.RawMessage) *jsonschema.Resolved {
	c.t.Helper()
	if s, ok := c.cache[string(raw)]; ok {
		return s
	}
	needed := map[string]json.RawMessage{}
	c.collect(raw, needed)
	body, err := json.Marshal(map[string]any{"$defs": needed, "allOf": []json.RawMessage{raw}})
	require.NoError(c.t, err)
	var s jsonschema.Schema
	require.NoError(c.t, json.Unmarshal(body, &s))
	resolved, err := s.Resolve(nil)
	require.NoError(c.t, err, "%s", raw)
	c.cache[string(raw)] = resolved
	return resolved
}

// collect adds the components that a schema refers to.
func (c *contract) collect(raw json.RawMessage, needed map[string]json.RawMessage) {
	for _, m := range defined.FindAllSubmatch(raw, -1) {
		name := string(m[1])
		if _, have := needed[name]; !have {
			require.Contains(c.t, c.defs, name)
			needed[name] = c.defs[name]
			c.collect(c.defs[name], needed)
		}
	}
}

var defined = regexp.MustCompile(`"#/\$defs/([^"]+)"`)

// samples are the ids that stand for {id} of each list.
var samples = map[string]string{
	"areas": "yard", "bookings": "book-a1", "credentials": "fob-anna", "doors": "gate", "gateways": "cabinet", "grants": "grant-vera", "groups": "crew", "group-members": "crew%2Frita",
	"people": "anna", "rights": "entries", "roles": "stan@north", "schedules": "day-hours", "shares": "share-will",
	"sites": "north", "tokens": "token-stan", "unit-users": "a1%2Fvera", "units": "a1",
}

// TestDocumentIsWhatIsServed sends a good and a bad request to every operation of
// the document and holds each answer to it.
func TestDocumentIsWhatIsServed(t *testing.T) {
	b := newWorld(t, "busy")
	b.takesReads()
	full, metrics := b.token("olga", domain.ScopeFull), b.token("olga", domain.ScopeMetrics)
	c := readContract(t, b.ask("", http.MethodGet, "/openapi.json", "").is(http.StatusOK).body)
	assert.Equal(t, "3.1.0", c.doc.OpenAPI)
	reviews := b.get(full, "/reviews").ids()
	require.NotEmpty(t, reviews)

	seen := map[string]bool{}
	for path, methods := range c.doc.Paths {
		for method, op := range methods {
			require.NotEmpty(t, op.Summary, path)
			require.False(t, seen[op.OperationID], "two operations %s", op.OperationID)
			seen[op.OperationID] = true
			method = strings.ToUpper(method)
			target := strings.NewReplacer("{org}", "acme", "{site}", "north", "{gateway}", "file-1").Replace(path)
			switch {
			case strings.Contains(path, "/commands/"):
				c.checkCommand(b, full, target, op)
			case path == "/metrics":
				c.holds(op, b.ask(metrics, method, target, "").is(http.StatusOK))
				c.holds(op, b.ask(full, method, target, "").is(http.StatusForbidden))
			case path == "/healthz" || path == "/readyz":
				c.holds(op, b.ask("", method, target, "").is(http.StatusOK))
			case path == "/v1/orgs":
				body := `{"org":"globex","name":"Globex","owner":"gina","owner_name":"Gina","owner_email":"gina@globex.example"}`
				c.holds(op, b.ask(full, method, target, body).is(http.StatusForbidden))
			case strings.Contains(path, "/rehearsals"):
				c.checkRehearsal(b, full, method, target, op)
			case method == http.MethodPost:
				c.checkPost(b, full, target, op)
			default:
				c.checkGet(b, full, target, reviews[0], op)
			}
		}
	}
	for name := range c.doc.Components.Schemas {
		assert.Contains(t, string(b.api.openapi), componentPrefix+name+`"`, "%s is a component that nothing refers to", name)
	}
	assert.Contains(t, seen, "RecordReads")
	for _, typ := range domain.Commands() {
		assert.Equal(t, forPeople(typ), seen[typ.Name], typ.Name)
	}
}

// checkCommand sends the example of a command, with dry_run: it can be read, and
// is accepted or refused by a rule.
func (c *contract) checkCommand(b *bed, token, target string, op operation) {
	body, ok := schemas.CommandSchema(op.OperationID)
	require.True(c.t, ok)
	var schema struct {
		Examples []json.RawMessage `json:"examples"`
	}
	require.NoError(c.t, json.Unmarshal(body, &schema))
	var value any
	require.NoError(c.t, json.Unmarshal(schema.Examples[0], &value))
	said := c.schema(op.RequestBody.Content["application/json"].Schema)
	require.NoError(c.t, said.Validate(value), op.OperationID)
	require.NoError(c.t, said.Validate([]any{value, value}), op.OperationID)

	r := b.ask(token, http.MethodPost, target+"?dry_run=true", string(schema.Examples[0]))
	assert.NotContains(c.t, []int{http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusInternalServerError}, r.status, "%s: %s", op.OperationID, r.body)
	c.holds(op, r)
	bad := `{"nobody_knows":1}`
	require.NoError(c.t, json.Unmarshal([]byte(bad), &value))
	require.Error(c.t, said.Validate(value))
	c.holds(op, b.ask(token, http.MethodPost, target, bad).is(http.StatusBadRequest))
}

func (c *contract) checkPost(b *bed, token, target string, op operation) {
	good := map[string]string{
		"Decide":      `{"person":"anna","door":"gate"}`,
		"DecideMany":  `{"questions":[{"person":"anna","door":"gate"},{"person":"nobody","door":"gate"}]}`,
		"Explain":     `{"credential":"fob-anna","door":"gate"}`,
		"RecordReads": `{"reads":[{"number":1,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1001"}]}`,
		"NewToken":    `{"person":"olga","scope":"read","expires":"2026-04-01T00:00:00Z"}`,
	}[op.OperationID]
	if op.OperationID == "Enrol" {
		target = strings.Replace(target, "file-1", "new", 1) // file-1 is a source of reads
		x := b.box("new")
		body, err := json.Marshal(x.request(b.send(token, "RegisterGateway", `{"gateway":"new","site":"north"}`).codes()[0]))
		require.NoError(c.t, err)
		good = string(body)
	}
	require.NotEmpty(c.t, good, "%s has no example here", op.OperationID)
	r := b.ask(token, http.MethodPost, target, good)
	assert.Less(c.t, r.status, 300, "%s", r.body)
	c.holds(op, r)
	c.holds(op, b.ask(token, http.MethodPost, target, `{"nobody_knows":1}`).is(http.StatusBadRequest))
	c.holds(op, b.ask(token, http.MethodPost, target, `{`).is(http.StatusBadRequest))
}

// checkRehearsal begins or ends a rehearsal, which takes no body.
func (c *contract) checkRehearsal(b *bed, token, method, target string, op operation) {
	r := b.ask(token, method, strings.ReplaceAll(target, "{id}", newID().String()), "")
	assert.Less(c.t, r.status, 300, "%s", r.body)
	if r.status == http.StatusNoContent {
		assert.Contains(c.t, op.Responses, "204")
	} else {
		c.holds(op, r)
	}
	c.holds(op, b.ask(token, method, strings.ReplaceAll(target, "{id}", "x")+"?nobody_knows=1", "").is(http.StatusBadRequest))
	c.holds(op, b.ask("", method, target, "").is(http.StatusUnauthorized))
}

func (c *contract) checkGet(b *bed, token, target, review string, op operation) {
	if list, ok := strings.CutSuffix(target, "/{id}"); ok {
		id := samples[strings.TrimPrefix(list, "/v1/orgs/acme/")]
		if strings.HasSuffix(list, "/reviews") {
			id = review
		}
		if strings.HasSuffix(list, "/remote-unlocks") {
			id = b.get(token, "/remote-unlocks").ids()[0]
		}
		require.NotEmpty(c.t, id, list)
		c.holds(op, b.ask(token, http.MethodGet, list+"/nobody-knows", "").is(http.StatusNotFound))
		target = list + "/" + id
	}
	target = strings.NewReplacer("{kind}", "people", "{id}", "anna").Replace(target)
	c.holds(op, b.ask(token, http.MethodGet, target, "").is(http.StatusOK))
	c.holds(op, b.ask(token, http.MethodGet, target+"?nobody_knows=1", "").is(http.StatusBadRequest))
	if slices.ContainsFunc(op.Parameters, func(p param) bool { return p.Name == "at_least" }) {
		c.holds(op, b.ask(token, http.MethodGet, target+"?at_least=x", "").is(http.StatusBadRequest))
	}
	c.holds(op, b.ask("", http.MethodGet, target, "").is(http.StatusUnauthorized))
}

// TestViewsHideWhatIsSealed checks that no type of an answer can show sealed data. It
// has no field that could write a box, a hash of a token or the name of a key.
func TestViewsHideWhatIsSealed(t *testing.T) {
	b := newBed(t, Limits{})
	registry := b.api.huma.OpenAPI().Components.Schemas
	for _, name := range slices.Sorted(maps.Keys(registry.Map())) {
		typ := registry.TypeFromRef(componentPrefix + name)
		if typ == nil || typ.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(typ) {
			if f.Type == reflect.TypeFor[domain.Personal]() {
				assert.True(t, shadowed(typ, f), "%s shows %s as it is stored", name, f.Name)
			}
		}
	}
	assert.NotContains(t, shownProperties(t, b, "Person"), "fenced")
	assert.NotContains(t, shownProperties(t, b, "Token"), "hash")
	assert.NotContains(t, shownProperties(t, b, "Credential"), "subject")
	assert.Contains(t, shownProperties(t, b, "Credential"), "number")
}

// shownProperties are the properties of a component of the document.
func shownProperties(t *testing.T, b *bed, name string) map[string]any {
	c := readContract(t, b.api.openapi)
	var s struct {
		Properties map[string]any `json:"properties"`
	}
	require.NoError(t, json.Unmarshal(c.defs[name], &s))
	require.NotEmpty(t, s.Properties)
	return s.Properties
}

// TestRecordsAreDescribedByTheDomain shows that bounds and words of the generated
// schemas reach the document.
func TestRecordsAreDescribedByTheDomain(t *testing.T) {
	b := newBed(t, Limits{})
	door := shownProperties(t, b, "Door")
	assert.Contains(t, door["kind"].(map[string]any)["enum"], "lift")
	assert.Equal(t, "^[a-z0-9][a-z0-9_-]*$", door["id"].(map[string]any)["pattern"])
	booking := shownProperties(t, b, "Booking")
	assert.Equal(t, "date", booking["until"].(map[string]any)["format"])
	assert.Contains(t, booking, "person_name")
}
