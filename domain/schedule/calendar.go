package schedule

import (
	"errors"
	"fmt"
	"slices"
)

// ErrSameDate is wrapped by the refusal of a calendar that marks a date twice.
var ErrSameDate = errors.New("the date is marked twice")

const (
	// MaxSpecialDays is the most entries that one calendar may have.
	MaxSpecialDays = 2000
	// MaxBlackouts is the most blackouts that one site may have.
	MaxBlackouts = 1000
	// maxNameLength is the most bytes of the name of a special day or blackout.
	maxNameLength = 200
)

// A SpecialDay marks a date, or several in a row, with a kind.
type SpecialDay struct {
	Date Date `json:"date"`
	// Until is the last of the dates; no date: there is but one.
	Until Date   `json:"until,omitzero"`
	Kind  Kind   `json:"kind"` // holiday, or a word of the operator that schedules name
	Name  string `json:"name,omitempty"`
}

// Last is the last of the dates.
func (s SpecialDay) Last() Date {
	if s.Until.IsZero() {
		return s.Date
	}
	return s.Until
}

// A Calendar is the special days of a site, in any order; each date has one kind
// at most.
type Calendar []SpecialDay

// Validate refuses a calendar that cannot be read in one way only. Its error
// wraps ErrSameDate when a date is marked twice.
func (c Calendar) Validate() error {
	if len(c) > MaxSpecialDays {
		return fmt.Errorf("the calendar has %d entries, at most %d are allowed", len(c), MaxSpecialDays)
	}
	for i, s := range c {
		if err := s.validate(); err != nil {
			return fmt.Errorf("special day %d: %w", i+1, err)
		}
	}
	days := c.Compile().ranges
	for i := 1; i < len(days); i++ {
		if days[i].from.Compare(days[i-1].until) <= 0 {
			return fmt.Errorf("%s: %w", days[i].from, ErrSameDate)
		}
	}
	return nil
}

func (s SpecialDay) validate() error {
	if s.Date.IsZero() {
		return errors.New("it has no date")
	}
	if !s.Until.IsZero() && s.Until.Before(s.Date) {
		return fmt.Errorf("it lasts until %s, before its date %s", s.Until, s.Date)
	}
	if len(s.Name) > maxNameLength {
		return fmt.Errorf("its name has %d bytes, at most %d are allowed", len(s.Name), maxNameLength)
	}
	return s.Kind.Validate()
}

// Days finds the kind of a date; the nil Days has ordinary days only. It does
// not change and may be read by many at once.
type Days struct {
	ranges []dayRange
}

type dayRange struct {
	from, until Date
	kind        Kind
}

// Compile makes the calendar quick to ask. Where Validate would refuse a date
// marked twice, the entry that begins later wins.
func (c Calendar) Compile() *Days {
	d := &Days{ranges: make([]dayRange, 0, len(c))}
	for _, s := range c {
		d.ranges = append(d.ranges, dayRange{s.Date, s.Last(), s.Kind})
	}
	slices.SortStableFunc(d.ranges, func(a, b dayRange) int { return a.from.Compare(b.from) })
	return d
}

// Kind gives the kind of the date, "" for an ordinary day. It does not allocate.
func (d *Days) Kind(date Date) Kind {
	if d == nil {
		return ""
	}
	low, high := 0, len(d.ranges)
	for low < high {
		if mid := (low + high) / 2; d.ranges[mid].from.day <= date.day {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 || d.ranges[low-1].until.Before(date) {
		return ""
	}
	return d.ranges[low-1].kind
}

// A Blackout closes a site between two local times, under any schedule.
type Blackout struct {
	Name string   `json:"name,omitempty"`
	From DateTime `json:"from"`
	To   DateTime `json:"to"`
}

// Blackouts are those of one site, in any order; they may overlap.
type Blackouts []Blackout

// Validate refuses blackouts that do not end after they begin.
func (b Blackouts) Validate() error {
	if len(b) > MaxBlackouts {
		return fmt.Errorf("there are %d blackouts, at most %d are allowed", len(b), MaxBlackouts)
	}
	for i, blackout := range b {
		if err := blackout.Validate(); err != nil {
			return fmt.Errorf("blackout %d: %w", i+1, err)
		}
	}
	return nil
}

// Validate refuses a blackout that does not end after it begins.
func (b Blackout) Validate() error {
	if b.From.IsZero() || b.To.IsZero() {
		return errors.New("a blackout has a beginning and an end")
	}
	if b.From.Compare(b.To) >= 0 {
		return fmt.Errorf("the blackout ends at %s, not after %s when it begins", b.To, b.From)
	}
	if len(b.Name) > maxNameLength {
		return fmt.Errorf("its name has %d bytes, at most %d are allowed", len(b.Name), maxNameLength)
	}
	return nil
}

// Span gives the blackout's first instant and the one at which it is over, in
// nanoseconds since 1970 UTC. Where the clock is set back over its end, the end
// is the first of the two.
func (b Blackout) Span(z *Zone) (from, to int64) { return z.Instant(b.From), z.Instant(b.To) }

// Spans are instants during which some blackout holds. They do not change and
// may be read by many at once; nil has none.
type Spans struct {
	// sorted, disjoint, half-open
	from, to []int64
}

// Compile makes the blackouts quick to ask at a site in the zone.
func (b Blackouts) Compile(z *Zone) *Spans {
	sorted := make([][2]int64, 0, len(b))
	for _, blackout := range b {
		if from, to := blackout.Span(z); from < to {
			sorted = append(sorted, [2]int64{from, to})
		}
	}
	slices.SortFunc(sorted, func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
	s := &Spans{}
	for _, next := range sorted {
		if n := len(s.to); n > 0 && next[0] <= s.to[n-1] {
			s.to[n-1] = max(s.to[n-1], next[1])
			continue
		}
		s.from, s.to = append(s.from, next[0]), append(s.to, next[1])
	}
	return s
}

// Contains reports whether a blackout holds at the instant, in nanoseconds since
// 1970 UTC. It does not allocate.
func (s *Spans) Contains(at int64) bool {
	if s == nil {
		return false
	}
	low, high := 0, len(s.from)
	for low < high {
		if mid := (low + high) / 2; s.from[mid] <= at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low > 0 && at < s.to[low-1]
}
