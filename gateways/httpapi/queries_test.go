package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

func TestListsComeInPages(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	var people []string
	for i := range 25 {
		people = append(people, fmt.Sprintf(`{"person":"p%02d"}`, i))
	}
	b.send(token, "RegisterPerson", "["+strings.Join(people, ",")+"]").is(http.StatusOK)
	all := b.get(token, "/people").ids()
	require.Greater(t, len(all), 25)
	for _, limit := range []int{1, 7, len(all) - 1, len(all), len(all) + 1} {
		var got []string
		cursor := ""
		for pages := 0; ; pages++ {
			require.Less(t, pages, 100)
			r := b.get(token, fmt.Sprintf("/people?limit=%d&cursor=%s", limit, url.QueryEscape(cursor)))
			ids := r.ids()
			require.NotEmpty(t, ids)
			got = append(got, ids...)
			next, more := r.json()["next"]
			if !more {
				break
			}
			require.Len(t, ids, limit)
			cursor = next.(string)
		}
		assert.Equal(t, all, got, limit)
	}
	for _, query := range []string{"limit=0", "limit=501", "limit=x", "cursor=%21"} {
		b.get(token, "/people?"+query).problem(http.StatusBadRequest, "malformed")
	}
}

func TestListsAreFiltered(t *testing.T) {
	b := newWorld(t, "busy")
	token := b.token("olga", domain.ScopeFull)
	for path, want := range map[string][]string{
		"doors?site=south":                 {"south-gate"},
		"doors?unit=a1":                    {"door-a1"},
		"doors?area=hall&site=north":       nil,
		"areas?site=north":                 {"hall", "yard"},
		"gateways?site=north":              {"cabinet", "spare"},
		"gateways?site=south":              {},
		"doors?gateway=cabinet":            {"gate"},
		"areas?site=south":                 {},
		"units?state=vacant":               {"a3", "a4"},
		"bookings?person=anna":             {"book-a1"},
		"bookings?unit=a2":                 {"book-a2"},
		"bookings?unit=a2&person=anna":     {},
		"bookings?site=north&state=active": {"book-a1", "book-a2"},
		"shares?booking=book-a1":           {"share-will"},
		"shares?person=will&state=revoked": {},
		"unit-users?unit=a1&person=vera":   {"a1/vera"},
		"credentials?person=anna":          {"fob-anna", "key-anna", "pin-anna"},
		"credentials?person=anna&kind=fob": {"fob-anna"},
		"credentials?booking=book-a2":      {"fob-ben", "pin-ben", "pin-ben-forced"},
		"grants?person=vera":               {"grant-vera"},
		"roles?person=stan":                {"stan@north"},
		"roles?site=north&role=guest":      {"gus@north"},
		"tokens?person=stan":               {"token-stan"},
		"rights?door=south-gate":           {"south-doors"},
		"people?state=pending":             {},
	} {
		got := b.get(token, "/"+path).ids()
		if want != nil {
			assert.Equal(t, want, got, path)
		} else {
			assert.NotEmpty(t, got, path)
		}
	}
	assert.Len(t, b.get(token, "/reviews").ids(), 1)
	b.get(token, "/doors?colour=red").problem(http.StatusBadRequest, "malformed")
	b.get(token, "/bookings?state=lost").problem(http.StatusBadRequest, "malformed")
	assert.Empty(t, b.get(token, "/doors?site=No%2FSuch").ids())
}

func TestNamesAreJoinedForThoseWhoMaySeeThem(t *testing.T) {
	b := newWorld(t, "busy")
	olga, vera, ben := b.token("olga", domain.ScopeRead), b.token("vera", domain.ScopeRead), b.token("ben", domain.ScopeRead)
	assert.Equal(t, "Anna Tenant", b.get(olga, "/bookings/book-a1").is(200).json()["person_name"])
	user := b.get(olga, "/unit-users/a1%2Fvera").is(200).json()
	assert.Equal(t, "Anna Tenant", user["associated_user_name"])
	var texts []string
	for _, access := range user["access"].([]any) {
		texts = append(texts, access.(map[string]any)["text"].(string))
	}
	assert.Equal(t, []string{"Monday and Tuesday, 08:00 - 21:00", "Always"}, texts)
	limited := user["access"].([]any)[0].(map[string]any)
	assert.Equal(t, b.get(olga, "/reviews").items()[0]["id"], limited["review"], "a limited row tells its open review")
	own := b.get(vera, "/unit-users/a1%2Fvera").is(200).json()
	assert.Nil(t, own["associated_user_name"], "a unit user does not see the tenant's name")
	assert.NotNil(t, own["person_name"])
	b.get(ben, "/people/anna").problem(http.StatusNotFound, "unknown_person")
	b.get(ben, "/bookings/book-a1").problem(http.StatusNotFound, "unknown_booking")
	review := b.get(olga, "/reviews").items()[0]
	assert.Equal(t, domain.ReviewMessage, review["message"])
	anna := b.get(olga, "/people/stan").is(200).json()
	assert.Equal(t, "staff", anna["roles"].([]any)[0].(map[string]any)["role"])
	schedule := b.get(olga, "/schedules/office-hours").is(200).json()
	assert.Equal(t, "Monday to Friday, 08:00 - 18:00", schedule["text"])
	site := b.get(olga, "/sites/north").is(200).json()
	assert.Equal(t, "Europe/Berlin", site["rules"].(map[string]any)["zone"])
	assert.NotContains(t, site["rules"], "transitions")
	share := b.get(olga, "/shares/share-will").is(200).json()
	assert.Equal(t, "2026-03-31", share["effective_until"])
}

func TestWhoNeedsAnotherPinAfterATheft(t *testing.T) {
	b := newWorld(t, "busy")
	token := b.token("olga", domain.ScopeFull)
	assert.Empty(t, b.get(token, "/credentials?leaked=spare").ids())
	answer := b.send(token, "RetireGateway", `{"gateway":"spare","reason":"stolen"}`).is(http.StatusOK).json()
	assert.Equal(t, "pins_leaked", answer["warnings"].([]any)[0].(map[string]any)["code"])
	assert.Equal(t, []string{"pin-anna", "pin-ben", "pin-ben-forced"}, b.get(token, "/credentials?leaked=spare").ids())
	assert.Equal(t, []string{"pin-anna"}, b.get(b.token("anna", domain.ScopeRead), "/credentials?leaked=spare").ids())
	pin := b.get(token, "/credentials/pin-anna").is(http.StatusOK).json()
	assert.Equal(t, "gateway_stolen", pin["reason"])
	assert.Nil(t, pin["number"])
}

func TestAnErasedPersonHasNoName(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	b.send(token, "RegisterPerson", `{"person":"paul","name":"Paul"}`).is(http.StatusOK)
	b.send(token, "GrantRight", `{"grant":"g1","person":"paul","right":"staff-doors"}`).is(http.StatusOK)
	assert.Equal(t, "Paul", b.get(token, "/grants/g1").json()["person_name"])
	b.send(token, "ErasePerson", `{"person":"paul"}`).is(http.StatusOK)
	assert.Nil(t, b.get(token, "/grants/g1").json()["person_name"])
}

func TestAtLeast(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	at := b.get(token, "").json()["position"].(string)
	b.get(token, "/doors?at_least="+at).is(http.StatusOK)
	_, text, _ := strings.Cut(at, "-")
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	next := fmt.Sprintf("1-%d", n+1)

	// The commit comes while the question waits.
	done := make(chan reply)
	go func() { done <- b.get(token, "/sites/north?at_least="+next) }()
	b.send(token, "RenameSite", `{"site":"north","name":"Renamed"}`).is(http.StatusOK)
	r := <-done
	assert.Equal(t, "Renamed", r.is(http.StatusOK).json()["name"])
	assert.Equal(t, next, r.header.Get(positionHeader))
	b.get(token, "/doors?at_least=42").problem(http.StatusBadRequest, "malformed")
}

func TestBehind(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	at := b.get(token, "").json()["position"].(string)
	r := b.get(token, "/doors?at_least=1-100000")
	p := r.problem(http.StatusServiceUnavailable, "behind")
	assert.Equal(t, at, p.Position.String())
	assert.Equal(t, "1", r.header.Get("Retry-After"))
	assert.Equal(t, at, r.header.Get(positionHeader))
	b.get(token, "/doors?at_least=2-1").problem(http.StatusServiceUnavailable, "behind") // of another branch
}

func TestCommits(t *testing.T) {
	b := newWorld(t, "house")
	olga, stan := b.token("olga", domain.ScopeFull), b.token("stan", domain.ScopeFull)
	b.get(stan, "/commits").problem(http.StatusForbidden, "role_not_permitted")
	b.set(start.Add(time.Hour))
	b.send(olga, "RenameSite", `{"site":"north","name":"N1"}`).is(http.StatusOK)
	last := b.send(olga, "RenameSite", `{"site":"north","name":"N2"}`).is(http.StatusOK).json()

	all := b.positions(olga, "/commits?limit=500")
	require.Greater(t, len(all), 20)
	assert.Equal(t, "1-1", all[0])
	assert.Equal(t, last["position"], all[len(all)-1])
	reversed := b.positions(olga, "/commits?limit=500&order=newest")
	require.Len(t, reversed, len(all))
	for i := range all {
		assert.Equal(t, all[i], reversed[len(all)-1-i])
	}
	for _, order := range []string{"oldest", "newest"} {
		want := map[string][]string{"oldest": all, "newest": reversed}[order]
		assert.Equal(t, want, b.pages(olga, "/commits?limit=7&order="+order), order)
		renamed := []string{all[len(all)-2], all[len(all)-1]}
		if order == "newest" {
			renamed = []string{all[len(all)-1], all[len(all)-2]}
		}
		assert.Equal(t, renamed, b.pages(olga, "/commits?limit=1&type=site.renamed&order="+order), order)
		assert.Equal(t, renamed, b.pages(olga, "/commits?from=2026-03-02T09:30:00Z&limit=1&order="+order), order)
		assert.Empty(t, b.pages(olga, "/commits?from=2026-03-02T11:30:00Z&order="+order), order)
		assert.Len(t, b.pages(olga, "/commits?to=2026-03-02T09:30:00Z&order="+order), len(all)-2, order)
	}
	assert.Equal(t, all[3:5], b.pages(olga, "/commits?from="+all[2]+"&to="+all[4]))
	assert.Equal(t, all[3:], b.pages(olga, "/commits?from="+all[2]+"&to=1-999999"))
	assert.Empty(t, b.positions(olga, "/commits?from="+all[4]+"&to="+all[2]))

	commit := b.get(olga, "/commits?order=newest&limit=1").items()[0]
	assert.Equal(t, last["hash"], commit["hash"])
	assert.Equal(t, "RenameSite", commit["command"])
	assert.Equal(t, "person:olga", commit["actor"])
	assert.Equal(t, []any{"north"}, commit["events"].([]any)[0].(map[string]any)["sites"])
	assert.Equal(t, "2026-03-02T10:00:00Z", commit["at"])
	for _, bad := range []string{"from=yesterday", "to=42", "order=random", "limit=0", "cursor=eA"} {
		b.get(olga, "/commits?"+bad).problem(http.StatusBadRequest, "malformed")
	}
}

// positions lists the positions of a page of commits.
func (b *bed) positions(token, path string) []string {
	b.t.Helper()
	out := []string{}
	for _, item := range b.get(token, path).items() {
		out = append(out, item["position"].(string))
	}
	return out
}

// pages follows a list of commits to its end.
func (b *bed) pages(token, path string) []string {
	b.t.Helper()
	out := []string{}
	cursor := ""
	for range 200 {
		r := b.get(token, path+"&cursor="+cursor)
		for _, item := range r.items() {
			out = append(out, item["position"].(string))
		}
		next, more := r.json()["next"]
		if !more {
			return out
		}
		cursor = next.(string)
	}
	b.t.Fatal("the pages do not end")
	return nil
}

func TestDecisions(t *testing.T) {
	b := newWorld(t, "busy")
	olga, anna, gus := b.token("olga", domain.ScopeRead), b.token("anna", domain.ScopeRead), b.token("gus", domain.ScopeRead)
	ask := func(token, body string) reply {
		return b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/decisions", body)
	}
	before := b.get(olga, "").json()["position"]
	d := ask(olga, `{"person":"anna","door":"door-a1"}`).is(http.StatusOK).json()
	assert.Equal(t, true, d["allowed"], d)
	assert.Equal(t, "allow_grant", d["code"])
	assert.Equal(t, []any{}, d["failed"])
	assert.NotEmpty(t, d["grant"])
	assert.NotEmpty(t, d["position"])
	assert.Contains(t, d, "age_ms")
	for _, route := range []string{"decisions", "explain"} {
		d := b.ask(olga, http.MethodPost, "/v1/orgs/acme/sites/north/"+route, `{"person":"olga","door":"door-a2"}`).is(http.StatusOK).json()
		assert.Equal(t, "", d["grant"], "what a program looks for is there also when nothing comes close")
		for body, noun := range map[string]string{
			`{"credential":"no-credential","door":"gate"}`: "credential",
			`{"person":"nobody","door":"gate"}`:            "person",
			`{"person":"anna","door":"no-door"}`:           "door",
			`{"person":"anna","door":"south-gate"}`:        "door", // of another site
		} {
			b.ask(olga, http.MethodPost, "/v1/orgs/acme/sites/north/"+route, body).problem(http.StatusNotFound, "unknown_"+noun)
		}
		// A hidden thing is answered as one that never existed.
		for question, hidden := range map[string]string{`{"person":"anna","door":"%s"}`: "office", `{"person":"%s","door":"gate"}`: "ben"} {
			about := func(id string) reply {
				return b.ask(anna, http.MethodPost, "/v1/orgs/acme/sites/north/"+route, strings.ReplaceAll(question, "%s", id))
			}
			nothing, there := about("nothing").is(http.StatusNotFound), about(hidden).is(http.StatusNotFound)
			assert.Equal(t, strings.ReplaceAll(string(nothing.body), "nothing", hidden), string(there.body))
		}
		for _, site := range []string{"south", "nowhere"} {
			b.ask(anna, http.MethodPost, "/v1/orgs/acme/sites/"+site+"/"+route, `{"person":"anna","door":"gate"}`).problem(http.StatusNotFound, "unknown_site")
		}
	}
	for body, code := range map[string]string{
		`{"credential":"fob-anna","door":"door-a1"}`:                                     "allow_grant",
		`{"credential":"fob-ben","door":"door-a1"}`:                                      "deny_no_access_right",
		`{"person":"anna","door":"door-a1","at":"2020-01-01T00:00:00Z"}`:                 "deny_booking_not_started",
		`{"person":"will","door":"door-a1","kind":"fob"}`:                                "deny_credential_type_not_permitted",
		`{"person":"will","door":"door-a1","kind":"mobile_key"}`:                         "allow_share",
		`{"person":"anna","door":"gate","command":"remote_unlock"}`:                      "deny_remote_unlock_not_permitted",
		`{"person":"vera","door":"office","side":"in","at":"2026-03-03T23:00:00+01:00"}`: "deny_outside_schedule",
	} {
		d := ask(olga, body).is(http.StatusOK).json()
		assert.Equal(t, code, d["code"], body)
		assert.Equal(t, strings.HasPrefix(code, "allow"), d["allowed"], body)
		e := b.ask(olga, http.MethodPost, "/v1/orgs/acme/sites/north/explain", body).is(http.StatusOK).json()
		assert.Equal(t, code, e["code"], body)
		assert.Equal(t, d["allowed"], e["allowed"], body)
		assert.Equal(t, d["failed"], e["failed"], body)
		assert.NotEmpty(t, e["text"])
	}
	assert.Equal(t, before, b.get(olga, "").json()["position"], "a question changes nothing")

	ask(anna, `{"person":"anna","door":"gate"}`).is(http.StatusOK)
	ask(anna, `{"person":"ben","door":"gate"}`).problem(http.StatusNotFound, "unknown_person")
	ask(gus, `{"credential":"fob-anna","door":"gate"}`).problem(http.StatusNotFound, "unknown_credential")
	for _, body := range []string{`{"door":"gate"}`, `{"person":"anna","credential":"fob-anna","door":"gate"}`, `{"person":"anna"}`,
		`{"person":"anna","door":"gate","side":"up"}`, `{"person":"anna","door":"gate","at":"noon"}`,
		`{"person":"anna","door":"gate","at":"0000-01-01T00:00:00+14:00"}`, `{"person":"anna","door":"gate","at":"2500-01-01T00:00:00Z"}`} {
		ask(olga, body).problem(http.StatusBadRequest, "malformed")
		b.ask(olga, http.MethodPost, "/v1/orgs/acme/sites/north/explain", body).problem(http.StatusBadRequest, "malformed")
	}
	b.ask(olga, http.MethodPost, "/v1/orgs/acme/sites/nowhere/decisions", `{"person":"anna","door":"gate"}`).problem(http.StatusNotFound, "unknown_site")
	b.ask(olga, http.MethodPost, "/v1/orgs/acme/sites/south/explain", `{"person":"anna","door":"gate"}`).problem(http.StatusNotFound, "unknown_door")
	at := b.get(olga, "").json()["position"].(string)
	b.ask(olga, http.MethodPost, "/v1/orgs/acme/sites/north/decisions?at_least="+at, `{"person":"anna","door":"gate"}`).is(http.StatusOK)
	b.tables = false
	ask(olga, `{"person":"anna","door":"gate"}`).problem(http.StatusServiceUnavailable, "behind")
}

func TestHealthAndMetrics(t *testing.T) {
	b := newWorld(t, "house")
	assert.Equal(t, "ok", b.ask("", http.MethodGet, "/healthz", "").is(200).json()["status"])
	assert.Equal(t, true, b.ask("", http.MethodGet, "/readyz", "").is(200).json()["ready"])
	b.degraded = []Trouble{{"server:n3", "it is away"}}
	degraded := b.ask("", http.MethodGet, "/readyz", "").is(200).json()
	assert.Equal(t, true, degraded["ready"])
	assert.Equal(t, "server", degraded["degraded"].([]any)[0].(map[string]any)["part"])
	b.troubles = []Trouble{{"org:acme", "it was written by a later version"}}
	ready := b.ask("", http.MethodGet, "/readyz", "").is(http.StatusServiceUnavailable).json()
	assert.Equal(t, false, ready["ready"])
	assert.Equal(t, "org", ready["troubles"].([]any)[0].(map[string]any)["part"])

	token := b.token("olga", domain.ScopeMetrics)
	text := string(b.ask(token, http.MethodGet, "/metrics", "").is(200).body)
	assert.Contains(t, text, `gatehouse_http_request_duration_seconds_count{method="GET",route="/healthz",status="2xx"} 1`)
	assert.Contains(t, text, "gatehouse_commands_total")
}

func TestTheVaultIsAway(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	b.api.cfg.Open = func(context.Context, domain.ID, []domain.Event) ([]domain.Event, error) {
		return nil, fmt.Errorf("open: %w", errAway)
	}
	b.get(token, "/commits").problem(http.StatusServiceUnavailable, "vault_unavailable")
	b.get(token, "/doors").is(http.StatusOK)
}

func TestErrorsOfTheStoreHaveAMeaning(t *testing.T) {
	a := &API{cfg: Config{Log: quietLog()}}
	for err, want := range map[error]Problem{
		eventstore.ErrBusy:        {Status: 503, Code: "busy"},
		eventstore.ErrStale:       {Status: 503, Code: "stale"},
		eventstore.ErrClosed:      {Status: 503, Code: "stopping"},
		eventstore.ErrUnsettled:   {Status: 504, Code: "unsettled"},
		eventstore.ErrReused:      {Status: 422, Code: "command_id_reused"},
		eventstore.ErrTooLarge:    {Status: 413, Code: "commit_too_large"},
		eventstore.ErrTooNew:      {Status: 503, Code: "read_only"},
		eventstore.ErrRejected:    {Status: 503, Code: "not_stored"},
		eventstore.ErrBrokenChain: {Status: 503, Code: "ledger_damaged"},
		eventstore.ErrPosition:    {Status: 409, Code: "version_conflict"},
		context.DeadlineExceeded:  {Status: 503, Code: "ledger_unreachable"},
		errAway:                   {Status: 503, Code: "vault_unavailable"},
		http.ErrAbortHandler:      {Status: 500, Code: "internal"},
	} {
		p := a.asProblem(t.Context(), fmt.Errorf("somewhere: %w", err))
		assert.Equal(t, want.Status, p.Status, err)
		assert.Equal(t, want.Code, p.Code, err)
		assert.NotEmpty(t, p.Title, err)
	}
	assert.NotContains(t, a.asProblem(t.Context(), http.ErrAbortHandler).Detail, "abort")
}
