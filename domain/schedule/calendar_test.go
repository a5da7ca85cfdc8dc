package schedule

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

func TestCalendarValidate(t *testing.T) {
	christmas := SpecialDay{Date: date(t, "2026-12-25"), Until: date(t, "2026-12-26"), Kind: Holiday, Name: "Christmas"}
	require.NoError(t, Calendar{christmas, {Date: date(t, "2026-12-24"), Kind: "half_day"}, {Date: date(t, "2026-12-27"), Kind: Holiday}}.Validate())
	for name, other := range map[string]SpecialDay{
		"the first day": {Date: date(t, "2026-12-25"), Kind: Holiday},
		"the last day":  {Date: date(t, "2026-12-26"), Kind: "half_day"},
		"around it":     {Date: date(t, "2026-12-20"), Until: date(t, "2026-12-31"), Kind: Holiday},
	} {
		require.ErrorIs(t, Calendar{christmas, other}.Validate(), ErrSameDate, name)
		require.ErrorIs(t, Calendar{other, christmas}.Validate(), ErrSameDate, name)
	}
	for says, s := range map[string]SpecialDay{
		"special day 1: it has no date":                         {Kind: Holiday},
		"it lasts until 2026-12-24, before its date 2026-12-25": {Date: christmas.Date, Until: date(t, "2026-12-24"), Kind: Holiday},
		`"" is no kind of day`:                                  {Date: christmas.Date},
		`"sun" is no kind of day`:                               {Date: christmas.Date, Kind: "sun"},
		"its name has 201 bytes, at most 200":                   {Date: christmas.Date, Kind: Holiday, Name: strings.Repeat("x", 201)},
	} {
		require.ErrorContains(t, Calendar{s}.Validate(), says)
	}
	require.ErrorContains(t, make(Calendar, MaxSpecialDays+1).Validate(), "at most 2000")
}

func TestDaysAgreeWithList(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalendar(t)
		days := c.Compile()
		kinds := newOracle(Schedule{}, c).kinds
		for d := date(t, "2025-12-30"); d.Before(date(t, "2028-03-01")); d = d.AddDays(1) {
			require.Equal(t, kinds[d.String()], string(days.Kind(d)), "%s", d)
		}
	})
	var none *Days
	require.Empty(t, none.Kind(date(t, "2026-12-25")))
	require.Empty(t, Calendar(nil).Compile().Kind(Date{}))
}

func dateTime(t require.TestingT, text string) DateTime {
	at, err := ParseDateTime(text)
	require.NoError(t, err)
	return at
}

func TestBlackoutValidate(t *testing.T) {
	from, to := dateTime(t, "2026-12-24T18:00"), dateTime(t, "2026-12-27T06:00")
	require.NoError(t, Blackouts{{"works", from, to}, {"works", from, to}}.Validate())
	for says, b := range map[string]Blackout{
		"has a beginning and an end":                           {From: from},
		"ends at 2026-12-24T18:00, not after 2026-12-27T06:00": {From: to, To: from},
		"not after 2026-12-24T18:00":                           {From: from, To: from},
		"its name has 201 bytes":                               {strings.Repeat("x", 201), from, to},
	} {
		require.ErrorContains(t, b.Validate(), says)
		require.ErrorContains(t, Blackouts{b}.Validate(), "blackout 1: ")
	}
	require.ErrorContains(t, make(Blackouts, MaxBlackouts+1).Validate(), "at most 1000")
}

func TestBlackoutsOverChangesOfTheClock(t *testing.T) {
	berlin := placeNamed(t, "Europe/Berlin")
	at := func(text string) int64 {
		instant, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return instant.UnixNano()
	}
	for _, c := range []struct{ from, to, first, over string }{
		{"2026-12-24T18:00", "2026-12-27T06:00", "2026-12-24T17:00:00Z", "2026-12-27T05:00:00Z"},
		{"2026-03-29T02:30", "2026-03-29T03:30", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"},
		{"2026-10-25T02:30", "2026-10-25T02:45", "2026-10-25T00:30:00Z", "2026-10-25T00:45:00Z"},
		{"2026-10-25T02:30", "2026-10-25T03:00", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"},
	} {
		b := Blackout{From: dateTime(t, c.from), To: dateTime(t, c.to)}
		from, to := b.Span(berlin)
		require.Equal(t, []int64{at(c.first), at(c.over)}, []int64{from, to}, c.from)
		s := Blackouts{b}.Compile(berlin)
		require.Equal(t, []bool{false, true, true, false}, []bool{s.Contains(from - 1), s.Contains(from), s.Contains(to - 1), s.Contains(to)})
	}
	skipped := Blackouts{{From: dateTime(t, "2026-03-29T02:10"), To: dateTime(t, "2026-03-29T02:50")}}.Compile(berlin)
	require.False(t, skipped.Contains(at("2026-03-29T01:00:00Z")), "nothing is left of a skipped hour")
}

func TestSpansAgreeWithList(t *testing.T) {
	kathmandu := placeNamed(t, "Asia/Kathmandu")
	first := date(t, "2026-11-21")
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		var list Blackouts
		for range rapid.IntRange(0, 6).Draw(t, "blackouts") {
			draw := func(label string) DateTime {
				return DateTime{first.AddDays(rapid.IntRange(0, 2).Draw(t, label)), TimeOfDay(rapid.IntRange(0, 47).Draw(t, label) * 30)}
			}
			if b := (Blackout{From: draw("from"), To: draw("to")}); b.Validate() == nil {
				list = append(list, b)
			}
		}
		s := list.Compile(kathmandu)
		for at := kathmandu.Start(first) - minute; at <= kathmandu.Start(first.AddDays(3)); at += 15 * minute {
			local, within := kathmandu.Local(at), false
			for _, b := range list {
				now := DateTime{local.Date, local.Time}
				within = within || b.From.Compare(now) <= 0 && now.Compare(b.To) < 0
			}
			require.Equal(t, within, s.Contains(at))
		}
	})
	var none *Spans
	require.False(t, none.Contains(0))
}
