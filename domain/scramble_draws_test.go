package domain

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"gatehouse/domain/schedule"
)

// zoneRules are the zones of the tests: with summer time, with one of half an
// hour, with one that skips midnight, and without.
var zoneRules = func() (rules []schedule.ZoneRules) {
	for _, zone := range []string{"Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "UTC"} {
		rules = append(rules, must(schedule.LoadRules(zone)))
	}
	return rules
}()

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func oneZone(t *rapid.T) schedule.ZoneRules {
	return zoneRules[rapid.IntRange(0, len(zoneRules)-1).Draw(t, "zone")]
}

// draw gives one of the values.
func draw[T any](t *rapid.T, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

// rarely is true one time in six.
func rarely(t *rapid.T, label string) bool {
	return draw(t, label, false, false, false, false, false, true)
}

func often(t *rapid.T, label string) bool { return !rarely(t, label) }

// numbered gives an id of a kind of thing.
func numbered(prefix string, i int) ID { return ID(fmt.Sprintf("%s%d", prefix, i)) }

func drawID(t *rapid.T, prefix string, n int) ID {
	return numbered(prefix, draw(t, prefix, upTo(n)...))
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

func drawIDs(t *rapid.T, prefix string, n int) []ID {
	ids := []ID{}
	for i := range n {
		if rapid.Bool().Draw(t, prefix) {
			ids = append(ids, numbered(prefix, i+1))
		}
	}
	return ids
}

func number(id ID) int { return int(id[len(id)-1] - '0') }

// scrambleStart is the first of the days around which all windows lie: the clocks
// of Berlin, Santiago and Lord Howe change within them.
var scrambleStart = must(schedule.ParseDate("2026-03-27"))

const scrambleDays = 10

func drawDays(t *rapid.T) (from, until schedule.Date) {
	from = scrambleStart.AddDays(rapid.IntRange(0, scrambleDays/2).Draw(t, "from"))
	until = from.AddDays(rapid.IntRange(0, scrambleDays).Draw(t, "days"))
	return from, until
}

// drawInstant gives any instant in the days of scrambled states. It is often close to
// the beginning of a day or of an hour in some zone.
func drawInstant(t *rapid.T) time.Time {
	day := scrambleStart.AddDays(rapid.IntRange(-1, scrambleDays+scrambleDays/2).Draw(t, "day"))
	hour := draw(t, "hour", 12, 0, 0, 2, 3, 8, 17, 22)
	at := oneZone(t).Compile().Instant(schedule.DateTime{Date: day, Time: schedule.TimeOfDay(hour * 60)})
	return time.Unix(0, at).Add(draw(t, "around", 0, 7*time.Minute, -1, 1, -time.Second, 31*time.Minute)).UTC()
}

func drawSchedule(t *rapid.T) schedule.Schedule {
	if rarely(t, "always") {
		return always
	}
	days := []schedule.Day{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	s := schedule.Schedule{Holidays: draw(t, "holidays", schedule.HolidaysClosed, schedule.HolidaysIgnored)}
	from := schedule.TimeOfDay(draw(t, "hour", 0, 2, 8, 17, 22) * 60)
	to := schedule.TimeOfDay(draw(t, "to", 24, 20, 3, 12) * 60)
	s.Windows = []schedule.Window{{Days: days[:rapid.IntRange(1, 7).Draw(t, "days")], From: from, To: to}}
	if s.Holidays == schedule.HolidaysClosed && rarely(t, "on holidays") {
		s.Windows = append(s.Windows, schedule.Window{Days: []schedule.Day{schedule.Holiday.Day()}, From: 600, To: 900})
	}
	if rarely(t, "valid") {
		s.ValidFrom, s.ValidUntil = drawDays(t)
	}
	return s
}

func drawScheduleOrNone(t *rapid.T) ID { return draw[ID](t, "schedule", "", AlwaysID, "t1", "t2") }

func drawCapabilities(t *rapid.T) []DoorCapability {
	return draw(t, "capabilities", []DoorCapability{CapabilityRemoteUnlock}, nil, []DoorCapability{CapabilityRemoteUnlock, CapabilityUnlockFor})
}
