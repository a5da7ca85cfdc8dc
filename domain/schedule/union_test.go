package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

func drawSchedules(t *rapid.T, label string) (list []Schedule) {
	for range rapid.IntRange(0, 3).Draw(t, label) {
		list = append(list, drawSchedule(t, label))
	}
	return list
}

// Within agrees with a check of every kind of day on every date that the drawn
// schedules can tell apart.
func TestWithinIsWhatEveryMinuteSays(t *testing.T) {
	var yes, no int
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSchedules(t, "a"), drawSchedules(t, "b")
		if rapid.Bool().Draw(t, "a part of it") && len(b) > 0 {
			for i := range a {
				a[i] = Intersect(a[i], b[rapid.IntRange(0, len(b)-1).Draw(t, "of")])
			}
		}
		want := true
		kinds := []Kind{"", unnamed}
		for _, s := range append(reduceAll(a), reduceAll(b)...) {
			for _, k := range s.kinds {
				kinds = append(kinds, k.kind)
			}
		}
		for n := range 750 {
			date := civilDay(2025, 12, 20).AddDays(n)
			for _, kind := range kinds {
				want = want && WithinOn(a, b, date, kind, kind)
			}
		}
		require.Equal(t, want, Within(a, b), "%v in %v", a, b)
		if want {
			yes++
		} else {
			no++
		}
		if len(a) == 1 && len(b) == 1 {
			require.Equal(t, SubsetOf(a[0], b[0]), Within(a, b))
		}
	})
	require.NotZero(t, yes)
	require.NotZero(t, no)
}

func TestWithinJoinsWhatTouches(t *testing.T) {
	day := func(from, to TimeOfDay) Schedule {
		return Schedule{Windows: []Window{{Days: []Day{"mon"}, From: from, To: to}}}
	}
	june := civilDay(2026, 6, 1)
	until, from := Schedule{Always: true, ValidUntil: june}, Schedule{Always: true, ValidFrom: june.AddDays(1)}
	require.True(t, Within([]Schedule{day(480, 1080)}, []Schedule{day(480, 720), day(720, 1080)}))
	require.False(t, Within([]Schedule{day(480, 1081)}, []Schedule{day(480, 720), day(720, 1080)}))
	require.True(t, Within([]Schedule{{Always: true}}, []Schedule{until, from}))
	require.False(t, Within([]Schedule{{Always: true}}, []Schedule{until, {Always: true, ValidFrom: june.AddDays(2)}}))
	require.True(t, Within(nil, nil))
	require.True(t, Within([]Schedule{{}}, nil), "what never holds is within anything")
	require.False(t, WithinOn([]Schedule{day(480, 1080)}, []Schedule{day(480, 1080)}, june, "", Holiday), "the day became a holiday")
	require.True(t, WithinOn([]Schedule{day(480, 1080)}, nil, june, Holiday, ""))
}
