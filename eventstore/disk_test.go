package eventstore

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// The embedded server is started again under two nodes that are at work: what was
// acknowledged is there, and both go on and follow each other.
func TestTheServerIsStartedAnewUnderTheStore(t *testing.T) {
	b := newR1(t)
	first, second := b.store(), b.store()
	newOrg(t, first, "acme")
	fill(t, first, "acme", 5)
	_, before := digest(t, second, "acme")
	require.NoError(t, b.embedded.Full())
	require.NoError(t, b.embedded.Probe())
	require.NoError(t, b.embedded.Restart())
	b.servers[0] = b.embedded.Server()

	req := request(&domain.RegisterPerson{Person: "anna", Name: domain.Clear("Anna")})
	var r Result
	require.Eventually(t, func() (done bool) {
		var err error
		r, err = first.Execute(t.Context(), "acme", req)
		return err == nil
	}, waitLimit, 10*time.Millisecond, "the connection comes back by itself")
	assert.Equal(t, before.N+1, r.Position.N)
	_, err := second.WaitFor(t.Context(), "acme", r.Position.N)
	require.NoError(t, err, "the other node follows the ledger again")
}

// While the disk is full nothing is committed, and below the reserve only what takes
// access away; nothing is changed by what is turned away.
func TestAFullDiskKeepsTheReserveForWhatTakesAccessAway(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	cfg.Embedded, cfg.AllowUnsafe = nil, true // so that nobody else looks at the disk
	s := b.open(cfg)
	newOrg(t, s, "acme")
	_, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "anna"}, &domain.RegisterPerson{Person: "cy"}))
	require.NoError(t, err)
	w, err := s.ActivityWriter(t.Context(), "acme", "north", "lobby")
	require.NoError(t, err)
	_, before := digest(t, s, "acme")

	s.disk.low.Store(true)
	bo := request(&domain.RegisterPerson{Person: "bo"})
	_, err = s.Execute(t.Context(), "acme", bo)
	require.ErrorIs(t, err, ErrStorageFull)
	require.ErrorIs(t, w.Append(t.Context(), records(1, 1)), ErrStorageFull)
	_, err = s.Execute(t.Context(), "acme", request(&domain.SuspendPerson{Person: "anna"}))
	require.NoError(t, err)

	why := errors.New("no space left on device")
	s.disk.full.Store(&why)
	_, err = s.Execute(t.Context(), "acme", request(&domain.SuspendPerson{Person: "cy"}))
	require.ErrorIs(t, err, ErrStorageFull)
	_, after := digest(t, s, "acme")
	assert.Equal(t, before.N+1, after.N)

	s.disk.full.Store(nil)
	s.disk.low.Store(false)
	r, err := s.Execute(t.Context(), "acme", bo)
	require.NoError(t, err)
	assert.Equal(t, wire.Position{Epoch: 1, N: after.N + 1}, r.Position)
	assert.False(t, r.Repeated)
}
