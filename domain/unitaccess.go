package domain

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"gatehouse/domain/schedule"
)

// ScheduleModes lists how the schedule of a unit user may follow that of a right of the
// unit. The default is first (rule U8): always where the right as the unit has it
// always holds, else same_as_unit; then limited. The list is empty where the right is
// not on the unit, or was retired.
func (s *State) ScheduleModes(unit, right ID) []ScheduleMode {
	u, ok := s.Units.Get(unit)
	switch {
	case !ok || !slices.Contains(u.rightIDs(), right) || s.retired(right):
		return nil
	case schedule.SubsetOf(always, s.UnitSchedule(unit, right)):
		return []ScheduleMode{ModeAlways, ModeLimited}
	}
	return []ScheduleMode{ModeSameAsUnit, ModeLimited}
}

// retired reports whether a right was retired: it opens nothing any more.
func (s *State) retired(right ID) bool {
	r, ok := s.AccessRights.Get(right)
	return ok && r.Retired
}

// PresentAccess gives the access of a unit user as it stands now: without rights
// that were retired, and with always as same_as_unit where the right of the unit
// got hours since (rule U8). Both open the same.
func (s *State) PresentAccess(u *UnitUser) []UnitAccess {
	var out []UnitAccess
	for _, a := range u.Access {
		if s.retired(a.Right) {
			continue
		}
		if a.Mode == ModeAlways && !slices.Contains(s.ScheduleModes(u.Unit, a.Right), ModeAlways) {
			a.Mode = ModeSameAsUnit
		}
		out = append(out, a)
	}
	return out
}

// OpenReview finds the review of a unit user's limited schedule that is not closed yet
// (rule U12). Empty means that there is none.
func (s *State) OpenReview(unit, person, right ID) ID {
	for id := range s.Reviews.Each(reviewOpenOf, userRight(unitUserKey(unit, person), right)) {
		return id
	}
	return ""
}

// unitAccess checks the access that a unit user is to have and fills in the modes that
// were left out. An access that the user had before passes unchanged: a reduction since
// then is a matter of its review, and nothing opens beyond the unit's limits.
func (tx *Tx) unitAccess(unit *Unit, access, before []UnitAccess) ([]UnitAccess, *Refusal) {
	out := slices.Clone(access)
	slices.SortFunc(out, func(a, b UnitAccess) int { return cmp.Compare(a.Right, b.Right) })
	for i := range out {
		if i > 0 && out[i-1].Right == out[i].Right {
			return nil, invalid("invalid_field", "access: right %s is listed twice", out[i].Right).about(out[i].Right)
		}
		same := func(a UnitAccess) bool { return reflect.DeepEqual(a, out[i]) }
		if slices.ContainsFunc(before, same) {
			continue
		}
		if r := tx.limit(unit, &out[i]); r != nil {
			return nil, r
		}
	}
	return out, nil
}

// limit refuses access beyond what the unit has (rules U5, U6 and U8).
func (tx *Tx) limit(unit *Unit, a *UnitAccess) *Refusal {
	modes := tx.ScheduleModes(unit.ID, a.Right)
	if modes == nil && slices.Contains(unit.rightIDs(), a.Right) {
		_, r := tx.right(a.Right)
		return r
	}
	if modes == nil {
		return refuse("right_not_on_unit", "right %s is not mapped to unit %s", a.Right, unit.ID).about(a.Right, unit.ID)
	}
	limited := !reflect.DeepEqual(a.Limited, schedule.Schedule{})
	if a.Mode == "" {
		a.Mode = modes[0]
		if limited {
			a.Mode = ModeLimited
		}
	}
	switch {
	case !slices.Contains(modes, a.Mode):
		return refuse("schedule_mode_not_offered", "right %s is offered by unit %s as %s (%s) or as %s", a.Right, unit.ID, modes[0],
			tx.UnitSchedule(unit.ID, a.Right), modes[1]).about(a.Right, unit.ID)
	case (a.Mode == ModeLimited) != limited:
		return invalid("invalid_field", "access: mode limited requires a schedule; other modes must not have one").about(a.Right)
	case !limited:
		return nil
	}
	if r := checkTimes(a.Limited); r != nil {
		return r.about(a.Right)
	}
	if !schedule.SubsetOf(a.Limited, tx.UnitSchedule(unit.ID, a.Right)) {
		return invalid("schedule_outside_limits", "Time outside limits of schedule").about(a.Right, unit.ID)
	}
	return nil
}

// ChangeUnitUserAccess sets the access of a unit user or unit manager as a whole.
// It closes the open reviews of what it changes (rule U13).
type ChangeUnitUserAccess struct {
	Unit   ID           `json:"unit"`
	Person ID           `json:"person"`
	Access []UnitAccess `json:"access"`
}

func (ChangeUnitUserAccess) permit() Permit         { return Permit{Role: RoleStaff, UnitManager: true} }
func (c ChangeUnitUserAccess) scope(s *State) Scope { return s.unitScope(c.Unit) }
func (c ChangeUnitUserAccess) decide(tx *Tx) *Refusal {
	unit, r := tx.movedIn(c.Unit)
	if r != nil {
		return r
	}
	key := unitUserKey(c.Unit, c.Person)
	u, r := tx.UnitUsers.find(key, "unit_user")
	switch {
	case r != nil:
		return r
	case !tx.inPlace(u):
		return refuse("unit_user_removed", "person %s is not a user of unit %s any more", c.Person, c.Unit).about(c.Person)
	case len(c.Access) == 0 && !u.Manager:
		return invalid("invalid_field", "access: at least one right is required; to take everything away, send RemoveUnitUser")
	}
	access, r := tx.unitAccess(unit, c.Access, u.Access)
	if r != nil {
		return r
	}
	changed := changedAccess(u.Access, access)
	if len(changed) == 0 {
		return nil
	}
	if r := tx.outranksInUnit(c.Person, unit); r != nil {
		return r
	}
	tx.warnOf(missingIn(accessRights(access), accessRights(tx.PresentAccess(u))), "access_dropped",
		"the access of %s to the unit %s is replaced as a whole, and these rights are gone", c.Person, c.Unit)
	tx.emit(UnitUserAccessChanged{Unit: c.Unit, Person: c.Person, Access: access})
	for _, right := range changed {
		for id := range tx.Reviews.Each(reviewOpenOf, userRight(key, right)) {
			tx.emit(ReviewAcknowledged{Review: id})
		}
	}
	return nil
}

// accessRights lists the rights of an access, sorted.
func accessRights(access []UnitAccess) []ID {
	var out []ID
	for _, a := range access {
		out = append(out, a.Right)
	}
	return sortedIDs(out)
}

// changedAccess lists the rights that are in one of two lists alone, or in both
// with other times, sorted.
func changedAccess(before, after []UnitAccess) []ID {
	var changed []ID
	differ := func(some, others []UnitAccess) {
		for _, a := range some {
			if !slices.ContainsFunc(others, func(o UnitAccess) bool { return reflect.DeepEqual(a, o) }) {
				changed = append(changed, a.Right)
			}
		}
	}
	differ(before, after)
	differ(after, before)
	return sortedIDs(changed)
}

// UnitUserAccessChanged sets the access of a unit user as a whole.
type UnitUserAccessChanged struct {
	Unit   ID           `json:"unit"`
	Person ID           `json:"person"`
	Access []UnitAccess `json:"access"`
}

func (e UnitUserAccessChanged) fold(s *State, _ Moment) {
	key := unitUserKey(e.Unit, e.Person)
	u, ok := s.UnitUsers.Get(key)
	if !ok {
		return
	}
	for _, right := range changedAccess(u.Access, e.Access) {
		s.Pending.Delete(pendingReview(key, right))
	}
	s.UnitUsers.Update(key, func(u *UnitUser) { u.Access = e.Access })
}
func (e UnitUserAccessChanged) fills(tx *Tx) filling {
	return filling{doors: tx.doorsOfUser(e.Unit, e.Person)}
}
func (e UnitUserAccessChanged) tells(*State, time.Time) ID  { return e.Unit }
func (e UnitUserAccessChanged) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }

// RemoveUnitUser takes a person's place in a unit away, and the keys held there.
// Unit managers remove unit users; other unit managers only when they may make
// them, and never the tenant.
type RemoveUnitUser struct {
	Unit   ID `json:"unit"`
	Person ID `json:"person"`
	// RevokeAccess also ends what else the person opens doors of the unit by.
	RevokeAccess bool `json:"revoke_access,omitzero"`
}

func (RemoveUnitUser) urgent() bool           { return true }
func (RemoveUnitUser) permit() Permit         { return Permit{Role: RoleStaff, UnitManager: true} }
func (c RemoveUnitUser) scope(s *State) Scope { return s.unitScope(c.Unit) }
func (c RemoveUnitUser) decide(tx *Tx) *Refusal {
	unit, r := tx.Units.find(c.Unit, "unit")
	if r != nil {
		return r
	}
	u, r := tx.UnitUsers.find(unitUserKey(c.Unit, c.Person), "unit_user")
	if r != nil || u.State != UnitUserStateActive {
		return r
	}
	if u.Manager && !tx.isActor(c.Person) {
		if r := tx.mayDelegate(unit); r != nil {
			return r
		}
		if b, ok := tx.Bookings.Get(u.Booking); ok && b.Person == c.Person && !tx.operates(unit.Site) {
			return forbid("role_not_permitted", "only staff, a system manager or the owner may remove the tenant of unit %s", c.Unit).about(c.Person)
		}
	}
	tx.emit(UnitUserRemoved{Unit: c.Unit, Person: c.Person, Cause: "removed"})
	tx.settle(u.Booking)
	tx.leaves(c.Person, tx.doorsOfUnit(c.Unit), c.RevokeAccess)
	return nil
}

// UnitUserRemoved takes a person's place in a unit away. Reviews of what they had
// are closed with it.
type UnitUserRemoved struct {
	Unit   ID     `json:"unit"`
	Person ID     `json:"person"`
	Cause  string `json:"cause"`
}

func (e UnitUserRemoved) fold(s *State, m Moment) {
	key := unitUserKey(e.Unit, e.Person)
	u, ok := s.UnitUsers.Get(key)
	if !ok {
		return
	}
	for _, a := range u.Access {
		s.dropReview(key, a.Right, m)
	}
	s.UnitUsers.Update(key, func(u *UnitUser) {
		if u.State == UnitUserStateActive {
			u.State, u.RemovedAt = UnitUserStateRemoved, m.At
		}
	})
	s.noteOwed(u.Booking)
	s.keepPrivacy(e.Unit, m.At)
}
func (UnitUserRemoved) consequence()                  {}
func (e UnitUserRemoved) tells(*State, time.Time) ID  { return e.Unit }
func (e UnitUserRemoved) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }
