package schedule

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

// Compile, Intersect, Normal and SubsetOf agree with the oracle at every instant of the
// places.
func TestAlgebraAgreesWithOracle(t *testing.T) {
	var subsets, others int
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(places()).Draw(t, "place")
		calendar := drawCalendar(t)
		a, b := drawPair(t)
		both, subset := Intersect(a, b), SubsetOf(a, b)
		if subset {
			subsets++
		} else {
			others++
		}
		days := calendar.Compile()
		ca, cb, cboth, cnormal := Compile(a), Compile(b), Compile(both), Compile(a.Normal())
		oa, ob := newOracle(a, calendar), newOracle(b, calendar)
		for _, r := range p.readings {
			inA, inB := oa.holds(r), ob.holds(r)
			local := p.zone.Local(r.at)
			k := days.Kind(local.Date)
			if ca.Contains(local, k) != inA || cnormal.Contains(local, k) != inA {
				t.Fatalf("%v at %+v: the oracle says %t", a, r, inA)
			}
			if cb.Contains(local, k) != inB || cboth.Contains(local, k) != (inA && inB) {
				t.Fatalf("%v and %v at %+v: the oracle says %t and %t", a, b, r, inA, inB)
			}
			if subset && inA && !inB {
				t.Fatalf("%v is no subset of %v: see %+v", a, b, r)
			}
		}
		if !subset && !witness(a, b) {
			t.Fatalf("%v is a subset of %v", a, b)
		}
	})
	require.NotZero(t, subsets)
	require.NotZero(t, others)
}

// drawPair draws two schedules that are often related. Of two independent schedules one
// is hardly ever within the other.
func drawPair(t *rapid.T) (a, b Schedule) {
	b = drawSchedule(t, "b")
	switch rapid.IntRange(0, 5).Draw(t, "relation") {
	case 0:
		return drawSchedule(t, "a"), b
	case 1:
		return Intersect(drawSchedule(t, "a"), b), b
	case 2:
		return b, Intersect(drawSchedule(t, "a"), b)
	case 3:
		a = b
		a.Windows = slices.Clone(b.Windows)
		if n := len(a.Windows); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(t, "narrowed")
			a.Windows[i].From = min(a.Windows[i].From+1, EndOfDay-1)
		}
		if a.Validate() != nil { // nothing is left of the window
			a.Windows = b.Windows
		}
		return a, b
	case 4: // the same on weekdays, another on special days
		a = b
		if a.Holidays != HolidaysIgnored {
			a.Holidays, a.Windows = HolidaysIgnored, slices.DeleteFunc(slices.Clone(b.Windows), func(w Window) bool {
				return w.validate(HolidaysIgnored) != nil
			})
			return a, b
		}
		a.Holidays = ""
		if !a.Always {
			a.Windows = append(slices.Clone(b.Windows), Window{Days: []Day{"holiday"}, From: 480, To: drawWindow(t, "holiday").From + 1})
		}
		if a.Validate() != nil {
			a.Windows = b.Windows
		}
		return a, b
	}
	a = b // for about the same dates, on few days
	a.Windows = slices.Clone(b.Windows)
	for i, w := range a.Windows {
		a.Windows[i].Days = w.Days[:1]
	}
	b.ValidFrom = drawDate(t, "b from")
	b.ValidUntil = b.ValidFrom.AddDays(rapid.IntRange(0, 20).Draw(t, "b days"))
	a.ValidFrom = b.ValidFrom.AddDays(rapid.IntRange(-6, 6).Draw(t, "a from"))
	a.ValidUntil = b.ValidUntil.AddDays(rapid.IntRange(-6, 6).Draw(t, "a until"))
	if a.Validate() != nil {
		a.ValidUntil = a.ValidFrom
	}
	return a, b
}

// witness reports whether a holds at some local time at which b does not. It tries
// every kind of day and every minute of the days around the first and last dates of
// both, and of a week far away on either side.
func witness(a, b Schedule) bool {
	dates := []Date{civilDay(1999, time.January, 4), civilDay(2033, time.January, 3)}
	for _, d := range []Date{a.ValidFrom, a.ValidUntil, b.ValidFrom, b.ValidUntil} {
		if !d.IsZero() {
			dates = append(dates, d.AddDays(-7), d)
		}
	}
	oa, ob := newOracle(a, nil), newOracle(b, nil)
	for _, first := range dates {
		for d := range 8 {
			day := first.AddDays(d)
			r := reading{date: day.String(), weekday: time.Weekday(day.Weekday()+1) % 7}
			for _, kind := range []string{"", "holiday", "special", "inventory"} {
				for r.minute = range int16(minutesOfDay) {
					if oa.holdsOn(r, kind) && !ob.holdsOn(r, kind) {
						return true
					}
				}
			}
		}
	}
	return false
}

func TestNextChangeAgreesWithOracle(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(places()).Draw(t, "place")
		calendar := drawCalendar(t)
		s := drawSchedule(t, "s")
		o := newOracle(s, calendar)
		holds := func(at int64) bool { return o.holds(read(at, p.location)) }
		for range 2 {
			i := rapid.IntRange(0, len(p.readings)-1).Draw(t, "reading")
			after := p.readings[i].at + rapid.Int64Range(0, minute-1).Draw(t, "nanoseconds")
			was := holds(after)
			next, found := NextChange(s, p.zone, calendar, after)
			if found && (next <= after || holds(next) == was || holds(next-1) != was) {
				t.Fatalf("%v in %s does not change at %s", s, p.zone.Name(), time.Unix(0, next).In(p.location))
			}
			quietUntil := next
			if !found {
				quietUntil = end
			}
			for at := p.readings[i].at + minute; at < min(quietUntil, after+8*24*60*minute); at += minute {
				if holds(at) != was {
					t.Fatalf("%v in %s changes at %s, not at %s", s, p.zone.Name(), time.Unix(0, at).In(p.location), time.Unix(0, next).In(p.location))
				}
			}
			for _, r := range p.readings[i+1:] {
				if r.at < quietUntil && o.holds(r) != was {
					t.Fatalf("%v in %s changes at %+v, not at %s", s, p.zone.Name(), r, time.Unix(0, next).In(p.location))
				}
			}
		}
	})
}

func TestIntersectIsNormalCommutativeAndLargest(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawSchedule(t, "a"), drawSchedule(t, "b"), drawSchedule(t, "c")
		both := Intersect(a, b)
		require.NoError(t, both.Validate())
		require.Equal(t, both, both.Normal())
		require.Equal(t, both, Intersect(b, a))
		require.True(t, SubsetOf(both, a) && SubsetOf(both, b))
		require.True(t, Equal(a, a.Normal()))
		require.True(t, Equal(Intersect(a, a), a))
		require.Equal(t, SubsetOf(a, b), Equal(both, a))
		if SubsetOf(c, a) && SubsetOf(c, b) {
			require.True(t, SubsetOf(c, both))
		}
		require.Equal(t, !SubsetOf(a, b), Reduced(a, b))
	})
}
