package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/gateways/reads"
)

// maxGateways bounds how many in-process gateways are open at once.
const maxGateways = 64

// gateways holds the in-process gateways that are open, by org, site and id.
type gateways struct {
	mu   sync.Mutex // guards what follows
	open map[[3]domain.ID]*openGateway
}

// openGateway is one of them, with a lock of its own: opening one reads all that it
// has recorded, and must not hold up the others.
type openGateway struct {
	mu sync.Mutex
	g  *reads.Source // nil until it is open
}

// ReadPath names an in-process gateway.
type ReadPath struct {
	OrgPath
	Site    string `path:"site"`
	Gateway string `path:"gateway" doc:"the source of the reads, for example one for each file; every record has its id"`
}

// CardRead is one use of a card at a door.
type CardRead struct {
	Number uint64    `json:"number" minimum:"1" maximum:"9007199254740991" doc:"number of the read in its source, increasing; reads that are recorded already are skipped"`
	At     time.Time `json:"at" doc:"the instant that it is judged at"`
	Door   domain.ID `json:"door" maxLength:"64"`
	Side   string    `json:"side,omitempty" enum:"in,out" default:"in"`
	Format string    `json:"format,omitempty" maxLength:"40" doc:"of the number: raw, uid, wiegand26, wiegand34 or wiegand37; none: raw"`
	Card   string    `json:"card" minLength:"1" maxLength:"200" doc:"the number on the card, however the reader writes it; only a tag of it is kept"`
	Line   string    `json:"line,omitempty" maxLength:"64" doc:"of a read from a file: a hash over its line and all before it. With it a read that is recorded already is compared, and one that is another is refused"`
}

type readsInput struct {
	ReadPath
	Body struct {
		Reads []CardRead `json:"reads" minItems:"1" maxItems:"1000" doc:"in the order of their numbers"`
	}
}

type countInput struct {
	ReadPath
	AtLeast
}

func (a *API) registerReads() {
	serve(a, route{effect: works, usedBy: "staff and above at the site"}, huma.Operation{
		OperationID: "RecordReads", Method: http.MethodPost, Path: "/v1/orgs/{org}/sites/{site}/reads/{gateway}",
		Summary: "Decides reads that a source brings, and records them as the activity of an in-process gateway",
		Description: "Every read is decided at its own instant on the permissions as they are now. " +
			"The same reads may be sent again after any loss: each is recorded once, by its number. A read with line is compared with the one that is recorded under its number: the source may be another by now. Answers what became of all reads of the gateway.",
		Tags: []string{"reads"}, Errors: []int{400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 504},
	}, a.recordReads)
	serve(a, route{effect: asks, usedBy: "staff and above at the site"}, huma.Operation{
		OperationID: "CountReads", Method: http.MethodGet, Path: "/v1/orgs/{org}/sites/{site}/reads/{gateway}",
		Summary: "Returns the totals of the reads that an in-process gateway has recorded",
		Tags:    []string{"reads"}, Errors: readErrors,
	}, func(ctx context.Context, in *countInput) (*Answer[reads.Tally], error) {
		if err := a.reach(ctx, in.AtLeast); err != nil {
			return nil, err
		}
		g, at, err := a.gateway(ctx, in.ReadPath)
		if err != nil {
			return nil, err
		}
		return &Answer[reads.Tally]{at, g.Tally()}, nil
	})
}

func (a *API) recordReads(ctx context.Context, in *readsInput) (*Answer[reads.Tally], error) {
	g, at, err := a.gateway(ctx, in.ReadPath)
	if err != nil {
		return nil, err
	}
	given := make([]reads.Read, len(in.Body.Reads))
	for i, r := range in.Body.Reads {
		if err := domain.CheckID(r.Door); err != nil {
			return nil, malformed("body.reads", "entry %d: door: %v", i, err)
		}
		if y := r.At.UTC().Year(); y < firstYear || y > lastYear {
			return nil, malformed("body.reads", "entry %d: at: must be in the years %d to %d", i, firstYear, lastYear)
		}
		if i > 0 && r.Number <= given[i-1].Number {
			return nil, malformed("body.reads", "entry %d: its number is not above that of the entry before", i)
		}
		given[i] = reads.Read{Number: r.Number, At: r.At, Door: r.Door, Side: unlock.In, Format: r.Format, Card: r.Card, Line: r.Line}
		if r.Side == "out" {
			given[i].Side = unlock.Out
		}
	}
	tally, err := g.Take(ctx, given)
	if wrong, ok := errors.AsType[*reads.NumberError](err); ok {
		return nil, problem(http.StatusUnprocessableEntity, "card_format", "the read %d: %v; nothing of these reads is recorded", wrong.Read, wrong.Err)
	}
	if differs, ok := errors.AsType[*reads.DifferError](err); ok {
		p := problem(http.StatusConflict, "reads_differ", "the read %d is another than the one that is recorded under this number, %s", differs.Read, differs.Recorded)
		p.Entries = []Entry{{Index: differs.Index, Code: p.Code, Detail: p.Detail}}
		return nil, p
	}
	switch {
	case errors.Is(err, reads.ErrNoTable), errors.Is(err, reads.ErrNoTags):
		return nil, problem(http.StatusServiceUnavailable, "behind", "%v; try again", err).retry("1")
	case errors.Is(err, eventstore.ErrNotSoleWriter):
		return nil, problem(http.StatusServiceUnavailable, "busy", "another instance records for this gateway; send the same reads again").retry("1")
	case err != nil:
		return nil, a.asProblem(ctx, err)
	}
	return &Answer[reads.Tally]{at, tally}, nil
}

// gateway opens an in-process gateway for staff of its site.
func (a *API) gateway(ctx context.Context, in ReadPath) (*reads.Source, string, error) {
	c := callerOf(ctx)
	site, id := domain.ID(in.Site), domain.ID(in.Gateway)
	if err := domain.CheckID(id); err != nil {
		return nil, "", malformed("path.gateway", "%v", err)
	}
	at, err := a.view(ctx, func(s domain.View, _ eventstore.Head) error {
		if !s.MayKnowSite(c.person, site) {
			return unknown("site", site)
		}
		if !s.RoleAt(c.person, site).AtLeast(domain.RoleStaff) {
			return problem(http.StatusForbidden, "role_not_permitted", "only staff, system managers and owners of the site may record reads")
		}
		registered, ok := s.Gateways.Get(id)
		v := viewer{s, c.person}
		switch {
		case ok && !v.sees(registered):
			return problem(http.StatusConflict, "id_in_use", "the id %s cannot be taken; choose another for these reads", id)
		case ok:
			return problem(http.StatusConflict, "gateway_registered", "%s is a registered lock gateway, which records its own activity; choose another id for these reads", id)
		}
		return nil
	})
	if err != nil {
		return nil, "", a.asProblem(ctx, err)
	}
	slot := a.gateways.slot([3]domain.ID{c.org, site, id})
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if slot.g == nil {
		if slot.g, err = reads.Open(ctx, a.cfg.Store, a.cfg.Doors, a.cfg.Now, c.org, site, id); err != nil {
			slot.g = nil
			return nil, "", a.asProblem(ctx, err)
		}
	}
	return slot.g, at.String(), nil
}

// slot is the place of a gateway. When there are too many, all are closed: each
// finds where it stood again.
func (gs *gateways) slot(key [3]domain.ID) *openGateway {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if slot, ok := gs.open[key]; ok {
		return slot
	}
	if gs.open == nil || len(gs.open) >= maxGateways {
		gs.open = map[[3]domain.ID]*openGateway{}
	}
	gs.open[key] = &openGateway{}
	return gs.open[key]
}
