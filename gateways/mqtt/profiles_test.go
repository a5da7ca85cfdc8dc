package mqtt

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// bench is a driver without a broker and with a clock of its own, for what messages mean.
type bench struct {
	t   *testing.T
	d   *Driver
	now time.Time
	log lockedBuffer
}

func newBench(t *testing.T, door string) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	opened, err := Open(driver.Settings{Driver: json.RawMessage(`{"broker":"mqtt://nowhere"}`),
		Doors: map[wire.ID]json.RawMessage{"gate": json.RawMessage(door)},
		Now:   func() time.Time { return b.now }, Log: slog.New(slog.NewTextHandler(&b.log, nil))})
	require.NoError(t, err)
	b.d = opened.(*Driver)
	b.door().heard = on
	return b
}

func (b *bench) door() *door { return b.d.doors["gate"] }

func (b *bench) say(topic, payload string) { b.d.take(message{topic: topic, payload: []byte(payload)}) }

func (b *bench) keep(topic, payload string) {
	b.d.take(message{topic: topic, payload: []byte(payload), retained: true})
}

// later moves the clock.
func (b *bench) later(d time.Duration) { b.now = b.now.Add(d) }

// events takes the events so far, without their door, instant and, where it is in, side.
func (b *bench) events() []driver.Event {
	var out []driver.Event
	for e, ok := b.d.next(b.t.Context()); ok; e, ok = b.d.next(b.t.Context()) {
		e.Door, e.At = "", time.Time{}
		if e.Side == unlock.In {
			e.Side = unlock.NoSide
		}
		out = append(out, e)
	}
	return out
}

// order notes a command as sent, and gives its messages.
func (b *bench) order(c driver.Command) []order {
	b.t.Helper()
	out, err := b.door().device.order("id", c)
	require.NoError(b.t, err)
	b.door().plan(c, &waiter{id: "id", done: make(chan reply, 1)}, b.now)
	return out
}

func TestZigbeeLockTellsWhoUnlockedIt(t *testing.T) {
	const topic = "zigbee2mqtt/Front Door"
	b := newBench(t, `{"profile":"zigbee2mqtt","topic":"`+topic+`"}`)
	b.keep(topic+"/availability", `{"state":"online"}`)
	b.keep(topic, `{"state":"LOCK","battery_low":false,"users":{"1":{"status":"enabled"}}}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Online}}, b.events())

	t.Run("the action first", func(t *testing.T) {
		b.say(topic, `{"action":"unlock","action_source_name":"keypad","action_user":3,"state":"LOCK"}`)
		assert.Empty(t, b.events())
		b.say(topic, `{"state":"UNLOCK"}`)
		assert.Equal(t, []driver.Event{{Kind: driver.Unlocked, Method: wire.MethodPin, Slot: 3, HowKnown: wire.KnownClaimed}}, b.events())
	})
	t.Run("the state first", func(t *testing.T) {
		b.later(time.Minute)
		b.say(topic, `{"state":"LOCK"}`)
		assert.Empty(t, b.events(), "it waits for who it was")
		b.say(topic, `{"action":"one_touch_lock","action_source_name":"manual","state":"LOCK"}`)
		assert.Equal(t, []driver.Event{{Kind: driver.Locked, Method: wire.MethodKey, HowKnown: wire.KnownClaimed}}, b.events())
	})
	t.Run("nobody said who", func(t *testing.T) {
		b.say(topic, `{"state":"UNLOCK"}`)
		b.later(settle - 1)
		assert.Empty(t, b.events())
		b.later(1)
		assert.Equal(t, []driver.Event{{Kind: driver.Unlocked}}, b.events())
	})
	t.Run("it went back before anybody said who", func(t *testing.T) {
		b.say(topic, `{"state":"LOCK"}`)
		b.say(topic, `{"state":"UNLOCK"}`)
		assert.Equal(t, []driver.Event{{Kind: driver.Locked}, {Kind: driver.Unlocked}}, b.events())
	})
	t.Run("a wrong code", func(t *testing.T) {
		b.say(topic, `{"action":"unlock_failure_invalid_pin_or_id","action_source_name":"keypad","action_user":null}`)
		assert.Equal(t, []driver.Event{{Kind: driver.Read, Method: wire.MethodPin, HowKnown: wire.KnownClaimed, Refused: true}}, b.events())
	})
	t.Run("the battery, and a leaf of its own", func(t *testing.T) {
		b.say(topic, `{"battery_low":true,"door_state":"open"}`)
		assert.Equal(t, []driver.Event{{Kind: driver.Opened}, {Kind: driver.BatteryLow}}, b.events())
	})
}

func TestMovementByAnOrderIsNoEvent(t *testing.T) {
	const topic = "zigbee2mqtt/Front Door"
	b := newBench(t, `{"profile":"zigbee2mqtt","topic":"`+topic+`","availability":false}`)
	b.keep(topic, `{"state":"LOCK"}`)
	assert.Equal(t, []order{{topic + "/set", `{"state":"UNLOCK"}`}}, b.order(driver.Command{Action: driver.Release, For: 5 * time.Second}))
	b.say(topic, `{"action":"unlock","action_source_name":"rf","state":"LOCK"}`)
	b.say(topic, `{"state":"UNLOCK"}`)
	b.later(10 * time.Second)
	b.say(topic, `{"state":"LOCK"}`)
	b.later(settle)
	assert.Empty(t, b.events())
	// The order is done: what moves now is not its effect, however soon.
	b.say(topic, `{"action":"manual_unlock","action_source_name":"manual","state":"UNLOCK"}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Unlocked, Method: wire.MethodKey, HowKnown: wire.KnownClaimed}}, b.events())
}

// The lock locks itself after a release only if it is told to; otherwise the driver does.
func TestDriverLocksAgainWhatDoesNotLockItself(t *testing.T) {
	for door, itself := range map[string]bool{
		`{"profile":"zigbee2mqtt","topic":"a"}`:                       false,
		`{"profile":"zigbee2mqtt","topic":"a","relock":"device"}`:     true,
		`{"profile":"gatehouse","topic":"a"}`:                         true,
		`{"profile":"nuki","topic":"a"}`:                              false,
		`{"profile":"nuki","topic":"a","release":"lock_n_go"}`:        true,
		`{"profile":"tasmota","topic":"a"}`:                           true,
		`{"profile":"tasmota","topic":"a","invert":true}`:             false,
		`{"profile":"esphome","topic":"a","relay":"b"}`:               false,
		`{"lock":{"topic":"a"}}`:                                      false,
		`{"lock":{"topic":"a","release":"PULSE"}}`:                    true,
		`{"lock":{"topic":"a","release":"PULSE"},"relock":"gateway"}`: false,
	} {
		b := newBench(t, door)
		b.order(driver.Command{Action: driver.Release, For: 5 * time.Second})
		assert.Equal(t, itself, b.door().relockAt.IsZero(), door)
		b.order(driver.Command{Action: driver.Unlock})
		assert.Zero(t, b.door().relockAt, "it stays open: %s", door)
	}
}

func TestNukiTellsWhoUnlockedIt(t *testing.T) {
	b := newBench(t, `{"profile":"nuki","topic":"nuki/2B3C4D5E"}`)
	say := func(topic, text string) { b.say("nuki/2B3C4D5E/"+topic, text) }
	b.keep("nuki/2B3C4D5E/connected", "true")
	b.keep("nuki/2B3C4D5E/state", "1")
	b.keep("nuki/2B3C4D5E/lockActionEvent", "3,0,54321,12345,1")
	b.keep("nuki/2B3C4D5E/doorsensorState", "2")
	assert.Equal(t, []driver.Event{{Kind: driver.Online}, {Kind: driver.Closed}}, b.events())
	say("lockActionEvent", "3,0,54321,12345,1")
	say("state", "7")
	say("state", "5")
	assert.Equal(t, []driver.Event{{Kind: driver.Unlocked, Method: wire.MethodPin, Slot: 12345, HowKnown: wire.KnownClaimed}}, b.events())
	say("lockActionEvent", "2,2,0,0,1")
	say("state", "4")
	say("state", "1")
	assert.Equal(t, []driver.Event{{Kind: driver.Locked, Method: wire.MethodKey, HowKnown: wire.KnownClaimed}}, b.events())
	say("lockActionEvent", "90,2,0,0,2")
	assert.Empty(t, b.events(), "a button that moves nothing")
	say("doorsensorState", "3")
	say("doorsensorState", "240")
	say("batteryCritical", "true")
	say("connected", "false")
	assert.Equal(t, []driver.Event{{Kind: driver.Opened}, {Kind: driver.Tampered}, {Kind: driver.BatteryLow}, {Kind: driver.Offline}}, b.events())
}

func TestNukiIsToldOneActionAndAnswers(t *testing.T) {
	b := newBench(t, `{"profile":"nuki","topic":"nuki/2B3C4D5E"}`)
	b.keep("nuki/2B3C4D5E/connected", "true")
	b.keep("nuki/2B3C4D5E/state", "1")
	b.events()
	assert.Equal(t, []order{{"nuki/2B3C4D5E/lockAction", "3"}}, b.order(driver.Command{Action: driver.Release}))
	w := &waiter{done: make(chan reply, 1)}
	b.door().waiter = w
	b.keep("nuki/2B3C4D5E/commandResponse", "0")
	assert.Empty(t, w.done, "an answer that is kept is of another order")
	b.say("nuki/2B3C4D5E/commandResponse", "69")
	assert.Contains(t, (<-w.done).failed, `"69"`)
	b.say("nuki/2B3C4D5E/commandResponse", "0")
	assert.Empty(t, (<-w.done).failed)
	b.say("nuki/2B3C4D5E/lockActionEvent", "3,172,0,0,0")
	b.say("nuki/2B3C4D5E/state", "5")
	b.later(settle)
	assert.Empty(t, b.events())
}

func TestTasmotaCountsTheReleaseItself(t *testing.T) {
	b := newBench(t, `{"profile":"tasmota","topic":"gate","relay":"2","readers":[{"topic":"tele/gate/SENSOR","field":"Wiegand.UID","format":"wiegand26","side":"out"}],"contact":1}`)
	b.keep("tele/gate/LWT", "Online")
	b.keep("stat/gate/RESULT", `{"POWER2":"OFF"}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Online}}, b.events())
	for d, want := range map[time.Duration]string{5 * time.Second: "50", 11100 * time.Millisecond: "111", 11200 * time.Millisecond: "112",
		time.Minute: "160", time.Millisecond: "1", 0: "1", 100 * time.Hour: "64900"} {
		assert.Equal(t, []order{{"cmnd/gate/Backlog", "PulseTime2 " + want + ";Power2 ON"}}, b.order(driver.Command{Action: driver.Release, For: d}))
	}
	b.say("stat/gate/RESULT", `{"PulseTime2":{"Set":50,"Remaining":50}}`)
	b.say("stat/gate/RESULT", `{"POWER2":"ON"}`)
	b.say("stat/gate/RESULT", `{"POWER1":"ON"}`)
	b.later(5 * time.Second)
	b.say("stat/gate/RESULT", `{"POWER2":"OFF"}`)
	assert.Empty(t, b.events())
	b.say("tele/gate/SENSOR", `{"Time":"2026-03-01T08:00:00","Wiegand":{"UID":7748328,"Size":26}}`)
	b.say("stat/gate/SWITCH1", `{"Switch1":{"Action":"ON"}}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Read, Side: unlock.Out, Method: wire.MethodCard, Shown: driver.Shown{Format: "wiegand26", Number: "118-15080"}},
		{Kind: driver.Opened}}, b.events())
	assert.Equal(t, []order{{"cmnd/gate/Backlog", "PulseTime2 0;Power2 ON"}}, b.order(driver.Command{Action: driver.Unlock}))
	assert.Equal(t, []order{{"cmnd/gate/Power2", "OFF"}}, b.order(driver.Command{Action: driver.Lock}))
}

func TestESPHomeSwitchAndLock(t *testing.T) {
	b := newBench(t, `{"profile":"esphome","topic":"gate","relay":"strike","readers":[{"topic":"gate/tag","format":"wiegand34"},{"topic":"gate/keys","method":"pin"}],
		"refuse":{"topic":"gate/light/red/command","payload":"{\"state\":\"ON\",\"flash\":1}"}}`)
	b.keep("gate/status", "online")
	b.keep("gate/switch/strike/state", "OFF")
	b.events()
	assert.Equal(t, []order{{"gate/switch/strike/command", "ON"}}, b.order(driver.Command{Action: driver.Release}))
	b.say("gate/switch/strike/state", "ON")
	b.say("gate/tag", "4302741608")
	b.say("gate/keys", "0471")
	assert.Equal(t, []driver.Event{{Kind: driver.Read, Method: wire.MethodCard, Shown: driver.Shown{Format: "wiegand34", Number: "118-41064"}},
		{Kind: driver.Read, Method: wire.MethodPin, Shown: driver.Shown{Number: "0471"}}}, b.events())
	assert.Equal(t, []order{{"gate/light/red/command", `{"state":"ON","flash":1}`}}, b.order(driver.Command{Action: driver.Refuse}))

	b = newBench(t, `{"profile":"esphome","topic":"gate","relay":"bolt","component":"lock"}`)
	assert.Equal(t, []order{{"gate/lock/bolt/command", "UNLOCK"}}, b.order(driver.Command{Action: driver.Release}))
	_, err := b.door().device.order("id", driver.Command{Action: driver.Refuse})
	assert.ErrorIs(t, err, driver.ErrUnsupported)
}

func TestMagnetIsOffWhenUnlocked(t *testing.T) {
	b := newBench(t, `{"invert":true,"lock":{"topic":"gate/cmd","state":{"topic":"gate/state"}}}`)
	b.keep("gate/state", "ON")
	assert.Equal(t, []order{{"gate/cmd", "OFF"}}, b.order(driver.Command{Action: driver.Unlock}))
	assert.Equal(t, []order{{"gate/cmd", "ON"}}, b.order(driver.Command{Action: driver.Lock}))
	b.later(time.Hour)
	b.say("gate/state", "OFF")
	assert.Equal(t, []driver.Event{{Kind: driver.Unlocked}}, b.events())
}

// A lock that tells what it was told proves nothing.
func TestOptimisticLockIsAssumed(t *testing.T) {
	b := newBench(t, `{"optimistic":true,"lock":{"topic":"gate/cmd","state":{"topic":"gate/state"}}}`)
	assert.Equal(t, byNothing, b.door().device.confirm)
	b.keep("gate/state", "OFF")
	b.say("gate/state", "ON")
	assert.Equal(t, []driver.Event{{Kind: driver.Unlocked, HowKnown: wire.KnownAssumed}}, b.events())
}

func TestCardNumbersOfWiegandReaders(t *testing.T) {
	for _, c := range []struct{ format, number, want string }{
		{"wiegand26", "7748328", "118-15080"},
		{"wiegand26", "0x763AE8", "118-15080"},
		{"wiegand26", "0000000001", "0-1"},
		{"wiegand26", "118-15080", "118-15080"},
		{"wiegand26", "118,15080", "118,15080"},
		{"wiegand26", "16777216", "16777216"},
		{"wiegand26", "card", "card"},
		{"wiegand34", "4302741608", "118-41064"},
		{"wiegand37", "7748328", "7748328"},
		{"uid", "04A1B2C3", "04A1B2C3"},
		{"", "7748328", "7748328"},
	} {
		s, err := shown(c.format, c.number)
		require.NoError(t, err)
		assert.Equal(t, c.want, s.Number, "%s %s", c.format, c.number)
	}
}

// Zigbee2MQTT retains no states unless it is told to. So the first that is known of the
// bolt may be where somebody has just moved it.
func TestFirstStateOfTheBolt(t *testing.T) {
	const topic = "zigbee2mqtt/front"
	b := newBench(t, `{"profile":"zigbee2mqtt","topic":"`+topic+`"}`)
	b.keep(topic+"/availability", "online")
	b.events()
	b.say(topic, `{"state":"LOCK"}`)
	b.later(settle)
	assert.Empty(t, b.events(), "nobody knows how long it has been locked")

	b = newBench(t, `{"profile":"zigbee2mqtt","topic":"`+topic+`"}`)
	b.say(topic, `{"action":"unlock","action_source_name":"keypad","action_user":3}`)
	b.say(topic, `{"state":"UNLOCK"}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Online}, {Kind: driver.Unlocked, Method: wire.MethodPin, Slot: 3, HowKnown: wire.KnownClaimed}}, b.events())
}

// An answer may overtake the state that it is about.
func TestStateThatArrivesAfterTheNextOrderIsOurs(t *testing.T) {
	b := newBench(t, ownDoor["gate"])
	b.keep(gateTopic+"/availability", "online")
	b.keep(gateTopic+"/state", `{"bolt":"locked"}`)
	b.events()
	b.order(driver.Command{Action: driver.Unlock})
	b.order(driver.Command{Action: driver.Lock})
	b.say(gateTopic+"/state", `{"bolt":"unlocked"}`)
	b.say(gateTopic+"/state", `{"bolt":"locked"}`)
	b.later(settle)
	assert.Empty(t, b.events())
	b.say(gateTopic+"/state", `{"bolt":"unlocked"}`)
	b.later(settle)
	assert.Equal(t, []driver.Event{{Kind: driver.Unlocked}}, b.events())
}
