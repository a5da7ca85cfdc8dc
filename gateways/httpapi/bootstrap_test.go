package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

const globex = `{"org":"globex","name":"Globex","owner":"gina","owner_name":"Gina","owner_email":"gina@globex.example"}`

func (b *bed) newOrg(body string) reply {
	b.t.Helper()
	return b.ask(b.bootstrap, http.MethodPost, "/v1/orgs", body)
}

func TestTheBootstrapTokenMakesOneOrg(t *testing.T) {
	b := newBed(t, Limits{})
	b.ask(b.bootstrap, http.MethodGet, "/v1/orgs/globex", "").problem(http.StatusForbidden, "scope_not_permitted")
	b.newOrg(`{"org":"globex","name":"Globex","owner":"Gina"}`).problem(http.StatusUnprocessableEntity, "invalid_field")

	first := b.newOrg(globex).is(http.StatusCreated).json()
	assert.Equal(t, "1-2", first["position"])
	assert.Zero(t, b.used)
	b.newOrg(`{"org":"initech","name":"Initech","owner":"ian"}`).problem(http.StatusConflict, "bootstrap_used")
	b.newOrg(strings.ReplaceAll(globex, "gina", "greg")).problem(http.StatusConflict, "bootstrap_used")

	// The answer was lost: the same request gives another token, and the lost one
	// is good for nothing.
	second := b.newOrg(globex).is(http.StatusCreated).json()
	assert.NotEqual(t, first["token"], second["token"])
	b.ask(first["token"].(string), http.MethodGet, "/v1/orgs/globex", "").problem(http.StatusUnauthorized, "unauthenticated")
	org := b.ask(second["token"].(string), http.MethodGet, "/v1/orgs/globex", "").is(http.StatusOK).json()
	assert.Equal(t, "owner", org["role"])
	assert.Equal(t, "gina", org["person"])

	// A token of the org was used: the bootstrap token is spent.
	assert.Equal(t, 1, b.used)
	b.newOrg(globex).problem(http.StatusUnauthorized, "unauthenticated")
	b.ask(second["token"].(string), http.MethodGet, "/v1/orgs/globex/people/gina", "").is(http.StatusOK)
	assert.Equal(t, 1, b.used)
	assert.NotContains(t, b.logs.String(), second["token"])
}

// Of the tokens that equal requests get at once, the last one is good.
func TestEqualBootstrapRequestsAtOnceLeaveOneToken(t *testing.T) {
	b := newBed(t, Limits{})
	made := make([]string, 16)
	var asking sync.WaitGroup
	for i := range made {
		asking.Go(func() {
			r := b.newOrg(globex)
			assert.Equal(t, http.StatusCreated, r.status)
			var org NewOrg
			assert.NoError(t, json.Unmarshal(r.body, &org))
			made[i] = org.Token
		})
	}
	asking.Wait()
	good := 0
	for _, token := range made {
		if b.ask(token, http.MethodGet, "/v1/orgs/globex", "").status == http.StatusOK {
			good++
		}
	}
	assert.Equal(t, 1, good)
	require.NoError(t, b.store.View(t.Context(), "globex", func(s *domain.State, _ eventstore.Head) error {
		for _, token := range s.Tokens.Each(domain.TokenByPerson, "gina") {
			if token.Good(b.clock()) {
				good--
			}
		}
		return nil
	}))
	assert.Zero(t, good)
}

// On a ledger in use the token is for a further org: what the tokens of the others
// do meanwhile does not spend it.
func TestTokensOfOtherOrgsDoNotSpendTheBootstrapToken(t *testing.T) {
	b := newBed(t, Limits{})
	first := b.newOrg(globex).is(http.StatusCreated).json()["token"].(string)
	secret, _ := newSecret()
	b.set(start.Add(time.Hour))
	b.bootstrap = BootstrapText(secret)
	b.api.cfg.Bootstrap = &Bootstrap{Hash: sumOf(secret), Since: b.clock(), Expires: start.Add(24 * time.Hour), Further: true,
		Used: func() error { b.used++; return nil }}
	b.ask(first, http.MethodGet, "/v1/orgs/globex", "").is(http.StatusOK)
	assert.Zero(t, b.used)
	second := b.newOrg(`{"org":"initech","name":"Initech","owner":"ian"}`).is(http.StatusCreated).json()["token"].(string)
	b.ask(first, http.MethodGet, "/v1/orgs/globex", "").is(http.StatusOK)
	assert.Zero(t, b.used)
	b.ask(second, http.MethodGet, "/v1/orgs/initech", "").is(http.StatusOK)
	assert.Equal(t, 1, b.used)
}

func TestTheBootstrapTokenExpires(t *testing.T) {
	b := newBed(t, Limits{})
	b.set(start.Add(24 * time.Hour))
	b.newOrg(globex).problem(http.StatusUnauthorized, "unauthenticated")
}

func TestMakingAnOrgIsTakenUpAgain(t *testing.T) {
	b := newBed(t, Limits{})
	// The process ended after the first of the steps.
	hash := b.api.cfg.Bootstrap.Hash
	space := domain.DeriveUUID(domain.UUID{}, "gatehouse/bootstrap/"+hexOf(hash[:]))
	_, err := b.store.Execute(t.Context(), domain.SystemOrg, eventstore.Request{ID: domain.DeriveUUID(space, "register"), Command: "RegisterOrg",
		Actor: domain.Actor{Kind: domain.ActorBootstrap, ID: "token"}, Fields: []any{&domain.RegisterOrg{Org: "globex", Name: "Globex"}}})
	require.NoError(t, err)
	made := b.newOrg(globex).is(http.StatusCreated).json()
	b.ask(made["token"].(string), http.MethodGet, "/v1/orgs/globex", "").is(http.StatusOK)
}

func TestAnIDThatIsTakenIsRefused(t *testing.T) {
	b := newWorld(t, "house")
	b.api.cfg.Bootstrap.Further = true
	b.newOrg(strings.ReplaceAll(globex, "globex", "acme")).problem(http.StatusConflict, "org_exists")
	b.newOrg(strings.ReplaceAll(globex, "globex", "_system")).problem(http.StatusBadRequest, "malformed")
	b.newOrg(globex).is(http.StatusCreated)
}

func TestATokenIsShownOnce(t *testing.T) {
	b := newWorld(t, "house")
	full := b.token("olga", domain.ScopeFull)
	body := `{"person":"stan","scope":"full","expires":"2026-04-01T00:00:00Z"}`
	issue := func(body string, headers ...string) reply {
		return b.ask(full, http.MethodPost, "/v1/orgs/acme/tokens", body, headers...)
	}
	made := issue(body, "Idempotency-Key: for stan").is(http.StatusCreated).json()
	assert.Equal(t, "stan", b.get(made["token"].(string), "").is(http.StatusOK).json()["person"])
	p := issue(body, "Idempotency-Key: for stan").problem(http.StatusUnprocessableEntity, "command_id_reused")
	assert.Contains(t, p.Detail, made["token_id"])
	issue(`{"person":"nobody","scope":"full","expires":"2026-04-01T00:00:00Z"}`).problem(http.StatusNotFound, "unknown_person")
	issue(`{"person":"stan","scope":"all","expires":"2026-04-01T00:00:00Z"}`).problem(http.StatusBadRequest, "malformed")
	issue(`{"person":"stan","scope":"full","expires":"2029-04-01T00:00:00Z"}`).problem(http.StatusUnprocessableEntity, "invalid_field")
	stan := b.token("stan", domain.ScopeFull)
	b.ask(stan, http.MethodPost, "/v1/orgs/acme/tokens", `{"person":"olga","scope":"full","expires":"2026-04-01T00:00:00Z"}`).
		problem(http.StatusForbidden, "role_not_permitted")
	assert.NotContains(t, b.logs.String(), made["token"])
	assert.NotContains(t, b.logs.String(), strings.Split(made["token"].(string), ".")[3])
}
