package domain

import (
	"time"

	"gatehouse/domain/schedule"
)

// Review asks a person to look at a limited schedule that a reduction made narrower
// (rules U12 and U13). The reduction took effect at once; the review is the follow-up
// for people.
type Review struct {
	ID      ID        `json:"id"`
	Unit    ID        `json:"unit"`
	Person  ID        `json:"person"` // the unit user whose schedule it is
	Right   ID        `json:"right"`
	Since   time.Time `json:"since"`
	Message string    `json:"message"` // ReviewMessage
	Done    bool      `json:"done,omitzero"`
	DoneBy  Actor     `json:"done_by,omitzero"`
}

// ReviewMessage is the exact text that rule U12 gives.
const ReviewMessage = "The previous schedule has been modified. Check the schedule and update it if required."

func (r *Review) keys() []key[Review] {
	k := []key[Review]{{ReviewByUnit, r.Unit}, {ReviewByRight, r.Right}}
	if !r.Done {
		k = append(k, key[Review]{index: reviewOpen}, key[Review]{reviewOpenOf, userRight(unitUserKey(r.Unit, r.Person), r.Right)})
	}
	return k
}

var reviewMessages = messages{
	commands: []CommandType{
		command[AcknowledgeReview]("Closes a review: the schedule of the unit user was checked.", ReviewAcknowledged{}),
	},
	events: []EventType{event[ReviewRequired](1), event[ReviewAcknowledged](1)},
}

// UnitSchedule is the schedule of a right as its unit has it: that of the right,
// narrowed by the unit's own. It never holds where the right is not on the unit.
func (s *State) UnitSchedule(unit, right ID) schedule.Schedule {
	return s.narrowedRight(s.unitRight(unit, right))
}

// unitRight finds a right as it is mapped to a unit; the zero value, which never
// holds, when it is not.
func (s *State) unitRight(unit, right ID) UnitRight {
	if u, ok := s.Units.Get(unit); ok {
		for _, r := range u.Rights {
			if r.Right == right {
				return r
			}
		}
	}
	return UnitRight{}
}

// narrowedRight is the schedule of a right within that of a unit, or of none.
func (s *State) narrowedRight(r UnitRight) schedule.Schedule {
	right, ok := s.AccessRights.Get(r.Right)
	if !ok {
		return schedule.Schedule{}
	}
	own, ok := s.Schedules.Get(right.Schedule)
	if !ok {
		return schedule.Schedule{}
	}
	if r.Schedule == "" {
		return own.Schedule
	}
	units, ok := s.Schedules.Get(r.Schedule)
	if !ok {
		return schedule.Schedule{}
	}
	return schedule.Intersect(own.Schedule, units.Schedule)
}

// rightsUnder lists the rights whose times follow from a schedule: as their own,
// or as that of a unit to which they are mapped.
func (s *State) rightsUnder(named ID) []ID {
	rights := s.AccessRights.IDs(RightBySchedule, named)
	for _, u := range s.Units.Each(UnitBySchedule, named) {
		for _, r := range u.Rights {
			if r.Schedule == named {
				rights = append(rights, r.Right)
			}
		}
	}
	return sortedIDs(rights)
}

// narrowing makes a change that may take time away from the rights as units have them.
// It notes which limited schedules of unit users the change reduced: their reviews are
// due (rule U12). The fold of every such change goes through it, so that the reviews
// still to be recorded follow from the state alone. Widening notes nothing, nor does a
// reduction that leaves a limited schedule as it was.
func (s *State) narrowing(rights []ID, change func()) {
	type limit struct {
		user, right ID
		before      UnitRight
	}
	var limits []limit
	before, after := map[UnitRight]schedule.Schedule{}, map[UnitRight]schedule.Schedule{}
	for _, right := range rights {
		for key, u := range s.UnitUsers.Each(unitUserLimited, right) {
			r := s.unitRight(u.Unit, right)
			if _, seen := before[r]; !seen {
				before[r] = s.narrowedRight(r)
			}
			limits = append(limits, limit{key, right, r})
		}
	}
	change()
	type step struct{ from, to UnitRight }
	reduces := map[step]bool{}
	for _, l := range limits {
		u, ok := s.UnitUsers.Get(l.user)
		if !ok {
			continue
		}
		now := step{l.before, s.unitRight(u.Unit, l.right)}
		if _, seen := reduces[now]; !seen {
			after[now.to] = s.narrowedRight(now.to)
			reduces[now] = schedule.Reduced(before[now.from], after[now.to])
		}
		a, ok := u.access(l.right)
		if !ok || !reduces[now] || s.Reviews.HasBy(reviewOpenOf, userRight(l.user, l.right)) {
			continue
		}
		if schedule.Reduced(schedule.Intersect(a.Limited, before[now.from]), after[now.to]) {
			s.Pending.Put(pendingReview(l.user, l.right), Pending{Unit: u.Unit, Person: u.Person, Right: l.right})
		}
	}
}

// requireReviews records the reviews that are due at the rights, as far as the
// commit has room for them.
func (tx *Tx) requireReviews(rights ...ID) {
	for _, right := range rights {
		for _, o := range tx.Pending.Each(pendingByRight, right) {
			if tx.budget <= 0 {
				return
			}
			tx.requireReview(o)
		}
	}
}

func (tx *Tx) requireReview(o *Pending) {
	tx.emitConsequence(ReviewRequired{
		Review: tx.idFor("", "review"), Unit: o.Unit, Person: o.Person, Right: o.Right, Message: ReviewMessage,
	})
}

// ReviewRequired asks for a look at a limited schedule that was reduced.
type ReviewRequired struct {
	Review  ID     `json:"review"`
	Unit    ID     `json:"unit"`
	Person  ID     `json:"person"`
	Right   ID     `json:"right"`
	Message string `json:"message"`
}

func (e ReviewRequired) fold(s *State, m Moment) {
	s.Pending.Delete(pendingReview(unitUserKey(e.Unit, e.Person), e.Right))
	s.Reviews.Put(e.Review, Review{
		ID: e.Review, Unit: e.Unit, Person: e.Person, Right: e.Right, Since: m.At, Message: e.Message,
	})
}
func (ReviewRequired) consequence()                  {}
func (e ReviewRequired) tells(*State, time.Time) ID  { return e.Unit }
func (e ReviewRequired) affectedSites(s *State) []ID { return s.sitesOfUnit(e.Unit) }

// AcknowledgeReview closes a review after the unit user's access was checked and
// left as it is (rule U13). Changing that access closes it as well.
type AcknowledgeReview struct {
	Review ID `json:"review"`
}

func (AcknowledgeReview) permit() Permit { return Permit{Role: RoleStaff, UnitManager: true} }
func (c AcknowledgeReview) scope(s *State) Scope {
	r, unknown := s.Reviews.find(c.Review, "review")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	return s.unitScope(r.Unit)
}

func (c AcknowledgeReview) decide(tx *Tx) *Refusal {
	r, refusal := tx.Reviews.find(c.Review, "review")
	if refusal != nil {
		return refusal
	}
	if !r.Done {
		tx.emit(ReviewAcknowledged(c))
	}
	return nil
}

// ReviewAcknowledged closes a review.
type ReviewAcknowledged struct {
	Review ID `json:"review"`
}

func (e ReviewAcknowledged) fold(s *State, m Moment) { s.closeReview(e.Review, m) }
func (e ReviewAcknowledged) affectedSites(s *State) []ID {
	if r, ok := s.Reviews.Get(e.Review); ok {
		return s.sitesOfUnit(r.Unit)
	}
	return nil
}

func (s *State) closeReview(id ID, m Moment) {
	s.Reviews.Update(id, func(r *Review) { r.Done, r.DoneBy = true, m.Actor })
}

// dropReview closes the open review of a unit user's right, and forgets one that
// is due: there is nothing left to look at.
func (s *State) dropReview(user, right ID, m Moment) {
	for id := range s.Reviews.Each(reviewOpenOf, userRight(user, right)) {
		s.closeReview(id, m)
	}
	s.Pending.Delete(pendingReview(user, right))
}
