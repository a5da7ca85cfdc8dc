package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"gatehouse/domain"
)

// told is the answer to a command, as far as it is told to a person.
type told struct {
	Position string           `json:"position"`
	Repeated bool             `json:"repeated"`
	Events   []toldEvent      `json:"events"`
	Warnings []domain.Warning `json:"warnings"`
	Impact   domain.Impact    `json:"impact"`
	Codes    []toldCode       `json:"codes"`
	toldEnforcement
}

// toldEvent is an event of an answer.
type toldEvent struct {
	Type string         `json:"type"`
	Data map[string]any `json:"data"`
}

func readTold(result []byte) (told, error) {
	var t told
	if err := json.Unmarshal(result, &t); err != nil {
		return t, fmt.Errorf("the answer cannot be read: %w", err)
	}
	return t, nil
}

// tellAnswer tells in a sentence or two what a command led to. For programs it prints
// the whole answer on one line.
func (w *world) tellAnswer(result []byte, asJSON bool, sent sentCommand) error {
	if asJSON {
		return w.printJSON(result, true)
	}
	t, err := readTold(result)
	if err != nil {
		return err
	}
	var out strings.Builder
	sentence := strings.Join(sentences(t.Events), "; ")
	switch {
	case len(t.Events) == 0 && t.Repeated:
		fmt.Fprintf(&out, "nothing changed: this key was used at %s, and nothing was left to change then\n", t.Position)
	case len(t.Events) == 0:
		fmt.Fprintf(&out, "nothing changed: %s, %s\n", sent.alreadySo(), t.Position)
	case t.Repeated:
		fmt.Fprintf(&out, "nothing changed: this key was used before; at that time: %s, %s\n", sentence, t.Position)
	default:
		fmt.Fprintf(&out, "%s, %s\n", sentence, t.Position)
	}
	t.tellWarnings(&out)
	out.WriteString(t.toldEnforcement.sentence())
	_, err = io.WriteString(w.stdout, out.String())
	return err
}

// sentCommand is a command as it was sent, by which an answer without events says what
// was so already.
type sentCommand struct {
	name string
	body []byte
}

// asAsked are the verbs of events after which a thing is as the command described it.
var asAsked = []string{"changed", "renamed", "set", "mapped", "defined"}

// alreadySo says what a command without effect found: "door gate is already disabled".
func (c sentCommand) alreadySo() string {
	typ, ok := domain.CommandNamed(c.name)
	var fields map[string]any
	if !ok || len(typ.Causes) == 0 || json.Unmarshal(c.body, &fields) != nil { // of a list, or of a later service
		return "all that was asked for is so already"
	}
	e := toldEvent{typ.Causes[0], fields}
	noun, verb := nounAndVerb(e.Type)
	own := ownField(e.Type)
	is := "is already " + verb
	if slices.Contains(asAsked, verb[strings.LastIndexByte(verb, ' ')+1:]) { // also of "window changed"
		is = "is already as asked"
	}
	if e.text(own) != "" && strings.HasSuffix(noun, own) {
		return noun + " " + e.text(own) + " " + is + e.about(own, nil)
	}
	return noun + " " + is + e.about("", nil)
}

func (t told) tellWarnings(out io.Writer) {
	for _, warning := range t.Warnings {
		fmt.Fprintf(out, "warning: %s (%s)\n", warning.Message, warning.Code)
	}
}

// maxSentences bounds what an answer tells one by one: of more, it counts the rest.
const maxSentences = 4

// sentences tells of events: a single event of a type by its id, several by their
// number.
func sentences(events []toldEvent) []string {
	var order []string
	known := addresses(events)
	byType := map[string][]toldEvent{}
	for i, e := range events {
		if e.Type == "zone_rules.set" && i > 0 {
			continue // they come with each site, and say nothing beyond its zone
		}
		if byType[e.Type] == nil {
			order = append(order, e.Type)
		}
		byType[e.Type] = append(byType[e.Type], e)
	}
	var out []string
	more := 0
	for _, name := range order {
		of := byType[name]
		switch {
		case len(out) == maxSentences:
			more += len(of)
		case len(of) == 1 || strings.HasPrefix(name, "pin.") && len(of) <= maxSentences:
			for _, e := range of {
				out = append(out, e.sentence(known))
			}
		default:
			out = append(out, severalOf(name, len(of)))
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return out
}

// severalOf counts events of a type: "3 bookings revoked".
func severalOf(name string, n int) string {
	noun, verb := nounAndVerb(name)
	switch {
	case noun == "person":
		noun = "people"
	case strings.HasSuffix(noun, "y") && !strings.HasSuffix(noun, "key"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	case !strings.HasSuffix(noun, "s"):
		noun += "s"
	}
	return fmt.Sprintf("%d %s %s", n, noun, verb)
}

// nounAndVerb are the words of a wire name: "access right" and "defined".
func nounAndVerb(name string) (noun, verb string) {
	noun, verb, _ = strings.Cut(strings.ReplaceAll(name, "_", " "), ".")
	switch {
	case noun == "pin":
		noun = "PIN"
	case noun == "right": // "right revoked" has the id of a grant
		noun, verb = "grant", strings.Replace(verb, "granted", "made", 1)
	}
	return noun, verb
}

// alsoTold are the fields that say whom or what an event is about, beside its own id.
var alsoTold = []string{"right", "booking", "unit", "gateway", "door", "site"}

// sentence tells of an event: its noun, its own id, what happened, and whom it is about.
// People with an address in known are told by that.
func (e toldEvent) sentence(known map[string]string) string {
	noun, verb := nounAndVerb(e.Type)
	own := ownField(e.Type)
	digits := e.text("number")
	switch {
	case noun == "PIN" && digits != "":
		return "PIN " + digits + e.about(own, known) + ", shown once"
	case own == "": // of a later service
		return noun + " " + verb + e.about("", known)
	case own == "from":
		return noun + " " + verb + " to " + e.text("to")
	case (own == "person" || slices.Contains(alsoTold, own)) && !strings.HasSuffix(noun, own):
		return noun + " " + verb + e.about("", known) // "role assigned for vera"
	}
	said := noun + " " + e.text(own) + " " + verb + e.about(own, known)
	if address := known[e.text(own)]; own == "person" && address != "" {
		said += " (" + address + ")"
	}
	return said
}

// text is a field that holds a text, or nothing.
func (e toldEvent) text(field string) string {
	text, _ := e.Data[field].(string)
	return text
}

// about tells whom and what an event concerns beside its own id. It names the site for
// a thing that has no id of its own.
func (e toldEvent) about(own string, known map[string]string) string {
	out := ""
	if person := e.text("person"); person != "" && own != "person" {
		out = " for " + cmp.Or(known[person], person)
	}
	for _, field := range alsoTold {
		if id := e.text(field); id != "" && field != own && (field != "site" || own == "") {
			out += ", " + field + " " + id
		}
	}
	return out
}

// ownField is the field that holds the id of what an event of a type is about: its
// first. None for a type that a later service has.
func ownField(name string) string {
	typ, ok := domain.EventNamed(name)
	if !ok || typ.Type().Kind() != reflect.Struct || typ.Type().NumField() == 0 {
		return ""
	}
	field, _, _ := strings.Cut(typ.Type().Field(0).Tag.Get("json"), ",")
	return field
}
