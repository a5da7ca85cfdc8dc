package httpapi

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain"
)

// People read the name, the site and the clock of the doors that were given to them.
// They learn nothing of how the doors are installed, also not by the filters of a list.
func TestPeopleReadTheDoorsThatTheyMayOpen(t *testing.T) {
	b := newWorld(t, "busy")
	ben, olga := b.token("ben", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	zone := b.get(olga, "/sites/north").json()["zone"]
	full := b.get(olga, "/doors/gate").json()
	want := map[string]any{"id": "gate", "site": "north", "name": full["name"], "kind": full["kind"], "zone": zone}
	assert.Equal(t, want, b.get(ben, "/doors/gate").json())
	assert.Contains(t, b.get(ben, "/doors").ids(), "gate")
	assert.Contains(t, b.get(ben, "/doors?site=north").ids(), "gate")
	assert.Empty(t, b.get(ben, "/doors?gateway=cabinet").ids())
	assert.NotEmpty(t, b.get(olga, "/doors?gateway=cabinet").ids())

	site := b.get(ben, "/sites/north").json()
	assert.Equal(t, zone, site["zone"])
	for _, hidden := range []string{"policy", "pins", "calendar", "blackouts", "notifications", "lock_system", "posture"} {
		assert.NotContains(t, site, hidden)
	}
	assert.Equal(t, []string{"north"}, b.get(ben, "/sites").ids())
	b.get(ben, "/doors/south-gate").problem(http.StatusNotFound, "unknown_door")
	b.get(ben, "/doors/nowhere").problem(http.StatusNotFound, "unknown_door")
	b.get(ben, "/sites/south").problem(http.StatusNotFound, "unknown_site")
}
