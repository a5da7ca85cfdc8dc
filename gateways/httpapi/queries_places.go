package httpapi

import (
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// siteView is a site without the table of its zone's transitions, which is in the
// commits. People without a role there, to whom something of it was given, read its name
// and its clock.
type siteView struct {
	domain.Site
	Calendar schedule.Calendar   `json:"calendar,omitzero"`
	Policy   *domain.Policy      `json:"policy,omitempty"`
	Rules    zoneVersion         `json:"rules"`
	Pins     *domain.PinGuessing `json:"pins,omitempty" doc:"how hard they are to guess: digits of the next one, how many are live, how many guesses a day one reader looks at, and the chance at most that who tries there day and night for a year hits one"`
}

// zoneVersion says which rules of a zone a site has.
type zoneVersion struct {
	Zone   string `json:"zone"`
	TZData string `json:"tzdata" doc:"version of the time zone database that the rules are from"`
}

type sitesInput struct{ List }

func (*sitesInput) filters() []filter[domain.Site] { return nil }

type areasInput struct {
	List
	Site string `query:"site"`
}

func (in *areasInput) filters() []filter[domain.Area] {
	return []filter[domain.Area]{{domain.AreaBySite, in.Site, func(r *domain.Area) bool { return string(r.Site) == in.Site }}}
}

// doorView is a door with the zone of its site. People who may not read the door's record,
// to whom something was given that opens it, read its name, kind, site and clock.
type doorView struct {
	domain.Door
	Zone string `json:"zone" doc:"of its site: the clock of the door's schedules"`
}

type doorsInput struct {
	List
	Site    string `query:"site"`
	Unit    string `query:"unit" doc:"the doors of a unit"`
	Area    string `query:"area" doc:"the doors that lead into an area or out of it"`
	Gateway string `query:"gateway" doc:"the doors that a gateway opens"`
}

func (in *doorsInput) filters() []filter[domain.Door] {
	return []filter[domain.Door]{
		{domain.DoorByUnit, in.Unit, func(r *domain.Door) bool { return string(r.Unit) == in.Unit }},
		{domain.DoorByGateway, in.Gateway, func(r *domain.Door) bool { return string(r.Gateway) == in.Gateway }},
		{domain.DoorByArea, in.Area, func(r *domain.Door) bool { return string(r.In) == in.Area || string(r.Out) == in.Area }},
		{domain.DoorBySite, in.Site, func(r *domain.Door) bool { return string(r.Site) == in.Site }},
	}
}

// gatewayView is a gateway with the doors that it opens.
type gatewayView struct {
	domain.Gateway
	Doors []domain.ID `json:"doors" doc:"that it opens, sorted"`
}

type gatewaysInput struct {
	List
	Site string `query:"site"`
}

func (in *gatewaysInput) filters() []filter[domain.Gateway] {
	return []filter[domain.Gateway]{{domain.GatewayBySite, in.Site, func(r *domain.Gateway) bool { return string(r.Site) == in.Site }}}
}

type areaView struct{ domain.Area }

// unitView is a unit with the times of its rights in words.
type unitView struct {
	domain.Unit
	Rights []unitRightView `json:"rights,omitempty" doc:"what a tenant of the unit may open, without rights that were retired; none: the unit is not mapped"`
}

type unitRightView struct {
	domain.UnitRight
	Text string `json:"text" doc:"the times of the right, and of the unit's own narrower schedule if there is one"`
}

type unitsInput struct {
	List
	Site  string `query:"site"`
	Right string `query:"right" doc:"the units to which a right is mapped"`
	State string `query:"state" enum:"vacant,occupied,to_check"`
}

func (in *unitsInput) filters() []filter[domain.Unit] {
	return []filter[domain.Unit]{
		{domain.UnitByRight, in.Right, func(r *domain.Unit) bool {
			return slices.ContainsFunc(r.Rights, func(m domain.UnitRight) bool { return string(m.Right) == in.Right })
		}},
		{domain.UnitBySite, in.Site, func(r *domain.Unit) bool { return string(r.Site) == in.Site }},
		{0, in.State, func(r *domain.Unit) bool { return string(r.State) == in.State }},
	}
}

// namedScheduleView is a schedule with its times in words.
type namedScheduleView struct {
	domain.NamedSchedule
	Text string `json:"text" doc:"as Monday to Friday, 08:30 - 17:30"`
}

type schedulesInput struct{ List }

func (*schedulesInput) filters() []filter[domain.NamedSchedule] { return nil }

func (a *API) registerPlaces() {
	a.registerOrg()
	registerNoun[domain.Site, siteView, sitesInput](a, noun[domain.Site, siteView]{
		name: "site", path: "sites", tag: "Sites", many: "the sites",
		table: func(s *domain.State) table[domain.Site] { return s.Sites },
		view: func(v *viewer, id domain.ID, r *domain.Site) siteView {
			out := siteView{Site: *r, Rules: zoneVersion{r.Rules.Zone, r.Rules.TZData}}
			if v.sees(r) {
				pins := domain.PinGuessingAt(v.state.State, id)
				out.Calendar, out.Policy, out.Pins = orEmpty(r.Calendar), &r.Policy, &pins
			}
			return out
		},
		brief: func(v *viewer, r *domain.Site) *domain.Site {
			if !v.state.MayKnowSite(v.person, r.ID) {
				return nil
			}
			return &domain.Site{ID: r.ID, Name: r.Name, Zone: r.Zone, Rules: r.Rules}
		},
	})
	registerNoun[domain.Area, areaView, areasInput](a, noun[domain.Area, areaView]{
		name: "area", path: "areas", tag: "Areas", many: "the areas",
		table: func(s *domain.State) table[domain.Area] { return s.Areas },
		view:  func(_ *viewer, _ domain.ID, r *domain.Area) areaView { return areaView{*r} },
	})
	registerNoun[domain.Door, doorView, doorsInput](a, noun[domain.Door, doorView]{
		name: "door", path: "doors", tag: "Doors", many: "the doors",
		table: func(s *domain.State) table[domain.Door] { return s.Doors },
		view: func(v *viewer, _ domain.ID, r *domain.Door) doorView {
			out := doorView{Door: *r}
			if site, ok := v.state.Sites.Get(r.Site); ok {
				out.Zone = site.Zone
			}
			return out
		},
		brief: func(v *viewer, r *domain.Door) *domain.Door {
			if !v.state.MayKnowDoor(v.person, r.ID) {
				return nil
			}
			return &domain.Door{ID: r.ID, Site: r.Site, Name: r.Name, Kind: r.Kind}
		},
	})
	registerNoun[domain.Gateway, gatewayView, gatewaysInput](a, noun[domain.Gateway, gatewayView]{
		name: "gateway", path: "gateways", tag: "Gateways", many: "the gateways",
		table: func(s *domain.State) table[domain.Gateway] { return s.Gateways },
		view: func(v *viewer, id domain.ID, r *domain.Gateway) gatewayView {
			return gatewayView{*r, orEmpty(v.state.Doors.IDs(domain.DoorByGateway, id))}
		},
	})
	registerNoun[domain.Unit, unitView, unitsInput](a, noun[domain.Unit, unitView]{
		name: "unit", path: "units", tag: "Units", many: "the units",
		table: func(s *domain.State) table[domain.Unit] { return s.Units },
		view:  viewUnit,
	})
	registerNoun[domain.NamedSchedule, namedScheduleView, schedulesInput](a, noun[domain.NamedSchedule, namedScheduleView]{
		name: "schedule", path: "schedules", tag: "Schedules", many: "the schedules",
		table: func(s *domain.State) table[domain.NamedSchedule] { return s.Schedules },
		view: func(_ *viewer, _ domain.ID, r *domain.NamedSchedule) namedScheduleView {
			return namedScheduleView{*r, r.Schedule.String()}
		},
	})
}

func viewUnit(v *viewer, _ domain.ID, r *domain.Unit) unitView {
	out := unitView{Unit: *r}
	if r.State != domain.UnitOccupied {
		out.MovedInAt = time.Time{} // of the tenancy before
	}
	for _, ur := range r.Rights {
		if right, ok := v.state.AccessRights.Get(ur.Right); ok && right.Retired {
			continue
		}
		out.Rights = append(out.Rights, unitRightView{ur, v.times(ur.Right, ur.Schedule)})
	}
	return out
}

// times says in words when a right holds, with a narrower schedule beside its own.
func (v *viewer) times(right, narrower domain.ID) string {
	text := ""
	if r, ok := v.state.AccessRights.Get(right); ok {
		text = v.scheduleText(r.Schedule)
	}
	if narrower != "" {
		text += "; of that, " + v.scheduleText(narrower)
	}
	return text
}

func (v *viewer) scheduleText(id domain.ID) string {
	if s, ok := v.state.Schedules.Get(id); ok {
		return s.Schedule.String()
	}
	return ""
}
