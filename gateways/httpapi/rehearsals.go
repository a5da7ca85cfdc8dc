package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/budget"
)

const (
	// rehearsalRest is after how long without a command a rehearsal is forgotten.
	rehearsalRest = time.Minute
	// rehearsalLife is after how long it is forgotten whatever comes, for others.
	rehearsalLife = 30 * time.Minute
)

// rehearsals are the dry runs of many lists that are on their way. They are of this
// instance alone, which a client with several before it has to name.
type rehearsals struct {
	mu  sync.Mutex // guards what follows
	all map[domain.UUID]*rehearsal
}

// rehearsal is one of them.
type rehearsal struct {
	*eventstore.Rehearsal
	org    domain.ID
	person domain.ID // who alone goes on with it
	until  time.Time // when it is forgotten in any case
	forget *time.Timer
	leave  func() // gives its place back
}

// begin keeps a rehearsal, and returns its id. It has a place that leave gives back.
func (all *rehearsals) begin(c *caller, copied *eventstore.Rehearsal, leave func()) domain.UUID {
	all.mu.Lock()
	defer all.mu.Unlock()
	id := newID()
	all.all[id] = &rehearsal{copied, c.org, c.person, time.Now().Add(rehearsalLife), time.AfterFunc(rehearsalRest, func() { all.end(id) }), leave}
	return id
}

// of finds a rehearsal of a caller, and lets it rest again.
func (all *rehearsals) of(c *caller, id domain.UUID) (*rehearsal, bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	r, ok := all.all[id]
	if !ok || r.org != c.org || r.person != c.person {
		return nil, false
	}
	r.forget.Reset(min(rehearsalRest, time.Until(r.until)))
	return r, true
}

func (all *rehearsals) end(id domain.UUID) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if r, ok := all.all[id]; ok {
		r.forget.Stop()
		r.leave()
		delete(all.all, id)
	}
}

type rehearsalBegun struct {
	Rehearsal domain.UUID `json:"rehearsal" format:"uuid" doc:"for ?rehearsal= of commands"`
}

type rehearsalInput struct {
	OrgPath
	ID string `path:"id" format:"uuid"`
}

func (a *API) registerRehearsals() {
	serve(a, route{effect: works, usedBy: "staff and above anywhere in the org"}, huma.Operation{
		OperationID: "BeginRehearsal", Method: http.MethodPost, Path: "/v1/orgs/{org}/rehearsals", DefaultStatus: http.StatusCreated,
		Summary: "Begins a dry run of many commands",
		Description: "Commands with ?dry_run=true&rehearsal=… are decided one after the other on a copy of the org as it is now, each on what those before it would have led to; " +
			"their answers have no events and no impact. The copy is of this instance, for the caller alone, and forgotten after a minute without a command.",
		Tags: []string{"rehearsals"}, Errors: readErrors,
	}, func(ctx context.Context, in *OrgPath) (*Answer[rehearsalBegun], error) {
		c := callerOf(ctx)
		if err := a.checkRehearses(ctx, c); err != nil {
			return nil, a.asProblem(ctx, err)
		}
		leave, err := a.budgets.rehearsals.Take(ctx, c.who(), 1)
		if err != nil {
			return nil, a.asProblem(ctx, err)
		}
		copied, err := a.cfg.Store.Rehearse(ctx, c.org)
		if err != nil {
			leave()
			return nil, a.asProblem(ctx, err)
		}
		return &Answer[rehearsalBegun]{Body: rehearsalBegun{a.rehearsals.begin(c, copied, leave)}}, nil
	})
	serve(a, route{effect: works, usedBy: "staff and above anywhere in the org"}, huma.Operation{
		OperationID: "EndRehearsal", Method: http.MethodDelete, Path: "/v1/orgs/{org}/rehearsals/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Deletes a rehearsal", Tags: []string{"rehearsals"}, Errors: readErrors,
	}, func(ctx context.Context, in *rehearsalInput) (*struct{}, error) {
		id, err := domain.ParseUUID(in.ID)
		if err != nil {
			return nil, malformed("path.id", "%v", err)
		}
		if _, ok := a.rehearsals.of(callerOf(ctx), id); ok {
			a.rehearsals.end(id)
		}
		return nil, nil
	})
}

// checkRehearses keeps the few rehearsals of an instance for those who import: a tenant
// with a token could else hold all of them, of every org.
func (a *API) checkRehearses(ctx context.Context, c *caller) error {
	_, err := a.view(ctx, func(s domain.View, _ eventstore.Head) error {
		if !s.HighestRole(c.person).AtLeast(domain.RoleStaff) {
			return problem(http.StatusForbidden, "role_not_permitted", "a dry run of many lists is only for staff, system managers and owners; try one command with dry_run=true")
		}
		return nil
	})
	return err
}

// triesOfGuests is how many dry runs are answered to somebody who does not work for the
// operator: a refusal may say that a number is in use, and a dry run costs nothing.
var triesOfGuests = Rate{PerSecond: 1, Burst: 30}

// checkTries bounds the dry runs of people who do not work for the operator, whatever
// tokens they have.
func (a *API) checkTries(ctx context.Context, c *caller) error {
	guest := false
	_, err := a.view(ctx, func(s domain.View, _ eventstore.Head) error {
		guest = !s.HighestRole(c.person).AtLeast(domain.RoleStaff)
		return nil
	})
	if err == nil && guest && !a.tries.allow(string(c.org)+"."+string(c.person)) {
		return a.rateLimited(budget.SharePerson)
	}
	return err
}

// execute executes a request: on the ledger, or where it says so on a rehearsal.
func (a *API) execute(ctx context.Context, req commandRequest) (eventstore.Result, error) {
	c := callerOf(ctx)
	if req.DryRun {
		if err := a.checkTries(ctx, c); err != nil {
			return eventstore.Result{}, err
		}
		leave, err := a.budgets.dryRuns.Take(ctx, c.who(), 1)
		if err != nil {
			return eventstore.Result{}, err
		}
		defer leave()
	}
	if req.rehearsal == (domain.UUID{}) {
		result, err := a.cfg.Store.Execute(ctx, c.org, req.Request)
		if err == nil && a.cfg.Accepted != nil {
			a.cfg.Accepted(c.org, req.Request, result)
		}
		return result, err
	}
	r, ok := a.rehearsals.of(c, req.rehearsal)
	if !ok {
		return eventstore.Result{}, problem(http.StatusServiceUnavailable, "rehearsal_lost", "this instance has no such rehearsal, or forgot it; begin the dry run again")
	}
	return r.Execute(ctx, req.Request)
}
