package httpapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

const rehearsalsPath = "/v1/orgs/acme/rehearsals"

// rehearse begins one, and gives the query by which commands are tried on it.
func (b *bed) rehearse(token string) (id, query string) {
	b.t.Helper()
	id = b.ask(token, http.MethodPost, rehearsalsPath, "").is(http.StatusCreated).json()["rehearsal"].(string)
	return id, "?dry_run=true&rehearsal=" + id
}

func TestCommandsOfARehearsalMeetOneAnother(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeFull)
	position := b.get(olga, "").header.Get(positionHeader)
	id, on := b.rehearse(olga)
	people := `[{"person":"ada","name":"Ada","email":"ada@example.com"},{"person":"bob","name":"Bob"}]`
	done := b.send(olga, "RegisterPerson"+on, people).is(http.StatusOK)
	assert.Equal(t, position, done.header.Get(positionHeader))
	refused := b.send(olga, "RegisterPerson"+on, `[{"person":"cleo"},{"person":"ada"},{"email":"Ada@example.com"}]`).problem(http.StatusConflict, "person_exists")
	require.Len(t, refused.Entries, 2)
	assert.Equal(t, []string{"person_exists", "email_in_use"}, []string{refused.Entries[0].Code, refused.Entries[1].Code})
	b.send(olga, "RegisterPerson"+on, `{"person":"cleo"}`).is(http.StatusOK) // a list is refused whole
	b.send(olga, "SuspendPerson"+on, `{"person":"bob"}`).is(http.StatusOK)

	assert.Equal(t, position, b.get(olga, "").header.Get(positionHeader), "nothing is stored")
	b.get(olga, "/people/ada").problem(http.StatusNotFound, "unknown_person")
	b.send(olga, "RegisterPerson", people).is(http.StatusOK)
	b.send(olga, "RegisterPerson?rehearsal="+id, people).problem(http.StatusBadRequest, "malformed")
	b.send(olga, "RegisterPerson?dry_run=true&rehearsal=x", people).problem(http.StatusBadRequest, "malformed")
}

// A list that is sent again, since its answer was lost, is not met by itself.
func TestACommandOfARehearsalIsSentAgain(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeFull)
	_, on := b.rehearse(olga)
	for range 2 {
		b.send(olga, "RegisterPerson"+on, `{"person":"ada"}`, "Idempotency-Key: same").is(http.StatusOK)
	}
	b.send(olga, "RegisterPerson", `{"person":"bob"}`, "Idempotency-Key: other").is(http.StatusOK)
	b.send(olga, "RegisterPerson"+on, `{"person":"bob"}`, "Idempotency-Key: other").is(http.StatusOK)
}

func TestARehearsalIsOfWhoBeganIt(t *testing.T) {
	b := newWorld(t, "house")
	olga, stan := b.token("olga", domain.ScopeFull), b.token("stan", domain.ScopeFull)
	id, on := b.rehearse(olga)
	b.send(stan, "RegisterPerson"+on, `{"person":"ada"}`).problem(http.StatusServiceUnavailable, "rehearsal_lost")
	b.ask(stan, http.MethodDelete, rehearsalsPath+"/"+id, "").is(http.StatusNoContent)
	b.send(olga, "RegisterPerson"+on, `{"person":"ada"}`).is(http.StatusOK)
	b.ask(b.token("olga", domain.ScopeRead), http.MethodPost, rehearsalsPath, "").problem(http.StatusForbidden, "scope_not_permitted")

	b.ask(b.token("anna", domain.ScopeFull), http.MethodPost, rehearsalsPath, "").problem(http.StatusForbidden, "role_not_permitted")

	other, _ := b.rehearse(stan)
	b.ask(stan, http.MethodPost, rehearsalsPath, "").problem(http.StatusServiceUnavailable, "busy")
	b.ask(stan, http.MethodDelete, rehearsalsPath+"/"+other, "").is(http.StatusNoContent)
	b.ask(stan, http.MethodDelete, rehearsalsPath+"/"+other, "").is(http.StatusNoContent)
	b.ask(stan, http.MethodDelete, rehearsalsPath+"/x", "").problem(http.StatusBadRequest, "malformed")
	b.rehearse(stan)
	b.ask(olga, http.MethodDelete, rehearsalsPath+"/"+id, "").is(http.StatusNoContent)
	b.send(olga, "RegisterPerson"+on, `{"person":"ada"}`).problem(http.StatusServiceUnavailable, "rehearsal_lost")
}

// A rehearsal that nobody continues is forgotten.
func TestARehearsalIsForgotten(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeFull)
	id, _ := b.rehearse(olga)
	parsed, err := domain.ParseUUID(id)
	require.NoError(t, err)
	r, ok := b.api.rehearsals.of(&caller{org: "acme", person: "olga"}, parsed)
	require.True(t, ok)
	r.forget.Reset(0)
	require.Eventually(t, func() bool {
		_, there := b.api.rehearsals.of(&caller{org: "acme", person: "olga"}, parsed)
		return !there
	}, time.Minute, time.Millisecond)
}
