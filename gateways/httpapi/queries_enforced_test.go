package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/gateways/receipts"
	"gatehouse/schemas/wire"
)

// publishes notes the present table of the site north as published.
func (b *bed) publishes() wire.Position {
	b.t.Helper()
	t := b.table("acme", "north")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.past = append(b.past, t)
	return headOf(t).Position()
}

// stillOpens is what is told of the doors that may still open for a person.
func (r reply) stillOpens() (p personEnforcement) {
	r.t.Helper()
	require.NoError(r.t, json.Unmarshal(r.is(http.StatusOK).body, &p))
	return p
}

func TestAGatewayIsShownWithWhatItEnforces(t *testing.T) {
	b := newWorld(t, "busy")
	stan := b.token("stan", domain.ScopeRead)
	items := b.get(stan, "/sites/north/enforcement").items()
	require.Len(t, items, 2)
	assert.Equal(t, "unknown", items[0]["state"])
	assert.NotContains(t, items[0], "enforced", "nothing is guessed")
	assert.NotContains(t, items[0], "online_since")

	p := b.position(stan)
	b.api.cfg.Receipts.Take(receipts.Receipt{Org: "acme", Site: "north", Gateway: "cabinet", Table: p, Upto: p, Current: true, Asked: b.clock(), Anchor: b.clock(), ClockErrorMS: 12})
	cabinet := b.get(stan, "/sites/north/enforcement?limit=1").items()[0]
	assert.Equal(t, map[string]any{"id": "cabinet", "state": "current", "table": p.String(), "enforced": p.String(), "enforced_since": "2026-03-02T09:00:00Z",
		"online_since": "2026-03-02T09:00:00Z", "clock_error_ms": 12.0, "doors": 1.0,
		"leases": []any{map[string]any{"class": "standard", "doors": 1.0, "ends": "2026-03-02T09:15:00Z"}}}, cabinet)

	b.set(start.Add(time.Minute))
	cabinet = b.get(stan, "/sites/north/enforcement").items()[0]
	assert.Equal(t, "offline", cabinet["state"])
	assert.Equal(t, "2026-03-02T09:00:00Z", cabinet["offline_since"])
	assert.NotContains(t, cabinet, "online_since")

	page := b.get(stan, "/sites/north/enforcement?limit=1").json()
	assert.Equal(t, []string{"spare"}, b.get(stan, "/sites/north/enforcement?cursor="+page["next"].(string)).ids())
	b.get(b.token("anna", domain.ScopeRead), "/sites/north/enforcement").problem(http.StatusForbidden, "role_not_permitted")
	b.get(b.token("sue", domain.ScopeRead), "/sites/north/enforcement").problem(http.StatusNotFound, "unknown_site")
	b.get(stan, "/sites/nowhere/enforcement").problem(http.StatusNotFound, "unknown_site")
}

// A revoked person may still come in where the gateway lacks the revocation, and until
// its lease ends.
func TestTheDoorsThatMayStillOpenAreTold(t *testing.T) {
	b := newWorld(t, "busy")
	olga, anna := b.token("olga", domain.ScopeFull), b.token("anna", domain.ScopeFull)
	b.hears("cabinet", b.publishes())
	assert.Empty(t, b.get(olga, "/people/anna/enforcement").stillOpens().Doors, "the gateway has the present table")

	b.set(start.Add(time.Minute))
	b.execute(domain.PersonActor("olga"), "RevokeBooking", `{"booking":"book-a1","cause":"unpaid"}`)
	b.publishes()
	want := doorStillOpen{Door: "gate", Site: "north", Gateway: "cabinet", State: receipts.Offline, Until: start.Add(15 * time.Minute)}
	told := b.get(olga, "/people/anna/enforcement").stillOpens()
	assert.Equal(t, []doorStillOpen{want}, told.Doors)
	assert.Equal(t, want.Until, told.MayOpenUntil)
	assert.Empty(t, b.get(olga, "/people/ben/enforcement").stillOpens().Doors, "the door opens for ben by the present table too")

	r := b.get(anna, "/people/anna/enforcement")
	assert.Equal(t, []doorStillOpen{{Door: "gate", Site: "north", Until: want.Until}}, r.stillOpens().Doors)
	assert.NotContains(t, string(r.body), "cabinet")

	b.set(start.Add(16 * time.Minute))
	assert.Empty(t, b.get(olga, "/people/anna/enforcement").stillOpens().Doors, "the lease has ended")
}

// After a start of the service a gateway may have any table whose lease may last.
func TestAGatewayThatIsUnknownMayHaveAnOlderTable(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	b.publishes()
	b.set(start.Add(time.Minute))
	b.execute(domain.PersonActor("olga"), "RevokeBooking", `{"booking":"book-a1","cause":"unpaid"}`)
	b.publishes()
	told := b.get(olga, "/people/anna/enforcement").stillOpens()
	require.Len(t, told.Doors, 1)
	assert.Equal(t, receipts.Unknown, told.Doors[0].State)
	assert.Equal(t, start.Add(15*time.Minute), told.Doors[0].Until)
	b.hears("cabinet", b.publishes())
	assert.Empty(t, b.get(olga, "/people/anna/enforcement").stillOpens().Doors)
}

func TestTheDoorsOfTheHiddenAreToldToNobody(t *testing.T) {
	b := newPrivateUnit(t)
	v := privateEyes{b, b.token("stan", domain.ScopeFull)}
	v.same("zoe", func(id string) reply { return v.get(v.token, "/people/"+id+"/enforcement") })
	b.get(v.token, "/people/zoe/enforcement").problem(http.StatusNotFound, "unknown_person")
	tenant := b.token("anna", domain.ScopeFull)
	assert.False(t, strings.Contains(string(b.get(tenant, "/people/stan/enforcement").body), "doors"))
}
