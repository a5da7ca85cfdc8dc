package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gatehouse/domain"
	"gatehouse/schemas"
)

// shape is what a JSON Schema says of a value, as far as the command line needs
// it.
type shape struct {
	Type        string            `json:"-"`
	Clears      bool              `json:"-"` // null may stand for the value, and clears it
	Format      string            `json:"format"`
	Pattern     string            `json:"pattern"`
	Description string            `json:"description"`
	Enum        []string          `json:"enum"`
	Properties  map[string]*shape `json:"properties"`
	Required    []string          `json:"required"`
	Items       *shape            `json:"items"`
}

// UnmarshalJSON reads a schema, whose type may be two of which one is null.
func (s *shape) UnmarshalJSON(data []byte) error {
	type plain shape
	with := struct {
		Types json.RawMessage `json:"type"`
		*plain
	}{plain: (*plain)(s)}
	if err := json.Unmarshal(data, &with); err != nil {
		return err
	}
	if json.Unmarshal(with.Types, &s.Type) == nil {
		return nil
	}
	var types []string
	if err := json.Unmarshal(with.Types, &types); err != nil {
		return err
	}
	for _, t := range types {
		if t == "null" {
			s.Clears = true
		} else {
			s.Type = t
		}
	}
	s.Enum = slices.DeleteFunc(s.Enum, func(word string) bool { return word == "" })
	return nil
}

// commandShape is the shape of a command's fields. This binary knows the commands
// of its own version; a service of a later one may have more.
func commandShape(name string) (*shape, error) {
	b, ok := schemas.CommandSchema(name)
	if !ok {
		return nil, usage("there is no command %s%s; gatehouse do --list lists all", name, didYouMean(name, commandNames()))
	}
	var s shape
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("the schema of %s: %w", name, err)
	}
	return &s, nil
}

// commandNames lists the commands that people may send.
func commandNames() []string {
	var names []string
	for _, c := range domain.Commands() {
		if !forServiceAlone(c) {
			names = append(names, c.Name)
		}
	}
	return names
}

// forServiceAlone reports whether no person may ever send a command.
func forServiceAlone(c domain.CommandType) bool {
	p := c.Permit()
	p.Service, p.Bootstrap = false, false
	return p == domain.Permit{}
}

// fields lists what the shape has, those that are required first.
func (s *shape) fields() []string {
	return slices.SortedFunc(maps.Keys(s.Properties), func(a, b string) int {
		if ra, rb := slices.Contains(s.Required, a), slices.Contains(s.Required, b); ra != rb {
			if ra {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
}

// kind says what a field holds, in a few words.
func (s *shape) kind() string {
	switch {
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, "|")
	case s.Type == "array" && s.Items != nil:
		return "list of " + s.Items.kind()
	case s.Format == "date-time":
		return "time"
	case s.Format != "":
		return s.Format
	case s.Type == "string":
		return "text"
	}
	return s.Type
}

// takes reports whether the pattern of a field, if it has one, takes a text.
func (s *shape) takes(text string) bool {
	if s.Pattern == "" {
		return false
	}
	taken, err := regexp.MatchString(s.Pattern, text)
	return taken && err == nil
}

// describe writes the fields of a shape and of what is below it.
func (s *shape) describe(out *strings.Builder, prefix string) {
	for _, name := range s.fields() {
		f := s.Properties[name]
		path := prefix + name
		mark := ""
		if slices.Contains(s.Required, name) {
			mark = ", required"
		}
		if f.Clears {
			mark += ", null clears it"
		}
		fmt.Fprintf(out, "  %-34s %s%s", path, f.kind(), mark)
		if f.Description != "" {
			fmt.Fprintf(out, ": %s", f.Description)
		}
		out.WriteByte('\n')
		switch {
		case f.Type == "object":
			f.describe(out, path+".")
		case f.Type == "array" && f.Items != nil && f.Items.Type == "object":
			f.Items.describe(out, path+"[0].")
		}
	}
}

// didYouMean proposes the name that is nearest to one that there is not.
func didYouMean(name string, names []string) string {
	near := schemas.Nearest(name, names)
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", near[0])
}
