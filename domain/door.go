package domain

import "reflect"

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
	FireRelease  bool             `json:"fire_release,omitzero"` // released at once by the fire input
	AfterLease   AfterLease       `json:"after_lease,omitempty"`
	Capabilities []DoorCapability `json:"capabilities,omitempty"` // sorted
	Posture      DoorPosture      `json:"posture,omitzero"`
	Hours        ID               `json:"hours,omitempty"`    // schedule on which it stands open; none: at no times
	Lockdown     string           `json:"lockdown,omitempty"` // id of the command that shut it; none: it is not locked down by itself
	// Capacity is how many fobs, cards and PINs its device has room for; 0: any number.
	Capacity int `json:"capacity,omitzero"`
	Gateway  ID  `json:"gateway,omitempty"` // that opens it; none: no gateway was assigned
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

func (k DoorKind) check() error {
	return oneOf(k, DoorEntry, DoorGate, DoorLift, DoorInner, DoorUnit)
}

// DoorClass sets how long a gateway may decide without the service.
type DoorClass string

// The classes of door, with the lease of each.
const (
	ClassStandard DoorClass = "standard" // 15 minutes; the default
	ClassCritical DoorClass = "critical" // 30 seconds
)

func (c DoorClass) check() error { return oneOf(c, ClassStandard, ClassCritical) }

// AfterLease is what a door does once the lease of its gateway has run out. The lease
// runs out when the gateway has not heard from the service for the time that the door's
// class gives.
type AfterLease string

// The values of AfterLease. There is no "open".
const (
	AfterLeaseDeny      AfterLease = "deny"       // the default
	AfterLeaseLastTable AfterLease = "last_table" // decides on what it knows, for 72 hours at most
)

func (a AfterLease) check() error { return oneOf(a, AfterLeaseDeny, AfterLeaseLastTable) }

// DoorCapability is what the lock can do beside opening for a credential.
type DoorCapability string

// The capabilities of doors.
const (
	CapabilityRemoteUnlock DoorCapability = "remote_unlock"
	CapabilityUnlockFor    DoorCapability = "unlock_for"
)

func (d *Door) keys() []key[Door] {
	k := []key[Door]{{DoorBySite, d.Site}}
	if d.Capacity > 0 {
		k = append(k, key[Door]{index: doorWithCapacity})
	}
	if d.Unit != "" {
		k = append(k, key[Door]{DoorByUnit, d.Unit})
	}
	for _, a := range []ID{d.In, d.Out} {
		if a != "" {
			k = append(k, key[Door]{DoorByArea, a})
		}
	}
	if d.Hours != "" {
		k = append(k, key[Door]{DoorBySchedule, d.Hours})
	}
	if d.Gateway != "" {
		k = append(k, key[Door]{DoorByGateway, d.Gateway})
	}
	return k
}

func (c DoorCapability) check() error {
	return oneOf(c, CapabilityRemoteUnlock, CapabilityUnlockFor)
}

var doorMessages = messages{
	commands: []CommandType{
		command[CreateDoor]("Creates a door of a site: a door, gate or lift that a gateway opens.", DoorCreated{}),
		command[ChangeDoor]("Changes the settings of a door; fields that are left out stay.", DoorChanged{}),
		command[DisableDoor]("Disables a door: it opens for nobody until it is enabled.", DoorDisabled{}),
		command[EnableDoor]("Enables a disabled door.", DoorEnabled{}),
	},
	events: []EventType{event[DoorCreated](1), event[DoorChanged](1), event[DoorDisabled](1), event[DoorEnabled](1)},
}

// CreateDoor makes a door of a site.
type CreateDoor struct {
	Door         ID               `json:"door,omitempty"` // empty: an id is made
	Site         ID               `json:"site"`
	Name         string           `json:"name"`
	Kind         DoorKind         `json:"kind"`
	Unit         ID               `json:"unit,omitempty"` // of a unit's door, and only of one
	In           ID               `json:"in,omitempty"`   // area behind the door
	Out          ID               `json:"out,omitempty"`  // area before the door
	Class        DoorClass        `json:"class,omitempty"`
	FireRelease  bool             `json:"fire_release,omitzero"`
	AfterLease   AfterLease       `json:"after_lease,omitempty"`
	Capabilities []DoorCapability `json:"capabilities,omitempty"`
	Capacity     int              `json:"capacity,omitzero"` // how many fobs, cards and PINs its device has room for; 0: any number
}

func (CreateDoor) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c CreateDoor) scope(*State) Scope { return atSites(c.Site) }
func (c CreateDoor) decide(tx *Tx) *Refusal {
	if _, r := tx.Sites.find(c.Site, "site"); r != nil {
		return r
	}
	id := tx.idFor(c.Door, "door")
	if tx.Doors.Has(id) {
		return refuse("door_exists", "door %s already exists", id).about(id)
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	if r := required("kind", string(c.Kind)); r != nil {
		return r
	}
	if r := checkCapacity(c.Capacity); r != nil {
		return r
	}
	if r := c.checkUnit(tx); r != nil {
		return r
	}
	if r := tx.checkAreas(c.Site, c.In, c.Out); r != nil {
		return r
	}
	tx.emit(DoorCreated{Door: id, Site: c.Site, Name: c.Name, Kind: c.Kind, Unit: c.Unit, In: c.In, Out: c.Out,
		Class: orDefault(c.Class, ClassStandard), FireRelease: c.FireRelease,
		AfterLease: orDefault(c.AfterLease, AfterLeaseDeny), Capabilities: sortedSet(c.Capabilities), Capacity: c.Capacity})
	return nil
}

func (c CreateDoor) checkUnit(tx *Tx) *Refusal {
	if (c.Kind == DoorUnit) != (c.Unit != "") {
		return invalid("invalid_field", "unit: a door of kind unit must name its unit; other doors must not")
	}
	if c.Unit == "" {
		return nil
	}
	unit, r := tx.Units.find(c.Unit, "unit")
	if r != nil {
		return r
	}
	if unit.Site != c.Site {
		return refuse("other_site", "unit %s is at site %s, not at the site of the door", c.Unit, unit.Site).about(c.Unit)
	}
	return nil
}

// checkAreas refuses areas that are not of the site; an area may be left out.
func (tx *Tx) checkAreas(site ID, areas ...ID) *Refusal {
	for _, id := range areas {
		if id == "" {
			continue
		}
		area, r := tx.Areas.find(id, "area")
		if r != nil {
			return r
		}
		if area.Site != site {
			return refuse("other_site", "area %s is at site %s, not at the site of the door", id, area.Site).about(id)
		}
	}
	return nil
}

// DoorCreated makes a door of a site.
type DoorCreated struct {
	Door         ID               `json:"door"`
	Site         ID               `json:"site"`
	Name         string           `json:"name"`
	Kind         DoorKind         `json:"kind"`
	Unit         ID               `json:"unit,omitempty"`
	In           ID               `json:"in,omitempty"`
	Out          ID               `json:"out,omitempty"`
	Class        DoorClass        `json:"class"`
	FireRelease  bool             `json:"fire_release,omitzero"`
	AfterLease   AfterLease       `json:"after_lease"`
	Capabilities []DoorCapability `json:"capabilities,omitempty"`
	Capacity     int              `json:"capacity,omitzero"`
}

func (e DoorCreated) fold(s *State, _ Moment) {
	s.Doors.Put(e.Door, Door{ID: e.Door, Site: e.Site, Name: e.Name, Kind: e.Kind, Unit: e.Unit, In: e.In, Out: e.Out,
		Class: e.Class, FireRelease: e.FireRelease, AfterLease: e.AfterLease, Capabilities: e.Capabilities, Capacity: e.Capacity})
}
func (e DoorCreated) affectedSites(*State) []ID { return []ID{e.Site} }

// ChangeDoor changes what is said about a door; what is left out stays. Kind,
// site and unit are for ever: a door that was moved is another door.
type ChangeDoor struct {
	Door         ID                      `json:"door"`
	Name         *string                 `json:"name,omitempty"`
	In           Given[ID]               `json:"in,omitzero"`  // null: no area
	Out          Given[ID]               `json:"out,omitzero"` // null: no area
	Class        Given[DoorClass]        `json:"class,omitzero"`
	FireRelease  Given[bool]             `json:"fire_release,omitzero"`
	AfterLease   Given[AfterLease]       `json:"after_lease,omitzero"`
	Capabilities Given[[]DoorCapability] `json:"capabilities,omitzero"`
	Capacity     Given[int]              `json:"capacity,omitzero"` // null or 0: any number
}

func (ChangeDoor) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c ChangeDoor) scope(s *State) Scope { return s.atDoor(c.Door) }
func (c ChangeDoor) decide(tx *Tx) *Refusal {
	door, r := tx.Doors.find(c.Door, "door")
	if r != nil {
		return r
	}
	old := DoorChanged{Door: c.Door, Name: door.Name, In: door.In, Out: door.Out, Class: door.Class,
		FireRelease: door.FireRelease, AfterLease: door.AfterLease, Capabilities: door.Capabilities, Capacity: door.Capacity}
	now := old
	now.Name = orGiven(c.Name, old.Name)
	now.Class = orDefault(c.Class.or(old.Class), ClassStandard)
	now.AfterLease = orDefault(c.AfterLease.or(old.AfterLease), AfterLeaseDeny)
	now.In = c.In.or(old.In)
	now.Out = c.Out.or(old.Out)
	now.FireRelease = c.FireRelease.or(old.FireRelease)
	now.Capabilities = sortedSet(c.Capabilities.or(old.Capabilities))
	now.Capacity = c.Capacity.or(old.Capacity)
	if r := required("name", now.Name); r != nil {
		return r
	}
	if r := checkCapacity(now.Capacity); r != nil {
		return r
	}
	if r := tx.checkAreas(door.Site, now.In, now.Out); r != nil {
		return r
	}
	if !reflect.DeepEqual(old, now) {
		tx.emit(now)
	}
	return nil
}

// DoorChanged sets what may be changed about a door.
type DoorChanged struct {
	Door         ID               `json:"door"`
	Name         string           `json:"name"`
	In           ID               `json:"in,omitempty"`
	Out          ID               `json:"out,omitempty"`
	Class        DoorClass        `json:"class"`
	FireRelease  bool             `json:"fire_release,omitzero"`
	AfterLease   AfterLease       `json:"after_lease"`
	Capabilities []DoorCapability `json:"capabilities,omitempty"`
	Capacity     int              `json:"capacity,omitzero"`
}

func (e DoorChanged) fold(s *State, _ Moment) {
	s.Doors.Update(e.Door, func(d *Door) {
		d.Name, d.In, d.Out, d.Class = e.Name, e.In, e.Out, e.Class
		d.FireRelease, d.AfterLease, d.Capabilities, d.Capacity = e.FireRelease, e.AfterLease, e.Capabilities, e.Capacity
	})
}
func (e DoorChanged) fills(*Tx) filling           { return filling{doors: []ID{e.Door}} }
func (e DoorChanged) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }

// atDoor is the scope of what concerns a door.
func (s *State) atDoor(door ID) Scope {
	d, unknown := s.Doors.find(door, "door")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	return atSites(d.Site)
}

// DisableDoor shuts a door for everybody until it is enabled.
type DisableDoor struct {
	Door ID `json:"door"`
}

func (DisableDoor) urgent() bool           { return true }
func (DisableDoor) permit() Permit         { return Permit{Role: RoleStaff} }
func (c DisableDoor) scope(s *State) Scope { return s.atDoor(c.Door) }
func (c DisableDoor) decide(tx *Tx) *Refusal {
	door, r := tx.Doors.find(c.Door, "door")
	if r == nil && !door.Disabled {
		tx.emit(DoorDisabled(c))
	}
	return r
}

// DoorDisabled shuts a door for everybody.
type DoorDisabled struct {
	Door ID `json:"door"`
}

func (e DoorDisabled) fold(s *State, _ Moment) {
	s.Doors.Update(e.Door, func(d *Door) { d.Disabled = true })
}
func (e DoorDisabled) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }

// EnableDoor lets a disabled door decide again.
type EnableDoor struct {
	Door ID `json:"door"`
}

func (EnableDoor) permit() Permit         { return Permit{Role: RoleStaff} }
func (c EnableDoor) scope(s *State) Scope { return s.atDoor(c.Door) }
func (c EnableDoor) decide(tx *Tx) *Refusal {
	door, r := tx.Doors.find(c.Door, "door")
	if r == nil && door.Disabled {
		tx.emit(DoorEnabled(c))
	}
	return r
}

// DoorEnabled lets a disabled door decide again.
type DoorEnabled struct {
	Door ID `json:"door"`
}

func (e DoorEnabled) fold(s *State, _ Moment) {
	s.Doors.Update(e.Door, func(d *Door) { d.Disabled = false })
}
func (e DoorEnabled) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }
