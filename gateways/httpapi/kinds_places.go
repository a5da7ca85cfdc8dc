package httpapi

import "gatehouse/domain"

// placeKinds are sites and what belongs to them.
var placeKinds = []Kind{
	kindOf("sites", sites, func(_ *exportView, r *domain.Site) (domain.CreateSite, bool) {
		return domain.CreateSite{Site: r.ID, Name: r.Name, Zone: r.Zone}, true
	}),
	kindOf("areas", areas, func(_ *exportView, r *domain.Area) (domain.CreateArea, bool) {
		return domain.CreateArea{Area: r.ID, Site: r.Site, Name: r.Name}, true
	}),
	kindOf("units", units, func(_ *exportView, r *domain.Unit) (domain.CreateUnit, bool) {
		return domain.CreateUnit{Unit: r.ID, Site: r.Site, Name: r.Name}, true
	}),
	kindOf("doors", doors, func(_ *exportView, r *domain.Door) (domain.CreateDoor, bool) {
		return domain.CreateDoor{Door: r.ID, Site: r.Site, Name: r.Name, Kind: r.Kind, Unit: r.Unit, In: r.In, Out: r.Out, Class: r.Class,
			FireRelease: r.FireRelease, AfterLease: r.AfterLease, Capabilities: r.Capabilities, Capacity: r.Capacity}, true
	}),
	kindOf("disabled-doors", doors, func(_ *exportView, r *domain.Door) (domain.DisableDoor, bool) {
		return domain.DisableDoor{Door: r.ID}, r.Disabled
	}),
	kindOf("lockdowns", sites, func(_ *exportView, r *domain.Site) (domain.Lockdown, bool) {
		return domain.Lockdown{Site: r.ID}, r.Lockdown != ""
	}).and(kindOf("", areas, func(_ *exportView, r *domain.Area) (domain.Lockdown, bool) {
		return domain.Lockdown{Area: r.ID}, r.Lockdown != ""
	}), kindOf("", doors, func(_ *exportView, r *domain.Door) (domain.Lockdown, bool) {
		return domain.Lockdown{Door: r.ID}, r.Lockdown != ""
	})),
	kindOf("schedules", schedules, func(_ *exportView, r *domain.NamedSchedule) (domain.DefineSchedule, bool) {
		return domain.DefineSchedule{Schedule: r.ID, Name: r.Name, Times: r.Schedule}, r.ID != domain.AlwaysID // every org has that
	}),
	kindOf("policies", sites, func(_ *exportView, r *domain.Site) (domain.SetSitePolicy, bool) {
		return domain.SetSitePolicy{Site: r.ID, Policy: domain.PatchOf(r.Policy)}, r.Policy != domain.Policy{}
	}),
	kindOf("connections", sites, func(_ *exportView, r *domain.Site) (domain.ConnectSite, bool) {
		return domain.ConnectSite{Site: r.ID, LockSystem: r.LockSystem}, r.LockSystem != ""
	}),
	kindOfMany("notifications", sites, func(_ *exportView, r *domain.Site) (out []domain.SetNotification) {
		for _, n := range r.Notifications {
			out = append(out, domain.SetNotification{Site: r.ID, Kind: n, Enabled: true})
		}
		return out
	}),
	kindOf("calendars", sites, func(_ *exportView, r *domain.Site) (domain.SetHolidayCalendar, bool) {
		return domain.SetHolidayCalendar{Site: r.ID, Days: r.Calendar}, len(r.Calendar) > 0
	}),
	kindOfMany("blackouts", sites, func(_ *exportView, r *domain.Site) (out []domain.SetBlackout) {
		for _, b := range r.Blackouts {
			out = append(out, domain.SetBlackout{Site: r.ID, Blackout: b.ID, Name: named(b.Name), From: &b.From, To: &b.To})
		}
		return out
	}),
	kindOf("rights", rights, func(_ *exportView, r *domain.AccessRight) (domain.DefineAccessRight, bool) {
		return domain.DefineAccessRight{Right: r.ID, Name: r.Name, Doors: orEmpty(r.Doors), Schedule: r.Schedule}, !r.Retired
	}),
	kindOf("unit-rights", units, func(_ *exportView, r *domain.Unit) (domain.MapUnitAccess, bool) {
		return domain.MapUnitAccess{Unit: r.ID, Rights: r.Rights}, len(r.Rights) > 0
	}),
	kindOf("gateways", gatewaysOf, func(_ *exportView, r *domain.Gateway) (domain.RegisterGateway, bool) {
		return domain.RegisterGateway{Gateway: r.ID, Site: r.Site, Name: r.Name, PublicKey: r.PublicKey}, r.Retired == ""
	}),
	kindOf("gateway-doors", doors, func(_ *exportView, r *domain.Door) (domain.AssignDoorToGateway, bool) {
		return domain.AssignDoorToGateway{Gateway: r.Gateway, Door: r.ID}, r.Gateway != ""
	}),
}

// shutKinds say who is shut out, and at which doors credentials do not decide.
var shutKinds = []Kind{
	kindOfMany("suspensions", bookings, func(_ *exportView, r *domain.Booking) (out []domain.SuspendBooking) {
		if r.State != domain.BookingStateActive {
			return nil
		}
		for _, one := range r.Suspensions {
			out = append(out, domain.SuspendBooking{Booking: r.ID, Level: one.Level, Cause: one.Cause})
		}
		return out
	}),
	kindOf("suspended-people", people, func(_ *exportView, r *domain.Person) (domain.SuspendPerson, bool) {
		return domain.SuspendPerson{Person: r.ID}, r.State == domain.PersonStateSuspended
	}),
	kindOf("scheduled-postures", doors, func(_ *exportView, r *domain.Door) (domain.SchedulePosture, bool) {
		return domain.SchedulePosture{Door: r.ID, Schedule: r.Hours}, r.Hours != ""
	}),
	kindOf("postures", sites, func(v *exportView, r *domain.Site) (domain.SetPosture, bool) {
		return domain.SetPosture{Site: r.ID, Posture: r.Posture.Posture, Until: named(r.Posture.Until)}, v.inForce(r.Posture)
	}).and(kindOf("", doors, func(v *exportView, r *domain.Door) (domain.SetPosture, bool) {
		return domain.SetPosture{Door: r.ID, Posture: r.Posture.Posture, Until: named(r.Posture.Until)}, v.inForce(r.Posture)
	})),
}

// inForce reports whether a posture holds at the moment of the export.
func (v *exportView) inForce(p domain.DoorPosture) bool {
	return p.Posture != "" && (p.Until.IsZero() || v.at.Before(p.Until))
}
