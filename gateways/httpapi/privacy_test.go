package httpapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain"
)

func TestCommitsLeaveOutWhatIsPrivate(t *testing.T) {
	b := newWorld(t, "storage")
	olga, anna := b.token("olga", domain.ScopeFull), b.token("anna", domain.ScopeFull)
	before := b.positions(olga, "/commits?limit=500")
	b.set(start.Add(time.Hour))
	shown := b.send(anna, "SetUnitPrivacy", `{"unit":"a1","enabled":true}`).is(http.StatusOK).json()["position"].(string)
	hidden := b.send(anna, "CreateUnitUser", `{"unit":"a1","name":"Zoe","access":[{"right":"unit-a1","mode":"always"}]}`).is(http.StatusOK).json()
	assert.Len(t, hidden["events"], 2)
	b.set(start.Add(2 * time.Hour))
	again := b.send(anna, "SetUnitPrivacy", `{"unit":"a1","enabled":false}`).is(http.StatusOK).json()["position"].(string)

	assert.Equal(t, append(before, shown, again), b.positions(olga, "/commits?limit=500"))
	assert.Equal(t, []string{again, shown}, b.positions(olga, "/commits?order=newest&limit=3"))
	assert.Empty(t, b.get(olga, "/commits?type=unit_user.created").items())
}

// TestAnswersLeaveOutWhatIsPrivate: neither what would follow from a command nor what
// did lists the users of a unit with privacy.
func TestAnswersLeaveOutWhatIsPrivate(t *testing.T) {
	b := newWorld(t, "storage")
	stan, anna := b.token("stan", domain.ScopeFull), b.token("anna", domain.ScopeFull)
	b.send(anna, "CreateUnitUser", `{"unit":"a1","email":"vera@example.com","access":[{"right":"unit-a1","mode":"always"}]}`).is(http.StatusOK)
	b.send(anna, "IssuePin", `{"credential":"pin-vera","unit":"a1","person":"vera"}`).is(http.StatusOK)
	b.send(anna, "SetUnitPrivacy", `{"unit":"a1","enabled":true}`).is(http.StatusOK)
	types := func(answer map[string]any) (out []string) {
		for _, e := range answer["events"].([]any) {
			out = append(out, e.(map[string]any)["type"].(string))
		}
		return out
	}
	removal := `{"unit":"a1","person":"vera"}`
	assert.Equal(t, []string{"unit_user.removed", "pin.revoked"}, types(b.send(anna, "RemoveUnitUser?dry_run=true", removal).is(http.StatusOK).json()))
	assert.Equal(t, []string{"unit_user.removed"}, types(b.send(stan, "RemoveUnitUser?dry_run=true", removal).is(http.StatusOK).json()))
	for _, command := range []string{"RevokeBooking?dry_run=true", "RevokeBooking"} {
		assert.Equal(t, []string{"booking.revoked"}, types(b.send(stan, command, `{"booking":"book-a1"}`).is(http.StatusOK).json()), command)
	}
}
