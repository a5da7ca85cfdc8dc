package bulk

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/input"
	"gatehouse/gateways/httpapi"
)

// passOver removes refused entries that the org has already, from an earlier run. It
// removes them from the list and from the refused, when the org has just what they ask
// for. When it removed any, the rest is sent again before anything is reported: it is
// refused again if at all.
func (i *importer) passOver(refused map[int]httpapi.Entry) error {
	named := map[int][]string{}
	for n, e := range refused {
		var fields map[string]any
		if err := json.Unmarshal(i.list[n].fields, &fields); err != nil {
			return fmt.Errorf("line %d: %w", i.list[n].line, err)
		}
		if id := i.kind.idOf(fields); id != "" {
			named[n] = append(named[n], id)
		}
		for _, id := range e.IDs {
			named[n] = append(named[n], string(id))
		}
	}
	there, err := i.thingsOf(named)
	if err != nil {
		return err
	}
	known := map[int]bool{}
	for n, ids := range named {
		for _, id := range ids {
			if has, ok := there[id]; ok && i.same(i.list[n].fields, has) {
				known[n] = true
			}
		}
	}
	if len(known) == 0 {
		return nil
	}
	i.report.There += len(known)
	i.keep(func(n int) bool { return !known[n] })
	clear(refused)
	return nil
}

// idsAtOnce is how many things are asked for at once.
const idsAtOnce = 100

// thingsOf asks for things: by their ids, the fields of the command that would make
// each.
func (i *importer) thingsOf(named map[int][]string) (map[string]map[string]any, error) {
	all := map[string]bool{}
	for _, ids := range named {
		for _, id := range ids {
			all[id] = true
		}
	}
	found := &things{kind: i.kind, by: map[string]map[string]any{}}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(all)), idsAtOnce) {
		if _, err := export(i.ctx, i.remote, i.kind.Name, ids, found); err != nil {
			return nil, err
		}
	}
	return found.by, nil
}

// things keeps the lines of an export by their ids.
type things struct {
	kind kind
	by   map[string]map[string]any
}

func (t *things) line(text []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return fmt.Errorf("a line of the export: %w", err)
	}
	if id := t.kind.idOf(fields); id != "" {
		t.by[id] = fields
	}
	return nil
}

func (t *things) end() error { return nil }

// same reports whether a thing has every field of an entry.
func (i *importer) same(entry json.RawMessage, has map[string]any) bool {
	var fields map[string]any
	if json.Unmarshal(entry, &fields) != nil {
		return false
	}
	for name, value := range fields {
		if !sameValue(i.kind.shape.Properties[name], value, has[name]) {
			return false
		}
	}
	return true
}

// sameValue compares two values by what they mean: instants, lists of texts in any
// order, texts without blanks at their ends, as they are kept.
func sameValue(s *input.Shape, a, b any) bool {
	if b == nil { // a value that says nothing is left out
		text, err := json.Marshal(a)
		return err == nil && slices.Contains([]string{"false", "0", `""`, "[]", "{}"}, string(text))
	}
	if s != nil && s.Format == "date-time" {
		x, errX := time.Parse(time.RFC3339Nano, fmt.Sprint(a))
		y, errY := time.Parse(time.RFC3339Nano, fmt.Sprint(b))
		return errX == nil && errY == nil && x.Equal(y)
	}
	if s != nil && s.Type == "array" && s.Items != nil && s.Items.Type == "string" {
		return slices.Equal(sortedTexts(a), sortedTexts(b))
	}
	if text, is := a.(string); is {
		a = strings.TrimSpace(text)
	}
	return reflect.DeepEqual(a, b)
}

func sortedTexts(list any) (out []string) {
	entries, _ := list.([]any)
	for _, e := range entries {
		out = append(out, fmt.Sprint(e))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
