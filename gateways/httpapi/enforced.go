package httpapi

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/gateways/receipts"
	"gatehouse/schemas/wire"
)

// A command that is committed may wait until gateways enforce it. It has neither a place
// nor a body any more then, and waits in a budget of its own.
const (
	enforceWait    = 5 * time.Second
	maxEnforceWait = 30 * time.Second
	// maxLagging bounds how many gateways, and how many doors, an answer names.
	maxLagging = 100
)

// enforcedState says where a command is enforced.
type enforcedState string

// The states of enforcement.
const (
	enforcedEverywhere enforcedState = "everywhere"      // by each gateway that it concerns
	enforcedNoGateway  enforcedState = "no_gateway"      // no gateway has a door at the sites: the service decides there
	enforcedUnchanged  enforcedState = "nothing_changed" // it changed no permissions
	enforcedPending    enforcedState = "pending"         // not by all
)

// Schema lists the states.
func (enforcedState) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Enum: []any{enforcedEverywhere, enforcedNoGateway, enforcedUnchanged, enforcedPending},
		Description: "with wait=enforced alone. everywhere: each gateway with a door at a site whose permissions the command changed enforces it; no_gateway: there is none, the service decides; " +
			"nothing_changed: the command changed no permissions, which says nothing of earlier ones; pending: not all of them do"}
}

// Enforcement is where a command is enforced, and until when doors may open by what was
// before it.
type Enforcement struct {
	Enforced enforcedState `json:"enforced,omitempty"`
	// A door whose device decides by itself has no lease, so that nothing bounds it.
	MayOpenUntil time.Time   `json:"may_open_until,omitzero" doc:"of a pending command: the latest instant at which a door may open by what was before, which may be past; none: it is not bounded, as a device decides by itself"`
	Missing      []lagging   `json:"missing,omitempty" doc:"of a pending command: the gateways that do not enforce it, at the sites at which the caller works, at most 100"`
	MissingDoors []domain.ID `json:"missing_doors,omitempty" doc:"of a pending command: the doors of such gateways at other sites, those that the caller may see, at most 100"`
}

// lagging is a gateway that does not enforce a command.
type lagging struct {
	Gateway   domain.ID           `json:"gateway"`
	Site      domain.ID           `json:"site"`
	State     receipts.State      `json:"state" enum:"unknown,offline,behind,current" doc:"unknown: it did not ask since this instance began to listen"`
	Upto      *wire.Position      `json:"upto,omitempty" doc:"every commit up to it is enforced; none: not known"`
	Leases    []receipts.ClassEnd `json:"leases" doc:"until when its doors may open by the permissions that it has, by class"`
	Unbounded bool                `json:"unbounded,omitempty" doc:"a device decides by itself: no lease ends that"`
}

// readWait reads how long a command waits for gateways.
func readWait(query url.Values, req *commandRequest) *Problem {
	if query.Get("wait") != "enforced" {
		if !query.Has("wait") {
			return malformed("query.timeout", "needs wait=enforced")
		}
		return malformed("query.wait", "must be enforced")
	}
	req.wait = enforceWait
	if text := query.Get("timeout"); query.Has("timeout") {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > maxEnforceWait {
			return malformed("query.timeout", "must be a duration such as 500ms or 10s, more than 0 and up to %s", maxEnforceWait)
		}
		req.wait = d
	}
	return nil
}

// concerned is a gateway that must take a commit over, with its doors.
type concerned struct {
	id, site domain.ID
	doors    []*domain.Door
	retired  bool // so that it never says that it did
}

// awaitEnforced waits until the commit of a command is enforced, or its time is over. The
// command is committed, so whatever goes wrong is no error but pending.
func (a *API) awaitEnforced(ctx context.Context, wait time.Duration, result eventstore.Result) Enforcement {
	if len(result.Events) == 0 {
		return Enforcement{Enforced: enforcedUnchanged}
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if leave, err := a.budgets.enforced.Take(ctx, callerOf(ctx).who(), 1); err == nil {
		defer leave()
	} else {
		cancel() // it is told what is known now
	}
	org := callerOf(ctx).org
	sites, unsure := a.cfg.Changed(waiting, org, result.Position.N)
	if unsure == nil && len(sites) == 0 {
		return Enforcement{Enforced: enforcedUnchanged}
	}
	gateways, err := a.concerned(ctx, sites, unsure != nil)
	if err != nil {
		a.log(ctx, "the gateways that a command concerns cannot be listed", err)
		return Enforcement{Enforced: enforcedPending}
	}
	var ids []domain.ID
	for _, g := range gateways {
		if !g.retired {
			ids = append(ids, g.id)
		}
	}
	missing := a.cfg.Receipts.Await(waiting, org, ids, result.Position)
	gateways = slices.DeleteFunc(gateways, func(g concerned) bool { return !g.retired && !slices.Contains(missing, g.id) })
	switch {
	case len(gateways) > 0:
		return a.pending(ctx, gateways)
	case len(ids) == 0 && unsure == nil:
		return Enforcement{Enforced: enforcedNoGateway}
	}
	return Enforcement{Enforced: enforcedEverywhere}
}

// concerned lists the gateways of some sites, or of all, that have a door. It lists those
// too that have none any more, but may still hold the lease of before.
func (a *API) concerned(ctx context.Context, sites []domain.ID, all bool) (out []concerned, err error) {
	_, err = a.viewAfter(ctx, func(s domain.View, _ eventstore.Head) error {
		if all {
			for id := range s.Sites.All() {
				sites = append(sites, id)
			}
		}
		for _, site := range sites {
			for id, g := range s.Gateways.Each(domain.GatewayBySite, site) {
				c := concerned{id: id, site: site, doors: doorsOf(s, id), retired: g.Retired != ""}
				if len(c.doors) == 0 {
					c.doors = a.stillHeld(s, callerOf(ctx).org, g)
				}
				if len(c.doors) > 0 {
					out = append(out, c)
				}
			}
		}
		return nil
	})
	return out, err
}

// doorsOf are the doors that a gateway opens, as they are now.
func doorsOf(s domain.View, gateway domain.ID) (doors []*domain.Door) {
	for _, d := range s.Doors.Each(domain.DoorByGateway, gateway) {
		row := *d
		doors = append(doors, &row)
	}
	return doors
}

// stillHeld gives a door like those that a gateway without doors may have had. It does so
// for as long as the lease for that door may last. A gateway that was never heard of has none.
func (a *API) stillHeld(s domain.View, org domain.ID, g *domain.Gateway) []*domain.Door {
	sight := a.cfg.Receipts.Look(org, g.ID)
	if sight.State == receipts.Unknown {
		return nil
	}
	d := &domain.Door{Site: g.Site}
	for _, other := range s.Doors.Each(domain.DoorBySite, g.Site) {
		if other.AfterLease == domain.AfterLeaseLastTable {
			d.AfterLease = other.AfterLease
			break
		}
	}
	if !sight.End(d).After(a.cfg.Now()) {
		return nil
	}
	return []*domain.Door{d}
}

// pending tells of gateways that do not enforce a command. People who do not work at the
// site are told of doors that they may see and of the latest instant, and of no gateway.
func (a *API) pending(ctx context.Context, gateways []concerned) Enforcement {
	out := Enforcement{Enforced: enforcedPending}
	c := callerOf(ctx)
	unbounded := false
	_, err := a.viewAfter(ctx, func(s domain.View, _ eventstore.Head) error {
		for _, g := range gateways {
			sight := a.cfg.Receipts.Look(c.org, g.id)
			row := lagging{Gateway: g.id, Site: g.site, State: sight.State, Leases: sight.Ends(g.doors), Unbounded: sight.DeviceN > 0}
			if sight.Upto.N > 0 {
				row.Upto = &sight.Upto
			}
			for _, e := range row.Leases {
				if e.Ends.After(out.MayOpenUntil) {
					out.MayOpenUntil = e.Ends
				}
			}
			unbounded = unbounded || row.Unbounded
			out.tell(s, c.person, g, row)
		}
		return nil
	})
	if unbounded || err != nil {
		out.MayOpenUntil = time.Time{}
	}
	if err != nil { // the command may have ended what the caller may see
		a.log(ctx, "a command that is not enforced yet is answered without its doors", err)
	}
	return out
}

// tell adds a gateway to what a person is told, as far as they may see it.
func (e *Enforcement) tell(s domain.View, person domain.ID, g concerned, row lagging) {
	if s.WorksAt(person, g.site) {
		if len(e.Missing) < maxLagging {
			e.Missing = append(e.Missing, row)
		}
		return
	}
	for _, d := range g.doors {
		if len(e.MissingDoors) < maxLagging && s.MayKnowDoor(person, d.ID) {
			e.MissingDoors = append(e.MissingDoors, d.ID)
		}
	}
}
