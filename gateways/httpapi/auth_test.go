package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

func TestTokensAreRefusedWithOneText(t *testing.T) {
	b := newWorld(t, "house")
	good := b.token("olga", domain.ScopeFull)
	b.get(good, "").is(http.StatusOK)
	parts := strings.Split(good, ".")
	secret, _ := newSecret()
	revoked := b.token("olga", domain.ScopeFull)
	b.execute(domain.PersonActor("olga"), "RevokeToken", `{"token":"`+strings.Split(revoked, ".")[2]+`"}`)
	suspended := b.token("sue", domain.ScopeFull)
	b.execute(domain.PersonActor("olga"), "SuspendPerson", `{"person":"sue"}`)

	var texts []string
	for name, token := range map[string]string{
		"none":                 "",
		"no token at all":      "hello",
		"another secret":       TokenText("acme", domain.ID(parts[2]), secret),
		"another token's id":   strings.Join([]string{parts[0], parts[1], "token-1", parts[3]}, "."),
		"an unknown org":       TokenText("globex", domain.ID(parts[2]), secret),
		"the reserved org":     TokenText("_system", domain.ID(parts[2]), secret),
		"a cut secret":         good[:len(good)-1],
		"a padded secret":      good + "=",
		"another prefix":       "gx" + good[2:],
		"five parts":           good + ".x",
		"revoked":              revoked,
		"of someone suspended": suspended,
		"a wrong bootstrap":    BootstrapText(secret),
	} {
		r := b.get(token, "")
		p := r.problem(http.StatusUnauthorized, "unauthenticated")
		assert.Equal(t, "Bearer", r.header.Get("WWW-Authenticate"), name)
		assert.Empty(t, r.header.Get(positionHeader), name)
		texts = append(texts, p.Detail)
	}
	for _, text := range texts {
		assert.Equal(t, texts[0], text)
	}
	b.set(start.Add(30 * 24 * time.Hour))
	b.get(good, "").problem(http.StatusUnauthorized, "unauthenticated")
	assert.NotContains(t, b.store.Loaded(), domain.ID("globex"), "an org that is not listed is not loaded")
}

func TestScopesOfTokens(t *testing.T) {
	b := newWorld(t, "house")
	full, read, metrics := b.token("olga", domain.ScopeFull), b.token("olga", domain.ScopeRead), b.token("olga", domain.ScopeMetrics)
	question := `{"person":"anna","door":"gate"}`
	for _, c := range []struct {
		method, path, body  string
		full, read, metrics int
	}{
		{http.MethodGet, "/v1/orgs/acme", "", 200, 200, 403},
		{http.MethodGet, "/v1/orgs/acme/doors", "", 200, 200, 403},
		{http.MethodPost, "/v1/orgs/acme/sites/north/decisions", question, 200, 200, 403},
		{http.MethodPost, "/v1/orgs/acme/commands/RenameSite", `{"site":"north","name":"N"}`, 200, 403, 403},
		{http.MethodPost, "/v1/orgs/acme/tokens", `{"person":"olga","scope":"read","expires":"2026-04-01T00:00:00Z"}`, 201, 403, 403},
		{http.MethodPost, "/v1/orgs", `{"org":"o","name":"O","owner":"o"}`, 403, 403, 403},
		{http.MethodGet, "/metrics", "", 403, 403, 200},
		{http.MethodGet, "/nothing", "", 404, 404, 403},
		{http.MethodGet, "/healthz", "", 200, 200, 200},
	} {
		for token, status := range map[string]int{full: c.full, read: c.read, metrics: c.metrics} {
			r := b.ask(token, c.method, c.path, c.body).is(status)
			if status == http.StatusForbidden {
				r.problem(status, "scope_not_permitted")
			}
		}
	}
}

func TestATokenIsGoodForItsOwnOrgAlone(t *testing.T) {
	b := newWorld(t, "house")
	other := b.secondOrg()
	full := b.token("olga", domain.ScopeFull)
	for _, path := range []string{"", "/doors", "/commits", "/people/gina"} {
		b.ask(full, http.MethodGet, "/v1/orgs/globex"+path, "").problem(http.StatusNotFound, "unknown_org")
		b.ask(full, http.MethodGet, "/v1/orgs/nowhere"+path, "").problem(http.StatusNotFound, "unknown_org")
		b.ask(other, http.MethodGet, "/v1/orgs/acme"+path, "").problem(http.StatusNotFound, "unknown_org")
	}
	b.ask(other, http.MethodPost, "/v1/orgs/acme/commands/RenameOrg", `{"name":"Stolen"}`).problem(http.StatusNotFound, "unknown_org")
	b.ask(other, http.MethodPost, "/v1/orgs/acme/sites/north/decisions", `{"person":"anna","door":"gate"}`).problem(http.StatusNotFound, "unknown_org")
	b.ask(other, http.MethodPost, "/v1/orgs/_system/commands/RenameOrg", `{"name":"Stolen"}`).problem(http.StatusNotFound, "unknown_org")
	assert.Equal(t, "globex", b.ask(other, http.MethodGet, "/v1/orgs/globex", "").is(200).json()["id"])
}

// secondOrg makes a further org and returns its owner's token.
func (b *bed) secondOrg() string {
	secret, hash := newSecret()
	for org, fields := range map[domain.ID]any{
		domain.SystemOrg: &domain.RegisterOrg{Org: "globex", Name: "Globex"},
		"globex":         &domain.CreateOrg{Org: "globex", Name: "Globex", Owner: "gina", Token: "first", Hash: hash, Expires: start.Add(time.Hour)},
	} {
		name := "CreateOrg"
		if org == domain.SystemOrg {
			name = "RegisterOrg"
		}
		_, err := b.store.Execute(b.t.Context(), org, eventstore.Request{ID: newID(), Command: name, Actor: domain.ServiceActor("api"), Fields: []any{fields}})
		require.NoError(b.t, err)
	}
	return TokenText("globex", "first", secret)
}

// everyPath lists the lists of the API.
var everyPath = []string{"sites", "areas", "doors", "gateways", "units", "schedules", "people", "roles", "tokens", "credentials",
	"bookings", "rights", "grants", "shares", "unit-users", "remote-unlocks", "reviews?done=true"}

func TestEachSeesWhatTheDomainShows(t *testing.T) {
	b := newWorld(t, "busy")
	tables := map[string]func(s *domain.State, see func(id domain.ID, row any)){
		"doors": func(s *domain.State, see func(domain.ID, any)) {
			for id, r := range s.Doors.All() {
				see(id, r)
			}
		},
		"people": func(s *domain.State, see func(domain.ID, any)) {
			for id, r := range s.People.All() {
				see(id, r)
			}
		},
		"bookings": func(s *domain.State, see func(domain.ID, any)) {
			for id, r := range s.Bookings.All() {
				see(id, r)
			}
		},
		"tokens": func(s *domain.State, see func(domain.ID, any)) {
			for id, r := range s.Tokens.All() {
				see(id, r)
			}
		},
		"credentials": func(s *domain.State, see func(domain.ID, any)) {
			for id, r := range s.Credentials.All() {
				see(id, r)
			}
		},
		"shares": func(s *domain.State, see func(domain.ID, any)) {
			for id, r := range s.Shares.All() {
				see(id, r)
			}
		},
		"remote-unlocks": func(s *domain.State, see func(domain.ID, any)) {
			for id, r := range s.UnlockRequests.All() {
				see(id, r)
			}
		},
		"unit-users": func(s *domain.State, see func(domain.ID, any)) {
			for id, r := range s.UnitUsers.All() {
				see(id, r)
			}
		},
	}
	for _, person := range []domain.ID{"olga", "mara", "stan", "sue", "gus", "anna", "ben", "vera", "will"} {
		token := b.token(person, domain.ScopeRead)
		for path, all := range tables {
			shown, hidden := []string{}, []string{}
			require.NoError(t, b.store.View(t.Context(), "acme", func(s *domain.State, _ eventstore.Head) error {
				now := s.AsOf(b.clock())
				all(s, func(id domain.ID, row any) {
					if domain.Visible(now, person, domain.RecordOf(s, row)) || path == "doors" && now.MayKnowDoor(person, id) {
						shown = append(shown, string(id))
					} else {
						hidden = append(hidden, string(id))
					}
				})
				return nil
			}))
			assert.Equal(t, shown, b.get(token, "/"+path).ids(), "%s sees %s", person, path)
			for _, id := range hidden {
				b.get(token, "/"+path+"/"+strings.ReplaceAll(id, "/", "%2F")).is(http.StatusNotFound)
			}
			for _, id := range shown {
				b.get(token, "/"+path+"/"+strings.ReplaceAll(id, "/", "%2F")).is(http.StatusOK)
			}
		}
		for _, path := range everyPath {
			b.get(token, "/"+path).is(http.StatusOK)
		}
	}
}

func TestNoAnswerHoldsABoxOrAHash(t *testing.T) {
	b := newWorld(t, "busy")
	token := b.token("olga", domain.ScopeFull)
	var secrets []string
	require.NoError(t, b.store.View(t.Context(), "acme", func(s *domain.State, _ eventstore.Head) error {
		s.EachPersonal(func(_ domain.ID, p *domain.Personal) { secrets = append(secrets, p.Box()) })
		for _, r := range s.Tokens.All() {
			secrets = append(secrets, r.Hash)
		}
		return nil
	}))
	require.Greater(t, len(secrets), 20)
	r := b.send(token, "RegisterPerson", `{"person":"paul","name":"Paul"}`).is(http.StatusOK)
	bodies := string(r.body)
	for _, path := range append(everyPath, "commits?limit=500", "people/anna", "credentials/fob-anna") {
		bodies += string(b.get(token, "/"+path).is(http.StatusOK).body)
	}
	for _, s := range secrets {
		if !strings.Contains(s, ".") { // the hash of a token stands in the commit that issued it, for those who may read commits
			continue
		}
		assert.NotContains(t, bodies, s)
	}
	assert.Contains(t, bodies, "Anna Tenant")
	assert.Contains(t, bodies, `"number":"1001"`)
	var tokens any
	require.NoError(t, json.Unmarshal(b.get(token, "/tokens").body, &tokens))
	assert.NotContains(t, string(b.get(token, "/tokens").body), "hash")
}
