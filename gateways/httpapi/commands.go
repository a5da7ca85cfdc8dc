package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/domain/strict"
	"gatehouse/eventstore"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// OrgPath is the org of a path. It is that of the token: others are not found.
type OrgPath struct {
	Org string `path:"org" doc:"the org of the token"`
}

// CommandHeaders go with everything that changes the ledger.
type CommandHeaders struct {
	Key string `header:"Idempotency-Key" maxLength:"200" doc:"a UUID, but of version 8, is the id of the command; with any other text, the id is derived from it, the org and the token; empty: an id is generated and returned here"`
}

// CommandResult is the answer to a command that was accepted.
type CommandResult struct {
	Position wire.Position    `json:"position" doc:"of the commit; of a dry run, where it was decided"`
	Hash     wire.Hash        `json:"hash" doc:"SHA-256 of the commit as stored; of a dry run, of the last one"`
	At       time.Time        `json:"at"`
	Events   []Event          `json:"events" doc:"what happened; empty: nothing had to change"`
	Warnings []domain.Warning `json:"warnings" doc:"effects of the accepted command that may not be intended; usually none"`
	Repeated bool             `json:"repeated,omitempty" doc:"the command was accepted before; this is its first answer"`
	Impact   *impact          `json:"impact,omitempty" doc:"of a dry run alone"`
	Codes    []GatewayCode    `json:"codes,omitempty" doc:"by which gateways enrol that were given no key"`
	Enforcement
}

// impact is what a command would do to what people can open.
type impact struct{ domain.Impact }

// Schema is the generated one.
func (impact) Schema(huma.Registry) *huma.Schema {
	schema, err := generated("impact.json")
	if err != nil {
		panic(err) // the file is embedded; a test finds that it is there
	}
	return &huma.Schema{Extensions: schema}
}

// command answers POST /v1/orgs/{org}/commands/{command}.
func (a *API) command(w http.ResponseWriter, r *http.Request) {
	req, err := a.readCommand(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Idempotency-Key", req.ID.String())
	result, err := a.execute(r.Context(), req)
	if err == nil {
		w.Header().Set(positionHeader, result.Position.String())
		var events []Event
		var codes []GatewayCode
		if events, err = a.answer(r.Context(), req.Request, result); err == nil {
			codes, err = a.codes(callerOf(r.Context()).org, req.Request, result)
		}
		if err == nil {
			if !req.zoneRules {
				leaveOutZoneRules(events)
			}
			w.Header().Set("Content-Type", "application/json")
			answer := CommandResult{Position: result.Position, Hash: result.Hash, At: result.At, Events: events, Warnings: append([]domain.Warning{}, result.Warnings...), Repeated: result.Repeated, Codes: codes}
			if result.Impact != nil {
				answer.Impact = &impact{*result.Impact}
			}
			status := http.StatusOK
			if req.wait > 0 {
				infoOf(r.Context()).leave()
				if answer.Enforcement = a.awaitEnforced(r.Context(), req.wait, result); answer.Enforced == enforcedPending {
					status = http.StatusAccepted
				}
			}
			a.write(w, r, status, answer)
			return
		}
	}
	a.fail(w, r, err)
}

// leaveOutZoneRules leaves of the rules of zones their names and versions: the rest are
// hundreds of transitions, and commits have them.
func leaveOutZoneRules(events []Event) {
	for _, e := range events {
		if rules, ok := e.Data["rules"].(map[string]any); ok && e.Type == zoneRulesSet {
			e.Data["rules"] = map[string]any{"zone": rules["zone"], "tzdata": rules["tzdata"]}
		}
	}
}

// zoneRulesSet is the event that carries the rules of a zone.
var zoneRulesSet = domain.EventName(domain.ZoneRulesSet{})

// commandRequest is a request for a command, and how much its answer tells. It names
// the rehearsal on which it is tried; none means that it is executed.
type commandRequest struct {
	eventstore.Request
	rehearsal domain.UUID
	wait      time.Duration // for gateways to enforce it, at most; 0: it does not wait
	zoneRules bool          // the answer tells the transitions of zones too
}

// readCommand reads a request for a command: what is asked, and how.
func (a *API) readCommand(r *http.Request) (commandRequest, error) {
	var req commandRequest
	typ, ok := domain.CommandNamed(r.PathValue("command"))
	if !ok {
		return req, unknownCommand(r.PathValue("command"))
	}
	c := callerOf(r.Context())
	req.Command, req.Actor, req.Token = typ.Name, c.actor(), c.token
	id, p := commandID(c, r.Header.Get("Idempotency-Key"))
	if p != nil {
		return req, p
	}
	req.ID = id
	if p := readOptions(r, &req); p != nil {
		return req, p
	}
	if req.OnBehalfOf != "" {
		if err := a.checkOnBehalf(r.Context(), c, req.OnBehalfOf); err != nil {
			return req, err
		}
	}
	body, p := readJSON(r)
	if p != nil {
		return req, p
	}
	fields, err := schemas.DecodeCommands(typ, body)
	if err != nil {
		return req, notDecoded(err)
	}
	req.Fields = fields
	if err := missingFields(typ, body); err != nil {
		return req, err
	}
	a.makeCodes(c.org, req.ID, fields)
	return req, makeCandidates(fields)
}

// readOptions reads the query and the headers that say how a command is sent.
func readOptions(r *http.Request, req *commandRequest) *Problem {
	query := r.URL.Query()
	for name, values := range query {
		value := values[0]
		switch name {
		case "wait", "timeout":
			if p := readWait(query, req); p != nil {
				return p
			}
		case "dry_run":
			dry, err := strconv.ParseBool(value)
			if err != nil {
				return malformed("query.dry_run", "must be true or false")
			}
			req.DryRun = dry
		case "if_position":
			at, err := wire.ParsePosition(value)
			if err != nil {
				return malformed("query.if_position", "%v", err)
			}
			req.IfPosition = &at
		case "rehearsal":
			id, err := domain.ParseUUID(value)
			if err != nil {
				return malformed("query.rehearsal", "%v", err)
			}
			req.rehearsal = id
		case "zone_rules":
			whole, err := strconv.ParseBool(value)
			if err != nil {
				return malformed("query.zone_rules", "must be true or false")
			}
			req.zoneRules = whole
		default:
			return malformed("query."+name, "unknown parameter")
		}
	}
	if req.rehearsal != (domain.UUID{}) && (!req.DryRun || req.IfPosition != nil) {
		return malformed("query.rehearsal", "requires dry_run=true, without if_position")
	}
	if req.wait > 0 && req.DryRun {
		return malformed("query.wait", "a dry run changes nothing, so no gateway can enforce it; leave out one of wait and dry_run")
	}
	req.OnBehalfOf = domain.ID(r.Header.Get("On-Behalf-Of"))
	return nil
}

// checkOnBehalf lets staff and higher roles act for another person whom they may see.
func (a *API) checkOnBehalf(ctx context.Context, c *caller, person domain.ID) error {
	_, err := a.view(ctx, func(s domain.View, _ eventstore.Head) error {
		if !s.HighestRole(c.person).AtLeast(domain.RoleStaff) {
			return problem(http.StatusForbidden, "role_not_permitted", "On-Behalf-Of is only for staff, system managers and owners")
		}
		if p, ok := s.People.Get(person); !ok || !domain.Visible(s, c.person, domain.RecordOf(s.State, p)) {
			return unknown("person", person)
		}
		return nil
	})
	return err
}

// keySpace is the name space of ids that follow from an Idempotency-Key.
var keySpace = domain.DeriveUUID(domain.UUID{}, "gatehouse/idempotency-key")

// maxKey is the greatest length of an Idempotency-Key in bytes.
const maxKey = 200

// commandID makes the id of a command from its Idempotency-Key. Ids have no
// slashes, so the parts cannot be taken for others. A UUID that the service itself may
// give is a text as any other.
func commandID(c *caller, key string) (domain.UUID, *Problem) {
	if key == "" {
		return newID(), nil
	}
	if len(key) > maxKey {
		return domain.UUID{}, malformed("header.Idempotency-Key", "must have at most %d bytes", maxKey)
	}
	if id, err := domain.ParseUUID(key); err == nil && !id.OfService() {
		return id, nil
	}
	return domain.DeriveUUID(keySpace, string(c.org)+"/"+string(c.token)+"/"+key), nil
}

// readJSON reads the body of a request.
func readJSON(r *http.Request) ([]byte, *Problem) {
	if text := r.Header.Get("Content-Type"); text != "" {
		if media, _, err := mime.ParseMediaType(text); err != nil || media != "application/json" {
			return nil, wrongMediaType()
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, notRead(err)
	}
	return body, nil
}

// notDecoded says which field of a body is wrong.
func notDecoded(err error) *Problem {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return malformed(strings.TrimSuffix("body."+t.Field, "."), "a JSON %s is not allowed here", t.Value)
	}
	if k, ok := errors.AsType[*wire.KeyError](err); ok {
		return keyTaken(k)
	}
	if b, ok := errors.AsType[*wire.BoundError](err); ok {
		return malformed("body", "%v", b)
	}
	if r, ok := errors.AsType[*domain.Refusal](err); ok {
		return refused(r)
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformed("body", "not valid JSON at byte %[2]d: %[1]v", s, s.Offset)
	}
	where := "body"
	if v, ok := errors.AsType[*wire.ValueError](err); ok {
		where, err = "body."+v.Path, v.Err
	}
	if t, ok := errors.AsType[*time.ParseError](err); ok {
		return malformed(where, "%s is not a time; write it as in 2026-03-02T08:30:00+01:00", strconv.Quote(strings.Trim(t.Value, `"`)))
	}
	if u, ok := errors.AsType[*strict.UnknownField](err); ok {
		return malformed("body."+u.Name, "unknown field")
	}
	return malformed(where, "%s", strings.Replace(err.Error(), "json: ", "", 1))
}

// keyTaken refuses a field that is given twice or is written in another case.
func keyTaken(k *wire.KeyError) *Problem {
	_, says, _ := strings.Cut(k.Error(), ": ")
	return malformed("body."+k.Path, "%s", says)
}

// missingFields refuses a command without a field that its schema requires: left
// out, a field like enabled would mean the contrary.
func missingFields(typ domain.CommandType, body []byte) error {
	var entries []map[string]json.RawMessage
	list := len(body) > 0 && strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 64)])), "[")
	if list {
		if err := json.Unmarshal(body, &entries); err != nil {
			return notDecoded(err)
		}
	} else {
		entries = make([]map[string]json.RawMessage, 1)
		if len(body) > 0 {
			if err := json.Unmarshal(body, &entries[0]); err != nil {
				return notDecoded(err)
			}
		}
	}
	for i, entry := range entries {
		for _, field := range requiredFields(typ.Type()) {
			if _, ok := entry[field]; ok {
				continue
			}
			name := field
			if list {
				name = fmt.Sprintf("[%d].%s", i, field)
			}
			return problem(http.StatusUnprocessableEntity, "invalid_field", "%s: a value is required", name)
		}
	}
	return nil
}

// requiredFields lists the fields that a command may not leave out.
func requiredFields(t reflect.Type) []string {
	var out []string
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && !f.Anonymous && !strings.Contains(options, "omit") {
			out = append(out, name)
		}
	}
	return out
}

// unknownCommand names the commands whose names are near.
func unknownCommand(name string) *Problem {
	var names []string
	for _, c := range domain.Commands() {
		names = append(names, c.Name)
	}
	near := schemas.Nearest(name, names)
	if len(near) == 0 {
		return problem(http.StatusNotFound, "unknown_command", "command %s does not exist; see GET /openapi.json for all", name)
	}
	return problem(http.StatusNotFound, "unknown_command", "command %s does not exist; did you mean %s?", name, strings.Join(near, ", "))
}
