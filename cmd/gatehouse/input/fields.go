// Package input reads the fields of commands as people type them: key=value, with the
// times of a site's clock.
//
// # Why a package
//
// A command that is typed and a line of a file that is imported are read by the same
// rules: the schema of the command says which field is a number, a time or a list.
package input

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/cmd/gatehouse/client"
)

// Assignment is a key=value of the command line: a path into the fields of a
// command, and a value.
type Assignment struct {
	path []step
	Key  string // the path as it was written
	Text string
}

// Root returns the field of the command that the path begins with.
func (x Assignment) Root() string { return x.path[0].field }

// step is one step of a path: into a field, or into an entry of a list.
type step struct {
	field string
	index int // of a list when field is empty
}

// maxIndex bounds the index of an entry: the longest list of a command.
const maxIndex = 999

// ReadAssignments reads key=value arguments.
func ReadAssignments(args []string) ([]Assignment, error) {
	var out []Assignment
	for _, arg := range args {
		key, text, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, client.Usagef("%q: fields are written key=value", arg)
		}
		path, err := readPath(key)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(out, func(x Assignment) bool { return slices.Equal(x.path, path) }); i >= 0 {
			return nil, client.Usagef("%s is given twice, as %q and as %q; of a list, all entries are written in one: doors=gate,lift", key, out[i].Text, text)
		}
		out = append(out, Assignment{path, key, text})
	}
	return out, nil
}

// readPath reads a path as name, times.holidays or rights[0].right.
func readPath(key string) ([]step, error) {
	var path []step
	for part := range strings.SplitSeq(key, ".") {
		name, rest, _ := strings.Cut(part, "[")
		if name == "" {
			return nil, client.Usagef("%q is no field; one is written name, times.holidays or rights[0].right", key)
		}
		path = append(path, step{field: name})
		if rest == "" && !strings.Contains(part, "[") {
			continue
		}
		for index := range strings.SplitSeq(rest, "[") {
			n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || !strings.HasSuffix(index, "]") || n < 0 || n > maxIndex {
				return nil, client.Usagef("%q: an entry of a list is written rights[0], counted from 0", key)
			}
			path = append(path, step{index: n})
		}
	}
	return path, nil
}

// Assign sets a field. The shape of the command says how its value is read, so
// that a unit named 12 stays a text and a depth of 2 becomes a number.
func (a *Assigner) Assign(ctx context.Context, fields map[string]any, x Assignment) error {
	target, err := a.Find(x)
	if err != nil {
		return err
	}
	value, err := a.value(ctx, target, x)
	if err != nil {
		return err
	}
	var root any = fields
	if err := put(&root, x.path, value); err != nil {
		return client.Usagef("%s: %v", x.Key, err)
	}
	return nil
}

// Find is the shape of what a path leads to.
func (a *Assigner) Find(x Assignment) (*Shape, error) {
	at := a.Shape
	for _, s := range x.path {
		switch {
		case s.field == "" && at.Items != nil:
			at = at.Items
		case s.field != "" && at.Properties[s.field] != nil:
			at = at.Properties[s.field]
		case s.field == "":
			return nil, client.Usagef("%s: %s has no list there", x.Key, a.Command)
		default:
			return nil, a.unknown(at, x.Key, s.field)
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
