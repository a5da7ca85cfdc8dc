package schedule

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

// week days of the tests
var (
	weekdays = []Day{"mon", "tue", "wed", "thu", "fri"}
	weekend  = []Day{"sat", "sun"}
)

func window(t require.TestingT, from, to string, days ...Day) Window {
	f, err := ParseTimeOfDay(from)
	require.NoError(t, err)
	u, err := ParseTimeOfDay(to)
	require.NoError(t, err)
	return Window{Days: days, From: f, To: u}
}

func windows(w ...Window) Schedule { return Schedule{Windows: w} }

func TestValidate(t *testing.T) {
	w := func(from, to string, days ...Day) Window { return window(t, from, to, days...) }
	many := func(n int) (s Schedule) {
		for i := range n {
			s.Windows = append(s.Windows, Window{Days: []Day{"mon"}, From: TimeOfDay(10 * i), To: TimeOfDay(10*i + 5)})
		}
		return s
	}
	for name, s := range map[string]Schedule{
		"never":                       {},
		"always":                      {Always: true},
		"always ignoring holidays":    {Always: true, Holidays: HolidaysIgnored},
		"one day":                     {Always: true, ValidFrom: date(t, "2026-11-21"), ValidUntil: date(t, "2026-11-21")},
		"touching":                    windows(w("08:00", "12:00", weekdays...), w("12:00", "18:00", weekdays...)),
		"over midnight, touching":     windows(w("22:00", "06:00", "mon"), w("06:00", "12:00", "tue"), w("12:00", "22:00", "mon")),
		"24 hours each day":           windows(w("08:00", "08:00", "mon", "tue", "wed", "thu", "fri", "sat", "sun")),
		"whole days of a kind":        windows(w("00:00", "24:00", "holiday"), w("00:00", "00:00", "special")),
		"evening of a kind":           windows(w("18:00", "00:00", "holiday")),
		"a kind on different days":    windows(w("08:00", "12:00", "holiday/sat"), w("08:00", "12:00", "holiday/sun")),
		"a kind beside its weekday":   windows(w("08:00", "12:00", "sat"), w("08:00", "12:00", "holiday")),
		"as many windows as possible": many(MaxWindows),
	} {
		require.NoError(t, s.Validate(), name)
	}
	for name, s := range map[string]Schedule{
		"twice the same":         windows(w("08:00", "12:00", "mon"), w("08:00", "12:00", "mon")),
		"one minute":             windows(w("08:00", "12:01", "mon"), w("12:00", "18:00", "mon")),
		"night into morning":     windows(w("22:00", "06:01", "mon"), w("06:00", "12:00", "tue")),
		"morning before night":   windows(w("06:00", "12:00", "tue"), w("22:00", "06:01", "mon")),
		"night into next Monday": windows(w("22:00", "06:01", "sun"), w("06:00", "12:00", "mon")),
		"24 hours":               windows(w("08:00", "08:00", "mon"), w("07:59", "08:00", "tue")),
		"kind and its Saturday":  windows(w("08:00", "12:00", "holiday"), w("11:00", "13:00", "holiday/sat")),
		"midnight":               windows(w("22:00", "00:00", "mon"), w("23:59", "24:00", "mon")),
	} {
		require.ErrorIs(t, s.Validate(), ErrOverlap, name)
	}
	for name, c := range map[string]struct {
		s    Schedule
		says string
	}{
		"always with windows":    {Schedule{Always: true, Windows: []Window{w("08:00", "12:00", "mon")}}, "always holds"},
		"always, closed":         {Schedule{Always: true, Holidays: HolidaysClosed}, "cannot be closed on holidays"},
		"unknown rule":           {Schedule{Holidays: "open"}, `the holiday rule "open"`},
		"validity":               {Schedule{ValidFrom: date(t, "2026-11-22"), ValidUntil: date(t, "2026-11-21")}, "valid until 2026-11-21, before 2026-11-22"},
		"too many":               {many(MaxWindows + 1), "101 windows, at most 100"},
		"no day":                 {windows(w("08:00", "12:00")), "window 1: it names no day"},
		"too many days":          {windows(w("08:00", "12:00", make([]Day, MaxDays+1)...)), "window 1 names 65 days, at most 64"},
		"a day twice":            {windows(w("08:00", "12:00", "mon", "mon")), "names mon twice"},
		"a day spelled out":      {windows(w("08:00", "12:00", "monday")), `"monday" is no kind of day, and the days of the week are mon`},
		"a kind over midnight":   {windows(w("22:00", "06:00", "fri", "holiday")), "on holiday goes on after midnight"},
		"a kind for 24 hours":    {windows(w("08:00", "08:00", "holiday")), "make it two windows"},
		"a kind that is ignored": {Schedule{Windows: []Window{w("08:00", "12:00", "holiday")}, Holidays: HolidaysIgnored}, "ignores special days"},
		"from the end":           {windows(Window{Days: weekdays, From: EndOfDay, To: EndOfDay}), "possible are 00:00 to 23:59"},
		"before midnight":        {windows(Window{Days: weekdays, From: -1, To: EndOfDay}), "begins at -1 minutes"},
		"after the end":          {windows(Window{Days: weekdays, From: 0, To: EndOfDay + 1}), "ends at 1441 minutes"},
		"ends before midnight":   {windows(Window{Days: weekdays, From: 0, To: -1}), "ends at -1 minutes"},
	} {
		err := c.s.Validate()
		require.ErrorContains(t, err, c.says, name)
		require.NotErrorIs(t, err, ErrOverlap, name)
	}
}

// Two windows overlap when the oracle finds a minute at which both hold.
func TestOverlapAgreesWithOracle(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		s := windows(drawWindow(t, "a"), drawWindow(t, "b"))
		var each []oracle
		minutes := []int16{0}
		for _, w := range s.Windows {
			minutes = append(minutes, int16(w.From), int16(w.To))
			for _, day := range w.Days {
				each = append(each, newOracle(windows(Window{[]Day{day}, w.From, w.To}), nil))
			}
		}
		twice := false
		for d := Monday; d <= Sunday; d++ {
			for _, kind := range []string{"", "holiday", "special"} {
				for _, minute := range minutes {
					r := reading{minute: minute, weekday: time.Weekday(d+1) % 7}
					holding := 0
					for _, o := range each {
						if minute < minutesOfDay && o.holdsOn(r, kind) {
							holding++
						}
					}
					twice = twice || holding > 1
				}
			}
		}
		if err := s.Validate(); err == nil || errors.Is(err, ErrOverlap) {
			require.Equal(t, twice, err != nil, "%+v: %v", s, err)
		}
	})
}

// These texts are kept for ever in ledgers: they must stay readable.
func TestStoredForm(t *testing.T) {
	check := func(v, into any, stored string) {
		out, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, stored, string(out))
		require.NoError(t, json.Unmarshal([]byte(stored), into))
		require.Equal(t, v, into)
	}
	check(&Schedule{}, &Schedule{}, `{}`)
	check(&Schedule{Always: true}, &Schedule{}, `{"always":true}`)
	check(&Schedule{
		Windows: []Window{
			window(t, "22:00", "06:00", "mon", "fri"),
			window(t, "10:00", "24:00", "holiday", "special/sat"),
		},
		Holidays:   HolidaysClosed,
		ValidFrom:  date(t, "2026-11-21"),
		ValidUntil: date(t, "2027-03-31"),
	}, &Schedule{}, `{"windows":[{"days":["mon","fri"],"from":"22:00","to":"06:00"},`+
		`{"days":["holiday","special/sat"],"from":"10:00","to":"24:00"}],"holidays":"closed","valid_from":"2026-11-21","valid_until":"2027-03-31"}`)
	check(&Calendar{
		{Date: date(t, "2026-12-25"), Until: date(t, "2026-12-26"), Kind: Holiday, Name: "Christmas"},
		{Date: date(t, "2026-12-31"), Kind: "half_day"},
	}, &Calendar{}, `[{"date":"2026-12-25","until":"2026-12-26","kind":"holiday","name":"Christmas"},{"date":"2026-12-31","kind":"half_day"}]`)
	from, err := ParseDateTime("2026-12-24T18:00")
	require.NoError(t, err)
	check(&Blackouts{{Name: "works", From: from, To: DateTime{from.Date.AddDays(1), 0}}}, &Blackouts{},
		`[{"name":"works","from":"2026-12-24T18:00","to":"2026-12-25T00:00"}]`)
	rules, err := LoadRules("Asia/Kathmandu")
	require.NoError(t, err)
	check(&rules, &ZoneRules{}, `{"zone":"Asia/Kathmandu","tzdata":"2025c","first":19800,`+
		`"transitions":[{"at":504901800,"offset":20700}],"footer":"\u003c+0545\u003e-5:45"}`)
	for _, text := range []string{`{"windows":[{"days":["mon"],"from":"8:00","to":"12:00"}]}`, `{"windows":[{"days":["mon"],"from":480,"to":"12:00"}]}`,
		`{"valid_from":"21.11.2026"}`} {
		require.Error(t, json.Unmarshal([]byte(text), &Schedule{}), text)
	}
}

func TestStoredFormIsReadBack(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		s, c := drawSchedule(t, "s"), drawCalendar(t)
		text, err := json.Marshal(s)
		require.NoError(t, err)
		var back Schedule
		require.NoError(t, json.Unmarshal(text, &back))
		require.True(t, Equal(s, back))
		text, err = json.Marshal(c)
		require.NoError(t, err)
		var calendar Calendar
		require.NoError(t, json.Unmarshal(text, &calendar))
		require.True(t, slices.Equal(c, calendar))
	})
}

func TestSubset(t *testing.T) {
	w := func(from, to string, days ...Day) Window { return window(t, from, to, days...) }
	pool := windows(w("08:00", "20:00", append(weekdays, weekend...)...))
	with := func(s Schedule, change func(*Schedule)) Schedule {
		s.Windows = slices.Clone(s.Windows)
		change(&s)
		return s
	}
	ignoring := func(s *Schedule) { s.Holidays = HolidaysIgnored }
	november := func(s *Schedule) { s.ValidFrom, s.ValidUntil = date(t, "2026-11-01"), date(t, "2026-11-30") }
	for name, c := range map[string]struct {
		a, b   Schedule
		subset bool
	}{
		"the same":                                   {pool, pool, true},
		"shorter":                                    {windows(w("09:00", "20:00", weekend...)), pool, true},
		"a minute longer":                            {windows(w("08:00", "20:01", "sat")), pool, false},
		"over midnight":                              {windows(w("19:00", "08:00", "sat")), pool, false},
		"never of never":                             {Schedule{}, Schedule{}, true},
		"never, whatever the holidays":               {Schedule{Holidays: HolidaysIgnored}, pool, true},
		"always":                                     {pool, Schedule{Always: true}, true},
		"always of all minutes but holidays":         {Schedule{Always: true}, windows(w("00:00", "24:00", append(weekdays, weekend...)...)), false},
		"always of all minutes":                      {Schedule{Always: true}, with(windows(w("09:00", "09:00", append(weekdays, weekend...)...)), ignoring), true},
		"weekdays that ignore holidays":              {with(windows(w("09:00", "12:00", "mon")), ignoring), pool, false},
		"of what ignores holidays":                   {pool, with(pool, ignoring), true},
		"a kind of what ignores holidays":            {windows(w("08:00", "20:00", "holiday")), with(pool, ignoring), true},
		"a kind longer than a day of it":             {windows(w("08:00", "20:00", "holiday")), with(windows(w("08:00", "20:00", weekdays...)), ignoring), false},
		"a kind that is not named":                   {windows(w("08:00", "20:00", "special")), windows(w("08:00", "20:00", "holiday")), false},
		"a kind on one weekday":                      {windows(w("08:00", "20:00", "holiday/sat")), windows(w("08:00", "20:00", "holiday")), true},
		"a kind on each weekday":                     {windows(w("08:00", "20:00", "holiday")), windows(w("08:00", "20:00", "holiday/mon", "holiday/tue", "holiday/wed", "holiday/thu", "holiday/fri", "holiday/sat", "holiday/sun")), true},
		"valid for a part":                           {with(pool, november), pool, true},
		"valid for longer":                           {pool, with(pool, november), false},
		"valid for longer, without a window then":    {with(windows(w("09:00", "12:00", "mon")), func(s *Schedule) { s.ValidUntil = date(t, "2026-12-06") }), with(pool, func(s *Schedule) { s.ValidUntil = date(t, "2026-11-30") }), true},
		"valid from earlier, without a window then":  {with(windows(w("09:00", "12:00", "mon")), func(s *Schedule) { s.ValidFrom = date(t, "2026-11-17") }), with(pool, func(s *Schedule) { s.ValidFrom = date(t, "2026-11-23") }), true},
		"valid on no day of its windows":             {with(windows(w("00:00", "24:00", "mon")), func(s *Schedule) { s.ValidFrom, s.ValidUntil = date(t, "2026-11-21"), date(t, "2026-11-22") }), Schedule{}, true},
		"valid from before the other, on one Monday": {with(windows(w("09:00", "12:00", "mon")), func(s *Schedule) { s.ValidFrom = date(t, "2026-11-23") }), with(pool, func(s *Schedule) { s.ValidFrom = date(t, "2026-11-24") }), false},
	} {
		require.Equal(t, c.subset, SubsetOf(c.a, c.b), name)
		require.Equal(t, !c.subset, Reduced(c.a, c.b), name)
	}
}

func TestIntersect(t *testing.T) {
	w := func(from, to string, days ...Day) Window { return window(t, from, to, days...) }
	nights := Schedule{Windows: []Window{w("22:00", "06:00", "fri", "sat")}, Holidays: HolidaysIgnored}
	for name, c := range map[string]struct{ a, b, both Schedule }{
		"always is neutral":       {Schedule{Always: true}, nights, nights},
		"both always":             {Schedule{Always: true}, Schedule{Always: true, Holidays: HolidaysIgnored}, Schedule{Always: true}},
		"apart":                   {windows(w("08:00", "12:00", "mon")), windows(w("12:00", "18:00", "mon")), Schedule{}},
		"parts of a night":        {nights, windows(w("23:00", "24:00", "fri", "sun"), w("00:00", "05:00", "sun")), windows(w("23:00", "24:00", "fri"), w("00:00", "05:00", "sun"))},
		"night and kind":          {nights, windows(w("05:00", "23:00", "holiday")), windows(w("22:00", "23:00", "holiday/fri"), w("05:00", "06:00", "holiday/sat", "holiday/sun"), w("22:00", "23:00", "holiday/sat"))},
		"dates":                   {Schedule{Always: true, ValidUntil: date(t, "2026-11-30")}, Schedule{Always: true, ValidFrom: date(t, "2026-11-21")}, Schedule{Always: true, ValidFrom: date(t, "2026-11-21"), ValidUntil: date(t, "2026-11-30")}},
		"dates apart":             {Schedule{Always: true, ValidUntil: date(t, "2026-11-20")}, Schedule{Always: true, ValidFrom: date(t, "2026-11-21")}, Schedule{}},
		"what Validate refuses":   {windows(w("08:00", "12:00", "monday")), Schedule{Always: true}, Schedule{}},
		"a kind on every weekday": {Schedule{Always: true}, windows(w("08:00", "12:00", "holiday")), windows(w("08:00", "12:00", "holiday"))},
	} {
		both := Intersect(c.a, c.b)
		require.True(t, Equal(c.both, both), "%s: %s", name, both)
		require.Equal(t, c.both.Normal(), both, name)
	}
}

func TestNormal(t *testing.T) {
	w := func(from, to string, days ...Day) Window { return window(t, from, to, days...) }
	every := append(slices.Clone(weekdays), weekend...)
	for name, c := range map[string]struct{ s, normal Schedule }{
		"touching windows":          {windows(w("12:00", "18:00", "tue", "mon"), w("08:00", "12:00", "mon"), w("08:00", "12:00", "tue")), windows(w("08:00", "18:00", "mon", "tue"))},
		"a night in two":            {windows(w("22:00", "24:00", "sun"), w("00:00", "06:00", "mon")), windows(w("22:00", "06:00", "sun"))},
		"a night of more than 24 h": {windows(w("06:00", "24:00", "sun"), w("00:00", "07:00", "mon")), windows(w("00:00", "07:00", "mon"), w("06:00", "24:00", "sun"))},
		"days on end":               {windows(w("22:00", "00:00", "fri"), w("00:00", "00:00", "sat"), w("00:00", "06:00", "sun")), windows(w("22:00", "24:00", "fri"), w("00:00", "24:00", "sat"), w("00:00", "06:00", "sun"))},
		"24 hours from eight":       {windows(w("08:00", "08:00", "mon")), windows(w("08:00", "08:00", "mon"))},
		"always in windows":         {Schedule{Windows: []Window{w("08:00", "08:00", every...)}, Holidays: HolidaysIgnored}, Schedule{Always: true}},
		"closed on holidays":        {Schedule{Windows: []Window{w("08:00", "12:00", "mon")}, Holidays: HolidaysClosed}, windows(w("08:00", "12:00", "mon"))},
		"never, with dates":         {Schedule{ValidFrom: date(t, "2026-11-21"), Holidays: HolidaysIgnored}, Schedule{}},
		"kinds by name":             {windows(w("08:00", "12:00", "special", "holiday", "mon")), windows(w("08:00", "12:00", "mon", "holiday", "special"))},
	} {
		require.Equal(t, c.normal, c.s.Normal(), name)
		require.True(t, Equal(c.s, c.normal), name)
	}
}
