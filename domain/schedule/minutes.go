package schedule

import "math/bits"

// minutes is a set of minutes of one day. Bit m is minute m after midnight.
type minutes [(minutesOfDay + 63) / 64]uint64

// span is the minutes from (inclusive) to (exclusive) of one day.
type span struct{ from, to int16 }

func (m *minutes) add(s span) {
	for at := s.from; at < s.to; {
		word, bit := at/64, at%64
		n := min(64-bit, s.to-at)
		m[word] |= (^uint64(0) >> (64 - n)) << bit
		at += n
	}
}

func (m *minutes) meets(other *minutes) bool {
	for i := range m {
		if m[i]&other[i] != 0 {
			return true
		}
	}
	return false
}

func (m *minutes) within(other *minutes) bool {
	for i := range m {
		if m[i]&^other[i] != 0 {
			return false
		}
	}
	return true
}

func (m minutes) and(other minutes) minutes {
	for i := range m {
		m[i] &= other[i]
	}
	return m
}

func (m minutes) or(other minutes) minutes {
	for i := range m {
		m[i] |= other[i]
	}
	return m
}

func (m *minutes) empty() bool { return *m == minutes{} }

// next returns the first minute at or after from that is in the set. If not is all
// ones, it returns the first minute that is not in the set. If there is none, it
// returns minutesOfDay.
func (m *minutes) next(from int, not uint64) int {
	for from < minutesOfDay {
		word, bit := from/64, from%64
		if rest := (m[word] ^ not) >> bit; rest != 0 {
			return min(from+bits.TrailingZeros64(rest), minutesOfDay)
		}
		from = (word + 1) * 64
	}
	return minutesOfDay
}

// spans appends the maximal spans of the set, in order.
func (m *minutes) spans(to []span) []span {
	for at := m.next(0, 0); at < minutesOfDay; {
		end := m.next(at, ^uint64(0))
		to = append(to, span{int16(at), int16(end)})
		at = m.next(end, 0)
	}
	return to
}
