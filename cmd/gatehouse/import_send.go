package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"time"

	"gatehouse/gateways/httpapi"
)

// send sends the list. Entries that are refused are told by their lines; the rest
// is sent without them when bad lines are passed over.
func (i *importer) send() error {
	defer func() { i.list, i.lines, i.size = i.list[:0], i.lines[:0], 0 }()
	for len(i.list) > 0 {
		refused, err := i.sendOnce()
		if err != nil || refused == nil {
			return err
		}
		if err := i.passOver(refused); err != nil {
			return err
		}
		if len(refused) == 0 {
			continue
		}
		i.drop(refused)
		if !i.cmd.SkipBad && !i.cmd.DryRun {
			return &codedError{exitRefused, fmt.Errorf("%d lines are refused; the lists before are committed, nothing of this one is; mend them, or give --skip-bad", len(refused))}
		}
	}
	return nil
}

// sendOnce sends the list and returns which entries are refused; none: it is done.
func (i *importer) sendOnce() (map[int]httpapi.Entry, error) {
	body := slices.Concat([]byte("["), bytes.Join(asBytes(i.list), []byte(",")), []byte("]"))
	sum := sha256.Sum256(body)
	options := url.Values{}
	if i.cmd.DryRun {
		options.Set("dry_run", "true")
	}
	answer, err := i.remote.command(i.w.ctx, i.command, body, "import-"+hex.EncodeToString(sum[:]), options)
	if problem, ok := errors.AsType[*answerError](err); ok && exitOfStatus(problem.Status) == exitRefused {
		if refused := refusedEntries(problem, len(i.list)); refused != nil {
			return refused, nil
		}
	}
	if err != nil {
		return nil, err
	}
	var done struct {
		Position string `json:"position"`
		Repeated bool   `json:"repeated"`
	}
	if err := json.Unmarshal(answer, &done); err != nil {
		return nil, err
	}
	i.report.Accepted += len(i.list)
	i.report.Position = done.Position
	switch {
	case done.Repeated:
		i.report.Repeated++
	case !i.cmd.DryRun:
		i.report.Commits++
	}
	if now := i.w.now(); now.Sub(i.told) >= time.Second {
		i.told = now
		i.w.say("%d lines, %d accepted, at %s", i.report.Lines, i.report.Accepted, done.Position)
	}
	return nil, nil
}

// refusedEntries are the refused entries of a list; nil when the refusal is about
// the list as a whole.
func refusedEntries(p *answerError, entries int) map[int]httpapi.Entry {
	out := map[int]httpapi.Entry{}
	for _, e := range p.Entries {
		out[e.Index] = e
	}
	if len(out) == 0 && entries == 1 {
		out[0] = httpapi.Entry{Code: p.Code, Detail: p.Detail, IDs: p.IDs}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// drop takes refused entries out of the list and tells their lines.
func (i *importer) drop(refused map[int]httpapi.Entry) {
	i.keep(func(n int) bool {
		e, is := refused[n]
		if is {
			i.bad.add(&badLine{i.lines[n], e.Code + ": " + e.Detail})
			i.report.refuse(e.Code, i.lines[n])
		}
		return !is
	})
}

// keep keeps some entries of the list.
func (i *importer) keep(is func(n int) bool) {
	var list []json.RawMessage
	var lines []int
	for n, entry := range i.list {
		if is(n) {
			list, lines = append(list, entry), append(lines, i.lines[n])
		}
	}
	i.list, i.lines = list, lines
}

// passOver takes entries out of the list and of the refused that are refused since
// the org has just what they ask for, from an earlier run. When it took any out, the
// rest is sent again before anything is told: it is refused anew if it is at all.
func (i *importer) passOver(refused map[int]httpapi.Entry) error {
	there, err := i.thingsOf(refused)
	if err != nil {
		return err
	}
	known := map[int]bool{}
	for n, e := range refused {
		for _, id := range e.IDs {
			if has, ok := there[string(id)]; ok && i.same(i.list[n], has) {
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

// thingsOf asks for the things that refusals name: by their ids, the fields of the
// command that would make each.
func (i *importer) thingsOf(refused map[int]httpapi.Entry) (map[string]map[string]any, error) {
	named := map[string]bool{}
	for _, e := range refused {
		for _, id := range e.IDs {
			named[string(id)] = true
		}
	}
	found := &things{id: commandFields(i.command)[0], by: map[string]map[string]any{}}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(named)), idsAtOnce) {
		if _, err := i.remote.export(i.w.ctx, i.cmd.What, ids, found); err != nil {
			return nil, err
		}
	}
	return found.by, nil
}

// things keeps the lines of an export by their ids.
type things struct {
	id string // the field
	by map[string]map[string]any
}

func (t *things) line(text []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return fmt.Errorf("a line of the export: %w", err)
	}
	if id, ok := fields[t.id].(string); ok {
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
		if !sameValue(i.assigner.shape.Properties[name], value, has[name]) {
			return false
		}
	}
	return true
}

// sameValue compares two values by what they mean: instants, and lists of texts in
// any order.
func sameValue(s *shape, a, b any) bool {
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

func asBytes(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, raw := range list {
		out[i] = raw
	}
	return out
}
