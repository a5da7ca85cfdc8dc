package mqtt

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

func TestDoorsAreShownToHomeAssistant(t *testing.T) {
	brokers(t, func(t *testing.T, b *broker) {
		h, err := OpenHome(json.RawMessage(`{"broker":"mqtt://`+b.address+`","topic":"gatehouse/north"}`), map[wire.ID]string{"gate": "Main gate"}, nil)
		require.NoError(t, err)
		heard := make(chan string, 64)
		watcher := b.join(t, "")
		watcher.done(watcher.Subscribe("gatehouse/north/#", 1, func(_ paho.Client, m paho.Message) { heard <- m.Topic() + " " + string(m.Payload()) }))
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		next := func() string {
			t.Helper()
			select {
			case text := <-heard:
				return text
			case <-time.After(time.Minute):
				require.Fail(t, "nothing came")
				return ""
			}
		}
		expect := func(want string) { t.Helper(); assert.Equal(t, want, next()) }
		expect("gatehouse/north/status online")
		for _, a := range []wire.Activity{
			{Type: wire.AccessGranted, Person: "p-1", Credential: "c-1"},
			{Type: wire.DoorOpened},
			{Type: wire.AccessTaken, HowKnown: wire.KnownAssumed},
			{Type: wire.DuressSignalled, Person: "p-1"},
			{Type: wire.DoorOpened, Door: "other"},
			{Type: wire.DoorClosed},
		} {
			if a.Door == "" {
				a.Door = "gate"
			}
			h.Recorded(&a)
		}
		// The NATS server keeps no order between messages of QoS 0 and 1.
		came := []string{next(), next(), next(), next()}
		assert.ElementsMatch(t, []string{`gatehouse/north/gate/event {"event_type":"access.granted"}`, "gatehouse/north/gate/leaf ON",
			`gatehouse/north/gate/event {"event_type":"access.taken"}`, "gatehouse/north/gate/leaf OFF"}, came)
		cancel()
		require.NoError(t, <-ended)
		expect("gatehouse/north/status offline")

		// Our own reading of discovery finds what Home Assistant finds.
		r := b.run(t, map[wire.ID]string{"copy": `{"lock":{"topic":"a"},"leaf":{"id":"gatehouse_north_gate_leaf"}}`})
		r.await("copy", driver.Online, 1)
		r.await("copy", driver.Closed, 1)
		found := r.d.Discovered()
		require.Len(t, found, 6)
		for _, d := range found {
			assert.Empty(t, d.Problem)
			assert.Equal(t, "Main gate", d.Device)
			assert.NotEqual(t, "lock", d.Kind, "a lock takes orders")
		}
	})
}

func TestHomeAssistantIsToldNothingOfWhoOrDuress(t *testing.T) {
	for typ := range shownAs {
		assert.NotEqual(t, wire.DuressSignalled, typ)
	}
	assert.NotContains(t, told, wire.DuressSignalled)
}

func TestSettingsForHomeAssistantAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		`{"broker":"mqtt://a"}`:                                "topic is empty",
		`{"broker":"mqtt://a","topic":"a/#"}`:                  "wildcard",
		`{"broker":"a","topic":"a"}`:                           "no address",
		`{"broker":"mqtt://a","topic":"a","discovery":""}`:     "homeassistant",
		`{"broker":"mqtt://a","topic":"a","status_topic":"b"}`: "of the driver",
	} {
		_, err := OpenHome(json.RawMessage(text), nil, nil)
		assert.ErrorContains(t, err, want, text)
	}
	_, err := OpenHome(json.RawMessage(`{"broker":"mqtt://a","topic":"a"}`), map[wire.ID]string{"a/b": ""}, nil)
	assert.ErrorContains(t, err, "part of a topic")
}

// A broker that is away for long must not fill the memory.
func TestEventsForHomeAssistantAreBounded(t *testing.T) {
	h, err := OpenHome(json.RawMessage(`{"broker":"mqtt://a","topic":"a"}`), map[wire.ID]string{"gate": ""}, nil)
	require.NoError(t, err)
	for range 3 * maxUnsent {
		h.Recorded(&wire.Activity{Type: wire.AccessDenied, Door: "gate"})
	}
	assert.Len(t, h.unsent, maxUnsent)
}
