// Package schedule evaluates weekly schedules: whether one holds at an instant of a
// site, whether one is a subset of another, and when the answer changes next. It is
// pure and depends on its arguments alone.
//
// # Why local time
//
// A weekly window is half-open and holds at an instant when the site's wall clock shows
// a time within it. So an hour that the clock skips in spring never holds, and an hour
// that it repeats in autumn holds twice. Every schedule reduces to a set of minutes per
// kind of day and day of the week. Intersection and subset are therefore exact and need
// no zone.
//
// # Why the date of the instant decides
//
// Holidays and special days are those of the instant's own local date, also within a
// window over midnight: Friday 22:00 to 06:00 ends at midnight when the Saturday is a
// holiday. Any other rule would need the history of a night to decide about its end.
// For the same reason a kind of day cannot have a window over midnight.
//
// # Why a kind on a weekday
//
// On a holiday a schedule that ignores holidays has the windows of the weekday; any
// other schedule has the windows of the kind. Their intersection differs by weekday and
// kind. Hence the days "holiday/sat": with them schedules are closed under Intersect.
//
// # Why zone rules are data
//
// The rules of zones change by law. The rules under which a ledger was decided are kept
// beside its events, so that it gives the same answers under next year's rules.
package schedule

import (
	"errors"
	"fmt"
)

// ErrOverlap is wrapped by the error of Validate when two windows hold at the same
// minute.
var ErrOverlap = errors.New("windows overlap")

const (
	// MaxWindows is the most windows that one schedule may have.
	MaxWindows = 100
	// MaxDays is the most days that one window may name.
	MaxDays = 64
)

// A Window holds on each of its days from From (inclusive) to To (exclusive), in local
// time. If To is not later than From, the window ends on the next day: 22:00 to 06:00
// is eight hours, 08:00 to 08:00 twenty-four.
type Window struct {
	// Days are the days on which the window begins. A window that continues after
	// midnight names days of the week only.
	Days []Day `json:"days"`
	// From is 00:00 to 23:59.
	From TimeOfDay `json:"from"`
	// To is 00:00 to 24:00.
	To TimeOfDay `json:"to"`
}

// A HolidayRule controls a schedule on the dates that the calendar marks with a kind.
type HolidayRule string

const (
	// HolidaysClosed is the default, also for "": only windows that name the kind of
	// the day hold.
	HolidaysClosed HolidayRule = "closed"
	// HolidaysIgnored treats a special day as an ordinary day of its weekday.
	HolidaysIgnored HolidayRule = "ignore"
)

// A Schedule is a set of weekly windows. The zero Schedule never holds.
type Schedule struct {
	// Always holds at every minute, also on special days. It excludes windows and a
	// holiday rule.
	Always   bool        `json:"always,omitempty"`
	Windows  []Window    `json:"windows,omitempty"`
	Holidays HolidayRule `json:"holidays,omitempty"`
	// ValidFrom is the first date on which the schedule holds; zero means no first
	// date.
	ValidFrom Date `json:"valid_from,omitzero"`
	// ValidUntil is the last date on which the schedule holds, to its end; zero means
	// no last date.
	ValidUntil Date `json:"valid_until,omitzero"`
}

// Validate refuses a schedule that is malformed or contradicts itself. Its error wraps
// ErrOverlap when two windows hold at the same minute.
func (s Schedule) Validate() error {
	switch s.Holidays {
	case "", HolidaysClosed, HolidaysIgnored:
	default:
		return fmt.Errorf("the holiday rule %q is neither closed nor ignore", string(s.Holidays))
	}
	if s.Always && (len(s.Windows) > 0 || s.Holidays == HolidaysClosed) {
		return errors.New("a schedule that always holds, holidays included, has no windows and cannot be closed on holidays")
	}
	if len(s.Windows) > MaxWindows {
		return fmt.Errorf("the schedule has %d windows, at most %d are allowed", len(s.Windows), MaxWindows)
	}
	if !s.ValidFrom.IsZero() && !s.ValidUntil.IsZero() && s.ValidUntil.Before(s.ValidFrom) {
		return fmt.Errorf("the schedule is valid until %s, before %s from which it is valid", s.ValidUntil, s.ValidFrom)
	}
	var taken week
	for i, w := range s.Windows {
		if len(w.Days) > MaxDays {
			return fmt.Errorf("window %d names %d days, at most %d are allowed", i+1, len(w.Days), MaxDays)
		}
		if err := w.validate(s.Holidays); err != nil {
			return fmt.Errorf("window %d: %w", i+1, err)
		}
		for _, day := range w.Days {
			if !taken.claim(day, w) {
				return fmt.Errorf("window %d, %s - %s on %s: %w", i+1, w.From, w.To, day, ErrOverlap)
			}
		}
	}
	return nil
}

func (w Window) validate(holidays HolidayRule) error {
	if w.From < 0 || w.From >= EndOfDay {
		return fmt.Errorf("it begins at %d minutes after midnight, possible are 00:00 to 23:59", int(w.From))
	}
	if w.To < 0 || w.To > EndOfDay {
		return fmt.Errorf("it ends at %d minutes after midnight, possible are 00:00 to 24:00", int(w.To))
	}
	if len(w.Days) == 0 {
		return errors.New("it names no day")
	}
	for i, day := range w.Days {
		kind, err := day.parse()
		if err != nil {
			return err
		}
		for _, other := range w.Days[:i] {
			if day == other {
				return fmt.Errorf("it names %s twice", day)
			}
		}
		if kind.kind == "" {
			continue
		}
		if w.overMidnight() {
			return fmt.Errorf("%s - %s on %s goes on after midnight, when the kind of the day may be another: make it two windows", w.From, w.To, day)
		}
		if holidays == HolidaysIgnored {
			return fmt.Errorf("it names %s, but the schedule ignores special days", day)
		}
	}
	return nil
}

// overMidnight reports whether some minute of the window is on the next day.
func (w Window) overMidnight() bool { return w.To > 0 && w.To <= w.From }
