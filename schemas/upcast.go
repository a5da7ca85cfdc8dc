package schemas

import (
	"encoding/json"
	"fmt"
)

// step is one version of a stored event.
type step struct {
	event string
	from  int
}

// upcasters bring a stored event one version up. Each is pure; a stored commit is
// never rewritten. The examples in testdata/events hold a body of every version
// that was ever written and are read by a test for ever.
var upcasters = map[step]func(json.RawMessage) (json.RawMessage, error){}

// upcast brings the data of an event from a version to the present one.
func upcast(event string, from, to int, data json.RawMessage) (json.RawMessage, error) {
	if from < 1 || from > to {
		return nil, fmt.Errorf("%s has version %d, this code reads 1 to %d", event, from, to)
	}
	for v := from; v < to; v++ {
		up, ok := upcasters[step{event, v}]
		if !ok {
			return nil, fmt.Errorf("%s: nothing brings version %d to %d", event, v, v+1)
		}
		next, err := up(data)
		if err != nil {
			return nil, fmt.Errorf("%s: version %d: %w", event, v, err)
		}
		data = next
	}
	return data, nil
}
