package domain

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// # What an instant, a date and a text may be
//
// Commands name instants from 1900 on and before 9000, with their buffers, and dates
// before 9000. JSON cannot write the year 10000, and an org that holds it could never
// be written to a snapshot again. Two more things see to that: an event with an
// instant that cannot be written is refused, and a fold keeps what it makes of
// instants within the years that can be written. Neither holds events to the bounds
// of commands: what was stored before there were any stays valid, and can be taken back.

// FirstInstant and EndOfInstants are between which instants lie that a command names:
// the first is included, the second is not.
var (
	FirstInstant  = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	EndOfInstants = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// lastYear is the last year of dates that a command names.
const lastYear = 8999

// lastWritable is the last instant that JSON can write in every zone.
var lastWritable = time.Date(9999, 12, 30, 23, 59, 59, 0, time.UTC)

// CheckInstant says what is wrong with an instant from outside; the zero time passes,
// a rule asks for it.
func CheckInstant(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	if t.Before(FirstInstant) || !t.Before(EndOfInstants) {
		return fmt.Errorf("it is not in the years 1900 to %d", lastYear)
	}
	if _, offset := t.Zone(); offset <= -24*3600 || offset >= 24*3600 {
		return errors.New("its offset from UTC is a day or more; write the instant with Z")
	}
	return nil
}

func checkDate(d schedule.Date) error {
	if year, _, _ := d.Civil(); !d.IsZero() && year > lastYear {
		return fmt.Errorf("it is not before the year 9000, as %d-12-31 is; leave it out for no end", lastYear)
	}
	return nil
}

// checkEventTimes refuses an event with a time that a snapshot could not hold.
func checkEventTimes(e Event) *Refusal {
	if path, err := timeError(reflect.ValueOf(e), ""); err != nil {
		return invalid("invalid_field", "%s: %v", strings.TrimPrefix(path, "."), err)
	}
	return nil
}

func timeError(v reflect.Value, path string) (string, error) {
	if !holdsTime(v.Type()) {
		return path, nil
	}
	switch t := v.Interface().(type) {
	case time.Time:
		if _, err := t.MarshalText(); err != nil || t.After(lastWritable) {
			return path, errors.New("it cannot be written; choose an earlier one")
		}
		return path, nil
	case schedule.Date:
		_, err := t.MarshalText()
		return path, err
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return timeError(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			if p, err := timeError(v.Index(i), path); err != nil {
				return fmt.Sprintf("%s[%d]", p, i), err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if p, err := timeError(v.Field(i), path+"."+name); err != nil {
				return p, err
			}
		}
	}
	return path, nil
}

// timed remembers which types can hold an instant or a date: reflect.Type -> bool.
var timed sync.Map

func holdsTime(t reflect.Type) bool {
	if known, ok := timed.Load(t); ok {
		return known.(bool)
	}
	holds := t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[schedule.Date]()
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		holds = holdsTime(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			holds = holds || t.Field(i).IsExported() && holdsTime(t.Field(i).Type)
		}
	}
	timed.Store(t, holds)
	return holds
}

// shifted is a time some minutes later, within the years that can be written; no time
// stays none.
func shifted(t time.Time, minutes int) time.Time {
	if t.IsZero() {
		return t
	}
	t = t.Add(time.Duration(minutes) * time.Minute)
	if t.After(lastWritable) {
		return lastWritable
	}
	return t
}

// later is an instant some minutes later or earlier, saturated at the first and the
// last that there are. No instant stays none.
func later(at unlock.Instant, minutes int) unlock.Instant {
	by := unlock.Instant(minutes) * unlock.Instant(time.Minute)
	switch {
	case at == 0:
		return 0
	case by > 0 && at > math.MaxInt64-by:
		return math.MaxInt64
	case by < 0 && at < math.MinInt64-by:
		return math.MinInt64
	}
	return at + by
}
