package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/schemas/wire"
)

// maxUnsent is how many events wait for the broker at most; older ones are left out.
const maxUnsent = 256

// Home shows the doors of a gateway to Home Assistant, whatever drives them. Home
// Assistant is shown them, and tells them nothing: an unlock from there would be no
// order of the ledger. So a door is no lock entity, which needs a topic for orders, but
// sensors and events. It is safe for concurrent use.
type Home struct {
	settings *homeSettings
	names    map[wire.ID]string
	log      *slog.Logger

	mu     sync.Mutex
	states map[string]string // by topic, as they should be on the broker
	unsent []order           // of states and events that are to be sent
	wake   chan struct{}
}

type homeSettings struct {
	settings
	// Topic is the beginning of the topics of the doors, as in gatehouse/north.
	Topic string `json:"topic"`
}

// OpenHome makes one from its settings and the names of the doors. The settings are those
// of a broker, as of the driver, and a topic. It connects to nothing.
func OpenHome(raw json.RawMessage, names map[wire.ID]string, log *slog.Logger) (*Home, error) {
	var s homeSettings
	if err := decode(raw, &s); err != nil {
		return nil, fmt.Errorf("mqtt: read the settings for Home Assistant: %w", err)
	}
	if err := checkTopic(s.Topic); err != nil {
		return nil, fmt.Errorf("mqtt: topic: %w", err)
	}
	if s.StatusTopic != "" || s.Fire != nil {
		return nil, errors.New("mqtt: status_topic and fire are of the driver; Home Assistant is told by topic alone")
	}
	s.StatusTopic = s.Topic + "/status"
	if err := s.settings.check(); err != nil {
		return nil, err
	}
	if *s.Discovery == "" {
		return nil, errors.New("mqtt: discovery is empty; it is the prefix that Home Assistant listens to, as in homeassistant")
	}
	for id := range names {
		if strings.ContainsAny(string(id), "/+# ") || checkTopic(s.Topic+"/"+string(id)+"/event") != nil {
			return nil, fmt.Errorf("mqtt: door %q cannot be part of a topic", id)
		}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Home{settings: &s, names: names, log: log, states: map[string]string{}, wake: make(chan struct{}, 1)}
	for _, id := range slices.Sorted(maps.Keys(names)) {
		h.describe(id)
	}
	return h, nil
}

// shownAs says which state of which sensor a record tells. The records of duress are not
// here: they are for nobody who looks at a screen.
var shownAs = map[wire.ActivityType]struct{ sensor, state string }{
	wire.DoorOpened: {"leaf", "ON"}, wire.DoorForcedOpen: {"leaf", "ON"}, wire.AccessTaken: {"leaf", "ON"}, wire.DoorHeldOpen: {"leaf", "ON"},
	wire.DoorClosed: {"leaf", "OFF"}, wire.DoorHeldOpenCleared: {"leaf", "OFF"},
	wire.DoorUnlocked: {"bolt", "ON"}, wire.DoorUnexplained: {"bolt", "ON"}, wire.DoorLocked: {"bolt", "OFF"},
	wire.DoorTampered: {"tamper", "ON"}, wire.DoorTamperCleared: {"tamper", "OFF"},
	wire.BatteryLow: {"battery", "ON"}, wire.BatteryRestored: {"battery", "OFF"},
	wire.DeviceOnline: {"link", "ON"}, wire.DeviceOffline: {"link", "OFF"},
}

// told are the records that are events for Home Assistant.
var told = []wire.ActivityType{wire.AccessGranted, wire.AccessDenied, wire.AccessTaken, wire.AccessNotTaken, wire.ExitRequested,
	wire.DoorForcedOpen, wire.DoorHeldOpen, wire.DoorHeldOpenCleared, wire.DoorUnexplained, wire.DoorTampered, wire.FireRaised, wire.FireCleared}

// sensors are what a door is shown as, with the classes of Home Assistant.
var sensors = []struct{ sensor, class, name string }{
	{"leaf", "door", "Door"}, {"bolt", "lock", "Lock"}, {"tamper", "tamper", "Tamper"}, {"battery", "battery", "Battery"}, {"link", "connectivity", "Device"},
}

// describe makes the descriptions of a door. A description that is not wanted any more is
// taken back by an empty message to its topic.
func (h *Home) describe(id wire.ID) {
	node := strings.Map(func(c rune) rune {
		if c == '/' || c == '.' {
			return '_'
		}
		return c
	}, h.settings.Topic) + "_" + string(id)
	common := func(part, name string) map[string]any {
		return map[string]any{"name": name, "unique_id": node + "_" + part, "availability_topic": h.settings.StatusTopic,
			"state_topic": h.topic(id, part),
			"device":      map[string]any{"identifiers": []string{node}, "name": orElse(h.names[id], string(id)), "manufacturer": "Gatehouse"},
			"origin":      map[string]any{"name": "Gatehouse"}}
	}
	for _, s := range sensors {
		d := common(s.sensor, s.name)
		d["device_class"] = s.class
		h.keepConfig("binary_sensor", node, s.sensor, d)
	}
	d := common("event", "Access")
	d["event_types"] = told
	h.keepConfig("event", node, "event", d)
}

func (h *Home) keepConfig(kind, node, part string, d map[string]any) {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts and lists of texts
	}
	h.states[*h.settings.Discovery+"/"+kind+"/"+node+"/"+part+"/config"] = string(text)
}

func (h *Home) topic(id wire.ID, part string) string {
	return h.settings.Topic + "/" + string(id) + "/" + part
}

// Recorded shows what a record tells, without waiting. Of who it was nothing is shown.
func (h *Home) Recorded(a *wire.Activity) {
	if _, ours := h.names[a.Door]; !ours {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := shownAs[a.Type]; ok && a.HowKnown != wire.KnownAssumed {
		topic := h.topic(a.Door, s.sensor)
		if h.states[topic] != s.state {
			h.states[topic] = s.state
			h.queue(order{topic, s.state})
		}
	}
	if slices.Contains(told, a.Type) {
		h.queue(order{h.topic(a.Door, "event"), fmt.Sprintf(`{"event_type":%q}`, a.Type)})
	}
}

func (h *Home) queue(o order) {
	if len(h.unsent) == maxUnsent {
		h.unsent = h.unsent[1:]
	}
	h.unsent = append(h.unsent, o)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run shows until the context ends. A broker that is lost is tried again; the states are
// then sent again, events of meanwhile are not.
func (h *Home) Run(ctx context.Context) error {
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		began := time.Now()
		err := h.serve(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > lastRetry {
			retry = firstRetry
		}
		h.log.Warn("mqtt: no connection to the broker of Home Assistant, trying again", "broker", h.settings.address, "in", retry.String(), "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry/2 + rand.N(retry)):
		}
	}
}

func (h *Home) serve(ctx context.Context) error {
	s, err := h.settings.connect(ctx, func(message) {})
	if err != nil {
		return err
	}
	defer func() { s.leave(ctx, h.settings.StatusTopic) }()
	h.mu.Lock()
	all := maps.Clone(h.states)
	h.unsent = nil
	h.mu.Unlock()
	for _, topic := range slices.Sorted(maps.Keys(all)) {
		if err := s.send(ctx, topic, all[topic], true); err != nil {
			return err
		}
	}
	if err := s.send(ctx, h.settings.StatusTopic, "online", true); err != nil {
		return err
	}
	for {
		if err := h.sendQueued(ctx, s); err != nil {
			return err
		}
		select {
		case err := <-s.lost:
			return fmt.Errorf("mqtt: the connection ended: %w", err)
		case <-ctx.Done():
			return nil
		case <-h.wake:
		}
	}
}

func (h *Home) sendQueued(ctx context.Context, s *session) error {
	for {
		h.mu.Lock()
		if len(h.unsent) == 0 {
			h.mu.Unlock()
			return nil
		}
		o := h.unsent[0]
		h.unsent = h.unsent[1:]
		_, lasts := h.states[o.topic]
		h.mu.Unlock()
		if err := s.send(ctx, o.topic, o.payload, lasts); err != nil {
			return err
		}
	}
}
