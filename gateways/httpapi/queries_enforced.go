package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/gateways/receipts"
	"gatehouse/schemas/wire"
)

// gatewayEnforcement is what a gateway enforces.
type gatewayEnforcement struct {
	ID       domain.ID      `json:"id"`
	State    receipts.State `json:"state" enum:"unknown,offline,behind,current" doc:"unknown: it did not ask since this instance began to listen; offline: none of its requests was answered for 30 s; behind: it lacks a change; current: it lacks none"`
	Table    *wire.Position `json:"table,omitempty" doc:"of the last change in the permissions by which it decides"`
	Enforced *wire.Position `json:"enforced,omitempty" doc:"every commit up to it is enforced; none: not known"`
	// Seen from the service: a gateway records on its own when it was cut off.
	EnforcedSince time.Time           `json:"enforced_since,omitzero" doc:"when it first told so"`
	BehindSince   time.Time           `json:"behind_since,omitzero" doc:"when the first change was committed that it lacks"`
	OnlineSince   time.Time           `json:"online_since,omitzero" doc:"since when it asks without a pause"`
	OfflineSince  time.Time           `json:"offline_since,omitzero" doc:"when it asked last"`
	Leases        []receipts.ClassEnd `json:"leases" doc:"until when its doors may open by the permissions that it has should it hear nothing more, by class"`
	Unbounded     bool                `json:"unbounded,omitempty" doc:"a device decides by itself: no lease ends that"`
	ClockErrorMS  uint32              `json:"clock_error_ms,omitempty" doc:"how far its clock may be wrong; none: it does not tell"`
	Doors         int                 `json:"doors" doc:"how many it opens"`
}

type siteEnforcementInput struct {
	List
	Site string `path:"site"`
}

func (a *API) registerEnforcement() {
	serve(a, route{effect: asks, usedBy: "staff and above at the site"}, huma.Operation{
		OperationID: "GetSiteEnforcement", Method: http.MethodGet, Path: "/v1/orgs/{org}/sites/{site}/enforcement",
		Summary:     "Lists what each gateway of a site enforces, and since when",
		Description: "As this instance hears it: after its start a gateway is unknown until it asks again.",
		Tags:        []string{"enforcement"}, Errors: readErrors,
	}, a.siteEnforcement)
	serve(a, route{effect: asks, usedBy: everybody}, huma.Operation{
		OperationID: "GetPersonEnforcement", Method: http.MethodGet, Path: "/v1/orgs/{org}/people/{id}/enforcement",
		Summary: "Lists the doors that may still open for a person by earlier permissions, and until when",
		Description: "They are doors that would not open for the person now, and whose gateway does not know that yet, as far as this instance can tell. " +
			"Callers who do not work at a site are told of the doors there that they may see.",
		Tags: []string{"enforcement"}, Errors: readErrors,
	}, a.personEnforcement)
}

// siteEnforcement gives a page of the gateways of a site.
func (a *API) siteEnforcement(ctx context.Context, in *siteEnforcementInput) (*Answer[Page[gatewayEnforcement]], error) {
	after, p := in.after()
	if p != nil {
		return nil, p
	}
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	out := &Answer[Page[gatewayEnforcement]]{Body: Page[gatewayEnforcement]{Items: []gatewayEnforcement{}}}
	at, err := a.view(ctx, func(s domain.View, _ eventstore.Head) error {
		c, site := callerOf(ctx), domain.ID(in.Site)
		if !s.MayKnowSite(c.person, site) {
			return unknown("site", site)
		}
		if !s.WorksAt(c.person, site) {
			return problem(http.StatusForbidden, "role_not_permitted", "only staff, system managers and owners of the site may ask what its gateways enforce")
		}
		ids := s.Gateways.IDs(domain.GatewayBySite, site)
		slices.Sort(ids)
		for _, id := range ids {
			if g, _ := s.Gateways.Get(id); id <= after || g.Retired != "" {
				continue
			}
			if len(out.Body.Items) == in.Limit {
				out.Body.Next = cursorOf(out.Body.Items[in.Limit-1].ID)
				break
			}
			out.Body.Items = append(out.Body.Items, viewEnforcement(a.cfg.Receipts.Look(c.org, id), doorsOf(s, id)))
		}
		return nil
	})
	out.Position = at.String()
	return out, a.orProblem(ctx, err)
}

func viewEnforcement(s receipts.Sight, doors []*domain.Door) gatewayEnforcement {
	out := gatewayEnforcement{ID: s.Gateway, State: s.State, Doors: len(doors), Leases: orEmpty(s.Ends(doors)), Unbounded: s.DeviceN > 0,
		ClockErrorMS: s.ClockErrorMS, BehindSince: s.Lacks}
	if s.Table.N > 0 {
		out.Table = &s.Table
	}
	if s.Upto.N > 0 {
		out.Enforced, out.EnforcedSince = &s.Upto, s.Since
	}
	switch s.State {
	case receipts.Unknown:
	case receipts.Offline:
		out.OfflineSince = s.Asked
	default:
		out.OnlineSince = s.Online
	}
	return out
}
