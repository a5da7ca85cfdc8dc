package mqtt

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/gatewaytest"
	"gatehouse/schemas/wire"
)

func TestSuite(t *testing.T) {
	brokers(t, func(t *testing.T, b *broker) {
		gatewaytest.Run(t, func(t *testing.T, s driver.Settings) gatewaytest.Bed {
			topic := "suite/" + newID()
			d := &ownPlayed{t: t, b: b, topic: topic, codes: map[uint32]string{}}
			d.state.Bolt, d.state.Leaf = "locked", "closed"
			d.find()
			t.Cleanup(d.lose)
			s.Driver = json.RawMessage(`{"broker":"mqtt://` + b.address + `","discovery":""}`)
			s.Doors = map[wire.ID]json.RawMessage{"gate": json.RawMessage(`{"profile":"gatehouse","topic":"` + topic + `","slots":30}`)}
			opened, err := Open(s)
			require.NoError(t, err)
			return gatewaytest.Bed{Driver: opened, Door: "gate", Device: d.hands()}
		})
	})
}

// ownPlayed is a device of our own topics, played by the suite.
type ownPlayed struct {
	t     *testing.T
	b     *broker
	topic string

	mu    sync.Mutex
	c     *client // nil: it has no network
	state ownState
	codes map[uint32]string
	told  []driver.Command
	slow  bool
	owed  []string // replies that wait until it is quick
	last  string   // the last event
}

func (d *ownPlayed) hands() gatewaytest.Device {
	flag := func(set func(on bool)) func(bool) { return func(on bool) { d.change(func() { set(on) }) } }
	either := func(to *string, yes, no string) func(bool) {
		return flag(func(on bool) {
			if *to = no; on {
				*to = yes
			}
		})
	}
	moved := func(name string, more string) { d.event(`"event":"` + name + `"` + more) }
	return gatewaytest.Device{
		Show: func(side unlock.Side, number string) {
			moved("read", fmt.Sprintf(`,"method":"card","side":%q,"number":%q`, side, number))
		},
		Type: func(side unlock.Side, pin string) {
			moved("read", fmt.Sprintf(`,"method":"pin","side":%q,"number":%q`, side, pin))
		},
		Press: func() { moved("exit", "") },
		Open:  func() { d.change(func() { d.state.Leaf = "open" }) },
		Close: func() { d.change(func() { d.state.Leaf = "closed" }) },
		Key: func(open bool) {
			name := map[bool]string{true: "unlocked", false: "locked"}[open]
			moved(name, `,"method":"key"`)
			d.change(func() { d.state.Bolt = name })
		},
		Code: func(slot uint32) {
			moved("unlocked", fmt.Sprintf(`,"method":"pin","slot":%d`, slot))
			d.change(func() { d.state.Bolt = "unlocked" })
		},
		Fire: flag(func(on bool) { d.state.Fire = &on }), Case: flag(func(on bool) { d.state.Tamper = &on }),
		Drain: either(&d.state.Battery, "low", "good"),
		Lose:  d.lose, Find: d.find, Power: func() { d.lose(); d.find() },
		Slow: func(on bool) {
			d.mu.Lock()
			defer d.mu.Unlock()
			for d.slow = on; !on && len(d.owed) > 0; d.owed = d.owed[1:] {
				d.c.say(d.topic+"/reply", d.owed[0])
			}
		},
		Again: func() { d.c.say(d.topic+"/event", d.last) },
		Late: func(kind driver.Kind, at time.Time) {
			moved(map[driver.Kind]string{driver.Opened: "opened", driver.Closed: "closed", driver.ExitRequested: "exit"}[kind],
				`,"at":"`+at.UTC().Format(time.RFC3339)+`"`)
		},
		Miss: func(n uint64) { moved("missed", fmt.Sprintf(`,"count":%d`, n)) },
		Told: func() []driver.Command {
			d.mu.Lock()
			defer d.mu.Unlock()
			return append([]driver.Command(nil), d.told...)
		},
	}
}

// event publishes an event; without a network it is lost.
func (d *ownPlayed) event(fields string) {
	d.last = `{"id":"` + newID() + `",` + fields + `}`
	if d.c != nil {
		d.c.say(d.topic+"/event", d.last)
	}
}

// change changes the state, and publishes it as soon as there is a network.
func (d *ownPlayed) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	d.publish()
}

func (d *ownPlayed) publish() {
	if d.c == nil {
		return
	}
	text, err := json.Marshal(d.state)
	require.NoError(d.t, err)
	d.c.keep(d.topic+"/state", string(text))
}

func (d *ownPlayed) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.c != nil {
		d.c.die()
		d.c = nil
	}
}

func (d *ownPlayed) find() {
	c := d.b.join(d.t, d.topic+"/availability")
	c.hear(d.topic+"/command", func(text string) { d.obey(c, text) })
	d.mu.Lock()
	defer d.mu.Unlock()
	d.c = c
	d.publish()
	c.keep(d.topic+"/availability", "online")
}

// obey does what it is told. It publishes without waiting, in the client's own turn.
func (d *ownPlayed) obey(c *client, text string) {
	var o ownCommand
	if !assert.NoError(d.t, json.Unmarshal([]byte(text), &o)) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	answer := `{"id":"` + o.ID + `","ok":true}`
	for action, name := range actions {
		if o.Action == name {
			d.told = append(d.told, driver.Command{Action: action, Side: sides[o.Side], For: time.Duration(o.Seconds * float64(time.Second))})
			d.obeyBolt(c, action)
		}
	}
	switch o.Action {
	case "slots":
		answer = d.answerSlots(o.ID)
	case "keep":
		if d.codes[o.Slot] = o.Code; o.Code == "" {
			delete(d.codes, o.Slot)
		}
	}
	if d.slow {
		d.owed = append(d.owed, answer)
		return
	}
	c.Publish(d.topic+"/reply", 1, false, answer)
}

func (d *ownPlayed) obeyBolt(c *client, action driver.Action) {
	switch action {
	case driver.Unlock, driver.Release:
		d.state.Bolt = "unlocked"
	case driver.Lock:
		d.state.Bolt = "locked"
	}
	text, _ := json.Marshal(d.state)
	c.Publish(d.topic+"/state", 1, true, text)
	if action == driver.Release {
		d.state.Bolt = "locked"
		text, _ := json.Marshal(d.state)
		c.Publish(d.topic+"/state", 1, true, text)
	}
}

func (d *ownPlayed) answerSlots(id string) string {
	type slot struct {
		Slot uint32 `json:"slot"`
		Code string `json:"code"`
	}
	held := []slot{}
	for n, code := range d.codes {
		held = append(held, slot{n, code})
	}
	text, _ := json.Marshal(map[string]any{"id": id, "ok": true, "slots": held})
	return string(text)
}
