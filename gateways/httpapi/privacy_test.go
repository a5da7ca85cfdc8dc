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
