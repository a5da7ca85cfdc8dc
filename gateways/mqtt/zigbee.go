package mqtt

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// Zigbee2MQTT: https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html and
// the pages of its locks.

func zigbeeDevice(p *plan) *device {
	d := &device{confirm: byState, explains: true}
	if p.reportsAvailability() {
		d.available(p.Topic+"/availability", "state", "online", "offline")
	}
	d.on(p.Topic, zigbeeAction)
	d.on(p.Topic, choice(ofBolt, "state", "UNLOCK", "LOCK"))
	d.on(p.Topic, choice(ofLeaf, "door_state", "open", "closed"))
	d.on(p.Topic, choice(ofLeaf, "contact", "false", "true"))
	d.on(p.Topic, choice(ofBattery, "battery_low", "true", "false"))
	d.on(p.Topic, choice(ofTamper, "tamper", "true", "false"))
	d.on(p.Topic, zigbeeUsers)
	d.order = switched(p.Topic+"/set", map[driver.Action]string{
		driver.Release: `{"state":"UNLOCK"}`, driver.Unlock: `{"state":"UNLOCK"}`, driver.Lock: `{"state":"LOCK"}`})
	d.asks = []order{{p.Topic + "/get", `{"state":""}`}}
	if p.Slots > 0 {
		d.slots = &slots{room: p.Slots, read: func(slot uint32) order {
			return order{p.Topic + "/get", fmt.Sprintf(`{"pin_code":{"user":%d}}`, slot)}
		}, write: func(slot uint32, code string) order {
			return order{p.Topic + "/set", zigbeePIN(slot, code)}
		}}
	}
	return d
}

// zigbeeSources are the methods by action_source_name.
var zigbeeSources = map[string]wire.Method{"keypad": wire.MethodPin, "rfid": wire.MethodCard, "manual": wire.MethodKey, "rf": wire.MethodRemote}

// zigbeeAction reads who moved the bolt, or was refused by the lock.
func zigbeeAction(m message) ([]fact, error) {
	action, ok, err := value(m, "action")
	if err != nil || !ok || action == "" {
		return nil, err
	}
	source, _, _ := value(m, "action_source_name")
	user, _, _ := value(m, "action_user")
	f := fact{of: ofMover, how: wire.KnownClaimed, method: zigbeeSources[source]}
	if f.method == "" {
		f.method = wire.MethodUnknown
	}
	if f.method == wire.MethodPin || f.method == wire.MethodCard {
		if n, err := strconv.ParseUint(user, 10, 16); err == nil {
			f.slot = uint32(n)
		}
	}
	switch action {
	case "unlock", "manual_unlock", "key_unlock", "schedule_unlock":
		f.on = true
	case "lock", "manual_lock", "key_lock", "one_touch_lock", "auto_lock", "schedule_lock":
	case "unlock_failure_invalid_pin_or_id", "unlock_failure_invalid_schedule":
		return []fact{{of: ofRead, method: f.method, slot: f.slot, how: wire.KnownClaimed, refused: true}}, nil
	default:
		return nil, nil
	}
	if strings.HasPrefix(action, "key_") || strings.HasPrefix(action, "manual_") {
		f.method, f.slot = wire.MethodKey, 0
	}
	return []fact{f}, nil
}

// zigbeeUsers reads what slots hold.
func zigbeeUsers(m message) ([]fact, error) {
	if !strings.Contains(string(m.payload), `"users"`) {
		return nil, nil
	}
	var said struct {
		Users map[string]struct {
			Status string `json:"status"`
			Code   any    `json:"pin_code"`
		} `json:"users"`
	}
	if err := json.Unmarshal(m.payload, &said); err != nil {
		return nil, errUnread
	}
	var out []fact
	for user, u := range said.Users {
		n, err := strconv.ParseUint(user, 10, 16)
		if err != nil {
			continue
		}
		f := fact{of: ofSlot, slot: uint32(n), code: held{used: u.Status != "available"}}
		if code, ok := u.Code.(string); ok && f.code.used {
			f.code.code = code
		}
		out = append(out, f)
	}
	return out, nil
}

// zigbeePIN writes the code as a text, because a number loses the zeros that it begins
// with; without one the slot is cleared.
func zigbeePIN(slot uint32, code string) string {
	if code == "" {
		return fmt.Sprintf(`{"pin_code":{"user":%d}}`, slot)
	}
	return fmt.Sprintf(`{"pin_code":{"user":%d,"user_type":"unrestricted","user_enabled":true,"pin_code":%q}}`, slot, code)
}
