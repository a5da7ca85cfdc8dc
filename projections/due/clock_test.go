package due

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/clock"
)

// machine is a machine whose wall clock can be set while its time goes on.
type machine struct {
	*bed
	off    atomic.Int64 // nanoseconds of the wall clock from the bed's clock
	synced atomic.Bool
	dir    string
}

// start starts the service on the machine: a store, and a timer that does not run.
func (m *machine) start() (*eventstore.Store, *Timer, func()) {
	t := m.t
	wall := func() time.Time { return m.now().Add(time.Duration(m.off.Load())) }
	from := m.now() // the start of the elapsed time
	c := clock.New(clock.Config{Wall: wall, Elapsed: func() time.Duration { return m.now().Sub(from) },
		Synced: func() bool { return m.synced.Load() }, File: filepath.Join(m.dir, "clock")})
	nc, err := m.embedded.Connect()
	require.NoError(t, err)
	s, err := eventstore.Open(t.Context(), eventstore.Config{Conn: nc, Embedded: m.embedded, Snapshots: filepath.Join(m.dir, "snapshots"),
		Keys: m.vault, Vault: m.vault, Now: c.Now, Clock: c, Log: quiet()}, eventstore.NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	timer := New(Config{Store: s, Now: c.Now, Log: quiet()}, NewMetrics(prometheus.NewRegistry()))
	_, err = s.Head(t.Context(), "acme")
	require.NoError(t, err)
	return s, timer, func() {
		require.NoError(t, s.Close(context.Background()))
		nc.Close()
	}
}

// pass lets time elapse; the timer looks each second.
func (m *machine) pass(timer *Timer, seconds int) {
	for range seconds {
		m.clock.Add(int64(time.Second))
		timer.note("acme")
		timer.takeStirred()
		timer.round(m.t.Context())
	}
}

// A wall clock that is wrong for half a minute ends nothing, ahead or back. That holds
// whether the service was running or started meanwhile. Commands that take access away
// are committed all the while, and no later commit has a wrong time.
func TestAWrongClockEndsNothing(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, off := range map[string]time.Duration{"ten years ahead": 10 * year, "a century ahead": 100 * year, "an hour back": -time.Hour, "a century back": -100 * year} {
		for _, restart := range []bool{false, true} {
			when := map[bool]string{false: " while running", true: " across a restart"}[restart]
			t.Run(name+when, func(t *testing.T) {
				m := &machine{bed: newBed(t), dir: t.TempDir()}
				s, timer, stop := m.start()
				m.house(s)
				m.pass(timer, 2)
				turn := func() {
					if restart {
						stop()
						s, timer, stop = m.start()
					}
				}
				m.off.Store(int64(off))
				turn()
				m.pass(timer, 16)
				assert.ErrorIs(t, s.ClockTrusted(), eventstore.ErrClock)
				_, err := s.Execute(t.Context(), "acme", eventstore.Request{ID: domain.UUID{1}, Command: "RenameSite",
					Fields: []any{&domain.RenameSite{Site: "north", Name: "Far"}}, Actor: domain.PersonActor("olga")})
				assert.ErrorIs(t, err, eventstore.ErrClock)
				lockdown, err := s.Execute(t.Context(), "acme", eventstore.Request{ID: domain.UUID{2}, Command: "Lockdown",
					Fields: []any{&domain.Lockdown{Site: "north"}}, Actor: domain.PersonActor("olga")})
				require.NoError(t, err)
				assert.WithinDuration(t, m.now(), lockdown.At, time.Minute, "across a restart the mark may be so old")
				m.pass(timer, 17)
				assert.Empty(t, m.ended(s))

				m.off.Store(int64(0))
				turn()
				m.pass(timer, 1)
				require.NoError(t, s.ClockTrusted())
				renamed, err := s.Execute(t.Context(), "acme", eventstore.Request{ID: domain.UUID{3}, Command: "RenameSite",
					Fields: []any{&domain.RenameSite{Site: "north", Name: "Far"}}, Actor: domain.PersonActor("olga")})
				require.NoError(t, err)
				assert.WithinDuration(t, m.now(), renamed.At, time.Second, "no commit is of the wrong time")
				assert.Empty(t, m.ended(s))
				stop()
			})
		}
	}
}

// After a weekend off the service starts without an operator, and ends what became due
// meanwhile. If the clock is ahead by more, it waits for a confirmation.
func TestWhatFellDueWhileTheServiceWasOff(t *testing.T) {
	m := &machine{bed: newBed(t), dir: t.TempDir()}
	s, _, stop := m.start()
	m.house(s)
	stop()
	m.clock.Add(int64(4 * 24 * time.Hour))
	s, timer, stop := m.start()
	m.pass(timer, 1)
	assert.Equal(t, []string{"booking-2", "booking-1", "booking-3"}, m.ended(s))
	stop()

	m = &machine{bed: newBed(t), dir: t.TempDir()}
	s, _, stop = m.start()
	m.house(s)
	stop()
	m.clock.Add(int64(40 * 24 * time.Hour))
	s, timer, stop = m.start()
	defer func() { stop() }()
	m.pass(timer, 1)
	assert.Empty(t, m.ended(s))
	require.NoError(t, s.ConfirmClock(t.Context(), m.now(), "closed for six weeks"))
	m.pass(timer, 1)
	assert.Len(t, m.ended(s), 3)
	stop()
	s, timer, stop = m.start()
	assert.NoError(t, s.ClockTrusted(), "the word is kept")
	m.pass(timer, 1)
}
