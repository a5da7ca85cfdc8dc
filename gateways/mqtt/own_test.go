package mqtt

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// ownGate is a device of our own topics at the door gate.
type ownGate struct {
	*client
	mu       sync.Mutex
	commands []ownCommand
	answer   func(ownCommand) string // empty: it does not answer
}

const gateTopic = "site/gate"

func newGate(t testing.TB, b *broker) *ownGate {
	g := &ownGate{client: b.join(t, gateTopic+"/availability")}
	g.answer = func(c ownCommand) string { return `{"id":"` + c.ID + `","ok":true}` }
	g.hear(gateTopic+"/command", func(payload string) {
		var c ownCommand
		if !assert.NoError(t, json.Unmarshal([]byte(payload), &c)) {
			return
		}
		g.mu.Lock()
		g.commands = append(g.commands, c)
		text := g.answer(c)
		g.mu.Unlock()
		if text != "" {
			g.Publish(gateTopic+"/reply", 1, false, text)
		}
	})
	g.keep(gateTopic+"/availability", "online")
	return g
}

func (g *ownGate) told() []ownCommand {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]ownCommand(nil), g.commands...)
}

var ownDoor = map[wire.ID]string{"gate": `{"profile":"gatehouse","topic":"` + gateTopic + `","slots":3}`}

// brokers are the brokers that the driver is tested with.
func brokers(t *testing.T, f func(t *testing.T, b *broker)) {
	t.Run("mosquitto", func(t *testing.T) { f(t, mosquitto(t)) })
	t.Run("nats", func(t *testing.T) { f(t, natsBroker(t, "")) })
}

func TestOwnDeviceReportsAndObeys(t *testing.T) {
	brokers(t, func(t *testing.T, b *broker) {
		g := newGate(t, b)
		r := b.run(t, ownDoor)
		r.await("gate", driver.Online, 1)
		at := time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)
		g.say(gateTopic+"/event", `{"id":"1","at":"2026-03-01T08:30:00Z","event":"read","method":"card","format":"uid","number":"04A1B2C3","side":"out"}`)
		read := r.await("gate", driver.Read, 1)
		assert.Equal(t, driver.Event{Kind: driver.Read, Door: "gate", Side: unlock.Out, At: at, Method: wire.MethodCard, Source: "1",
			Shown: driver.Shown{Format: "uid", Number: "04A1B2C3"}}, read)
		require.NoError(t, r.do("gate", driver.Command{Action: driver.Release, Side: unlock.Out, For: 5 * time.Second}))
		told := g.told()
		require.Len(t, told, 1)
		told[0].ID = ""
		assert.Equal(t, ownCommand{Action: "release", Side: "out", Seconds: 5}, told[0])

		g.keep(gateTopic+"/state", `{"bolt":"unlocked","leaf":"open"}`)
		r.await("gate", driver.Opened, 1)
		g.keep(gateTopic+"/state", `{"bolt":"locked","leaf":"closed","battery":"low","tamper":true}`)
		r.await("gate", driver.Closed, 1)
		r.await("gate", driver.BatteryLow, 1)
		r.await("gate", driver.Tampered, 1)
		g.say(gateTopic+"/event", `{"id":"2","event":"exit"}`)
		assert.Equal(t, unlock.Out, r.await("gate", driver.ExitRequested, 1).Side)
		assert.Empty(t, r.seen("gate", driver.Unlocked), "the bolt moved by our order")
		assert.Empty(t, r.seen("gate", driver.Locked))
		assert.NotContains(t, r.logged.String(), "04A1B2C3")
	})
}

func TestRefusedOrderIsAnError(t *testing.T) {
	b := mosquitto(t)
	g := newGate(t, b)
	g.answer = func(c ownCommand) string { return `{"id":"` + c.ID + `","ok":false}` }
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)
	assert.ErrorContains(t, r.do("gate", driver.Command{Action: driver.Release}), "did not")
}

func TestAnswerToAnotherOrderConfirmsNothing(t *testing.T) {
	b := mosquitto(t)
	g := newGate(t, b)
	g.answer = func(ownCommand) string { return `{"id":"another","ok":true}` }
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := r.d.Do(ctx, "gate", driver.Command{Action: driver.Release})
	assert.ErrorIs(t, err, driver.ErrUnconfirmed)
	assert.Len(t, g.told(), 1, "it is not told again")
}

// A broker keeps orders of QoS 1 for a device that is away with a session; a release that
// it brings back with it opens a door to nobody.
func TestOrdersAreNotKeptForADeviceThatIsAway(t *testing.T) {
	b := mosquitto(t)
	g := newGate(t, b)
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)
	qos := make(chan byte, 1)
	listener := b.join(t, "")
	listener.hearQoS(gateTopic+"/command", qos)
	require.NoError(t, r.do("gate", driver.Command{Action: driver.Release}))
	select {
	case q := <-qos:
		assert.Zero(t, q)
	case <-time.After(time.Minute):
		require.Fail(t, "no order came")
	}
	g.keep(gateTopic+"/availability", "offline")
	r.await("gate", driver.Offline, 1)
	assert.ErrorIs(t, r.do("gate", driver.Command{Action: driver.Release}), driver.ErrOffline)
	assert.Len(t, g.told(), 1)
}

func TestLastWillIsOffline(t *testing.T) {
	b := mosquitto(t)
	g := newGate(t, b)
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)
	g.die()
	r.await("gate", driver.Offline, 1)
	newGate(t, b)
	r.await("gate", driver.Online, 2)
}

func TestRetainedMessagesAreNoEvents(t *testing.T) {
	brokers(t, func(t *testing.T, b *broker) {
		g := newGate(t, b)
		g.keep(gateTopic+"/event", `{"id":"1","event":"read","method":"card","number":"77"}`)
		g.keep(gateTopic+"/state", `{"bolt":"unlocked","leaf":"closed","battery":"good","tamper":false}`)
		r := b.run(t, ownDoor)
		r.await("gate", driver.Online, 1)
		g.say(gateTopic+"/event", `{"id":"2","event":"exit"}`)
		r.await("gate", driver.ExitRequested, 1)
		r.await("gate", driver.Closed, 1) // which the NATS server may bring at the second look
		r.mu.Lock()
		defer r.mu.Unlock()
		require.Len(t, r.events, 3, "online, where the leaf is, and the button: %v", r.events)
		for i := range r.events {
			if r.events[i].Kind == driver.Closed {
				assert.Zero(t, r.events[i].At, "nobody knows since when")
			}
		}
	})
}

func TestStateAfterAReconnectIsCompared(t *testing.T) {
	t.Parallel()
	b := mosquitto(t)
	g := newGate(t, b)
	g.keep(gateTopic+"/state", `{"leaf":"closed","battery":"good"}`)
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)
	r.await("gate", driver.Closed, 1)
	g.keep(gateTopic+"/state", `{"leaf":"open","battery":"low"}`)
	r.await("gate", driver.Opened, 1)
	b.stop()
	r.await("gate", driver.Offline, 1)
	b.start()
	g = newGate(t, b)
	g.keep(gateTopic+"/state", `{"leaf":"closed","battery":"low"}`)
	r.await("gate", driver.Online, 2)
	assert.Zero(t, r.await("gate", driver.Closed, 2).At, "it closed while nobody watched")
	assert.NotZero(t, r.await("gate", driver.Opened, 1).At)
	assert.Len(t, r.seen("gate", driver.Opened), 1)
	assert.Len(t, r.seen("gate", driver.BatteryLow), 1)
	assert.Len(t, r.seen("gate", driver.Offline), 1)
}

func TestRepeatedEventsAreReportedOnce(t *testing.T) {
	b := mosquitto(t)
	g := newGate(t, b)
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)
	for range 3 {
		g.say(gateTopic+"/event", `{"id":"1","event":"read","method":"card","number":"77"}`)
		g.say(gateTopic+"/event", `{"id":"2","event":"read","method":"card","number":"77"}`)
	}
	g.say(gateTopic+"/event", `{"id":"3","event":"exit"}`)
	r.await("gate", driver.ExitRequested, 1)
	assert.Len(t, r.seen("gate", driver.Read), 2, "one for each number")
}

func TestMovementByTheDeviceIsReported(t *testing.T) {
	b := newBench(t, ownDoor["gate"])
	b.keep(gateTopic+"/availability", "online")
	b.keep(gateTopic+"/state", `{"bolt":"locked"}`)
	b.events()
	b.say(gateTopic+"/event", `{"id":"1","event":"unlocked","method":"pin","slot":2}`)
	b.say(gateTopic+"/state", `{"bolt":"unlocked"}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Unlocked, Method: wire.MethodPin, Slot: 2, HowKnown: wire.KnownClaimed, Source: "1"}}, b.events())
	b.say(gateTopic+"/state", `{"bolt":"locked"}`)
	b.later(settle)
	assert.Equal(t, []driver.Event{{Kind: driver.Locked}}, b.events(), "nobody said why it locked")
}

func TestMessagesThatCannotBeReadAreLeftOut(t *testing.T) {
	b := mosquitto(t)
	g := newGate(t, b)
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)
	for _, text := range []string{``, `{`, `[]`, `"secret-4711"`, `{"event":"secret-4711"}`, `{"event":"read","number":"` + strings.Repeat("9", maxPayload) + `"}`, "\x00\xff"} {
		g.say(gateTopic+"/event", text)
		g.say(gateTopic+"/state", text)
		g.say(gateTopic+"/reply", text)
	}
	g.say(gateTopic+"/event", `{"id":"3","event":"exit"}`)
	r.await("gate", driver.ExitRequested, 1)
	assert.Empty(t, r.seen("gate", driver.Read))
	assert.NotContains(t, r.logged.String(), "secret-4711")
	assert.NotContains(t, r.logged.String(), "99999")
}

func TestFloodIsBoundedAndCounted(t *testing.T) {
	b := mosquitto(t, "max_queued_messages 0")
	g := newGate(t, b)
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	r := b.runReporting(t, ownDoor, func(e driver.Event) {
		if e.Kind == driver.Online {
			held <- struct{}{}
			<-hold
		}
	})
	<-held
	const flood = maxQueued + 50
	for range flood {
		g.say(gateTopic+"/event", `{"event":"exit","side":"in","id":"`+newID()+`"}`)
	}
	g.keep(gateTopic+"/state", `{"leaf":"open"}`)
	require.Eventually(t, func() bool {
		r.d.mu.Lock()
		defer r.d.mu.Unlock()
		return r.d.doors["gate"].missed == flood-maxQueued+1
	}, time.Minute, time.Millisecond)
	close(hold)
	assert.Equal(t, uint64(flood-maxQueued+1), r.await("gate", driver.Missed, 1).Count)
	r.await("gate", driver.Opened, 1) // a state is told late, and not lost
	assert.Len(t, r.seen("gate", driver.ExitRequested), maxQueued)
}

// Events that a device kept while its network was down are told with their instant, and
// move nothing now.
func TestLateEventsHaveTheirInstant(t *testing.T) {
	b := newBench(t, ownDoor["gate"])
	b.keep(gateTopic+"/availability", "online")
	b.keep(gateTopic+"/state", `{"bolt":"locked"}`)
	for range 2 {
		b.say(gateTopic+"/event", `{"id":"1","at":"2026-03-01T06:00:00Z","event":"unlocked","method":"pin","slot":2}`)
		b.say(gateTopic+"/event", `{"id":"2","at":"2026-03-01T06:00:05Z","event":"locked"}`)
		b.say(gateTopic+"/event", `{"id":"3","at":"2026-03-01T06:30:00Z","event":"unlocked","method":"pin","slot":3}`)
	}
	var at []string
	for e, ok := b.d.next(t.Context()); ok; e, ok = b.d.next(t.Context()) {
		if e.Kind == driver.Unlocked || e.Kind == driver.Locked {
			at = append(at, e.At.Format("15:04:05"))
		}
	}
	assert.Equal(t, []string{"06:00:00", "06:00:05", "06:30:00"}, at)
	assert.Equal(t, off, b.door().state[ofBolt])
	b.say(gateTopic+"/state", `{"bolt":"unlocked"}`)
	b.later(settle)
	assert.Len(t, b.events(), 1, "this one is new")
}

func TestFireInputOfTheWholeGateway(t *testing.T) {
	b := mosquitto(t)
	building := b.join(t, "")
	building.keep("building/fire", "ON")
	r := b.run(t, ownDoor, `"fire":{"topic":"building/fire"}`)
	r.await("", driver.Fire, 1)
	building.keep("building/fire", "OFF")
	r.await("", driver.FireOver, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		assert.True(t, e.Door != "" || e.Kind == driver.Fire || e.Kind == driver.FireOver, "%v", e)
	}
}

// A device that is said to be away and speaks is heard, a little later.
func TestStateOfADeviceThatIsSaidToBeAway(t *testing.T) {
	b := newBench(t, ownDoor["gate"])
	b.keep(gateTopic+"/availability", "offline")
	assert.Equal(t, []driver.Event{{Kind: driver.Offline}}, b.events())
	b.say(gateTopic+"/state", `{"leaf":"open"}`)
	assert.Empty(t, b.events(), "it may be about to say that it is there")
	b.later(settle)
	assert.Equal(t, []driver.Event{{Kind: driver.Opened}}, b.events())
	b.say(gateTopic+"/state", `{"fire":true}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Fire}}, b.events(), "a fire does not wait")
	b.keep(gateTopic+"/availability", "online")
	assert.Equal(t, []driver.Event{{Kind: driver.Online}}, b.events())
}
