package domain

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	"gatehouse/domain/unlock"
)

const (
	// RemoteUnlockValid is for how long after its commit a door may open for a remote
	// unlock: its sender stands before it.
	RemoteUnlockValid = 5 * time.Second
	// remoteUnlockGrace is how long after that an outcome may be recorded still.
	// Then it is unknown, as when the instance that asked the gateway has ended.
	remoteUnlockGrace = 10 * time.Second
	// maxOpenUnlocks bounds how many remote unlocks of an org have no outcome yet.
	// maxOwnUnlocks bounds those of one person, so that one person cannot hold up all
	// others.
	maxOpenUnlocks, maxOwnUnlocks = 200, 20
	// keptUnlocks is how many remote unlocks with an outcome an org remembers at
	// least. The ledger has all of them.
	keptUnlocks = 500
)

var remoteUnlockMessages = messages{
	commands: []CommandType{
		command[RemoteUnlock]("Asks the gateway of a door to open it once, now.", RemoteUnlockRequested{}, RemoteUnlockFailed{}),
		command[SettleRemoteUnlock]("Puts on record whether a door opened for a remote unlock.", RemoteUnlockExecuted{}, RemoteUnlockFailed{}),
	},
	events: []EventType{event[RemoteUnlockRequested](1), event[RemoteUnlockExecuted](1), event[RemoteUnlockFailed](1)},
}

// UnlockOutcome is what became of a remote unlock.
type UnlockOutcome string

// The outcomes of a remote unlock.
const (
	UnlockExecuted    UnlockOutcome = "executed"    // the gateway opened the door
	UnlockRefused     UnlockOutcome = "refused"     // the gateway decided that the door stays shut
	UnlockUnreachable UnlockOutcome = "unreachable" // the order reached no gateway, and will reach none: nothing opens
	UnlockUnknown     UnlockOutcome = "unknown"     // the gateway may have had the order, and nobody knows what it did
)

func (o UnlockOutcome) check() error {
	return oneOf(o, UnlockExecuted, UnlockRefused, UnlockUnreachable, UnlockUnknown)
}

// A RefusalCode is why a gateway did not open a door: the code of its decision, as
// deny_lockdown, or one that it has beside those, as deny_too_late.
type RefusalCode string

var refusalCode = regexp.MustCompile(`^deny_[a-z_]{1,59}$`)

// Valid reports whether it is a code, or none.
func (c RefusalCode) Valid() bool { return c == "" || refusalCode.MatchString(string(c)) }

func (c RefusalCode) check() error {
	if !c.Valid() {
		return fmt.Errorf("the code of a denial is deny_ with up to 59 letters and underscores")
	}
	return nil
}

// UnlockRequest is a request that a door opens once, with its outcome. The latest
// are remembered.
type UnlockRequest struct {
	ID      ID     `json:"id"`
	Door    ID     `json:"door"`
	Person  ID     `json:"person"`            // who asked
	Grant   string `json:"grant,omitempty"`   // id of the permission row of the grant; none: by the person's role
	Gateway ID     `json:"gateway,omitempty"` // that was to open the door; none: it had none
	// At is when it was asked; for [RemoteUnlockValid] from then on the door may open.
	At        time.Time     `json:"at"`
	Outcome   UnlockOutcome `json:"outcome,omitempty"`   // none: it is not known yet
	Code      RefusalCode   `json:"code,omitempty"`      // of a gateway that refused
	SettledAt time.Time     `json:"settled_at,omitzero"` // when the outcome was put on record
}

func (r *UnlockRequest) keys() []key[UnlockRequest] {
	keys := []key[UnlockRequest]{{UnlockRequestByDoor, r.Door}, {UnlockRequestByPerson, r.Person}}
	if r.Outcome == "" {
		keys = append(keys, key[UnlockRequest]{index: unlockPending}, key[UnlockRequest]{unlockPendingBy, r.Person})
	}
	return keys
}

// RemoteUnlock asks that a door opens once. It is sent by somebody whom the door
// would let in remotely: whose grant has the capability and holds at the moment,
// at a door that can do it (rules G3 and G4). Staff need no grant. The instance that
// commits it tells the gateway of the door, once and at once, and never again: a
// door does not open for somebody who has gone. Whether it opened is recorded
// by [SettleRemoteUnlock].
type RemoteUnlock struct {
	Door ID `json:"door"`
}

func (RemoteUnlock) permit() Permit         { return Permit{Role: RoleStaff, Holder: true} }
func (c RemoteUnlock) scope(s *State) Scope { return s.atDoor(c.Door) }
func (c RemoteUnlock) decide(tx *Tx) *Refusal {
	door, grant, r := tx.authorizeRemote(c.Door, CapabilityRemoteUnlock)
	switch {
	case r != nil:
		return r
	case tx.UnlockRequests.Count(unlockPending, "") >= maxOpenUnlocks, tx.UnlockRequests.Count(unlockPendingBy, tx.Actor.ID) >= maxOwnUnlocks:
		return refuse("too_many_remote_unlocks", "%d remote unlocks of a person, or %d of the org, have no outcome yet; send it again in some seconds", maxOwnUnlocks, maxOpenUnlocks).about(c.Door)
	}
	request := tx.idFor("", "remote_unlock")
	tx.emit(RemoteUnlockRequested{Request: request, Door: c.Door, Person: tx.Actor.ID, Grant: grant, Gateway: door.Gateway})
	if door.Gateway == "" {
		tx.emit(RemoteUnlockFailed{Request: request, Door: c.Door, Person: tx.Actor.ID, Reason: UnlockUnreachable})
	}
	tx.warnUnserved(door)
	return nil
}

// warnUnserved warns of a door that is to open remotely and that no gateway serves.
func (tx *Tx) warnUnserved(door *Door) {
	if door.Gateway == "" {
		tx.warn("door_without_gateway", "no gateway serves door %s, so that nothing opens it; AssignDoorToGateway says which one does", door.ID)
	}
}

// authorizeRemote finds a door that the sender may open remotely in a way. It also returns the
// permission row of the grant that permits it; empty for staff, who need none. A
// lockdown stops staff too: they release it first.
func (tx *Tx) authorizeRemote(id ID, way DoorCapability) (door *Door, grant string, r *Refusal) {
	door, r = tx.Doors.find(id, "door")
	switch {
	case r != nil:
	case !slices.Contains(door.Capabilities, way):
		r = invalid("capability_not_supported", "door %s cannot do %s", id, way).about(id)
	case door.Disabled:
		r = refuse("door_disabled", "door %s is out of service; to put it back, send EnableDoor", id).about(id)
	case tx.lockedDown(door):
		r = refuse("door_locked_down", "door %s is locked down; to end the lockdown, send ReleaseLockdown", id).about(id)
	case !tx.operates(door.Site):
		grant, r = tx.remoteGrant(door, way)
	}
	return door, grant, r
}

// remoteGrant asks by the permission rows what lets the sender open a door
// remotely. That the door stands open is not enough: it says nothing of the sender.
func (tx *Tx) remoteGrant(door *Door, way DoorCapability) (grant string, r *Refusal) {
	rows, err := tx.TableFor(door, tx.Actor.ID)
	if err != nil {
		return "", forbid("remote_unlock_not_permitted", "%v", err).about(door.ID)
	}
	answer := unlock.Decide(rows, LeaseHeld, Question{Door: door.ID, At: tx.At, Person: tx.Actor.ID, Command: way}.Request())
	if by := answer.Grant(); by != nil {
		if grant = by.ID; answer.Failed == 0 {
			return grant, nil
		}
	}
	code := tx.CodeToldTo(tx.Actor.ID, door.Site, grant, RefusalCode(answer.Failed.First().String()))
	return "", forbid("remote_unlock_not_permitted", "%s may not open door %s by %s: %s", tx.Actor.ID, door.ID, way, code).about(door.ID)
}

// RemoteUnlockRequested asks that a door opens once. It changes nothing about who
// may open what: a door that is reached too late does not open.
type RemoteUnlockRequested struct {
	Request ID     `json:"request,omitempty"` // its id, by which its outcome is told; none: of a time when none was put on record
	Door    ID     `json:"door"`
	Person  ID     `json:"person"`
	Grant   string `json:"grant,omitempty"`   // id of the permission row of the grant; none: by the person's role
	Gateway ID     `json:"gateway,omitempty"` // that is told to open the door
}

func (e RemoteUnlockRequested) fold(s *State, m Moment) {
	if e.Request == "" {
		return
	}
	s.UnlockRequests.Put(e.Request, UnlockRequest{ID: e.Request, Door: e.Door, Person: e.Person, Grant: e.Grant, Gateway: e.Gateway, At: m.At})
	if s.UnlockRequests.Len() > 2*keptUnlocks+maxOpenUnlocks {
		s.forgetUnlocks()
	}
}
func (e RemoteUnlockRequested) tells(s *State, at time.Time) ID {
	return s.tellsOfUnlock(e.Door, e.Person, at)
}
func (e RemoteUnlockRequested) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }

// forgetUnlocks forgets the remote unlocks with an outcome but for the latest.
func (s *State) forgetUnlocks() {
	var settled []*UnlockRequest
	for _, r := range s.UnlockRequests.All() {
		if r.Outcome != "" {
			settled = append(settled, r)
		}
	}
	slices.SortStableFunc(settled, func(a, b *UnlockRequest) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	for _, r := range settled[:max(0, len(settled)-keptUnlocks)] {
		s.UnlockRequests.Delete(r.ID)
	}
}

// SettleRemoteUnlock records the outcome of a remote unlock. The instance that told the
// gateway sends it. When that instance reports nothing for [RemoteUnlockValid] and some
// seconds, the outcome is unknown. The first outcome stays.
type SettleRemoteUnlock struct {
	Request ID            `json:"request"`
	Outcome UnlockOutcome `json:"outcome"`
	Code    RefusalCode   `json:"code,omitempty"` // why the gateway refused; none with another outcome
}

func (SettleRemoteUnlock) permit() Permit         { return Permit{Service: true} }
func (c SettleRemoteUnlock) scope(s *State) Scope { return Scope{} }
func (c SettleRemoteUnlock) decide(tx *Tx) *Refusal {
	request, r := tx.UnlockRequests.find(c.Request, "remote_unlock")
	switch {
	case r != nil:
		return r
	case c.Outcome == "":
		return required("outcome", "")
	case (c.Outcome == UnlockRefused) != (c.Code != ""):
		return invalid("invalid_field", "code: required for a refusal, and only there")
	case request.Outcome != "":
		return nil
	case c.Outcome == UnlockExecuted:
		tx.emit(RemoteUnlockExecuted{Request: c.Request, Door: request.Door, Person: request.Person})
	default:
		tx.emit(RemoteUnlockFailed{Request: c.Request, Door: request.Door, Person: request.Person, Reason: c.Outcome, Code: c.Code})
	}
	return nil
}

// tellsOfUnlock returns the unit of whose users it tells that somebody opened a door.
func (s *State) tellsOfUnlock(door, person ID, at time.Time) ID {
	if d, ok := s.Doors.Get(door); ok {
		return cmp.Or(d.Unit, s.usedPrivate(person, []ID{d.Site}, at))
	}
	return s.privateUnitOf(person, at)
}

// RemoteUnlockExecuted says that a door opened for a remote unlock.
type RemoteUnlockExecuted struct {
	Request ID `json:"request"`
	Door    ID `json:"door"`
	Person  ID `json:"person"` // who asked
}

func (e RemoteUnlockExecuted) fold(s *State, m Moment) {
	s.settleUnlock(e.Request, UnlockExecuted, "", m)
}
func (e RemoteUnlockExecuted) tells(s *State, at time.Time) ID {
	return s.tellsOfUnlock(e.Door, e.Person, at)
}
func (e RemoteUnlockExecuted) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }

// RemoteUnlockFailed says that a door did not open for a remote unlock, or that
// nobody knows whether it did.
type RemoteUnlockFailed struct {
	Request ID            `json:"request"`
	Door    ID            `json:"door"`
	Person  ID            `json:"person"` // who asked
	Reason  UnlockOutcome `json:"reason"`
	Code    RefusalCode   `json:"code,omitempty"` // of a gateway that refused
}

func (e RemoteUnlockFailed) fold(s *State, m Moment) { s.settleUnlock(e.Request, e.Reason, e.Code, m) }
func (e RemoteUnlockFailed) tells(s *State, at time.Time) ID {
	return s.tellsOfUnlock(e.Door, e.Person, at)
}
func (e RemoteUnlockFailed) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }

func (s *State) settleUnlock(request ID, outcome UnlockOutcome, code RefusalCode, m Moment) {
	s.UnlockRequests.Update(request, func(r *UnlockRequest) { r.Outcome, r.Code, r.SettledAt = outcome, code, m.At })
}

// unlockDue is when a remote unlock without an outcome is recorded as unknown.
func (r *UnlockRequest) unlockDue() unlock.Instant {
	return unlock.InstantOf(r.At.Add(RemoteUnlockValid + remoteUnlockGrace))
}
