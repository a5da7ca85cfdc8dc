package httpapi

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// dryRun sends a command that is only tried, and gives its impact.
func (b *bed) dryRun(token, command, body string) (position string, told domain.Impact) {
	r := b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/"+command+"?dry_run=true", body).is(http.StatusOK)
	var answer struct {
		Position string        `json:"position"`
		Impact   domain.Impact `json:"impact"`
	}
	require.NoError(b.t, json.Unmarshal(r.body, &answer))
	return answer.Position, answer.Impact
}

// TestASurpriseIsAConflict: what was told before holds for the position, and a
// command that names it is refused once somebody else has changed anything.
func TestASurpriseIsAConflict(t *testing.T) {
	b := newWorld(t, "storage")
	stan, mara := b.token("stan", domain.ScopeFull), b.token("mara", domain.ScopeFull)
	body := `{"booking":"book-a1"}`
	at, told := b.dryRun(stan, "RevokeBooking", body)
	assert.Equal(t, domain.AccessChanges{People: 1, Doors: 3, Pairs: 3, List: told.Lost.List}, told.Lost)
	assert.Equal(t, domain.ID("anna"), told.Lost.List[0].Person)
	assert.Equal(t, 1, told.Ends.Count)

	b.send(mara, "GrantRight", `{"person":"anna","right":"staff-doors"}`).is(http.StatusOK)
	path := "/v1/orgs/acme/commands/RevokeBooking?if_position="
	p := b.ask(stan, http.MethodPost, path+at, body).problem(http.StatusConflict, "version_conflict")
	assert.Contains(t, p.Detail, "position")

	now, told := b.dryRun(stan, "RevokeBooking", body)
	assert.NotEqual(t, at, now)
	assert.Equal(t, domain.AccessChanges{People: 1, Doors: 1, Pairs: 1, List: told.Lost.List}, told.Lost, "she keeps the gate and the lift by the grant")
	r := b.ask(stan, http.MethodPost, path+now, body).is(http.StatusOK).json()
	assert.NotContains(t, r, "impact", "what happened is told by its events")
}

// TestAnImpactShowsWhatTheSenderMaySee: with privacy of a unit, staff learn how many
// of its users a command concerns.
func TestAnImpactShowsWhatTheSenderMaySee(t *testing.T) {
	b := newWorld(t, "storage")
	stan, anna := b.token("stan", domain.ScopeFull), b.token("anna", domain.ScopeFull)
	b.send(stan, "ShareAccess", `{"bookings":["book-a1"],"sharees":[{"person":"will"}],"from":"2026-03-02","until":"2026-03-31","shares":["share-will"]}`).is(http.StatusOK)
	_, told := b.dryRun(anna, "RevokeShare", `{"share":"share-will"}`)
	assert.Equal(t, domain.ID("will"), told.Lost.List[0].Person)
	b.send(anna, "SetUnitPrivacy", `{"unit":"a1","enabled":true}`).is(http.StatusOK)
	_, told = b.dryRun(stan, "RevokeBooking", `{"booking":"book-a1"}`)
	assert.Equal(t, 2, told.Lost.People)
	assert.Equal(t, 3, told.Lost.Hidden)
	for _, c := range told.Lost.List {
		assert.Equal(t, domain.ID("anna"), c.Person)
	}
}
