package httpapi

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// Each plain body is answered with the bytes, status and headers of the typed route. A blank in the Content-Type sends it there.
func TestPlainQuestionsAreAnsweredAsByTheTypedRoute(t *testing.T) {
	b := newWorld(t, "busy")
	bodies := map[string]bool{ // whether it is plain
		`{"person":"anna","door":"gate"}`:                                                              true,
		" {\n\"door\" : \"gate\" ,\t\"credential\":\"key-anna\",\"side\":\"out\"}\r\n":                 true,
		`{"person":"anna","door":"lift","kind":"fob","at":"2026-03-03T23:00:00+01:00"}`:                true,
		`{"person":"anna","door":"gate","command":"unlock_for","at":"2026-03-03T10:00:00.123456789Z"}`: true,
		`{"person":"anna","credential":"key-anna","door":"gate"}`:                                      true, // refused by both
		`{"door":"gate"}`:                                                  true,
		`{"person":"nobody","door":"gate"}`:                                true,
		`{"person":"Not An Id!","door":"gate"}`:                            true,
		`{"person":"anna","door":"none"}`:                                  true,
		`{"person":"anna","door":"gate","at":"1969-01-01T00:00:00Z"}`:      true,
		`{"person":"anna","door":"gate","at":"0001-01-01T00:00:00Z"}`:      true,
		`{"person":"anna","door":"gate","at":"2026-03-03T10:00:00+24:30"}`: true,
		`{"person":"anna","door":"gate","at":"2026-03-03 10:00:00Z"}`:      false,
		`{"person":"anna","door":"gate","at":"yesterday"}`:                 false,
		`{"person":"anna","door":"gate","position":"1-5"}`:                 false,
		`{"person":"anna","door":"gate","side":"up"}`:                      false,
		`{"person":"anna","door":"gate","side":""}`:                        false,
		`{"person":"anna","door":"gate","kind":"key"}`:                     false,
		`{"person":"anna","door":"gate","command":"open"}`:                 false,
		`{"person":"anna","door":""}`:                                      false,
		`{"person":"anna"}`:                                                false,
		`{"person":"anna","door":"gate","door":"lift"}`:                    false,
		`{"Person":"anna","door":"gate"}`:                                  false,
		`{"person":"anna","door":"gate","more":"x"}`:                       false,
		`{"person":"anna","door":"g\u0061te"}`:                             false,
		`{"person":"änna","door":"gate"}`:                                  false,
		`{"person":"anna","door":null}`:                                    false,
		`{"person":7,"door":"gate"}`:                                       false,
		`{"person":"anna","door":"gate",}`:                                 false,
		`{"person":"anna","door":"gate"}x`:                                 false,
		`{"person":"anna","door":"gate"}{}`:                                false,
		`{"person":"anna" "door":"gate"}`:                                  false,
		`{"person":"anna","door":"gate"`:                                   false,
		`{"person":"anna","door":"gate`:                                    false,
		`{"person":"` + strings.Repeat("a", 65) + `","door":"gate"}`:       false,
		"{\"person\":\"an\x00na\",\"door\":\"gate\"}":                      false,
		`{}`: false, `[]`: false, `null`: false, `"x"`: false, ` `: false,
	}
	for _, viewer := range []domain.ID{"stan", "anna"} {
		token := b.token(viewer, domain.ScopeRead)
		for body, isPlain := range bodies {
			assert.Equal(t, isPlain, plainQuestion(new(DoorQuestion), []byte(body)), body)
			b.sameByBoth(token, strings.TrimSuffix(batchPath, "/batch"), body)
			list := `{"questions":[{"person":"anna","door":"lift"} , ` + body + `]}`
			_, plain := plainQuestions([]byte(list))
			assert.Equal(t, isPlain, plain, list)
			b.sameByBoth(token, batchPath, list)
		}
		for _, list := range []string{`{"questions":[]}`, `{"questions":[{"person":"anna","door":"gate"}],"more":1}`, `{"questions":[{"person":"anna","door":"gate"},]}`,
			`{"questions":[{"person":"anna","door":"gate"}]`, `{"questions":[{"person":"anna","door":"gate"}]}]`, `{"questions":{"person":"anna","door":"gate"}}`,
			`{"Questions":[{"person":"anna","door":"gate"}]}`, `{"questions":[{"person":"anna","door":"gate"}],"questions":[{"person":"anna","door":"gate"}]}`,
			`{"questions":[` + strings.Repeat(`{"person":"anna","door":"gate"},`, 1000) + `{"person":"anna","door":"gate"}]}`} {
			_, plain := plainQuestions([]byte(list))
			assert.False(t, plain, list)
			b.sameByBoth(token, batchPath, list)
		}
	}
}

// A path that is not clean is sent to the clean one, by the typed routes as by these.
func TestPlainQuestionsHaveCleanPaths(t *testing.T) {
	b := newWorld(t, "busy")
	token := b.token("stan", domain.ScopeRead)
	for _, path := range []string{"/v1//orgs/acme/sites/north/decisions", "/v1//orgs/other/sites/north/decisions", "/v1/orgs/acme//sites/north/decisions",
		"/v1/orgs/acme/sites//north/decisions", "/v1/orgs/acme/sites/south/../north/decisions", "/v1/orgs/acme/sites/./north/decisions/batch",
		"/v1/orgs/acme/sites/north/decisions/", "/v1/orgs/acme/sites/nor%74h/decisions"} {
		b.sameByBoth(token, path, `{"person":"anna","door":"gate"}`)
		b.sameByBoth(token, path, `{"questions":[{"person":"anna","door":"gate"}]}`)
	}
}

// sameByBoth holds the answer to a body to that of the typed route.
func (b *bed) sameByBoth(token, path, body string) {
	b.t.Helper()
	got, want := b.ask(token, http.MethodPost, path, body), b.ask(token, http.MethodPost, path, body, "Content-Type: application/json; charset=utf-8")
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`) // of the request
	assert.Equal(b.t, want.status, got.status, "%s: %s, %s", body, got.body, want.body)
	assert.Equal(b.t, id.ReplaceAllString(string(want.body), ""), id.ReplaceAllString(string(got.body), ""), body)
	got.header.Del("X-Request-Id")
	want.header.Del("X-Request-Id")
	assert.Equal(b.t, want.header, got.header, body)
}

// A plain question is held to token, scope, places and rates as any request. It is
// logged and counted under its route.
func TestPlainQuestionsAreCountedAndLogged(t *testing.T) {
	b := newWorld(t, "busy")
	path, good := strings.TrimSuffix(batchPath, "/batch"), `{"person":"anna","door":"gate"}`
	b.ask("", http.MethodPost, path, good).problem(http.StatusUnauthorized, "unauthenticated")
	b.ask(b.token("olga", domain.ScopeMetrics), http.MethodPost, path, good).problem(http.StatusForbidden, "scope_not_permitted")
	token := b.token("stan", domain.ScopeRead)
	b.ask(token, http.MethodPost, strings.Replace(path, "acme", "other", 1), good).problem(http.StatusNotFound, "unknown_org")
	b.ask(token, http.MethodPost, path+"?at_least=1-9999999", good).problem(http.StatusServiceUnavailable, "behind")
	leave := b.fill(&b.api.budgets.requests)
	b.ask(token, http.MethodPost, path, good).problem(http.StatusServiceUnavailable, "busy")
	leave()
	b.ask(token, http.MethodPost, path, good).is(http.StatusOK)
	assert.Contains(t, b.logs.String(), `"route":"/v1/orgs/{org}/sites/{site}/decisions","status":200`)
	b.api.rates.token = newLimiter(Rate{1, 1}, b.clock)
	b.ask(token, http.MethodPost, path, good).is(http.StatusOK)
	b.ask(token, http.MethodPost, path, good).problem(http.StatusTooManyRequests, "rate_limited")
	families, err := b.api.cfg.Metrics.Gather()
	require.NoError(t, err)
	counted := uint64(0)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "route" && label.GetValue() == "/v1/orgs/{org}/sites/{site}/decisions" {
					counted += m.GetHistogram().GetSampleCount()
				}
			}
		}
	}
	assert.EqualValues(t, 3, counted, "two answered and one that waited for a position in vain")
}
