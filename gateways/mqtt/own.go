package mqtt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// The topics of the profile gatehouse, below the topic of the door. The README describes
// them for whoever builds a device.
const (
	ownAvailability = "/availability" // retained, and the device's last will: online or offline
	ownStatus       = "/state"        // retained: ownState
	ownEvents       = "/event"        // ownEvent
	ownCommands     = "/command"      // to the device: ownCommand
	ownReplies      = "/reply"        // ownReply
)

// ownState is what lasts. A field that is missing is not known.
type ownState struct {
	Bolt    string `json:"bolt,omitempty"`    // locked or unlocked
	Leaf    string `json:"leaf,omitempty"`    // open or closed
	Battery string `json:"battery,omitempty"` // low or good
	Tamper  *bool  `json:"tamper,omitempty"`
	Fire    *bool  `json:"fire,omitempty"`
}

// ownEvent is what happens once.
type ownEvent struct {
	ID         string      `json:"id"`    // of the event, never used again: a repetition has the same
	At         time.Time   `json:"at"`    // by the device's clock; none: now
	Event      string      `json:"event"` // read, refused, exit, unlocked, locked, opened, closed or missed
	Side       string      `json:"side"`
	Method     wire.Method `json:"method"`
	Slot       uint32      `json:"slot"`
	Count      uint64      `json:"count"` // of missed; none: nobody knows how many
	Format     string      `json:"format"`
	Number     string      `json:"number"`
	Pin        string      `json:"pin"`
	Credential wire.ID     `json:"credential"`
}

// ownCommand is what a device is told.
type ownCommand struct {
	ID      string  `json:"id"`
	Action  string  `json:"action"` // release, unlock, lock, refuse, slots or keep
	Side    string  `json:"side,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // of release
	Slot    uint32  `json:"slot,omitempty"`    // of keep
	Code    string  `json:"code,omitempty"`    // of keep; empty: clear the slot
}

// ownReply is what a device answers, with the id of the command.
type ownReply struct {
	ID    string `json:"id"`
	OK    bool   `json:"ok"`
	Slots []struct {
		Slot uint32 `json:"slot"`
		Code string `json:"code"`
	} `json:"slots"`
}

func ownDevice(p *plan) *device {
	d := &device{below: p.Topic, confirm: byReply, relocks: true, explains: true, shows: true}
	d.available(p.Topic+ownAvailability, "", "online", "offline")
	d.on(p.Topic+ownStatus, readOwnState)
	d.on(p.Topic+ownEvents, readOwnEvent)
	d.on(p.Topic+ownReplies, readOwnReply)
	d.order = func(id string, c driver.Command) ([]order, error) {
		return ownOrder(p.Topic, ownCommand{ID: id, Action: actions[c.Action], Side: sideText(c.Side), Seconds: c.For.Seconds()})
	}
	if p.Slots > 0 {
		d.slots = &slots{room: p.Slots, own: func(c ownCommand) ([]order, error) { return ownOrder(p.Topic, c) }}
	}
	return d
}

// actions are the names of the actions.
var actions = map[driver.Action]string{driver.Release: "release", driver.Unlock: "unlock", driver.Lock: "lock", driver.Refuse: "refuse"}

func sideText(s unlock.Side) string {
	if s == unlock.Out {
		return "out"
	}
	return "in"
}

func ownOrder(topic string, c ownCommand) ([]order, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("mqtt: write a command: %w", err)
	}
	return []order{{topic + ownCommands, string(text)}}, nil
}

// parse reads a message in JSON. Fields that are not known are passed over: a newer device
// may say more.
func parse(m message, into any) error {
	if len(m.payload) > maxPayload {
		return fmt.Errorf("the message has %d bytes, the most is %d", len(m.payload), maxPayload)
	}
	if json.Unmarshal(bytes.TrimSpace(m.payload), into) != nil {
		return errUnread
	}
	return nil
}

func readOwnState(m message) ([]fact, error) {
	var s ownState
	if err := parse(m, &s); err != nil {
		return nil, err
	}
	var out []fact
	for _, t := range []struct {
		of            subject
		text, on, off string
	}{{ofBolt, s.Bolt, "unlocked", "locked"}, {ofLeaf, s.Leaf, "open", "closed"}, {ofBattery, s.Battery, "low", "good"}} {
		switch t.text {
		case t.on, t.off:
			out = append(out, fact{of: t.of, on: t.text == t.on})
		case "":
		default:
			return out, errUnread
		}
	}
	if s.Tamper != nil {
		out = append(out, fact{of: ofTamper, on: *s.Tamper})
	}
	if s.Fire != nil {
		out = append(out, fact{of: ofFire, on: *s.Fire})
	}
	return out, nil
}

func readOwnEvent(m message) ([]fact, error) {
	var e ownEvent
	if err := parse(m, &e); err != nil {
		return nil, err
	}
	side, ok := sides[e.Side]
	if !ok || len(e.ID) > maxNumber || len(e.Pin) > maxNumber || len(e.Credential) > maxNumber || len(e.Method) > maxNumber {
		return nil, errUnread
	}
	f := fact{side: side, at: e.At, source: e.ID, method: e.Method, slot: e.Slot}
	switch e.Event {
	case "read", "refused":
		var err error
		if f.shown, err = shown(e.Format, e.Number); err != nil {
			return nil, err
		}
		f.of, f.refused = ofRead, e.Event == "refused"
		f.shown.Pin, f.shown.Credential = e.Pin, e.Credential
	case "exit":
		f.of = ofExit
	case "opened", "closed":
		f.of, f.on = ofPassed, e.Event == "opened"
	case "missed":
		f.of, f.count = ofMissed, e.Count
	case "unlocked", "locked":
		f.of, f.on, f.how = ofMoved, e.Event == "unlocked", wire.KnownClaimed
	default:
		return nil, errUnread
	}
	return []fact{f}, nil
}

func readOwnReply(m message) ([]fact, error) {
	var r ownReply
	if err := parse(m, &r); err != nil {
		return nil, err
	}
	f := fact{of: ofReply, reply: reply{id: r.ID}}
	if !r.OK {
		f.reply.failed = "the device answers that it did not"
	}
	for _, s := range r.Slots {
		f.reply.slots = append(f.reply.slots, driver.Slot{Number: s.Slot, Code: s.Code})
	}
	if r.ID == "" || len(r.Slots) > maxSlots {
		return nil, errUnread
	}
	return []fact{f}, nil
}
