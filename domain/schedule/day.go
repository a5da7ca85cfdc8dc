package schedule

import (
	"fmt"
	"strings"
)

// A Weekday is a day of the week, Monday = 0 to Sunday = 6. Its text is "mon"
// to "sun".
type Weekday uint8

// The days of the week.
const (
	Monday Weekday = iota
	Tuesday
	Wednesday
	Thursday
	Friday
	Saturday
	Sunday
)

const daysOfWeek = 7

var weekdayNames = [daysOfWeek]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

var weekdayTexts = [daysOfWeek]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// ParseWeekday reads "mon" to "sun".
func ParseWeekday(text string) (Weekday, error) {
	for i, t := range weekdayTexts {
		if t == text {
			return Weekday(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no day of the week: they are mon, tue, wed, thu, fri, sat and sun", text)
}

// String gives the text, "mon".
func (w Weekday) String() string {
	if w > Sunday {
		return fmt.Sprintf("weekday %d", uint8(w))
	}
	return weekdayTexts[w]
}

// Name gives the English name, "Monday".
func (w Weekday) Name() string {
	if w > Sunday {
		return w.String()
	}
	return weekdayNames[w]
}

// MarshalText gives the text; it refuses what is no day of the week.
func (w Weekday) MarshalText() ([]byte, error) {
	if w > Sunday {
		return nil, fmt.Errorf("%d is no day of the week", uint8(w))
	}
	return []byte(w.String()), nil
}

// UnmarshalText reads what MarshalText gives.
func (w *Weekday) UnmarshalText(text []byte) error {
	parsed, err := ParseWeekday(string(text))
	if err != nil {
		return err
	}
	*w = parsed
	return nil
}

// A Kind names what is special about a day of a calendar: a slug of 1 to 32
// characters, [a-z][a-z0-9_-]*, that cannot be taken for days of the week. The
// empty Kind is that of an ordinary day.
type Kind string

// Holiday is the kind of public holidays.
const Holiday Kind = "holiday"

const maxKindLength = 32

// Validate refuses what cannot name a kind of day.
func (k Kind) Validate() error {
	if k == "" || len(k) > maxKindLength {
		return fmt.Errorf("%q is no kind of day: it has 1 to %d characters", string(k), maxKindLength)
	}
	for i, c := range []byte(k) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c != '_' && c != '-' && (c < '0' || c > '9')) {
			return fmt.Errorf("%q is no kind of day: it is a lower case letter, then letters, digits, _ or -", string(k))
		}
	}
	if resemblesWeekday(string(k)) {
		return fmt.Errorf("%q is no kind of day, and the days of the week are mon, tue, wed, thu, fri, sat and sun", string(k))
	}
	return nil
}

// resemblesWeekday catches "monday", "tues" and "weekend": taken for a kind,
// such a window would silently never hold.
func resemblesWeekday(text string) bool {
	text = strings.TrimSuffix(text, "s")
	for _, name := range weekdayNames {
		if len(text) >= 3 && strings.HasPrefix(strings.ToLower(name), text) {
			return true
		}
	}
	return text == "weekday" || text == "weekend"
}

// A Day names the days on which a window begins: a day of the week ("mon" to
// "sun"), the days of a kind ("holiday"), or the days of a kind that fall on a
// day of the week ("holiday/sat").
type Day string

// Day gives the day of the week as a window names it.
func (w Weekday) Day() Day { return Day(w.String()) }

// Day gives all days of the kind as a window names them.
func (k Kind) Day() Day { return Day(k) }

// On gives the days of the kind that fall on w, as a window names them.
func (k Kind) On(w Weekday) Day { return Day(string(k) + "/" + w.String()) }

// KindOf gives the kind of special day that the text names, empty for a day of the week.
func (d Day) KindOf() Kind {
	t, err := d.parse()
	if err != nil {
		return ""
	}
	return t.kind
}

// dayType is a Day taken apart: kind is empty for a day of the week, every says
// that a kind's days count on whichever day of the week they fall.
type dayType struct {
	kind    Kind
	weekday Weekday
	every   bool
}

func (d Day) parse() (dayType, error) {
	if w, err := ParseWeekday(string(d)); err == nil {
		return dayType{weekday: w}, nil
	}
	kind, weekday, onWeekday := strings.Cut(string(d), "/")
	if err := Kind(kind).Validate(); err != nil {
		return dayType{}, err
	}
	if !onWeekday {
		return dayType{kind: Kind(kind), every: true}, nil
	}
	w, err := ParseWeekday(weekday)
	if err != nil {
		return dayType{}, err
	}
	return dayType{kind: Kind(kind), weekday: w}, nil
}
