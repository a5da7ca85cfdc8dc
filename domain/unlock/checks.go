package unlock

import (
	"encoding/json"
	"fmt"
	"math/bits"
)

// Checks is a set of denials. Its wire form is the list of their texts in order
// of precedence.
type Checks uint64

// check gives the set of one denial.
func check(c Code) Checks { return 1 << (c - firstDenial) }

// denial gives the set of what denies a state; NoCode is none.
func denial(c Code) Checks {
	if c == NoCode {
		return 0
	}
	return check(c)
}

// Has reports whether the denial is in the set.
func (s Checks) Has(c Code) bool {
	return c >= firstDenial && c < endOfDenials && s&check(c) != 0
}

// With gives the set with one more denial.
func (s Checks) With(c Code) Checks { return s | check(c) }

// First gives the denial that comes first in order of precedence, NoCode of the
// empty set.
func (s Checks) First() Code {
	if s == 0 {
		return NoCode
	}
	return firstDenial + Code(bits.TrailingZeros64(uint64(s)))
}

// Codes lists the denials in order of precedence.
func (s Checks) Codes() []Code {
	list := make([]Code, 0, bits.OnesCount64(uint64(s)))
	for ; s != 0; s &= s - 1 {
		list = append(list, s.First())
	}
	return list
}

// MarshalJSON writes the list.
func (s Checks) MarshalJSON() ([]byte, error) { return json.Marshal(s.Codes()) }

// UnmarshalJSON reads the list.
func (s *Checks) UnmarshalJSON(data []byte) error {
	var list []Code
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*s = 0
	for _, c := range list {
		if c < firstDenial {
			return fmt.Errorf("%s is no denial", c)
		}
		*s |= check(c)
	}
	return nil
}
