package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
)

// Commands that take access away have places that nothing else can fill, and room for
// their bodies.
func TestWhatTakesAwayHasPlacesOfItsOwn(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeFull)
	for _, pool := range []**budget.Pool{&b.api.budgets.requests, &b.api.budgets.bodies} {
		leave := b.fill(pool)
		b.send(olga, "RegisterPerson", `{"person":"ada"}`).problem(http.StatusServiceUnavailable, "busy")
		b.send(olga, "Lockdown?dry_run=true", `{"site":"north"}`).problem(http.StatusServiceUnavailable, "busy")
		b.send(olga, "Lockdown", `{"site":"north"}`).is(http.StatusOK)
		b.send(olga, "Lockdown?dry_run=false", `{"site":"north"}`).is(http.StatusOK)
		leave()
	}
	// And the other way round: it cannot fill those of the rest.
	b.fill(&b.api.budgets.urgent)
	p := b.send(olga, "Lockdown", `{"site":"north"}`).problem(http.StatusServiceUnavailable, "busy")
	assert.Contains(t, p.Detail, "urgent_requests")
	b.send(olga, "RegisterPerson", `{"person":"ada"}`).is(http.StatusOK)
	assert.Zero(t, b.api.budgets.bodies.Taken()+b.api.budgets.urgentBodies.Taken()+b.api.budgets.requests.Taken())
}

func TestWhichRequestsTakeAway(t *testing.T) {
	for path, want := range map[string]bool{
		"POST /v1/orgs/acme/commands/Lockdown": true, "POST /v1/orgs/acme/commands/RevokeToken": true,
		"POST /v1/orgs/acme/commands/Lockdown?dry_run=true": false, "POST /v1/orgs/acme/commands/Lockdown?dry_run=false": true,
		"POST /v1/orgs/acme/commands/GrantRight": false, "POST /v1/orgs/acme/commands/Nothing": false,
		"GET /v1/orgs/acme/commands/Lockdown": false, "POST /v1/orgs/acme/Lockdown": false,
	} {
		method, target, _ := strings.Cut(path, " ")
		assert.Equal(t, want, urgent(httptest.NewRequest(method, target, nil)), path)
	}
}

// The tokens that somebody issues to themselves add nothing to their rate, nor do their
// requests to that of others; what takes access away goes on beyond the rates.
func TestPeopleAndOrgsHaveARate(t *testing.T) {
	b := newWorld(t, "house")
	b.api.rates.person = newLimiter(Rate{1, 4}, b.clock)
	b.api.rates.org = newLimiter(Rate{1, 6}, b.clock)
	b.api.rates.urgent = newLimiter(Rate{1, 2}, b.clock)
	refused := 0
	for range 5 {
		token := b.token("gus", domain.ScopeFull)
		for range 2 {
			if r := b.get(token, ""); r.status != http.StatusOK {
				assert.Contains(t, r.problem(http.StatusTooManyRequests, "rate_limited").Detail, "person")
				assert.Equal(t, "1", r.header.Get("Retry-After"))
				refused++
			}
		}
	}
	assert.Equal(t, 6, refused)
	olga := b.token("olga", domain.ScopeFull)
	b.get(olga, "").is(http.StatusOK)
	b.get(olga, "").is(http.StatusOK)
	assert.Contains(t, b.get(olga, "").problem(http.StatusTooManyRequests, "rate_limited").Detail, "org")
	for range 2 {
		b.send(olga, "Lockdown", `{"site":"north"}`).is(http.StatusOK)
	}
	b.send(olga, "Lockdown", `{"site":"north"}`).is(http.StatusTooManyRequests)
	b.set(start.Add(time.Second))
	b.get(olga, "").is(http.StatusOK)
}

// Only a question that has to wait takes a place for that.
func TestQuestionsThatWaitHaveABudget(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeFull)
	leave := b.fill(&b.api.budgets.waits)
	here := b.get(olga, "").header.Get(positionHeader)
	b.get(olga, "/doors?at_least="+here).is(http.StatusOK)
	p := b.get(olga, "/doors?at_least=1-999").problem(http.StatusServiceUnavailable, "busy")
	assert.Contains(t, p.Detail, "waits")
	leave()
	b.get(olga, "/doors?at_least=1-999").problem(http.StatusServiceUnavailable, "behind")
	assert.Zero(t, b.api.budgets.waits.Taken())
}

func TestDryRunsAndListsOfCommitsHaveABudget(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeFull)
	_, on := b.rehearse(olga)
	leave := b.fill(&b.api.budgets.dryRuns)
	for _, query := range []string{"?dry_run=true", on} {
		assert.Contains(t, b.send(olga, "RegisterPerson"+query, `{"person":"ada"}`).problem(http.StatusServiceUnavailable, "busy").Detail, "dry_runs")
	}
	b.send(olga, "RegisterPerson", `{"person":"ada"}`).is(http.StatusOK)
	leave()
	leave = b.fill(&b.api.budgets.scans)
	assert.Contains(t, b.get(olga, "/commits").problem(http.StatusServiceUnavailable, "busy").Detail, "scans")
	leave()
	b.get(olga, "/commits").is(http.StatusOK)
}

// A rehearsal has a place of its person and org, until it is ended or forgotten.
func TestRehearsalsAreShared(t *testing.T) {
	b := newWorld(t, "house")
	olga, stan, mara := b.token("olga", domain.ScopeFull), b.token("stan", domain.ScopeFull), b.token("mara", domain.ScopeFull)
	id, _ := b.rehearse(olga)
	begin := func(token string) reply { return b.ask(token, http.MethodPost, rehearsalsPath, "") }
	assert.Contains(t, begin(olga).problem(http.StatusServiceUnavailable, "busy").Detail, "person")
	b.rehearse(stan)
	assert.Contains(t, begin(mara).problem(http.StatusServiceUnavailable, "busy").Detail, "org")
	assert.Equal(t, 2, b.api.budgets.rehearsals.Taken())
	gina := b.secondOrg()
	b.ask(gina, http.MethodPost, "/v1/orgs/globex/rehearsals", "").is(http.StatusCreated)
	b.ask(olga, http.MethodDelete, rehearsalsPath+"/"+id, "").is(http.StatusNoContent)
	b.rehearse(mara)
}

// The shares leave room for others in every budget, and nothing that one org may take
// fills the connections.
func TestTheSharesOfBudgets(t *testing.T) {
	b := newWorld(t, "house")
	s := b.api.budgets
	for _, pool := range []*budget.Pool{s.bodies, s.urgentBodies, s.requests, s.urgent, s.waits, s.dryRuns, s.scans, s.folds, s.exports, s.rehearsals} {
		places := pool.Places()
		assert.LessOrEqual(t, 2*places.Org, places.All, pool.Name())
		if places.Person != 0 {
			assert.LessOrEqual(t, 2*places.Person, places.Org, pool.Name())
		}
	}
	assert.LessOrEqual(t, 2*s.waits.Places().All, s.requests.Places().All, "who waits leaves half of the requests to others")
	under := func(p *budget.Pool, unit int) int { return p.Places().Org/unit + p.Line().Org }
	org := under(s.bodies, leastRoom) + under(s.urgentBodies, leastRoom) + under(s.requests, 1) + under(s.urgent, 1)
	assert.Less(t, org, b.api.cfg.Limits.ConnectionsOfAddress, fmt.Sprint(org))
	require.NotZero(t, org)
}
