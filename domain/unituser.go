package domain

import (
	"time"

	"gatehouse/domain/schedule"
)

// UnitUser is a person's place in a unit beside its tenant: a unit user, or a
// unit manager who gives access to others (rules U1 to U13).
type UnitUser struct {
	Unit        ID            `json:"unit"`
	Site        ID            `json:"site"`
	Person      ID            `json:"person"`
	Manager     bool          `json:"manager,omitzero"`
	MayDelegate bool          `json:"may_delegate_management,omitzero"` // may make other unit managers (rule U3)
	Access      []UnitAccess  `json:"access,omitempty"`                 // sorted by right
	State       UnitUserState `json:"state"`
	Booking     ID            `json:"booking"`         // under which the unit is moved in
	Associated  Actor         `json:"associated_user"` // who made the user or shared a key (rule U11)
	CreatedAt   time.Time     `json:"created_at"`
	RemovedAt   time.Time     `json:"removed_at,omitzero"`
	// Unconfirmed: it lets the unit's managers see nothing of the person's record.
	Unconfirmed bool `json:"unconfirmed,omitzero"`
}

// UnitAccess is one right of the unit as given to a unit user.
type UnitAccess struct {
	Right ID           `json:"right"`
	Mode  ScheduleMode `json:"mode"`
	// Limited is the user's own schedule when the mode is limited; it was within
	// that of the unit when it was set.
	Limited schedule.Schedule `json:"limited,omitzero"`
}

// ScheduleMode is how a unit user's schedule follows that of the unit (rule U8).
type ScheduleMode string

// The modes of a unit user's schedule.
const (
	ModeAlways     ScheduleMode = "always"       // offered while the unit's right is Always
	ModeSameAsUnit ScheduleMode = "same_as_unit" // a live link
	ModeLimited    ScheduleMode = "limited"      // an own copy, narrower
)

// UnitUserState says whether the place still gives access.
type UnitUserState string

// The states of a unit user.
const (
	UnitUserStateActive  UnitUserState = "active"
	UnitUserStateRemoved UnitUserState = "removed"
)

// unitUserKey is the id of a person's place in a unit.
func unitUserKey(unit, person ID) ID { return unit + "/" + person }

func (m ScheduleMode) check() error { return oneOf(m, ModeAlways, ModeSameAsUnit, ModeLimited) }

func (u *UnitUser) keys() []key[UnitUser] {
	k := []key[UnitUser]{{UnitUserByUnit, u.Unit}, {UnitUserByPerson, u.Person}}
	active := u.State == UnitUserStateActive
	if active {
		k = append(k, key[UnitUser]{unitUserActive, u.Booking})
	}
	for _, a := range u.Access {
		k = append(k, key[UnitUser]{UnitUserByRight, a.Right})
		if active && a.Mode == ModeLimited {
			k = append(k, key[UnitUser]{unitUserLimited, a.Right})
		}
	}
	return k
}

// access finds the access to a right.
func (u *UnitUser) access(right ID) (UnitAccess, bool) {
	for _, a := range u.Access {
		if a.Right == right {
			return a, true
		}
	}
	return UnitAccess{}, false
}

// under reports whether the place is one of the tenancy of a booking.
func (u *UnitUser) under(booking ID) bool {
	return u.State == UnitUserStateActive && u.Booking == booking
}

// inPlace reports whether the place is one of the present tenancy of its unit.
func (s *State) inPlace(u *UnitUser) bool {
	unit, ok := s.Units.Get(u.Unit)
	return ok && unit.Booking != "" && u.under(unit.Booking)
}

var unitUserMessages = messages{
	commands: []CommandType{
		command[CreateUnitUser]("Gives a person a place in a unit together with access.", PersonRegistered{}, UnitUserCreated{}),
		command[CreateUnitManager]("Makes a person a unit manager, who gives access to others.", PersonRegistered{}, UnitManagerCreated{}),
		command[ChangeUnitUserAccess]("Sets the access of a unit user as a whole.", UnitUserAccessChanged{}, ReviewAcknowledged{}),
		command[RemoveUnitUser]("Removes a person from a unit, with the keys held there.",
			leftOpen...),
	},
	events: []EventType{
		event[UnitUserCreated](1), event[UnitManagerCreated](1), event[UnitUserAccessChanged](1), event[UnitUserRemoved](1),
	},
}

// CreateUnitUser gives a person a place in a moved-in unit, with access in the same
// step (rules U1 and U4). The person is one of the org, found by address or id, or
// somebody new. Names need not differ: the user's creator tells two of one name apart
// (rule U11).
type CreateUnitUser struct {
	Unit   ID           `json:"unit"`
	Person ID           `json:"person,omitempty"` // empty: an id is made
	Name   Personal     `json:"name,omitzero" personal:"Person,new"`
	Email  Personal     `json:"email,omitzero" personal:"Person,new"`
	Phone  Personal     `json:"phone,omitzero" personal:"Person,new"`
	Access []UnitAccess `json:"access"`
}

func (CreateUnitUser) permit() Permit         { return Permit{Role: RoleStaff, UnitManager: true} }
func (c CreateUnitUser) scope(s *State) Scope { return s.unitScope(c.Unit) }
func (c CreateUnitUser) decide(tx *Tx) *Refusal {
	unit, r := tx.movedIn(c.Unit)
	if r != nil {
		return r
	}
	if len(c.Access) == 0 {
		return invalid("invalid_field", "access: at least one right is required")
	}
	access, r := tx.unitAccess(unit, c.Access, nil)
	if r != nil {
		return r
	}
	person, r := tx.meetUnitUser(c.Person, c.Name, c.Email, c.Phone)
	if r != nil {
		return r
	}
	if r := tx.outranksInUnit(person, unit); r != nil {
		return r
	}
	if u, ok := tx.UnitUsers.Get(unitUserKey(c.Unit, person)); ok && tx.inPlace(u) {
		return refuse("unit_user_exists", "person %s is already a user of unit %s; change their access with ChangeUnitUserAccess", person, c.Unit).about(person)
	}
	tx.emit(UnitUserCreated{Unit: c.Unit, Person: person, Booking: unit.Booking, Access: access, Unconfirmed: tx.unconfirmedIn(unit, person)})
	return nil
}

// movedIn finds a unit in which people can have a place (rule U1). A sender who does
// not see the unit does not learn whether it is vacant.
func (tx *Tx) movedIn(id ID) (*Unit, *Refusal) {
	unit, r := tx.Units.find(id, "unit")
	if r == nil && tx.Actor.Kind == ActorPerson && !Visible(tx.View, tx.Actor.ID, RecordOf(tx.State, unit)) {
		return nil, notFound("unknown_unit", "unit %s does not exist", id).about(id)
	}
	if r == nil && !tx.moved(unit) {
		r = refuse("unit_vacant", "nobody has moved in to unit %s; send MoveIn first", id).about(id)
	}
	return unit, r
}

// meetUnitUser finds the person who gets a place in a unit, or registers somebody
// new.
func (tx *Tx) meetUnitUser(id ID, name, email, phone Personal) (ID, *Refusal) {
	known, r := tx.known(id, email, phone)
	if r != nil || known != "" {
		return known, r
	}
	if name.Empty() {
		return "", tx.nobody(id, "somebody new has a name")
	}
	id = tx.idFor(id, "person")
	tx.emit(PersonRegistered{Person: id, Name: name, Email: email, Phone: phone})
	return id, nil
}

// UnitUserCreated gives a person a place in a unit.
type UnitUserCreated struct {
	Unit    ID           `json:"unit"`
	Person  ID           `json:"person"`
	Booking ID           `json:"booking"`
	Access  []UnitAccess `json:"access"`
	// Unconfirmed: a manager named somebody who was known before; it shows nothing of them.
	Unconfirmed bool `json:"unconfirmed,omitzero"`
}

func (e UnitUserCreated) fold(s *State, m Moment) {
	s.place(UnitUser{Unit: e.Unit, Person: e.Person, Booking: e.Booking, Access: e.Access, Unconfirmed: e.Unconfirmed}, m)
}
func (e UnitUserCreated) fills(tx *Tx) filling        { return tx.filledByUser(e.Unit, e.Person) }
func (e UnitUserCreated) tells(*State, time.Time) ID  { return e.Unit }
func (e UnitUserCreated) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }

// place gives a person a place in a unit. It replaces a place that they had under an
// earlier tenancy or as a unit user. Reviews of access that goes are closed.
func (s *State) place(u UnitUser, m Moment) {
	key := unitUserKey(u.Unit, u.Person)
	old, replaced := s.UnitUsers.Get(key)
	if replaced {
		kept := u.Access
		if !old.under(u.Booking) {
			kept = nil
		}
		for _, right := range changedAccess(old.Access, kept) {
			s.dropReview(key, right, m)
		}
	}
	u.State, u.Associated, u.CreatedAt = UnitUserStateActive, m.Actor, m.At
	if unit, ok := s.Units.Get(u.Unit); ok {
		u.Site = unit.Site
	}
	s.UnitUsers.Put(key, u)
	if replaced {
		s.noteOwed(old.Booking)
	}
	s.noteOwed(u.Booking)
}

// CreateUnitManager makes a person a unit manager (rule U3). The person is somebody
// new, or a unit user, who keeps their access when none is given. A unit manager may
// send it only when allowed to make others.
type CreateUnitManager struct {
	Unit        ID           `json:"unit"`
	Person      ID           `json:"person,omitempty"` // empty: an id is made
	Name        Personal     `json:"name,omitzero" personal:"Person,new"`
	Email       Personal     `json:"email,omitzero" personal:"Person,new"`
	Phone       Personal     `json:"phone,omitzero" personal:"Person,new"`
	Access      []UnitAccess `json:"access,omitempty"`
	MayDelegate bool         `json:"may_delegate_management,omitzero"`
}

func (CreateUnitManager) permit() Permit         { return Permit{Role: RoleStaff, UnitManager: true} }
func (c CreateUnitManager) scope(s *State) Scope { return s.unitScope(c.Unit) }
func (c CreateUnitManager) decide(tx *Tx) *Refusal {
	unit, r := tx.movedIn(c.Unit)
	if r != nil {
		return r
	}
	if r := tx.mayDelegate(unit); r != nil {
		return r
	}
	access, r := tx.unitAccess(unit, c.Access, nil)
	if r != nil {
		return r
	}
	person, r := tx.meetUnitUser(c.Person, c.Name, c.Email, c.Phone)
	if r != nil {
		return r
	}
	if r := tx.outranksInUnit(person, unit); r != nil {
		return r
	}
	if u, ok := tx.UnitUsers.Get(unitUserKey(c.Unit, person)); ok && tx.inPlace(u) {
		if u.Manager {
			return refuse("unit_user_exists", "person %s is a unit manager of unit %s", person, c.Unit).about(person)
		}
		if len(access) == 0 {
			access = u.Access
		}
	}
	tx.emit(UnitManagerCreated{Unit: c.Unit, Person: person, Booking: unit.Booking, Access: access, MayDelegate: c.MayDelegate,
		Unconfirmed: tx.unconfirmedIn(unit, person)})
	return nil
}

// outranksInUnit refuses what outranks does, but for the managers of the unit, who
// give its rights to anybody.
func (tx *Tx) outranksInUnit(person ID, unit *Unit) *Refusal {
	if u, ok := tx.UnitUsers.Get(unitUserKey(unit.ID, tx.Actor.ID)); ok && u.Manager && tx.inPlace(u) {
		return nil
	}
	return tx.requireOutranks(person, []ID{unit.Site})
}

// unconfirmedIn is unconfirmed for a place in a unit; who has one already stays what
// they were.
func (tx *Tx) unconfirmedIn(unit *Unit, person ID) bool {
	if u, ok := tx.UnitUsers.Get(unitUserKey(unit.ID, person)); ok && tx.inPlace(u) {
		return u.Unconfirmed
	}
	return tx.unconfirmed(person, unit.Site)
}

// operates reports whether the sender is staff at a site.
func (tx *Tx) operates(site ID) bool {
	return tx.Actor.Kind == ActorPerson && tx.RoleAt(tx.Actor.ID, site).AtLeast(RoleStaff)
}

// mayDelegate refuses a unit manager who may not make or remove other ones.
func (tx *Tx) mayDelegate(unit *Unit) *Refusal {
	if tx.operates(unit.Site) {
		return nil
	}
	if u, ok := tx.UnitUsers.Get(unitUserKey(unit.ID, tx.Actor.ID)); ok && u.MayDelegate {
		return nil
	}
	return forbid("role_not_permitted", "only staff, a system manager, the owner or a manager with may_delegate_management may change the unit managers of unit %s", unit.ID).about(unit.ID)
}

// UnitManagerCreated makes a person a unit manager.
type UnitManagerCreated struct {
	Unit        ID           `json:"unit"`
	Person      ID           `json:"person"`
	Booking     ID           `json:"booking"`
	Access      []UnitAccess `json:"access,omitempty"`
	MayDelegate bool         `json:"may_delegate_management,omitzero"`
	// Unconfirmed: a manager named somebody who was known before; it shows nothing of them.
	Unconfirmed bool `json:"unconfirmed,omitzero"`
}

func (e UnitManagerCreated) fold(s *State, m Moment) {
	s.place(UnitUser{Unit: e.Unit, Person: e.Person, Booking: e.Booking, Access: e.Access,
		Manager: true, MayDelegate: e.MayDelegate, Unconfirmed: e.Unconfirmed}, m)
}
func (e UnitManagerCreated) fills(tx *Tx) filling        { return tx.filledByUser(e.Unit, e.Person) }
func (e UnitManagerCreated) tells(*State, time.Time) ID  { return e.Unit }
func (e UnitManagerCreated) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }
