package domain_test

import (
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// The oracle says who may open what by the rules of the field alone. It was
// written from their wording, knows nothing of the state, of permission rows or of
// tables, and is as slow as it is plain: if a door opens and the oracle finds no
// rule that gives it, the code is wrong, or the rule was not understood.

// question asks at a door: for a credential, or for a person as if they showed a
// kind of credential. No kind: whatever they carry, by the hours of the person.
type question struct {
	door       domain.ID
	at         time.Time
	credential domain.ID
	person     domain.ID
	kind       domain.CredentialKind
	remote     domain.DoorCapability // what is asked remotely; none: at the door
	firstIn    time.Time             // when somebody with first-in last opened the door
	fire       bool
	uses       int // of the credential, so far
}

// ruling is the oracle's answer: the rule that gives the opening, or else the rules
// that take each way.
type ruling struct {
	rule  string   // as "B4"; none: nothing gives it
	way   way      // through which; none where the door stands open
	takes []string // by which rules the ways fail, or why the door lets nobody in
}

func (r ruling) allowed() bool { return r.rule != "" }

func taken(by ...string) ruling { return ruling{takes: by} }

// way is one chain of facts that gives a person a door.
type way struct {
	rule    string // that gives it
	person  domain.ID
	booking domain.ID // it hangs on
	share   domain.ID
	unit    domain.ID // of a place
	group   domain.ID
	grant   domain.ID
	fails   []string // the rules that take it
}

// may answers a question.
func (h history) may(q question) ruling {
	door, ok := h.door(q.door)
	if !ok {
		return taken("no such door")
	}
	if q.fire && door.release {
		return ruling{rule: "fire"}
	}
	if why := h.shut(q.door, door); why != "" {
		return taken(why)
	}
	if rule, free := h.standsOpen(q, door); rule != "" {
		return ruling{rule: rule}
	} else if free && h.showsSomethingLive(q, door) {
		return ruling{rule: "free access"}
	}
	if q.credential != "" {
		return h.mayCredential(q, door)
	}
	return h.mayPerson(q, door, "")
}

// shut says why nobody passes a door: it is out of service or locked down.
func (h history) shut(id domain.ID, door aDoor) string {
	if happened(h, func(e domain.DoorDisabled) bool { return e.Door == id }) > happened(h, func(e domain.DoorEnabled) bool { return e.Door == id }) {
		return "disabled"
	}
	for _, place := range []domain.LockdownStarted{{Site: door.site}, {Area: door.in}, {Area: door.out}, {Door: id}} {
		if place.Site+place.Area+place.Door == "" {
			continue
		}
		began := happened(h, func(e domain.LockdownStarted) bool {
			return e.Site == place.Site && e.Area == place.Area && e.Door == place.Door
		})
		ended := happened(h, func(e domain.LockdownReleased) bool {
			return e.Site == place.Site && e.Area == place.Area && e.Door == place.Door
		})
		if began > ended {
			return "lockdown"
		}
	}
	return ""
}

// standsOpen returns the rule by which a door is open to anybody. It reports free when
// the door opens for any live credential. The posture that was set last comes before
// the door's hours.
func (h history) standsOpen(q question, door aDoor) (rule string, free bool) {
	switch h.posture(q, door) {
	case domain.PostureUnlocked:
		return "posture", false
	case domain.PostureFreeAccess:
		return "", true
	case domain.PostureNormal:
		return "", false
	}
	if h.closed(door.site, q.at) {
		return "", false
	}
	hours, _ := latest(h, func(e domain.PostureScheduled) bool { return e.Door == q.door })
	if hours.Schedule != "" && h.holds(h.times(hours.Schedule), door.site, q.at) {
		return "scheduled posture", false
	}
	for _, g := range every(h, func(domain.GroupCreated) bool { return true }) {
		if h.groupHasDoor(g.Group, q.door) && h.businessHours(g.Group, door.site, q) {
			return "first-in", false
		}
	}
	return "", false
}

// posture gives what a door was given last, or else its site for all but the doors
// of units; none: "".
func (h history) posture(q question, door aDoor) domain.Posture {
	for _, place := range []domain.PostureSet{{Door: q.door}, {Site: door.site}} {
		if place.Site != "" && door.kind == domain.DoorUnit {
			continue
		}
		set, at := latest(h, func(e domain.PostureSet) bool { return e.Door == place.Door && e.Site == place.Site })
		cleared := happened(h, func(e domain.PostureCleared) bool { return e.Door == place.Door && e.Site == place.Site })
		if at > cleared && (set.Until.IsZero() || q.at.Before(set.Until)) {
			return set.Posture
		}
	}
	return ""
}

// businessHours: they hold, and whoever was to come first has come, in them or in
// the grace before (the resolution about first-in).
func (h history) businessHours(group, site domain.ID, q question) bool {
	set, _ := latest(h, func(e domain.GroupBusinessHoursSet) bool { return e.Group == group })
	if set.Hours == nil {
		return false
	}
	hold := func(at time.Time) bool { return h.holds(set.Hours.Times, site, at) }
	if !hold(q.at) || h.groupClosed(group, site, q.at) {
		return false
	}
	if !set.Hours.FirstIn {
		return true
	}
	if q.firstIn.IsZero() || q.firstIn.After(q.at) {
		return false
	}
	began := q.at.Truncate(time.Minute)
	for oldest := q.at.Add(-8 * 24 * time.Hour); began.After(oldest) && hold(began.Add(-time.Minute)); {
		began = began.Add(-time.Minute)
	}
	return !q.firstIn.Before(began.Add(-time.Duration(set.Hours.GraceMinutes) * time.Minute))
}

// showsSomethingLive: a live credential of an active person. One that hangs on a
// booking lives no longer than that.
func (h history) showsSomethingLive(q question, door aDoor) bool {
	if q.credential != "" {
		c, why := h.credential(q.credential, q, door)
		var hangs way
		if c.booking != "" {
			h.standing(&hangs, q, door, h.booking(c.booking))
		}
		return why == "" && len(hangs.fails) == 0 && h.personLives(c.person)
	}
	return h.personLives(q.person)
}

// aCredential is what was last handed out under an id.
type aCredential struct {
	kind                  domain.CredentialKind
	person, booking, unit domain.ID
	sites                 []domain.ID
	from, until           time.Time
	times                 schedule.Schedule
	uses                  int
	pinForDuress          domain.ID
	given                 int // place in the history
}

// handedOut finds who was last given a credential, and for what.
func (h history) handedOut(id domain.ID) (c aCredential) {
	c.given = -1
	for i, f := range h {
		switch e := f.event.(type) {
		case domain.FobAssigned:
			if e.Credential == id {
				c = aCredential{kind: e.Kind, person: e.Person, booking: e.Booking, unit: e.Unit, sites: e.Sites, from: e.From, until: e.Until, given: i}
			}
		case domain.PinIssued:
			if e.Credential == id {
				c = aCredential{kind: domain.KindPin, person: e.Person, booking: e.Booking, unit: e.Unit, sites: e.Sites, times: e.Times, uses: e.MaxUses, pinForDuress: e.DuressOf, given: i}
				if !e.From.IsZero() {
					c.from = e.From.Add(-time.Duration(e.BufferBefore) * time.Minute)
				}
				if !e.Until.IsZero() {
					c.until = e.Until.Add(time.Duration(e.BufferAfter) * time.Minute)
				}
			}
		case domain.MobileKeyIssued:
			if e.Credential == id {
				c = aCredential{kind: domain.KindMobileKey, person: e.Person, booking: e.Booking, unit: e.Unit, from: e.From, until: e.Until, given: i}
			}
		}
	}
	return c
}

// credential says what a credential is, and why it is worth nothing at a door.
func (h history) credential(id domain.ID, q question, door aDoor) (c aCredential, why string) {
	c = h.handedOut(id)
	if c.given < 0 || c.kind != domain.KindMobileKey && !slices.Contains(c.sites, door.site) {
		return c, "unknown credential"
	}
	if happened(h, func(e domain.CredentialDenied) bool { return e.Credential == id }) > happened(h, func(e domain.CredentialDenialLifted) bool { return e.Credential == id }) {
		return c, "deny list"
	}
	state := ""
	for _, f := range h[c.given:] {
		switch e := f.event.(type) {
		case domain.FobRemoved:
			if e.Credential == id {
				return c, "F4 removed"
			}
		case domain.CredentialRevoked:
			if e.Credential == id {
				return c, "L8 revoked"
			}
		case domain.PinRevoked:
			if e.Credential == id {
				return c, "L8 revoked"
			}
		case domain.GatewayRetired:
			if c.kind == domain.KindPin && e.Reason == domain.GatewayStolen && slices.Contains(c.sites, h.siteOfGateway(e.Gateway)) {
				return c, "P8 known to a thief"
			}
		case domain.CredentialExpired:
			if e.Credential == id {
				return c, "L4 expired"
			}
		case domain.CredentialReported:
			if e.Credential == id {
				state = "reported " + string(e.As)
			}
		case domain.CredentialSuspended:
			if e.Credential == id {
				if state = "credential suspended"; !e.Until.IsZero() && !q.at.Before(e.Until) {
					state = ""
				}
			}
		case domain.CredentialReinstated:
			if e.Credential == id {
				state = ""
			}
		}
	}
	switch {
	case state != "":
		return c, state
	case !c.from.IsZero() && q.at.Before(c.from):
		return c, "L4 not yet"
	case !c.until.IsZero() && !q.at.Before(c.until):
		return c, "L4 over"
	case len(c.times.Windows) > 0 && !h.holds(c.times, door.site, q.at):
		return c, "L3 times of the PIN"
	case c.uses > 0 && q.uses >= c.uses:
		return c, "L3 used up"
	}
	if c.pinForDuress != "" {
		// It does whatever the PIN does that it goes with.
		if _, why := h.credential(c.pinForDuress, q, door); why != "" {
			return c, why
		}
	}
	if c.unit != "" {
		p, ok := h.place(c.unit, c.person)
		if h.booking(c.booking).tenant != c.person && (!ok || p.booking != c.booking) {
			return c, "U10 no place any more"
		}
	}
	return c, ""
}

func (h history) siteOfGateway(id domain.ID) domain.ID {
	e, _ := latest(h, func(e domain.GatewayRegistered) bool { return e.Gateway == id })
	return e.Site
}

func (h history) mayCredential(q question, door aDoor) ruling {
	c, why := h.credential(q.credential, q, door)
	if why != "" {
		return taken(why)
	}
	q.person, q.kind = c.person, c.kind
	return h.mayPerson(q, door, c.booking)
}

// mayPerson looks through all that a person was given; with a booking at what
// hangs on that alone (the resolution about a fob at another booking).
func (h history) mayPerson(q question, door aDoor, booking domain.ID) ruling {
	if !h.personLives(q.person) {
		return taken("L1 person")
	}
	if q.remote != "" && !slices.Contains(door.can, q.remote) {
		return taken("G4")
	}
	out := ruling{}
	for _, w := range h.ways(q, door) {
		if booking != "" && w.booking != booking {
			w.fails = append(w.fails, "F one booking alone")
		}
		if h.closed(door.site, q.at) {
			w.fails = append(w.fails, "blackout")
		}
		if len(w.fails) == 0 {
			out.rule, out.way = w.rule, w
			return out
		}
		out.takes = append(out.takes, w.fails...)
	}
	if len(out.takes) == 0 {
		out.takes = []string{"nothing given"}
	}
	return out
}
