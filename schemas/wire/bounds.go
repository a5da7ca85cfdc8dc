package wire

import (
	"encoding/json"
	"fmt"
	"io"
)

// # What foreign bytes may be
//
// Everything that is read from outside the process passes one of the Bounds below
// before a decoder sees it: a decoder's memory then grows with the size of what it is
// given, and by no more than a factor that its fuzz test holds.

// Bounds say what a JSON text may be. Zero values set no bound, but for Depth.
type Bounds struct {
	Size  int // bytes
	Depth int // arrays and objects within each other; zero means MaxDepth
	Items int // entries of any one array
	Count int // values in all: fields and entries
}

// MaxDepth is how many arrays and objects stand within each other at most. No
// message of Gatehouse has more than ten.
const MaxDepth = 50

// The bounds of what gateways and the service read of each other.
var (
	// ActivityBounds bound one record of a gateway.
	ActivityBounds = Bounds{Size: 64 << 10, Items: 1000, Count: 10_000}
	// OrderAnswerBounds bound the answer of a gateway to an order.
	OrderAnswerBounds = Bounds{Size: MaxOrderAnswer, Items: 10, Count: 100}
	// PermissionBounds bound one message of permissions.
	PermissionBounds = Bounds{Size: MaxPermissionBody}
	joinedBounds     = Bounds{Size: maxUnzipped} // of a delta in parts
	// RowBounds bound one row of a base, and its header.
	RowBounds = Bounds{Size: 1 << 20}
)

// maxParts bounds of how many messages a base or a delta is put together, and
// maxUnzipped how many bytes they hold when they are unzipped.
const (
	maxParts    = 1000
	maxUnzipped = 1 << 30
)

// A BoundError tells which bound a JSON text is beyond.
type BoundError struct {
	What string // "bytes", "levels", "entries in one list", "values"
	Most int
}

// Error tells the bound and what to do.
func (e *BoundError) Error() string {
	return fmt.Sprintf("it has more than %d %s, which are not read; send less at once", e.Most, e.What)
}

// Check reports with a [BoundError] the first bound that a text is beyond. It reads
// the text once, builds nothing, and leaves to the decoder what else is wrong.
func (b Bounds) Check(data []byte) error {
	if b.Size > 0 && len(data) > b.Size {
		return &BoundError{"bytes", b.Size}
	}
	w := boundWalk{Bounds: b}
	if w.Depth == 0 || w.Depth > MaxDepth {
		w.Depth = MaxDepth
	}
	quoted := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		if quoted {
			if c == '\\' {
				i++
			}
			quoted = c != '"'
			continue
		}
		if c == '"' {
			quoted = true
			continue
		}
		if err := w.meet(c); err != nil {
			return err
		}
	}
	return nil
}

// boundWalk is how far a text was read: how deep, and how much of each list above.
type boundWalk struct {
	Bounds
	depth, count int
	lists        [MaxDepth + 1]int // by depth: commas of the array; -1: an object
}

func (w *boundWalk) meet(c byte) error {
	switch c {
	case '[', '{':
		if w.depth == w.Depth {
			return &BoundError{"levels of lists and objects within each other", w.Depth}
		}
		w.depth++
		w.count++
		w.lists[w.depth] = 0
		if c == '{' {
			w.lists[w.depth] = -1
		}
	case ']', '}':
		w.depth = max(w.depth-1, 0)
	case ',':
		w.count++
		if w.lists[w.depth] >= 0 {
			w.lists[w.depth]++
		}
		if w.Items > 0 && w.lists[w.depth] >= w.Items {
			return &BoundError{"entries in one list", w.Items}
		}
	}
	if w.Count > 0 && w.count > w.Count {
		return &BoundError{"values", w.Count}
	}
	return nil
}

// unzipped reads what was zipped until that is more than is left.
type unzipped struct {
	from io.Reader
	left int
}

func (u *unzipped) Read(to []byte) (int, error) {
	n, err := u.from.Read(to)
	if u.left -= n; u.left < 0 {
		return 0, &BoundError{"bytes when unzipped", maxUnzipped}
	}
	return n, err
}

// Decode decodes a JSON text that is within bounds. Unknown fields are passed over.
func (b Bounds) Decode(data []byte, into any) error {
	if err := b.Check(data); err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
