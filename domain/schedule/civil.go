package schedule

import (
	"fmt"
	"iter"
	"time"
)

// Day numbers count from 0001-01-01, which is day 1. So the zero Date is no date, and
// every instant that an int64 of nanoseconds can hold has a positive day number.
const (
	unixEpochDay = 719163  // 1970-01-01
	lastDay      = 3652059 // 9999-12-31
	secondsOfDay = 86400
	minutesOfDay = 1440
)

// A Date is a civil date without a zone. Its text is "2026-11-21"; the years 1970 to
// 9999 can be parsed and written. The zero Date is no date: it sorts before every
// other, and its text is empty. Dates are comparable with ==.
type Date struct{ day int32 }

// DateOf returns the date of a year (1970 to 9999), month and day of the month.
func DateOf(year int, month time.Month, day int) (Date, error) {
	if year < 1970 || year > 9999 || month < time.January || month > time.December || day < 1 || day > daysIn(year, month) {
		return Date{}, fmt.Errorf("%04d-%02d-%02d is no date from 1970 to 9999", year, int(month), day)
	}
	return civilDay(year, month, day), nil
}

// ParseDate parses a date such as "2026-11-21".
func ParseDate(text string) (Date, error) {
	if len(text) == 10 && text[4] == '-' && text[7] == '-' {
		year, okYear := digits(text[:4])
		month, okMonth := digits(text[5:7])
		day, okDay := digits(text[8:])
		if okYear && okMonth && okDay {
			return DateOf(year, time.Month(month), day)
		}
	}
	return Date{}, fmt.Errorf("%q is no date: it is written as in 2026-11-21", text)
}

// IsZero reports whether d is no date.
func (d Date) IsZero() bool { return d.day == 0 }

// Compare returns -1, 0 or +1 if d is before, the same as or after other.
func (d Date) Compare(other Date) int {
	switch {
	case d.day < other.day:
		return -1
	case d.day > other.day:
		return +1
	}
	return 0
}

// Before reports whether d is an earlier date than other.
func (d Date) Before(other Date) bool { return d.day < other.day }

// AddDays returns the date n days later, or earlier if n is negative. The result is
// limited to 0001-01-01 and 9999-12-31. The zero Date stays the zero Date.
func (d Date) AddDays(n int) Date {
	if d.IsZero() {
		return d
	}
	n = max(-lastDay, min(n, lastDay))
	return Date{int32(max(1, min(int(d.day)+n, lastDay)))}
}

// Dates yields the dates from the first to the last, both included. It counts day
// numbers, because AddDays cannot give a date after the last one.
func Dates(first, last Date) iter.Seq[Date] {
	return func(yield func(Date) bool) {
		for day := int64(first.day); day <= int64(last.day); day++ {
			if !yield(Date{int32(day)}) {
				return
			}
		}
	}
}

// Weekday returns the day of the week. For the zero Date it is Sunday.
func (d Date) Weekday() Weekday { return Weekday((d.day + 6) % 7) }

// Civil returns the year, the month and the day of the month. For the zero Date these
// are 31 December of the year 0.
func (d Date) Civil() (year int, month time.Month, day int) {
	// Years are counted from 1 March, so that the leap day is a year's last:
	// https://howardhinnant.github.io/date_algorithms.html#civil_from_days
	n := int(d.day) + 305
	era := n / 146097
	n -= era * 146097
	year = (n - n/1460 + n/36524 - n/146096) / 365
	n -= year*365 + year/4 - year/100
	year += era * 400
	shifted := (5*n + 2) / 153
	day = n - (153*shifted+2)/5 + 1
	month = time.Month((shifted+2)%12 + 1)
	if month <= time.February {
		year++
	}
	return year, month, day
}

// String returns the text. It also writes dates before 1970, which come from instants
// alone.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	year, month, day := d.Civil()
	text := [10]byte{4: '-', 7: '-'}
	pair(text[0:2], year/100)
	pair(text[2:4], year%100)
	pair(text[5:7], int(month))
	pair(text[8:10], day)
	return string(text[:])
}

// MarshalText returns the text; it refuses a date that ParseDate would refuse.
func (d Date) MarshalText() ([]byte, error) {
	if !d.IsZero() && d.day < unixEpochDay {
		return nil, fmt.Errorf("the date %s is before 1970", d)
	}
	return []byte(d.String()), nil
}

// UnmarshalText parses the text of MarshalText. The empty text gives the zero Date.
func (d *Date) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Date{}
		return nil
	}
	date, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = date
	return nil
}

func civilDay(year int, month time.Month, day int) Date {
	shifted := (int(month) + 9) % 12
	if month <= time.February {
		year--
	}
	n := year*365 + year/4 - year/100 + year/400 + (153*shifted+2)/5 + day - 1
	return Date{int32(n - 305)}
}

func daysIn(year int, month time.Month) int {
	switch month {
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case time.April, time.June, time.September, time.November:
		return 30
	}
	return 31
}

func digits(text string) (int, bool) {
	n := 0
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int(text[i]-'0')
	}
	return n, len(text) > 0
}

// pair writes n, 0 to 99, as two digits.
func pair(to []byte, n int) { to[0], to[1] = byte('0'+n/10), byte('0'+n%10) }

// A TimeOfDay is a local time in minutes since midnight, 0 to 1440. Its text is
// "08:30". "24:00" is the end of the day and can only be the end of a window.
type TimeOfDay int16

// EndOfDay is "24:00".
const EndOfDay TimeOfDay = minutesOfDay

// ParseTimeOfDay parses "00:00" to "24:00".
func ParseTimeOfDay(text string) (TimeOfDay, error) {
	if len(text) == 5 && text[2] == ':' {
		hour, okHour := digits(text[:2])
		minute, okMinute := digits(text[3:])
		if t := hour*60 + minute; okHour && okMinute && minute < 60 && t <= minutesOfDay {
			return TimeOfDay(t), nil
		}
	}
	return 0, fmt.Errorf("%q is no time of day: it is written as in 08:30, up to 24:00", text)
}

// String returns the text, such as "08:30".
func (t TimeOfDay) String() string {
	text := [5]byte{2: ':'}
	pair(text[0:2], int(t/60))
	pair(text[3:5], int(t%60))
	return string(text[:])
}

// MarshalText returns the text; it refuses a time outside 00:00 to 24:00.
func (t TimeOfDay) MarshalText() ([]byte, error) {
	if t < 0 || t > EndOfDay {
		return nil, fmt.Errorf("%d minutes are no time of day", int(t))
	}
	return []byte(t.String()), nil
}

// UnmarshalText parses the text of MarshalText.
func (t *TimeOfDay) UnmarshalText(text []byte) error {
	parsed, err := ParseTimeOfDay(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// A DateTime is a local date and time of a site. Its text is "2026-12-24T18:00". The
// time is before 24:00: midnight is 00:00 of the next date.
type DateTime struct {
	Date Date
	Time TimeOfDay
}

// ParseDateTime parses a text such as "2026-12-24T18:00".
func ParseDateTime(text string) (DateTime, error) {
	if len(text) != 16 || text[10] != 'T' {
		return DateTime{}, fmt.Errorf("%q is no date and time: it is written as in 2026-12-24T18:00", text)
	}
	date, err := ParseDate(text[:10])
	if err != nil {
		return DateTime{}, err
	}
	at, err := ParseTimeOfDay(text[11:])
	if err != nil {
		return DateTime{}, err
	}
	if at == EndOfDay {
		return DateTime{}, fmt.Errorf("%q: 24:00 is 00:00 of the next date", text)
	}
	return DateTime{date, at}, nil
}

// Compare returns -1, 0 or +1 if t reads earlier than, the same as or later than other.
func (t DateTime) Compare(other DateTime) int {
	if c := t.Date.Compare(other.Date); c != 0 {
		return c
	}
	return int(max(-1, min(t.Time-other.Time, 1)))
}

// IsZero reports whether t has no date.
func (t DateTime) IsZero() bool { return t.Date.IsZero() }

// String returns the text. Without a date it is empty.
func (t DateTime) String() string {
	if t.IsZero() {
		return ""
	}
	return t.Date.String() + "T" + t.Time.String()
}

// MarshalText returns the text; it refuses a DateTime that ParseDateTime would refuse.
func (t DateTime) MarshalText() ([]byte, error) {
	if t.IsZero() {
		return nil, nil
	}
	if t.Time < 0 || t.Time >= EndOfDay {
		return nil, fmt.Errorf("%d minutes are no time of day", int(t.Time))
	}
	if _, err := t.Date.MarshalText(); err != nil {
		return nil, err
	}
	return []byte(t.String()), nil
}

// UnmarshalText parses the text of MarshalText. The empty text gives the zero DateTime.
func (t *DateTime) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = DateTime{}
		return nil
	}
	parsed, err := ParseDateTime(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}
