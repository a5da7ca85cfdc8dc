package domain

import (
	"slices"

	"gatehouse/domain/unlock"
)

var remoteUnlockWords = words{
	commands: []CommandType{
		command[RemoteUnlock]("Asks the gateway of a door to open it once, now.", RemoteUnlockRequested{}),
	},
	events: []EventType{event[RemoteUnlockRequested](1)},
}

// RemoteUnlock asks that a door opens once. It is sent by somebody whom the door
// would let in from afar: whose grant has the capability and holds at the moment,
// at a door that can do it (rules G3 and G4). Staff need no grant. Whether the door
// opened is known at the door alone, and on record as activity.
type RemoteUnlock struct {
	Door ID `json:"door"`
}

func (RemoteUnlock) permit() Permit         { return Permit{Role: RoleStaff, Holder: true} }
func (c RemoteUnlock) scope(s *State) Scope { return s.atDoor(c.Door) }
func (c RemoteUnlock) decide(tx *Tx) *Refusal {
	door, grant, r := tx.fromAfar(c.Door, CapabilityRemoteUnlock)
	if r == nil {
		tx.emit(RemoteUnlockRequested{Door: c.Door, Person: tx.Actor.ID, Grant: grant})
		if door.Gateway == "" {
			tx.warn("door_without_gateway", "no gateway serves the door %s, so that nothing opens it; AssignDoorToGateway says which one does", c.Door)
		}
	}
	return r
}

// fromAfar finds a door that the sender may open from afar in a way, and the
// permission row of the grant by which they may; none for staff. A lockdown holds
// for staff too: they release it first.
func (tx *Tx) fromAfar(id ID, way DoorCapability) (door *Door, grant string, r *Refusal) {
	door, r = tx.Doors.find(id, "door")
	switch {
	case r != nil:
	case !slices.Contains(door.Capabilities, way):
		r = refuse("capability_not_supported", "the door %s cannot do %s", id, way).about(id)
	case door.Disabled:
		r = refuse("door_disabled", "the door %s is out of service; EnableDoor lets it decide again", id).about(id)
	case tx.lockedDown(door):
		r = refuse("door_locked_down", "a lockdown of the door %s, its area or its site holds; ReleaseLockdown ends it", id).about(id)
	case !tx.operates(door.Site):
		grant, r = tx.grantFromAfar(door, way)
	}
	return door, grant, r
}

// grantFromAfar asks by the permission rows what lets the sender open a door from
// afar. That the door stands open is not enough: it says nothing of the sender.
func (tx *Tx) grantFromAfar(door *Door, way DoorCapability) (grant string, r *Refusal) {
	m, _ := newRowMaker(tx.State, door.Site, noTags) // the site is there: no door is made without, and no site ends
	x := &explainer{s: tx.State, at: unlock.InstantOf(tx.At), door: door, m: m,
		q: Question{Door: door.ID, Side: unlock.In, At: tx.At, Person: tx.Actor.ID, Command: way}}
	x.ask()
	answer, err := x.decide(x.grants())
	if err != nil {
		return "", refuse("remote_unlock_not_permitted", "%v", err).about(door.ID)
	}
	if by := answer.Grant(); by != nil && answer.Failed == 0 {
		return by.ID, nil
	}
	return "", refuse("remote_unlock_not_permitted", "%s may not open the door %s by %s: %s", tx.Actor.ID, door.ID, way, answer.Failed.First()).about(door.ID)
}

// RemoteUnlockRequested asks that a door opens once. It changes nothing: a door
// that is reached too late does not open.
type RemoteUnlockRequested struct {
	Door   ID     `json:"door"`
	Person ID     `json:"person"`
	Grant  string `json:"grant,omitempty"` // id of the permission row of the grant; none: by the person's role
}

func (RemoteUnlockRequested) fold(*State, Moment)      {}
func (e RemoteUnlockRequested) concerns(s *State) []ID { return s.atDoor(e.Door).Sites }
