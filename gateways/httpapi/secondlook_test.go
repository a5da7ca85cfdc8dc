package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

// idOfToken is the id in the text of a token.
func idOfToken(t *testing.T, text string) domain.ID {
	t.Helper()
	p, ok := parseToken("Bearer " + text)
	require.True(t, ok)
	return p.token
}

// interrupted is a body before whose last byte something happens.
type interrupted struct {
	first, last io.Reader
	then        func()
}

func (i *interrupted) Read(p []byte) (int, error) {
	if n, err := i.first.Read(p); err == nil {
		return n, nil
	}
	if i.then != nil {
		i.then()
		i.then = nil
	}
	return i.last.Read(p)
}

// askWhile sends a request with a body before whose last byte something happens.
func (b *bed) askWhile(token, path, body string, then func()) reply {
	b.t.Helper()
	last := len(body) - 1
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "/v1/orgs/acme"+path,
		&interrupted{strings.NewReader(body[:last]), strings.NewReader(body[last:]), then})
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	return reply{b.t, w.Code, w.Header(), w.Body.Bytes()}
}

func TestATokenThatEndsWhileTheBodyComesDoesNothing(t *testing.T) {
	b := newWorld(t, "storage")
	b.takesReads()
	olga := domain.PersonActor("olga")
	head := func() (h eventstore.Head) {
		h, err := b.store.Head(t.Context(), "acme")
		require.NoError(t, err)
		return h
	}
	for name, path := range map[string]string{
		"command": "/commands/ChangePerson", "dry run": "/commands/ChangePerson?dry_run=true", "new token": "/tokens",
		"decision": "/sites/north/decisions", "reads": "/sites/north/reads/file-1",
	} {
		body := map[string]string{
			"new token": `{"person":"stan","scope":"read","expires":"2026-03-09T00:00:00Z"}`,
			"decision":  `{"person":"stan","door":"gate"}`,
			"reads":     `{"reads":[{"number":1,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1"}]}`,
		}[name]
		if body == "" {
			body = `{"person":"stan","name":"Stan Stolen"}`
		}
		for how, end := range map[string]func(token string){
			"revoked": func(token string) {
				b.execute(olga, "RevokeToken", `{"token":"`+string(idOfToken(t, token))+`"}`)
			},
			"suspended": func(string) { b.execute(olga, "SuspendPerson", `{"person":"stan"}`) },
		} {
			token := b.token("stan", domain.ScopeFull)
			var at eventstore.Head
			r := b.askWhile(token, path, body, func() { end(token); at = head() })
			r.problem(http.StatusUnauthorized, "unauthenticated")
			assert.Equal(t, at, head(), "%s with a token %s on the way", name, how)
			b.execute(olga, "ReinstatePerson", `{"person":"stan"}`)
			b.execute(olga, "RevokeToken", `{"token":"`+string(idOfToken(t, token))+`"}`)
		}
	}
	token := b.token("stan", domain.ScopeFull)
	b.send(token, "RevokeToken", `{"token":"`+string(idOfToken(t, token))+`"}`).is(http.StatusOK)
}

func TestAKeyOfTheServicesFormIsATextAsAnyOther(t *testing.T) {
	b := newWorld(t, "house")
	anna := b.token("anna", domain.ScopeFull)
	key := domain.DeriveUUID(domain.UUID{}, "expiry").ForService()
	r := b.send(anna, "ChangePerson", `{"person":"anna","name":"Anna"}`, "Idempotency-Key: "+key.String()).is(http.StatusOK)
	id, err := domain.ParseUUID(r.header.Get("Idempotency-Key"))
	require.NoError(t, err)
	assert.False(t, id.OfService())
	again := b.send(anna, "ChangePerson", `{"person":"anna","name":"Anna"}`, "Idempotency-Key: "+key.String()).is(http.StatusOK)
	assert.Equal(t, true, again.json()["repeated"])
	own := newID()
	r = b.send(anna, "ChangePerson", `{"person":"anna","name":"Ann"}`, "Idempotency-Key: "+own.String()).is(http.StatusOK)
	assert.Equal(t, own.String(), r.header.Get("Idempotency-Key"))
}
