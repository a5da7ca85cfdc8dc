package httpapi

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

var errAway = vault.ErrUnavailable

func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestTokensAndAddressesHaveARate(t *testing.T) {
	b := newWorld(t, "house")
	one, two := b.token("olga", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	b.api.rates.token = newLimiter(Rate{1, 3}, b.clock)
	b.api.rates.remote = newLimiter(Rate{1, 2}, b.clock)
	for range 3 {
		b.get(one, "").is(http.StatusOK)
	}
	r := b.get(one, "")
	r.problem(http.StatusTooManyRequests, "rate_limited")
	assert.Equal(t, "1", r.header.Get("Retry-After"))
	b.get(two, "").is(http.StatusOK)
	b.set(start.Add(time.Second))
	b.get(one, "").is(http.StatusOK)
	b.get(one, "").is(http.StatusTooManyRequests)

	// Without a good token the address counts, and good tokens from there go on.
	b.get("", "").is(http.StatusUnauthorized)
	b.get("gh.x", "").is(http.StatusUnauthorized)
	b.get("", "").problem(http.StatusTooManyRequests, "rate_limited")
	b.ask("", http.MethodGet, "/openapi.json", "").is(http.StatusTooManyRequests)
	b.ask("", http.MethodGet, "/healthz", "").is(http.StatusOK)
	b.get(two, "").is(http.StatusOK)
}

func TestALimiterForgetsTheOldest(t *testing.T) {
	now := start
	l := newLimiter(Rate{1, 1}, func() time.Time { return now })
	for i := range maxLimited {
		require.True(t, l.allow(fmt.Sprint(i)))
	}
	assert.False(t, l.allow("0"))
	assert.False(t, l.allow("1"))
	for i := range maxLimited - 1 {
		require.True(t, l.allow(fmt.Sprint("more", i)))
	}
	assert.Len(t, l.keys, maxLimited)
	assert.False(t, l.allow("1"), "it was seen last")
	assert.True(t, l.allow("0"), "it was forgotten")
}

func TestRemote(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7:1234": "192.0.2.7", "[2001:db8:1:2:3::4]:99": "2001:db8:1:2::/64", "[::ffff:192.0.2.7]:1": "192.0.2.7", "pipe": "pipe",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = address
		assert.Equal(t, want, remote(r))
	}
}

func TestAnInstanceTakesSoManyRequestsAtATime(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	leave := b.fill(&b.api.budgets.requests)
	r := b.get(token, "")
	assert.Contains(t, r.problem(http.StatusServiceUnavailable, "busy").Detail, "requests")
	assert.Equal(t, "1", r.header.Get("Retry-After"))
	b.ask("", http.MethodGet, "/healthz", "").is(http.StatusOK)
	leave()
	b.get(token, "").is(http.StatusOK)
	assert.Zero(t, b.api.budgets.requests.Taken())
}

func TestAHandlerThatPanicsIsAnswered(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	b.api.mux.HandleFunc("GET /v1/panic", func(http.ResponseWriter, *http.Request) { panic("a fault") })
	b.ask(token, http.MethodGet, "/v1/panic", "").problem(http.StatusInternalServerError, "internal")
	assert.Contains(t, b.logs.String(), "a fault")
	b.get(token, "").is(http.StatusOK)
}

func TestTheServerBoundsRequests(t *testing.T) {
	b := newWorld(t, "house")
	s := httptest.NewUnstartedServer(nil)
	s.Config = b.api.Server()
	s.Start()
	defer s.Close()
	for _, limit := range []time.Duration{s.Config.ReadHeaderTimeout, s.Config.ReadTimeout, s.Config.WriteTimeout, s.Config.IdleTimeout} {
		assert.Positive(t, limit)
	}
	ask := func(header string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v1/orgs/acme", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+header)
		resp, err := s.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	assert.Equal(t, http.StatusOK, ask(b.token("olga", domain.ScopeFull)))
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, ask(strings.Repeat("x", 64<<10)))
}

// An answer repeats no more than a little of the names that it was sent.
func TestAnAnswerAboutUnknownFieldsIsShort(t *testing.T) {
	b := newWorld(t, "busy")
	b.takesReads()
	token := b.token("olga", domain.ScopeFull)
	var many []string
	for n := range 5000 {
		many = append(many, fmt.Sprintf(`"k%d":1`, n))
	}
	for _, body := range []string{`{"` + strings.Repeat("ü", 200_000) + `":1}`, `{` + strings.Join(many, ",") + `}`} {
		for _, path := range []string{"commands/CreateDoor", "commands/SetSitePolicy", "sites/north/decisions", "sites/north/reads/till", "tokens"} {
			r := b.ask(token, http.MethodPost, "/v1/orgs/acme/"+path, body)
			r.problem(http.StatusBadRequest, "malformed")
			assert.Less(t, len(r.body), 32<<10, path)
		}
	}
}

func TestEveryRouteBoundsWhatItReads(t *testing.T) {
	b := newWorld(t, "busy")
	b.takesReads()
	token, metrics := b.token("olga", domain.ScopeFull), b.token("olga", domain.ScopeMetrics)
	c := readContract(t, b.ask("", http.MethodGet, "/openapi.json", "").body)
	deep := strings.Repeat(`{"a":`, 170_000)
	for path, methods := range c.doc.Paths {
		target := strings.NewReplacer("{org}", "acme", "{site}", "north", "{gateway}", "till", "{id}", "x", "{kind}", "people").Replace(path)
		for method, op := range methods {
			method, token := strings.ToUpper(method), token
			if path == "/metrics" {
				token = metrics
			}
			p := b.ask(token, method, target+"?limit=5&limit=6", "").problem(http.StatusBadRequest, "malformed")
			assert.Equal(t, "query.limit", p.Fields[0].Name, path)
			b.ask(token, method, target+"?limit=%zz", "").problem(http.StatusBadRequest, "malformed")
			if op.RequestBody != nil && path != "/v1/orgs" {
				body := deep
				if strings.HasSuffix(enrolPattern, path) {
					body = deep[:wire.MaxEnrolment]
				}
				p = b.ask(token, method, target, body).problem(http.StatusBadRequest, "malformed")
				assert.Contains(t, p.Detail, "50 levels", path)
			}
		}
	}
	b.send(token, "SuspendPerson", `[`+strings.Repeat(`{"person":"anna"},`, domain.MaxList)+`{"person":"anna"}]`).problem(http.StatusUnprocessableEntity, "invalid_field")
}
