package httpapi

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

// An instance that may not know the latest answers nothing from memory, by whatever
// token: another one may have revoked it. Commands find out at the ledger.
func TestAStaleInstanceAnswersNothingFromMemory(t *testing.T) {
	b := newWorld(t, "house")
	token := b.token("olga", domain.ScopeFull)
	var stale atomic.Bool
	b.api.current = func() error {
		if stale.Load() {
			return fmt.Errorf("%w: it did 6s ago", eventstore.ErrStale)
		}
		return nil
	}
	b.get(token, "/doors").is(http.StatusOK)
	stale.Store(true)
	for _, r := range []reply{
		b.get(token, "/doors"),
		b.get("gh.acme.unknown", "/doors"),
		b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/decisions", `{"door":"gate","person":"anna"}`),
		b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/explain", `{"door":"gate","person":"anna"}`),
		b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/reads/gw-1", `{}`),
		b.ask(token, http.MethodPost, "/v1/orgs/acme/rehearsals", `{}`),
		b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/RenameSite?dry_run=true", `{"site":"north","name":"N"}`),
	} {
		r.problem(http.StatusServiceUnavailable, "stale")
		assert.Equal(t, "2", r.header.Get("Retry-After"))
	}
	b.send(token, "RenameSite", `{"site":"north","name":"Far north"}`).is(http.StatusOK)
	b.ask(token, http.MethodPost, "/v1/orgs/acme/tokens", fmt.Sprintf(`{"person":"olga","scope":"read","expires":%q}`, b.clock().Add(time.Hour).Format(time.RFC3339))).is(http.StatusCreated)
	b.ask("", http.MethodGet, "/healthz", "").is(http.StatusOK)
	b.ask("", http.MethodGet, "/readyz", "").is(http.StatusOK)
	b.ask(b.token("olga", domain.ScopeMetrics), http.MethodGet, "/metrics", "").is(http.StatusOK)
	stale.Store(false)
	b.get(token, "/doors").is(http.StatusOK)
}
