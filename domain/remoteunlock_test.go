package domain

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// afar is an org with a gate that opens remotely by a gateway, and olga, who works
// there.
func afar(t *testing.T) *world {
	w := newWorld(t)
	w.base("storage")
	w.given("afar", `mara RegisterGateway {"gateway":"cabinet","site":"north","public_key":"`+string(someGatewayKeys[0])+`"}
mara AssignDoorToGateway {"gateway":"cabinet","door":"gate"}`)
	return w
}

// askAfar asks the gate to open, n times at once.
func (w *world) askAfar(id UUID, person ID, n int) ([]ID, *Refusal) {
	typ, _ := CommandNamed("RemoteUnlock")
	cmds := make([]Command, n)
	for i := range cmds {
		cmds[i] = RemoteUnlock{Door: "gate"}
	}
	c := Context{ID: id, At: w.at, Actor: PersonActor(person)}
	d, r := w.decideOnly(c, typ, cmds...)
	if r != nil {
		return nil, r
	}
	w.commit(Moment{w.state.N + 1, w.at, id, c.Actor}, d.Events)
	var ids []ID
	for _, e := range d.Events {
		ids = append(ids, e.(RemoteUnlockRequested).Request)
	}
	return ids, nil
}

// opened records that the gate opened.
func (w *world) opened(request ID) {
	w.commit(Moment{N: w.state.N + 1, At: w.at, Actor: ServiceActor("control")}, []Event{RemoteUnlockExecuted{request, "gate", "olga"}})
}

// unknowns gives what time has made unknown.
func (w *world) unknowns(at time.Time) (ids []ID) {
	due, _ := w.state.Due(at)
	for _, d := range due {
		if c, ok := d.Command.(SettleRemoteUnlock); ok {
			assert.Equal(w.t, UnlockUnknown, c.Outcome)
			assert.Equal(w.t, theRow(w.state.UnlockRequests, c.Request).At.Add(15*time.Second), d.At)
			ids = append(ids, c.Request)
		}
	}
	return ids
}

func TestARemoteUnlockWithoutAnOutcomeIsUnknownInTheEnd(t *testing.T) {
	w := afar(t)
	ids, r := w.askAfar(DeriveUUID(UUID{}, "one"), "olga", 2)
	require.Nil(t, r)
	end := w.at.Add(RemoteUnlockValid + remoteUnlockGrace)
	assert.Empty(t, w.unknowns(end.Add(-1)))
	assert.ElementsMatch(t, ids, w.unknowns(end))
	w.opened(ids[0])
	assert.Equal(t, ids[1:], w.unknowns(end))
}

func TestRemoteUnlocksUnderWayAreBounded(t *testing.T) {
	w := afar(t)
	_, r := w.askAfar(DeriveUUID(UUID{}, "many"), "olga", maxOwnUnlocks+1)
	require.Equal(t, "too_many_remote_unlocks", r.Code, "in one list")
	own, r := w.askAfar(DeriveUUID(UUID{}, "some"), "olga", maxOwnUnlocks)
	require.Nil(t, r)
	_, r = w.askAfar(DeriveUUID(UUID{}, "more"), "olga", 1)
	require.Equal(t, "too_many_remote_unlocks", r.Code)
	_, r = w.askAfar(DeriveUUID(UUID{}, "other"), "stan", 1)
	require.Nil(t, r, "one person does not hold up others")
	w.opened(own[0])
	_, r = w.askAfar(DeriveUUID(UUID{}, "again"), "olga", 1)
	require.Nil(t, r)

	var all []Event
	for i := range maxOpenUnlocks - w.state.UnlockRequests.Len() + 1 {
		all = append(all, RemoteUnlockRequested{Request: numbered("r", i), Door: "gate", Person: numbered("p", i)})
	}
	w.commit(Moment{N: w.state.N + 1, At: w.at}, all)
	_, r = w.askAfar(DeriveUUID(UUID{}, "of all"), "stan", 1)
	require.Equal(t, "too_many_remote_unlocks", r.Code, "of all people together")
}

func TestTheLatestRemoteUnlocksAreRemembered(t *testing.T) {
	w := afar(t)
	open, r := w.askAfar(DeriveUUID(UUID{}, "open"), "olga", 1)
	require.Nil(t, r)
	n := 3*keptUnlocks + maxOpenUnlocks
	for i := range n {
		w.at = w.at.Add(time.Second)
		id := ID(fmt.Sprintf("r-%04d", n-i)) // the order of ids is not that of time
		w.commit(Moment{N: w.state.N + 1, At: w.at, Actor: PersonActor("olga")}, []Event{
			RemoteUnlockRequested{Request: id, Door: "gate", Person: "olga"}, RemoteUnlockFailed{Request: id, Door: "gate", Person: "olga", Reason: UnlockUnreachable}})
		require.LessOrEqual(t, w.state.UnlockRequests.Len(), 2*keptUnlocks+maxOpenUnlocks)
	}
	assert.True(t, w.state.UnlockRequests.Has(open[0]), "what has no outcome is not forgotten")
	for i := range keptUnlocks {
		require.True(t, w.state.UnlockRequests.Has(ID(fmt.Sprintf("r-%04d", i+1))), "r-%04d", i+1)
	}
	assert.False(t, w.state.UnlockRequests.Has(ID(fmt.Sprintf("r-%04d", n))))
	w.check()
}
