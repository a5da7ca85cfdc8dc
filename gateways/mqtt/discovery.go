package mqtt

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The bounds of what devices say of themselves.
const (
	maxFound       = 4096
	maxDescription = 128 << 10 // bytes of one description
)

// Discovered is a device, or a part of one, that described itself by Home Assistant's MQTT
// discovery (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery).
type Discovered struct {
	ID      string // by which a door's settings name it: its unique_id, else its place in the topic
	Kind    string // lock, switch, binary_sensor, event or tag
	Class   string // such as door, battery, tamper; may be empty
	Name    string // of the part
	Device  string // of which it is a part; may be empty
	Problem string // why a door cannot use it; empty: it can
}

// entity is a part that described itself.
type entity struct {
	Discovered
	config    string // topic of the description
	state     string
	field     string
	command   string
	on, off   string // texts of the state: open, unlocked, pressed, …
	unlock    string
	lock      string
	open      string
	template  string // of what is sent; empty: the text alone
	assumed   bool
	available []availability
	allUp     bool
}

// availability is a topic that says whether a device is there.
type availability struct{ topic, field, up, down string }

// catalogue holds the descriptions by the topic that they came on. The driver's lock
// guards it.
type catalogue struct {
	prefix  string // of discovery; empty: off
	byTopic map[string][]*entity
	count   int
}

func newCatalogue(prefix string) *catalogue {
	return &catalogue{prefix: prefix, byTopic: map[string][]*entity{}}
}

// filters are the subscriptions that find descriptions: with a node in the topic, and
// without one.
func (c *catalogue) filters() []string {
	if c.prefix == "" {
		return nil
	}
	return []string{c.prefix + "/+/+/config", c.prefix + "/+/+/+/config"}
}

// owns reports whether a topic is one of descriptions.
func (c *catalogue) owns(topic string) bool {
	return c.prefix != "" && strings.HasPrefix(topic, c.prefix+"/") && strings.HasSuffix(topic, "/config")
}

// The kinds of part that a door can use as its lock, as a state or signal, as a reader.
var (
	lockKinds   = []string{"lock", "switch"}
	partKinds   = []string{"binary_sensor", "event", "switch"}
	readerKinds = []string{"tag", "event"}
)

// byID finds the part of one of some kinds with an id; nil means that it did not describe
// itself, or cannot be used. Two with one id are none: the second may be somebody who
// wants the door of the first.
func (c *catalogue) byID(id string, kinds []string) *entity {
	var found *entity
	for _, entities := range c.byTopic {
		for _, e := range entities {
			if e.ID != id || !slices.Contains(kinds, e.Kind) {
				continue
			}
			if found != nil {
				return nil
			}
			found = e
		}
	}
	if found == nil || found.Problem != "" {
		return nil
	}
	return found
}

func (c *catalogue) list() []Discovered {
	type named struct{ id, kind string }
	var out []Discovered
	times := map[named]int{}
	for _, entities := range c.byTopic {
		for _, e := range entities {
			out = append(out, e.Discovered)
			times[named{e.ID, e.Kind}]++
		}
	}
	for i := range out {
		if n := times[named{out[i].ID, out[i].Kind}]; n > 1 {
			out[i].Problem = fmt.Sprintf("%d parts of this kind have the id; take the wrong ones off the broker", n)
		}
	}
	slices.SortFunc(out, func(a, b Discovered) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Kind, b.Kind)) })
	return out
}

// take takes a description; an empty one takes it back. It returns the ids that it
// concerns.
func (c *catalogue) take(m message) (changed map[string]bool, err error) {
	before := c.byTopic[m.topic]
	var entities []*entity
	if len(m.payload) > maxDescription {
		return nil, fmt.Errorf("the description has %d bytes, the most is %d", len(m.payload), maxDescription)
	}
	if len(m.payload) > 0 {
		if entities, err = describe(c.prefix, m); err != nil {
			return nil, err
		}
	}
	if c.count-len(before)+len(entities) > maxFound {
		return nil, fmt.Errorf("there are %d descriptions already, which is the most; take old ones off the broker", c.count)
	}
	changed = map[string]bool{}
	for _, e := range slices.Concat(before, entities) {
		changed[e.ID] = true
	}
	c.count += len(entities) - len(before)
	c.byTopic[m.topic] = entities
	if len(entities) == 0 {
		delete(c.byTopic, m.topic)
	}
	return changed, nil
}

// description is a description with its abbreviations written out.
type description map[string]any

func (d description) text(key string) string {
	switch v := d[key].(type) {
	case string:
		return v
	case bool, json.Number:
		return fmt.Sprint(v)
	}
	return ""
}

// describe reads a description: of one part, or of a device with its components.
func describe(prefix string, m message) ([]*entity, error) {
	d := json.NewDecoder(strings.NewReader(string(m.payload)))
	d.UseNumber()
	var raw map[string]any
	if err := d.Decode(&raw); err != nil {
		return nil, errUnread
	}
	place := strings.Split(strings.TrimSuffix(strings.TrimPrefix(m.topic, prefix+"/"), "/config"), "/")
	all := expand(raw)
	if place[0] != "device" {
		if e := newEntity(m.topic, place[0], strings.Join(place[1:], "/"), all); e != nil {
			return []*entity{e}, nil
		}
		return nil, nil
	}
	components, _ := all["components"].(map[string]any)
	var out []*entity
	for _, name := range slices.Sorted(maps.Keys(components)) {
		object, ok := components[name].(map[string]any)
		if !ok {
			continue
		}
		part := expand(object)
		for _, shared := range []string{"device", "availability", "availability_topic", "availability_mode", "state_topic", "command_topic"} {
			if _, own := part[shared]; !own && all[shared] != nil {
				part[shared] = all[shared]
			}
		}
		if e := newEntity(m.topic, part.text("platform"), strings.Join(place[1:], "/")+"/"+name, part); e != nil {
			out = append(out, e)
		}
	}
	return out, nil
}

// newEntity reads one part; nil means that no door needs its kind.
func newEntity(config, kind, place string, d description) *entity {
	e := &entity{config: config, state: d.text("state_topic"), command: d.text("command_topic")}
	device, _ := d["device"].(map[string]any)
	e.Discovered = Discovered{ID: orElse(d.text("unique_id"), place), Kind: kind, Class: d.text("device_class"),
		Name: d.text("name"), Device: expand(device).text("name")}
	switch kind {
	case "lock":
		e.unlock, e.lock, e.open = orElse(d.text("payload_unlock"), "UNLOCK"), orElse(d.text("payload_lock"), "LOCK"), d.text("payload_open")
		e.on, e.off = orElse(d.text("state_unlocked"), "UNLOCKED"), orElse(d.text("state_locked"), "LOCKED")
	case "switch":
		e.unlock, e.lock = orElse(d.text("payload_on"), "ON"), orElse(d.text("payload_off"), "OFF")
		e.on, e.off = orElse(d.text("state_on"), e.unlock), orElse(d.text("state_off"), e.lock)
	case "binary_sensor":
		e.on, e.off = orElse(d.text("payload_on"), "ON"), orElse(d.text("payload_off"), "OFF")
	case "event":
		e.field, e.on = "event_type", "press"
	case "tag":
		e.state = d.text("topic")
	default:
		return nil
	}
	e.assumed = d.text("optimistic") == "true" || e.state == ""
	if err := e.read(d); err != nil {
		e.Problem = err.Error()
	}
	return e
}

// read reads the topics and templates of a part.
func (e *entity) read(d description) error {
	for _, topic := range []string{e.state, e.command} {
		if topic == "" {
			continue
		}
		if err := checkTopic(topic); err != nil {
			return err
		}
	}
	if t := d.text("value_template"); t != "" {
		field, err := path(t)
		if err != nil {
			return err
		}
		e.field = field
	}
	if t := d.text("command_template"); t != "" {
		e.template = t
		if strings.Contains(valueOnly.ReplaceAllString(t, ""), "{{") || strings.Contains(t, "{%") {
			return fmt.Errorf("the command_template %.80q computes; name the topics in the door's settings instead", t)
		}
	}
	return e.readAvailability(d)
}

func (e *entity) readAvailability(d description) error {
	list, _ := d["availability"].([]any)
	if topic := d.text("availability_topic"); topic != "" {
		list = append(list, map[string]any{"topic": topic, "payload_available": d.text("payload_available"),
			"payload_not_available": d.text("payload_not_available"), "value_template": d.text("availability_template")})
	}
	if len(list) > 8 {
		return fmt.Errorf("there are %d availability topics, the most is 8", len(list))
	}
	for _, item := range list {
		object, _ := item.(map[string]any)
		a := expand(object)
		if err := checkTopic(a.text("topic")); err != nil {
			return fmt.Errorf("availability: %w", err)
		}
		field, err := path(a.text("value_template"))
		if err != nil {
			return fmt.Errorf("availability: %w", err)
		}
		e.available = append(e.available, availability{a.text("topic"), field,
			orElse(a.text("payload_available"), "online"), orElse(a.text("payload_not_available"), "offline")})
	}
	e.allUp = len(e.available) > 1 && d.text("availability_mode") == "all"
	return nil
}

// lockPart makes what a lock or a switch is told; false: it takes no orders.
func (e *entity) lockPart(l *lockPart) bool {
	if e.command == "" || e.Kind != "lock" && e.Kind != "switch" {
		return false
	}
	l.Topic = e.command
	l.Unlock, l.Lock = e.fill(orElse(l.Unlock, e.unlock)), e.fill(orElse(l.Lock, e.lock))
	if e.state != "" {
		l.State = &part{Topic: e.state, Field: e.field, On: e.on, Off: e.off}
	}
	return true
}

// fill writes a text into the template of what is sent.
func (e *entity) fill(text string) string {
	if e.template == "" {
		return text
	}
	return valueOnly.ReplaceAllLiteralString(e.template, text)
}

// The templates that are understood: the whole message or one field of it. Others are
// programs in Jinja, which the driver does not run.
var (
	valueOnly = regexp.MustCompile(`\{\{-?\s*value\s*-?\}\}`)
	fieldOnly = regexp.MustCompile(`^\{\{-?\s*value_json((?:\.\w+|\[\s*'[^'.\]]+'\s*\]|\[\s*"[^".\]]+"\s*\])+)\s*-?\}\}$`)
	fieldName = regexp.MustCompile(`\.(\w+)|\[\s*['"]([^'"]+)['"]\s*\]`)
)

// path gives the field that a template reads; empty: the whole message.
func path(template string) (string, error) {
	template = strings.TrimSpace(template)
	if template == "" || valueOnly.FindString(template) == template {
		return "", nil
	}
	found := fieldOnly.FindStringSubmatch(template)
	if found == nil {
		return "", errors.New("the value_template computes; name the topics in the door's settings instead")
	}
	var names []string
	for _, name := range fieldName.FindAllStringSubmatch(found[1], -1) {
		names = append(names, name[1]+name[2])
	}
	return strings.Join(names, "."), nil
}

// abbreviations are the short names of discovery that are read here
// (https://www.home-assistant.io/integrations/mqtt/#supported-abbreviations-in-mqtt-discovery-messages).
var abbreviations = map[string]string{
	"avty": "availability", "avty_mode": "availability_mode", "avty_t": "availability_topic", "avty_tpl": "availability_template",
	"cmd_t": "command_topic", "cmd_tpl": "command_template", "cmps": "components", "dev": "device", "dev_cla": "device_class",
	"opt": "optimistic", "p": "platform", "pl_avail": "payload_available", "pl_lock": "payload_lock",
	"pl_not_avail": "payload_not_available", "pl_off": "payload_off", "pl_on": "payload_on", "pl_open": "payload_open",
	"pl_unlk": "payload_unlock", "stat_locked": "state_locked", "stat_off": "state_off", "stat_on": "state_on",
	"stat_t": "state_topic", "stat_unlocked": "state_unlocked", "t": "topic", "uniq_id": "unique_id", "val_tpl": "value_template",
}

// expand writes the abbreviations out, and the base topic that ~ stands for.
func expand(raw map[string]any) description {
	d := description{}
	base, _ := raw["~"].(string)
	for key, v := range raw {
		if full, ok := abbreviations[key]; ok {
			key = full
		}
		if text, ok := v.(string); ok && base != "" && (key == "topic" || strings.HasSuffix(key, "_topic")) {
			if rest, ok := strings.CutPrefix(text, "~"); ok {
				v = base + rest
			} else if rest, ok := strings.CutSuffix(text, "~"); ok {
				v = rest + base
			}
		}
		d[key] = v
	}
	return d
}
