package input

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/schemas"
)

// Shape is what a JSON Schema says of a value, as far as the command line needs
// it.
type Shape struct {
	Type        string            `json:"-"`
	Clears      bool              `json:"-"` // null may stand for the value, and clears it
	Format      string            `json:"format"`
	Pattern     string            `json:"pattern"`
	Description string            `json:"description"`
	Enum        []string          `json:"enum"`
	Properties  map[string]*Shape `json:"properties"`
	Required    []string          `json:"required"`
	Items       *Shape            `json:"items"`
}

// UnmarshalJSON reads a schema, whose type may be two of which one is null.
func (s *Shape) UnmarshalJSON(data []byte) error {
	type plain Shape
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

// ShapeOf is the shape of a command's fields. This binary knows the commands
// of its own version; a service of a later one may have more.
func ShapeOf(name string) (*Shape, error) {
	b, ok := schemas.CommandSchema(name)
	if !ok {
		return nil, client.Usagef("there is no command %s%s; gatehouse do --list lists all", name, DidYouMean(name, CommandNames()))
	}
	var s Shape
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("the schema of %s: %w", name, err)
	}
	return &s, nil
}

// CommandNames lists the commands that people may send.
func CommandNames() []string {
	var names []string
	for _, c := range domain.Commands() {
		if !ForServiceAlone(c) {
			names = append(names, c.Name)
		}
	}
	return names
}

// ForServiceAlone reports whether no person may ever send a command.
func ForServiceAlone(c domain.CommandType) bool {
	p := c.Permit()
	p.Service, p.Bootstrap = false, false
	return p == domain.Permit{}
}

// Names lists what the shape has, those that are required first.
func (s *Shape) Names() []string {
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
func (s *Shape) kind() string {
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
func (s *Shape) takes(text string) bool {
	if s.Pattern == "" {
		return false
	}
	taken, err := regexp.MatchString(s.Pattern, text)
	return taken && err == nil
}

// Describe writes the fields of a shape and of what is below it.
func (s *Shape) Describe(out *strings.Builder, prefix string) {
	for _, name := range s.Names() {
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
			f.Describe(out, path+".")
		case f.Type == "array" && f.Items != nil && f.Items.Type == "object":
			f.Items.Describe(out, path+"[0].")
		}
	}
}

// DidYouMean proposes the name that is nearest to one that there is not.
func DidYouMean(name string, names []string) string {
	near := schemas.Nearest(name, names)
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", near[0])
}
