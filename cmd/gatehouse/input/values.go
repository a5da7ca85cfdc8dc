package input

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

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain/schedule"
	"gatehouse/schemas/wire"
)

// Assigner puts values into the fields of a command by their shape.
type Assigner struct {
	Command string
	Shape   *Shape
	Clock   *Clock
}

// value reads the text of a value by its shape.
func (a *Assigner) value(ctx context.Context, s *Shape, x Assignment) (any, error) {
	switch {
	case s.Clears && x.Text == "null":
		return nil, nil
	case s.Type == "string":
		return a.text(ctx, s, x.Key, x.Text)
	case s.Type == "boolean":
		switch strings.ToLower(x.Text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, client.Usagef("%s: %q is neither true nor false", x.Key, x.Text)
	case s.Type == "array" && s.Items != nil && s.Items.Type == "string" && !strings.HasPrefix(strings.TrimSpace(x.Text), "["):
		list := []any{}
		if x.Text == "" {
			return list, nil
		}
		for part := range strings.SplitSeq(x.Text, ",") {
			list = append(list, strings.TrimSpace(part))
		}
		return a.Below(ctx, s, x.Key, list)
	}
	value, err := ReadJSON([]byte(x.Text))
	if errors.Is(err, errNoJSON) {
		return nil, client.Usagef("%s: %q is no %s; write it as JSON", x.Key, x.Text, s.kind())
	}
	if err != nil {
		return nil, client.Usagef("%s: %v", x.Key, err)
	}
	return a.Below(ctx, s, x.Key, value)
}

// errNoJSON says that a text is no JSON.
var errNoJSON = errors.New("it is no JSON")

// ReadJSON reads one JSON value, of which no field is given twice.
func ReadJSON(text []byte) (value any, err error) {
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

// Below reads the values inside a JSON value as if each were a field of its own. It
// refuses fields that the shape does not have. The service reports other errors.
func (a *Assigner) Below(ctx context.Context, s *Shape, key string, value any) (any, error) {
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
			read, err := a.Below(ctx, s.Items, fmt.Sprintf("%s[%d]", key, i), entry)
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
			read, err := a.Below(ctx, field, path, v[name])
			if err != nil {
				return nil, err
			}
			v[name] = read
		}
	}
	return value, nil
}

// unknown refuses a field that a shape has not.
func (a *Assigner) unknown(s *Shape, path, name string) error {
	names := s.Names()
	if len(names) == 0 {
		return client.Usagef("%s: %s has no field %s", path, a.Command, name)
	}
	return client.Usagef("%s: %s has no field %s%s; there are %s", path, a.Command, name, DidYouMean(name, names), strings.Join(names, ", "))
}

// text reads a text by its shape.
func (a *Assigner) text(ctx context.Context, s *Shape, key, text string) (string, error) {
	switch {
	case s.Format == "date-time":
		at, err := a.Clock.Read(ctx, text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
		return at.Format(time.RFC3339Nano), nil
	case s.Format == "date":
		if _, err := schedule.ParseDate(text); err != nil {
			return "", client.Usagef("%s: %v", key, err)
		}
	case len(s.Enum) > 0:
		for _, word := range s.Enum {
			if strings.EqualFold(word, text) {
				return word, nil
			}
		}
		return "", client.Usagef("%s: %q is none of %s", key, text, strings.Join(s.Enum, ", "))
	case s.takes(someDateTime):
		reading, err := a.Clock.reading(ctx, text)
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
