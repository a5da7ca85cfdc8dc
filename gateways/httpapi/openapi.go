package httpapi

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/schemas"
)

const componentPrefix = "#/components/schemas/"

// componentName names a type in the document: doorView is Door there.
func componentName(t reflect.Type, hint string) string {
	return strings.ReplaceAll(huma.DefaultSchemaNamer(t, hint), "View", "")
}

// object is a part of the document as JSON.
type object = map[string]any

// documents are those that were made in this process: which routes there are follows
// from the key alone, and to make one takes some 40 ms. Of documentKey to []byte.
var documents sync.Map

// documentKey is what documents differ by.
type documentKey struct {
	version string
	reads   bool // they are taken
}

// documented gives the OpenAPI document.
func (a *API) documented() ([]byte, error) {
	a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[CommandResult](), true, "CommandResult")
	key := documentKey{a.cfg.Version, a.cfg.Doors != nil}
	if doc, ok := documents.Load(key); ok {
		return doc.([]byte), nil
	}
	doc, err := a.document()
	if err == nil {
		documents.Store(key, doc)
	}
	return doc, err
}

// document makes the OpenAPI document: the typed routes as they describe
// themselves, with the bounds and words of the generated schemas where they show
// a record of the domain, and one operation for each command that people send.
func (a *API) document() ([]byte, error) {
	registry := a.huma.OpenAPI().Components.Schemas
	body, err := json.Marshal(a.huma.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("httpapi: write the OpenAPI document: %w", err)
	}
	var doc struct {
		OpenAPI    string            `json:"openapi"`
		Info       json.RawMessage   `json:"info"`
		Paths      map[string]object `json:"paths"`
		Components struct {
			Schemas         map[string]object `json:"schemas"`
			SecuritySchemes json.RawMessage   `json:"securitySchemes"`
		} `json:"components"`
		Servers  json.RawMessage `json:"servers"`
		Security json.RawMessage `json:"security"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("httpapi: write the OpenAPI document: %w", err)
	}
	for name, component := range doc.Components.Schemas {
		if err := describeRecord(component, registry.TypeFromRef(componentPrefix+name)); err != nil {
			return nil, err
		}
	}
	for _, c := range domain.Commands() {
		if !forPeople(c) {
			continue
		}
		if _, taken := doc.Components.Schemas[c.Name]; taken {
			return nil, fmt.Errorf("httpapi: %s is the name of a command and of something else", c.Name)
		}
		schema, err := generated("commands/" + c.Name + ".json")
		if err != nil {
			return nil, err
		}
		doc.Components.Schemas[c.Name] = schema
		doc.Paths["/v1/orgs/{org}/commands/"+c.Name] = object{"post": commandOperation(c)}
	}
	doc.Paths["/metrics"] = object{"get": metricsOperation()}
	sayErrors(doc.Paths)
	if err := prune(doc.Paths, doc.Components.Schemas); err != nil {
		return nil, err
	}
	out, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, fmt.Errorf("httpapi: write the OpenAPI document: %w", err)
	}
	return out, nil
}

// sayErrors puts what a status means in the place of its name.
func sayErrors(paths map[string]object) {
	for _, item := range paths {
		for _, op := range item {
			responses, _ := op.(object)["responses"].(object)
			for status, said := range responses {
				if text, ok := statusTexts[status]; ok {
					said.(object)["description"] = text
				}
			}
		}
	}
}

// prune removes the components that nothing refers to: types whose place a
// generated schema has taken.
func prune(paths, components map[string]object) error {
	needed := map[string]bool{}
	var need func(part any) error
	need = func(part any) error {
		text, err := json.Marshal(part)
		if err != nil {
			return fmt.Errorf("httpapi: write the OpenAPI document: %w", err)
		}
		for _, m := range refPattern.FindAllSubmatch(text, -1) {
			if name := string(m[1]); !needed[name] {
				needed[name] = true
				if err := need(components[name]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := need(paths); err != nil {
		return err
	}
	maps.DeleteFunc(components, func(name string, _ object) bool { return !needed[name] })
	return nil
}

var refPattern = regexp.MustCompile(`"` + componentPrefix + `([^"]+)"`)

// forPeople reports whether a command is one that a person may send. The others
// are sent by the service alone.
func forPeople(c domain.CommandType) bool {
	p := c.Permit()
	return p.Role != "" || p.Primary || p.UnitManager || p.GroupRole != "" || p.Self
}

// generated reads a generated schema to be put into the document.
func generated(file string) (object, error) {
	body, err := fs.ReadFile(schemas.Files(), file)
	if err != nil {
		return nil, fmt.Errorf("httpapi: there is no schema %s; go test ./schemas -update writes it: %w", file, err)
	}
	var schema object
	if err := json.Unmarshal(body, &schema); err != nil {
		return nil, fmt.Errorf("httpapi: read the schema %s: %w", file, err)
	}
	delete(schema, "$schema")
	return schema, nil
}

// describeRecord fills in the properties of a component that shows a record of the
// domain. It takes them from the generated schema of the record.
func describeRecord(component object, t reflect.Type) error {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	properties, _ := component["properties"].(object)
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || len(f.Index) != 2 || properties[name] == nil || shadowed(t, f) {
			continue
		}
		record := domain.RecordOf(domain.NewState(), reflect.New(t.Field(f.Index[0]).Type).Interface())
		if record.Kind == "" {
			continue
		}
		schema, err := generated("records/" + string(record.Kind) + ".json")
		if err != nil {
			return err
		}
		properties[name] = schema["properties"].(object)[name]
	}
	return nil
}

// shadowed reports whether a view has a field of its own in the place of a
// promoted one.
func shadowed(t reflect.Type, promoted reflect.StructField) bool {
	own, ok := t.FieldByName(promoted.Name)
	return ok && len(own.Index) == 1
}

func ref(name string) object { return object{"$ref": componentPrefix + name} }

// commandOperation describes the route of a command.
func commandOperation(c domain.CommandType) object {
	description := "Used by " + c.Permit().String() + ". The body is one command, or a list of up to " +
		strconv.Itoa(domain.MaxList) + " of which all are accepted or none."
	if len(c.Causes) > 0 {
		description += " It may cause " + strings.Join(c.Causes, ", ") + "."
	}
	accepted := func(text string) object {
		return object{
			"description": text,
			"headers": object{
				positionHeader:    header("the position of the org"),
				"Idempotency-Key": header("id of the command; sent again with it, the command has no second effect"),
			},
			"content": object{"application/json": object{"schema": ref("CommandResult")}},
		}
	}
	responses := object{
		"200": accepted("The command was accepted, or had been before. With wait=enforced, every gateway that it concerns enforces it; enforced tells more."),
		"202": accepted("With wait=enforced alone: the command was accepted, and some gateways did not enforce it in time."),
	}
	for status, text := range statusTexts {
		responses[status] = object{"description": text,
			"content": object{problemJSON: object{"schema": ref("Problem")}}}
	}
	return object{
		"operationId": c.Name, "tags": []string{"commands"}, "summary": c.Summary, "description": description,
		"parameters": commandParameters,
		"requestBody": object{"required": true, "content": object{"application/json": object{"schema": object{"oneOf": []object{
			ref(c.Name), {"type": "array", "items": ref(c.Name), "minItems": 1, "maxItems": domain.MaxList}}}}}},
		"responses": responses, "x-causes": c.Causes, "x-takes-away": c.MayBeUrgent(),
	}
}

func header(text string) object {
	return object{"description": text, "schema": object{"type": "string"}}
}

func parameter(in, name, text string, schema object) object {
	return object{"in": in, "name": name, "description": text, "required": in == "path", "schema": schema}
}

var commandParameters = []object{
	parameter("path", "org", "the org of the token", object{"type": "string"}),
	parameter("header", "Idempotency-Key", "a UUID is the id of the command; with any other text, the id is derived from it, the org and the token; empty: an id is generated and returned",
		object{"type": "string", "maxLength": maxKey}),
	parameter("header", "On-Behalf-Of", "id of the person for whom staff act; it is kept with the commit", object{"type": "string"}),
	parameter("query", "dry_run", "change nothing; impact shows who would lose or gain access at which doors. Ids that the command leaves out are placeholders such as p-new-1, and are generated when it is committed", object{"type": "boolean"}),
	parameter("query", "wait", "wait until every gateway with a door at a site whose permissions the command changed enforces it; else the answer is 202 and tells which doors may still open, and until when", object{"type": "string", "enum": []string{"enforced"}}),
	parameter("query", "timeout", "with wait: how long to wait at most, such as 500ms or 10s, up to "+maxEnforceWait.String()+"; without it "+enforceWait.String(), object{"type": "string"}),
	parameter("query", "zone_rules", "include all transitions of a time zone that the command sets; otherwise only its name and version", object{"type": "boolean"}),
	parameter("query", "rehearsal", "with dry_run: decide on this rehearsal, after the commands that it accepted before", object{"type": "string", "format": "uuid"}),
	parameter("query", "if_position", "refuse with version_conflict unless the org is at this position, such as 1-42",
		object{"type": "string", "pattern": "^[1-9][0-9]*-[0-9]+$"}),
}

// statusTexts say what the statuses of requests mean that did not succeed.
var statusTexts = map[string]string{
	"400": "malformed: the body or a parameter cannot be read; fields names it",
	"401": "unauthenticated",
	"403": "role_not_permitted: the detail says who may do it; scope_not_permitted: the scope of the token does not permit it",
	"404": "unknown_…: it does not exist, or the caller may not see it",
	"409": "a rule forbids it in the present state, the code says which; version_conflict: see if_position",
	"413": "body_too_large, or commit_too_large: send smaller lists",
	"415": "wrong_media_type",
	"422": "the command is wrong in itself, the code says how; command_id_reused",
	"429": "rate_limited",
	"500": "internal",
	"503": "busy, behind, stale, vault_unavailable, key_damaged, clock_untrusted, read_only, ledger_damaged, ledger_unreachable, not_stored or stopping: nothing was changed, try again",
	"504": "unsettled: send it again with the same Idempotency-Key",
}

func metricsOperation() object {
	return object{
		"operationId": "Metrics", "tags": []string{"operation"}, "summary": "Returns the metrics in the format of Prometheus",
		"description": "Used by " + metricsRoute.usedBy + ".",
		"responses": object{
			"200": object{"description": "OK", "content": object{"text/plain": object{"schema": object{"type": "string"}}}},
			"401": object{"description": statusTexts["401"], "content": object{problemJSON: object{"schema": ref("Problem")}}},
			"403": object{"description": statusTexts["403"], "content": object{problemJSON: object{"schema": ref("Problem")}}},
		},
	}
}

func (a *API) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(a.openapi); err != nil {
		a.cfg.Log.Debug("a client went away", "request_id", infoOf(r.Context()).id, "error", err)
	}
}
