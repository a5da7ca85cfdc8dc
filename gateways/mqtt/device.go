package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// maxPayload is how many bytes a message of a device has at most. One that is longer is
// left out.
const maxPayload = 16 << 10

// message is a message of the broker.
type message struct {
	topic    string
	payload  []byte
	retained bool // it was sent before we asked for it, so it tells a state and no event
}

// order is a message to a device. It is sent with QoS 0: a broker keeps messages of QoS 1
// for a device that is away, and an order that is kept opens the door when nobody stands
// there any more.
type order struct {
	topic   string
	payload string
}

// confirmation is how a device shows that it did what it was told.
type confirmation uint8

const (
	byNothing confirmation = iota // it tells nothing, or only what it was told
	byState                       // its state changes
	byReply                       // it answers
)

// device is what a profile makes of the settings of a door: which topics tell what, and
// what is sent to it.
type device struct {
	feeds map[string][]feed // by topic
	// below is a topic whose feeds are subscribed to with one filter. The NATS server keeps the
	// order of messages within a subscription alone, and a reply must not overtake a state.
	below string
	order func(id string, c driver.Command) ([]order, error)
	// asks are sent when the device is there, and are answered by its state, for one whose
	// states are not retained.
	asks    []order
	confirm confirmation
	// relocks says that the device locks again by itself after a release; otherwise the
	// driver tells it to.
	relocks bool
	// reports says that the device has an availability topic; otherwise it is there as long
	// as the broker is.
	reports   bool
	reporters int // how many availability topics it has
	// allUp says that each availability topic must say so, not the latest alone.
	allUp bool
	// explains says that the device tells apart from its state who moved the bolt.
	explains bool
	known    wire.HowKnown // of what the device says of the bolt; empty: sensor
	// shows says that the device answers to a refusal, too.
	shows bool
	slots *slots // nil: the device keeps no codes
}

// feed reads the messages of a topic.
type feed func(m message) ([]fact, error)

// subject is what a fact is about.
type subject uint8

const (
	ofBolt     subject = iota + 1 // on: unlocked
	ofLeaf                        // on: open
	ofTamper                      // on: somebody works on it
	ofBattery                     // on: low
	ofFire                        // on: fire
	ofPresence                    // on: the device is there
	ofMover                       // who moves the bolt, or just did; on: it is unlocked
	ofMoved                       // the device moved the bolt, and says so whatever the bolt does now
	ofPassed                      // the leaf moved, with an instant
	ofMissed                      // the device lost events
	ofRead                        // somebody showed a credential
	ofExit                        // the button inside
	ofReply                       // the answer to an order
	ofSlot                        // what a slot holds
)

// states are the subjects whose facts are states, which are compared with what is known.
// The others happen once, and tell nothing when they are retained.
var states = map[subject]bool{ofBolt: true, ofLeaf: true, ofTamper: true, ofBattery: true, ofFire: true, ofPresence: true}

// fact is what a message says of a device.
type fact struct {
	of     subject
	on     bool
	topic  string // of ofPresence: the topic that says so
	side   unlock.Side
	at     time.Time // by the device's clock; zero: now
	source string    // which event of the device it is; empty: it does not number them
	method wire.Method
	slot   uint32
	count  uint64 // of ofMissed
	how    wire.HowKnown
	// refused says that the device itself refused a read.
	refused bool
	shown   driver.Shown
	reply   reply
	code    held
}

// reply is the answer of a device to an order.
type reply struct {
	id     string // of the order; empty: the device does not tell
	failed string // what is wrong, without secrets; empty: done
	slots  []driver.Slot
}

// held is what a slot holds.
type held struct {
	used bool
	code string // empty: the device does not tell
}

// filters are the subscriptions of the device.
func (d *device) filters() []string {
	var out []string
	if d.below != "" {
		out = append(out, d.below+"/+")
	}
	for topic := range d.feeds {
		last := strings.LastIndexByte(topic, '/')
		if d.below == "" || last < 0 || topic[:last] != d.below {
			out = append(out, topic)
		}
	}
	return out
}

// on adds a feed to a topic.
func (d *device) on(topic string, f feed) {
	if d.feeds == nil {
		d.feeds = map[string][]feed{}
	}
	d.feeds[topic] = append(d.feeds[topic], f)
}

// errUnread says that a message is not what its topic should hold. It never repeats the
// message, which may hold a card number.
var errUnread = errors.New("the message is not of the form that its topic should have")

// value gives the field of a message in JSON, as in Wiegand.UID; an empty path is the
// whole message. ok is false if there is no such field.
func value(m message, path string) (text string, ok bool, err error) {
	if len(m.payload) > maxPayload {
		return "", false, fmt.Errorf("the message has %d bytes, the most is %d", len(m.payload), maxPayload)
	}
	if path == "" {
		return strings.TrimSpace(string(m.payload)), len(m.payload) > 0, nil
	}
	var at any
	d := json.NewDecoder(bytes.NewReader(m.payload))
	d.UseNumber() // card numbers are greater than what a float holds exactly
	if err := d.Decode(&at); err != nil {
		return "", false, errUnread
	}
	for _, name := range strings.Split(path, ".") {
		object, is := at.(map[string]any)
		if !is {
			return "", false, nil
		}
		if at, ok = object[name]; !ok {
			return "", false, nil
		}
	}
	switch v := at.(type) {
	case string:
		return v, true, nil
	case json.Number:
		return v.String(), true, nil
	case bool:
		return fmt.Sprint(v), true, nil
	}
	return "", false, nil
}

// choice reads a state of two texts.
func choice(of subject, path, on, off string) feed {
	return func(m message) ([]fact, error) {
		text, ok, err := value(m, path)
		switch {
		case err != nil || !ok:
			return nil, err
		case strings.EqualFold(text, on):
			return []fact{{of: of, on: true}}, nil
		case strings.EqualFold(text, off):
			return []fact{{of: of}}, nil
		}
		return nil, nil // a state between, such as locking or jammed
	}
}

// presence reads an availability topic. Some devices write a text or JSON by their
// version, so a text is taken where a field is looked for.
func presence(topic, path, up, down string) feed {
	return func(m message) ([]fact, error) {
		path := path
		if !bytes.HasPrefix(bytes.TrimSpace(m.payload), []byte("{")) {
			path = ""
		}
		facts, err := choice(ofPresence, path, up, down)(m)
		for i := range facts {
			facts[i].topic = topic
		}
		return facts, err
	}
}

// available adds an availability topic.
func (d *device) available(topic, path, up, down string) {
	d.reports = true
	d.reporters++
	d.on(topic, presence(topic, path, up, down))
}
