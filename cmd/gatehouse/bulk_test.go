package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/bulk"
	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/gateways/httpapi"
)

// full is a count in full when GATEHOUSE_LONG is set, else a small one.
func full(most, few int) int {
	if os.Getenv("GATEHOUSE_LONG") != "" {
		return most
	}
	return few
}

// estate is a site with units, tenants and bookings, as files that are imported.
type estate struct {
	*station
	site  string
	units int
}

// newEstate makes the site with its doors and rights.
func newEstate(s *station, units int) *estate {
	s.t.Helper()
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	s.must("do", "CreateDoor", "door=gate", "site=hq", "name=Gate", "kind=gate")
	s.must("do", "DefineAccessRight", "right=entries", "name=Entries", "doors=gate", "schedule=always")
	return &estate{s, "hq", units}
}

// lines makes a file of a header and a line for each unit from first on.
func (e *estate) lines(name, header string, first int, line func(i int) string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := first; i < e.units; i++ {
		b.WriteString(line(i) + "\n")
	}
	return e.file(name+".csv", b.String())
}

// step imports a file, and says how long it took.
func (e *estate) step(kind, path string) bulk.Imported {
	e.t.Helper()
	began := time.Now()
	got := lastLine[bulk.Imported](e.t, e.must("import", kind, path))
	e.t.Logf("%-10s %5d lines in %2d commits, %.2f s", kind, got.Accepted, got.Commits, time.Since(began).Seconds())
	require.Equal(e.t, e.units, got.Accepted)
	return got
}

// build registers units with their rights and tenants with bookings.
func (e *estate) build() (commits int) {
	for _, step := range []struct {
		kind, header string
		line         func(i int) string
	}{
		{"units", "unit,site,name", func(i int) string { return fmt.Sprintf("u%d,hq,Unit %d", i, i) }},
		{"unit-rights", "unit,rights", func(i int) string { return fmt.Sprintf(`u%d,"[{""right"":""entries""}]"`, i) }},
		{"people", "person,name,email", func(i int) string { return fmt.Sprintf("t%d,Tenant %d,t%d@example.com", i, i, i) }},
		{"bookings", "booking,unit,person,from", func(i int) string { return fmt.Sprintf("b%d,u%d,t%d,2026-03-01", i, i, i) }},
	} {
		commits += e.step(step.kind, e.lines(step.kind, step.header, 0, step.line)).Commits
	}
	return commits
}

// A move-in of many tenants: units, people, bookings, the move itself, a fob each.
func TestAMoveInOfManyTenants(t *testing.T) {
	e := newEstate(newStation(t), full(500, 20))
	began := time.Now()
	commits := e.build()
	for _, step := range []struct {
		kind, header string
		line         func(i int) string
	}{
		{"move-ins", "booking", func(i int) string { return fmt.Sprintf("b%d", i) }},
		{"credentials", "credential,number,person,booking", func(i int) string { return fmt.Sprintf("f%d,%d,t%d,b%d", i, 100_000+i, i, i) }},
		{"grants", "grant,person,right", func(i int) string { return fmt.Sprintf("g%d,t%d,entries", i, i) }},
	} {
		commits += e.step(step.kind, e.lines(step.kind, step.header, 0, step.line)).Commits
	}
	t.Logf("%d tenants moved in: %d commits, %.2f s", e.units, commits, time.Since(began).Seconds())
	e.state(func(s *domain.State) {
		assert.Equal(t, e.units, s.Bookings.Len())
		assert.Equal(t, e.units, s.Credentials.Len())
		for _, b := range s.Bookings.All() {
			assert.True(t, b.MovedIn)
		}
	})
}

// answered is what a command led to, and how long its answer took.
type answered struct {
	command string
	n       uint64
	took    time.Duration
}

// timed sends a command and waits for its answer.
func (s *station) timed(c *client.Client, command string, body any) answered {
	s.t.Helper()
	fields, err := json.Marshal(body)
	require.NoError(s.t, err)
	began := time.Now()
	got, err := c.Command(s.t.Context(), command, fields, "", url.Values{})
	took := time.Since(began)
	require.NoError(s.t, err)
	var done commandAnswer
	require.NoError(s.t, json.Unmarshal(got, &done))
	var epoch, n uint64
	_, err = fmt.Sscanf(done.Position, "%d-%d", &epoch, &n)
	require.NoError(s.t, err)
	return answered{command, n, took}
}

// At the end of the month thousands of bookings are locked by lists that are all
// sent at once. A lockdown that is sent behind them passes those that wait: in full
// there are enough of them to tell. The store's test of the lanes tells always.
func TestALockdownPassesTheMonthEnd(t *testing.T) {
	const lists = 5
	e := newEstate(newStation(t), full(5000, 100))
	e.build()
	c := e.client("acme", e.token)
	var alone []time.Duration
	for range full(50, 3) {
		alone = append(alone, e.timed(c, "Lockdown", map[string]any{"site": "hq"}).took)
		e.timed(c, "ReleaseLockdown", map[string]any{"site": "hq"})
	}
	before := e.head()
	var all sync.WaitGroup
	locked := make([]answered, lists)
	for i := range lists {
		var list []map[string]any
		for j := i * e.units / lists; j < (i+1)*e.units/lists; j++ {
			list = append(list, map[string]any{"booking": fmt.Sprintf("b%d", j), "level": "overlock", "cause": "unpaid"})
		}
		all.Go(func() { locked[i] = e.timed(c, "SuspendBooking", list) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := e.service.Store.WaitFor(ctx, "acme", before+1)
	require.NoError(t, err, "the first list is committed")
	down := e.timed(c, "Lockdown", map[string]any{"site": "hq"})
	all.Wait()
	slices.SortFunc(locked, func(a, b answered) int { return cmp.Compare(a.n, b.n) })
	t.Logf("%d bookings are locked by the commits %d to %d, the last after %v; the lockdown is commit %d, after %v; alone it takes %s",
		e.units, locked[0].n, locked[lists-1].n, locked[lists-1].took, down.n, down.took, spread(alone))
	if e.units == full(5000, 0) {
		assert.Less(t, down.n, locked[lists-1].n)
	}
	e.state(func(s *domain.State) {
		for id, b := range s.Bookings.All() {
			assert.Equal(t, domain.LevelOverlock, b.Level, id)
		}
	})
}

// client is a client of an org that does not leave connections behind: the service
// would wait for them when it stops.
func (s *station) client(org, token string) *client.Client {
	c := newClient(s.url, token, org, "hq")
	s.t.Cleanup(c.Close)
	return c
}

// org makes an org beside acme, of olga, and returns her token.
func (s *station) org(id domain.ID) string {
	s.t.Helper()
	secret := [32]byte([]byte(strings.Repeat("x", 32)))
	hash := sha256.Sum256(secret[:])
	expires := time.Now().Add(time.Hour)
	_, err := s.service.Store.Execute(s.t.Context(), domain.SystemOrg, eventstore.Request{ID: domain.UUID(uuid.New()), Command: "RegisterOrg",
		Actor: domain.ServiceActor("api"), Fields: []any{&domain.RegisterOrg{Org: id, Name: string(id)}}})
	require.NoError(s.t, err)
	_, err = s.service.Store.Execute(s.t.Context(), id, eventstore.Request{ID: domain.UUID(uuid.New()), Command: "CreateOrg",
		Actor:  domain.Actor{Kind: domain.ActorBootstrap, ID: "test"},
		Fields: []any{&domain.CreateOrg{Org: id, Name: string(id), Owner: "olga", Token: "first", Hash: hex.EncodeToString(hash[:]), Expires: expires}}})
	require.NoError(s.t, err)
	return httpapi.TokenText(id, "first", secret)
}

// While one org registers a crowd, another takes something away.
func TestACrowdDoesNotHoldUpAnotherOrg(t *testing.T) {
	s := newStation(t)
	path := s.file("people.csv", crowd(1, full(50_000, 1000)))
	c := s.client("other", s.org("other"))
	s.timed(c, "CreateSite", map[string]any{"site": "hq", "name": "Headquarters", "zone": "Europe/Berlin"})
	s.timed(c, "RegisterPerson", map[string]any{"person": "anna", "name": "Anna"})
	revoke := func() time.Duration {
		s.timed(c, "AssignRole", map[string]any{"person": "anna", "role": "guest", "site": "hq"})
		return s.timed(c, "RevokeRole", map[string]any{"person": "anna", "site": "hq"}).took
	}
	var alone, during []time.Duration
	for range full(50, 3) {
		alone = append(alone, revoke())
	}
	done := make(chan struct{})
	began := time.Now()
	var got outcome
	go func() {
		defer close(done)
		got = s.at(t.Context(), "import", "people", path)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			during = append(during, revoke())
		}
	}
	took := time.Since(began)
	require.Equal(t, exitDone, got.code, got.stderr)
	r := lastLine[bulk.Imported](t, got.stdout)
	t.Logf("%d people in %d commits, %.2f s; a revocation of another org took %s alone, %s meanwhile", r.Accepted, r.Commits, took.Seconds(), spread(alone), spread(during))
}

// spread is the middle and the greatest of some durations.
func spread(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("%v (at most %v, of %d)", all[len(all)/2].Round(10*time.Microsecond), all[len(all)-1].Round(10*time.Microsecond), len(all))
}
