package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

const zigbeeTopic = "zigbee2mqtt/front"

// zigbeeKeypad is a lock with a keypad behind Zigbee2MQTT.
type zigbeeKeypad struct {
	*client
	mu      sync.Mutex
	codes   map[int]string
	expose  bool // it tells the codes
	deaf    bool // it takes no codes
	stale   bool // each answer comes behind one of before
	payload string
}

func newKeypad(t *testing.T, b *broker) *zigbeeKeypad {
	k := &zigbeeKeypad{client: b.join(t, ""), codes: map[int]string{}}
	type pin struct {
		Pin struct {
			User int     `json:"user"`
			Code *string `json:"pin_code"`
		} `json:"pin_code"`
	}
	k.hear(zigbeeTopic+"/set", func(text string) {
		var p pin
		if !assert.NoError(t, json.Unmarshal([]byte(text), &p)) {
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.payload = text
		switch {
		case k.deaf:
		case p.Pin.Code == nil:
			delete(k.codes, p.Pin.User)
		default:
			k.codes[p.Pin.User] = *p.Pin.Code
		}
	})
	k.hear(zigbeeTopic+"/get", func(text string) {
		var p pin
		if !assert.NoError(t, json.Unmarshal([]byte(text), &p)) {
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.stale {
			k.Publish(zigbeeTopic, 1, false, fmt.Sprintf(`{"state":"LOCK","users":{"%d":{"status":"available"}}}`, p.Pin.User))
		}
		code, used := k.codes[p.Pin.User]
		switch {
		case !used:
			text = `"status":"available"`
		case k.expose:
			text = `"status":"enabled","pin_code":"` + code + `"`
		default:
			text = `"status":"enabled"`
		}
		k.Publish(zigbeeTopic, 1, false, fmt.Sprintf(`{"state":"LOCK","users":{"%d":{%s}}}`, p.Pin.User, text))
	})
	k.keep(zigbeeTopic+"/availability", "online")
	return k
}

func (k *zigbeeKeypad) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

func TestZigbeeSlotsAreWrittenAndReadBack(t *testing.T) {
	t.Parallel()
	b := mosquitto(t)
	k := newKeypad(t, b)
	r := b.run(t, map[wire.ID]string{"gate": `{"profile":"zigbee2mqtt","topic":"` + zigbeeTopic + `","slots":3}`})
	r.await("gate", driver.Online, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	assert.Equal(t, uint32(3), r.d.Room("gate"))
	k.set(func() { k.stale = true })
	require.NoError(t, r.d.Keep(ctx, "gate", 2, "0471"))
	k.set(func() { k.stale = false })
	assert.Equal(t, "0471", k.codes[2], "the zero in front is kept")
	list, err := r.d.Slots(ctx, "gate")
	require.NoError(t, err)
	assert.Equal(t, []driver.Slot{{Number: 2}}, list, "the lock does not tell the code")
	k.set(func() { k.expose = true })
	list, err = r.d.Slots(ctx, "gate")
	require.NoError(t, err)
	assert.Equal(t, []driver.Slot{{Number: 2, Code: "0471"}}, list)
	require.NoError(t, r.d.Keep(ctx, "gate", 2, ""))
	assert.Empty(t, k.codes)

	k.set(func() { k.deaf = true })
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	err = r.d.Keep(short, "gate", 1, "1234")
	assert.ErrorIs(t, err, driver.ErrUnconfirmed, "the lock did not take it")
	assert.NotContains(t, err.Error(), "1234")
	assert.ErrorContains(t, r.d.Keep(ctx, "gate", 4, "1"), "slots 1 to 3")
	assert.ErrorContains(t, r.d.Keep(ctx, "gate", 0, "1"), "slots 1 to 3")
	assert.ErrorContains(t, r.d.Keep(ctx, "gate", 1, `1","x":"`), "digits")
	assert.NotContains(t, r.logged.String(), "0471")
}

// A lock is read back slot by slot, which takes a battery lock minutes. Nobody waits for
// that before a door.
func TestADoorOpensWhileItsSlotsAreReadBack(t *testing.T) {
	b := mosquitto(t)
	lock := b.join(t, "")
	lock.hear(zigbeeTopic+"/set", func(text string) {
		if strings.Contains(text, "UNLOCK") {
			lock.Publish(zigbeeTopic, 1, false, `{"state":"UNLOCK","lock_state":"unlocked"}`)
		}
	})
	asked := make(chan struct{}, 100)
	lock.hear(zigbeeTopic+"/get", func(string) { asked <- struct{}{} }) // and does not answer
	lock.keep(zigbeeTopic+"/availability", "online")
	r := b.run(t, map[wire.ID]string{"gate": `{"profile":"zigbee2mqtt","topic":"` + zigbeeTopic + `","slots":3}`})
	r.await("gate", driver.Online, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read := make(chan error, 1)
	go func() { _, err := r.d.Slots(ctx, "gate"); read <- err }()
	<-asked
	patient, end := context.WithTimeout(t.Context(), 10*time.Second)
	defer end()
	require.NoError(t, r.d.Do(patient, "gate", driver.Command{Action: driver.Unlock}))
	select {
	case <-read:
		assert.Fail(t, "the slots are not read back any more")
	default:
	}
	cancel()
	assert.Error(t, <-read)
}

func TestSlotsThatAreNotAnsweredAreNotEmpty(t *testing.T) {
	b := mosquitto(t)
	b.join(t, "").keep(zigbeeTopic+"/availability", "online")
	r := b.run(t, map[wire.ID]string{"gate": `{"profile":"zigbee2mqtt","topic":"` + zigbeeTopic + `","slots":3}`})
	r.await("gate", driver.Online, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := r.d.Slots(ctx, "gate")
	assert.ErrorIs(t, err, driver.ErrUnconfirmed)
}

func TestOwnSlots(t *testing.T) {
	b := mosquitto(t)
	g := newGate(t, b)
	codes := map[uint32]string{}
	g.answer = func(c ownCommand) string {
		switch c.Action {
		case "keep":
			codes[c.Slot] = c.Code
			return `{"id":"` + c.ID + `","ok":true}`
		case "slots":
			return fmt.Sprintf(`{"id":%q,"ok":true,"slots":[{"slot":1,"code":%q},{"slot":3}]}`, c.ID, codes[1])
		}
		return `{"id":"` + c.ID + `","ok":false}`
	}
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, r.d.Keep(ctx, "gate", 1, "4711"))
	list, err := r.d.Slots(ctx, "gate")
	require.NoError(t, err)
	assert.Equal(t, []driver.Slot{{Number: 1, Code: "4711"}, {Number: 3}}, list)
}

func TestDeviceWithoutSlotsKeepsNone(t *testing.T) {
	b := newBench(t, `{"profile":"nuki","topic":"nuki/1"}`)
	assert.Zero(t, b.d.Room("gate"))
	_, err := b.d.Slots(t.Context(), "gate")
	assert.ErrorIs(t, err, driver.ErrUnsupported)
	assert.ErrorIs(t, b.d.Keep(t.Context(), "gate", 1, "1"), driver.ErrUnsupported)
	assert.Zero(t, b.d.Room("other"))
}
