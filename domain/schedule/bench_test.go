package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clockwork is what a decision asks this package for.
type clockwork struct {
	zone     *Zone
	days     *Days
	schedule *Compiled
}

func newClockwork(t require.TestingT) clockwork {
	var holidays Calendar
	for year := 2026; year < 2029; year++ {
		for month := time.January; month <= time.December; month++ {
			holidays = append(holidays, SpecialDay{Date: civilDay(year, month, 6), Kind: Holiday})
		}
	}
	require.NoError(t, holidays.Validate())
	s := windows(window(t, "07:00", "18:00", weekdays...), window(t, "22:00", "02:00", "fri"), window(t, "10:00", "12:00", "holiday"))
	require.NoError(t, s.Validate())
	return clockwork{placeNamed(t, "Europe/Berlin"), holidays.Compile(), Compile(s)}
}

func (c clockwork) holds(at int64) bool {
	local := c.zone.Local(at)
	return c.schedule.Contains(local, c.days.Kind(local.Date))
}

func TestDecisionsDoNotAllocate(t *testing.T) {
	c := newClockwork(t)
	spans := Blackouts{{From: dateTime(t, "2026-12-24T18:00"), To: dateTime(t, "2026-12-27T06:00")}}.Compile(c.zone)
	at := begin
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		at += 3_333 * int64(time.Second)
		c.holds(at)
		spans.Contains(at)
	}))
}

func BenchmarkContains(b *testing.B) {
	c := newClockwork(b)
	b.ReportAllocs()
	at, held := begin, 0
	for b.Loop() {
		if at += 3_333 * int64(time.Second); at > end {
			at = begin
		}
		if c.holds(at) {
			held++
		}
	}
	require.NotZero(b, held)
}

func BenchmarkLocal(b *testing.B) {
	c := newClockwork(b)
	at, evenings := begin, 0
	for b.Loop() {
		if at += 3_333 * int64(time.Second); at > end {
			at = begin
		}
		if c.zone.Local(at).Time >= 1080 {
			evenings++
		}
	}
	require.NotZero(b, evenings)
}

func BenchmarkNextChange(b *testing.B) {
	c := newClockwork(b)
	at := begin
	for b.Loop() {
		next, found := c.schedule.NextChange(c.zone, c.days, at)
		if at = next; !found || at > end {
			at = begin
		}
	}
}
