package domain

// Door is whatever a gateway opens: a gate, a lift, the door of a unit.
type Door struct {
	ID           ID               `json:"id"`
	Site         ID               `json:"site"`
	Name         string           `json:"name"`
	Kind         DoorKind         `json:"kind"`
	Unit         ID               `json:"unit,omitempty"` // of a unit's door
	In           ID               `json:"in,omitempty"`   // area behind the door
	Out          ID               `json:"out,omitempty"`  // area before the door
	Class        DoorClass        `json:"class,omitempty"`
	Disabled     bool             `json:"disabled,omitzero"`
	FireRelease  bool             `json:"fire_release,omitzero"`  // released at once by the fire input
	AfterLease   string           `json:"after_lease,omitempty"`  // deny (default) or last_table
	Capabilities []DoorCapability `json:"capabilities,omitempty"` // sorted
}

// DoorKind says what the door leads to. Gatelock shuts every kind but unit,
// overlock all.
type DoorKind string

// The kinds of door.
const (
	DoorEntry DoorKind = "entry" // of the site or a building
	DoorGate  DoorKind = "gate"
	DoorLift  DoorKind = "lift"
	DoorInner DoorKind = "inner"
	DoorUnit  DoorKind = "unit" // of one unit
)

// DoorClass sets how long a gateway may decide without the service.
type DoorClass string

// The classes of door, with the lease of each.
const (
	ClassStandard DoorClass = "standard" // 15 minutes; the default
	ClassCritical DoorClass = "critical" // 30 seconds
)

// DoorCapability is what the lock can do beside opening for a credential.
type DoorCapability string

// The capabilities of doors.
const (
	CapabilityRemoteUnlock DoorCapability = "remote_unlock"
	CapabilityUnlockFor    DoorCapability = "unlock_for"
)

func (d *Door) keys() []string {
	k := []string{"site:" + string(d.Site)}
	if d.Unit != "" {
		k = append(k, "unit:"+string(d.Unit))
	}
	for _, a := range []ID{d.In, d.Out} {
		if a != "" {
			k = append(k, "area:"+string(a))
		}
	}
	return k
}

var doorWords = words{}
