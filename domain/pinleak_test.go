package domain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withPins is a site in use where n people have a PIN for a while.
func withPins(t *testing.T, n int) *world {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, `mara RegisterGateway {"gateway":"cabinet","site":"north","public_key":"UDHMYFIH3QO524UVSUOCSCEI6CK23OIEJUNXHVUW43PQMXLIHPKPY3OP"}`)
	mustSend(w, `mara AssignDoorToGateway {"gateway":"cabinet","door":"gate"}`)
	var people, grants, pins []string
	for i := range n {
		people = append(people, fmt.Sprintf(`{"person":"v%d","name":"V"}`, i))
		grants = append(grants, fmt.Sprintf(`{"person":"v%d","right":"staff-doors"}`, i))
		pins = append(pins, fmt.Sprintf(`{"credential":"pin%d","person":"v%d","sites":["north"]}`, i, i))
	}
	mustSend(w, "stan RegisterPerson ["+strings.Join(people, ",")+"]")
	mustSend(w, "stan GrantRight ["+strings.Join(grants, ",")+"]")
	mustSend(w, "stan IssuePin ["+strings.Join(pins, ",")+"]")
	return w
}

// TestAStolenGatewayEndsManyPinsAtOnce: the fact alone ends 450 PINs and gives the
// site another key of tags; each end is recorded once.
func TestAStolenGatewayEndsManyPinsAtOnce(t *testing.T) {
	w := withPins(t, 450)
	site, _ := w.state.Sites.Get("north")
	require.Equal(t, uint32(1), site.TagKey())
	names := mustSend(w, `mara RetireGateway {"gateway":"cabinet","reason":"stolen"}`)
	assert.Equal(t, map[string]int{"gateway.retired": 1, "pin.leaked": maxConsequences}, names)
	for _, pin := range []string{"pin0", "pin449"} {
		assert.Equal(t, []string{"credential=" + pin + " door=gate side=in -> deny_credential_revoked"}, w.decide("credential="+pin+" door=gate side=in"))
	}
	site, _ = w.state.Sites.Get("north")
	assert.Equal(t, uint32(2), site.TagKey())
	rest := 0
	for w.state.Unsettled(1) > 0 {
		rest += mustSend(w, `service:due SettleConsequences {}`)["pin.leaked"]
		require.LessOrEqual(t, rest, 250)
	}
	assert.Equal(t, 250, rest)
	for id, c := range w.state.Credentials.All() {
		if c.Kind == KindPin {
			assert.Equal(t, reasonGatewayStolen, c.Reason, id)
			assert.Equal(t, ID("cabinet"), c.Leaked, id)
			assert.True(t, w.state.pinTaken([]ID{"north"}, c.Number.Text()), id)
			assert.False(t, w.state.pinTaken([]ID{"south"}, c.Number.Text()), id)
		}
	}
	assert.Equal(t, minPinDigits, PinLength(w.state, []ID{"north"}), "what has ended is nobody's to guess")
	w.check()
}
