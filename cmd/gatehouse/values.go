package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/domain/schedule"
	"gatehouse/schemas/wire"
)

// assigner puts values into the fields of a command by their shape.
type assigner struct {
	command string
	shape   *shape
	clock   *clock
}

// value reads the text of a value by its shape.
func (a *assigner) value(ctx context.Context, s *shape, x assignment) (any, error) {
	switch {
	case s.Clears && x.text == "null":
		return nil, nil
	case s.Type == "string":
		return a.text(ctx, s, x.key, x.text)
	case s.Type == "boolean":
		switch strings.ToLower(x.text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, usage("%s: %q is neither true nor false", x.key, x.text)
	case s.Type == "array" && s.Items != nil && s.Items.Type == "string" && !strings.HasPrefix(strings.TrimSpace(x.text), "["):
		list := []any{}
		if x.text == "" {
			return list, nil
		}
		for part := range strings.SplitSeq(x.text, ",") {
			list = append(list, strings.TrimSpace(part))
		}
		return a.below(ctx, s, x.key, list)
	}
	value, err := readJSON([]byte(x.text))
	if errors.Is(err, errNoJSON) {
		return nil, usage("%s: %q is no %s; write it as JSON", x.key, x.text, s.kind())
	}
	if err != nil {
		return nil, usage("%s: %v", x.key, err)
	}
	return a.below(ctx, s, x.key, value)
}

// errNoJSON says that a text is no JSON.
var errNoJSON = errors.New("it is no JSON")

// readJSON reads one JSON value, of which no field stands twice.
func readJSON(text []byte) (value any, err error) {
	if !json.Valid(text) {
		return nil, errNoJSON
	}
	if err := wire.CheckKeys(text, nil); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return value, d.Decode(&value)
}

// below reads the values inside a JSON value as if each were a field of its own. It
// refuses fields that the shape does not have. The service reports other errors.
func (a *assigner) below(ctx context.Context, s *shape, key string, value any) (any, error) {
	switch v := value.(type) {
	case string:
		if s.Type == "string" {
			return a.text(ctx, s, key, v)
		}
	case []any:
		if s.Items == nil {
			return v, nil
		}
		for i, entry := range v {
			read, err := a.below(ctx, s.Items, fmt.Sprintf("%s[%d]", key, i), entry)
			if err != nil {
				return nil, err
			}
			v[i] = read
		}
	case map[string]any:
		if len(s.Properties) == 0 {
			return v, nil
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			path := strings.TrimPrefix(key+"."+name, ".")
			field := s.Properties[name]
			if field == nil {
				return nil, a.unknown(s, path, name)
			}
			read, err := a.below(ctx, field, path, v[name])
			if err != nil {
				return nil, err
			}
			v[name] = read
		}
	}
	return value, nil
}

// unknown refuses a field that a shape has not.
func (a *assigner) unknown(s *shape, path, name string) error {
	names := s.fields()
	if len(names) == 0 {
		return usage("%s: %s has no field %s", path, a.command, name)
	}
	return usage("%s: %s has no field %s%s; there are %s", path, a.command, name, didYouMean(name, names), strings.Join(names, ", "))
}

// text reads a text by its shape.
func (a *assigner) text(ctx context.Context, s *shape, key, text string) (string, error) {
	switch {
	case s.Format == "date-time":
		at, err := a.clock.read(ctx, text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
		return at.Format(time.RFC3339Nano), nil
	case s.Format == "date":
		if _, err := schedule.ParseDate(text); err != nil {
			return "", usage("%s: %v", key, err)
		}
	case len(s.Enum) > 0:
		for _, word := range s.Enum {
			if strings.EqualFold(word, text) {
				return word, nil
			}
		}
		return "", usage("%s: %q is none of %s", key, text, strings.Join(s.Enum, ", "))
	case s.takes(someDateTime):
		reading, err := a.clock.reading(ctx, text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
		return reading, nil
	case s.takes(someTime) && shortTime.MatchString(text):
		return "0" + text, nil
	case s.takes(someDay):
		return dayNamed(text), nil
	}
	return text, nil
}

// Texts that fields of a pattern take: of a time of day, a time of a calendar, a day.
const someTime, someDateTime, someDay = "08:30", "2026-03-02T08:30", "holiday/mon"

// shortTime is a time of day before ten without its zero.
var shortTime = regexp.MustCompile(`^[0-9]:[0-5][0-9]$`)

// dayNamed is the day of a schedule for the English name of a day of the week. The name
// is in full or short; any other text stays as it is.
func dayNamed(text string) string {
	for day := schedule.Monday; day <= schedule.Sunday; day++ {
		if name := day.Name(); strings.EqualFold(text, name) || strings.EqualFold(text, name[:3]) {
			return day.String()
		}
	}
	return text
}
