package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

func TestACommandIsAnswered(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	r := b.send(token, "RegisterPerson", `{"person":"paul","name":"Paul","email":"paul@example.com"}`).is(http.StatusOK)
	answer := r.json()
	assert.Equal(t, answer["position"], r.header.Get(positionHeader))
	assert.Regexp(t, "^[0-9a-f]{64}$", answer["hash"])
	assert.Equal(t, "2026-03-02T09:00:00Z", answer["at"])
	assert.NotContains(t, answer, "repeated")
	_, err := uuid.Parse(r.header.Get("Idempotency-Key"))
	require.NoError(t, err)
	event := answer["events"].([]any)[0].(map[string]any)
	assert.Equal(t, "person.registered", event["type"])
	assert.Equal(t, map[string]any{"person": "paul", "name": "Paul", "email": "paul@example.com"}, event["data"])
	assert.Equal(t, []any{}, event["sites"])

	// Nothing was left to change.
	none := b.send(token, "ChangePerson", `{"person":"paul","name":"Paul"}`).is(http.StatusOK).json()
	assert.Equal(t, []any{}, none["warnings"], "what a program looks for is there also when there is none")
	assert.Equal(t, []any{}, none["events"])
}

func TestTransitionsOfAZoneAreToldWhereAskedFor(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	rules := func(site, query string) map[string]any {
		answer := b.send(token, "CreateSite"+query, `{"site":"`+site+`","name":"S","zone":"Europe/Berlin"}`).is(http.StatusOK).json()
		return answer["events"].([]any)[1].(map[string]any)["data"].(map[string]any)["rules"].(map[string]any)
	}
	short := rules("far", "")
	assert.Equal(t, "Europe/Berlin", short["zone"])
	assert.NotContains(t, short, "transitions")
	assert.NotEmpty(t, rules("farther", "?zone_rules=true")["transitions"])
}

func TestARetryHasNoSecondEffect(t *testing.T) {
	b := newWorld(t, "house")
	token, other := b.token("olga", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	body := `{"name":"Paul"}`
	for _, key := range []string{"import line 17", "018f4e6a-7c2b-7000-8000-2f6d3c1b9a55"} {
		first := b.send(token, "RegisterPerson", body, "Idempotency-Key: "+key).is(http.StatusOK)
		again := b.send(token, "RegisterPerson", body, "Idempotency-Key: "+key).is(http.StatusOK)
		assert.Equal(t, first.json()["position"], again.json()["position"])
		assert.Equal(t, first.json()["events"], again.json()["events"])
		assert.Equal(t, true, again.json()["repeated"])
		assert.Equal(t, first.header.Get("Idempotency-Key"), again.header.Get("Idempotency-Key"))
		b.send(token, "RegisterPerson", `{"name":"Paula"}`, "Idempotency-Key: "+key).problem(http.StatusUnprocessableEntity, "command_id_reused")
		// The id that was given back is as good as the key.
		byID := b.send(token, "RegisterPerson", body, "Idempotency-Key: "+first.header.Get("Idempotency-Key")).is(http.StatusOK)
		assert.Equal(t, true, byID.json()["repeated"])
	}
	// A key is the token's own: another one may use the same words.
	mine := b.send(token, "RegisterPerson", body, "Idempotency-Key: same words").json()
	others := b.send(other, "RegisterPerson", body, "Idempotency-Key: same words").json()
	assert.NotEqual(t, mine["position"], others["position"])
	b.send(token, "RegisterPerson", body, "Idempotency-Key: "+strings.Repeat("k", 201)).problem(http.StatusBadRequest, "malformed")
}

func TestADryRunChangesNothing(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	before := b.get(token, "").json()["position"]
	r := b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/RenameSite?dry_run=true", `{"site":"north","name":"N"}`).is(http.StatusOK)
	assert.Equal(t, before, r.json()["position"])
	assert.Equal(t, "site.renamed", r.json()["events"].([]any)[0].(map[string]any)["type"])
	r = b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/RegisterPerson?dry_run=true", `{"person":"paul","name":"Paul"}`).is(http.StatusOK)
	assert.Equal(t, map[string]any{"person": "paul", "name": "Paul"}, r.json()["events"].([]any)[0].(map[string]any)["data"])
	assert.Equal(t, before, b.get(token, "").json()["position"])
	b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/RenameSite?dry_run=true", `{"site":"nowhere","name":"N"}`).
		problem(http.StatusNotFound, "unknown_site")
	b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/RenameSite?dry_run=maybe", `{}`).problem(http.StatusBadRequest, "malformed")
	b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/RenameSite?dry_run=true&dry_run=false", `{"site":"north","name":"N"}`).problem(http.StatusBadRequest, "malformed")
	b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/RenameSite?waits=enforced", `{}`).problem(http.StatusBadRequest, "malformed")
}

func TestIfPosition(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	at := b.get(token, "").json()["position"].(string)
	path := "/v1/orgs/acme/commands/RenameSite?if_position="
	b.ask(token, http.MethodPost, path+at, `{"site":"north","name":"N1"}`).is(http.StatusOK)
	r := b.ask(token, http.MethodPost, path+at, `{"site":"north","name":"N2"}`)
	r.problem(http.StatusConflict, "version_conflict")
	assert.NotEmpty(t, r.header.Get(positionHeader))
	b.ask(token, http.MethodPost, path+"42", `{"site":"north","name":"N2"}`).problem(http.StatusBadRequest, "malformed")
}

func TestAListIsAllOrNothing(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	before := b.get(token, "").json()["position"]
	p := b.send(token, "RegisterPerson", `[{"person":"p1"},{"person":"anna"},{"person":"p2"},{"person":"No"}]`).
		problem(http.StatusConflict, "person_exists")
	require.Len(t, p.Entries, 2)
	assert.Equal(t, Entry{1, "person_exists", p.Entries[0].Detail, []domain.ID{"anna"}}, p.Entries[0])
	assert.Equal(t, 3, p.Entries[1].Index)
	assert.Equal(t, "invalid_field", p.Entries[1].Code)
	assert.Equal(t, before, b.get(token, "").json()["position"])

	var people []string
	for i := range domain.MaxList {
		people = append(people, fmt.Sprintf(`{"person":"p%d"}`, i))
	}
	list := "[" + strings.Join(people, ",") + "]"
	r := b.send(token, "RegisterPerson", list).is(http.StatusOK).json()
	assert.Len(t, r["events"], domain.MaxList)
	b.send(token, "RegisterPerson", "["+strings.Join(append(people, `{}`), ",")+"]").problem(http.StatusUnprocessableEntity, "invalid_field")
	b.send(token, "RegisterPerson", "[]").problem(http.StatusUnprocessableEntity, "invalid_field")
}

func TestMalformedCommands(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	for body, field := range map[string]string{
		`{"site":"north","name":1}`:                   "body.name",
		`{"site":"north","nome":"N"}`:                 "body.nome",
		`{"site":"north"`:                             "body",
		`{"site":"north"} {"site":"north"}`:           "body",
		`"north"`:                                     "body",
		`[{"site":"north","name":"N"},{"sight":"x"}]`: "body.sight",
		`{"site":"north","Name":"N"}`:                 "body.Name",
		`{"site":"north","name":"N","name":"M"}`:      "body.name",
		`[1]`:                                         "body",
		"\x00":                                        "body",
	} {
		p := b.send(token, "RenameSite", body).problem(http.StatusBadRequest, "malformed")
		require.Len(t, p.Fields, 1, body)
		assert.Equal(t, field, p.Fields[0].Name, body)
		assert.Contains(t, p.Detail, field)
	}
	p := b.send(token, "SetNotification", `{"site":"north","kind":"shared_access"}`).problem(http.StatusUnprocessableEntity, "invalid_field")
	assert.Equal(t, "enabled: a value is required", p.Detail)
	p = b.send(token, "RenameSite", `[{"site":"north","name":"N"},{"site":"north"}]`).problem(http.StatusUnprocessableEntity, "invalid_field")
	assert.Equal(t, "[1].name: a value is required", p.Detail)
	for _, body := range []string{"", "null", "[null]", "7", "\"\xff\""} {
		b.send(token, "RegisterPerson", body).problem(http.StatusBadRequest, "malformed")
	}
	b.send(token, "RenameSite", `{"site":"north","name":"N"}`, "Content-Type: text/plain").problem(http.StatusUnsupportedMediaType, "wrong_media_type")
	b.send(token, "RenameSite", `{"site":"north","name":"N"}`, "Content-Type: application/json; charset=utf-8").is(http.StatusOK)
	b.send(token, "RenameSite", `{"name":"`+strings.Repeat("x", maxBody)+`"}`).problem(http.StatusRequestEntityTooLarge, "body_too_large")
	b.ask(token, http.MethodPost, "/v1/orgs/acme/tokens", `{"person":"`+strings.Repeat("x", maxBody)+`"}`).
		problem(http.StatusRequestEntityTooLarge, "body_too_large")
	for body, field := range map[string]string{
		`{"door":"gate","side":"in","person":"olga","person":"anna"}`:      "body.person",
		`{"Door":"gate","side":"in","person":"olga"}`:                      "body.Door",
		`{"door":"gate","person":"olga","at":"2026-12-01T00:00:00+24:00"}`: "body.at",
		`{"door":"gate","person":"olga","at":"9500-01-01T00:00:00Z"}`:      "body.at",
	} {
		p := b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/decisions", body).problem(http.StatusBadRequest, "malformed")
		var names []string
		for _, f := range p.Fields {
			names = append(names, f.Name)
		}
		assert.Contains(t, names, field, "%v", p.Fields)
	}
	b.ask(token, http.MethodGet, "/v1/orgs/acme/commands/RenameSite", "").problem(http.StatusMethodNotAllowed, "method_not_allowed")
	b.ask(token, http.MethodPost, "/v1/orgs/acme/doors", "{}").problem(http.StatusMethodNotAllowed, "method_not_allowed")
	b.ask(token, http.MethodPost, "/v1/orgs/acme/nothing", "{}").problem(http.StatusNotFound, "unknown_path")
}

// A value that its type refuses is named by its field, however deep.
func TestAValueThatCannotBeIsNamedByItsField(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	for _, c := range []struct{ command, body, field string }{
		{"ChangeBookingWindow", `{"booking":"b-a1","until":"2026-13-01"}`, "body.until"},
		{"SetPosture", `{"door":"gate","posture":"unlocked","until":"tomorrow"}`, "body.until"},
		{"DefineSchedule", `{"name":"N","times":{"windows":[{"days":["mon"],"from":"08:00","to":"9:99"}]}}`, "body.times.windows[0].to"},
		{"SetHolidayCalendar", `{"site":"north","days":[{"date":"2026-05-01","kind":"holiday"},{"date":"1.5.2026","kind":"holiday"}]}`, "body.days[1].date"},
	} {
		p := b.send(token, c.command, c.body).problem(http.StatusBadRequest, "malformed")
		require.Len(t, p.Fields, 1, c.body)
		assert.Equal(t, c.field, p.Fields[0].Name, c.body)
	}
}

func TestUnknownCommandsNameTheNearOnes(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	for name, near := range map[string]string{"AsignFob": "AssignFob", "assignfob": "AssignFob", "RegisterP": "RegisterPerson"} {
		assert.Contains(t, b.send(token, name, "{}").problem(http.StatusNotFound, "unknown_command").Detail, near)
	}
	assert.Contains(t, b.send(token, "Xyzzyxyzzyxyzzy", "{}").problem(http.StatusNotFound, "unknown_command").Detail, "openapi.json")
}

func TestRefusalsSayWhoAndWhat(t *testing.T) {
	b := newWorld(t, "storage")
	anna, gus := b.token("anna", domain.ScopeFull), b.token("gus", domain.ScopeFull)
	p := b.send(gus, "RenameSite", `{"site":"north","name":"N"}`).problem(http.StatusForbidden, "role_not_permitted")
	assert.Contains(t, p.Detail, "system manager")
	p = b.send(anna, "ShareAccess", `{"bookings":["book-zz"],"sharees":[{"email":"will@example.com"}],"from":"2026-03-02","until":"2026-03-09"}`).
		problem(http.StatusNotFound, "unknown_booking")
	assert.Contains(t, p.Detail, "book-zz")
	p = b.send(b.token("stan", domain.ScopeFull), "SetPosture", `{"door":"gate","posture":"unlocked","until":"tomorrow"}`).problem(http.StatusBadRequest, "malformed")
	assert.Contains(t, p.Detail, `"tomorrow" is not a time; write it as in 2026-03-02`)
	stan := b.token("stan", domain.ScopeFull)
	p = b.send(stan, "AssignFob", `{"person":"nobody","number":"1","sites":["north"]}`).problem(http.StatusNotFound, "unknown_person")
	assert.Equal(t, []domain.ID{"nobody"}, p.IDs)
	// A command that the service alone sends.
	b.send(b.token("olga", domain.ScopeFull), "SettleConsequences", `{}`).problem(http.StatusForbidden, "role_not_permitted")
}

func TestOnBehalfOf(t *testing.T) {
	b := newWorld(t, "house")
	stan, anna, olga := b.token("stan", domain.ScopeFull), b.token("anna", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	b.send(stan, "RegisterPerson", `{"person":"paul"}`, "On-Behalf-Of: anna").is(http.StatusOK)
	commit := b.get(olga, "/commits?order=newest&limit=1").items()[0]
	assert.Equal(t, "anna", commit["on_behalf_of"])
	assert.Equal(t, "person:stan", commit["actor"])
	b.send(stan, "RegisterPerson", `{"person":"pia"}`, "On-Behalf-Of: nobody").problem(http.StatusNotFound, "unknown_person")
	b.send(anna, "ChangePerson", `{"person":"anna","name":"A"}`, "On-Behalf-Of: ben").problem(http.StatusForbidden, "role_not_permitted")
}

func TestPersonalValuesAreShownToThoseWhoMaySeeThem(t *testing.T) {
	b := newWorld(t, "storage")
	stan, olga := b.token("stan", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	r := b.send(stan, "AssignFob", `{"credential":"fob-1","person":"anna","booking":"book-a1","number":"4711"}`).is(http.StatusOK).json()
	var numbers []any
	for _, e := range r["events"].([]any) {
		if data := e.(map[string]any)["data"].(map[string]any); data["number"] != nil {
			numbers = append(numbers, data["number"])
		}
	}
	assert.Equal(t, []any{"4711"}, numbers)

	b.send(olga, "RegisterPerson", `{"person":"paul","name":"Paul","email":"paul@example.com"}`).is(http.StatusOK)
	b.send(olga, "ErasePerson", `{"person":"paul"}`).is(http.StatusOK)
	commits := b.get(olga, "/commits?type=person.registered&order=newest&limit=1").items()
	data := commits[0]["events"].([]any)[0].(map[string]any)["data"].(map[string]any)
	assert.Equal(t, map[string]any{"person": "paul", "name": nil, "email": nil}, data)
	paul := b.get(olga, "/people/paul").is(http.StatusOK).json()
	assert.Equal(t, "erased", paul["state"])
	assert.Nil(t, paul["name"])
}

func TestLogsHoldNoSecretsAndNoBodies(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	b.send(token, "RegisterPerson", `{"person":"paul","name":"Paul Canary","email":"canary@example.com"}`).is(http.StatusOK)
	b.send(token, "RegisterPerson", `{"person":"paul","name":"Paul Canary","email":"canary@example.com"}`).is(http.StatusConflict)
	b.send(token, "RegisterPerson", `{"person":"paul","nam":"Paul Canary"}`).is(http.StatusBadRequest)
	b.ask(token, http.MethodGet, "/v1/orgs/acme/people?name=Canary", "").is(http.StatusBadRequest)
	b.ask(token[:len(token)-2]+"xx", http.MethodGet, "/v1/orgs/acme/people", "").is(http.StatusUnauthorized)
	logs := b.logs.String()
	for _, secret := range []string{"anary", strings.Split(token, ".")[3][:20]} {
		assert.NotContains(t, logs, secret)
	}
	first, _, _ := strings.Cut(logs, "\n")
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(first), &line))
	for key, value := range map[string]any{"msg": "request", "method": "POST", "route": "/v1/orgs/{org}/commands/{command}",
		"status": float64(200), "org": "acme", "actor": "person:olga"} {
		assert.Equal(t, value, line[key], key)
	}
	for _, key := range []string{"duration_ms", "position", "request_id"} {
		assert.Contains(t, line, key)
	}
}
