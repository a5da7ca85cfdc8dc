package unlock

import (
	"testing"
	"time"

	"gatehouse/domain/schedule"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBusinessHours: a door stands open in its business hours; where they wait for
// somebody with FirstIn, once one has come in them or in their grace.
func TestBusinessHours(t *testing.T) {
	clock := func(hours, minutes int) Instant {
		return InstantOf(time.Date(2026, 12, 14, hours-1, minutes, 0, 0, time.UTC)) // Monday, in Berlin
	}
	for _, c := range []struct {
		name     string
		came, at Instant
		set      func(s *storage)
		want     Code
	}{
		{"nobody has come", 0, clock(9, 0), nil, DenyUnknownCredential},
		{"somebody came within them", clock(8, 0), clock(9, 0), nil, AllowPostureUnlocked},
		{"in the grace, they have not begun", clock(6, 30), clock(6, 59), nil, DenyUnknownCredential},
		{"in the grace, they begin on time", clock(6, 30), clock(7, 0), nil, AllowPostureUnlocked},
		{"at the first instant of the grace", clock(6, 0), clock(7, 0), nil, AllowPostureUnlocked},
		{"before the grace", clock(6, 0) - 1, clock(7, 0), nil, DenyUnknownCredential},
		{"until they end", clock(8, 0), clock(18, 0) - 1, nil, AllowPostureUnlocked},
		{"they are over", clock(8, 0), clock(18, 0), nil, DenyUnknownCredential},
		{"whoever came the day before", clock(8, 0) - 24*hour, clock(9, 0), nil, DenyUnknownCredential},
		{"whoever comes later", clock(10, 0), clock(9, 0), nil, DenyUnknownCredential},
		{"they wait for nobody", 0, clock(9, 0), func(s *storage) { s.rounds.Hours.FirstIn = false }, AllowPostureUnlocked},
		{"they are of other doors", clock(8, 0), clock(9, 0), func(s *storage) { s.hall.Hours = nil }, DenyUnknownCredential},
		{"their right is gone", clock(8, 0), clock(9, 0), func(s *storage) { s.drop(s.rounds) }, DenyUnknownCredential},
		{"their schedule is gone", clock(8, 0), clock(9, 0), func(s *storage) { s.drop(s.office) }, DenyUnknownCredential},
		{"the door has another posture", clock(8, 0), clock(9, 0), func(s *storage) { s.hall.Posture = Lockdown }, DenyLockdown},
		{"a blackout", clock(8, 0), clock(9, 0), func(s *storage) {
			s.office.Closed = []Window{{From: clock(8, 0), Until: clock(9, 1)}}
		}, DenyUnknownCredential},
		{"a blackout of the site", clock(8, 0), clock(9, 0), func(s *storage) {
			day, err := schedule.DateOf(2026, 12, 14)
			require.NoError(t, err)
			s.site.Blackouts = schedule.Blackouts{{From: schedule.DateTime{Date: day}, To: schedule.DateTime{Date: day.AddDays(1)}}}
		}, DenyUnknownCredential},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStorage(t)
			s.hall.Hours = []string{"rounds"}
			s.rounds.Hours = &Hours{Schedule: "office", FirstIn: true, Grace: 3600}
			s.local = Local{LeaseEnd: Held, FirstIn: c.came}
			s.r.Door, s.r.At = IDOf("hall"), c.at
			if c.set != nil {
				c.set(s)
			}
			table, err := NewTable(s.all()...)
			require.NoError(t, err)
			table, err = table.Apply(Delta{Delete: s.dropped})
			require.NoError(t, err)
			a := Decide(table, &s.local, s.r)
			assert.Equal(t, c.want, a.Code, a.Code.String())
			assert.Zero(t, testing.AllocsPerRun(10, func() { a = Decide(table, &s.local, s.r) }))
		})
	}
}

// TestARightLendsCapabilities: what a right lets everybody do needs no word in
// their grants.
func TestARightLendsCapabilities(t *testing.T) {
	s := newStorage(t)
	s.command(s.joe, s.hall, CommandRemoteUnlock)
	ask := func() Code {
		table, err := NewTable(s.all()...)
		require.NoError(t, err)
		return Decide(table, &s.local, s.r).Code
	}
	assert.Equal(t, DenyRemoteUnlockNotPermitted, ask())
	s.rounds.Capabilities = []Capability{RemoteUnlock}
	assert.Equal(t, AllowCommand, ask())
	s.r.Command = CommandUnlockFor
	assert.Equal(t, DenyRemoteUnlockNotPermitted, ask())
	s.rounds.Capabilities = []Capability{FirstIn}
	_, err := NewTable(s.all()...)
	assert.ErrorContains(t, err, "a right cannot have the capability first_in")
}
