package httpapi

import (
	"slices"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// bookingView is a booking with the name of its tenant.
type bookingView struct {
	domain.Booking
	PersonName *string `json:"person_name" doc:"null: the caller may not see it, or it is not known"`
}

type bookingsInput struct {
	List
	Site   string `query:"site"`
	Unit   string `query:"unit"`
	Person string `query:"person" doc:"the primary tenant"`
	State  string `query:"state" enum:"active,revoked,ended"`
}

func (in *bookingsInput) filters() []filter[domain.Booking] {
	return []filter[domain.Booking]{
		{domain.BookingByUnit, in.Unit, func(r *domain.Booking) bool { return string(r.Unit) == in.Unit }},
		{domain.BookingByPerson, in.Person, func(r *domain.Booking) bool { return string(r.Person) == in.Person }},
		{domain.BookingBySite, in.Site, func(r *domain.Booking) bool { return string(r.Site) == in.Site }},
		{0, in.State, func(r *domain.Booking) bool { return string(r.State) == in.State }},
	}
}

// rightView is an access right with its times in words.
type rightView struct {
	domain.AccessRight
	Doors []domain.ID `json:"doors" doc:"of the sites; none: it opens nothing"`
	Sites []domain.ID `json:"sites" doc:"of the doors; of a retired right those it had"`
	Text  string      `json:"text" doc:"its times as text, such as Monday to Friday, 08:30 - 17:30"`
}

type rightsInput struct {
	List
	Site     string `query:"site"`
	Door     string `query:"door"`
	Schedule string `query:"schedule"`
}

func (in *rightsInput) filters() []filter[domain.AccessRight] {
	return []filter[domain.AccessRight]{
		{domain.RightByDoor, in.Door, func(r *domain.AccessRight) bool { return slices.Contains(r.Doors, domain.ID(in.Door)) }},
		{domain.RightBySchedule, in.Schedule, func(r *domain.AccessRight) bool { return string(r.Schedule) == in.Schedule }},
		{domain.RightBySite, in.Site, func(r *domain.AccessRight) bool { return slices.Contains(r.Sites, domain.ID(in.Site)) }},
	}
}

// grantView is a grant with the name of its person and its times in words.
type grantView struct {
	domain.Grant
	PersonName *string           `json:"person_name"`
	State      domain.GrantState `json:"state" enum:"active,not_started,ended,revoked" doc:"whether it is in force now"`
	Text       string            `json:"text" doc:"when its right holds, and its own narrower schedule if there is one"`
}

type grantsInput struct {
	List
	Person string `query:"person"`
	Right  string `query:"right"`
}

func (in *grantsInput) filters() []filter[domain.Grant] {
	return []filter[domain.Grant]{
		{domain.GrantByPerson, in.Person, func(r *domain.Grant) bool { return string(r.Person) == in.Person }},
		{domain.GrantByRight, in.Right, func(r *domain.Grant) bool { return string(r.Right) == in.Right }},
	}
}

// shareView is a share with the name of the sharee and its end.
type shareView struct {
	domain.Share
	PersonName *string `json:"person_name"`
	// A share opens nothing beyond what it hangs on, whatever its own days, and nothing
	// while its booking is suspended.
	EffectiveFrom  schedule.Date `json:"effective_from,omitzero" doc:"the first day on which it can open, within its booking and the share that was shared on; none: no day is left"`
	EffectiveUntil schedule.Date `json:"effective_until,omitzero" doc:"the last day on which it can open, within its booking and the share that was shared on; none: no day is left"`
	EffectiveState string        `json:"effective_state" enum:"active,suspended,revoked,ended" doc:"its state, but suspended while its booking is"`
}

type sharesInput struct {
	List
	Booking string `query:"booking"`
	Unit    string `query:"unit"`
	Person  string `query:"person" doc:"the sharee"`
	State   string `query:"state" enum:"active,revoked,ended"`
}

func (in *sharesInput) filters() []filter[domain.Share] {
	return []filter[domain.Share]{
		{domain.ShareByBooking, in.Booking, func(r *domain.Share) bool { return string(r.Booking) == in.Booking }},
		{domain.ShareByPerson, in.Person, func(r *domain.Share) bool { return string(r.Person) == in.Person }},
		{domain.ShareByUnit, in.Unit, func(r *domain.Share) bool { return string(r.Unit) == in.Unit }},
		{0, in.State, func(r *domain.Share) bool { return string(r.State) == in.State }},
	}
}

// unitUserView is a unit user with names and with times in words.
type unitUserView struct {
	ID domain.ID `json:"id" doc:"the unit and the person, as a12/anna; in a path the slash is written %2F"`
	domain.UnitUser
	PersonName     *string          `json:"person_name"`
	AssociatedName *string          `json:"associated_user_name" doc:"of the person who made the user or shared a key: names are not unique"`
	Access         []unitAccessView `json:"access,omitempty"`
}

type unitAccessView struct {
	domain.UnitAccess
	Text   string    `json:"text" doc:"Always, Same as defined in unit, or the user's own times"`
	Review domain.ID `json:"review,omitempty" doc:"the open review: the right was reduced since the own times were set"`
}

type unitUsersInput struct {
	List
	Unit   string `query:"unit"`
	Person string `query:"person"`
	Right  string `query:"right"`
	State  string `query:"state" enum:"active,removed"`
}

func (in *unitUsersInput) filters() []filter[domain.UnitUser] {
	return []filter[domain.UnitUser]{
		{domain.UnitUserByUnit, in.Unit, func(r *domain.UnitUser) bool { return string(r.Unit) == in.Unit }},
		{domain.UnitUserByPerson, in.Person, func(r *domain.UnitUser) bool { return string(r.Person) == in.Person }},
		{domain.UnitUserByRight, in.Right, func(r *domain.UnitUser) bool {
			return slices.ContainsFunc(r.Access, func(m domain.UnitAccess) bool { return string(m.Right) == in.Right })
		}},
		{0, in.State, func(r *domain.UnitUser) bool { return string(r.State) == in.State }},
	}
}

// reviewView is a review with the name of the unit user.
type reviewView struct {
	domain.Review
	PersonName *string `json:"person_name"`
}

type reviewsInput struct {
	List
	Unit  string `query:"unit"`
	Right string `query:"right"`
	Done  bool   `query:"done" doc:"also those that were done; else those that are due"`
}

func (in *reviewsInput) filters() []filter[domain.Review] {
	due := "due"
	if in.Done {
		due = ""
	}
	return []filter[domain.Review]{
		{domain.ReviewByUnit, in.Unit, func(r *domain.Review) bool { return string(r.Unit) == in.Unit }},
		{domain.ReviewByRight, in.Right, func(r *domain.Review) bool { return string(r.Right) == in.Right }},
		{0, due, func(r *domain.Review) bool { return !r.Done }},
	}
}

func (a *API) registerAccess() {
	registerNoun[domain.Booking, bookingView, bookingsInput](a, noun[domain.Booking, bookingView]{
		name: "booking", path: "bookings", tag: "Bookings", many: "the bookings",
		table: func(s *domain.State) table[domain.Booking] { return s.Bookings },
		view: func(v *viewer, _ domain.ID, r *domain.Booking) bookingView {
			return bookingView{*r, v.name(r.Person)}
		},
	})
	registerNoun[domain.AccessRight, rightView, rightsInput](a, noun[domain.AccessRight, rightView]{
		name: "right", path: "rights", tag: "Rights", many: "the access rights",
		table: func(s *domain.State) table[domain.AccessRight] { return s.AccessRights },
		view: func(v *viewer, _ domain.ID, r *domain.AccessRight) rightView {
			return rightView{*r, orEmpty(r.Doors), orEmpty(r.Sites), v.scheduleText(r.Schedule)}
		},
	})
	registerNoun[domain.Grant, grantView, grantsInput](a, noun[domain.Grant, grantView]{
		name: "grant", path: "grants", tag: "Grants", many: "the grants of access rights to people",
		table: func(s *domain.State) table[domain.Grant] { return s.Grants },
		view: func(v *viewer, _ domain.ID, r *domain.Grant) grantView {
			return grantView{*r, v.name(r.Person), v.state.GrantState(r), v.times(r.Right, r.Schedule)}
		},
	})
	registerNoun[domain.Share, shareView, sharesInput](a, noun[domain.Share, shareView]{
		name: "share", path: "shares", tag: "Shares", many: "the shares",
		table: func(s *domain.State) table[domain.Share] { return s.Shares },
		view:  viewShare,
	})
	registerNoun[domain.UnitUser, unitUserView, unitUsersInput](a, noun[domain.UnitUser, unitUserView]{
		name: "unit_user", path: "unit-users", tag: "UnitUsers", many: "the unit users and unit managers",
		table: func(s *domain.State) table[domain.UnitUser] { return s.UnitUsers },
		view:  viewUnitUser,
	})
	registerNoun[domain.Review, reviewView, reviewsInput](a, noun[domain.Review, reviewView]{
		name: "review", path: "reviews", tag: "Reviews", many: "the reviews that are due",
		table: func(s *domain.State) table[domain.Review] { return s.Reviews },
		view: func(v *viewer, _ domain.ID, r *domain.Review) reviewView {
			return reviewView{*r, v.name(r.Person)}
		},
	})
}

// orEmpty is a list that is never null in JSON.
func orEmpty[S ~[]E, E any](list S) S {
	if list == nil {
		return S{}
	}
	return list
}

func viewShare(v *viewer, _ domain.ID, r *domain.Share) shareView {
	out := shareView{Share: *r, PersonName: v.name(r.Person), EffectiveState: string(r.State)}
	if from, until, some := v.state.OpenDays(r); some {
		out.EffectiveFrom, out.EffectiveUntil = from, until
	}
	if b, ok := v.state.Bookings.Get(r.Booking); ok && b.Level != "" && r.State == domain.ShareStateActive {
		out.EffectiveState = "suspended"
	}
	return out
}

func viewUnitUser(v *viewer, id domain.ID, r *domain.UnitUser) unitUserView {
	out := unitUserView{ID: id, UnitUser: *r, PersonName: v.name(r.Person)}
	if r.Associated.Kind == domain.ActorPerson {
		out.AssociatedName = v.name(r.Associated.ID)
	}
	for _, access := range v.state.PresentAccess(r) {
		out.Access = append(out.Access, unitAccessView{access, modeText(access), v.state.OpenReview(r.Unit, r.Person, access.Right)})
	}
	return out
}

// modeText gives a unit user's schedule in the words of rule U8.
func modeText(a domain.UnitAccess) string {
	switch a.Mode {
	case domain.ModeAlways:
		return "Always"
	case domain.ModeSameAsUnit:
		return "Same as defined in unit"
	}
	return a.Limited.String()
}
