package domain

import (
	"time"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// Posture is what a door does with credentials. A door without one lets them
// decide but where its schedule or business hours let it stand open; that everybody
// is shut out is a [Lockdown].
type Posture string

// The postures that a door can be given.
const (
	PostureUnlocked   Posture = "unlocked"    // the door stands open to anybody
	PostureFreeAccess Posture = "free_access" // any live credential of an active person opens
	PostureNormal     Posture = "normal"      // credentials decide, whatever schedule and business hours say
)

func (p Posture) check() error { return oneOf(p, PostureUnlocked, PostureFreeAccess, PostureNormal) }

// DoorPosture is the posture that a door or a site was given last.
type DoorPosture struct {
	Posture Posture   `json:"posture"`
	Until   time.Time `json:"until,omitzero"` // exclusive; zero: until it is cleared
	By      Actor     `json:"by"`
	Command string    `json:"command"` // id of the command
}

// InForce reports whether the posture holds at an instant.
func (p DoorPosture) InForce(at time.Time) bool {
	return p.Posture != "" && (p.Until.IsZero() || at.Before(p.Until))
}

// MaxUnlockMinutes is the longest time for which UnlockFor opens a door, in
// minutes.
const MaxUnlockMinutes = 24 * 60

var postureMessages = messages{
	commands: []CommandType{
		command[SetPosture]("Lets a door, or those of a site, stand open, open for any live credential or for those that may, until an instant or for good.", PostureSet{}),
		command[ClearPosture]("Clears the posture of a door or a site: credentials and schedules decide again.", PostureCleared{}),
		command[UnlockFor]("Lets a door stand open for some minutes.", PostureSet{}),
		command[SchedulePosture]("Lets a door stand open whenever a schedule holds.", PostureScheduled{}),
	},
	events: []EventType{event[PostureSet](1), event[PostureCleared](1), event[PostureScheduled](1)},
}

// SetPosture gives a door, or a site, a posture in place of the one that it has. At
// a door its own comes first, then that of the site, which doors of units do not
// take, and last its schedule and business hours. To go from unlocked to free
// access or normal takes access away, so that it passes with the commands that do,
// in their order.
type SetPosture struct {
	Door    ID      `json:"door,omitempty"` // one of door and site
	Site    ID      `json:"site,omitempty"`
	Posture Posture `json:"posture"`
	// Until is exclusive. Left out, a posture that is in force already keeps its end, and
	// another one lasts until it is cleared; null: until it is cleared.
	Until Given[time.Time] `json:"until,omitzero"`
	// UntilChange ends it when the schedule on which the door stands open next begins
	// or ends, as it is now.
	UntilChange bool `json:"until_change,omitzero"`
}

// urgent reports that no other posture is set, which could let people in.
func (c SetPosture) urgent() bool { return c.Posture == PostureNormal }

func (SetPosture) permit() Permit         { return Permit{Role: RoleStaff} }
func (c SetPosture) scope(s *State) Scope { return s.atPlace(c.Site, c.Door) }
func (c SetPosture) decide(tx *Tx) *Refusal {
	now, r := tx.postureOf(c.Site, c.Door)
	if r != nil {
		return r
	}
	if r := required("posture", string(c.Posture)); r != nil {
		return r
	}
	same := now.InForce(tx.At) && now.Posture == c.Posture
	until := inUTC(c.Until.Value)
	if !c.Until.Named && same {
		until = now.Until
	}
	site := c.Site
	if door, ok := tx.Doors.Get(c.Door); ok {
		site = door.Site
	}
	if r := tx.checkAhead(site, until); r != nil {
		return r
	}
	if c.UntilChange {
		if until, r = c.change(tx); r != nil {
			return r
		}
	}
	if !same || !now.Until.Equal(until) {
		tx.emit(PostureSet{Door: c.Door, Site: c.Site, Posture: c.Posture, Until: until})
	}
	return nil
}

// change is when the schedule on which the door stands open next begins or ends.
func (c SetPosture) change(tx *Tx) (time.Time, *Refusal) {
	door, ok := tx.Doors.Get(c.Door)
	if !ok || door.Hours == "" || c.Until.Named {
		return time.Time{}, invalid("invalid_field", "until_change: only for a door with a schedule from SchedulePosture, and without until")
	}
	site, r := tx.Sites.find(door.Site, "site")
	if r != nil {
		return time.Time{}, r
	}
	times, r := tx.Schedules.find(door.Hours, "schedule")
	if r != nil {
		return time.Time{}, r
	}
	next, ok := schedule.NextChange(times.Schedule, tx.zone(site.ID), site.Calendar, int64(unlock.InstantOf(tx.At)))
	if !ok {
		return time.Time{}, invalid("invalid_field", "until_change: schedule %s of the door never changes", door.Hours).about(door.Hours)
	}
	return time.Unix(0, next).UTC(), nil
}

// atPlace is the scope of what concerns a site or a door.
func (s *State) atPlace(site, door ID) Scope {
	return atSites(append(s.atDoor(door).Sites, site)...)
}

// postureOf is the posture that a door, or a site, was given last.
func (tx *Tx) postureOf(site, door ID) (DoorPosture, *Refusal) {
	switch {
	case (site == "") == (door == ""):
		return DoorPosture{}, invalid("invalid_field", "give exactly one of door and site")
	case site != "":
		at, r := tx.Sites.find(site, "site")
		if r != nil {
			return DoorPosture{}, r
		}
		return at.Posture, nil
	}
	at, r := tx.Doors.find(door, "door")
	if r != nil {
		return DoorPosture{}, r
	}
	return at.Posture, nil
}

// inUTC gives a time in UTC; none stays none.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// PostureSet gives a door or a site a posture. That its time is over is no fact of
// its own.
type PostureSet struct {
	Door    ID        `json:"door,omitempty"`
	Site    ID        `json:"site,omitempty"`
	Posture Posture   `json:"posture"`
	Until   time.Time `json:"until,omitzero"`
}

func (e PostureSet) fold(s *State, m Moment) {
	s.setPosture(e.Site, e.Door, DoorPosture{e.Posture, e.Until, m.Actor, m.CommandID.String()})
}
func (e PostureSet) affectedSites(s *State) []ID { return s.atPlace(e.Site, e.Door).Sites }

func (s *State) setPosture(site, door ID, p DoorPosture) {
	s.Sites.Update(site, func(at *Site) { at.Posture = p })
	s.Doors.Update(door, func(d *Door) { d.Posture = p })
}

// ClearPosture ends the posture of a door or a site. Beside staff, the person who let
// the door stand open may send it. Ending another posture may open the door by its
// schedule, so that it still takes the role.
type ClearPosture struct {
	Door ID `json:"door,omitempty"` // one of door and site
	Site ID `json:"site,omitempty"`
}

func (ClearPosture) urgent() bool           { return true }
func (ClearPosture) permit() Permit         { return Permit{Role: RoleStaff, Holder: true} }
func (c ClearPosture) scope(s *State) Scope { return s.atPlace(c.Site, c.Door) }
func (c ClearPosture) decide(tx *Tx) *Refusal {
	now, r := tx.postureOf(c.Site, c.Door)
	if r != nil {
		return r
	}
	site := c.scope(tx.State).Sites[0]
	switch {
	case !tx.operates(site) && (now.By != tx.Actor || now.Posture != PostureUnlocked):
		return forbid("role_not_permitted", "%s may not send ClearPosture at site %s; allowed: staff, a system manager, the owner or whoever let the door stand open", tx.Actor.ID, site).about(orDefault(c.Door, c.Site))
	case now.InForce(tx.At):
		tx.emit(PostureCleared(c))
	}
	return nil
}

// PostureCleared ends the posture of a door or a site.
type PostureCleared struct {
	Door ID `json:"door,omitempty"`
	Site ID `json:"site,omitempty"`
}

func (e PostureCleared) fold(s *State, _ Moment)     { s.setPosture(e.Site, e.Door, DoorPosture{}) }
func (e PostureCleared) affectedSites(s *State) []ID { return s.atPlace(e.Site, e.Door).Sites }

// UnlockFor lets a door stand open for some minutes from the command on. It is a
// posture with an end, so that a gateway that hears of it late shuts in time. The
// senders beside staff are listed at [RemoteUnlock].
type UnlockFor struct {
	Door    ID  `json:"door"`
	Minutes int `json:"minutes"` // 1 to 1440, a day
}

func (UnlockFor) permit() Permit         { return Permit{Role: RoleStaff, Holder: true} }
func (c UnlockFor) scope(s *State) Scope { return s.atDoor(c.Door) }
func (c UnlockFor) decide(tx *Tx) *Refusal {
	if c.Minutes < 1 || c.Minutes > MaxUnlockMinutes {
		return invalid("invalid_field", "minutes: must be 1 to %d", MaxUnlockMinutes)
	}
	door, _, r := tx.authorizeRemote(c.Door, CapabilityUnlockFor)
	if r != nil {
		return r
	}
	until := tx.At.Add(time.Duration(c.Minutes) * time.Minute)
	now := door.Posture
	site, _ := tx.Sites.Get(door.Site) // the door is there: so is its site
	switch {
	case !now.InForce(tx.At) && door.Unit == "" && site.Posture.InForce(tx.At) && site.Posture.Posture != PostureUnlocked && !tx.operates(door.Site):
		return refuse("posture_in_force", "site %s has the posture %s, past which staff alone let a door stand open", site.ID, site.Posture.Posture).about(c.Door, site.ID)
	case !now.InForce(tx.At):
	case now.Posture != PostureUnlocked:
		return refuse("posture_in_force", "door %s has the posture %s, which would be lost; SetPosture sets another one", c.Door, now.Posture).about(c.Door)
	case now.Until.IsZero() || !now.Until.Before(until):
		return nil
	case now.By != tx.Actor && !tx.operates(door.Site):
		return refuse("posture_in_force", "%s lets door %s stand open until %s; who set that may prolong it, and staff may", now.By, c.Door,
			now.Until.Format(time.RFC3339)).about(c.Door)
	}
	tx.emit(PostureSet{Door: c.Door, Posture: PostureUnlocked, Until: until})
	tx.warnUnserved(door)
	return nil
}

// SchedulePosture lets a door stand open whenever a schedule holds and no blackout
// does. A posture that it is given meanwhile comes first.
type SchedulePosture struct {
	Door     ID `json:"door"`
	Schedule ID `json:"schedule,omitempty"` // none: it stands open at no times
}

func (SchedulePosture) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c SchedulePosture) scope(s *State) Scope { return s.atDoor(c.Door) }
func (c SchedulePosture) decide(tx *Tx) *Refusal {
	door, r := tx.Doors.find(c.Door, "door")
	if r != nil {
		return r
	}
	if c.Schedule != "" {
		if _, r := tx.Schedules.find(c.Schedule, "schedule"); r != nil {
			return r
		}
	}
	if door.Hours != c.Schedule {
		tx.emit(PostureScheduled(c))
	}
	return nil
}

// PostureScheduled lets a door stand open whenever a schedule holds.
type PostureScheduled struct {
	Door     ID `json:"door"`
	Schedule ID `json:"schedule,omitempty"`
}

func (e PostureScheduled) fold(s *State, _ Moment) {
	s.Doors.Update(e.Door, func(d *Door) { d.Hours = e.Schedule })
}
func (e PostureScheduled) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }
