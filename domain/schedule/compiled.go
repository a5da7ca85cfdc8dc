package schedule

// Compiled is a schedule in a form that is quick to query. It is immutable and safe for
// concurrent use. A nil Compiled never holds.
type Compiled struct {
	from, until Date
	ignore      bool
	// plain are the indices into spans at which each day of the week begins, and the
	// index at which the last one ends.
	plain [daysOfWeek + 1]uint32
	kinds []compiledKind
	spans []span
}

type compiledKind struct {
	kind Kind
	days [daysOfWeek + 1]uint32
}

// Compile converts the schedule to the form that is quick to query. Windows that
// Validate would refuse never hold.
func Compile(s Schedule) *Compiled {
	w := reduce(s)
	c := &Compiled{from: w.from, until: w.until, ignore: w.ignore}
	if c.until.IsZero() {
		c.until = Date{lastDay}
	}
	c.plain = c.lay(&w.plain)
	for i := range w.kinds {
		c.kinds = append(c.kinds, compiledKind{w.kinds[i].kind, c.lay(&w.kinds[i].days)})
	}
	return c
}

func (c *Compiled) lay(days *[daysOfWeek]minutes) (places [daysOfWeek + 1]uint32) {
	for d := range days {
		places[d] = uint32(len(c.spans))
		c.spans = days[d].spans(c.spans)
	}
	places[daysOfWeek] = uint32(len(c.spans))
	return places
}

// Contains reports whether the schedule holds at a local time. The site's calendar
// marks the date with kind; "" means an ordinary day. Contains does not allocate.
func (c *Compiled) Contains(local Local, kind Kind) bool {
	for _, s := range c.on(local.Date, local.Weekday, kind) {
		if int16(local.Time) < s.to {
			return int16(local.Time) >= s.from
		}
	}
	return false
}

// on returns the minutes of a date at which the schedule holds, as maximal spans in
// order.
func (c *Compiled) on(date Date, weekday Weekday, kind Kind) []span {
	if c == nil || date.day < c.from.day || date.day > c.until.day {
		return nil
	}
	days := &c.plain
	if kind != "" && !c.ignore {
		if days = c.days(kind); days == nil {
			return nil
		}
	}
	return c.spans[days[weekday]:days[weekday+1]]
}

func (c *Compiled) days(kind Kind) *[daysOfWeek + 1]uint32 {
	for i := range c.kinds {
		if c.kinds[i].kind == kind {
			return &c.kinds[i].days
		}
	}
	return nil
}

// Contains reports whether the schedule holds at an instant, in nanoseconds since 1970
// UTC. The zone and the calendar are those of the site. To query many instants, compile
// the schedule and the calendar once.
func Contains(s Schedule, z *Zone, c Calendar, at int64) bool {
	local := z.Local(at)
	return Compile(s).Contains(local, c.Compile().Kind(local.Date))
}
