package domain

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/unlock"
	"gatehouse/randomtest"
)

// TestAnswersTellWhatTheRecordsDo asks for others over random histories with private
// units: no answer stands on a grant that the asker may not see, and whom they may not
// see is answered for as somebody whom there never was.
func TestAnswersTellWhatTheRecordsDo(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	hidden := 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		// will is a user of a2, and nothing else at first.
		h.send(PersonActor("ben"), SetUnitPrivacy{Unit: "a2", Enabled: true})
		for range rapid.IntRange(5, 25).Draw(t, "commands") {
			h.pass()
			h.step()
			if rarely(t, "privacy changes") {
				h.send(PersonActor("ben"), SetUnitPrivacy{Unit: "a2", Enabled: rapid.Bool().Draw(t, "private")})
			}
			q := Question{Door: draw(t, "door", storageDoors...), Side: unlock.In, At: h.at, Person: draw(t, "person", storagePeople...)}
			viewer := draw[ID](t, "viewer", "olga", "mara", "stan", "anna", "ben")
			if viewer == q.Person {
				continue // who learns everything
			}
			site := theRow(h.s.Doors, q.Door).Site
			seen, partial := h.s.AskedBy(h.s.AsOf(h.at), viewer, site, q)
			e := explain(t, seen, q)
			for _, w := range e.Ways {
				require.True(t, h.s.AsOf(h.at).SeesGrant(viewer, w.Grant), "%s is told of %s", viewer, w.Grant)
			}
			if Visible(h.s.AsOf(h.at), viewer, recordIn(h.s, h.s.People, q.Person)) {
				if !partial {
					whole := explain(t, h.s, q)
					require.Equal(t, whole.Allowed, e.Allowed, "%s may see everything that opens", viewer)
					if !HasPrivacy(h.s) {
						require.Equal(t, whole.body, e.body, "%s may see everything", viewer)
					}
				}
				continue
			}
			if !h.s.AsOf(h.at).RoleAt(viewer, site).AtLeast(RoleStaff) {
				continue // others may not ask
			}
			hidden++
			known := q.Person
			q.Person = "nobody"
			seen, _ = h.s.AskedBy(h.s.AsOf(h.at), viewer, site, q)
			nobody := explain(t, seen, q)
			named := strings.NewReplacer("nobody", string(known))
			require.Equal(t, named.Replace(nobody.body), e.body, "%s asks", viewer)
		}
	})
	require.NotZero(t, hidden)
}
