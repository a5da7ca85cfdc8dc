package httpapi

import (
	"reflect"
	"slices"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// peopleKinds are people and what they have.
var peopleKinds = []Kind{
	kindOf("people", people, func(v *exportView, r *domain.Person) (domain.RegisterPerson, bool) {
		// Somebody whose identity is not bound is made by what is shared with them.
		return domain.RegisterPerson{Person: r.ID, Name: r.Name, Email: r.Email, Phone: r.Phone}, !r.Unbound && !v.erased(r.ID)
	}),
	kindOf("roles", roles, func(_ *exportView, r *domain.RoleAssignment) (domain.AssignRole, bool) {
		return domain.AssignRole(*r), r.Role != domain.RoleOwner // which passes by TransferOwnership alone
	}),
	kindOf("bookings", bookings, func(_ *exportView, r *domain.Booking) (domain.CreateBooking, bool) {
		return domain.CreateBooking{Booking: r.ID, Unit: r.Unit, Person: r.Person, From: r.From, Until: r.Until}, r.State == domain.BookingStateActive
	}),
	kindOf("move-ins", bookings, func(v *exportView, r *domain.Booking) (domain.MoveIn, bool) {
		return domain.MoveIn{Booking: r.ID, TenantManages: v.tenantManages(r)}, r.State == domain.BookingStateActive && r.MovedIn
	}),
	kindOf("shares", shares, func(v *exportView, r *domain.Share) (domain.ShareAccess, bool) {
		return domain.ShareAccess{Bookings: []domain.ID{r.Booking}, Sharees: []domain.Sharee{v.sharee(r.Person)}, From: r.From, Until: r.Until,
			Shares: []domain.ID{r.ID}}, r.State == domain.ShareStateActive
	}).knownBy("shares"),
	kindOf("unit-managers", unitUsers, func(v *exportView, r *domain.UnitUser) (domain.CreateUnitManager, bool) {
		return domain.CreateUnitManager{Unit: r.Unit, Person: r.Person, Access: r.Access, MayDelegate: r.MayDelegate},
			r.Manager && v.inPlace(r) && !v.byMoveIn(r)
	}).knownBy("unit", "person"),
	kindOf("unit-users", unitUsers, func(v *exportView, r *domain.UnitUser) (domain.CreateUnitUser, bool) {
		access := v.state.PresentAccess(r)
		return domain.CreateUnitUser{Unit: r.Unit, Person: r.Person, Access: access}, !r.Manager && v.inPlace(r) && len(access) > 0
	}).knownBy("unit", "person"),
	kindOf("grants", grants, func(_ *exportView, r *domain.Grant) (domain.GrantRight, bool) {
		return domain.GrantRight{Grant: r.ID, Person: r.Person, Right: r.Right, From: r.From, Until: r.Until,
			BufferBefore: r.BufferBefore, BufferAfter: r.BufferAfter, Schedule: r.Schedule, Kinds: r.Kinds, Capabilities: r.Capabilities}, !r.Revoked && r.Auction == ""
	}),
	kindOf("credentials", credentials, fobOf),
}

// groupKinds are groups with their settings and members. The defaults of a new group
// need no line.
var groupKinds = []Kind{
	kindOf("groups", groups, func(v *exportView, r *domain.Group) (domain.CreateGroup, bool) {
		return domain.CreateGroup{Group: r.ID, Name: r.Name, Doors: orEmpty(r.Doors), Owner: v.ownerOf(r.ID)}, !r.Ended
	}),
	kindOf("group-members", groupMembers, func(v *exportView, r *domain.GroupMember) (domain.AddMember, bool) {
		return domain.AddMember{Group: r.Group, Person: r.Person, Role: r.Role}, !r.Removed && !v.ended(r.Group) && r.Person != v.ownerOf(r.Group)
	}),
	kindOfMany("group-options", groups, func(_ *exportView, r *domain.Group) (out []domain.SetGroupOption) {
		for _, o := range []domain.GroupOption{domain.OptionRemoteUnlock, domain.OptionUnlockFor, domain.OptionAdminsModifySettings} {
			if on := slices.Contains(r.Options, o); !r.Ended && on != (o == domain.OptionAdminsModifySettings) {
				out = append(out, domain.SetGroupOption{Group: r.ID, Option: o, Enabled: on})
			}
		}
		return out
	}),
	kindOf("group-schedules", groups, func(_ *exportView, r *domain.Group) (domain.SetGroupSchedule, bool) {
		return domain.SetGroupSchedule{Group: r.ID, Times: r.Times}, !r.Ended && !reflect.DeepEqual(r.Times, schedule.Schedule{Always: true})
	}),
	kindOf("group-hours", groups, func(_ *exportView, r *domain.Group) (domain.SetGroupBusinessHours, bool) {
		if r.Ended || r.Hours == nil {
			return domain.SetGroupBusinessHours{}, false
		}
		return domain.SetGroupBusinessHours{Group: r.ID, Times: domain.Give(r.Hours.Times), FirstIn: domain.Give(r.Hours.FirstIn), GraceMinutes: domain.Give(r.Hours.GraceMinutes)}, true
	}),
	kindOfMany("group-blackouts", groups, func(_ *exportView, r *domain.Group) (out []domain.SetGroupBlackout) {
		for _, b := range r.Blackouts {
			out = append(out, domain.SetGroupBlackout{Group: r.ID, Blackout: b.ID, Name: named(b.Name), From: &b.From, To: &b.To})
		}
		return out
	}),
}

// fobOf is the command that gives a fob or card which is good; none for PINs and
// mobile keys.
func fobOf(v *exportView, r *domain.Credential) (domain.AssignFob, bool) {
	if r.Kind != domain.KindFob && r.Kind != domain.KindCard || r.State != domain.CredentialStateActive || r.Denied || v.erased(r.Person) {
		return domain.AssignFob{}, false
	}
	c := domain.AssignFob{Credential: r.ID, Kind: r.Kind, Format: r.Format, Number: r.Number, Person: r.Person,
		From: r.From, Until: r.Until, ConsentRef: r.Consent}
	switch {
	case r.Unit != "":
		c.Unit = r.Unit
	case r.Booking != "":
		c.Booking = r.Booking
	default:
		c.Sites = r.Sites
	}
	return c, true
}

// erased reports whether a person is to be forgotten now, whatever was known when
// the export began.
func (v *exportView) erased(person domain.ID) bool {
	p, ok := v.state.People.Get(person)
	return ok && p.State == domain.PersonStateErased
}

// sharee names somebody with whom access is shared: by id, and by address as long
// as that is all that is known of them.
func (v *exportView) sharee(person domain.ID) domain.Sharee {
	out := domain.Sharee{Person: person}
	if p, ok := v.state.People.Get(person); ok && p.Unbound && v.sees(p) {
		out.Email, out.Phone = p.Email, p.Phone
	}
	return out
}

// tenantManages is what the tenant of a booking manages in the unit by moving in.
func (v *exportView) tenantManages(b *domain.Booking) domain.TenantManages {
	u, ok := v.state.UnitUsers.Get(b.Unit + "/" + b.Person)
	switch {
	case !ok || !u.Manager || !v.byMoveIn(u):
		return domain.ManagesNothing
	case !u.MayDelegate:
		return domain.ManagesUsers
	}
	return domain.ManagesUsersAndManagers
}

// inPlace reports whether a place is of the present tenancy of its unit.
func (v *exportView) inPlace(u *domain.UnitUser) bool {
	unit, ok := v.state.Units.Get(u.Unit)
	return ok && u.State == domain.UnitUserStateActive && unit.Booking != "" && u.Booking == unit.Booking
}

// byMoveIn reports whether a place is as the tenant has it by moving in: without
// access of its own.
func (v *exportView) byMoveIn(u *domain.UnitUser) bool {
	b, ok := v.state.Bookings.Get(u.Booking)
	return ok && v.inPlace(u) && b.Person == u.Person && len(u.Access) == 0
}

// ownerOf is the owner of a group with whom it is made; none where the caller sees
// no owner.
func (v *exportView) ownerOf(group domain.ID) domain.ID {
	owner := domain.ID("")
	for _, m := range v.state.GroupMembers.Each(domain.OwnerByGroup, group) {
		if v.sees(m) && (owner == "" || m.Person < owner) {
			owner = m.Person
		}
	}
	return owner
}

// ended reports whether a group is over.
func (v *exportView) ended(group domain.ID) bool {
	g, ok := v.state.Groups.Get(group)
	return !ok || g.Ended
}
