package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/domain/schedule"
)

// asked is a question at a door of a site.
type asked struct {
	Site       ID
	Door       ID
	Credential ID // or Person
	Person     ID
	Kind       CredentialKind // beside Person: as if they showed one; none: whatever they have
	Remote     bool           // an unlock remotely
	At         time.Time
}

func (q asked) String() string {
	return fmt.Sprintf("door=%s/%s credential=%s person=%s kind=%s remote=%t @%s", q.Site, q.Door, q.Credential, q.Person, q.Kind, q.Remote, q.At.Format(time.RFC3339Nano))
}

// precedence lists the reasons to deny in the order in which they count. The rules of
// the field give the order.
var precedence = strings.Fields(`
	unknown_access_point point_disabled lockdown
	unknown_credential credential_stolen credential_lost credential_revoked credential_damaged
	credential_suspended credential_expired credential_not_active credential_type_not_permitted other_gateway
	person_suspended identity_pending
	booking_revoked booking_ended booking_not_started unit_to_check overlock gatelock
	share_revoked share_ended share_not_started sharer_suspended no_access_right
	capability remote_unlock_not_permitted
	blackout holiday outside_schedule`)

// reasons are why something fails.
type reasons []string

func (r reasons) first() int {
	best := len(precedence)
	for _, reason := range r {
		i := slices.Index(precedence, reason)
		if i < 0 {
			panic("no reason: " + reason)
		}
		best = min(best, i)
	}
	return best
}

func (r *reasons) add(failed bool, reason string) {
	if failed {
		*r = append(*r, reason)
	}
}

// slowDecide decides at a door straight from the state, by the wording of the rules. It
// has no thought of speed and knows nothing of rows.
func slowDecide(s *State, q asked) (allowed bool, code string) {
	o := oracle{s: s, asked: q, site: theRow(s.Sites, q.Site)}
	return o.decide()
}

type oracle struct {
	s *State
	asked
	site       *Site
	door       *Door
	credential *Credential
	person     ID
}

// way is something that lets a person through the door, with what stands against
// it.
type way struct {
	id     string
	source string
	reasons
}

func (o *oracle) decide() (bool, string) {
	var against reasons
	door, ok := o.s.Doors.Get(o.Door)
	if o.site == nil || !ok || door.Site != o.Site {
		return false, "deny_unknown_access_point"
	}
	o.door = door
	against.add(door.Disabled, "point_disabled")
	against.add(o.lockedDown(), "lockdown")
	if len(against) > 0 {
		return false, "deny_" + precedence[against.first()]
	}
	who, known := o.who()
	switch posture := o.posture(); {
	case posture == PostureUnlocked:
		return true, "allow_posture_unlocked"
	case posture == PostureFreeAccess && len(who) == 0:
		return true, "allow_posture_free_access"
	}
	against = append(against, who...)
	best := way{reasons: reasons{"no_access_right"}}
	if known {
		ways := o.ways()
		for i, w := range ways {
			if i == 0 || w.first() > best.first() {
				best = w
			}
		}
	}
	against = append(against, best.reasons...)
	if i := against.first(); i < len(precedence) {
		return false, "deny_" + precedence[i]
	}
	switch {
	case o.Remote:
		return true, "allow_command"
	case best.source == "share" || best.source == "staff":
		return true, "allow_" + best.source
	}
	return true, "allow_grant"
}

// who says what stands against the credential and the person.
func (o *oracle) who() (against reasons, known bool) {
	o.person = o.Person
	if o.Credential != "" {
		c, ok := o.s.Credentials.Get(o.Credential)
		if !ok || !o.knows(c) {
			return reasons{"unknown_credential"}, false
		}
		o.credential, o.person = c, c.Person
		against = append(against, o.shown(c)...)
	}
	p, ok := o.s.People.Get(o.person)
	if !ok || !o.isHere(o.person) {
		return append(against, "unknown_credential"), false
	}
	switch p.State {
	case PersonStatePending:
		against = append(against, "identity_pending")
	case PersonStateSuspended, PersonStateErased:
		against = append(against, "person_suspended")
	}
	return against, true
}

// knows says whether a credential is known at the site. Mobile keys are where
// their holders have access.
func (o *oracle) knows(c *Credential) bool {
	holder, ok := o.s.People.Get(c.Person)
	if !ok || holder.State == PersonStateErased || c.State == CredentialStateStock {
		return false
	}
	if len(c.Sites) > 0 {
		return slices.Contains(c.Sites, o.Site)
	}
	return o.mayHaveAccess(c.Person)
}

func (o *oracle) isHere(person ID) bool {
	for _, c := range o.s.Credentials.All() {
		if c.Person == person && slices.Contains(c.Sites, o.Site) {
			return true
		}
	}
	return o.mayHaveAccess(person)
}

// mayHaveAccess says whether anything of the site was ever given to the person.
func (o *oracle) mayHaveAccess(person ID) bool {
	for _, b := range o.s.Bookings.All() {
		if b.Person == person && b.Site == o.Site {
			return true
		}
	}
	for _, sh := range o.s.Shares.All() {
		if sh.Person == person && sh.Site == o.Site {
			return true
		}
	}
	for _, u := range o.s.UnitUsers.All() {
		if u.Person == person && u.Site == o.Site && len(u.Access) > 0 {
			return true
		}
	}
	for _, m := range o.s.GroupMembers.All() {
		if g, ok := o.s.Groups.Get(m.Group); ok && m.Person == person && slices.Contains(g.Sites, o.Site) {
			return true
		}
	}
	for _, g := range o.s.Grants.All() {
		if right, ok := o.s.AccessRights.Get(g.Right); ok && g.Person == person && slices.Contains(right.Sites, o.Site) {
			return true
		}
	}
	return false
}

func (o *oracle) shown(c *Credential) (against reasons) {
	switch c.State {
	case CredentialStateSuspended:
		against.add(c.SuspendedUntil.IsZero() || o.At.Before(c.SuspendedUntil), "credential_suspended")
	case CredentialStateLost:
		against = append(against, "credential_lost")
	case CredentialStateStolen:
		against = append(against, "credential_stolen")
	case CredentialStateDamaged:
		against = append(against, "credential_damaged")
	case CredentialStateRevoked, CredentialStateRemoved:
		against = append(against, "credential_revoked")
	case CredentialStateExpired:
		against = append(against, "credential_expired")
	}
	if pin, ok := o.s.Credentials.Get(c.DuressOf); ok {
		against = append(against, o.shown(pin)...)
	}
	against.add(c.Denied, "credential_revoked")
	against.add(!c.From.IsZero() && o.At.Before(c.From), "credential_not_active")
	against.add(!c.Until.IsZero() && !o.At.Before(c.Until), "credential_expired")
	against.add(c.Home != "" && o.door.Gateway != c.Home, "other_gateway")
	if len(c.Times.Windows) > 0 {
		against = append(against, o.holds(c.Times)...)
	}
	if c.Booking != "" {
		against = append(against, o.booking(c.Booking)...)
	}
	return against
}

// booking returns what denies access under a booking at this door. The rules are B4 and
// B6, gatelock and overlock, and To-check-time.
func (o *oracle) booking(id ID) (against reasons) {
	b, ok := o.s.Bookings.Get(id)
	if !ok || b.Site != o.Site {
		return reasons{"booking_revoked"}
	}
	switch b.State {
	case BookingStateRevoked:
		against = append(against, "booking_revoked")
	case BookingStateEnded:
		against = append(against, "booking_ended")
	case BookingStateActive:
		against = append(against, o.suspended(b)...)
	}
	early, late := o.outside(b.From, b.Until)
	against.add(early, "booking_not_started")
	against.add(late, "booking_ended")
	unit, ok := o.s.Units.Get(b.Unit)
	against.add(!ok, "booking_revoked")
	against.add(ok && unit.State == UnitToCheck, "unit_to_check")
	return against
}

// suspended says how far a booking is shut out: of all causes the strongest counts.
func (o *oracle) suspended(b *Booking) (against reasons) {
	for _, s := range b.Suspensions {
		if s.Level == LevelOverlock {
			return reasons{"overlock"}
		}
		if s.Level == LevelGatelock && o.door.Kind != DoorUnit {
			against = reasons{"gatelock"}
		}
	}
	return against
}

// outside says whether the instant's day at the site is before or after days.
func (o *oracle) outside(from, until schedule.Date) (early, late bool) {
	today := o.today()
	return today.Before(from), !until.IsZero() && until.Before(today)
}

// today is the date of the site at the instant: not by the code that makes
// windows, but by reading the wall clock.
func (o *oracle) today() schedule.Date {
	return o.s.zone(o.Site).Local(o.At.UnixNano()).Date
}
