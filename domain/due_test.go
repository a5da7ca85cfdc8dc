package domain

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/schedule"
	"gatehouse/randomtest"
)

func TestDueFindsWhatTimeHasMadeDue(t *testing.T) {
	s := NewState()
	s.journal.n = 1
	s.Sites.Put("s1", Site{ID: "s1", Rules: zoneRules[0]}) // Berlin
	s.Sites.Put("s2", Site{ID: "s2", Rules: zoneRules[1]}) // Lord Howe
	day := must(schedule.ParseDate("2026-03-28"))          // the clocks change in the night after
	s.Bookings.Put("b1", Booking{ID: "b1", Site: "s1", Until: day, State: BookingStateActive})
	s.Bookings.Put("b2", Booking{ID: "b2", Site: "s2", Until: day, State: BookingStateActive})
	s.Bookings.Put("b3", Booking{ID: "b3", Site: "s1", Until: day, State: BookingStateRevoked})
	s.Bookings.Put("b4", Booking{ID: "b4", Site: "s1", State: BookingStateActive})
	s.Shares.Put("h1", Share{ID: "h1", Site: "s1", Until: day.AddDays(1), State: ShareStateActive})
	expiry := time.Date(2026, 3, 29, 12, 30, 0, 1, time.UTC)
	s.Credentials.Put("c1", Credential{ID: "c1", State: CredentialStateActive, Until: expiry})

	s.Credentials.Put("c2", Credential{ID: "c2", State: CredentialStateActive, Until: time.Date(2026, 3, 28, 20, 0, 0, 0, time.UTC)})

	howe, berlin := time.Date(2026, 3, 28, 13, 0, 0, 0, time.UTC), time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC)
	later := time.Date(2026, 3, 29, 22, 0, 0, 0, time.UTC) // in summer time by now
	due, next := s.Due(howe.Add(-1))
	require.Empty(t, due)
	require.Equal(t, howe, next)

	due, next = s.Due(howe)
	require.Equal(t, []DueCommand{{EndBooking{"b2"}, "b2", howe}}, due)
	require.Equal(t, howe.Add(7*time.Hour), next)
	s.Credentials.Delete("c2")
	_, next = s.Due(howe)
	require.Equal(t, berlin, next)

	due, next = s.Due(expiry)
	require.Equal(t, []DueCommand{
		{EndBooking{"b2"}, "b2", howe}, {EndBooking{"b1"}, "b1", berlin}, {ExpireCredential{"c1"}, "c1", expiry},
	}, due)
	require.Equal(t, later, next)

	due, next = s.Due(later)
	require.Len(t, due, 4)
	require.Equal(t, EndShare{"h1"}, due[3].Command)
	require.True(t, next.IsZero())
	require.NotEqual(t, due[0].ID(), due[1].ID())
	again, _ := s.Due(later.Add(time.Hour))
	require.Equal(t, due[0].ID(), again[0].ID(), "the id is that of the thing and its instant, whenever it is found")

	s.Sites.Update("s1", func(x *Site) { x.Rules = zoneRules[3] }) // UTC
	_, next = s.Due(berlin)
	require.Equal(t, berlin.Add(time.Hour), next, "newer zone rules move the end of a day")
}

func TestDueFindsWhatASearchOfEverythingFinds(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	rapid.Check(t, func(t *rapid.T) {
		s := NewState()
		for n := range rapid.IntRange(1, 10).Draw(t, "commits") {
			scramble(t, s, uint64(n+1))
			if rapid.Bool().Draw(t, "taken back") {
				mark := s.journal.begin()
				scramble(t, s, uint64(n+2))
				s.journal.rollback(mark)
			}
		}
		now := drawInstant(t)
		want, wantNext := map[string]time.Time{}, time.Time{}
		search := func(name string, until schedule.Date, site ID, at time.Time) {
			if !until.IsZero() {
				at = s.window(site, schedule.Date{}, until).Until.Time()
			}
			switch {
			case at.IsZero():
			case !at.After(now):
				want[name] = at
			case wantNext.IsZero() || at.Before(wantNext):
				wantNext = at
			}
		}
		for id, b := range s.Bookings.All() {
			if b.State == BookingStateActive {
				search(fmt.Sprint(EndBooking{id}), b.Until, b.Site, time.Time{})
			}
		}
		for id, sh := range s.Shares.All() {
			if sh.State == ShareStateActive {
				search(fmt.Sprint(EndShare{id}), sh.Until, sh.Site, time.Time{})
			}
		}
		for id, c := range s.Credentials.All() {
			if c.live() {
				search(fmt.Sprint(ExpireCredential{id}), schedule.Date{}, "", c.Until)
			}
		}
		due, next := s.Due(now)
		got, last := map[string]time.Time{}, time.Time{}
		for _, d := range due {
			got[fmt.Sprint(d.Command)] = d.At
			require.False(t, d.At.Before(last), "in the order of their instants")
			last = d.At
		}
		require.Equal(t, want, got)
		require.Equal(t, wantNext, next)
	})
}

func TestDueIsBoundedAndSettles(t *testing.T) {
	s := NewState()
	s.journal.n = 1
	s.Sites.Put("s1", Site{ID: "s1", Rules: zoneRules[3]})
	for i := range MaxDue + 5 {
		id := ID(fmt.Sprintf("b%04d", i))
		s.Bookings.Put(id, Booking{ID: id, Site: "s1", Until: scrambleStart.AddDays(i % 7), State: BookingStateActive})
	}
	s.Pending.Put(pendingBooking("b1"), Pending{Booking: "b1"})
	s.N = 9
	due, _ := s.Due(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	require.Len(t, due, MaxDue)
	require.Equal(t, SettleConsequences{}, due[0].Command)
	first := due[0].ID()
	s.N = 10
	due, _ = s.Due(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	require.NotEqual(t, first, due[0].ID(), "each round of settling is a command of its own")
}
