package mqtt

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// ESPHome: https://esphome.io/components/mqtt#mqtt-component-base-configuration

func esphomeCheck(p *plan) error {
	if p.Relay == "" || strings.ContainsAny(p.Relay, "/+#") {
		return fmt.Errorf("relay is %.40q; name the object id of the switch or lock, as in strike", p.Relay)
	}
	if p.Component != "" && p.Component != "switch" && p.Component != "lock" || p.Release != "" || p.Slots != 0 || p.Contact != 0 {
		return fmt.Errorf("component is %.20q; it is switch or lock, and ESPHome has no release, slots and contact", p.Component)
	}
	return nil
}

func esphomeDevice(p *plan) *device {
	base := p.Topic + "/" + orElse(p.Component, "switch") + "/" + p.Relay
	open, shut := "ON", "OFF"
	stateOpen, stateShut := open, shut
	if p.Component == "lock" {
		open, shut, stateOpen, stateShut = "UNLOCK", "LOCK", "UNLOCKED", "LOCKED"
	}
	if p.Invert {
		open, shut, stateOpen, stateShut = shut, open, stateShut, stateOpen
	}
	d := &device{confirm: byState}
	if p.reportsAvailability() {
		d.available(p.Topic+"/status", "", "online", "offline")
	}
	d.on(base+"/state", choice(ofBolt, "", stateOpen, stateShut))
	d.order = switched(base+"/command", map[driver.Action]string{driver.Release: open, driver.Unlock: open, driver.Lock: shut})
	return d
}

// reportsAvailability reports whether the device publishes whether it is there.
func (p *plan) reportsAvailability() bool { return p.Availability == nil || *p.Availability }

// Tasmota: https://tasmota.github.io/docs/MQTT and https://tasmota.github.io/docs/Commands

func tasmotaCheck(p *plan) error {
	if n, err := strconv.Atoi(orElse(p.Relay, "1")); err != nil || n < 1 || n > 32 {
		return fmt.Errorf("relay is %.20q; it is a number from 1 to 32", p.Relay)
	}
	if p.Contact > 28 {
		return fmt.Errorf("contact is %d; it is the number of a switch, from 1 to 28", p.Contact)
	}
	if strings.Contains(p.Topic, "/") || p.Component != "" || p.Release != "" || p.Slots != 0 {
		return fmt.Errorf("topic is %.60q; it is that of the device alone, without cmnd, stat or tele, and component, release and slots are not of Tasmota", p.Topic)
	}
	return nil
}

func tasmotaDevice(p *plan) *device {
	n := orElse(p.Relay, "1")
	open, shut := "ON", "OFF"
	if p.Invert {
		open, shut = shut, open
	}
	d := &device{confirm: byState, relocks: !p.Invert, asks: []order{{"cmnd/" + p.Topic + "/Power" + n, ""}}}
	if p.Contact != 0 {
		name := fmt.Sprint("Switch", p.Contact)
		d.on("stat/"+p.Topic+"/"+strings.ToUpper(name), choice(ofLeaf, name+".Action", "ON", "OFF"))
		d.on("tele/"+p.Topic+"/SENSOR", choice(ofLeaf, name, "ON", "OFF"))
		d.on("stat/"+p.Topic+"/STATUS10", choice(ofLeaf, "StatusSNS."+name, "ON", "OFF"))
		d.asks = append(d.asks, order{"cmnd/" + p.Topic + "/Status", "10"})
	}
	if p.reportsAvailability() {
		d.available("tele/"+p.Topic+"/LWT", "", "Online", "Offline")
	}
	// A device with one relay leaves its number out unless it is told otherwise.
	names := []string{"POWER" + n}
	if n == "1" {
		names = append(names, "POWER")
	}
	for _, name := range names {
		d.on("stat/"+p.Topic+"/RESULT", choice(ofBolt, name, open, shut))
		d.on("tele/"+p.Topic+"/STATE", choice(ofBolt, name, open, shut))
	}
	d.order = func(_ string, c driver.Command) ([]order, error) {
		switch c.Action {
		case driver.Release:
			// The device counts the time, so that it locks again whatever happens to the network. An
			// inverted relay has no pulse that ends in locked.
			if p.Invert {
				return []order{{"cmnd/" + p.Topic + "/Power" + n, open}}, nil
			}
			return []order{{"cmnd/" + p.Topic + "/Backlog", "PulseTime" + n + " " + pulse(c.For) + ";Power" + n + " " + open}}, nil
		case driver.Unlock:
			return []order{{"cmnd/" + p.Topic + "/Backlog", "PulseTime" + n + " 0;Power" + n + " " + open}}, nil
		case driver.Lock:
			return []order{{"cmnd/" + p.Topic + "/Power" + n, shut}}, nil
		}
		return nil, driver.ErrUnsupported
	}
	return d
}

// pulse writes a duration as Tasmota does: tenths of a second up to 11.1 s, above that
// seconds and 100.
func pulse(d time.Duration) string {
	if tenths := math.Ceil(d.Seconds() * 10); tenths <= 111 {
		return strconv.Itoa(max(int(tenths), 1))
	}
	return strconv.Itoa(min(int(math.Ceil(d.Seconds()))+100, 64900))
}

// Nuki: MQTT API 1.4, https://developer.nuki.io/t/mqtt-api-specification-v1-4/19223

// nukiReleases are the lock actions that open, and whether the lock locks again by itself.
var nukiReleases = map[string]struct {
	action  string
	relocks bool
}{"unlatch": {"3", false}, "unlock": {"1", false}, "lock_n_go": {"4", true}, "lock_n_go_unlatch": {"5", true}}

func nukiCheck(p *plan) error {
	if _, ok := nukiReleases[orElse(p.Release, "unlatch")]; !ok {
		return fmt.Errorf("release is %.30q; it is unlatch, unlock, lock_n_go or lock_n_go_unlatch", p.Release)
	}
	if p.Relay != "" || p.Component != "" || p.Invert || p.Slots != 0 || p.Contact != 0 {
		return fmt.Errorf("relay, component, invert, slots and contact are not of Nuki")
	}
	return nil
}

func nukiDevice(p *plan) *device {
	release := nukiReleases[orElse(p.Release, "unlatch")]
	d := &device{below: p.Topic, confirm: byReply, relocks: release.relocks, explains: true, known: wire.KnownSensor}
	if p.reportsAvailability() {
		d.available(p.Topic+"/connected", "", "true", "false")
	}
	d.on(p.Topic+"/state", nukiState)
	d.on(p.Topic+"/doorsensorState", choice(ofLeaf, "", "3", "2"))
	d.on(p.Topic+"/doorsensorState", nukiTamper)
	d.on(p.Topic+"/batteryCritical", choice(ofBattery, "", "true", "false"))
	d.on(p.Topic+"/lockActionEvent", nukiAction)
	d.on(p.Topic+"/commandResponse", func(m message) ([]fact, error) {
		code, ok, err := value(m, "")
		if err != nil || !ok {
			return nil, err
		}
		f := fact{of: ofReply}
		if code != "0" {
			f.reply.failed = fmt.Sprintf("the lock answers with error %.5q", code)
		}
		return []fact{f}, nil
	})
	d.order = switched(p.Topic+"/lockAction", map[driver.Action]string{driver.Release: release.action, driver.Unlock: "1", driver.Lock: "2"})
	return d
}

// nukiState reads the state of the bolt: 1 locked; 3, 5 and 6 unlocked, unlatched,
// unlocked for lock'n'go. The others are on the way, or unknown.
func nukiState(m message) ([]fact, error) {
	switch text, _, err := value(m, ""); {
	case err != nil:
		return nil, err
	case text == "1":
		return []fact{{of: ofBolt}}, nil
	case text == "3" || text == "5" || text == "6":
		return []fact{{of: ofBolt, on: true}}, nil
	}
	return nil, nil
}

// nukiTamper reads the state of the door sensor that says that somebody took it off.
func nukiTamper(m message) ([]fact, error) {
	text, ok, err := value(m, "")
	if err != nil || !ok {
		return nil, err
	}
	return []fact{{of: ofTamper, on: text == "240"}}, nil
}

// nukiAction reads who moves the bolt: action, trigger, auth id, code id, and more. Only
// attempts that the lock carries out are published.
func nukiAction(m message) ([]fact, error) {
	text, _, err := value(m, "")
	if err != nil {
		return nil, err
	}
	cells := strings.Split(text, ",")
	if len(cells) < 4 {
		return nil, errUnread
	}
	f := fact{of: ofMover, how: wire.KnownClaimed, method: wire.MethodUnknown}
	switch cells[0] {
	case "1", "3", "4", "5":
		f.on = true
	case "2", "6":
	default:
		return nil, nil // a button or fob that moves nothing
	}
	code, err := strconv.ParseUint(cells[3], 10, 32)
	if err != nil {
		return nil, errUnread
	}
	switch {
	case code != 0:
		f.method, f.slot = wire.MethodPin, uint32(code)
	case cells[1] == "172": // MQTT; whether it was ours is known by the order
		f.method = wire.MethodRemote
	case cells[1] == "171", cells[1] == "0" && cells[2] != "0": // HomeKit, an app
		f.method = wire.MethodRemote
	case cells[1] == "1" || cells[1] == "2": // by hand, its button
		f.method = wire.MethodKey
	}
	return []fact{f}, nil
}
