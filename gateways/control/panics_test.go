package control

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// An order that panics ends by itself: it is named, and the next one is carried out.
func TestAnOrderThatPanicsStopsNoOther(t *testing.T) {
	b := newBed(t)
	i := b.first
	order := wire.Order{Org: "acme", Door: "gate", ValidUntil: b.now().Add(time.Hour)}
	conn := i.control.cfg.Conn
	i.control.cfg.Conn = nil
	i.control.start(task{order: order, gateway: "cabinet"})
	i.control.running.Wait()
	found := i.store.Panics()
	require.Len(t, found, 1)
	assert.Equal(t, eventstore.Panic{Part: "control", Org: "acme"}, found[0].Panic)

	i.control.cfg.Conn = conn
	i.control.start(task{order: order, gateway: "cabinet"})
	require.NoError(t, i.control.Stop(t.Context()))
	assert.Equal(t, 1, i.store.Panics()[0].Count)
}
