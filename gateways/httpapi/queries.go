package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// AtLeast asks for a state that holds what an earlier answer told of.
type AtLeast struct {
	AtLeast string `query:"at_least" doc:"a position: wait up to 2 s until this instance has reached it, else answer 503 behind"`
}

// List are the parameters of every list.
type List struct {
	OrgPath
	AtLeast
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"how many at most"`
	Cursor string `query:"cursor" doc:"next of the page before"`
}

func (l *List) list() *List { return l }

// One are the parameters of every question for one thing.
type One struct {
	OrgPath
	AtLeast
	ID string `path:"id"`
}

// Page is one page of a list, in the order of the ids.
type Page[V any] struct {
	Items []V    `json:"items"`
	Next  string `json:"next,omitempty" doc:"cursor of the next page; none: this was the last"`
}

// Answer is an answer from the state with where that stands.
type Answer[B any] struct {
	Position string `header:"Gatehouse-Position"`
	Body     B
}

// table is what a list reads: the rows of a noun in the order of their ids.
type table[R any] interface {
	Get(domain.ID) (*R, bool)
	All() iter.Seq2[domain.ID, *R]
	Each(x domain.Index[R], value domain.ID) iter.Seq2[domain.ID, *R]
}

// filter keeps the rows of one value of a parameter.
type filter[R any] struct {
	index domain.Index[R] // finds the rows with the value; 0 if the state has none
	want  string          // the value; empty: the parameter was not given
	has   func(*R) bool
}

// noun is one kind of thing that is asked for.
type noun[R, V any] struct {
	name  string // as in unknown_<name>
	path  string // its list, below the org
	tag   string
	many  string // what a list of it is called
	table func(*domain.State) table[R]
	view  func(v *viewer, id domain.ID, row *R) V
	// brief is what a viewer may know of a row whose record they may not read, who knows
	// that it exists; nil: nothing. Without brief no viewer does.
	brief func(v *viewer, row *R) *R
}

// shown gives a row as a viewer may see it. It returns nil when the row does not exist
// for the viewer.
func (n noun[R, V]) shown(v *viewer, row *R) *R {
	switch {
	case v.sees(row):
		return row
	case n.brief != nil:
		return n.brief(v, row)
	}
	return nil
}

// filtered is the input of a list: [List] and the filters of its noun.
type filtered[R, I any] interface {
	*I
	list() *List
	filters() []filter[R]
}

// registerNoun serves a noun: its list, and each by id.
func registerNoun[R, V, I any, P filtered[R, I]](a *API, n noun[R, V]) {
	registerList[R, V, I, P](a, n)
	serve(a, route{effect: asks, usedBy: everybody}, n.one(), func(ctx context.Context, in *One) (*Answer[V], error) { return oneRow(ctx, a, n, in) })
}

// registerList serves the list of a noun.
func registerList[R, V, I any, P filtered[R, I]](a *API, n noun[R, V]) {
	serve(a, route{effect: asks, usedBy: everybody}, huma.Operation{
		OperationID: "List" + n.tag, Method: http.MethodGet, Path: "/v1/orgs/{org}/" + n.path,
		Summary: "Lists " + n.many + " that the caller may see", Tags: []string{n.path}, Errors: readErrors,
	}, func(ctx context.Context, in *I) (*Answer[Page[V]], error) {
		return listRows(ctx, a, n, P(in).list(), P(in).filters())
	})
}

// one describes the question for one thing.
func (n noun[R, V]) one() huma.Operation {
	return huma.Operation{
		OperationID: "Get" + n.tag, Method: http.MethodGet, Path: "/v1/orgs/{org}/" + n.path + "/{id}",
		Summary: "Gives one of " + n.many, Tags: []string{n.path}, Errors: readErrors,
	}
}

// oneRow gives a thing that the caller sees.
func oneRow[R, V any](ctx context.Context, a *API, n noun[R, V], in *One) (*Answer[V], error) {
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	out := &Answer[V]{}
	at, err := a.view(ctx, func(s domain.View, _ eventstore.Head) error {
		v := &viewer{s, callerOf(ctx).person}
		row, ok := n.table(s.State).Get(domain.ID(in.ID))
		if ok {
			row = n.shown(v, row)
		}
		if !ok || row == nil {
			return unknown(n.name, domain.ID(in.ID))
		}
		out.Body = n.view(v, domain.ID(in.ID), row)
		return nil
	})
	out.Position = at.String()
	return out, a.orProblem(ctx, err)
}

// readErrors are the statuses of questions that fail.
var readErrors = []int{400, 401, 403, 404, 429, 503}

// listRows gives a page of the rows that the filters keep and the caller sees.
func listRows[R, V any](ctx context.Context, a *API, n noun[R, V], in *List, filters []filter[R]) (*Answer[Page[V]], error) {
	after, p := in.after()
	if p != nil {
		return nil, p
	}
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	out := &Answer[Page[V]]{Body: Page[V]{Items: []V{}}}
	at, err := a.view(ctx, func(s domain.View, _ eventstore.Head) error {
		v := &viewer{s, callerOf(ctx).person}
		var last domain.ID
		for id, row := range rowsOf(n.table(s.State), filters) {
			if id <= after || !keeps(filters, row) {
				continue
			}
			// Filters ask for what is shown: by them nothing else is to be found out.
			if row = n.shown(v, row); row == nil || !keeps(filters, row) {
				continue
			}
			if len(out.Body.Items) == in.Limit {
				out.Body.Next = cursorOf(last)
				break
			}
			out.Body.Items = append(out.Body.Items, n.view(v, id, row))
			last = id
		}
		return nil
	})
	out.Position = at.String()
	return out, a.orProblem(ctx, err)
}

// rowsOf gives the rows that the first indexed filter keeps, or all.
func rowsOf[R any](t table[R], filters []filter[R]) iter.Seq2[domain.ID, *R] {
	for _, f := range filters {
		if f.index != 0 && f.want != "" {
			return t.Each(f.index, domain.ID(f.want))
		}
	}
	return t.All()
}

func keeps[R any](filters []filter[R], row *R) bool {
	for _, f := range filters {
		if f.want != "" && !f.has(row) {
			return false
		}
	}
	return true
}

// cursorOf makes the cursor of the page after an id. Clients must not look into it.
func cursorOf(last domain.ID) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

// after is the id behind which the page begins.
func (l *List) after() (domain.ID, *Problem) {
	b, err := base64.RawURLEncoding.DecodeString(l.Cursor)
	if err != nil {
		return "", malformed("query.cursor", "is not a cursor from an earlier page; take next of that page")
	}
	return domain.ID(b), nil
}

// patience is how long a question waits for a position that it names.
const patience = 2 * time.Second

// reach waits until this instance stands where the question asks for.
func (a *API) reach(ctx context.Context, in AtLeast) error {
	if in.AtLeast == "" {
		return nil
	}
	at, err := wire.ParsePosition(in.AtLeast)
	if err != nil {
		return malformed("query.at_least", "%v", err)
	}
	head, err := a.waitFor(ctx, at.N)
	// A later epoch is another branch of the ledger, however far this one goes.
	if errors.Is(err, context.DeadlineExceeded) || err == nil && head.Position().Epoch < at.Epoch {
		return behind(at, head.Position())
	}
	return a.orProblem(ctx, err)
}

// waitFor waits until this instance is at n. Only a request that has to wait takes a
// place.
func (a *API) waitFor(ctx context.Context, n uint64) (head eventstore.Head, err error) {
	c := callerOf(ctx)
	_, err = a.view(ctx, func(_ domain.View, h eventstore.Head) error {
		head = h
		return nil
	})
	if err != nil || head.N >= n {
		return head, err
	}
	leave, err := a.budgets.waits.Take(ctx, c.who(), 1)
	if err != nil {
		return head, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.cfg.Store.WaitFor(ctx, c.org, n)
}

// behind answers a question that asks for a later state than there is here.
func behind(asked, reached wire.Position) *Problem {
	p := problem(http.StatusServiceUnavailable, "behind", "this instance is at position %s, not yet at %s; try again", reached, asked)
	p.Position = &reached
	return p.retry("1")
}

// orProblem makes an error fit for a typed route; no error stays none.
func (a *API) orProblem(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return a.asProblem(ctx, err)
}

// orgView is the org of the token.
type orgView struct {
	ID        domain.ID     `json:"id"`
	Name      string        `json:"name"`
	CreatedAt time.Time     `json:"created_at"`
	Person    domain.ID     `json:"person" doc:"for whom the token speaks"`
	Role      domain.Role   `json:"role,omitempty" doc:"the highest role of that person at the org or any site"`
	Position  wire.Position `json:"position"`
	Hash      wire.Hash     `json:"hash" doc:"of the commit at the position"`
}

func (a *API) registerOrg() {
	serve(a, route{effect: asks, usedBy: everybody}, huma.Operation{
		OperationID: "GetOrg", Method: http.MethodGet, Path: "/v1/orgs/{org}",
		Summary: "Gives the org, and for whom the token speaks", Tags: []string{"org"}, Errors: readErrors,
	}, func(ctx context.Context, in *struct {
		OrgPath
		AtLeast
	}) (*Answer[orgView], error) {
		if err := a.reach(ctx, in.AtLeast); err != nil {
			return nil, err
		}
		c := callerOf(ctx)
		out := &Answer[orgView]{}
		at, err := a.view(ctx, func(s domain.View, head eventstore.Head) error {
			o, ok := s.Orgs.Get(c.org)
			if !ok {
				return fmt.Errorf("httpapi: the ledger of %s does not begin with it", c.org)
			}
			out.Body = orgView{o.ID, o.Name, o.CreatedAt, c.person, s.HighestRole(c.person), head.Position(), head.Hash}
			return nil
		})
		out.Position = at.String()
		return out, a.orProblem(ctx, err)
	})
}
