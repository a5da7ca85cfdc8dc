package httpapi

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain"
)

// A question about a position is answered by what was known there, whatever came
// after.
func TestQuestionsAboutAPosition(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeRead)
	owner := domain.PersonActor("olga")
	b.execute(owner, "CreateSite", `{"site":"past","name":"Past","zone":"UTC"}`)
	b.execute(owner, "CreateDoor", `{"site":"past","door":"old-gate","name":"Gate","kind":"gate"}`)
	b.execute(owner, "RegisterPerson", `{"person":"peter"}`)
	b.execute(owner, "DefineAccessRight", `{"right":"old","name":"Old","doors":["old-gate"],"schedule":"always"}`)
	granted := b.execute(owner, "GrantRight", `{"grant":"g1","person":"peter","right":"old"}`)
	revoked := b.execute(owner, "RevokeRight", `{"grant":"g1"}`)
	b.execute(owner, "RegisterPerson", `{"person":"later"}`)

	for _, route := range []string{"decisions", "explain"} {
		ask := func(position string) reply {
			if position != "" {
				position = fmt.Sprintf(`,"position":%q`, position)
			}
			return b.ask(olga, http.MethodPost, "/v1/orgs/acme/sites/past/"+route,
				`{"person":"peter","door":"old-gate"`+position+`}`)
		}
		then := ask(granted.Position.String()).is(http.StatusOK).json()
		assert.Equal(t, true, then["allowed"], route)
		assert.Equal(t, granted.Position.String(), then["position"], route)
		after := ask(revoked.Position.String()).is(http.StatusOK).json()
		assert.Equal(t, false, after["allowed"], route)
		now := ask("").is(http.StatusOK).json()
		assert.Equal(t, false, now["allowed"], route)
		ask("1-1").problem(http.StatusNotFound, "unknown_site")
		ask("1-999").problem(http.StatusNotFound, "unknown_position")
		ask("2-3").problem(http.StatusNotFound, "unknown_position")
		ask("1-0").problem(http.StatusNotFound, "unknown_position")
		ask("yesterday").problem(http.StatusBadRequest, "malformed")

		leave := b.fill(&b.api.budgets.folds)
		assert.Contains(t, ask("1-1").problem(http.StatusServiceUnavailable, "busy").Detail, "folds")
		ask("").is(http.StatusOK)
		leave()
		ask(granted.Position.String()).is(http.StatusOK)
	}
}
