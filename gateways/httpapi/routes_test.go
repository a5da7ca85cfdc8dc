package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

// Which routes write does not hang on what a path ends with: a gateway may be named as
// any question is.
func TestATokenToReadChangesNothingOnAnyRoute(t *testing.T) {
	b := newWorld(t, "storage")
	b.takesReads()
	read := b.token("olga", domain.ScopeRead)
	var doc document
	require.NoError(t, json.Unmarshal(b.ask("", http.MethodGet, "/openapi.json", "").body, &doc))
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	asks := []string{"/v1/orgs/{org}/sites/{site}/decisions", "/v1/orgs/{org}/sites/{site}/explain"}
	walked := 0
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for method := range doc.Paths[path] {
			method = strings.ToUpper(method)
			if method == http.MethodGet || slices.Contains(asks, path) {
				continue
			}
			for _, name := range []string{"decisions", "explain", "readyz", "x"} {
				at := parameter.ReplaceAllString(strings.NewReplacer("{org}", "acme", "{site}", "north").Replace(path), name)
				b.ask(read, method, at, `{}`).problem(http.StatusForbidden, "scope_not_permitted")
				walked++
			}
		}
	}
	assert.Greater(t, walked, 20)
	for _, gateway := range []string{"decisions", "explain"} {
		b.ask(read, http.MethodPost, "/v1/orgs/acme/sites/north/reads/"+gateway,
			`{"reads":[{"number":1,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1"}]}`).problem(http.StatusForbidden, "scope_not_permitted")
	}
	b.ask(read, http.MethodPost, "/v1/orgs/acme/sites/north/decisions", `{"person":"anna","door":"gate"}`).is(http.StatusOK)
}

func TestGuestsTryFewNumbers(t *testing.T) {
	b := newWorld(t, "storage")
	try := func(token string) reply {
		return b.send(token, "ChangePerson?dry_run=true", `{"person":"anna","name":"Anna"}`)
	}
	anna, again, olga := b.token("anna", domain.ScopeFull), b.token("anna", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	for range triesOfGuests.Burst {
		try(anna).is(http.StatusOK)
	}
	try(anna).problem(http.StatusTooManyRequests, "rate_limited")
	try(again).problem(http.StatusTooManyRequests, "rate_limited")
	for range 2 * triesOfGuests.Burst {
		try(olga).is(http.StatusOK)
	}
	b.send(anna, "ChangePerson", `{"person":"anna","name":"Anna"}`).is(http.StatusOK)
}

func TestOneOwnersTokenIsGoodAfterManyEqualRequests(t *testing.T) {
	b := newBed(t, Limits{PerRemote: Rate{10_000, 10_000}})
	tokens := make([]string, 16)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			r := b.ask(b.bootstrap, http.MethodPost, "/v1/orgs", `{"org":"acme","name":"Acme","owner":"olga"}`)
			var made NewOrg
			if assert.Equal(t, http.StatusCreated, r.status, "%s", r.body) && assert.NoError(t, json.Unmarshal(r.body, &made)) {
				tokens[i] = made.Token
			}
		})
	}
	all.Wait()
	good := map[string]bool{}
	require.NoError(t, b.store.View(t.Context(), "acme", func(s *domain.State, _ eventstore.Head) error {
		for id, token := range s.Tokens.All() {
			good[fmt.Sprint(id)] = token.Good(b.clock())
		}
		return nil
	}))
	assert.Len(t, good, 16)
	left := slices.DeleteFunc(slices.Collect(maps.Keys(good)), func(id string) bool { return !good[id] })
	assert.Len(t, left, 1, "the last answer's alone")
}

func TestReadsAreNotRecordedAsThoseOfALockGateway(t *testing.T) {
	b := newWorld(t, "storage")
	b.takesReads()
	b.execute(domain.PersonActor("olga"), "RegisterGateway", `{"gateway":"gw-1","site":"north","public_key":"UDHMYFIH3QO524UVSUOCSCEI6CK23OIEJUNXHVUW43PQMXLIHPKPY3OP"}`)
	stan := b.token("stan", domain.ScopeFull)
	path := "/v1/orgs/acme/sites/north/reads/"
	read := `{"reads":[{"number":1,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1"}]}`
	b.ask(stan, http.MethodPost, path+"gw-1", read).problem(http.StatusConflict, "gateway_registered")
	b.ask(stan, http.MethodGet, path+"gw-1", "").problem(http.StatusConflict, "gateway_registered")
	b.ask(stan, http.MethodPost, path+"file-1", read).is(http.StatusOK)
}
