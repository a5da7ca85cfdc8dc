package schedule

import (
	"archive/zip"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// long asks for the full counts: every minute of two years.
var long = os.Getenv("GATEHOUSE_LONG") != ""

// reading is a local time as the oracle sees it, computed by the time package alone.
type reading struct {
	at      int64
	date    string
	minute  int16
	weekday time.Weekday
}

func read(at int64, location *time.Location) reading {
	t := time.Unix(0, at).In(location)
	return reading{
		at:      at,
		date:    t.Format(time.DateOnly),
		minute:  int16(t.Hour()*60 + t.Minute()),
		weekday: t.Weekday(),
	}
}

var oracleDays = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// oracle decides by the definition of a window, without sets of minutes.
type oracle struct {
	schedule    Schedule
	from, until string
	kinds       map[string]string
}

func newOracle(s Schedule, c Calendar) oracle {
	o := oracle{schedule: s, from: s.ValidFrom.String(), until: s.ValidUntil.String(), kinds: map[string]string{}}
	for _, special := range c {
		year, month, day := special.Date.Civil()
		for t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC); ; t = t.AddDate(0, 0, 1) {
			text := t.Format(time.DateOnly)
			o.kinds[text] = string(special.Kind)
			if text >= special.Until.String() {
				break
			}
		}
	}
	return o
}

func (o oracle) holds(r reading) bool { return o.holdsOn(r, o.kinds[r.date]) }

func (o oracle) holdsOn(r reading, kind string) bool {
	s := o.schedule
	if r.date < o.from || o.until != "" && r.date > o.until {
		return false
	}
	if s.Always {
		return true
	}
	weekday, yesterday := oracleDays[r.weekday], oracleDays[(r.weekday+6)%7]
	for _, w := range s.Windows {
		from, to := int16(w.From), int16(w.To)
		today := r.minute >= from && (to <= from || r.minute < to)
		if kind != "" && s.Holidays != HolidaysIgnored {
			named := slices.Contains(w.Days, Day(kind)) || slices.Contains(w.Days, Day(kind+"/"+weekday))
			if today && named {
				return true
			}
			continue
		}
		morning := to <= from && r.minute < to
		if today && slices.Contains(w.Days, Day(weekday)) || morning && slices.Contains(w.Days, Day(yesterday)) {
			return true
		}
	}
	return false
}

// place is a zone with the instants at which schedules are compared there.
type place struct {
	zone     *Zone
	location *time.Location
	readings []reading
}

// places are zones of both hemispheres. Their clocks change by an hour, by half an
// hour, never, or four times a year. Their instants are every minute of the weeks
// around each change and some others in 2026 and 2027, or every minute of both years.
var places = sync.OnceValue(func() []place {
	var all []place
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"} {
		all = append(all, placeAt(name))
	}
	return all
})

var (
	begin = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	end   = time.Date(2028, time.January, 1, 0, 0, 0, 0, time.UTC).UnixNano()
)

const minute = int64(time.Minute)

func placeAt(name string) place {
	rules, err := LoadRules(name)
	if err != nil {
		panic(err)
	}
	p := place{zone: rules.Compile(), location: location(name)}
	changes := []int64{begin + 3*24*60*minute}
	for at := time.Unix(0, begin).In(p.location); ; {
		_, next := at.ZoneBounds()
		if next.IsZero() || next.UnixNano() >= end {
			break
		}
		changes, at = append(changes, next.UnixNano()), next
	}
	for at := begin; at < end; at += minute {
		near := slices.ContainsFunc(changes, func(c int64) bool {
			return max(at-c, c-at) <= 84*60*minute
		})
		if long || near || (at-begin)/minute%397 == 0 {
			r := read(at, p.location)
			if n := len(p.readings); n > 0 && p.readings[n-1].date == r.date {
				r.date = p.readings[n-1].date // millions of readings share their dates' texts
			}
			p.readings = append(p.readings, r)
		}
	}
	return p
}

// location loads a zone with the time package from the embedded archive.
func location(name string) *time.Location {
	archive, err := zip.NewReader(strings.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		panic(err)
	}
	file, err := archive.Open(name)
	if err != nil {
		panic(err)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		panic(err)
	}
	l, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		panic(err)
	}
	return l
}

func date(t require.TestingT, text string) Date {
	d, err := ParseDate(text)
	require.NoError(t, err)
	return d
}

// drawSchedule draws a schedule that Validate accepts. It chooses among few times and
// days, so that windows of two schedules overlap in all ways.
func drawSchedule(t *rapid.T, label string) Schedule {
	var s Schedule
	if rapid.IntRange(0, 9).Draw(t, label+" always") == 0 {
		s.Always = true
	} else {
		s.Holidays = rapid.SampledFrom([]HolidayRule{"", HolidaysClosed, HolidaysIgnored}).Draw(t, label+" holidays")
		for range rapid.IntRange(0, 6).Draw(t, label+" windows") {
			w := drawWindow(t, label)
			s.Windows = append(s.Windows, w)
			if s.Validate() != nil {
				s.Windows = s.Windows[:len(s.Windows)-1]
			}
		}
	}
	if rapid.IntRange(0, 3).Draw(t, label+" from") == 0 {
		s.ValidFrom = drawDate(t, label+" valid from")
	}
	if rapid.IntRange(0, 3).Draw(t, label+" until") == 0 {
		s.ValidUntil = drawDate(t, label+" valid until")
	}
	if s.Validate() != nil {
		s.ValidFrom, s.ValidUntil = s.ValidUntil, s.ValidFrom
	}
	return s
}

func drawWindow(t *rapid.T, label string) Window {
	times := []TimeOfDay{0, 0, 90, 120, 121, 150, 180, 360, 480, 481, 720, 1020, 1320, 1380, 1439, 1440}
	days := []Day{"mon", "tue", "wed", "thu", "fri", "sat", "sun", "mon", "sat", "sun", "holiday", "special", "holiday/sun", "special/mon"}
	return Window{
		Days: rapid.SliceOfNDistinct(rapid.SampledFrom(days), 1, 5, rapid.ID).Draw(t, label+" days"),
		From: rapid.SampledFrom(times[:len(times)-1]).Draw(t, label+" from"),
		To:   rapid.SampledFrom(times).Draw(t, label+" to"),
	}
}

func drawDate(t *rapid.T, label string) Date {
	first := civilDay(2026, time.January, 1)
	return first.AddDays(rapid.OneOf(rapid.IntRange(0, 729), rapid.IntRange(80, 95)).Draw(t, label))
}

// drawCalendar draws special days of kinds that schedules name, and of one kind that
// none names.
func drawCalendar(t *rapid.T) Calendar {
	var c Calendar
	for range rapid.IntRange(0, 12).Draw(t, "special days") {
		s := SpecialDay{
			Date: drawDate(t, "special day"),
			Kind: rapid.SampledFrom([]Kind{"holiday", "special", "inventory"}).Draw(t, "kind"),
		}
		if n := rapid.IntRange(0, 40).Draw(t, "days more"); n%2 == 1 {
			s.Until = s.Date.AddDays(n)
		}
		if c = append(c, s); c.Validate() != nil {
			c = c[:len(c)-1]
		}
	}
	return c
}
