package wire

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// ActivityVersion is the version of the records that this code writes. Records from
// before versions have none.
const ActivityVersion = 1

// Activity is what was observed at a door, a gateway or a device: a read and its
// decision, a door held open, a receipt. It holds ids and tags only. The gateway
// is the sole writer of its subject and counts its records without gaps.
type Activity struct {
	V          int             `json:"v,omitempty"` // version of the record, ActivityVersion; none: written before there were versions
	Gateway    ID              `json:"gateway"`
	Boot       uint64          `json:"boot"` // which start of the gateway, from 1
	K          uint64          `json:"k"`    // 1, 2, 3 … for the gateway, on across boots
	Prev       Hash            `json:"prev"` // of the gateway's previous record as stored
	Type       ActivityType    `json:"type"` // access.granted, door.held_open, …; a reader keeps a type that it does not know
	At         time.Time       `json:"at"`   // when it happened, by the gateway's estimate
	RecordedAt time.Time       `json:"recorded_at"`
	Severity   Severity        `json:"severity,omitempty"` // empty means that of its type
	Door       ID              `json:"door,omitempty"`
	Side       string          `json:"side,omitempty"`       // in or out
	Method     Method          `json:"method,omitempty"`     // by which means somebody asked, or the door was moved
	Slot       uint32          `json:"slot,omitempty"`       // in which the device keeps the code, from 1
	Credential ID              `json:"credential,omitempty"` // never one for duress, but in a record of duress
	Tag        string          `json:"tag,omitempty"`        // of a credential that nobody knows, hex
	TagKey     uint32          `json:"tag_key,omitempty"`    // version of the key that it was made with
	Person     ID              `json:"person,omitempty"`
	Code       string          `json:"code,omitempty"` // of the decision
	Failed     []string        `json:"failed,omitempty"`
	Grant      string          `json:"grant,omitempty"`
	Of         uint64          `json:"of,omitempty"`         // counter of the gateway's record that this one completes
	OfGateway  ID              `json:"of_gateway,omitempty"` // whose record Of is, where the service completes it
	Order      ID              `json:"order,omitempty"`      // of the service, that the gateway carried out
	HowKnown   HowKnown        `json:"how_known,omitempty"`  // empty means that the gateway did it itself, as it decides
	Local      json.RawMessage `json:"local,omitempty"`      // what only the gateway knew when it decided, but for the end of its lease
	Position   string          `json:"position,omitempty"`   // of the table that was decided on
	Digest     string          `json:"digest,omitempty"`     // of that table, hex
	Clock      Clock           `json:"clock,omitempty"`
	// ClockErrorMS is how far At may be from the time of the service either way, in
	// milliseconds; none where that is not known.
	ClockErrorMS uint32    `json:"clock_error_ms,omitempty"`
	LeaseEnd     time.Time `json:"lease_end,omitzero"` // of the lease under which it was decided; none: there was none, or none is needed
	Changed      time.Time `json:"changed,omitzero"`   // of access.stale: when the commit of Position was made
	Source       string    `json:"source,omitempty"`   // of a record that was read from a file: its name and line
	Line         string    `json:"line,omitempty"`     // of such a record: a tag of the line and all before it, behind the version of the tag's key
}

// Method is the means by which somebody asked to pass, or a door was moved.
type Method string

// The methods.
const (
	MethodFob           Method = "fob"
	MethodCard          Method = "card"
	MethodPin           Method = "pin"
	MethodMobileKey     Method = "mobile_key"
	MethodRemote        Method = "remote"          // a remote unlock that the service ordered
	MethodPosture       Method = "posture"         // a schedule or an order of the site moved the door
	MethodRequestToExit Method = "request_to_exit" // a button or a sensor on the inside
	MethodFire          Method = "fire"
	MethodKey           Method = "key"     // a mechanical key or the thumb turn
	MethodUnknown       Method = "unknown" // the device does not tell
)

// HowKnown is how a gateway knows what it records.
type HowKnown string

// The ways of knowing.
const (
	KnownSensor  HowKnown = "sensor"  // a sensor showed it
	KnownAssumed HowKnown = "assumed" // it was ordered, and nothing shows whether it happened
	KnownClaimed HowKnown = "claimed" // a device that decides by itself says so
)

// Clock is the source of a record's time.
type Clock string

// The sources of time.
const (
	ClockService Clock = "service" // the service's time, carried on by a monotonic clock
	ClockRTC     Clock = "rtc"     // the gateway's own clock
	ClockUnsure  Clock = "unsure"  // the gateway's own clock, after a start without the service
	ClockGiven   Clock = "given"   // a time that came with the data
)

// Encode writes the body of the record, in the present version.
func (a *Activity) Encode() ([]byte, error) {
	a.V = ActivityVersion
	b, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("wire: write activity %d of %s: %w", a.K, a.Gateway, err)
	}
	return b, nil
}

// DecodeActivity reads the body of a record. Unknown fields are kept out, not
// refused: a newer gateway may say more. A type of before there were versions is given
// as it is named now.
func DecodeActivity(body []byte) (*Activity, error) {
	var a Activity
	if err := ActivityBounds.Decode(body, &a); err != nil {
		return nil, fmt.Errorf("wire: read activity: %w", err)
	}
	if a.V == 0 {
		a.Type = ActivityType(strings.Replace(string(a.Type), "_", ".", 1))
	}
	return &a, nil
}

// Known reports whether this code knows the version and the type of the record. One
// that it does not know is kept, and shown as unknown.
func (a *Activity) Known() bool {
	_, ok := activityTypes[a.Type]
	return ok && a.V <= ActivityVersion
}

// Weight is the severity of the record: its own, or that of its type. Of an unknown
// record it is a warning, for somebody has to look at it.
func (a *Activity) Weight() Severity {
	switch {
	case a.Severity != "":
		return a.Severity
	case !a.Known():
		return Warning
	}
	return activityTypes[a.Type].Severity
}
