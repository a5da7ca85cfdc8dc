package wire

import (
	"encoding/json"
	"fmt"
	"time"
)

// Activity is what was observed at a door, a gateway or a device: a read and its
// decision, a door held open, a receipt. It holds ids and tags only. The gateway
// is the sole writer of its subject and counts its records without gaps.
type Activity struct {
	Gateway    ID              `json:"gateway"`
	Boot       uint64          `json:"boot"` // which start of the gateway, from 1
	K          uint64          `json:"k"`    // 1, 2, 3 … for the gateway, on across boots
	Prev       Hash            `json:"prev"` // of the gateway's previous record as stored
	Type       string          `json:"type"` // access_granted, access_denied, …
	At         time.Time       `json:"at"`   // when it happened, by the gateway's estimate
	RecordedAt time.Time       `json:"recorded_at"`
	Door       ID              `json:"door,omitempty"`
	Side       string          `json:"side,omitempty"` // in or out
	Credential ID              `json:"credential,omitempty"`
	Tag        string          `json:"tag,omitempty"`     // of a credential that nobody knows, hex
	TagKey     uint32          `json:"tag_key,omitempty"` // version of the key that it was made with
	Person     ID              `json:"person,omitempty"`
	Code       string          `json:"code,omitempty"` // of the decision
	Failed     []string        `json:"failed,omitempty"`
	Grant      string          `json:"grant,omitempty"`
	Local      json.RawMessage `json:"local,omitempty"`    // what only the gateway knew when it decided
	Position   string          `json:"position,omitempty"` // of the table that was decided on
	Digest     string          `json:"digest,omitempty"`   // of that table, hex
	Clock      string          `json:"clock,omitempty"`    // service, rtc, unsure or given (a time that came with the data)
	Source     string          `json:"source,omitempty"`   // of a record that was read from a file: its name and line
	Line       string          `json:"line,omitempty"`     // of such a record: a tag of the line and all before it, behind the version of the tag's key
}

// The types of activity records that reading a credential leads to.
const (
	AccessGranted = "access_granted"
	AccessDenied  = "access_denied"
)

// Encode writes the body of the record.
func (a *Activity) Encode() ([]byte, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("wire: write activity %d of %s: %w", a.K, a.Gateway, err)
	}
	return b, nil
}

// DecodeActivity reads the body of a record. Unknown fields are kept out, not
// refused: a newer gateway may say more.
func DecodeActivity(body []byte) (*Activity, error) {
	var a Activity
	if err := ActivityBounds.Decode(body, &a); err != nil {
		return nil, fmt.Errorf("wire: read activity: %w", err)
	}
	return &a, nil
}
