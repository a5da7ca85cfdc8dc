package schedule

import (
	"encoding"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

func TestDateAgreesWithTimePackage(t *testing.T) {
	day := time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC)
	for n := 1; n <= lastDay; n++ {
		d := Date{int32(n)}
		year, month, dayOfMonth := d.Civil()
		if wy, wm, wd := day.Date(); year != wy || month != wm || dayOfMonth != wd {
			t.Fatalf("day %d is %d-%d-%d, not %d-%d-%d", n, wy, wm, wd, year, month, dayOfMonth)
		}
		if d.Weekday() != Weekday((day.Weekday()+6)%7) || civilDay(year, month, dayOfMonth) != d {
			t.Fatalf("%s: weekday %s, day %d", d, d.Weekday(), civilDay(year, month, dayOfMonth).day)
		}
		day = day.AddDate(0, 0, 1)
	}
	require.Equal(t, "9999-12-31", Date{lastDay}.String())
	require.Equal(t, "1970-01-01", Date{unixEpochDay}.String())
}

func TestDateArithmetic(t *testing.T) {
	d := date(t, "2028-02-28")
	require.Equal(t, date(t, "2028-02-29"), d.AddDays(1))
	require.Equal(t, date(t, "2027-12-31"), d.AddDays(-59))
	require.Equal(t, date(t, "9999-12-31"), d.AddDays(math.MaxInt))
	require.Equal(t, Date{1}, d.AddDays(math.MinInt))
	require.Equal(t, Date{}, Date{}.AddDays(1), "no date stays no date")
	require.True(t, d.Before(d.AddDays(1)))
	require.False(t, d.Before(d))
	require.Equal(t, []int{-1, 0, 1}, []int{d.Compare(d.AddDays(1)), d.Compare(d), d.Compare(d.AddDays(-1))})
	require.True(t, Date{}.Before(date(t, "1970-01-01")))
}

func TestCivilTexts(t *testing.T) {
	read := map[string]func(string) (encoding.TextMarshaler, error){
		"date":     func(s string) (encoding.TextMarshaler, error) { return ParseDate(s) },
		"time":     func(s string) (encoding.TextMarshaler, error) { return ParseTimeOfDay(s) },
		"datetime": func(s string) (encoding.TextMarshaler, error) { return ParseDateTime(s) },
		"weekday":  func(s string) (encoding.TextMarshaler, error) { return ParseWeekday(s) },
	}
	for what, texts := range map[string][]string{
		"date":     {"1970-01-01", "2026-11-21", "2028-02-29", "9999-12-31"},
		"time":     {"00:00", "08:30", "23:59", "24:00"},
		"datetime": {"2026-12-24T18:00", "1970-01-01T00:00", "9999-12-31T23:59"},
		"weekday":  {"mon", "tue", "wed", "thu", "fri", "sat", "sun"},
	} {
		for _, text := range texts {
			v, err := read[what](text)
			require.NoError(t, err)
			back, err := v.MarshalText()
			require.NoError(t, err)
			require.Equal(t, text, string(back))
		}
	}
	for what, texts := range map[string][]string{
		"date": {"", "1969-12-31", "2026-02-29", "2100-02-29", "2026-13-01", "2026-00-01", "2026-04-31", "2026-01-00", "26-01-01",
			"2026-1-1", "2026/01/01", "2026-01-01 ", "+026-01-01", "10000-01-01", "２０２６-01-01"},
		"time": {"", "8:30", "08.30", "24:01", "25:00", "08:60", "-8:30", "08:3 ", "08:30:00"},
		"datetime": {"", "2026-12-24", "2026-12-24 18:00", "2026-12-24T24:00", "2026-12-24t18:00", "2026-12-24T18:00Z", "2026-12-24T18:00:00",
			"2026-02-30T18:00", "2026-12-24T18-00"},
		"weekday": {"", "Mon", "monday", "mo", "holiday"},
	} {
		for _, text := range texts {
			_, err := read[what](text)
			require.Error(t, err, "%s %q", what, text)
		}
	}
}

func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	for _, v := range []encoding.TextMarshaler{
		Date{1}, Date{unixEpochDay - 1}, TimeOfDay(-1), TimeOfDay(1441), Weekday(7),
		DateTime{Date{unixEpochDay}, EndOfDay}, DateTime{Date{1}, 0},
	} {
		_, err := v.MarshalText()
		require.Error(t, err, "%v", v)
	}
}

func TestNoDateIsLeftOut(t *testing.T) {
	type record struct {
		D  Date     `json:"d,omitzero"`
		At DateTime `json:"at,omitzero"`
		E  Date     `json:"e"`
		On Weekday  `json:"on"`
	}
	out, err := json.Marshal(record{})
	require.NoError(t, err)
	require.JSONEq(t, `{"e":"","on":"mon"}`, string(out))
	var back record
	require.NoError(t, json.Unmarshal([]byte(`{"d":"","e":"","at":"","on":"mon"}`), &back))
	require.Zero(t, back)
	require.Error(t, json.Unmarshal([]byte(`{"d":"tomorrow"}`), &back))
	require.Error(t, json.Unmarshal([]byte(`{"on":"Monday"}`), &back))
	require.Error(t, json.Unmarshal([]byte(`{"at":"2026-12-24"}`), &back))
	require.Equal(t, "", DateTime{}.String())
}

func TestDateTimeOrder(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) (DateTime, time.Time) {
			day, minute := rapid.IntRange(0, 3).Draw(t, label+" day"), rapid.IntRange(0, 1439).Draw(t, label+" minute")
			return DateTime{Date{unixEpochDay}.AddDays(day), TimeOfDay(minute)}, time.Unix(int64(day*secondsOfDay+minute*60), 0)
		}
		a, ta := draw("a")
		b, tb := draw("b")
		require.Equal(t, ta.Compare(tb), a.Compare(b))
	})
}

func TestKinds(t *testing.T) {
	for _, kind := range []Kind{"holiday", "special", "half_day", "q4-close", "x"} {
		require.NoError(t, kind.Validate())
	}
	for _, kind := range []Kind{"", "Holiday", "mon", "monday", "mondays", "tues", "thurs", "weekend", "weekdays", "1st", "half day", "a/b", "ferié", "*",
		"a123456789012345678901234567890123"} {
		require.Error(t, kind.Validate(), "%q", kind)
	}
	require.Equal(t, Day("sat"), Saturday.Day())
	require.Equal(t, Day("holiday"), Holiday.Day())
	require.Equal(t, Day("holiday/sat"), Holiday.On(Saturday))
	require.Equal(t, []string{"Monday", "weekday 7", "weekday 9"}, []string{Monday.Name(), Weekday(7).Name(), Weekday(9).String()})
	for _, day := range []Day{"", "/", "holiday/", "holiday/monday", "/mon", "mon/tue", "holiday/sat/sun", "holiday/holiday"} {
		_, err := day.parse()
		require.Error(t, err, "%q", day)
	}
}

func FuzzTexts(f *testing.F) {
	for _, seed := range []string{"", "2026-11-21", "2026-12-24T18:00", "24:00", "sun", "holiday/sat", "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDate(text); err == nil {
			require.Equal(t, text, d.String())
		}
		if at, err := ParseTimeOfDay(text); err == nil {
			require.Equal(t, text, at.String())
		}
		if at, err := ParseDateTime(text); err == nil {
			require.Equal(t, text, at.String())
		}
		if w, err := ParseWeekday(text); err == nil {
			require.Equal(t, text, w.String())
		}
		s := Schedule{Windows: []Window{{Days: []Day{Day(text)}, To: EndOfDay}}}
		require.Equal(t, s.Validate() == nil, s.String() != "Never")
		rules := ZoneRules{Zone: text, Footer: text}
		if rule, err := parseFooter(text); err == nil {
			rules.First, _ = rule.after(0)
			require.Equal(t, text != "", rules.Validate() == nil)
		}
		z := rules.Compile()
		for _, at := range []int64{math.MinInt64, -1, 0, math.MaxInt64} {
			z.Local(at)
		}
	})
}
