package mqtt

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// Descriptions as devices publish them: of Zigbee2MQTT, ESPHome with abbreviations, and a
// device with its components in one.
const (
	zigbeeLock = `{"availability":[{"topic":"zigbee2mqtt/bridge/state","value_template":"{{ value_json.state }}"},
		{"topic":"zigbee2mqtt/front/availability","value_template":"{{ value_json.state }}"}],"availability_mode":"all",
		"command_topic":"zigbee2mqtt/front/set","device":{"identifiers":["zigbee2mqtt_0x01"],"name":"front"},
		"name":null,"payload_lock":"LOCK","payload_unlock":"UNLOCK","state_locked":"LOCK","state_unlocked":"UNLOCK",
		"state_topic":"zigbee2mqtt/front","unique_id":"0x01_lock","value_template":"{{ value_json.state }}"}`
	zigbeeContact = `{"device_class":"door","payload_off":true,"payload_on":false,"state_topic":"zigbee2mqtt/leaf",
		"unique_id":"0x02_contact","value_template":"{{ value_json.contact }}","device":{"name":"leaf"}}`
	espStrike = `{"~":"gate","name":"Strike","stat_t":"~/switch/strike/state","cmd_t":"~/switch/strike/command","avty_t":"~/status",
		"uniq_id":"ESPswitchstrike","dev":{"ids":"a1","name":"gate"},"opt":false}`
	button = `{"name":"Exit","uniq_id":"exit1","t":"x","stat_t":"gate/button","event_types":["press"],"val_tpl":"{{ value_json['kind'] }}"}`
	reader = `{"topic":"tele/desk/SENSOR","value_template":"{{ value_json.PN532.UID }}","device":{"name":"desk"}}`
	whole  = `{"dev":{"ids":"0AFFD2","name":"cabinet"},"o":{"name":"maker"},"availability_topic":"cabinet/there",
		"cmps":{"bolt":{"p":"lock","unique_id":"cab_bolt","command_topic":"cabinet/bolt/set","state_topic":"cabinet/bolt"},
		        "temp":{"p":"sensor","unique_id":"cab_temp","state_topic":"cabinet/t"}}}`
)

func describeAll(say func(topic, payload string)) {
	say("homeassistant/lock/0x01/lock/config", zigbeeLock)
	say("homeassistant/binary_sensor/0x02/contact/config", zigbeeContact)
	say("homeassistant/switch/gate/strike/config", espStrike)
	say("homeassistant/event/exit/config", button)
	say("homeassistant/tag/desk/config", reader)
	say("homeassistant/device/cabinet/config", whole)
}

func TestDevicesDescribeThemselves(t *testing.T) {
	b := newBench(t, `{"lock":{"topic":"a"}}`)
	describeAll(b.keep)
	assert.Equal(t, []Discovered{
		{ID: "0x01_lock", Kind: "lock", Device: "front"},
		{ID: "0x02_contact", Kind: "binary_sensor", Class: "door", Device: "leaf"},
		{ID: "ESPswitchstrike", Kind: "switch", Name: "Strike", Device: "gate"},
		{ID: "cab_bolt", Kind: "lock", Device: "cabinet"},
		{ID: "desk", Kind: "tag", Device: "desk"},
		{ID: "exit1", Kind: "event", Name: "Exit"},
	}, b.d.Discovered())
	assert.Empty(t, b.log.String())
	b.keep("homeassistant/device/cabinet/config", "")
	assert.Len(t, b.d.Discovered(), 5)
}

func TestDoorOfDiscoveredParts(t *testing.T) {
	b := newBench(t, `{"lock":{"id":"0x01_lock"},"leaf":{"id":"0x02_contact"},"exit":{"id":"exit1"},"readers":[{"id":"desk","format":"uid","method":"fob"}]}`)
	assert.Nil(t, b.door().device, "it has not described itself")
	describeAll(b.keep)
	require.NotNil(t, b.door().device)
	b.door().heard = on
	b.keep("zigbee2mqtt/bridge/state", `{"state":"online"}`)
	assert.Empty(t, b.events(), "another topic may say that it is not there")
	b.keep("zigbee2mqtt/front/availability", `{"state":"online"}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Online}}, b.events())
	b.keep("zigbee2mqtt/front", `{"state":"LOCK"}`)
	b.keep("zigbee2mqtt/leaf", `{"contact":true}`)
	b.keep("gate/button", `{"kind":"press"}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Closed}}, b.events())
	b.say("zigbee2mqtt/leaf", `{"contact":false}`)
	b.say("gate/button", `{"kind":"press"}`)
	b.say("tele/desk/SENSOR", `{"PN532":{"UID":"04A1B2C3"}}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Opened}, {Kind: driver.ExitRequested, Side: 2, Method: wire.MethodRequestToExit},
		{Kind: driver.Read, Method: wire.MethodFob, Shown: driver.Shown{Format: "uid", Number: "04A1B2C3"}}}, b.events())
	assert.Equal(t, []order{{"zigbee2mqtt/front/set", "UNLOCK"}}, b.order(driver.Command{Action: driver.Unlock}))
	b.say("zigbee2mqtt/bridge/state", `{"state":"offline"}`)
	assert.Equal(t, []driver.Event{{Kind: driver.Offline}}, b.events())
	b.keep("homeassistant/lock/0x01/lock/config", "")
	assert.Nil(t, b.door().device, "it took its description back")
}

// A device that gives itself the id of another must not get its door.
func TestSecondDeviceWithAnIDTakesOverNoDoor(t *testing.T) {
	b := newBench(t, `{"lock":{"id":"ESPswitchstrike"}}`)
	b.keep("homeassistant/switch/gate/strike/config", espStrike)
	b.keep("homeassistant/binary_sensor/gate/strike/config", espStrike)
	assert.Equal(t, []order{{"gate/switch/strike/command", "ON"}}, b.order(driver.Command{Action: driver.Unlock}), "another kind is another thing")
	b.door().heard = on
	b.keep("gate/status", "online")
	b.events()
	for _, thief := range []string{"homeassistant/switch/aaa/config", "homeassistant/switch/zzz/config"} {
		b.say(thief, strings.ReplaceAll(espStrike, `"gate"`, `"thief"`))
		assert.Nil(t, b.door().device, "nobody knows which is right")
		assert.Equal(t, []driver.Event{{Kind: driver.Offline}}, b.events())
		assert.Contains(t, b.d.Discovered()[1].Problem, "2 parts")
		b.say(thief, "")
		require.NotNil(t, b.door().device)
		b.door().heard = on
		b.keep("gate/status", "online")
		b.events()
	}
}

func TestDescriptionsThatComputeAreToldApart(t *testing.T) {
	b := newBench(t, `{"lock":{"id":"nuki"}}`)
	b.keep("homeassistant/lock/nuki/config", `{"uniq_id":"nuki","cmd_t":"n/set","stat_t":"n/state","val_tpl":"{% set s = {1:'LOCKED'} %}{{ s[value] }}"}`)
	require.Len(t, b.d.Discovered(), 1)
	assert.Contains(t, b.d.Discovered()[0].Problem, "name the topics")
	assert.Nil(t, b.door().device)
}

func TestTemplates(t *testing.T) {
	for template, want := range map[string]string{
		"": "", "{{ value }}": "", "{{value}}": "", "{{ value_json.state }}": "state", "{{value_json.a.b}}": "a.b",
		"{{ value_json['a'].b }}": "a.b", `{{- value_json["a b"] -}}`: "a b", "{{ value_json.Switch1.Action }}": "Switch1.Action",
	} {
		got, err := path(template)
		assert.NoError(t, err, template)
		assert.Equal(t, want, got, template)
	}
	for _, template := range []string{"{{ value_json.a | upper }}", "{% if value %}{% endif %}", "{{ 1 }}", "{{ value_json }}", "x{{ value }}", "{{ value_json.a }}{{ value_json.b }}"} {
		_, err := path(template)
		assert.Error(t, err, template)
	}
}

func TestDescriptionsAreBounded(t *testing.T) {
	b := newBench(t, `{"lock":{"topic":"a"}}`)
	for i := range maxFound + 10 {
		b.keep(fmt.Sprintf("homeassistant/switch/s%d/config", i), fmt.Sprintf(`{"uniq_id":"%d","cmd_t":"a"}`, i))
	}
	assert.Len(t, b.d.Discovered(), maxFound)
	assert.Contains(t, b.log.String(), "which is the most")
	b.keep("homeassistant/switch/s1/config", `{"uniq_id":"new","cmd_t":"a"}`)
	assert.Len(t, b.d.Discovered(), maxFound, "one that changes takes no more room")
	for _, text := range []string{"{", "[]", "null", `{"cmps":3}`, `{"uniq_id":"x","cmd_t":"a/#"}`, `{"avty":["x"]}`, strings.Repeat(" ", maxDescription+1)} {
		b.keep("homeassistant/switch/s2/config", text)
		b.keep("homeassistant/device/s3/config", text)
	}
}

func TestDiscoveredDoorIsSubscribedToWhenItAppears(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, b *broker) {
		device := b.join(t, "")
		r := b.run(t, map[wire.ID]string{"gate": `{"lock":{"id":"ESPswitchstrike"}}`})
		device.keep("gate/status", "online")
		device.keep("gate/switch/strike/state", "OFF")
		device.hear("gate/switch/strike/command", func(text string) { device.Publish("gate/switch/strike/state", 1, true, text) })
		device.keep("homeassistant/switch/gate/strike/config", espStrike)
		r.await("gate", driver.Online, 1)
		require.NoError(t, r.do("gate", driver.Command{Action: driver.Release, For: 10 * time.Millisecond}))
		require.Eventually(t, func() bool {
			r.d.mu.Lock()
			defer r.d.mu.Unlock()
			return r.d.doors["gate"].state[ofBolt] == off
		}, time.Minute, time.Millisecond, "it is locked again")
		assert.Empty(t, r.seen("gate", driver.Unlocked))
		assert.Empty(t, r.seen("gate", driver.Locked))
	})
}

func TestDoorIsLockedAgainWhenTheDriverEnds(t *testing.T) {
	b := mosquitto(t)
	device := b.join(t, "")
	said := make(chan string, 4)
	device.hear("gate/switch/strike/command", func(text string) {
		device.Publish("gate/switch/strike/state", 1, true, text)
		said <- text
	})
	device.keep("gate/status", "online")
	r := b.run(t, map[wire.ID]string{"gate": `{"profile":"esphome","topic":"gate","relay":"strike"}`})
	r.await("gate", driver.Online, 1)
	require.NoError(t, r.do("gate", driver.Command{Action: driver.Release, For: time.Hour}))
	assert.Equal(t, "ON", <-said)
	r.stop()
	select {
	case text := <-said:
		assert.Equal(t, "OFF", text)
	case <-time.After(time.Minute):
		require.Fail(t, "it stays open")
	}
}

// Tasmota and Zigbee2MQTT retain no states unless they are told to.
func TestDevicesAreAskedForTheirStates(t *testing.T) {
	b := mosquitto(t)
	device := b.join(t, "")
	asked := make(chan string, 4)
	for _, topic := range []string{"cmnd/gate/Power1", "cmnd/gate/Status"} {
		device.hear(topic, func(text string) { asked <- topic + " " + text })
	}
	device.keep("tele/gate/LWT", "Online")
	r := b.run(t, map[wire.ID]string{"gate": `{"profile":"tasmota","topic":"gate","contact":1}`})
	r.await("gate", driver.Online, 1)
	assert.ElementsMatch(t, []string{"cmnd/gate/Power1 ", "cmnd/gate/Status 10"}, []string{<-asked, <-asked})
	device.say("stat/gate/STATUS10", `{"StatusSNS":{"Time":"2026-03-01T08:00:00","Switch1":"ON"}}`)
	assert.Zero(t, r.await("gate", driver.Opened, 1).At, "nobody knows since when")
}

// No message of a broker may end the gateway.
func FuzzMessages(f *testing.F) {
	doors := []string{
		`{"profile":"gatehouse","topic":"t","slots":3}`, `{"profile":"zigbee2mqtt","topic":"t","slots":3}`, `{"profile":"nuki","topic":"t"}`,
		`{"profile":"tasmota","topic":"t","contact":1,"readers":[{"topic":"tele/t/SENSOR","field":"Wiegand.UID","format":"wiegand26"}]}`,
		`{"profile":"esphome","topic":"t","relay":"r"}`, `{"lock":{"id":"0x01_lock"},"leaf":{"id":"0x02_contact"}}`,
	}
	for _, text := range []string{zigbeeLock, zigbeeContact, espStrike, button, reader, whole, `{"bolt":"unlocked","leaf":"open"}`,
		`{"id":"1","at":"2026-03-01T08:30:00Z","event":"unlocked","method":"pin","slot":2}`, `{"id":"x","ok":true,"slots":[{"slot":1}]}`,
		`{"action":"unlock","action_source_name":"keypad","action_user":3,"users":{"1":{"status":"enabled","pin_code":"1"}}}`,
		"3,0,54321,12345,1", `{"Wiegand":{"UID":7748328,"Size":26}}`, `{"POWER1":"ON"}`, "online", "240"} {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, retained bool) {
		for _, door := range doors {
			b := newBench(t, door)
			for range 2 {
				topics := []string{"homeassistant/lock/a/config", "homeassistant/device/a/config", "homeassistant/tag/a/b/config"}
				if d := b.door().device; d != nil {
					topics = append(topics, slices.Sorted(maps.Keys(d.feeds))...)
				}
				for _, topic := range topics {
					b.d.take(message{topic: topic, payload: text, retained: retained})
				}
				b.later(settle)
				b.events()
			}
			assert.NotContains(t, b.log.String(), "reading it failed")
		}
	})
}
