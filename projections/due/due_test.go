package due

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/eventstore"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
)

// patience bounds a wait of a test on a busy machine.
const patience = time.Minute

// bed is one ledger and a clock that the test sets.
type bed struct {
	t        *testing.T
	embedded *natsserver.Embedded
	vault    *vault.Vault
	clock    atomic.Int64 // nanoseconds since 1970
	ids      int
	memory   int // orgs that each further store may hold; 0 means many
}

// began is a Monday, in the morning in Berlin.
var began = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t}
	b.clock.Store(began.UnixNano())
	dir := t.TempDir()
	var err error
	b.embedded, err = natsserver.Start(natsserver.Config{Dir: dir, Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(b.embedded.Stop)
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	b.vault, err = vault.Open(t.Context(), dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.vault.Close()) })
	return b
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (b *bed) now() time.Time { return time.Unix(0, b.clock.Load()).UTC() }

func (b *bed) open() *eventstore.Store {
	b.t.Helper()
	nc, err := b.embedded.Connect()
	require.NoError(b.t, err)
	s, err := eventstore.Open(b.t.Context(), eventstore.Config{Conn: nc, Embedded: b.embedded, Snapshots: b.t.TempDir(),
		Keys: b.vault, Vault: b.vault, Memory: b.memory, Now: b.now, Log: quiet()}, eventstore.NewMetrics(prometheus.NewRegistry()))
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		assert.NoError(b.t, s.Close(context.Background()))
		nc.Close()
	})
	return s
}

// timer makes a timer that is not running.
func (b *bed) timer(s *eventstore.Store) *Timer {
	return New(Config{Store: s, Now: b.now, Log: quiet()}, NewMetrics(prometheus.NewRegistry()))
}

// run lets a timer run until the test or the returned function ends it.
func (b *bed) run(timer *Timer) (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	var done sync.WaitGroup
	done.Go(func() { timer.Run(ctx) })
	stop = func() { cancel(); done.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// set moves the clock and lets timers see it.
func (b *bed) set(at time.Time, timers ...*Timer) {
	b.clock.Store(at.UnixNano())
	for _, timer := range timers {
		timer.note("acme")
	}
}

func (b *bed) send(s *eventstore.Store, fields any) {
	b.t.Helper()
	b.ids++
	req := eventstore.Request{ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprint("test/", b.ids)), Fields: []any{fields},
		Command: strings.TrimPrefix(fmt.Sprintf("%T", fields), "*domain."), Actor: domain.PersonActor("olga")}
	if req.Command == "CreateOrg" {
		req.Actor = domain.Actor{Kind: domain.ActorBootstrap}
	}
	_, err := s.Execute(b.t.Context(), "acme", req)
	require.NoError(b.t, err)
}

// house makes an org with three units and a tenant in each. The bookings last until the
// 4th, the 3rd and the 5th of March.
func (b *bed) house(s *eventstore.Store) {
	b.t.Helper()
	b.send(s, &domain.CreateOrg{Org: "acme", Name: "Acme", Owner: "olga"})
	b.send(s, &domain.CreateSite{Site: "north", Name: "North", Zone: "Europe/Berlin"})
	for i, until := range []string{"2026-03-04", "2026-03-03", "2026-03-05"} {
		last, err := schedule.ParseDate(until)
		require.NoError(b.t, err)
		first, err := schedule.ParseDate("2026-03-01")
		require.NoError(b.t, err)
		n := domain.ID(fmt.Sprint(i + 1))
		b.send(s, &domain.CreateUnit{Unit: "unit-" + n, Site: "north", Name: string("Unit " + n)})
		b.send(s, &domain.RegisterPerson{Person: "person-" + n})
		b.send(s, &domain.CreateBooking{Booking: "booking-" + n, Unit: "unit-" + n, Person: "person-" + n, From: first, Until: last})
	}
}

// ended lists the bookings that commits of the service ended, in order.
func (b *bed) ended(s *eventstore.Store) []string {
	out := []string{}
	err := s.Commits(b.t.Context(), "acme", 0, 0, func(c *schemas.Commit, _ []byte) error {
		if c.Command == "EndBooking" {
			assert.Equal(b.t, domain.ServiceActor("due"), c.Actor)
			for _, e := range c.Events {
				if e.Type == "booking.ended" {
					ev, err := e.Decode()
					require.NoError(b.t, err)
					out = append(out, string(ev.(domain.BookingEnded).Booking))
				}
			}
			if len(c.Events) == 0 {
				out = append(out, "nothing")
			}
		}
		return nil
	})
	require.NoError(b.t, err)
	return out
}

func (b *bed) eventually(what string, f func() bool) {
	b.t.Helper()
	require.Eventually(b.t, f, patience, 5*time.Millisecond, what)
}

func TestWhatFallsDueIsPutOnRecord(t *testing.T) {
	b := newBed(t)
	s := b.open()
	timer := b.timer(s)
	b.run(timer)
	b.house(s)
	// The 3rd of March ends in Berlin at 23:00 UTC.
	b.set(time.Date(2026, 3, 3, 22, 59, 59, 999, time.UTC), timer)
	b.send(s, &domain.RenameSite{Site: "north", Name: "Far north"})
	assert.Empty(t, b.ended(s))
	b.set(time.Date(2026, 3, 3, 23, 0, 0, 0, time.UTC), timer)
	b.eventually("the booking ends", func() bool { return len(b.ended(s)) == 1 })
	assert.Equal(t, []string{"booking-2"}, b.ended(s))
}

func TestAfterADowntimeThingsEndInTheOrderInWhichTheyFellDue(t *testing.T) {
	b := newBed(t)
	s := b.open()
	b.house(s)
	b.clock.Store(began.AddDate(0, 1, 0).UnixNano())
	later := b.open()
	timer := b.timer(later)
	_, err := later.Head(t.Context(), "acme") // loads it
	require.NoError(t, err)
	b.run(timer)
	b.eventually("all end", func() bool { return len(b.ended(s)) == 3 })
	assert.Equal(t, []string{"booking-2", "booking-1", "booking-3"}, b.ended(s))
}

func TestTwoInstancesMakeOneCommit(t *testing.T) {
	b := newBed(t)
	one, two := b.open(), b.open()
	timers := []*Timer{b.timer(one), b.timer(two)}
	b.house(one)
	_, err := two.Head(t.Context(), "acme")
	require.NoError(t, err)
	b.clock.Store(began.AddDate(0, 1, 0).UnixNano())
	stops := []func(){b.run(timers[0]), b.run(timers[1])}
	for _, timer := range timers {
		timer.note("acme")
	}
	settled := func(s *eventstore.Store) bool {
		due := 1
		require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ eventstore.Head) error {
			cmds, _ := st.Due(b.now())
			due = len(cmds)
			return nil
		}))
		return due == 0
	}
	b.eventually("both see the ends", func() bool { return settled(one) && settled(two) })
	for _, stop := range stops {
		stop()
	}
	assert.Equal(t, []string{"booking-2", "booking-1", "booking-3"}, b.ended(one))
}

// A booking with more shares than a commit has room for ends at once. Later commits
// record its shares until none is pending.
func TestConsequencesAreSettled(t *testing.T) {
	b := newBed(t)
	s := b.open()
	timer := b.timer(s)
	b.run(timer)
	b.house(s)
	b.send(s, &domain.ConnectSite{Site: "north", LockSystem: "gatehouse"})
	b.send(s, &domain.CreateDoor{Door: "door-1", Site: "north", Name: "Door 1", Kind: domain.DoorUnit, Unit: "unit-1"})
	b.send(s, &domain.DefineAccessRight{Right: "right-1", Name: "Unit 1", Doors: []domain.ID{"door-1"}, Schedule: domain.AlwaysID})
	b.send(s, &domain.MapUnitAccess{Unit: "unit-1", Rights: []domain.UnitRight{{Right: "right-1", Schedule: domain.AlwaysID}}})
	day, err := schedule.ParseDate("2026-03-02")
	require.NoError(t, err)
	var sharees []domain.Sharee
	for i := range 450 {
		sharees = append(sharees, domain.Sharee{Email: domain.Clear(fmt.Sprintf("guest-%d@example.org", i))})
	}
	b.send(s, &domain.ShareAccess{Bookings: []domain.ID{"booking-1"}, Sharees: sharees, From: day, Until: day.AddDays(1)})
	b.send(s, &domain.RevokeBooking{Booking: "booking-1"})
	active := func() (n int) {
		require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ eventstore.Head) error {
			for _, share := range st.Shares.All() {
				if share.State == domain.ShareStateActive {
					n++
				}
			}
			return nil
		}))
		return n
	}
	b.eventually("every share is revoked", func() bool { return active() == 0 })
}

// A command that fails waits longer each time; the commands after it do not wait.
func TestAFailureWaitsAndHoldsNothingUp(t *testing.T) {
	b := newBed(t)
	s := b.open()
	timer := b.timer(s)
	b.house(s)
	b.clock.Store(began.AddDate(0, 1, 0).UnixNano())
	var first domain.UUID
	require.NoError(t, s.View(t.Context(), "acme", func(st *domain.State, _ eventstore.Head) error {
		cmds, _ := st.Due(b.now())
		first = cmds[0].ID()
		return nil
	}))
	// Its id is taken by another command of the service, so that it can never be accepted.
	_, err := s.Execute(t.Context(), "acme", eventstore.Request{ID: first, Command: "EndBooking",
		Fields: []any{&domain.EndBooking{Booking: "booking-1"}}, Actor: domain.ServiceActor("due")})
	require.NoError(t, err)
	o := &org{tries: map[domain.UUID]attempt{}}
	pauses := []time.Duration{}
	for range 12 {
		next := timer.look(t.Context(), "acme", o)
		require.Contains(t, o.tries, first)
		pauses = append(pauses, o.tries[first].pause)
		b.clock.Store(max(next.UnixNano(), o.tries[first].at.UnixNano()))
	}
	assert.Equal(t, []string{"booking-1", "booking-3"}, b.ended(s))
	assert.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, pauses[:3])
	assert.Equal(t, longestPause, pauses[11])
}

func TestSitesTakeOverNewerZoneRules(t *testing.T) {
	b := newBed(t)
	timer := b.timer(b.open())
	state := domain.NewState()
	rules, err := schedule.LoadRules("Europe/Berlin")
	require.NoError(t, err)
	other, err := schedule.LoadRules("Europe/Lisbon")
	require.NoError(t, err)
	old, wrong, newer, gone := rules, other, other, other
	old.TZData, wrong.TZData, newer.TZData, gone.TZData = "2020a", "2020a", "9999a", "2020a"
	wrong.Zone, newer.Zone, gone.Zone = "Europe/Berlin", "Europe/Berlin", "Europe/Nowhere"
	for id, r := range map[domain.ID]schedule.ZoneRules{"same": rules, "same-clock": old, "other-clock": wrong, "of-later-code": newer, "zone-gone": gone} {
		state.Apply(domain.Applied{Moment: domain.Moment{N: state.N + 1}, Events: []domain.Event{
			domain.SiteCreated{Site: id, Name: string(id), Zone: r.Zone}, domain.ZoneRulesSet{Site: id, Rules: r}}})
	}
	tasks := timer.zoneTasks(state)
	require.Len(t, tasks, 1)
	assert.Equal(t, domain.SetZoneRules{Site: "other-clock"}, tasks[0].cmd)
	assert.Equal(t, domain.ServiceActor("zones"), tasks[0].actor)
}
