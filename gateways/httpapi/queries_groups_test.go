package httpapi

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain"
)

func TestGroupsAreAskedFor(t *testing.T) {
	b := newWorld(t, "busy")
	olga, gus := b.token("olga", domain.ScopeFull), b.token("gus", domain.ScopeFull)
	rita, anna := b.token("rita", domain.ScopeFull), b.token("anna", domain.ScopeFull)
	for path, want := range map[string][]string{
		"groups":                          {"crew", "south-crew"},
		"groups?door=gate":                {"crew"},
		"groups?site=south":               {"south-crew"},
		"group-members?group=crew":        {"crew/gus", "crew/mara", "crew/rita"},
		"group-members?person=rita":       {"crew/rita"},
		"group-members?role=owner":        {"crew/mara", "south-crew/sue"},
		"group-members?role=user&group=x": {},
	} {
		assert.Equal(t, want, b.get(olga, "/"+path).ids(), path)
	}
	crew := b.get(rita, "/groups/crew").json()
	assert.Equal(t, "Crew", crew["name"])
	assert.Equal(t, []any{"gate", "lift"}, crew["doors"])
	assert.Equal(t, "Always", crew["text"])
	assert.Equal(t, []string{"crew/rita"}, b.get(rita, "/group-members").ids())
	assert.Equal(t, []string{"crew/gus", "crew/mara", "crew/rita"}, b.get(gus, "/group-members").ids())
	assert.Empty(t, b.get(anna, "/groups").ids())
	b.get(anna, "/groups/crew").problem(http.StatusNotFound, "unknown_group")

	b.send(gus, "SetGroupBusinessHours", `{"group":"crew","times":{"windows":[{"days":["mon"],"from":"09:00","to":"17:00"}]}}`).is(http.StatusOK)
	assert.Equal(t, "Monday, 09:00 - 17:00", b.get(rita, "/groups/crew").json()["business_hours_text"])
	b.send(rita, "AddMember", `{"group":"crew","person":"anna","role":"user"}`).problem(http.StatusForbidden, "role_not_permitted")
}
