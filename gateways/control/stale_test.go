package control

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// visitors are people with a fob each for the door gate, and the records of the gateway
// cabinet about them.
type visitors struct {
	*bed
	g      *gateway
	bodies [][]byte
	prev   wire.Hash
	sent   int
}

func newVisitors(t *testing.T) *visitors {
	b := newBed(t)
	v := &visitors{bed: b, g: b.gateway(silence)}
	b.first.execute(b.request(&domain.DefineAccessRight{Right: "all", Name: "All", Doors: []domain.ID{"gate"}, Schedule: "always"}))
	for _, p := range []domain.ID{"anna", "ben"} {
		b.first.execute(b.request(&domain.RegisterPerson{Person: p, Name: domain.Clear("Ana")}))
		b.first.execute(b.request(&domain.GrantRight{Grant: "g-" + p, Person: p, Right: "all"}))
		number := map[domain.ID]string{"anna": "1001", "ben": "1002"}[p]
		b.first.execute(b.request(&domain.AssignFob{Credential: "f-" + p, Number: domain.Clear(number), Person: p, Sites: []domain.ID{"north"}}))
	}
	return v
}

// table is the present one.
func (v *visitors) table() *wire.SiteTable { return v.g.follow(wire.NewSiteTable("acme", "north")) }

// grants notes that the gateway let somebody in by a table.
func (v *visitors) grants(table *wire.SiteTable, person wire.ID, at time.Time, change ...func(*wire.Activity)) {
	v.t.Helper()
	digest := table.Head().Digest.String()
	a := wire.Activity{Gateway: "cabinet", Boot: 1, K: uint64(len(v.bodies) + 1), Prev: v.prev, Type: wire.AccessGranted, At: at.UTC(), RecordedAt: at.UTC(), Door: "gate", Side: "in",
		Method: wire.MethodFob, Credential: "f-" + person, Person: person, Code: "allow_grant", Position: table.Head().Position().String(), Digest: digest}
	for _, f := range change {
		f(&a)
	}
	body, err := a.Encode()
	require.NoError(v.t, err)
	v.bodies, v.prev = append(v.bodies, body), wire.HashOf(body)
}

// sends sends the records that were not sent.
func (v *visitors) sends() {
	v.t.Helper()
	_, _, err := v.g.ask(wire.Ask{Type: wire.AskRecords}, v.bodies[v.sent:]...)
	require.NoError(v.t, err)
	v.sent = len(v.bodies)
}

var cabinet = outboxName{"acme", "north", "cabinet"}

// looks looks at all records as an instance that begins does.
func (i *instance) looks(s *staleness) {
	for more := true; more; {
		var err error
		more, err = s.look(i.t.Context(), cabinet)
		require.NoError(i.t, err)
	}
}

// marks are the marks that are stored.
func (i *instance) marks() (all []*wire.Activity) {
	_, err := i.store.Activity(i.t.Context(), "acme", "north", MarksOf("cabinet"), func(a *wire.Activity) error { all = append(all, a); return nil })
	require.NoError(i.t, err)
	return all
}

func (v *visitors) marked() (of []uint64) {
	v.t.Helper()
	v.first.looks(newStaleness(v.first.control))
	for _, a := range v.first.marks() {
		of = append(of, a.Of)
	}
	return of
}

// A grant after a revocation that the gateway lacked is marked, with both instants.
func TestAGrantThatWasTakenAwayIsMarked(t *testing.T) {
	v := newVisitors(t)
	old := v.table()
	v.grants(old, "anna", v.now())
	revoked := v.first.execute(v.request(&domain.RevokeRight{Grant: "g-anna"}))
	v.first.execute(v.request(&domain.RegisterPerson{Person: "carl", Name: domain.Clear("Carl")}))
	v.first.execute(v.request(&domain.DisableDoor{Door: "yard"}))
	at := revoked.At.Add(time.Hour)
	v.grants(old, "ben", at)
	v.grants(old, "anna", at)
	v.sends()
	require.Eventually(t, func() bool { return len(v.first.marks()) == 1 }, time.Minute, 10*time.Millisecond, "by itself, as the records came")
	assert.Equal(t, []uint64{3}, v.marked())
	m := v.first.marks()[0]
	assert.Equal(t, wire.AccessStale, m.Type)
	assert.Equal(t, wire.ID("cabinet"), m.OfGateway)
	assert.Equal(t, revoked.Position.String(), m.Position)
	assert.True(t, m.Changed.Equal(revoked.At))
	assert.True(t, m.At.Equal(at))
	assert.Equal(t, wire.ID("anna"), m.Person)
	assert.Equal(t, wire.ID("gate"), m.Door)
	assert.Equal(t, "deny_no_access_right", m.Code)
	assert.Equal(t, wire.Warning, m.Weight())
}

// Each case is a grant that nothing had taken away when it was given.
func TestOtherGrantsAreNotMarked(t *testing.T) {
	v := newVisitors(t)
	old := v.table()
	revoked := v.first.execute(v.request(&domain.RevokeRight{Grant: "g-anna"}))
	again := v.first.execute(v.request(&domain.GrantRight{Grant: "g-anna-2", Person: "anna", Right: "all"}))
	v.grants(old, "anna", again.At.Add(time.Second)) // given back
	v.first.execute(v.request(&domain.SuspendPerson{Person: "ben"}))
	v.grants(old, "ben", revoked.At) // before the change
	after := v.now().Add(time.Hour)
	v.grants(old, "ben", after, func(a *wire.Activity) { a.Type = wire.AccessDenied })
	v.grants(old, "ben", after, func(a *wire.Activity) { a.Order = "order-1" })                  // the service decided
	v.grants(old, "ben", after, func(a *wire.Activity) { a.Credential, a.Person = "", "" })      // nobody known
	v.grants(old, "ben", after, func(a *wire.Activity) { a.Door = "yard" })                      // denied by its own table too
	v.grants(v.table(), "ben", after)                                                            // it contradicts the present table, and lacked nothing
	v.grants(old, "ben", after, func(a *wire.Activity) { a.Local = []byte(`{"blocked":true}`) }) // denied by its own table too
	v.sends()
	assert.Empty(t, v.marked())
}

// Each grant is marked once and in order. Instances may look at the same time, and begin
// again after they were killed at any moment.
func TestAGrantIsMarkedOnce(t *testing.T) {
	v := newVisitors(t)
	other := v.instance()
	old := v.table()
	revoked := v.first.execute(v.request(&domain.RevokeRight{Grant: "g-anna"}))
	var want []uint64
	for n := range 8 {
		for k := range 10 {
			person := wire.ID("ben")
			if (n+k)%3 == 0 {
				person, want = "anna", append(want, uint64(len(v.bodies)+1))
			}
			v.grants(old, person, revoked.At.Add(time.Duration(k)*time.Second))
		}
		v.sends()
		var looking sync.WaitGroup
		for _, i := range []*instance{v.first, other, v.first, other} {
			looking.Go(func() { i.looks(newStaleness(i.control)) })
		}
		looking.Wait()
		assert.Equal(t, want, v.marked())
	}
}

// countedTables counts how often past tables are read.
type countedTables struct {
	published
	read int
}

// published is [Tables] under another name than its method.
type published interface{ Tables }

func (c *countedTables) Tables(ctx context.Context, org, site domain.ID, before func(wire.PermissionHead) bool, f func(*unlock.Table, wire.PermissionHead) error) error {
	c.read++
	return c.published.Tables(ctx, org, site, before, f)
}

func TestMostGrantsNeedNoPastTable(t *testing.T) {
	v := newVisitors(t)
	old := v.table()
	for range 100 {
		v.grants(old, "anna", v.now())
	}
	changed := v.first.execute(v.request(&domain.DisableDoor{Door: "yard"}))
	for range 100 {
		v.grants(old, "anna", changed.At.Add(time.Minute)) // still allowed by the present table
	}
	v.sends()
	cfg := v.first.control.cfg
	counted := &countedTables{published: cfg.Tables}
	cfg.Tables, cfg.Metrics = counted, prometheus.NewRegistry()
	v.first.looks(newStaleness(New(cfg)))
	assert.Empty(t, v.first.marks())
	assert.Zero(t, counted.read)
}
