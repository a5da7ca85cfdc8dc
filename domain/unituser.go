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
	UnitUserActive  UnitUserState = "active"
	UnitUserRemoved UnitUserState = "removed"
)

// unitUserKey is the id of a person's place in a unit.
func unitUserKey(unit, person ID) ID { return unit + "/" + person }

func (u *UnitUser) keys() []string {
	k := []string{"unit:" + string(u.Unit), "person:" + string(u.Person)}
	for _, a := range u.Access {
		k = append(k, "right:"+string(a.Right))
	}
	return k
}

var unitUserWords = words{}
