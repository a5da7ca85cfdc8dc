package domain

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// aspect is one use of a door: with a kind of credential, or remotely.
type aspect struct {
	kind       unlock.CredentialKind
	capability unlock.Capability // zero: at the door
}

var aspects = []aspect{
	{kind: unlock.AnyKind}, {kind: unlock.Fob}, {kind: unlock.Card}, {kind: unlock.Pin}, {kind: unlock.MobileKey},
	{unlock.MobileKey, unlock.RemoteUnlock}, {unlock.MobileKey, unlock.UnlockFor}, {unlock.AnyKind, unlock.FirstIn},
}

// String names the use.
func (a aspect) String() string {
	if a.capability != 0 {
		return a.capability.String()
	}
	return a.kind.String()
}

// intervals are the times of passages in which an aspect is open.
func (a aspect) intervals(accessPaths []accessPath) []interval {
	var out []interval
	for _, w := range accessPaths {
		if w.code != unlock.NoCode || w.until <= w.from || w.kinds&(1<<a.kind) == 0 || a.capability != 0 && w.may&(1<<a.capability) == 0 {
			continue
		}
		s := w.interval
		if a.kind == unlock.Fob || a.kind == unlock.Card {
			s.times = w.fobTimes
		}
		out = append(out, s)
	}
	return out
}

// scheduleDiff compares times of two outlooks of one site.
type scheduleDiff struct {
	a, b      *siteView
	now       unlock.Instant
	changed   []dayChange       // days that the calendars of the two mark differently
	moved     bool              // the zones read different clocks
	same      map[string]bool   // by keys of times of a and of b: the schedules are equal
	intervals map[string]bool   // answers for whole intervals
	pairs     map[[2]plain]bool // answers for one stretch within another
}

// plain is a stretch with nothing cut out, or none at all. Many people have the same.
type plain struct {
	any         bool
	from, until unlock.Instant
	times       string
}

// plainly gives the only stretch of a list, if that is plain.
func plainly(list []interval) (plain, bool) {
	if len(list) == 0 {
		return plain{}, true
	}
	s := list[0]
	return plain{true, s.from, s.until, s.times}, len(list) == 1 && len(s.closed) == 0
}

// dayChange is a date of another kind than before.
type dayChange struct {
	date    schedule.Date
	was, is schedule.Kind
}

// maxChangedDays bounds how many days of one change of a calendar are looked at one
// by one; of the later ones nothing is taken to be left that holidays can take away.
const maxChangedDays = 1000

func newScheduleDiff(a, b *siteView) *scheduleDiff {
	c := &scheduleDiff{a: a, b: b, now: b.now, same: map[string]bool{}, intervals: map[string]bool{}, pairs: map[[2]plain]bool{}}
	if a.m == nil || b.m == nil {
		return c
	}
	c.moved = !a.zone.SameClock(b.zone)
	today := b.zone.Local(int64(b.now)).Date
	c.changed = changedDays(a.row.Calendar, b.row.Calendar, today)
	return c
}

// changedDays lists the dates from today on that two calendars mark differently, the
// first maxChangedDays of them. Between the dates at which an entry of either begins
// or is over no date differs from the one before it, so that long entries cost no more
// than short ones.
func changedDays(was, is schedule.Calendar, today schedule.Date) (changed []dayChange) {
	cuts := []schedule.Date{today}
	for _, special := range slices.Concat(was, is) {
		cuts = append(cuts, special.Date, special.Last().AddDays(1))
	}
	slices.SortFunc(cuts, schedule.Date.Compare)
	cuts = slices.Compact(cuts)
	before, after := was.Compile(), is.Compile()
	for i, from := range cuts {
		d := dayChange{from, before.Kind(from), after.Kind(from)}
		if from.Before(today) || d.was == d.is {
			continue
		}
		last := from // behind the last cut nothing differs, unless it is the last date of all
		if i+1 < len(cuts) {
			last = cuts[i+1].AddDays(-1)
		}
		for d.date = range schedule.Dates(from, last) {
			if len(changed) == maxChangedDays {
				return changed
			}
			changed = append(changed, d)
		}
	}
	return changed
}

// turned compares the other way round.
func (c *scheduleDiff) turned() *scheduleDiff {
	t := &scheduleDiff{a: c.b, b: c.a, now: c.now, moved: c.moved, same: map[string]bool{}, intervals: map[string]bool{}, pairs: map[[2]plain]bool{}}
	for _, d := range c.changed {
		t.changed = append(t.changed, dayChange{d.date, d.is, d.was})
	}
	return t
}

// withoutDays compares as if the calendars marked the same days.
func (c *scheduleDiff) withoutDays() *scheduleDiff {
	return &scheduleDiff{a: c.a, b: c.b, now: c.now, moved: c.moved, same: c.same, intervals: map[string]bool{}, pairs: map[[2]plain]bool{}}
}

// equal reports whether times of a and of b are the same schedule.
func (c *scheduleDiff) equal(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	key := a + "/" + b
	same, known := c.same[key]
	if !known {
		same = schedule.Equal(c.a.times[a], c.b.times[b])
		c.same[key] = same
	}
	return same
}

// steady reports whether the same schedule holds at the same instants in both.
func (c *scheduleDiff) steady(times string) bool {
	return times == "" || !c.moved && len(c.changed) == 0
}

// within reports whether some of b is open whenever any of a is.
func (c *scheduleDiff) within(a, b []interval) bool {
	for _, x := range a {
		if !c.steady(x.times) || !slices.ContainsFunc(b, func(y interval) bool { return c.holds(y, x) }) {
			return c.everywhere(a, b)
		}
	}
	return true
}

// holds reports whether a stretch of b has a stretch of a in it, at a glance.
func (c *scheduleDiff) holds(y, x interval) bool {
	return y.from <= x.from && x.until <= y.until && (len(y.closed) == 0 || slices.Equal(x.closed, y.closed)) && (y.times == "" || c.equal(x.times, y.times))
}

// everywhere is within without a short cut.
func (c *scheduleDiff) everywhere(a, b []interval) bool {
	x, one := plainly(a)
	y, other := plainly(b)
	if !one || !other {
		return c.cut(a, b)
	}
	answer, known := c.pairs[[2]plain{x, y}]
	if !known {
		answer = c.cut(a, b)
		c.pairs[[2]plain{x, y}] = answer
	}
	return answer
}

// cut answers everywhere: it cuts time where anything begins or ends.
func (c *scheduleDiff) cut(a, b []interval) bool {
	cuts := []unlock.Instant{c.now, forEver}
	for _, s := range slices.Concat(a, b) {
		cuts = append(cuts, s.from, s.until)
		for _, w := range s.closed {
			cuts = append(cuts, w.From, bound(w.Until))
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i, from := range cuts[:len(cuts)-1] {
		if from >= c.now && !c.interval(from, cuts[i+1], inForce(a, from), inForce(b, from)) {
			return false
		}
	}
	return true
}

// inForce gives the times of the stretches that an instant is in.
func inForce(list []interval, at unlock.Instant) (times []string) {
	for _, s := range list {
		if s.from <= at && at < s.until && !slices.ContainsFunc(s.closed, func(w unlock.Window) bool { return w.From <= at && at < bound(w.Until) }) {
			times = append(times, s.times)
		}
	}
	slices.Sort(times)
	return slices.Compact(times)
}

// interval is within for an interval in which the same times are in force all along.
func (c *scheduleDiff) interval(from, until unlock.Instant, a, b []string) bool {
	if len(a) == 0 || slices.Contains(b, "") {
		return true
	}
	key := strconv.FormatInt(int64(from), 36) + " " + strconv.FormatInt(int64(until), 36) + "|" + strings.Join(a, "|") + "||" + strings.Join(b, "|")
	answer, known := c.intervals[key]
	if !known {
		answer = c.dates(from, until, a, b)
		c.intervals[key] = answer
	}
	return answer
}

func (c *scheduleDiff) dates(from, until unlock.Instant, a, b []string) bool {
	zone := c.a.zone
	if c.a.m == nil {
		zone = c.b.zone
	}
	first, last := zone.Local(int64(from)).Date, schedule.Date{}
	if until != forEver {
		last = zone.Local(int64(until) - 1).Date
	}
	var old, left []schedule.Schedule
	for _, key := range a {
		s := c.a.times[key]
		if s.ValidFrom.Before(first) {
			s.ValidFrom = first
		}
		if !last.IsZero() && (s.ValidUntil.IsZero() || last.Before(s.ValidUntil)) {
			s.ValidUntil = last
		}
		old = append(old, s)
	}
	for _, key := range b {
		left = append(left, c.b.times[key])
	}
	if !schedule.Within(old, left) {
		return false
	}
	if c.moved || len(c.changed) == maxChangedDays {
		return schedule.Within(old, nil)
	}
	return !slices.ContainsFunc(c.changed, func(d dayChange) bool { return !schedule.WithinOn(old, left, d.date, d.was, d.is) })
}

// never reports whether stretches hold nothing.
func (o *siteView) never(list []interval) bool {
	if slices.ContainsFunc(list, func(s interval) bool { return s.times == "" && len(s.closed) == 0 }) {
		return false
	}
	if o.self == nil {
		o.self = newScheduleDiff(o, o)
	}
	return len(list) == 0 || o.self.everywhere(list, nil)
}

// extent gives the first instant of stretches and the one at which they are over.
func extent(list []interval) (from, until unlock.Instant) {
	from = forEver
	for _, s := range list {
		from, until = min(from, s.from), max(until, s.until)
	}
	return from, until
}

// text says in words when stretches are open, whatever their bounds.
func (o *siteView) text(list []interval) string {
	if len(list) == 0 {
		return schedule.Schedule{}.String()
	}
	var texts []string
	for _, s := range list {
		if t := o.times[s.times].String(); !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, "; ")
}
