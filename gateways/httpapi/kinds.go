package httpapi

import "gatehouse/domain"

// exporters says what is exported of each kind: the commands by which import makes
// it again, in the words of [domain]. What a command does not say is not exported:
// postures, lockdowns, policies, calendars, groups, unit users, PINs.
//
// What was taken away does not come back by an import: what is over, lost or on the
// deny list is left out, and so are suspended credentials. People and bookings that
// are suspended have lines, or what hangs on them could not be made; that they are
// is of the kinds suspended-people and suspensions.
var exporters = map[string]exporter{
	"sites": exportOf(domain.CreateSite{}, func(s *domain.State) table[domain.Site] { return s.Sites },
		func(_ *viewer, r *domain.Site) domain.Command {
			return domain.CreateSite{Site: r.ID, Name: r.Name, Zone: r.Zone}
		}),
	"areas": exportOf(domain.CreateArea{}, func(s *domain.State) table[domain.Area] { return s.Areas },
		func(_ *viewer, r *domain.Area) domain.Command {
			return domain.CreateArea{Area: r.ID, Site: r.Site, Name: r.Name}
		}),
	"units": exportOf(domain.CreateUnit{}, func(s *domain.State) table[domain.Unit] { return s.Units },
		func(_ *viewer, r *domain.Unit) domain.Command {
			return domain.CreateUnit{Unit: r.ID, Site: r.Site, Name: r.Name}
		}),
	"doors": exportOf(domain.CreateDoor{}, func(s *domain.State) table[domain.Door] { return s.Doors },
		func(_ *viewer, r *domain.Door) domain.Command {
			return domain.CreateDoor{Door: r.ID, Site: r.Site, Name: r.Name, Kind: r.Kind, Unit: r.Unit, In: r.In, Out: r.Out, Class: r.Class,
				FireRelease: r.FireRelease, AfterLease: r.AfterLease, Capabilities: r.Capabilities, Capacity: r.Capacity}
		}),
	"schedules": exportOf(domain.DefineSchedule{}, func(s *domain.State) table[domain.NamedSchedule] { return s.Schedules },
		func(_ *viewer, r *domain.NamedSchedule) domain.Command {
			if r.ID == domain.AlwaysID {
				return nil // every org has it
			}
			return domain.DefineSchedule{Schedule: r.ID, Name: r.Name, Times: r.Schedule}
		}),
	"rights": exportOf(domain.DefineAccessRight{}, func(s *domain.State) table[domain.AccessRight] { return s.AccessRights },
		func(_ *viewer, r *domain.AccessRight) domain.Command {
			if r.Retired {
				return nil
			}
			return domain.DefineAccessRight{Right: r.ID, Name: r.Name, Doors: orEmpty(r.Doors), Schedule: r.Schedule}
		}),
	"unit-rights": exportOf(domain.MapUnitAccess{}, func(s *domain.State) table[domain.Unit] { return s.Units },
		func(_ *viewer, r *domain.Unit) domain.Command {
			if len(r.Rights) == 0 {
				return nil
			}
			return domain.MapUnitAccess{Unit: r.ID, Rights: r.Rights}
		}),
	"people": exportOf(domain.RegisterPerson{}, func(s *domain.State) table[domain.Person] { return s.People },
		func(v *viewer, r *domain.Person) domain.Command {
			// Somebody whose identity is not bound is made by what is shared with them.
			if r.Unbound || v.erased(r.ID) {
				return nil
			}
			return domain.RegisterPerson{Person: r.ID, Name: r.Name, Email: r.Email, Phone: r.Phone}
		}),
	"suspended-people": exportOf(domain.SuspendPerson{}, func(s *domain.State) table[domain.Person] { return s.People },
		func(_ *viewer, r *domain.Person) domain.Command {
			if r.State != domain.PersonStateSuspended {
				return nil
			}
			return domain.SuspendPerson{Person: r.ID}
		}),
	"roles": exportOf(domain.AssignRole{}, func(s *domain.State) table[domain.RoleAssignment] { return s.RoleAssignments },
		func(_ *viewer, r *domain.RoleAssignment) domain.Command {
			if r.Role == domain.RoleOwner {
				return nil // passes by TransferOwnership alone
			}
			return domain.AssignRole(*r)
		}),
	"bookings": exportOf(domain.CreateBooking{}, func(s *domain.State) table[domain.Booking] { return s.Bookings },
		func(_ *viewer, r *domain.Booking) domain.Command {
			if r.State != domain.BookingStateActive {
				return nil
			}
			return domain.CreateBooking{Booking: r.ID, Unit: r.Unit, Person: r.Person, From: r.From, Until: r.Until}
		}),
	"move-ins": exportOf(domain.MoveIn{}, func(s *domain.State) table[domain.Booking] { return s.Bookings },
		func(v *viewer, r *domain.Booking) domain.Command {
			if r.State != domain.BookingStateActive || !r.MovedIn {
				return nil
			}
			return domain.MoveIn{Booking: r.ID, TenantManages: v.tenantManages(r)}
		}),
	"suspensions": exportMany(domain.SuspendBooking{}, func(s *domain.State) table[domain.Booking] { return s.Bookings },
		func(_ *viewer, r *domain.Booking) (out []domain.Command) {
			if r.State != domain.BookingStateActive {
				return nil
			}
			for _, one := range r.Suspensions {
				out = append(out, domain.SuspendBooking{Booking: r.ID, Level: one.Level, Cause: one.Cause})
			}
			return out
		}),
	"shares": exportOf(domain.ShareAccess{}, func(s *domain.State) table[domain.Share] { return s.Shares },
		func(v *viewer, r *domain.Share) domain.Command {
			if r.State != domain.ShareStateActive {
				return nil
			}
			return domain.ShareAccess{Bookings: []domain.ID{r.Booking}, Sharees: []domain.Sharee{v.sharee(r.Person)}, From: r.From, Until: r.Until,
				Shares: []domain.ID{r.ID}}
		}),
	"grants": exportOf(domain.GrantRight{}, func(s *domain.State) table[domain.Grant] { return s.Grants },
		func(_ *viewer, r *domain.Grant) domain.Command {
			if r.Revoked || r.Auction != "" {
				return nil
			}
			return domain.GrantRight{Grant: r.ID, Person: r.Person, Right: r.Right, From: r.From, Until: r.Until,
				BufferBefore: r.BufferBefore, BufferAfter: r.BufferAfter, Schedule: r.Schedule, Kinds: r.Kinds, Capabilities: r.Capabilities}
		}),
	"credentials": exportOf(domain.AssignFob{}, func(s *domain.State) table[domain.Credential] { return s.Credentials }, fobOf),
}

// fobOf is the command that gives a fob or card which is good; none for PINs and
// mobile keys, whose secrets leave the service once at most.
func fobOf(v *viewer, r *domain.Credential) domain.Command {
	if r.Kind != domain.KindFob && r.Kind != domain.KindCard || r.State != domain.CredentialStateActive || r.Denied || v.erased(r.Person) {
		return nil
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
	return c
}

// erased reports whether a person is to be forgotten now, whatever was known when
// the export began.
func (v *viewer) erased(person domain.ID) bool {
	p, ok := v.state.People.Get(person)
	return ok && p.State == domain.PersonStateErased
}

// sharee names somebody with whom access is shared: by id, and by address as long
// as that is all that is known of them.
func (v *viewer) sharee(person domain.ID) domain.Sharee {
	out := domain.Sharee{Person: person}
	if p, ok := v.state.People.Get(person); ok && p.Unbound && v.sees(p) {
		out.Email, out.Phone = p.Email, p.Phone
	}
	return out
}

// tenantManages is what the tenant of a booking manages in the unit.
func (v *viewer) tenantManages(b *domain.Booking) domain.TenantManages {
	u, ok := v.state.UnitUsers.Get(b.Unit + "/" + b.Person)
	switch {
	case !ok || !u.Manager || u.State != domain.UnitUserStateActive:
		return domain.ManagesNothing
	case !u.MayDelegate:
		return domain.ManagesUsers
	}
	return domain.ManagesUsersAndManagers
}
