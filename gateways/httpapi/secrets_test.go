package httpapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// dataOf gives the data of the first event of an answer.
func dataOf(t *testing.T, answer map[string]any) map[string]any {
	t.Helper()
	events := answer["events"].([]any)
	require.NotEmpty(t, events)
	return events[0].(map[string]any)["data"].(map[string]any)
}

func TestAPinIsToldOnceToItsSender(t *testing.T) {
	b := newWorld(t, "storage")
	anna, olga, stan := b.token("anna", domain.ScopeFull), b.token("olga", domain.ScopeFull), b.token("stan", domain.ScopeFull)
	const body = `{"credential":"p1","person":"anna","booking":"book-a1"}`
	const key = "Idempotency-Key: 018f4e6a-7c2b-7000-8000-2f6d3c1b9a55"

	dry := b.ask(anna, http.MethodPost, "/v1/orgs/acme/commands/IssuePin?dry_run=true", body).is(http.StatusOK).json()
	assert.Nil(t, dataOf(t, dry)["number"], "it would be another one")
	first := dataOf(t, b.send(anna, "IssuePin", body, key).is(http.StatusOK).json())
	pin := first["number"].(string)
	assert.Regexp(t, "^[0-9]{6}$", pin)

	// Nothing reads it back, whoever asks.
	for _, token := range []string{anna, olga, stan} {
		one := b.get(token, "/credentials/p1").is(http.StatusOK).json()
		assert.Contains(t, one, "number")
		assert.Nil(t, one["number"])
		for _, c := range b.get(token, "/credentials?kind=pin").items() {
			assert.Nil(t, c["number"])
		}
	}
	commits := b.get(olga, "/commits?type=pin").items()
	require.Len(t, commits, 1)
	assert.Nil(t, dataOf(t, commits[0])["number"])

	// A sender who lost the answer asks again for a while, with the same id.
	b.set(b.clock().Add(10 * time.Minute))
	again := b.send(anna, "IssuePin", body, key).is(http.StatusOK).json()
	assert.Equal(t, true, again["repeated"])
	assert.Equal(t, pin, dataOf(t, again)["number"])
	b.send(stan, "IssuePin", body, key).problem(http.StatusUnprocessableEntity, "command_id_reused")
	b.set(b.clock().Add(time.Second))
	late := b.send(anna, "IssuePin", body, key).is(http.StatusOK).json()
	assert.Equal(t, true, late["repeated"])
	assert.Nil(t, dataOf(t, late)["number"])
	assert.NotContains(t, b.said(), pin)
}

func TestOldDigitsAreGone(t *testing.T) {
	b := newWorld(t, "storage")
	anna := b.token("anna", domain.ScopeFull)
	const body = `{"credential":"p1","person":"anna","booking":"book-a1"}`
	old := dataOf(t, b.send(anna, "IssuePin", body, "Idempotency-Key: issue").is(http.StatusOK).json())["number"]
	rotated := dataOf(t, b.send(anna, "RotatePin", `{"credential":"p1"}`, "Idempotency-Key: rotate").is(http.StatusOK).json())["number"]
	require.NotNil(t, rotated)
	assert.NotEqual(t, old, rotated)
	assert.Nil(t, dataOf(t, b.send(anna, "IssuePin", body, "Idempotency-Key: issue").is(http.StatusOK).json())["number"],
		"their key is destroyed")
	b.send(anna, "RevokeCredential", `{"credential":"p1"}`).is(http.StatusOK)
	assert.Nil(t, dataOf(t, b.send(anna, "RotatePin", `{"credential":"p1"}`, "Idempotency-Key: rotate").is(http.StatusOK).json())["number"])
}

func TestPinsAreMadeByTheService(t *testing.T) {
	b := newWorld(t, "storage")
	anna, olga := b.token("anna", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	for _, field := range []string{"number", "digits", "candidates", "madeDigits"} {
		b.send(anna, "IssuePin", `{"person":"anna","booking":"book-a1","`+field+`":["482915"]}`).problem(http.StatusBadRequest, "malformed")
	}
	b.send(olga, "SetSitePolicy", `{"site":"north","policy":{"uses":"per_gateway"}}`).is(http.StatusOK)
	list := `[{"person":"anna","booking":"book-a1"},{"person":"ben","booking":"book-a2"}]`
	events := b.send(olga, "IssueOneTimePin", list).is(http.StatusOK).json()["events"].([]any)
	require.Len(t, events, 2)
	seen := map[any]bool{}
	for _, e := range events {
		number := e.(map[string]any)["data"].(map[string]any)["number"]
		assert.Regexp(t, "^[0-9]{6}$", number)
		assert.False(t, seen[number])
		seen[number] = true
	}
	// The sender is told also where they may not read whose it is.
	b.send(anna, "ShareAccess", `{"bookings":["book-a1"],"sharees":[{"email":"vera@example.com"}],"from":"2026-03-02","until":"2026-03-31"}`).is(http.StatusOK)
	shared := b.send(anna, "IssuePin", `{"credential":"p9","person":"vera","booking":"book-a1"}`).is(http.StatusOK).json()
	assert.Regexp(t, "^[0-9]{6}$", dataOf(t, shared)["number"])
	b.get(anna, "/credentials/p9").problem(http.StatusNotFound, "unknown_credential")
}
