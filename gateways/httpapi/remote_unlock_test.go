package httpapi

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

// afar makes the API again, with ears for what was accepted.
func (b *bed) afar(accepted func(eventstore.Request, eventstore.Result)) {
	b.t.Helper()
	b.takesReads() // another registry
	b.api.cfg.Accepted = func(_ domain.ID, req eventstore.Request, result eventstore.Result) { accepted(req, result) }
}

// requested is the id of the first remote unlock of an answer.
func (r reply) requested() string {
	r.t.Helper()
	event := r.is(http.StatusOK).json()["events"].([]any)[0].(map[string]any)
	require.Equal(r.t, "remote_unlock.requested", event["type"])
	return event["data"].(map[string]any)["request"].(string)
}

func TestWhatWasAcceptedIsToldOnceAndAfterTheCommit(t *testing.T) {
	b := newWorld(t, "busy")
	told := 0
	b.afar(func(_ eventstore.Request, result eventstore.Result) {
		if !result.Repeated {
			told++
		}
	})
	token := b.token("stan", domain.ScopeFull)
	for range 3 {
		b.send(token, "RemoteUnlock", `{"door":"gate"}`, "Idempotency-Key: click-1").requested()
	}
	assert.Equal(t, 1, told)
	b.send(token, "RemoteUnlock", `{"door":"nowhere"}`).problem(http.StatusNotFound, "unknown_door")
	assert.Equal(t, 1, told, "what is refused is not told")
	_, on := b.rehearse(token)
	b.send(token, "RemoteUnlock"+on, `{"door":"gate"}`).is(http.StatusOK)
	assert.Equal(t, 1, told, "nor is what is only tried on a rehearsal")
}

func TestAQuestionWaitsForTheOutcome(t *testing.T) {
	b := newWorld(t, "busy")
	token := b.token("stan", domain.ScopeFull)
	id := b.send(token, "RemoteUnlock", `{"door":"gate"}`).requested()
	pending := b.get(token, "/remote-unlocks/"+id).is(http.StatusOK).json()
	assert.Equal(t, map[string]any{"id": id, "door": "gate", "person": "stan", "gateway": "cabinet", "at": "2026-03-02T09:00:00Z"}, pending)
	b.get(token, "/remote-unlocks/"+id+"?wait=11").problem(http.StatusBadRequest, "malformed")

	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			r := b.get(token, "/remote-unlocks/"+id+"?wait=10").is(http.StatusOK)
			assert.Equal(t, "refused", r.json()["outcome"])
			assert.Equal(t, "deny_lease_ended", r.json()["code"])
		})
	}
	// Other commits do not end the waiting.
	b.send(token, "RemoteUnlock", `{"door":"gate"}`).is(http.StatusOK)
	b.execute(domain.ServiceActor("control"), "SettleRemoteUnlock", fmt.Sprintf(`{"request":%q,"outcome":"refused","code":"deny_lease_ended"}`, id))
	waiting.Wait()
	assert.Equal(t, []string{id}, b.get(token, "/remote-unlocks?outcome=refused").ids())
	assert.Empty(t, b.get(token, "/remote-unlocks?outcome=executed").ids())
	assert.Len(t, b.get(token, "/remote-unlocks?person=stan&door=gate").ids(), 3, "one of the beginning")

	other := b.token("vera", domain.ScopeFull)
	b.get(other, "/remote-unlocks/"+id).problem(http.StatusNotFound, "unknown_remote_unlock")
	b.send(token, "SettleRemoteUnlock", fmt.Sprintf(`{"request":%q,"outcome":"executed"}`, id)).problem(http.StatusForbidden, "role_not_permitted")
}

func TestAQuestionDoesNotWaitWhereTooManyDo(t *testing.T) {
	b := newWorld(t, "busy")
	b.fill(&b.api.budgets.waits)
	token := b.token("stan", domain.ScopeFull)
	id := b.send(token, "RemoteUnlock", `{"door":"gate"}`).requested()
	assert.NotContains(t, b.get(token, "/remote-unlocks/"+id+"?wait=10").is(http.StatusOK).json(), "outcome")
}
