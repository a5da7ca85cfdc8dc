package schedule

import "slices"

// Intersect returns the schedule that holds exactly when both hold, in the form of
// Normal. It may have more windows and days than Validate allows.
func Intersect(a, b Schedule) Schedule {
	wa, wb := reduce(a), reduce(b)
	both := week{from: wa.from, until: wa.until, ignore: wa.ignore && wb.ignore}
	if both.from.Before(wb.from) {
		both.from = wb.from
	}
	if both.until.IsZero() || !wb.until.IsZero() && wb.until.Before(both.until) {
		both.until = wb.until
	}
	for d := range both.plain {
		both.plain[d] = wa.plain[d].and(wb.plain[d])
	}
	if !both.ignore {
		for _, kind := range kindsOf(&wa, &wb) {
			days := both.kind(kind)
			for d := range days {
				days[d] = wa.on(kind, d).and(wb.on(kind, d))
			}
		}
	}
	return both.schedule()
}

// SubsetOf reports whether b holds whenever a holds, under every calendar. It compares
// ordinary days and every kind of day, whether or not a schedule names it, on the dates
// for which a is valid.
func SubsetOf(a, b Schedule) bool {
	wa, wb := reduce(a), reduce(b)
	kinds := append(kindsOf(&wa, &wb), "", unnamed)
	for d := range daysOfWeek {
		first, last := wa.dates(d)
		if last.Before(first) {
			continue
		}
		for _, kind := range kinds {
			here := wa.on(kind, d)
			if here.empty() {
				continue
			}
			there := wb.on(kind, d)
			if !here.within(&there) || first.Before(wb.from) || !wb.until.IsZero() && wb.until.Before(last) {
				return false
			}
		}
	}
	return true
}

// Equal reports whether a and b hold at the same instants under every calendar.
func Equal(a, b Schedule) bool { return SubsetOf(a, b) && SubsetOf(b, a) }

// Reduced reports whether the change from old to now removes any time.
func Reduced(old, now Schedule) bool { return !SubsetOf(old, now) }

// unnamed stands for every kind of day that no schedule names. No valid kind has this
// text.
const unnamed Kind = "*"

// kindsOf returns the kinds that a or b names, sorted.
func kindsOf(a, b *week) []Kind {
	var kinds []Kind
	for _, w := range []*week{a, b} {
		for _, k := range w.kinds {
			kinds = append(kinds, k.kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// dates returns the first and the last date on weekday d within the validity of w. If
// there is none, first is later than last.
func (w *week) dates(d int) (first, last Date) {
	first, last = w.from, w.until
	if first.IsZero() {
		first = Date{1}
	}
	if last.IsZero() {
		last = Date{lastDay}
	}
	first.day += int32(d-int(first.Weekday())+daysOfWeek) % daysOfWeek
	last.day -= int32(int(last.Weekday())-d+daysOfWeek) % daysOfWeek
	return first, last
}
