package schedule

import "math"

// quiet is the number of days after which an unchanged answer cannot change any more.
// During them neither the calendar nor the validity may change: three weeks show every
// minute of every weekday although clocks skip some.
const quiet = 3*daysOfWeek + 1

// NextChange returns the first instant later than after at which Contains changes its
// answer. Both are in nanoseconds since 1970 UTC. It returns false if there is no
// change before April 2262.
func (c *Compiled) NextChange(z *Zone, days *Days, after int64) (int64, bool) {
	now := z.Local(after)
	holds := c.Contains(now, days.Kind(now.Date))
	changed := now.Date // the last date on which calendar or validity changed
	next, more := c.nextDate(days, changed)
	for seconds := floorDiv(after, nano); ; {
		p := z.piece(seconds)
		for more && !p.date.Before(next) {
			changed = next
			next, more = c.nextDate(days, changed)
		}
		if at, ok := p.change(c.on(p.date, p.date.Weekday(), days.Kind(p.date)), holds); ok {
			return at * nano, true
		}
		seconds = p.end
		if p.date.day-changed.day > quiet {
			if !more {
				return 0, false
			}
			seconds = max(seconds, floorDiv(z.Start(next), nano))
		}
		if seconds >= math.MaxInt64/nano {
			return 0, false
		}
	}
}

// nextDate returns the first date later than date at which the kind of day or the
// validity may change.
func (c *Compiled) nextDate(days *Days, date Date) (next Date, found bool) {
	consider := func(d Date) {
		if date.Before(d) && (!found || d.Before(next)) {
			next, found = d, true
		}
	}
	if c != nil {
		consider(c.from)
		consider(c.until.AddDays(1))
	}
	if days != nil {
		for _, r := range days.ranges {
			consider(r.from)
			consider(r.until.AddDays(1))
		}
	}
	return next, found
}

// piece is a period on one date without a transition of the zone. It runs from start to
// end, half-open, in seconds since 1970 UTC. midnight is where its local day begins, by
// the offset of the piece.
type piece struct {
	date                 Date
	start, end, midnight int64
}

// piece returns the piece that contains an instant, cut to begin at that instant.
func (z *Zone) piece(seconds int64) piece {
	i := z.index(seconds)
	offset := int64(z.offsets[i])
	day := floorDiv(seconds+offset, secondsOfDay)
	p := piece{
		date:     Date{int32(day + unixEpochDay)},
		start:    seconds,
		end:      (day+1)*secondsOfDay - offset,
		midnight: day*secondsOfDay - offset,
	}
	if i < len(z.at) {
		p.end = min(p.end, z.at[i])
	}
	return p
}

// change returns the first instant of the piece at which its schedule differs from
// holds. It is in seconds since 1970. The spans are those of the piece's date.
func (p piece) change(spans []span, holds bool) (int64, bool) {
	at := p.start
	for _, s := range spans {
		from, to := p.midnight+int64(s.from)*60, p.midnight+int64(s.to)*60
		if to <= at {
			continue
		}
		if from > at && holds {
			break
		}
		if !holds {
			at = max(at, from)
			return at, at < p.end
		}
		at = to
	}
	return at, holds && at < p.end
}

// NextChange returns the first instant later than after at which Contains changes its
// answer. To query often, compile the schedule and the calendar once.
func NextChange(s Schedule, z *Zone, c Calendar, after int64) (int64, bool) {
	return Compile(s).NextChange(z, c.Compile(), after)
}
