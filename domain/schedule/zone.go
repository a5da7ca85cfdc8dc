package schedule

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// A Transition is an instant at which a zone's offset changes.
type Transition struct {
	// At is in seconds since 1970 UTC.
	At int64 `json:"at"`
	// Offset applies from At on, in seconds east of UTC.
	Offset int32 `json:"offset"`
}

// ZoneRules are the rules of a zone from 1970 on, as data that can be stored.
type ZoneRules struct {
	// Zone is the IANA name, "Europe/Berlin".
	Zone string `json:"zone"`
	// TZData is the version of the time zone database with these rules, such as
	// "2025c".
	TZData string `json:"tzdata"`
	// First is the offset before the first transition, in seconds east of UTC.
	First       int32        `json:"first"`
	Transitions []Transition `json:"transitions,omitempty"`
	// Footer is the rule after the last transition, as a POSIX TZ string with the
	// extensions of RFC 9636; empty means that the last offset stays.
	Footer string `json:"footer,omitempty"`
}

const (
	// MaxTransitions is the greatest number of transitions of one zone. Those of 2025c
	// list 274 at most.
	MaxTransitions = 2000
	// maxOffset bounds offsets as RFC 9636, section 3.2, does.
	maxOffset = 26*3600 - 1
)

// Validate refuses rules that cannot be applied.
func (r ZoneRules) Validate() error {
	if r.Zone == "" {
		return errors.New("the zone rules name no zone")
	}
	if len(r.Transitions) > MaxTransitions {
		return fmt.Errorf("the zone %s has %d transitions, at most %d are allowed", r.Zone, len(r.Transitions), MaxTransitions)
	}
	if !validOffset(r.First) {
		return fmt.Errorf("the zone %s has the offset %d s", r.Zone, r.First)
	}
	for i, t := range r.Transitions {
		if !validOffset(t.Offset) {
			return fmt.Errorf("the zone %s has the offset %d s", r.Zone, t.Offset)
		}
		if t.At < 0 || t.At > math.MaxInt64/nano || i > 0 && t.At <= r.Transitions[i-1].At {
			return fmt.Errorf("the zone %s has a transition out of order at %d", r.Zone, t.At)
		}
	}
	rule, err := parseFooter(r.Footer)
	if err != nil {
		return fmt.Errorf("the zone %s: %w", r.Zone, err)
	}
	last, stays := r.last()
	if offset, _ := rule.after(last); rule.said && offset != stays {
		return fmt.Errorf("the zone %s ends with the offset %d s, but the rule %q begins with %d s", r.Zone, stays, r.Footer, offset)
	}
	return nil
}

// last returns the instant from which the footer applies, in seconds since 1970, and
// the offset there.
func (r ZoneRules) last() (instant int64, offset int32) {
	if n := len(r.Transitions); n > 0 {
		return r.Transitions[n-1].At, r.Transitions[n-1].Offset
	}
	return 0, r.First
}

func validOffset(seconds int32) bool { return seconds >= -maxOffset && seconds <= maxOffset }

const (
	nano = int64(time.Second)
	// bucketBits is the size of a bucket: 2^24 s, 194 days. So a bucket begins at most
	// a few transitions before any instant within it.
	bucketBits = 24
	buckets    = (math.MaxInt64/nano)>>bucketBits + 1
)

// Zone converts instants to the local time of a zone, from tables. It covers every
// instant that an int64 of nanoseconds since 1970 can hold (until April 2262). It is
// immutable and safe for concurrent use.
type Zone struct {
	name string
	// at holds the transitions in seconds since 1970. offsets[i] applies before at[i],
	// and the last offset for ever.
	at      []int64
	offsets []int32
	// first is the number of transitions up to the beginning of each bucket.
	first [buckets]uint16
}

// Local is a local time of a site.
type Local struct {
	Date Date
	// Time is the current minute of the day, 0 to 1439.
	Time    TimeOfDay
	Weekday Weekday
}

// Compile builds the tables of a Zone. From rules that Validate would refuse it uses
// the valid part: transitions in order, and the last offset if the footer is invalid.
func (r ZoneRules) Compile() *Zone {
	z := &Zone{name: r.Zone, offsets: []int32{r.First}}
	var last int64
	for _, t := range r.Transitions {
		if t.At >= last && t.At <= math.MaxInt64/nano && validOffset(t.Offset) {
			z.append(t)
			last = t.At
		}
	}
	if rule, err := parseFooter(r.Footer); err == nil {
		_, later := rule.after(last)
		for _, t := range later {
			z.append(t)
		}
	}
	n := 0
	for b := range z.first {
		for n < len(z.at) && z.at[n] <= int64(b)<<bucketBits {
			n++
		}
		z.first[b] = uint16(n)
	}
	return z
}

// append adds a transition that is not before the last one. It ignores an instant that
// a Zone does not cover.
func (z *Zone) append(t Transition) {
	if t.At > math.MaxInt64/nano {
		return
	}
	n := len(z.at)
	if n > 0 && t.At == z.at[n-1] {
		n--
		z.at, z.offsets = z.at[:n], z.offsets[:n+1]
	}
	if z.offsets[n] != t.Offset {
		z.at, z.offsets = append(z.at, t.At), append(z.offsets, t.Offset)
	}
}

// Name returns the IANA name.
func (z *Zone) Name() string { return z.name }

// SameClock reports whether both zones show the same times from 1970 on.
func (z *Zone) SameClock(other *Zone) bool {
	return slices.Equal(z.at, other.at) && slices.Equal(z.offsets, other.offsets)
}

// Local returns the local time at an instant, in nanoseconds since 1970 UTC. Before
// 1970 the first offset applies. It does not allocate.
func (z *Zone) Local(at int64) Local {
	seconds := floorDiv(at, nano)
	seconds += int64(z.offsets[z.index(seconds)])
	day := floorDiv(seconds, secondsOfDay)
	date := Date{int32(day + unixEpochDay)}
	return Local{Date: date, Time: TimeOfDay((seconds - day*secondsOfDay) / 60), Weekday: date.Weekday()}
}

// index returns the number of transitions up to an instant in seconds since 1970.
func (z *Zone) index(seconds int64) int {
	if seconds < 0 {
		return 0
	}
	i := int(z.first[min(seconds>>bucketBits, buckets-1)])
	for i < len(z.at) && z.at[i] <= seconds {
		i++
	}
	return i
}

// Start returns the first instant of the date, in nanoseconds since 1970 UTC. If the
// clock skips midnight, it is the instant of the skip. The days from one date to
// another, both included, are the instants from Start(one), included, to
// Start(other.AddDays(1)), excluded. Dates after April 2262 start at the greatest
// int64.
func (z *Zone) Start(date Date) int64 { return z.Instant(DateTime{Date: date}) }

// Instant returns the first instant at which the local clock shows t or later. It is in
// nanoseconds since 1970 UTC, saturated. For a time that the clock skips it is the
// instant of the skip; for a time that the clock repeats it is the first of the two.
func (z *Zone) Instant(t DateTime) int64 {
	reading := (int64(t.Date.day)-unixEpochDay)*secondsOfDay + int64(t.Time)*60
	i := z.index(reading - maxOffset)
	for ; i < len(z.at) && reading-int64(z.offsets[i]) >= z.at[i]; i++ {
	}
	seconds := reading - int64(z.offsets[i])
	if i > 0 {
		seconds = max(seconds, z.at[i-1])
	}
	return saturate(seconds)
}

// Nanos returns the instant of t in nanoseconds since 1970 UTC. It saturates where
// UnixNano is undefined.
func Nanos(t time.Time) int64 {
	seconds := t.Unix()
	if seconds >= math.MaxInt64/nano || seconds <= math.MinInt64/nano {
		return saturate(seconds)
	}
	return t.UnixNano()
}

func saturate(seconds int64) int64 {
	if seconds >= math.MaxInt64/nano {
		return math.MaxInt64
	}
	if seconds <= math.MinInt64/nano {
		return math.MinInt64
	}
	return seconds * nano
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
