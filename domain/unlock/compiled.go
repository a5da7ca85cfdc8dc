package unlock

import (
	"math"
	"math/bits"
	"reflect"

	"gatehouse/domain/schedule"
)

// site is the row of the site made quick to ask.
type site struct {
	row         *Site
	zone        *schedule.Zone
	days        *schedule.Days
	special     daysOfUTC
	blackouts   *schedule.Spans
	fobSchedule key

	postureUntil   Instant // never zero
	posture        Posture // of doors without a unit; Normal in a lockdown
	lockdown       bool
	sharedUserFobs bool
	// lockdownShutsOut says that a lockdown denies side out too.
	lockdownShutsOut bool
}

// compileSite keeps the zone of the site before when its rules are the same.
func compileSite(r *Site, before *site) *site {
	s := &site{
		row: r, days: r.Calendar.Compile(), fobSchedule: keyOf(IDOf(r.FobSchedule)),
		postureUntil: end(r.PostureUntil), posture: r.Posture, sharedUserFobs: r.SharedUserFobs, lockdownShutsOut: r.LockdownShutsOut,
	}
	if r.Posture == Lockdown {
		s.posture, s.lockdown = Normal, true
	}
	if before != nil && reflect.DeepEqual(r.Zone, before.row.Zone) {
		s.zone = before.zone
	} else {
		s.zone = r.Zone.Compile()
	}
	if len(r.Blackouts) > 0 {
		s.blackouts = r.Blackouts.Compile(s.zone)
	}
	s.special = specialDays(r.Calendar, s.zone)
	return s
}

// daysOfUTC are days of UTC during which some day of a calendar may be special.
// Most instants are none of theirs, and are spared a search.
type daysOfUTC struct {
	first int64 // days since 1970
	days  []uint64
}

const (
	second   = 1_000_000_000
	dayOfUTC = 24 * 3600 * second
)

func specialDays(c schedule.Calendar, z *schedule.Zone) daysOfUTC {
	d := daysOfUTC{first: math.MaxInt64}
	last := int64(math.MinInt64)
	spans := make([][2]int64, len(c))
	for i, s := range c {
		until := s.Until
		if until.IsZero() {
			until = s.Date
		}
		spans[i] = [2]int64{z.Start(s.Date) / dayOfUTC, z.Start(until.AddDays(1)) / dayOfUTC}
		d.first, last = min(d.first, spans[i][0]), max(last, spans[i][1])
	}
	if len(c) == 0 {
		return d
	}
	d.days = make([]uint64, (last-d.first)/64+1)
	for _, s := range spans {
		for day := s[0] - d.first; day <= s[1]-d.first; day++ {
			d.days[day/64] |= 1 << (day % 64)
		}
	}
	return d
}

// mayHold reports whether the day of an instant may be special.
func (d *daysOfUTC) mayHold(at Instant) bool {
	if at < 0 {
		return len(d.days) > 0
	}
	day := uint64(int64(at)/dayOfUTC - d.first)
	return day/64 < uint64(len(d.days)) && d.days[day/64]&(1<<(day%64)) != 0
}

// door is the row of a door made quick to ask, in one line of memory.
type door struct {
	row          *Door
	key          key
	postureUntil Instant // never zero
	blackouts    *schedule.Spans
	hours        *[]key // of the rights whose business hours it keeps; nil: none
	occupancy    uint32
	posture      Posture
	class        DoorClass
	afterLease   AfterLease
	factor       Factor
	presence     Presence
	capabilities uint8
	enabled      bool
	entry        bool
	fireRelease  bool
}

// compileDoor needs the zone for blackouts; without a site nothing opens anyway.
func compileDoor(r *Door, s *site) *door {
	d := &door{
		row: r, key: keyOf(IDOf(r.ID)), postureUntil: end(r.PostureUntil), occupancy: r.Occupancy,
		posture: r.Posture, class: r.Class, afterLease: r.AfterLease, factor: r.Factor, presence: r.Presence,
		capabilities: set(r.Capabilities), enabled: r.Enabled, entry: r.Entry, fireRelease: r.FireRelease,
	}
	if len(r.Hours) > 0 {
		hours := make([]key, len(r.Hours))
		for i, id := range r.Hours {
			hours[i] = keyOf(IDOf(id))
		}
		d.hours = &hours
	}
	if s != nil && len(r.Blackouts) > 0 {
		d.blackouts = r.Blackouts.Compile(s.zone)
	}
	return d
}

// fewDoors is how many doors of a right lie in its first line of memory: those of
// a unit.
const fewDoors = 3

// right is the row of a right made quick to ask.
type right struct {
	schedule key
	few      [fewDoors]key // the doors, while they are no more
	// many are more doors as a hash table with open addressing, at most half full;
	// its length is a power of two.
	many  []key
	row   *Right
	hours hours
	// capabilities are those of every grant of the right.
	capabilities uint8
}

// hours are business hours made quick to ask; without a schedule there are none.
type hours struct {
	schedule key
	firstIn  bool
	grace    Instant // as a length of time
}

func compileRight(r *Right) *right {
	c := &right{row: r, schedule: keyOf(IDOf(r.Schedule)), capabilities: set(r.Capabilities)}
	if h := r.Hours; h != nil {
		c.hours = hours{keyOf(IDOf(h.Schedule)), h.FirstIn, Instant(h.Grace) * second}
	}
	if len(r.Doors) <= fewDoors {
		for i, d := range r.Doors {
			c.few[i] = keyOf(IDOf(d))
		}
		return c
	}
	c.many = make([]key, 1<<bits.Len(uint(2*len(r.Doors)-1)))
	for _, d := range r.Doors {
		k := keyOf(IDOf(d))
		i := c.place(k)
		for c.many[i] != (key{}) {
			i = (i + 1) & (len(c.many) - 1)
		}
		c.many[i] = k
	}
	return c
}

// place is where a door would lie if no other did.
func (r *right) place(door key) int { return int(door.lo) & (len(r.many) - 1) }

// has reports whether the door is one of the right's. The key of a door is never
// zero, as places are that nothing has taken.
func (r *right) has(door key) bool {
	if r.few[0] == door || r.few[1] == door || r.few[2] == door {
		return true
	}
	if r.many == nil {
		return false
	}
	for i := r.place(door); r.many[i] != (key{}); i = (i + 1) & (len(r.many) - 1) {
		if r.many[i] == door {
			return true
		}
	}
	return false
}

// timetable is the row of a schedule made quick to ask.
type timetable struct {
	row      *Schedule
	compiled *schedule.Compiled
}

// closedAt reports whether a blackout of the schedule's own holds.
func (t *timetable) closedAt(at Instant) bool {
	for _, w := range t.row.Closed {
		if begin(w.From) <= at && at < end(w.Until) {
			return true
		}
	}
	return false
}

func compileSchedule(r *Schedule) *timetable {
	return &timetable{row: r, compiled: schedule.Compile(r.Schedule)}
}

// begin and end give the bounds of windows without the case of none.
func begin(i Instant) Instant {
	if i == 0 {
		return math.MinInt64
	}
	return i
}

func end(i Instant) Instant {
	if i == 0 {
		return math.MaxInt64
	}
	return i
}

// set gives small values as the bits of a byte.
func set[E ~uint8](values []E) uint8 {
	var s uint8
	for _, v := range values {
		s |= 1 << v
	}
	return s
}
