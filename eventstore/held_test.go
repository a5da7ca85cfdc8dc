package eventstore

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// TestAHangStopsItsOrgAlone plants a command that does not end.
func TestAHangStopsItsOrgAlone(t *testing.T) {
	s := newR1(t).store()
	newOrg(t, s, "acme")
	s.heldLimit = 10 * time.Millisecond
	o, err := s.org(t.Context(), "acme")
	require.NoError(t, err)
	hangs, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	go func() {
		_ = o.queue.do(context.Background(), laneNormal, func(context.Context) {
			o.mu.Lock()
			defer o.mu.Unlock()
			defer o.holds("SetHolidayCalendar")()
			close(hangs)
			<-end
		})
	}()
	<-hangs
	require.Eventually(t, func() bool { return len(s.Stuck()) == 1 }, time.Minute, time.Millisecond)
	s.tellHeld()
	assert.Equal(t, "SetHolidayCalendar", s.Stuck()["acme"].Command)

	nothing := func(*domain.State, Head) error { return nil }
	require.ErrorIs(t, s.View(t.Context(), "acme", nothing), ErrBusy)
	_, err = s.WaitFor(t.Context(), "acme", 1)
	require.ErrorIs(t, err, ErrBusy)
	assert.Zero(t, s.Sealed("acme"))
	_, readOnly := s.ReadOnly("acme")
	assert.False(t, readOnly)
	require.NoError(t, s.View(t.Context(), domain.SystemOrg, nothing), "another org")

	waiting, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, o.queue.do(waiting, laneUrgent, func(context.Context) {}), ErrBusy, "what waits behind it ends with its context")

	stopping, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	assert.ErrorContains(t, s.Close(stopping), "a command of org acme does not end")
}
