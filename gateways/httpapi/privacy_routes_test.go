package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain"
)

// Everything about the users of the private unit a1 has an id that begins with zoe.
// Beside them there is vera, whom the operator knows by a right of their own.
func newPrivateUnit(t *testing.T) *bed {
	t.Helper()
	b := newWorld(t, "storage")
	anna, zoe := domain.PersonActor("anna"), domain.PersonActor("zoe")
	b.execute(domain.PersonActor("stan"), "AddKeyStock", `{"unit":"a1","keys":[{"credential":"key-1","number":"5001"}]}`)
	b.execute(domain.PersonActor("stan"), "GrantRight", `{"grant":"vera-visits","person":"vera","right":"visitor-doors","from":"2026-03-02","until":"2026-03-31"}`)
	b.set(start.Add(time.Hour))
	b.execute(anna, "SetUnitPrivacy", `{"unit":"a1","enabled":true}`)
	b.execute(anna, "CreateUnitUser", `{"unit":"a1","person":"zoe","name":"Zoe Zimmer","email":"zoe@example.com","access":[`+
		`{"right":"entries","mode":"limited","limited":{"windows":[{"days":["mon"],"from":"08:00","to":"21:00"}]}},{"right":"unit-a1","mode":"always"}]}`)
	b.execute(anna, "CreateUnitUser", `{"unit":"a1","person":"zoe-gone","name":"Zoe Gone","access":[{"right":"unit-a1","mode":"always"}]}`)
	b.execute(anna, "CreateUnitUser", `{"unit":"a1","email":"vera@example.com","access":[{"right":"unit-a1","mode":"always"}]}`)
	b.execute(anna, "ShareAccess", `{"bookings":["book-a1"],"sharees":[{"email":"will@example.com"}],"from":"2026-03-02","until":"2026-03-31","shares":["zoe-share"]}`)
	b.execute(anna, "IssuePin", `{"credential":"zoe-pin","unit":"a1","person":"zoe"}`)
	b.execute(zoe, "IssueMobileKey", `{"credential":"zoe-phone","person":"zoe"}`)
	b.execute(zoe, "IssueMobileKey", `{"credential":"zoe-phone","person":"zoe"}`) // again, without effect
	b.execute(anna, "AssignFob", `{"credential":"key-1","person":"zoe"}`)
	b.execute(domain.PersonActor("mara"), "ChangeSchedule", `{"schedule":"day-hours","times":{"windows":[{"days":["mon"],"from":"10:00","to":"20:00"}]}}`)
	b.execute(anna, "RemoveUnitUser", `{"unit":"a1","person":"zoe-gone"}`)
	b.set(start.Add(2 * time.Hour))
	return b
}

// hiddenThings are ids that are hidden from the staff of the site while a1 is private.
// They are by the routes that list such things.
var hiddenThings = map[string][]string{
	"people":      {"zoe", "zoe-gone", "will"},
	"credentials": {"zoe-pin", "zoe-phone", "key-1"},
	"shares":      {"zoe-share"},
	"unit-users":  {"a1%2Fzoe", "a1%2Fzoe-gone", "a1%2Fvera"},
	"reviews":     {},
}

// ownRoutes read nothing of an org's people, or are held to privacy by the test that
// is named.
var ownRoutes = map[string]string{
	"/healthz": "", "/readyz": "", "/openapi.json": "", "/metrics": "",
	"/v1/orgs":              "makes an org",
	"/v1/orgs/{org}/tokens": "NewToken is a command",
	"/v1/orgs/{org}/gateways/{gateway}/enrolment": "a gateway gives its key, and is told of itself",
	"/v1/orgs/{org}/rehearsals":                   "a copy, on which commands are tried",
	"/v1/orgs/{org}/rehearsals/{id}":              "a copy, on which commands are tried",
	"/v1/orgs/{org}/sites/{site}/reads/{gateway}": "counts alone",
	"/v1/orgs/{org}/sites/{site}/enforcement":     "gateways alone",
	"/v1/orgs/{org}/sites/{site}/decisions/batch": "TestABatchAnswersAsSingleQuestionsDo",
	"/v1/orgs/{org}/people/{id}/enforcement":      "TestTheDoorsOfTheHiddenAreToldToNobody",
}

// TestNoRouteTellsOfThePrivate asks every route that the document has, as all who work
// at the site: no answer names a user of a private unit, and what is hidden is answered
// as what there never was.
func TestNoRouteTellsOfThePrivate(t *testing.T) {
	b := newPrivateUnit(t)
	c := readContract(t, b.ask("", http.MethodGet, "/openapi.json", "").is(http.StatusOK).body)
	for _, who := range []domain.ID{"olga", "stan"} {
		v := privateEyes{b, b.token(who, domain.ScopeFull)}
		for path, ops := range c.doc.Paths {
			if _, own := ownRoutes[path]; own && path != "/v1/orgs/{org}/tokens" {
				continue
			}
			for method := range ops {
				switch {
				case method == "get":
					v.reads(path)
				case strings.Contains(path, "/commands/"):
				case strings.HasSuffix(path, "/decisions"), strings.HasSuffix(path, "/explain"):
					v.asks(path, "", true)
				case ownRoutes[path] == "":
					t.Errorf("%s %s is not held to privacy: say here how", method, path)
				}
			}
		}
		v.supposes()
	}
}

// privateEyes are those of somebody who works at the site.
type privateEyes struct {
	*bed
	token string
}

func (v privateEyes) tellsNothing(r reply, what string) {
	v.t.Helper()
	text := strings.ToLower(string(r.body))
	if i := strings.Index(text, "zoe"); i >= 0 {
		v.t.Errorf("%s tells of zoe: … %s …", what, text[max(0, i-200):min(len(text), i+100)])
	}
}

// same holds the answer about something hidden to that about nothing.
func (v privateEyes) same(hidden string, ask func(id string) reply) {
	v.t.Helper()
	nobody := strings.Repeat("n", len(hidden)) // texts have columns
	got, want := ask(hidden), ask(nobody)
	assert.Equal(v.t, want.status, got.status, "%s: %s", hidden, got.body)
	assert.Equal(v.t, string(want.body), strings.ReplaceAll(string(got.body), hidden, nobody))
}

// reads asks a route for all that it lists, for each hidden thing, and for what belongs
// to one.
func (v privateEyes) reads(path string) {
	v.t.Helper()
	path = strings.TrimPrefix(path, "/v1/orgs/{org}")
	noun := strings.Split(path+"/", "/")[1]
	switch {
	case strings.HasSuffix(path, "/{id}"):
		for _, id := range hiddenThings[noun] {
			r := v.get(v.token, "/"+noun+"/"+id)
			assert.Equal(v.t, http.StatusNotFound, r.status, "%s/%s: %s", noun, id, r.body)
		}
	case strings.HasSuffix(path, "/{kind}"):
		for _, kind := range Kinds {
			v.tellsNothing(v.get(v.token, "/export/"+kind.Name).is(http.StatusOK), "export "+kind.Name)
		}
	default:
		r := v.get(v.token, path)
		if noun == "commits" && r.status == http.StatusForbidden {
			return
		}
		v.tellsNothing(r.is(http.StatusOK), path)
		for _, by := range []string{"person", "unit"} {
			if r := v.get(v.token, path+"?"+by+"=zoe"); r.status == http.StatusOK {
				v.same("zoe", func(id string) reply { return v.get(v.token, path+"?"+by+"="+id) })
			}
		}
	}
}

// asks asks who would pass which door, of what is hidden, at a position or now.
func (v privateEyes) asks(path, position string, past bool) {
	v.t.Helper()
	path = strings.NewReplacer("{org}", "acme", "{site}", "north").Replace(path)
	doors, commands := []string{"gate", "door-a1", "office", "south-gate", "nowhere"}, []string{"", "remote_unlock"}
	if !past {
		doors, commands = doors[1:2], commands[:1]
	}
	for _, door := range doors {
		for _, command := range commands {
			for field, ids := range map[string][]string{"person": hiddenThings["people"], "credential": hiddenThings["credentials"]} {
				for _, id := range ids {
					v.same(id, func(id string) reply {
						return v.ask(v.token, http.MethodPost, path, question(field, id, door, command, position))
					})
				}
			}
		}
	}
	// vera is known, and opens the private door no more than somebody of whom the
	// operator knows the same right.
	r := v.ask(v.token, http.MethodPost, path, question("person", "vera", "door-a1", "", position)).is(http.StatusOK).json()
	assert.Equal(v.t, "deny_no_access_right", r["code"], "%s", position)
	assert.Equal(v.t, true, r["partial"])
	if r = v.ask(v.token, http.MethodPost, path, question("person", "anna", "door-a1", "", position)).is(http.StatusOK).json(); assert.Equal(v.t, true, r["allowed"]) {
		assert.Equal(v.t, "booking:book-a1", r["grant"], "the tenant is the operator's")
	}
	if past {
		head := v.get(v.token, "").json()["position"].(string)
		v.asks(path, head, false)
	}
}

func question(field, id, door, command, position string) string {
	var more strings.Builder
	for name, value := range map[string]string{"command": command, "position": position} {
		if value != "" {
			fmt.Fprintf(&more, ",%q:%q", name, value)
		}
	}
	return fmt.Sprintf(`{%q:%q,"door":%q%s}`, field, id, door, more.String())
}

// supposes asks what would follow from commands that hit the private as well.
func (v privateEyes) supposes() {
	v.t.Helper()
	for command, fields := range map[string]string{
		"RevokeBooking":       `{"booking":"book-a1"}`,
		"SuspendBooking":      `{"booking":"book-a1","level":"overlock"}`,
		"MapUnitAccess":       `{"unit":"a1","rights":[]}`,
		"ChangeAccessRight":   `{"right":"unit-a1","doors":[],"schedule":"always"}`,
		"SetSitePolicy":       `{"site":"north","policy":{"service_fobs":"forbidden"}}`,
		"ChangeSchedule":      `{"schedule":"day-hours","times":{"windows":[{"days":["tue"],"from":"10:00","to":"11:00"}]}}`,
		"SetPosture":          `{"doors":["gate","door-a1"],"posture":"lockdown"}`,
		"RemoveDoorFromGroup": `{"group":"none","door":"gate"}`,
	} {
		r := v.send(v.token, command+"?dry_run=true", fields)
		v.tellsNothing(r, command)
	}
}

// TestWhatWasPrivateStaysSo: when privacy is over, a question about a position within it
// tells no more than it did then.
func TestWhatWasPrivateStaysSo(t *testing.T) {
	b := newPrivateUnit(t)
	stan := b.token("stan", domain.ScopeFull)
	within := b.get(stan, "").json()["position"].(string)
	b.execute(domain.PersonActor("anna"), "SetUnitPrivacy", `{"unit":"a1","enabled":false}`)
	for _, route := range []string{"decisions", "explain"} {
		ask := func(id, position string) map[string]any {
			return b.ask(stan, http.MethodPost, "/v1/orgs/acme/sites/north/"+route, question("person", id, "door-a1", "", position)).is(http.StatusOK).json()
		}
		now := ask("zoe", "")
		assert.Equal(t, true, now["allowed"], route)
		assert.Equal(t, "user:a1/zoe/unit-a1", now["grant"])
		then := ask("zoe", within)
		assert.Equal(t, "deny_unknown_credential", then["code"], route)
		assert.NotContains(t, fmt.Sprint(then), "user:a1")
		assert.NotContains(t, now, "partial", "nothing that opens is hidden any more")
		assert.Equal(t, true, then["partial"])
		// A person who left during the privacy is unknown, both now and for the past.
		b.ask(stan, http.MethodPost, "/v1/orgs/acme/sites/north/"+route, question("person", "zoe-gone", "door-a1", "", "")).
			problem(http.StatusNotFound, "unknown_person")
		// The unit manager sees what they saw.
		anna := b.ask(b.token("anna", domain.ScopeFull), http.MethodPost, "/v1/orgs/acme/sites/north/"+route,
			question("person", "zoe", "door-a1", "", within)).is(http.StatusOK).json()
		assert.Equal(t, true, anna["allowed"], route)
	}
}

// TestADecisionTellsOfWhatIsCarried: not the person opens a door but what they carry.
func TestADecisionTellsOfWhatIsCarried(t *testing.T) {
	b := newWorld(t, "busy")
	b.execute(domain.PersonActor("mara"), "SetSitePolicy", `{"site":"north","policy":{"fob_schedule":"office-hours"}}`)
	b.execute(domain.PersonActor("ben"), "IssueMobileKey", `{"credential":"key-ben","person":"ben"}`)
	b.execute(domain.PersonActor("stan"), "ReportCredential", `{"credential":"pin-ben","as":"lost"}`)
	for _, who := range []domain.ID{"stan", "ben"} {
		token := b.token(who, domain.ScopeRead)
		for _, route := range []string{"decisions", "explain"} {
			ask := func(more string) map[string]any {
				return b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/"+route,
					`{"door":"gate","at":"2026-03-03T06:00:00Z",`+more+`}`).is(http.StatusOK).json()
			}
			d := ask(`"person":"ben"`)
			assert.Equal(t, true, d["allowed"], route)
			var got []string
			for _, c := range d["credentials"].([]any) {
				c := c.(map[string]any)
				got = append(got, fmt.Sprint(c["credential"], " ", c["kind"], " ", c["allowed"], " ", c["code"]))
			}
			want := []string{"key-ben mobile_key true allow_grant", "fob-ben fob false deny_outside_schedule", "pin-ben pin false deny_credential_lost"}
			assert.Equal(t, want, got, "%s %s", who, route)
			for _, more := range []string{`"person":"ben","kind":"fob"`, `"credential":"fob-ben"`, `"person":"ben","command":"remote_unlock"`, `"person":"gus"`} {
				if who == "stan" {
					assert.Nil(t, ask(more)["credentials"], more)
				}
			}
		}
	}
}
