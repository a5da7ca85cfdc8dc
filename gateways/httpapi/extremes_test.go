package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/schemas"
)

// extremes are values that any field may be sent with, as JSON.
var extremes = []string{
	`null`, `true`, `{}`, `[]`, `""`, `0`, `-1`, `720`, `721`, `2147483648`, `9223372036854775807`, `-9223372036854775808`, `1e400`, `0.5`,
	`"anna"`, `"a1"`, `"north"`, `"always"`, `"9999-12-31"`, `"8999-12-31"`, `"1970-01-01"`, `"0001-01-01"`, `"9999-12-31T23:59"`, `"1970-01-01T00:00"`, `"24:00"`,
	`"9999-12-31T23:59:59.999999999Z"`, `"9999-12-31T23:59:59-23:59"`, `"8999-12-31T23:59:59.999999999Z"`, `"1900-01-01T00:00:00Z"`,
	`"0001-01-01T00:00:00Z"`, `"0000-01-01T00:00:00+23:59"`, `"2026-01-01T00:00:00+24:00"`,
	`"\u202egate"`, `"\u0000"`, `"\ud800"`, `"` + strings.Repeat("x", 200) + `"`, `"` + strings.Repeat("ü", 500) + `"`, `"` + strings.Repeat("x", 100_000) + `"`,
	`[` + strings.Repeat(`"a",`, domain.MaxList-1) + `"b"]`, `[` + strings.Repeat(`{},`, 5000) + `{}]`, strings.Repeat(`[`, 60) + strings.Repeat(`]`, 60),
	`[{"date":"1970-01-01","until":"9999-12-31","kind":"holiday"}]`, `[{"date":"8999-12-31","kind":"holiday"}]`, `[{"date":"1970-01-01","until":"8999-12-31","kind":"holiday"}]`,
	`{"windows":[{"days":["mon"],"from":"22:00","to":"06:00"}],"valid_from":"1970-01-01","valid_until":"8999-12-31"}`,
}

// inUse puts what the org has in the place of what the examples of the schemas name.
var inUse = strings.NewReplacer(`"site-1"`, `"north"`, `"area-1"`, `"hall"`, `"door-1"`, `"gate"`, `"person-1"`, `"anna"`, `"unit-1"`, `"a1"`,
	`"booking-1"`, `"book-a1"`, `"schedule-1"`, `"day-hours"`, `"right-1"`, `"entries"`, `"group-1"`, `"crew"`, `"grant-1"`, `"grant-vera"`,
	`"share-1"`, `"share-will"`, `"gateway-1"`, `"cabinet"`, `"pin-1"`, `"pin-anna"`, `"credential-1"`, `"fob-anna"`, `"review-1"`, `"review-vera"`)

// acceptable are bodies that the org takes, of the commands with times or numbers: an
// extreme value in the others is mostly refused for another reason. NEW is an id, and
// HASH that of a token, that nothing has.
var acceptable = map[string]string{
	"AssignFob":             `{"credential":"NEW","person":"anna","number":"NEW","booking":"book-a1"}`,
	"AssignRole":            `{"person":"ben","role":"guest","site":"north"}`,
	"ChangeBookingWindow":   `{"booking":"book-a2","from":"2026-03-01"}`,
	"ChangeDoor":            `{"door":"lift"}`,
	"ChangeSchedule":        `{"schedule":"office-hours","times":{"windows":[{"days":["mon"],"from":"08:00","to":"18:00"}]}}`,
	"ChangeShareWindow":     `{"share":"share-will","from":"2026-03-02","until":"2026-03-31"}`,
	"ChangeUnitUserAccess":  `{"unit":"a1","person":"vera","access":[{"right":"unit-a1","mode":"always"}]}`,
	"CreateBooking":         `{"booking":"NEW","unit":"a3","person":"ben","from":"2026-04-01"}`,
	"CreateDoor":            `{"door":"NEW","site":"north","name":"NEW","kind":"inner"}`,
	"CreateGroup":           `{"group":"NEW","name":"NEW","doors":["gate"],"owner":"mara"}`,
	"CreateSite":            `{"site":"NEW","name":"NEW","zone":"Europe/Berlin"}`,
	"CreateUnit":            `{"unit":"NEW","site":"north","name":"NEW"}`,
	"DefineAccessRight":     `{"right":"NEW","name":"NEW","doors":["gate"],"schedule":"always"}`,
	"DefineSchedule":        `{"schedule":"NEW","name":"NEW","times":{"windows":[{"days":["mon"],"from":"08:00","to":"18:00"}]}}`,
	"GrantRight":            `{"grant":"NEW","person":"vera","right":"visitor-doors"}`,
	"IssueMobileKey":        `{"credential":"NEW","person":"anna"}`,
	"IssueOneTimePin":       `{"credential":"NEW","person":"anna","booking":"book-a1"}`,
	"IssuePin":              `{"credential":"NEW","person":"ben","booking":"book-a2"}`,
	"IssueToken":            `{"token":"NEW","person":"anna","hash":"HASH","scope":"read","expires":"2026-03-20T08:30:00Z"}`,
	"RegisterPerson":        `{"person":"NEW","name":"Anna"}`,
	"SetBlackout":           `{"site":"north","blackout":"NEW","from":"2026-05-04T08:00","to":"2026-05-04T12:00"}`,
	"SetGroupBlackout":      `{"group":"crew","blackout":"NEW","from":"2026-05-04T08:00","to":"2026-05-04T12:00"}`,
	"SetGroupBusinessHours": `{"group":"crew","times":{"windows":[{"days":["mon"],"from":"08:00","to":"18:00"}]},"grace_minutes":5}`,
	"SetGroupSchedule":      `{"group":"crew","times":{"windows":[{"days":["mon"],"from":"08:00","to":"18:00"}]}}`,
	"SetHolidayCalendar":    `{"site":"north","days":[{"date":"2026-05-01","kind":"holiday"}]}`,
	"SetPosture":            `{"door":"gate","posture":"unlocked","until":"2026-03-02T18:00:00Z"}`,
	"ShareAccess":           `{"bookings":["book-a2"],"sharees":[{"person":"vera"}],"from":"2026-03-02","until":"2026-03-31","shares":["NEW"]}`,
	"SuspendCredential":     `{"credential":"fob-anna"}`,
	"UnlockFor":             `{"door":"porch","minutes":5}`,
}

// extremeBodies returns bodies of a command with one field at an extreme, for each field
// and extreme. Before these come an ordinary body, and bodies whose dates all lie far in
// the future.
func extremeBodies(t *testing.T, typ domain.CommandType) []string {
	text, ok := schemas.CommandSchema(typ.Name)
	require.True(t, ok)
	var schema struct {
		Examples   []map[string]json.RawMessage
		Properties map[string]struct {
			Type   any // a name, or a list with null
			Format string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(inUse.Replace(string(text))), &schema))
	begin := schema.Examples[0]
	if text, ok := acceptable[typ.Name]; ok {
		begin = nil
		require.NoError(t, json.Unmarshal([]byte(text), &begin))
	}
	with := func(values map[string]string) string {
		body := maps.Clone(begin)
		for name, value := range values {
			body[name] = json.RawMessage(value)
		}
		out, err := json.Marshal(body)
		if err != nil { // a lone surrogate, or a number that Go does not have
			return fmt.Sprintf(`{"nobody_knows":%s}`, slices.Collect(maps.Values(values))[0])
		}
		return string(out)
	}
	bodies := []string{with(nil)}
	for _, until := range []string{"9999-12-31", "8999-12-31"} {
		all := map[string]string{}
		for name, p := range schema.Properties {
			switch {
			case p.Format == "date-time" && name != "from":
				all[name] = `"` + until + `T23:59:59Z"`
			case p.Format == "date" && name != "from":
				all[name] = `"` + until + `"`
			case strings.Contains(fmt.Sprint(p.Type), "integer"):
				all[name] = `720`
			}
		}
		bodies = append(bodies, with(all))
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		for _, value := range extremes {
			bodies = append(bodies, with(map[string]string{name: value}))
		}
	}
	return bodies
}

// TestExtremeValuesDoNoHarm sends every command with extreme values in every field.
// A new command is in it by itself.
func TestExtremeValuesDoNoHarm(t *testing.T) {
	b := newWorld(t, "busy")
	token := b.token("olga", domain.ScopeFull)
	b.execute(domain.PersonActor("olga"), "CreateDoor", `{"door":"porch","site":"north","name":"Porch","kind":"inner","capabilities":["remote_unlock","unlock_for"]}`)
	b.execute(domain.PersonActor("olga"), "SetSitePolicy", `{"site":"north","policy":{"uses":"per_gateway"}}`)
	share := uint32(20) // of so many bodies one is sent
	if os.Getenv("GATEHOUSE_LONG") != "" {
		share = 1
	}
	sent, accepted := 0, 0
	for _, typ := range domain.Commands() {
		bodies := extremeBodies(t, typ)
		for i, body := range bodies {
			h := fnv.New32a()
			_, _ = h.Write([]byte(typ.Name + body))
			if i > 2 && h.Sum32()%share != 0 {
				continue
			}
			sent++
			b.set(b.clock().Add(10 * time.Millisecond))
			fresh := strings.NewReplacer(`"NEW"`, fmt.Sprintf(`"new-%d"`, sent), `"HASH"`, fmt.Sprintf(`"%064x"`, sent))
			good, why := b.tryExtreme(token, typ, fresh.Replace(body))
			if good {
				accepted++
			}
			if _, mustBe := acceptable[typ.Name]; mustBe && i == 0 {
				assert.True(t, good, "%s %s: %s", typ.Name, body, why)
			}
		}
	}
	t.Logf("%d of %d bodies are accepted", accepted, sent)
	require.Greater(t, accepted, len(acceptable), "of %d", sent)

	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	assert.Less(t, memory.HeapAlloc, uint64(1<<30))
	require.NoError(t, b.store.SnapshotAll(t.Context()))
	require.NoError(t, b.store.View(t.Context(), "acme", func(s *domain.State, h eventstore.Head) error {
		text, err := s.AppendBinary(nil)
		if err != nil {
			return err
		}
		for site := range s.Sites.All() {
			rows, _ := s.Rows(site, func(domain.ID, domain.CredentialKind, string, string) (tag unlock.Tag, ok bool) { return tag, false })
			if _, err := new(unlock.Table).Apply(unlock.Delta{Position: h.Position().String(), N: h.N, At: unlock.InstantOf(h.At), Put: rows}); err != nil {
				return err
			}
		}
		s.Due(b.clock())
		return domain.NewState().UnmarshalBinary(text)
	}))
	c := readContract(t, b.ask("", http.MethodGet, "/openapi.json", "").body)
	for path, methods := range c.doc.Paths {
		if _, get := methods["get"]; !get || strings.Contains(path, "{") && strings.Count(path, "{") > 1 || !strings.HasPrefix(path, "/v1/orgs/{org}") {
			continue
		}
		r := b.ask(token, http.MethodGet, strings.ReplaceAll(path, "{org}", "acme"), "")
		assert.Equal(t, http.StatusOK, r.status, "%s: %s", path, r.body)
		assert.True(t, json.Valid(r.body), path)
	}
	stopping, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, b.store.Close(stopping))
}

// tryExtreme tries a body, and sends it when it is accepted. Commands that would take
// the sender's own role away, or end what all others hang on, are only tried.
func (b *bed) tryExtreme(token string, typ domain.CommandType, body string) (accepted bool, why string) {
	b.t.Helper()
	if !forPeople(typ) {
		ptrs, err := schemas.DecodeCommands(typ, []byte(body))
		if err != nil {
			return false, err.Error()
		}
		_, err = b.store.Execute(b.t.Context(), "acme", eventstore.Request{ID: newID(), Command: typ.Name, Actor: domain.ServiceActor("due"), Fields: ptrs, DryRun: true})
		return err == nil, fmt.Sprint(err)
	}
	dry := b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/"+typ.Name+"?dry_run=true", body)
	require.Less(b.t, dry.status, 500, "%s %.300s: %s", typ.Name, body, dry.body)
	if dry.status != http.StatusOK {
		return false, string(dry.body)
	}
	if typ.MayBeUrgent() || strings.Contains(body, `"olga"`) {
		return true, ""
	}
	r := b.send(token, typ.Name, body)
	require.Less(b.t, r.status, 500, "%s %.300s: %s", typ.Name, body, r.body)
	return true, ""
}
