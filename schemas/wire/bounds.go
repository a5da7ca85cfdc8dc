package wire

import (
	"encoding/json"
	"fmt"
	"io"
)

// # Bounds of foreign input
//
// Everything that is read from outside the process is checked against one of the Bounds
// below before a decoder sees it. The memory of a decoder then grows with the size of
// its input, and by at most a factor that its fuzz test verifies.

// Bounds limit a JSON text. A zero value sets no bound, but for Depth.
type Bounds struct {
	Size  int // bytes
	Depth int // arrays and objects within each other; zero means MaxDepth
	Items int // entries of any one array
	Count int // values in all: fields and entries
}

// MaxDepth is the greatest nesting of arrays and objects. No message of Gatehouse has
// more than ten levels.
const MaxDepth = 50

// The bounds of the messages between gateways and the service.
var (
	// ActivityBounds bound one record of a gateway.
	ActivityBounds = Bounds{Size: 64 << 10, Items: 1000, Count: 10_000}
	// OrderBounds bound an order.
	OrderBounds = Bounds{Size: 8 << 10, Items: 20, Count: 100}
	// OrderAnswerBounds bound the answer to an order.
	OrderAnswerBounds = Bounds{Size: MaxOrderAnswer, Items: 10, Count: 100}
	// AskBounds bound the first line of a request of a gateway, and of its answer.
	AskBounds = Bounds{Size: 16 << 10, Items: 10, Count: 100}
	// PinBounds bound the digits of PINs that a gateway is told at once.
	PinBounds = Bounds{Size: 64 << 10, Items: MaxPins, Count: MaxPins}
	// PermissionBounds bound one message of permissions.
	PermissionBounds = Bounds{Size: MaxPermissionBody}
	joinedBounds     = Bounds{Size: maxUnzipped} // of a delta in parts
	// RowBounds bound one row of a base, and its header.
	RowBounds = Bounds{Size: 1 << 20}
)

// maxParts bounds the number of messages of one base or delta. maxUnzipped bounds their
// size in bytes after decompression.
const (
	maxParts    = 1000
	maxUnzipped = 1 << 30
)

// A BoundError names the bound that a JSON text exceeds.
type BoundError struct {
	What string // "bytes", "levels", "entries in one list", "values"
	Most int
}

// Error names the bound and says what to do.
func (e *BoundError) Error() string {
	return fmt.Sprintf("it has more than %d %s, which are not read; send less at once", e.Most, e.What)
}

// Check returns a [BoundError] for the first bound that a text exceeds. It reads the
// text once, builds nothing, and leaves all other faults to the decoder.
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

// boundWalk is the state of a check: the depth, and the count of each list above.
type boundWalk struct {
	Bounds
	depth, count int
	lists        [MaxDepth + 1]int // by depth: commas of the array; -1 means an object
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

// unzipped reads decompressed bytes and fails when they exceed the rest of the bound.
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

// Decode decodes a JSON text that is within bounds. Unknown fields are ignored.
func (b Bounds) Decode(data []byte, into any) error {
	if err := b.Check(data); err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
