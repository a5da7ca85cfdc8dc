package mqtt

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/gatewaytest"
	"gatehouse/schemas/wire"
)

func TestSuiteTasmota(t *testing.T) {
	b := mosquitto(t)
	gatewaytest.Run(t, func(t *testing.T, s driver.Settings) gatewaytest.Bed {
		topic := "t" + newID()
		d := &tasmota{t: t, b: b, topic: topic, clock: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), power: "OFF"}
		d.find()
		t.Cleanup(d.lose)
		s.Driver = json.RawMessage(`{"broker":"mqtt://` + b.address + `","discovery":""}`)
		s.Doors = map[wire.ID]json.RawMessage{"gate": json.RawMessage(strings.ReplaceAll(`{"profile":"tasmota","topic":"TOPIC",
			"readers":[{"topic":"tele/TOPIC/SENSOR","field":"Wiegand.UID"},{"topic":"tele/TOPIC/SENSOR","field":"Outside.UID","side":"out"},
				{"topic":"tele/TOPIC/SENSOR","field":"Keypad.PIN","method":"pin"}],
			"exit":{"topic":"stat/TOPIC/SWITCH2","field":"Switch2.Action"},"fire":{"topic":"stat/TOPIC/SWITCH3","field":"Switch3.Action"},
			"tamper":{"topic":"stat/TOPIC/SWITCH4","field":"Switch4.Action"}}`, "TOPIC", topic))}
		opened, err := Open(s)
		require.NoError(t, err)
		return gatewaytest.Bed{Driver: opened, Door: "gate", Device: d.hands(), Lacks: map[gatewaytest.Capability]string{
			gatewaytest.Contact:  "a switch is told when it changes, and else once the device has been asked",
			gatewaytest.KeyTold:  "a relay has no key",
			gatewaytest.OwnCodes: "the gateway decides",
			gatewaytest.Writable: "the gateway decides",
			gatewaytest.Battery:  "it has none",
			gatewaytest.Memory:   "it keeps no events",
			gatewaytest.Gaps:     "it counts no events",
			gatewaytest.Lamp:     "unless refuse names what shows it",
		}}
	})
}

// tasmota is a relay with readers, played by the suite.
type tasmota struct {
	t     *testing.T
	b     *broker
	topic string

	mu    sync.Mutex
	clock time.Time // of its messages, which tell whole seconds
	c     *client
	power string
	told  []driver.Command
	slow  bool
	last  [2]string // topic and payload of its last event
}

func (d *tasmota) hands() gatewaytest.Device {
	flag := func(n int) func(bool) {
		return func(on bool) {
			d.event(fmt.Sprintf("stat/%s/SWITCH%d", d.topic, n), fmt.Sprintf(`"Switch%d":{"Action":%q}`, n, map[bool]string{true: "ON", false: "OFF"}[on]))
		}
	}
	read := func(what, field, text string) {
		d.event("tele/"+d.topic+"/SENSOR", fmt.Sprintf(`%q:{%q:%q}`, what, field, text))
	}
	return gatewaytest.Device{
		Show: func(side unlock.Side, number string) {
			read(map[unlock.Side]string{unlock.In: "Wiegand", unlock.Out: "Outside"}[side], "UID", number)
		},
		Type:  func(_ unlock.Side, pin string) { read("Keypad", "PIN", pin) },
		Press: func() { flag(2)(true) },
		Fire:  flag(3), Case: flag(4), Lose: d.lose, Find: d.find, Power: func() { d.lose(); d.find() },
		Again: func() { d.c.say(d.last[0], d.last[1]) },
		Slow: func(on bool) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.slow = on; !on {
				d.publish(d.c)
			}
		},
		Told: func() []driver.Command {
			d.mu.Lock()
			defer d.mu.Unlock()
			return append([]driver.Command(nil), d.told...)
		},
	}
}

// event publishes what happens a second after the last event.
func (d *tasmota) event(topic, field string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = d.clock.Add(time.Second)
	d.last = [2]string{topic, fmt.Sprintf(`{"Time":%q,%s}`, d.clock.Format("2006-01-02T15:04:05"), field)}
	if d.c != nil {
		d.c.say(d.last[0], d.last[1])
	}
}

func (d *tasmota) publish(c *client) {
	c.Publish("stat/"+d.topic+"/RESULT", 0, false, `{"POWER1":"`+d.power+`"}`)
}

func (d *tasmota) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.c != nil {
		d.c.die()
		d.c = nil
	}
}

func (d *tasmota) find() {
	c := d.b.joinSaying(d.t, "tele/"+d.topic+"/LWT", "Offline")
	c.hear("cmnd/"+d.topic+"/Backlog", func(text string) {
		pulse, _, _ := strings.Cut(strings.TrimPrefix(text, "PulseTime1 "), ";")
		tenths, _ := strconv.Atoi(pulse)
		order := driver.Command{Action: driver.Release, For: time.Duration(tenths) * 100 * time.Millisecond}
		if tenths == 0 {
			order.Action = driver.Unlock
		}
		d.obey(c, order, "ON")
		if order.Action == driver.Release {
			d.obey(c, driver.Command{}, "OFF") // the pulse is over
		}
	})
	c.hear("cmnd/"+d.topic+"/Power1", func(text string) {
		if text == "" {
			d.obey(c, driver.Command{}, d.power)
			return
		}
		d.obey(c, driver.Command{Action: driver.Lock}, text)
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.c = c
	c.keep("tele/"+d.topic+"/LWT", "Online")
}

// obey moves the relay. An order without an action is not of the gateway.
func (d *tasmota) obey(c *client, order driver.Command, power string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if order.Action != 0 {
		d.told = append(d.told, order)
	}
	if d.power = power; !d.slow {
		d.publish(c)
	}
}
