package httpapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/gateways/receipts"
	"gatehouse/projections/permissions"
	"gatehouse/schemas/wire"
)

// # For whom a door may still open
//
// A gateway that lacks a change decides by an older table until its lease ends. That
// table is made again from what was published, and asked what each credential of the
// person opens, now and at every quarter of an hour until then. A door that the present
// table opens too is left out. Of a gateway that this instance has not heard of every
// table is asked whose lease may last.

const (
	stillStep   = 15 * time.Minute // between two instants that are asked about
	maxStill    = 500              // doors of one answer
	maxAsked    = 500_000          // decisions of one answer: about a second
	maxVersions = 200              // tables that a gateway may have of which nothing is known
)

// doorStillOpen is a door that may open for a person by permissions of before.
type doorStillOpen struct {
	Door    domain.ID      `json:"door"`
	Site    domain.ID      `json:"site"`
	Gateway domain.ID      `json:"gateway,omitempty" doc:"to those who work at the site"`
	State   receipts.State `json:"state,omitempty" enum:"unknown,offline,behind,current" doc:"of the gateway, to those who work at the site"`
	Until   time.Time      `json:"until,omitzero" doc:"at the latest; none: it is not bounded, as a device decides by itself"`
}

// personEnforcement are the doors that may open for a person by permissions of before.
type personEnforcement struct {
	Person       domain.ID       `json:"person"`
	Doors        []doorStillOpen `json:"doors" doc:"sorted by site and door; none: as far as can be told, no door opens for the person by permissions of before"`
	MayOpenUntil time.Time       `json:"may_open_until,omitzero" doc:"the latest of the doors; none: there are no doors, or one has no bound"`
	Partial      bool            `json:"partial,omitempty" doc:"not everything could be looked at: some doors may be missing"`
}

type personEnforcementInput struct {
	OrgPath
	AtLeast
	ID string `path:"id"`
}

// suspect is a gateway that does not have the present table of its site.
type suspect struct {
	receipts.Sight
	site  domain.ID
	now   *unlock.Table // the present one
	works bool          // the caller works at the site
}

// stillOpen collects the answer of one question.
type stillOpen struct {
	api    *API
	person string
	at     time.Time
	out    personEnforcement
	asked  int
}

func (a *API) personEnforcement(ctx context.Context, in *personEnforcementInput) (*Answer[personEnforcement], error) {
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	q := &stillOpen{api: a, person: in.ID, out: personEnforcement{Person: domain.ID(in.ID), Doors: []doorStillOpen{}}}
	var suspects []suspect
	at, err := a.view(ctx, func(s domain.View, head eventstore.Head) error {
		v := viewer{s, callerOf(ctx).person}
		if p, ok := s.People.Get(domain.ID(in.ID)); !ok || !v.sees(p) {
			return unknown("person", domain.ID(in.ID))
		}
		q.at = head.Now(a.cfg.Now())
		suspects = a.suspects(s, callerOf(ctx), in.ID)
		return nil
	})
	if err != nil {
		return nil, a.asProblem(ctx, err)
	}
	if len(suspects) > 0 {
		leave, err := a.budgets.scans.Take(ctx, callerOf(ctx).who(), 1)
		if err != nil {
			return nil, a.asProblem(ctx, err)
		}
		defer leave()
	}
	for _, alike := range byTable(suspects) {
		if err := q.look(ctx, alike); err != nil {
			return nil, a.asProblem(ctx, err)
		}
	}
	err = q.finish(ctx, suspects)
	return &Answer[personEnforcement]{at.String(), q.out}, a.orProblem(ctx, err)
}

// suspects lists the gateways without the present table, at the sites that have rows of
// the person.
func (a *API) suspects(s domain.View, c *caller, person string) (out []suspect) {
	for site := range s.Sites.All() {
		now := a.cfg.Table(c.org, site)
		if now == nil || !s.MayKnowSite(c.person, site) {
			continue
		}
		if _, known := now.Row(unlock.Key{Kind: unlock.KindPerson, ID: person}); !known {
			continue
		}
		for id := range s.Gateways.Each(domain.GatewayBySite, site) {
			sight := a.cfg.Receipts.Look(c.org, id)
			if sight.State == receipts.Unknown && len(doorsOf(s, id)) == 0 || sight.State != receipts.Unknown && sight.Held().String() == now.Position() {
				continue
			}
			out = append(out, suspect{Sight: sight, site: site, now: now, works: s.WorksAt(c.person, site)})
		}
	}
	return out
}

// byTable puts those together that may have the same tables: a site that is cut off has
// many.
func byTable(suspects []suspect) (groups [][]*suspect) {
	type tables struct {
		site    domain.ID
		unknown bool
		held    wire.Position
	}
	known := map[tables]int{}
	for i := range suspects {
		g := &suspects[i]
		key := tables{g.site, g.State == receipts.Unknown, g.Held()}
		n, ok := known[key]
		if !ok {
			n = len(groups)
			known[key], groups = n, append(groups, nil)
		}
		groups[n] = append(groups[n], g)
	}
	return groups
}

// look asks the tables that some gateways may have, who may have the same.
func (q *stillOpen) look(ctx context.Context, alike []*suspect) error {
	g := alike[0]
	before := func(h wire.PermissionHead) bool { return !g.Held().Before(h.Position()) }
	if g.State == receipts.Unknown {
		// A lease ends with the first change that its table lacks, or that long after it.
		begun := q.at.Add(-longest(g.now))
		before = func(h wire.PermissionHead) bool { return !h.At.After(begun) }
	}
	versions := 0
	err := q.api.cfg.Tables(ctx, callerOf(ctx).org, g.site, before, func(t *unlock.Table, _ wire.PermissionHead) error {
		for _, one := range alike {
			q.ask(one, t)
		}
		if versions++; versions == maxVersions {
			q.out.Partial = true
		}
		if g.State != receipts.Unknown || versions == maxVersions {
			return permissions.ErrEnough
		}
		return nil
	})
	if errors.Is(err, permissions.ErrTooOld) {
		q.out.Partial, err = true, nil
	}
	if err != nil {
		return fmt.Errorf("httpapi: doors that may still open: %w", err)
	}
	return nil
}

// longest is for how long after a change a door of a site may open by the table before.
func longest(t *unlock.Table) time.Duration {
	for row := range t.Rows(unlock.KindDoor) {
		if row.(*unlock.Door).AfterLease == unlock.LastTable {
			return domain.LeaseStandard*time.Second + unlock.LastTableCeiling*time.Nanosecond
		}
	}
	return domain.LeaseStandard * time.Second
}

// ask adds the doors of a gateway that open by a table and not by the present one.
func (q *stillOpen) ask(g *suspect, t *unlock.Table) {
	var credentials []unlock.ID
	for row := range t.Rows(unlock.KindCredential) {
		if c := row.(*unlock.Credential); c.Person == q.person && !c.Duress {
			credentials = append(credentials, unlock.IDOf(c.ID))
		}
	}
	if len(credentials) == 0 {
		return
	}
	for row := range t.Rows(unlock.KindDoor) {
		d := row.(*unlock.Door)
		if d.Gateway != string(g.Gateway) {
			continue
		}
		end := g.End(&domain.Door{Class: domain.DoorClass(d.Class.String()), AfterLease: domain.AfterLease(d.AfterLease.String())})
		unbounded := g.DeviceN > 0
		if unbounded {
			end = q.at.Add(24 * time.Hour)
		}
		if !q.opens(t, g.now, d, credentials, end) {
			continue
		}
		open := doorStillOpen{Door: domain.ID(d.ID), Site: g.site, Gateway: g.Gateway, State: g.State, Until: end}
		if unbounded {
			open.Until = time.Time{}
		}
		q.add(open)
	}
}

// opens reports whether a door opens before an instant by one table and not by another.
func (q *stillOpen) opens(was, now *unlock.Table, d *unlock.Door, credentials []unlock.ID, end time.Time) bool {
	local := &unlock.Local{LeaseEnd: unlock.Held}
	for at := q.at; at.Before(end); at = at.Add(stillStep) {
		for _, c := range credentials {
			if q.asked++; q.asked > maxAsked {
				q.out.Partial = true
				return false
			}
			r := unlock.Request{Door: unlock.IDOf(d.ID), Credential: c, At: unlock.InstantOf(at)}
			if unlock.Decide(was, local, r).Allowed && !unlock.Decide(now, local, r).Allowed {
				return true
			}
		}
	}
	return false
}

// add adds a door once.
func (q *stillOpen) add(open doorStillOpen) {
	same := func(d doorStillOpen) bool { return d.Door == open.Door && d.Gateway == open.Gateway }
	switch {
	case slices.ContainsFunc(q.out.Doors, same):
	case len(q.out.Doors) == maxStill:
		q.out.Partial = true
	default:
		q.out.Doors = append(q.out.Doors, open)
	}
}

// finish leaves out what the caller may not see, and sorts the rest.
func (q *stillOpen) finish(ctx context.Context, suspects []suspect) error {
	works := map[domain.ID]bool{}
	for _, g := range suspects {
		works[g.site] = g.works
	}
	_, err := q.api.view(ctx, func(s domain.View, _ eventstore.Head) error {
		q.out.Doors = slices.DeleteFunc(q.out.Doors, func(d doorStillOpen) bool { return !works[d.Site] && !s.MayKnowDoor(callerOf(ctx).person, d.Door) })
		return nil
	})
	unbounded := false
	for i := range q.out.Doors {
		d := &q.out.Doors[i]
		if unbounded = unbounded || d.Until.IsZero(); d.Until.After(q.out.MayOpenUntil) {
			q.out.MayOpenUntil = d.Until
		}
		if !works[d.Site] {
			d.Gateway, d.State = "", ""
		}
	}
	if unbounded {
		q.out.MayOpenUntil = time.Time{}
	}
	slices.SortFunc(q.out.Doors, func(a, b doorStillOpen) int {
		return strings.Compare(string(a.Site)+"/"+string(a.Door), string(b.Site)+"/"+string(b.Door))
	})
	return err
}
