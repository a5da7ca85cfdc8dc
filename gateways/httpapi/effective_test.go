package httpapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain"
)

// TestWhatHoldsNowIsTold: shares, grants and units say what they come to at the instant
// of the question, not only what stands on record.
func TestWhatHoldsNowIsTold(t *testing.T) {
	b := newWorld(t, "busy")
	olga, anna, vera := b.token("olga", domain.ScopeFull), b.token("anna", domain.ScopeFull), b.token("vera", domain.ScopeFull)
	b.send(olga, "SetSitePolicy", `{"site":"north","policy":{"share_depth":2}}`).is(http.StatusOK)
	b.send(anna, "ShareAccess", `{"shares":["s1"],"bookings":["book-a1"],"sharees":[{"email":"vera@example.com"}],"from":"2026-03-05","until":"2026-03-20"}`).is(http.StatusOK)
	b.send(vera, "ShareAccess", `{"shares":["s2"],"bookings":["book-a1"],"sharees":[{"email":"rita@example.com"}],"from":"2026-03-02","until":"2026-06-30"}`).is(http.StatusOK)
	share := b.get(vera, "/shares/s2").is(http.StatusOK).json()
	assert.Equal(t, []any{"2026-03-05", "2026-03-20", "active"}, []any{share["effective_from"], share["effective_until"], share["effective_state"]}, "who shared it on reads it")
	b.get(b.token("will", domain.ScopeRead), "/shares/s2").problem(http.StatusNotFound, "unknown_share")
	b.send(olga, "SuspendBooking", `{"booking":"book-a1","level":"overlock"}`).is(http.StatusOK)
	share = b.get(olga, "/shares/s2").is(http.StatusOK).json()
	assert.Equal(t, []any{"suspended", "active"}, []any{share["effective_state"], share["state"]})

	state := func(grant string) any { return b.get(olga, "/grants/"+grant).is(http.StatusOK).json()["state"] }
	b.send(olga, "GrantRight", `{"grant":"later","person":"will","right":"visitor-doors","from":"2026-05-01"}`).is(http.StatusOK)
	b.send(olga, "GrantRight", `{"grant":"gone","person":"will","right":"visitor-doors","until":"2026-12-01"}`).is(http.StatusOK)
	b.send(olga, "RevokeRight", `{"grant":"gone"}`).is(http.StatusOK)
	assert.Equal(t, []any{"active", "not_started", "revoked"}, []any{state("grant-vera"), state("later"), state("gone")})
	b.set(time.Date(2026, 5, 10, 9, 0, 0, 0, time.UTC))
	olga = b.token("olga", domain.ScopeFull)
	assert.Equal(t, []any{"ended", "active"}, []any{state("grant-vera"), state("later")})
}

// TestARoleEndsAtItsInstant: who had a role until an instant reads nothing by it from
// then on, whether the end is on record or not.
func TestARoleEndsAtItsInstant(t *testing.T) {
	b := newWorld(t, "house")
	b.execute(domain.PersonActor("olga"), "AssignRole", `{"person":"ben","role":"staff","site":"north","until":"2026-03-03T12:00:00Z"}`)
	b.set(time.Date(2026, 3, 3, 11, 0, 0, 0, time.UTC))
	ben := b.token("ben", domain.ScopeRead)
	b.get(ben, "/doors/gate").is(http.StatusOK)
	b.set(time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC))
	b.get(ben, "/doors/gate").problem(http.StatusNotFound, "unknown_door")
}

// TestAUnitThatNobodyHasTellsOfNoMoveIn: when it was moved in is of the tenancy before.
func TestAUnitThatNobodyHasTellsOfNoMoveIn(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	assert.Contains(t, b.get(olga, "/units/a1").is(http.StatusOK).json(), "moved_in_at")
	b.send(olga, "MoveOut", `{"booking":"book-a1"}`).is(http.StatusOK)
	assert.NotContains(t, b.get(olga, "/units/a1").is(http.StatusOK).json(), "moved_in_at")
}

// TestWarningsNameWhatTheyAreAbout: a program ends what a warning names by its ids.
func TestWarningsNameWhatTheyAreAbout(t *testing.T) {
	b := newWorld(t, "busy")
	answer := b.send(b.token("olga", domain.ScopeFull), "MapUnitAccess", `{"unit":"a1","rights":[{"right":"entries"}]}`).is(http.StatusOK).json()
	warning := answer["warnings"].([]any)[0].(map[string]any)
	assert.Equal(t, "rights_dropped", warning["code"])
	assert.Equal(t, []any{"unit-a1"}, warning["ids"])
}
