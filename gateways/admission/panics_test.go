package admission

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore"
)

// A question whose answer panics lets nobody in; it is named, and the next one is
// answered.
func TestAQuestionThatPanicsLetsNobodyInAndStopsNoOther(t *testing.T) {
	b := newEmbedded(t)
	i, _ := b.instance()
	keys := i.house("acme", "gw-1")
	asked, over := make(chan *nats.Msg), make(chan struct{})
	done := i.admission.answerAll(t.Context(), asked, over)
	asked <- nil // as a message that no check foresees
	close(over)
	<-done
	found := i.store.Panics()
	require.Len(t, found, 1)
	assert.Equal(t, eventstore.Panic{Part: "admission"}, found[0].Panic)
	for range answersAtOnce {
		<-i.admission.places
	}
	_, err := b.dial("acme/gw-1", keys["gw-1"])
	assert.NoError(t, err)
}
