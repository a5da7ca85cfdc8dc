package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// assignment is a key=value of the command line: a path into the fields of a
// command, and a value.
type assignment struct {
	path []step
	key  string // the path as it was written
	text string
}

// step is one step of a path: into a field, or into an entry of a list.
type step struct {
	field string
	index int // of a list when field is empty
}

// maxIndex bounds the index of an entry: the longest list of a command.
const maxIndex = 999

// readAssignments reads key=value arguments.
func readAssignments(args []string) ([]assignment, error) {
	var out []assignment
	for _, arg := range args {
		key, text, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usage("%q: fields are written key=value", arg)
		}
		path, err := readPath(key)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(out, func(x assignment) bool { return slices.Equal(x.path, path) }); i >= 0 {
			return nil, usage("%s is given twice, as %q and as %q; of a list, all entries are written in one: doors=gate,lift", key, out[i].text, text)
		}
		out = append(out, assignment{path, key, text})
	}
	return out, nil
}

// readPath reads a path as name, times.holidays or rights[0].right.
func readPath(key string) ([]step, error) {
	var path []step
	for part := range strings.SplitSeq(key, ".") {
		name, rest, _ := strings.Cut(part, "[")
		if name == "" {
			return nil, usage("%q is no field; one is written name, times.holidays or rights[0].right", key)
		}
		path = append(path, step{field: name})
		if rest == "" && !strings.Contains(part, "[") {
			continue
		}
		for index := range strings.SplitSeq(rest, "[") {
			n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || !strings.HasSuffix(index, "]") || n < 0 || n > maxIndex {
				return nil, usage("%q: an entry of a list is written rights[0], counted from 0", key)
			}
			path = append(path, step{index: n})
		}
	}
	return path, nil
}

// assign sets a field. The shape of the command says how its value is read, so
// that a unit named 12 stays a text and a depth of 2 becomes a number.
func (a *assigner) assign(ctx context.Context, fields map[string]any, x assignment) error {
	target, err := a.find(x)
	if err != nil {
		return err
	}
	value, err := a.value(ctx, target, x)
	if err != nil {
		return err
	}
	var root any = fields
	if err := put(&root, x.path, value); err != nil {
		return usage("%s: %v", x.key, err)
	}
	return nil
}

// find is the shape of what a path leads to.
func (a *assigner) find(x assignment) (*shape, error) {
	at := a.shape
	for _, s := range x.path {
		switch {
		case s.field == "" && at.Items != nil:
			at = at.Items
		case s.field != "" && at.Properties[s.field] != nil:
			at = at.Properties[s.field]
		case s.field == "":
			return nil, usage("%s: %s has no list there", x.key, a.command)
		default:
			return nil, a.unknown(at, x.key, s.field)
		}
	}
	return at, nil
}

// put sets what a path below root leads to, and makes what is missing on the way.
func put(root *any, path []step, value any) error {
	if len(path) == 0 {
		*root = value
		return nil
	}
	s := path[0]
	if s.field != "" {
		if *root == nil {
			*root = map[string]any{}
		}
		fields, ok := (*root).(map[string]any)
		if !ok {
			return fmt.Errorf("there is no field %s in what was given before", s.field)
		}
		below := fields[s.field]
		if err := put(&below, path[1:], value); err != nil {
			return err
		}
		fields[s.field] = below
		return nil
	}
	if *root == nil {
		*root = []any{}
	}
	list, ok := (*root).([]any)
	if !ok {
		return fmt.Errorf("there is no list in what was given before")
	}
	if s.index > len(list) {
		return fmt.Errorf("the entry %d comes before the entry %d", len(list), s.index)
	}
	if s.index == len(list) {
		list = append(list, nil)
	}
	if err := put(&list[s.index], path[1:], value); err != nil {
		return err
	}
	*root = list
	return nil
}
