package schedule

import "slices"

// Normal gives the schedule that means the same, written in one way: windows
// that touch are joined, days with the same window are named together, and what
// always or never holds says so. It drops what Validate would refuse.
func (s Schedule) Normal() Schedule {
	w := reduce(s)
	return w.schedule()
}

// schedule writes the week as a schedule in normal form.
func (w *week) schedule() Schedule {
	s := Schedule{ValidFrom: w.from, ValidUntil: w.until}
	if !s.ValidUntil.IsZero() && s.ValidUntil.Before(s.ValidFrom) {
		return Schedule{}
	}
	if w.ignore && w.whole() {
		s.Always = true
		return s
	}
	var g grouping
	g.addPlain(&w.plain)
	for i := range w.kinds {
		g.addKind(w.kinds[i].kind, &w.kinds[i].days)
	}
	if len(g.windows) == 0 {
		return Schedule{}
	}
	s.Windows = g.windows
	if w.ignore {
		s.Holidays = HolidaysIgnored
	}
	return s
}

func (w *week) whole() bool {
	for d := range w.plain {
		if w.plain[d].next(0, ^uint64(0)) < minutesOfDay {
			return false
		}
	}
	return true
}

// grouping gathers days with the same window, in the order in which they come.
type grouping struct{ windows []Window }

func (g *grouping) add(day Day, s span) {
	from, to := TimeOfDay(s.from), TimeOfDay(s.to)
	i := slices.IndexFunc(g.windows, func(w Window) bool { return w.From == from && w.To == to })
	if i < 0 {
		g.windows = append(g.windows, Window{From: from, To: to})
		i = len(g.windows) - 1
	}
	g.windows[i].Days = append(g.windows[i].Days, day)
}

// addPlain adds the days of the week. The last span of a day and the first of
// the next become one window over midnight where that is at most a day long; a
// whole day stays by itself.
func (g *grouping) addPlain(days *[daysOfWeek]minutes) {
	var spans [daysOfWeek][]span
	for d := range days {
		spans[d] = days[d].spans(nil)
	}
	tail := func(d int) (int16, bool) { // where the night that begins on d ends
		next := spans[(d+1)%daysOfWeek]
		n := len(spans[d])
		if n == 0 || len(next) == 0 {
			return 0, false
		}
		evening, morning := spans[d][n-1], next[0]
		return morning.to, evening.to == minutesOfDay && morning.from == 0 && morning.to <= evening.from
	}
	for d := range spans {
		for i, s := range spans[d] {
			if _, joined := tail((d + daysOfWeek - 1) % daysOfWeek); joined && i == 0 {
				continue
			}
			if end, joins := tail(d); joins && i == len(spans[d])-1 {
				s.to = end
			}
			g.add(Weekday(d).Day(), s)
		}
	}
}

// addKind adds the days of a kind, by themselves where a span is common to every
// day of the week.
func (g *grouping) addKind(kind Kind, days *[daysOfWeek]minutes) {
	var spans [daysOfWeek][]span
	for d := range days {
		spans[d] = days[d].spans(nil)
	}
	common := func(s span) bool {
		for d := range spans {
			if !slices.Contains(spans[d], s) {
				return false
			}
		}
		return true
	}
	for _, s := range spans[0] {
		if common(s) {
			g.add(kind.Day(), s)
		}
	}
	for d := range spans {
		for _, s := range spans[d] {
			if !common(s) {
				g.add(kind.On(Weekday(d)), s)
			}
		}
	}
}
