package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
	"gatehouse/schemas"
)

// budgets are the places of one instance.
//
// A request first takes room for its body and reads it, and only then takes a place to
// be answered: a slow sender holds up nobody. Commands that take access away have room
// and places of their own for both. Beyond its places, a budget has a short queue in
// which the orgs take turns. Budgets that are held for minutes have no queue.
type budgets struct {
	bodies, urgentBodies *budget.Pool // bytes of bodies, from before they are read until the answer
	requests, urgent     *budget.Pool // that are answered
	waits                *budget.Pool // of them, those that wait for a position or an outcome
	enforced             *budget.Pool // commands that are committed and wait for gateways; they have no other place any more
	dryRuns              *budget.Pool
	scans                *budget.Pool // lists of commits: each may read 20,000
	folds                *budget.Pool // of the past: each holds a second state of its org
	exports              *budget.Pool // each is held for as long as its reader takes
	rehearsals           *budget.Pool // each holds a copy of its org, for minutes
}

func newBudgets(l Limits, m *budget.Metrics) budgets {
	pool := func(name string, patience time.Duration, places, line budget.Shares) *budget.Pool {
		return budget.New(budget.Config{Name: name, Places: places, Line: line, Patience: patience}, m)
	}
	type shares = budget.Shares
	at := func(part int) int { return max(1, l.Concurrent/part) }
	return budgets{
		bodies:       pool("bodies", 5*time.Second, shares{All: 32 << 20, Org: 8 << 20, Person: 4 << 20}, shares{All: 128, Org: 64, Person: 32}),
		urgentBodies: pool("urgent_bodies", 4*time.Second, shares{All: 8 << 20, Org: 4 << 20, Person: 1 << 20}, shares{All: 128, Org: 64, Person: 32}),
		requests:     pool("requests", 2*time.Second, shares{All: l.Concurrent, Org: at(2), Person: at(8), Token: at(8)}, shares{All: 256, Org: 128, Person: 96}),
		urgent:       pool("urgent_requests", 4*time.Second, shares{All: 64, Org: 16, Person: 8}, shares{All: 256, Org: 64, Person: 32}),
		waits:        pool("waits", 0, shares{All: at(2), Org: at(5), Person: at(20), Token: at(20)}, shares{}),
		enforced:     pool("enforced", 0, shares{All: 512, Org: 128, Person: 32, Token: 32}, shares{}),
		dryRuns:      pool("dry_runs", 5*time.Second, shares{All: 32, Org: 8, Person: 4}, shares{All: 128, Org: 32, Person: 16}),
		scans:        pool("scans", 10*time.Second, shares{All: 8, Org: 4, Person: 2}, shares{All: 64, Org: 16, Person: 8}),
		folds:        pool("folds", 20*time.Second, shares{All: 2, Org: 1}, shares{All: 32, Org: 4, Person: 2}),
		exports:      pool("exports", 10*time.Second, shares{All: 16, Org: 2}, shares{All: 32, Org: 4, Person: 2}),
		rehearsals:   pool("rehearsals", 0, shares{All: 6, Org: 2, Person: 1}, shares{}),
	}
}

// who is for whom a request takes places.
func who(r *http.Request) budget.Who {
	c := infoOf(r.Context()).caller
	if c == nil {
		return budget.Who{Person: remote(r)}
	}
	return c.who()
}

func (c *caller) who() budget.Who {
	if c.bootstrap {
		return budget.Who{Token: "bootstrap"}
	}
	return budget.Who{Org: string(c.org), Person: string(c.person), Token: string(c.token)}
}

// urgent reports whether a request is a command that takes access away.
func urgent(r *http.Request) bool {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method != http.MethodPost || len(parts) != 5 || parts[0] != "v1" || parts[1] != "orgs" || parts[3] != "commands" {
		return false
	}
	typ, ok := domain.CommandNamed(parts[4])
	if !ok || !typ.MayBeUrgent() {
		return false
	}
	dry, _ := strconv.ParseBool(r.URL.Query().Get("dry_run"))
	return !dry
}

// gives reports whether a command of a type that takes access away gives access by its
// body. It reads the body and puts it back. A body that cannot be read is refused
// later.
func gives(r *http.Request) bool {
	typ, _ := domain.CommandNamed(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	if !typ.MayBeUrgent() {
		return false
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return false
	}
	ptrs, err := schemas.DecodeCommands(typ, body)
	return err == nil && !typ.Urgent(ptrs...)
}

// admitted gives a request its places. Whether the instance lives is answered in any
// case.
func (a *API) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		room, places := a.budgets.bodies, a.budgets.requests
		if urgent(r) {
			room, places = a.budgets.urgentBodies, a.budgets.urgent
		}
		free, err := readBody(w, r, room)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		defer free()
		if places == a.budgets.urgent && gives(r) {
			places = a.budgets.requests
		}
		leave, err := places.Take(r.Context(), who(r), 1)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		defer leave()
		infoOf(r.Context()).leave = func() {
			r.Body, infoOf(r.Context()).body = http.NoBody, nil
			leave()
			free()
		}
		next.ServeHTTP(bodyRead{w}, r)
	})
}

// usedUp says that a budget is used up.
func usedUp(full *budget.Full) *Problem {
	return problem(http.StatusServiceUnavailable, "busy", "%v; nothing was changed", full).retry(retryAfter(full.Budget))
}

// retryAfter is in how many seconds a place of a budget may be free again.
func retryAfter(name string) string {
	switch name {
	case "folds", "exports", "rehearsals", "dry_run_copies":
		return "3"
	}
	return "1"
}
