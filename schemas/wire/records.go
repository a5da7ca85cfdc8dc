package wire

import (
	"fmt"
	"regexp"
	"time"
)

// Bounds of the records that a gateway sends in one request.
const (
	MaxRecords     = 1000      // the server's limit for an atomic batch
	MaxRecordsSize = 480 << 10 // bytes of all, so that a request with its header stays below MaxAsk
	MaxRecord      = 4 << 10   // bytes of one
)

// RecordsEnd is where the stored records of a gateway end.
type RecordsEnd struct {
	K    uint64 `json:"k"`    // counter of the last; 0: there is none
	Boot uint64 `json:"boot"` // in which it was made
	Prev Hash   `json:"prev"` // its hash, the prev of the next
}

// Records are records of one gateway that follow one another.
type Records struct {
	First, Last *Activity
	LastHash    Hash
	bodies      [][]byte
	hashes      []Hash
}

var activityTypeText = regexp.MustCompile(`^[a-z]{1,20}(_[a-z]{1,20}){0,3}\.[a-z]{1,20}(_[a-z]{1,20}){0,3}$`)

// The instants that a record may have. Beyond them it is damaged, not a clock that is
// wrong.
var (
	earliestRecord = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC) // a clock without battery begins there
	latestRecord   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// CheckRecords checks that bodies are records of a gateway that follow one another by
// counter and hash. The error is an *AskError.
func CheckRecords(gateway ID, bodies [][]byte) (*Records, error) {
	size := 0
	for _, b := range bodies {
		size += len(b)
	}
	if n := len(bodies); n == 0 || n > MaxRecords || size > MaxRecordsSize {
		return nil, &AskError{Code: AskTooLarge, Message: fmt.Sprintf("%d records of %d bytes came at once; send 1 to %d records of at most %d bytes in all", n, size, MaxRecords, MaxRecordsSize)}
	}
	r := &Records{bodies: bodies, hashes: make([]Hash, len(bodies))}
	for i, body := range bodies {
		a, err := checkRecord(gateway, body)
		if err != nil {
			return nil, &AskError{Code: AskMalformed, Message: fmt.Sprintf("record %d of %d: %v", i+1, len(bodies), err)}
		}
		if i > 0 && (a.K != r.Last.K+1 || a.Prev != r.LastHash) {
			return nil, &AskError{Code: AskForked, Message: fmt.Sprintf("record %d with the counter %d does not follow the one before it", i+1, a.K)}
		}
		if i == 0 {
			r.First = a
		}
		r.Last, r.LastHash = a, HashOf(body)
		r.hashes[i] = r.LastHash
	}
	return r, nil
}

// checkRecord reads one record. A version or a type that this code does not know is no
// fault.
func checkRecord(gateway ID, body []byte) (*Activity, error) {
	if len(body) > MaxRecord {
		return nil, fmt.Errorf("it has %d bytes, at most %d are taken", len(body), MaxRecord)
	}
	a, err := DecodeActivity(body)
	switch {
	case err != nil:
		return nil, err
	case a.Gateway != gateway:
		return nil, fmt.Errorf("it is a record of the gateway %q, not of %s", a.Gateway, gateway)
	case a.V < 1:
		return nil, fmt.Errorf("it has no version")
	case a.K == 0 || a.Boot == 0:
		return nil, fmt.Errorf("its counter is %d and its boot %d; both begin at 1", a.K, a.Boot)
	case !activityTypeText.MatchString(string(a.Type)):
		return nil, fmt.Errorf("%.40q is no type of a record", a.Type)
	case a.At.Before(earliestRecord) || !a.At.Before(latestRecord):
		return nil, fmt.Errorf("at is %s, which no clock shows", a.At.Format(time.RFC3339))
	case a.RecordedAt.Before(earliestRecord) || !a.RecordedAt.Before(latestRecord):
		return nil, fmt.Errorf("recorded_at is %s, which no clock shows", a.RecordedAt.Format(time.RFC3339))
	}
	return a, nil
}

// Behind gives the bodies that come after the stored end: all, some, or none when all are
// stored. Records that do not follow the end are an *AskError: some are missing, or
// another box wrote under the same identity.
func (r *Records) Behind(end RecordsEnd) ([][]byte, error) {
	switch {
	case r.First.K > end.K+1:
		return nil, &AskError{Code: AskGap, Message: fmt.Sprintf("the records begin at %d, but those stored end at %d; send those in between first", r.First.K, end.K)}
	case r.First.K == end.K+1:
		if r.First.Prev != end.Prev {
			return nil, forked(end)
		}
		return r.bodies, nil
	case r.Last.K < end.K:
		return nil, nil // the answer gives the end, by which the gateway compares
	}
	stored := int(end.K - r.First.K) // index of the last that is stored
	if r.hashes[stored] != end.Prev {
		return nil, forked(end)
	}
	return r.bodies[stored+1:], nil
}

func forked(end RecordsEnd) *AskError {
	return &AskError{Code: AskForked, Message: fmt.Sprintf("the stored records end at %d with another record; two boxes may have the identity of this gateway", end.K)}
}
