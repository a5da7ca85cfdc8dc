package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// route declares what a route does and who may use it. Whether a token is needed, what a
// token of the scope read is good for and what is served while this instance may not
// know the latest of the ledger follow from this alone, never from the method or the
// words of the path.
type route struct {
	effect effect
	open   bool   // without a token
	usedBy string // for people, in the OpenAPI document
}

// effect is what a route does.
type effect int

const (
	works   effect = iota // records activity, or works for commands to come; a token of the scope read is refused
	commits               // sends commands, which are decided against the ledger itself, the token with them
	asks                  // changes nothing
)

// everybody is who may use most questions.
const everybody = "everybody in the org, each for what they may see"

// serve registers a route, as declared, with its description.
func serve[I, O any](a *API, r route, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	a.declare(op.Method+" "+op.Path, r)
	op.Description = strings.TrimSpace("Used by " + r.usedBy + ". " + op.Description)
	huma.Register(a.huma, op, handle)
}

// declare notes what a pattern of the mux does.
func (a *API) declare(pattern string, r route) {
	a.declared[pattern] = r
}

// routeOf is the declaration of the route that a request goes to. An
// undeclared one is refused to tokens of the scope read.
func (a *API) routeOf(r *http.Request) (pattern string, declared route) {
	i := infoOf(r.Context())
	if i.declared == nil { // it is looked for a few times on the way of a request
		_, pattern = a.mux.Handler(r)
		declared = a.declared[pattern]
		i.pattern, i.declared = pattern, &declared
	}
	return i.pattern, *i.declared
}

// noRoutePattern is the pattern of what no route is for.
const noRoutePattern = "/"
