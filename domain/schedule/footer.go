package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// footer is a POSIX TZ string. Hours go from -167 to 167, as RFC 9636, section 3.3.1,
// allows. The zero footer stands for the empty string and has no rule.
type footer struct {
	said bool
	// standard and daylight are in seconds east of UTC, the opposite sign of the text.
	// They are the same if the clock never changes.
	standard, daylight int32
	changes            bool
	begin, end         yearly
}

// yearly is a time of each year, in seconds after the midnight that begins its day.
type yearly struct {
	form             byte // 'J': day 1-365 without leap day; 'n': day 0-365; 'M': month, week, weekday
	day, month, week int  // day of 'M' is 0 = Sunday to 6
	seconds          int
}

const (
	maxFooterLength = 100
	// lastYear is the last year that int64 nanoseconds since 1970 can reach.
	lastYear = 2262
)

// after returns the offset at an instant, in seconds since 1970, and the later
// transitions. They end at the last instant that a Zone covers.
func (f footer) after(instant int64) (offset int32, later []Transition) {
	offset = f.standard
	if !f.changes {
		return offset, nil
	}
	year, _, _ := Date{int32(floorDiv(instant, secondsOfDay) + unixEpochDay)}.Civil()
	var all []Transition
	for y := year - 1; y <= lastYear; y++ {
		all = append(all,
			Transition{f.begin.of(y) - int64(f.standard), f.daylight},
			Transition{f.end.of(y) - int64(f.daylight), f.standard})
	}
	slices.SortStableFunc(all, func(a, b Transition) int { return int(max(-1, min(a.At-b.At, 1))) })
	for i, t := range all {
		if t.At > instant {
			return offset, all[i:]
		}
		offset = t.Offset
	}
	return offset, nil
}

// of returns the time in the given year, in seconds of the local clock since 1970.
func (r yearly) of(year int) int64 {
	var date Date
	switch r.form {
	case 'J':
		date = civilDay(year, 1, 1)
		date.day += int32(r.day - 1)
		if r.day >= 60 && daysIn(year, 2) == 29 {
			date.day++
		}
	case 'n':
		date = civilDay(year, 1, 1)
		date.day += int32(r.day)
	case 'M':
		date = monthly(year, r)
	}
	return (int64(date.day)-unixEpochDay)*secondsOfDay + int64(r.seconds)
}

func monthly(year int, r yearly) Date {
	month := time.Month(r.month)
	date := civilDay(year, month, 1)
	sunday := (int32(date.Weekday()) + 1) % daysOfWeek
	first := 1 + (int32(r.day)-sunday+daysOfWeek)%daysOfWeek
	day := first + int32(r.week-1)*daysOfWeek
	for int(day) > daysIn(year, month) {
		day -= daysOfWeek
	}
	date.day += day - 1
	return date
}

// parseFooter parses "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3" and the like. Daylight
// saving time without its rule is refused, because its meaning would be a guess.
func parseFooter(text string) (footer, error) {
	if text == "" {
		return footer{}, nil
	}
	p := &footerText{rest: text, ok: len(text) <= maxFooterLength}
	f := footer{said: true}
	p.name()
	f.standard = -p.offset()
	f.daylight = f.standard
	if p.ok && p.rest != "" {
		f.changes = true
		p.name()
		f.daylight = f.standard + 3600
		if p.ok && !strings.HasPrefix(p.rest, ",") {
			f.daylight = -p.offset()
		}
		p.literal(',')
		f.begin = p.yearly()
		p.literal(',')
		f.end = p.yearly()
	}
	if !p.ok || p.rest != "" || !validOffset(f.standard) || !validOffset(f.daylight) {
		return footer{}, fmt.Errorf("the rule %.*q cannot be read as a POSIX TZ string with its changes", maxFooterLength, text)
	}
	return f, nil
}

// footerText is the rest of the text to parse. The first fault sets ok to false, and it
// stays false.
type footerText struct {
	rest string
	ok   bool
}

// name skips an abbreviation: three letters or more, or <…>.
func (p *footerText) name() {
	end := 0
	if strings.HasPrefix(p.rest, "<") {
		end = strings.IndexByte(p.rest, '>') + 1
		p.ok = p.ok && end >= 5
	} else {
		for end < len(p.rest) && (p.rest[end]|0x20 >= 'a' && p.rest[end]|0x20 <= 'z') {
			end++
		}
		p.ok = p.ok && end >= 3
	}
	p.rest = p.rest[end:]
}

func (p *footerText) literal(c byte) {
	if p.ok = p.ok && p.rest != "" && p.rest[0] == c; p.ok {
		p.rest = p.rest[1:]
	}
}

func (p *footerText) number(low, high int) int {
	end := 0
	for end < len(p.rest) && end < 4 && p.rest[end] >= '0' && p.rest[end] <= '9' {
		end++
	}
	n, ok := digits(p.rest[:end])
	p.rest = p.rest[end:]
	p.ok = p.ok && ok && n >= low && n <= high
	return n
}

// clock parses [+-]hours[:minutes[:seconds]] as seconds.
func (p *footerText) clock(hours int) int {
	sign := 1
	if p.rest != "" && (p.rest[0] == '-' || p.rest[0] == '+') {
		if p.rest[0] == '-' {
			sign = -1
		}
		p.rest = p.rest[1:]
	}
	seconds := p.number(0, hours) * 3600
	for unit := 60; unit > 0 && p.ok && strings.HasPrefix(p.rest, ":"); unit /= 60 {
		p.literal(':')
		seconds += p.number(0, 59) * unit
	}
	return sign * seconds
}

func (p *footerText) offset() int32 { return int32(p.clock(24)) }

func (p *footerText) yearly() yearly {
	r := yearly{form: 'n', seconds: 2 * 3600}
	switch {
	case strings.HasPrefix(p.rest, "J"):
		p.literal('J')
		r.form, r.day = 'J', p.number(1, 365)
	case strings.HasPrefix(p.rest, "M"):
		p.literal('M')
		r.form, r.month = 'M', p.number(1, 12)
		p.literal('.')
		r.week = p.number(1, 5)
		p.literal('.')
		r.day = p.number(0, 6)
	default:
		r.day = p.number(0, 365)
	}
	if p.ok && strings.HasPrefix(p.rest, "/") {
		p.literal('/')
		r.seconds = p.clock(167)
	}
	return r
}
