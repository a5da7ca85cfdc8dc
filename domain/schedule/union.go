package schedule

// Within reports whether any of b holds whenever any of a does, under every calendar.
// It is SubsetOf for several schedules on each side. An empty list never holds.
func Within(a, b []Schedule) bool {
	wb := reduceAll(b)
	for _, s := range a {
		w := reduce(s)
		kinds := []Kind{"", unnamed}
		for i := range wb {
			kinds = append(kinds, kindsOf(&w, &wb[i])...)
		}
		if len(wb) == 0 {
			kinds = append(kinds, kindsOf(&w, &w)...)
		}
		for d := range daysOfWeek {
			for _, kind := range kinds {
				if !w.withinOn(wb, kind, d) {
					return false
				}
			}
		}
	}
	return true
}

// withinOn reports whether some of others holds whenever w does, on days of a kind on
// weekday d. The dates of w are cut where one of the others begins or ends, so that the
// same others are valid on all dates between two cuts.
func (w *week) withinOn(others []week, kind Kind, d int) bool {
	here := w.on(kind, d)
	first, last := w.dates(d)
	if here.empty() {
		return true
	}
	for !last.Before(first) {
		var there minutes
		next := Date{last.day + 1} // not AddDays, which stops at lastDay
		for i := range others {
			o := &others[i]
			switch {
			case first.Before(o.from):
				next = earlier(next, o.from)
			case o.until.IsZero() || !o.until.Before(first):
				more := o.on(kind, d)
				there = there.or(more)
				if !o.until.IsZero() {
					next = earlier(next, Date{o.until.day + 1})
				}
			}
		}
		if !here.within(&there) {
			return false
		}
		weeks := (next.day - first.day + daysOfWeek - 1) / daysOfWeek
		first = Date{first.day + weeks*daysOfWeek} // the next date on weekday d
	}
	return true
}

// WithinOn reports whether on one date some of b holds whenever any of a does. The
// calendar of a marks the date with the kind was, that of b with the kind is.
func WithinOn(a, b []Schedule, date Date, was, is Kind) bool {
	before, after := minutesOn(a, date, was), minutesOn(b, date, is)
	return before.within(&after)
}

func minutesOn(list []Schedule, date Date, kind Kind) (m minutes) {
	for _, s := range list {
		w := reduce(s)
		if !date.Before(w.from) && (w.until.IsZero() || !w.until.Before(date)) {
			m = m.or(w.on(kind, int(date.Weekday())))
		}
	}
	return m
}

func reduceAll(list []Schedule) []week {
	out := make([]week, len(list))
	for i, s := range list {
		out[i] = reduce(s)
	}
	return out
}

func earlier(a, b Date) Date {
	if b.Before(a) {
		return b
	}
	return a
}
