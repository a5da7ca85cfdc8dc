package domain

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnImpactTellsNothingOfAPrivateUnit: what somebody would gain is told as if they
// had no way by a unit with privacy, whichever doors those ways open. To try a right or a
// PIN on them would else tell which doors they pass already.
func TestAnImpactTellsNothingOfAPrivateUnit(t *testing.T) {
	for name, given := range map[string]string{
		"no user": `anna SetUnitPrivacy {"unit":"a1","enabled":true}`,
		"a user": `anna CreateUnitUser {"unit":"a1","email":"vera@example.com","access":[{"right":"unit-a1","mode":"always"}]}
anna SetUnitPrivacy {"unit":"a1","enabled":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.base("storage")
			w.given("private", `stan GrantRight {"grant":"g-vera","person":"vera","right":"visitor-doors"}
`+given)
			i := w.foresee(`stan GrantRight {"grant":"g-unit","person":"vera","right":"unit-a1"}`)
			require.Len(t, i.Gained.List, 1)
			c := i.Gained.List[0]
			assert.Equal(t, []any{ID("door-a1"), EffectGained, []string{"g-unit"}, 0}, []any{c.Door, c.Effect, c.Through, len(c.Remains)})
			assert.Equal(t, AccessChanges{People: 1, Doors: 1, Pairs: 1, List: i.Gained.List}, i.Gained)

			i = w.foresee(`stan IssuePin {"credential":"pin-vera","person":"vera","sites":["north"]}`)
			require.Len(t, i.Credentials.List, 1)
			assert.NotContains(t, i.Credentials.List[0].Doors, ID("door-a1"))

			mustSend(w, `stan GrantRight {"grant":"g-unit","person":"vera","right":"unit-a1"}`)
			i = w.foresee(`stan RevokeRight {"grant":"g-unit"}`)
			require.Len(t, i.Lost.List, 1)
			c = i.Lost.List[0]
			assert.Equal(t, []any{ID("door-a1"), EffectLost, []string{"g-unit"}}, []any{c.Door, c.Effect, c.Through})
			assert.Zero(t, i.Lost.Hidden)
		})
	}
}
