package domain_test

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/domain"
)

// given says by what right a door was newly opened: the history before the command,
// its sender, and the answer after it. It returns what is wrong, or nothing.
func (h history) given(actor domain.Actor, name string, now time.Time, q question, after history, r ruling) string {
	if actor.Kind != domain.ActorPerson {
		if name == "BindIdentity" || name == "SetZoneRules" {
			return ""
		}
		return "the service opens nothing by itself"
	}
	who := actor.ID
	if !h.personLives(who) {
		return "the sender is suspended, erased or pending"
	}
	door, _ := after.door(q.door)
	switch rank := h.rankAt(who, door.site, now); {
	case rank > roleRank[domain.RoleStaff]:
		return ""
	case rank == roleRank[domain.RoleStaff]:
		// Staff let in nobody who is no less than they are, themselves before all, but for
		// what is theirs as a tenant, unit manager or in a group.
		p := r.way.person
		if p == "" || p != who && h.highestRank(p, now) < rank || !slices.Contains(giving, name) {
			return ""
		}
	}
	if q.credential != "" && r.way.person != "" {
		if wrong, only := h.gaveCredential(who, q, after); only {
			return wrong
		}
		q.kind = after.handedOut(q.credential).kind
	}
	switch {
	case r.way.share != "":
		return h.shares(who, q, door, r.way)
	case r.way.unit != "":
		return h.manages(who, q, door, r.way)
	case r.way.group != "":
		return h.leads(who, name, q, r.way.group, r.rule)
	case r.rule == "first-in" && name != "ClearPosture":
		for _, g := range every(h, func(domain.GroupCreated) bool { return true }) {
			if h.groupHasDoor(g.Group, q.door) && h.leads(who, name, q, g.Group, r.rule) == "" {
				return ""
			}
		}
		return "no admin of a group with the door"
	case r.rule == "free access":
		// The door stood so before, and lets in whoever shows something live.
		if _, free := h.standsOpen(q, door); free {
			return ""
		}
	case r.rule == "posture" && name == "UnlockFor":
		return h.unlocks(who, q.door, now)
	case name == "ClearPosture" && r.way.person == "":
		return h.clears(who, q.door)
	}
	return "without the role for it"
}

// giving lists the commands by which somebody is let in by name. Those that undo what
// shut a door or a person out are not among them.
var giving = []string{"GrantRight", "GrantAuctionAccess", "CreateBooking", "ChangeBookingWindow", "TransferBooking", "ShareAccess", "ChangeShareWindow",
	"CreateUnitUser", "CreateUnitManager", "ChangeUnitUserAccess", "AddMember", "ChangeMemberRole"}

// gaveCredential judges a key to what its holder may open anyway. only is false
// where the command opened it for the holder as well.
func (h history) gaveCredential(who domain.ID, q question, after history) (wrong string, only bool) {
	c := after.handedOut(q.credential)
	if !h.may(question{door: q.door, at: q.at, person: c.person, kind: c.kind, remote: q.remote}).allowed() {
		return "", false
	}
	booking := h.booking(c.booking)
	place, ok := h.place(c.unit, who)
	switch {
	case c.booking != "" && booking.tenant == who, c.unit != "" && ok && place.manager:
		return "", true
	case who == c.person && !physical(c.kind):
		return "", true
	}
	return "a key from somebody who gives none", true
}

// open reports whether one way of a person in a booking is open: that of its
// tenant, suspended as a person or not, or that of a share.
func (h history) open(q question, door aDoor, ways ...way) bool {
	return slices.ContainsFunc(ways, func(w way) bool { return len(w.fails) == 0 }) && !h.closed(door.site, q.at)
}

// shares: tenants share what they have, while they have it (B3, B4); who was let
// share on, what was shared with them.
func (h history) shares(who domain.ID, q question, door aDoor, w way) string {
	b := h.booking(w.booking)
	q.person = who
	if who == b.tenant && h.open(q, door, h.bookingWay(q, door, b)) {
		return ""
	}
	// With a fob nobody shows what was shared with them; it is theirs all the same.
	q.kind = ""
	if who != b.tenant && who != w.person && h.open(q, door, h.shareWays(q, door, b)...) {
		return ""
	}
	return "shared without having it"
}

// manages: unit managers give rights of their unit, in no more time than it has
// them (U3, U5, U6).
func (h history) manages(who domain.ID, q question, door aDoor, w way) string {
	p, ok := h.place(w.unit, who)
	if !ok || !p.manager || p.booking != w.booking {
		return "no manager of the unit"
	}
	all := way{}
	h.standing(&all, q, door, h.booking(w.booking))
	h.byUnit(&all, q, door, w.unit)
	if h.open(q, door, all) {
		return ""
	}
	return "more than the unit has"
}

// leads: admins give the doors of their group to users (G6) and change its times
// while it lets them (G5), owners make admins and set the options.
func (h history) leads(who domain.ID, name string, q question, group domain.ID, rule string) string {
	role := h.groupRole(group, who)
	switch {
	case !h.groupHasDoor(group, q.door):
		return "the door is not the group's to give"
	case role == domain.GroupOwner:
		return ""
	case role != domain.GroupAdmin:
		return "no admin of the group"
	case name == "SetGroupOption", name == "TransferGroupOwnership":
		return "admins set no options and make no owners"
	case name == "AddMember", name == "ChangeMemberRole":
		if rule == "G6" {
			return "admins make no admins"
		}
	case !h.groupLets(group, domain.OptionAdminsModifySettings):
		return "the group does not let its admins change settings"
	}
	return ""
}

// unlocks: who may keep a door open remotely (G3, G4), at the moment.
func (h history) unlocks(who, door domain.ID, now time.Time) string {
	d, _ := h.door(door)
	q := question{door: door, at: now, person: who, remote: domain.CapabilityUnlockFor}
	if h.mayPerson(q, d, "").allowed() {
		return ""
	}
	return "unlocked without being let"
}

// clears: a posture ends by who set it.
func (h history) clears(who, door domain.ID) string {
	d, _ := h.door(door)
	_, at := latest(h, func(e domain.PostureSet) bool { return e.Door == door || e.Site != "" && e.Site == d.site })
	if at >= 0 && h[at].by.ID == who {
		return ""
	}
	return "the posture is another's"
}

// ranks checks what a command says about roles themselves (L1, G1, U3): nobody
// makes, unmakes or speaks for somebody who is not below them.
func (h history) ranks(actor domain.Actor, name string, now time.Time, events history) string {
	if actor.Kind != domain.ActorPerson {
		return ""
	}
	who := actor.ID
	above := func(person, site domain.ID) bool { return h.rankAt(who, site, now) > h.rankAt(person, site, now) }
	for _, f := range events {
		wrong := false
		switch e := f.event.(type) {
		case domain.RoleAssigned:
			wrong = !above(e.Person, e.Site) || h.rankAt(who, e.Site, now) <= roleRank[e.Role]
		case domain.RoleRevoked:
			wrong = !above(e.Person, e.Site)
		case domain.PersonSuspended:
			wrong = h.rankAt(who, "", now) <= h.highestRank(e.Person, now)
		case domain.PersonReinstated:
			wrong = h.rankAt(who, "", now) <= h.highestRank(e.Person, now)
		case domain.OwnershipTransferred:
			wrong = h.rankAt(who, "", now) < roleRank[domain.RoleOwner] || h.rankAt(e.To, "", now) != roleRank[domain.RoleSystemManager]
		case domain.TokenIssued:
			wrong = who != e.Person && h.rankAt(who, "", now) <= h.highestRank(e.Person, now)
		case domain.GroupMemberAdded:
			wrong = name == "AddMember" && !h.ranksInGroup(who, e.Group, e.Role, now)
		case domain.GroupMemberRoleChanged:
			wrong = !h.ranksInGroup(who, e.Group, e.Role, now) || !h.ranksInGroup(who, e.Group, h.groupRole(e.Group, e.Person), now)
		case domain.GroupMemberRemoved:
			wrong = who != e.Person && !h.ranksInGroup(who, e.Group, h.groupRole(e.Group, e.Person), now)
		case domain.GroupOwnershipTransferred:
			wrong = e.From != who || h.groupRole(e.Group, who) != domain.GroupOwner || h.groupRole(e.Group, e.To) != domain.GroupAdmin
		case domain.UnitManagerCreated:
			p, ok := h.place(e.Unit, who)
			unit, _ := latest(h, func(u domain.UnitCreated) bool { return u.Unit == e.Unit })
			wrong = h.rankAt(who, unit.Site, now) < roleRank[domain.RoleStaff] && (!ok || !p.manager || !p.delegates || e.Booking != p.booking)
		}
		if wrong {
			return fmt.Sprintf("%s of %s: %+v", name, who, f.event)
		}
	}
	return ""
}

// ranksInGroup: who runs every site of the group, an owner, or an admin where it is
// about a user.
func (h history) ranksInGroup(who, group domain.ID, role domain.GroupRole, now time.Time) bool {
	runs, doors := true, 0
	for _, d := range every(h, func(domain.DoorCreated) bool { return true }) {
		if h.groupHasDoor(group, d.Door) {
			doors++
			runs = runs && h.rankAt(who, d.Site, now) >= roleRank[domain.RoleSystemManager]
		}
	}
	if doors == 0 {
		runs = h.rankAt(who, "", now) >= roleRank[domain.RoleSystemManager]
	}
	own := h.groupRole(group, who)
	return runs || own == domain.GroupOwner || own == domain.GroupAdmin && role == domain.GroupUser
}
