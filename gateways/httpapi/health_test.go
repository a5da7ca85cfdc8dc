package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

const (
	wholeReadiness = `{"ready":false,"troubles":[{"part":"org:acme","message":"its ledger ends at 1-5"},{"part":"org:globex","message":"another"},{"part":"disk","message":"of /var/data"}],` +
		`"degraded":[{"part":"server:n3","message":"it is away"}]}`
	shortReadiness = `{"ready":false,"troubles":[{"part":"org"},{"part":"disk"}],"degraded":[{"part":"server"}]}`
)

// troubled opens a world in which much is amiss.
func troubled(t *testing.T) *bed {
	b := newWorld(t, "house")
	b.troubles = []Trouble{{"org:acme", "its ledger ends at 1-5"}, {"org:globex", "another"}, {"disk", "of /var/data"}}
	b.degraded = []Trouble{{"server:n3", "it is away"}}
	return b
}

func (b *bed) readiness(token string) string {
	return strings.TrimSpace(string(b.ask(token, http.MethodGet, "/readyz", "").is(http.StatusServiceUnavailable).body))
}

func TestReadinessNamesOrgsToTheMetricsTokenAlone(t *testing.T) {
	b := troubled(t)
	metrics := b.token("olga", domain.ScopeMetrics)
	assert.JSONEq(t, wholeReadiness, b.readiness(metrics))
	for _, token := range []string{"", "nonsense", b.bootstrap, b.token("olga", domain.ScopeFull), b.token("olga", domain.ScopeRead),
		metrics[:len(metrics)-4] + "AAAA", "gh.nowhere" + metrics[len("gh.acme"):]} {
		assert.JSONEq(t, shortReadiness, b.readiness(token), token)
	}
	b.set(start.Add(60 * 24 * time.Hour))
	assert.JSONEq(t, shortReadiness, b.readiness(metrics), "it has expired")

	own := httptest.NewRecorder()
	b.api.ReadinessHandler().ServeHTTP(own, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	assert.Equal(t, http.StatusServiceUnavailable, own.Code)
	assert.JSONEq(t, wholeReadiness, own.Body.String(), "at a listener of its own")
	assert.Equal(t, "application/json", own.Header().Get("Content-Type"))
	b.troubles = nil
	own = httptest.NewRecorder()
	b.api.ReadinessHandler().ServeHTTP(own, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	assert.Equal(t, http.StatusOK, own.Code)
}

// The org of the token is held by work that does not end: readiness is answered.
func TestReadinessWaitsForNoOrg(t *testing.T) {
	b := troubled(t)
	metrics := b.token("olga", domain.ScopeMetrics)
	b.api.readinessPatience = time.Millisecond
	holds, end := make(chan struct{}), make(chan struct{})
	held := make(chan error)
	go func() {
		held <- b.store.View(context.Background(), "acme", func(*domain.State, eventstore.Head) error {
			close(holds)
			<-end
			return nil
		})
	}()
	<-holds
	writes := make(chan struct{})
	go func() { // it waits for the org alone, and all who read wait behind it
		defer close(writes)
		b.execute(domain.PersonActor("olga"), "RenameSite", `{"site":"north","name":"N"}`)
	}()
	require.Eventually(t, func() bool { return b.readiness(metrics) == shortReadiness }, time.Minute, time.Millisecond)
	close(end)
	require.NoError(t, <-held)
	<-writes
	b.api.readinessPatience = time.Minute
	assert.JSONEq(t, wholeReadiness, b.readiness(metrics))
}
