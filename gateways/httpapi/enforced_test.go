package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/gateways/receipts"
	"gatehouse/schemas/wire"
)

// hears lets the API hear from a gateway of north that it enforces everything up to a
// position.
func (b *bed) hears(gateway domain.ID, upto wire.Position) {
	b.api.cfg.Receipts.Take(receipts.Receipt{Org: "acme", Site: "north", Gateway: gateway, Table: upto, Upto: upto, Current: true, Asked: b.clock(), Anchor: b.clock()})
}

// position is where the org stands.
func (b *bed) position(token string) (p wire.Position) {
	b.t.Helper()
	require.NoError(b.t, p.UnmarshalText([]byte(b.get(token, "").json()["position"].(string))))
	return p
}

// told is what an answer tells of enforcement.
func (r reply) told() (e Enforcement) {
	r.t.Helper()
	require.NoError(r.t, json.Unmarshal(r.body, &e))
	return e
}

func TestACommandWaitsUntilGatewaysEnforceIt(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	b.hears("cabinet", b.position(olga))
	heard := b.clock()

	// One that lags is told of, with the latest instant of each class of its doors.
	b.set(b.clock().Add(time.Minute))
	lag := b.send(olga, "DisableDoor?wait=enforced&timeout=1ms", `{"door":"gate"}`, "Idempotency-Key: first").is(http.StatusAccepted).told()
	assert.Equal(t, enforcedPending, lag.Enforced)
	assert.Equal(t, heard.Add(15*time.Minute), lag.MayOpenUntil)
	require.Len(t, lag.Missing, 1)
	row := lag.Missing[0]
	assert.Equal(t, domain.ID("cabinet"), row.Gateway)
	assert.Equal(t, receipts.Offline, row.State)
	assert.Equal(t, []receipts.ClassEnd{{Class: domain.ClassStandard, Doors: 1, Ends: heard.Add(15 * time.Minute)}}, row.Leases)
	assert.Empty(t, lag.MissingDoors)

	// A retry waits too, and is answered once the gateway enforces the command.
	answered := make(chan reply, 1)
	go func() {
		answered <- b.send(olga, "DisableDoor?wait=enforced&timeout=30s", `{"door":"gate"}`, "Idempotency-Key: first")
	}()
	require.Eventually(t, func() bool { return b.api.budgets.enforced.Taken() == 1 }, time.Minute, time.Millisecond)
	assert.Zero(t, b.api.budgets.urgent.Taken()+b.api.budgets.requests.Taken()+b.api.budgets.urgentBodies.Taken(), "a wait holds no place of a command")
	b.hears("cabinet", b.position(olga))
	answer := (<-answered).is(http.StatusOK)
	assert.Equal(t, Enforcement{Enforced: enforcedEverywhere}, answer.told())
	assert.Equal(t, true, answer.json()["repeated"])
	assert.Zero(t, b.api.budgets.enforced.Taken())
}

func TestWhereNoGatewayHasToEnforceACommand(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeFull)
	assert.Equal(t, enforcedNoGateway, b.send(olga, "DisableDoor?wait=enforced", `{"door":"gate"}`).is(http.StatusOK).told().Enforced)
	assert.Equal(t, enforcedUnchanged, b.send(olga, "DisableDoor?wait=enforced", `{"door":"gate"}`).is(http.StatusOK).told().Enforced, "it was so already")
	assert.Equal(t, enforcedUnchanged, b.send(olga, "RegisterPerson?wait=enforced", `{"person":"ada","name":"Ada"}`).is(http.StatusOK).told().Enforced)
	assert.NotContains(t, string(b.send(olga, "EnableDoor", `{"door":"gate"}`).is(http.StatusOK).body), "enforced", "nobody asked")
}

// A gateway that this instance has not heard of may have got a lease just before.
func TestAGatewayThatIsUnknownIsSaidToBe(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	lag := b.send(olga, "DisableDoor?wait=enforced&timeout=1ms", `{"door":"gate"}`).is(http.StatusAccepted).told()
	require.Len(t, lag.Missing, 1)
	assert.Equal(t, receipts.Unknown, lag.Missing[0].State)
	assert.Nil(t, lag.Missing[0].Upto)
	assert.Equal(t, start.Add(15*time.Minute), lag.MayOpenUntil, "from when the instance began to listen")
}

// A device that decides by itself has no lease that ends.
func TestADeviceThatDecidesHasNoEnd(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	p := b.position(olga)
	b.api.cfg.Receipts.Take(receipts.Receipt{Org: "acme", Site: "north", Gateway: "cabinet", Table: p, Upto: p, DeviceN: p.N, Asked: b.clock(), Anchor: b.clock()})
	lag := b.send(olga, "DisableDoor?wait=enforced&timeout=1ms", `{"door":"gate"}`).is(http.StatusAccepted).told()
	assert.Zero(t, lag.MayOpenUntil)
	assert.True(t, lag.Missing[0].Unbounded)
}

// A gateway that is retired, or lost its last door, may open it while its lease lasts. It
// cannot say that it knows, or need not.
func TestAGatewayWithoutDoorsMayStillOpenThem(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	b.hears("cabinet", b.position(olga))
	b.send(olga, "RemoveDoorFromGateway?wait=enforced&timeout=1ms", `{"gateway":"cabinet","door":"gate"}`).is(http.StatusAccepted)
	lag := b.send(olga, "RetireGateway?wait=enforced", `{"gateway":"cabinet","reason":"broken"}`).is(http.StatusAccepted).told()
	require.Len(t, lag.Missing, 1)
	assert.Equal(t, b.clock().Add(15*time.Minute), lag.MayOpenUntil)
	b.set(b.clock().Add(16 * time.Minute))
	assert.Equal(t, enforcedNoGateway, b.send(olga, "DisableDoor?wait=enforced", `{"door":"gate"}`).is(http.StatusOK).told().Enforced)
}

// Tenants are told of doors that they may see, and of no gateway.
func TestATenantIsToldOfDoorsAlone(t *testing.T) {
	b := newWorld(t, "busy")
	anna := b.token("anna", domain.ScopeFull)
	r := b.send(anna, "IssueMobileKey?wait=enforced&timeout=1ms", `{"credential":"key-anna-2","person":"anna"}`).is(http.StatusAccepted)
	lag := r.told()
	assert.Equal(t, []domain.ID{"gate"}, lag.MissingDoors)
	assert.Empty(t, lag.Missing)
	assert.NotZero(t, lag.MayOpenUntil)
	assert.NotContains(t, string(r.body), "cabinet")
}

// A caller who finds no place to wait is told what is known: the command is committed.
func TestWithoutAPlaceNobodyWaits(t *testing.T) {
	b := newWorld(t, "busy")
	result := b.execute(domain.PersonActor("olga"), "DisableDoor", `{"door":"gate"}`)
	b.fill(&b.api.budgets.enforced)
	ctx := context.WithValue(t.Context(), infoKey{}, &info{caller: &caller{org: "acme", person: "olga"}})
	told := make(chan Enforcement, 1)
	go func() { told <- b.api.awaitEnforced(ctx, time.Hour, result) }()
	require.Eventually(t, func() bool { return len(told) == 1 }, time.Minute, time.Millisecond)
	assert.Equal(t, enforcedPending, (<-told).Enforced)
}

func TestHowAWaitIsAskedFor(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	before := b.position(olga)
	for _, query := range []string{"wait=never", "wait=", "timeout=5s", "wait=enforced&timeout=0s", "wait=enforced&timeout=31s", "wait=enforced&timeout=-1s",
		"wait=enforced&timeout=5", "wait=enforced&timeout=", "wait=enforced&dry_run=true"} {
		b.send(olga, "DisableDoor?"+query, `{"door":"gate"}`).problem(http.StatusBadRequest, "malformed")
	}
	assert.Equal(t, before, b.position(olga))
}

func TestTheDocumentTellsOfEnforcement(t *testing.T) {
	b := newBed(t, Limits{})
	properties := shownProperties(t, b, "CommandResult")
	for _, name := range []string{"enforced", "may_open_until", "missing", "missing_doors"} {
		assert.Contains(t, properties, name)
	}
}
