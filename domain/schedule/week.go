package schedule

import (
	"slices"
	"strings"
)

// week is the reduced form of a schedule. It holds sets of minutes by day of the week,
// for ordinary days and for each kind that the schedule names. Other kinds count as
// ordinary days if ignore is set, and never hold otherwise.
type week struct {
	from, until Date
	ignore      bool
	plain       [daysOfWeek]minutes
	// kinds are sorted by name and empty if ignore is set.
	kinds []kindWeek
}

type kindWeek struct {
	kind Kind
	days [daysOfWeek]minutes
}

// reduce returns the week of a schedule. Windows and days that Validate would refuse
// contribute nothing, so that unreadable parts never hold.
func reduce(s Schedule) week {
	w := week{from: s.ValidFrom, until: s.ValidUntil, ignore: s.Always || s.Holidays == HolidaysIgnored}
	if s.Always {
		for d := range w.plain {
			w.plain[d].add(span{0, minutesOfDay})
		}
		return w
	}
	for _, window := range s.Windows {
		if window.validate(s.Holidays) != nil {
			continue
		}
		for _, day := range window.Days {
			w.add(day, window)
		}
	}
	return w
}

// add adds a valid window on one of its days.
func (w *week) add(day Day, window Window) {
	w.each(day, window, func(m *minutes, s span) { m.add(s) })
}

// claim adds a valid window on one of its days unless one of its minutes is in use.
func (w *week) claim(day Day, window Window) bool {
	free := true
	w.each(day, window, func(m *minutes, s span) {
		var claimed minutes
		claimed.add(s)
		free = free && !m.meets(&claimed)
	})
	if free {
		w.add(day, window)
	}
	return free
}

// each calls do for each set of minutes that the window covers if it begins on day. It
// passes the set and the span of the window within it.
func (w *week) each(day Day, window Window, do func(*minutes, span)) {
	d, err := day.parse()
	if err != nil {
		return
	}
	first := span{int16(window.From), int16(window.To)}
	if window.To <= window.From {
		first.to = minutesOfDay
	}
	if d.kind == "" {
		do(&w.plain[d.weekday], first)
		if window.overMidnight() {
			do(&w.plain[(d.weekday+1)%daysOfWeek], span{0, int16(window.To)})
		}
		return
	}
	days := w.kind(d.kind)
	for i := range days {
		if d.every || Weekday(i) == d.weekday {
			do(&days[i], first)
		}
	}
}

// kind returns the week of a kind, and adds it if it is missing.
func (w *week) kind(kind Kind) *[daysOfWeek]minutes {
	i, found := slices.BinarySearchFunc(w.kinds, kind, func(k kindWeek, kind Kind) int {
		return strings.Compare(string(k.kind), string(kind))
	})
	if !found {
		w.kinds = slices.Insert(w.kinds, i, kindWeek{kind: kind})
	}
	return &w.kinds[i].days
}

// on returns the minutes at which w holds on days of the kind on weekday d.
func (w *week) on(kind Kind, d int) minutes {
	if kind == "" || w.ignore {
		return w.plain[d]
	}
	for i := range w.kinds {
		if w.kinds[i].kind == kind {
			return w.kinds[i].days[d]
		}
	}
	return minutes{}
}
