package due

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// mine panics when the end of a booking is applied.
type mine struct{}

func (mine) From(context.Context, domain.ID) (uint64, error) { return math.MaxUint64, nil }
func (mine) Begin(domain.ID, *domain.State, eventstore.Head) {}
func (mine) Settled(domain.ID) uint64                        { return math.MaxUint64 }
func (mine) Seen(domain.ID) wire.Position                    { return wire.Position{} }
func (mine) End(domain.ID) bool                              { return true }
func (mine) Applied(_ domain.ID, _ *domain.State, c *schemas.Commit, _ eventstore.Head) {
	if c.Command == "EndBooking" {
		panic("boom")
	}
}

// A command that is due and panics is set aside: the timer goes on with the others, and
// a start meets it as it was.
func TestADueCommandThatPanicsIsSetAside(t *testing.T) {
	b := newBed(t)
	s := b.open()
	b.house(s)
	b.clock.Store(began.AddDate(0, 1, 0).UnixNano())
	// A look that panics, here for want of the map of its tries.
	later := b.open()
	timer := b.timer(later)
	timer.orgs["acme"] = &org{next: b.now()}
	timer.round(t.Context())
	assert.Equal(t, []eventstore.Panic{{Part: "due", Org: "acme"}}, panics(later))
	assert.False(t, timer.orgs["acme"].next.IsZero(), "it is tried again later")

	for _, panicking := range []bool{true, false} { // the second is after a restart
		later := b.open()
		later.Observe(mine{})
		timer := b.timer(later)
		_, err := later.Head(t.Context(), "acme")
		require.NoError(t, err)
		timer.orgs["acme"] = &org{next: b.now(), tries: map[domain.UUID]attempt{}}
		timer.round(t.Context())
		assert.Equal(t, panicking, len(panics(later)) > 0)
		for _, p := range panics(later) { // of the command, of the tail, or of both
			assert.Equal(t, "EndBooking", p.Command)
		}
		_, err = s.Head(t.Context(), "acme") // it follows what the other store committed
		require.NoError(t, err)
		assert.Equal(t, []string{"booking-2", "booking-1", "booking-3"}, b.ended(s))
	}
}

func panics(s *eventstore.Store) (out []eventstore.Panic) {
	for _, c := range s.Panics() {
		out = append(out, c.Panic)
	}
	return out
}
