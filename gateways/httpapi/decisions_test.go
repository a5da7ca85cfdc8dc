package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain"
)

// An explanation tells nothing of others' ways that the asker may not see anyhow (rule
// U2). The privacy of units limits it too. vera is a user of anna's unit, has a grant
// of the operator, is a user of a group and has a unit of her own.
func TestOthersLearnOfTheirOwnWaysAlone(t *testing.T) {
	b := newWorld(t, "busy")
	b.execute(domain.PersonActor("stan"), "CreateBooking", `{"booking":"book-vera","unit":"a3","person":"vera","from":"2026-03-01"}`)
	b.execute(domain.PersonActor("olga"), "AddMember", `{"group":"crew","person":"vera","role":"user"}`)
	// Whom a unit manager but named they may not ask about; the operator gave this place.
	b.execute(domain.PersonActor("anna"), "RemoveUnitUser", `{"unit":"a1","person":"vera"}`)
	b.execute(domain.PersonActor("stan"), "CreateUnitUser", `{"unit":"a1","person":"vera","access":[`+
		`{"right":"entries","mode":"limited","limited":{"windows":[{"days":["mon","tue"],"from":"08:00","to":"19:00"}]}},{"right":"unit-a1","mode":"always"}]}`)
	all := []string{"booking:book-vera", "grant-vera", "group:crew/vera", "user:a1/vera/entries", "user:a1/vera/unit-a1"}
	users := []string{"user:a1/vera/entries", "user:a1/vera/unit-a1"}
	check := func(viewer domain.ID, sees []string) {
		token := b.token(viewer, domain.ScopeRead)
		ask := func(route, door string) map[string]any {
			return b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/"+route,
				`{"person":"vera","door":"`+door+`","at":"2026-03-03T10:00:00Z"}`).is(http.StatusOK).json()
		}
		e := ask("explain", "gate")
		var got []string
		for _, w := range e["ways"].([]any) {
			got = append(got, w.(map[string]any)["grant"].(string))
		}
		if elsewhere, ok := e["elsewhere"].([]any); ok {
			for _, grant := range elsewhere {
				got = append(got, grant.(string))
			}
		}
		assert.ElementsMatch(t, sees, got, viewer)
		for _, grant := range all {
			assert.Equal(t, slices.Contains(sees, grant), strings.Contains(e["text"].(string), grant[strings.IndexByte(grant, ':')+1:]),
				"%s reads of %s", viewer, grant)
		}
		// The grant that opens the office is the operator's: to anna there is no such door.
		for _, route := range []string{"decisions", "explain"} {
			if viewer == "anna" {
				b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/"+route, `{"person":"vera","door":"office"}`).
					problem(http.StatusNotFound, "unknown_door")
				continue
			}
			d := ask(route, "office")
			assert.Equal(t, true, d["allowed"], "%s, %s", viewer, route)
			assert.Equal(t, "grant-vera", d["grant"], "%s, %s", viewer, route)
		}
	}
	check("stan", all)
	check("vera", all)
	check("anna", users)
	b.execute(domain.PersonActor("anna"), "SetUnitPrivacy", `{"unit":"a1","enabled":true}`)
	check("stan", all[:3])
	check("vera", all)
	check("anna", users)
}

// An instant that no table can tell is refused, the zero time too: it is no word for now.
func TestAQuestionIsAboutAnInstantThatTablesTell(t *testing.T) {
	b := newWorld(t, "busy")
	token := b.token("stan", domain.ScopeRead)
	for _, route := range []string{"decisions", "explain"} {
		for _, at := range []string{"0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z"} {
			b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/"+route, `{"person":"vera","door":"gate","at":"`+at+`"}`).is(http.StatusBadRequest)
		}
		b.ask(token, http.MethodPost, "/v1/orgs/acme/sites/north/"+route, `{"person":"vera","door":"gate"}`).is(http.StatusOK)
	}
}
