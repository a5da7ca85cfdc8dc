package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// maxScan is how many commits one question reads at most. A page may therefore be
// short, or empty, with a cursor that goes on.
const maxScan = 20_000

// commitView is a commit as the API shows it.
type commitView struct {
	Position   wire.Position `json:"position"`
	Hash       wire.Hash     `json:"hash" doc:"SHA-256 of the commit as stored"`
	Prev       wire.Hash     `json:"prev" doc:"hash of the commit before"`
	ID         domain.UUID   `json:"id" doc:"of the command"`
	At         time.Time     `json:"at"`
	Actor      domain.Actor  `json:"actor"`
	OnBehalfOf domain.ID     `json:"on_behalf_of,omitempty"`
	Causation  *domain.UUID  `json:"causation,omitempty" doc:"the command that caused this one"`
	Command    string        `json:"command"`
	Events     []Event       `json:"events"`
}

type commitsInput struct {
	OrgPath
	AtLeast
	From   string `query:"from" doc:"exclusive: a position, or a time (RFC 3339)"`
	To     string `query:"to" doc:"inclusive: a position, or a time (RFC 3339)"`
	Type   string `query:"type" doc:"only events of a type, as fob.assigned, or of a noun, as fob; commits without any are left out"`
	Order  string `query:"order" enum:"oldest,newest" default:"oldest" doc:"which comes first"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"how many commits at most; a page may have fewer and still a next"`
	Cursor string `query:"cursor" doc:"next of the page before"`
}

func (a *API) registerCommits() {
	serve(a, route{effect: asks, usedBy: "system managers and owners at the org"}, huma.Operation{
		OperationID: "ListCommits", Method: http.MethodGet, Path: "/v1/orgs/{org}/commits",
		Summary:     "Lists the commits of the ledger with their events",
		Description: "What is about users of a unit that had privacy at the time is left out.",
		Tags:        []string{"commits"}, Errors: readErrors,
	}, a.listCommits)
}

// span is which commits are asked for.
type span struct {
	from, to  uint64    // n, from exclusive, to inclusive
	since, at time.Time // instants, since exclusive, at inclusive; zero: no bound
	types     string
}

func (a *API) listCommits(ctx context.Context, in *commitsInput) (*Answer[Page[commitView]], error) {
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	var head eventstore.Head
	at, err := a.view(ctx, func(s domain.View, h eventstore.Head) error {
		head = h
		if !domain.Visible(s, callerOf(ctx).person, domain.Record{Kind: domain.RecordCommit}) {
			return problem(http.StatusForbidden, "role_not_permitted", "only people with role %s or higher at the org may read commits", domain.RoleSystemManager)
		}
		return nil
	})
	if err != nil {
		return nil, a.asProblem(ctx, err)
	}
	sp, p := in.span(head.N)
	if p != nil {
		return nil, p
	}
	scan := a.oldest
	if in.Order == "newest" {
		scan = a.newest
	}
	leave, err := a.budgets.scans.Take(ctx, callerOf(ctx).who(), 1)
	if err != nil {
		return nil, a.asProblem(ctx, err)
	}
	defer leave()
	found, next, err := scan(ctx, sp, in.Limit)
	if err != nil {
		return nil, a.asProblem(ctx, err)
	}
	out := &Answer[Page[commitView]]{Position: at.String(), Body: Page[commitView]{Items: []commitView{}}}
	if next != 0 {
		out.Body.Next = cursorOf(domain.ID(strconv.FormatUint(next, 10)))
	}
	out.Body.Items, err = a.showCommits(ctx, found)
	return out, a.orProblem(ctx, err)
}

// span reads the bounds of a question. The cursor moves one of them.
func (in *commitsInput) span(head uint64) (span, *Problem) {
	sp := span{to: head, types: in.Type}
	var p *Problem
	if sp.from, sp.since, p = readBound("from", in.From); p != nil {
		return sp, p
	}
	to, at, p := readBound("to", in.To)
	if p != nil {
		return sp, p
	}
	if sp.at = at; to != 0 {
		sp.to = min(to, head)
	}
	if in.Cursor == "" {
		return sp, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	n, err2 := strconv.ParseUint(string(text), 10, 64)
	if err != nil || err2 != nil {
		return sp, malformed("query.cursor", "is not a cursor from an earlier page; take next of that page")
	}
	if in.Order == "newest" {
		sp.to = min(sp.to, max(n, 1)-1)
	} else {
		sp.from = max(sp.from, n)
	}
	return sp, nil
}

// readBound reads a bound: a position or a time.
func readBound(name, text string) (uint64, time.Time, *Problem) {
	if text == "" {
		return 0, time.Time{}, nil
	}
	if at, err := wire.ParsePosition(text); err == nil {
		return at.N, time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, at, malformed("query."+name, "it is a position as 1-42, or a time as 2026-03-02T08:30:00Z")
	}
	return 0, at, nil
}

// foundCommit is a commit with its body's hash and the events that were asked for.
type foundCommit struct {
	commit *schemas.Commit
	hash   wire.Hash
	events []schemas.Event
}

var errEnough = errors.New("enough")

// oldest finds the first commits of a span. next is behind which n to go on, 0 at
// the end.
func (a *API) oldest(ctx context.Context, sp span, limit int) (found []foundCommit, next uint64, err error) {
	to, err := a.cfg.Store.Step(ctx, callerOf(ctx).org, sp.from, maxScan)
	if err != nil {
		return nil, 0, fmt.Errorf("httpapi: read commits: %w", err)
	}
	to = min(sp.to, to)
	err = a.scan(ctx, span{sp.from, to, sp.since, sp.at, sp.types}, func(f foundCommit) error {
		if len(found) == limit {
			next = found[limit-1].commit.N
			return errEnough
		}
		found = append(found, f)
		return nil
	})
	if next == 0 && to < sp.to {
		next = to
	}
	return found, next, err
}

// newest finds the last commits of a span, the last one first. next is before
// which n to go on, 0 at the beginning.
func (a *API) newest(ctx context.Context, sp span, limit int) (found []foundCommit, next uint64, err error) {
	wide := maxScan
	if sp.types == "" && sp.since.IsZero() && sp.at.IsZero() {
		wide = limit
	}
	from, err := a.cfg.Store.Step(ctx, callerOf(ctx).org, sp.to, -wide)
	if err != nil {
		return nil, 0, fmt.Errorf("httpapi: read commits: %w", err)
	}
	from = max(sp.from, from)
	err = a.scan(ctx, span{from, sp.to, sp.since, sp.at, sp.types}, func(f foundCommit) error {
		found = append(found, f)
		return nil
	})
	if from > sp.from {
		next = from + 1
	}
	if len(found) > limit {
		found = found[len(found)-limit:]
		next = found[0].commit.N
	}
	slices.Reverse(found)
	return found, next, err
}

// scan reads the commits of a span that have what was asked for.
func (a *API) scan(ctx context.Context, sp span, f func(foundCommit) error) error {
	if sp.from >= sp.to {
		return nil
	}
	err := a.cfg.Store.CommitsInTurns(ctx, callerOf(ctx).who(), sp.from, sp.to, func(c *schemas.Commit, body []byte) error {
		if !sp.since.IsZero() && !c.At.After(sp.since) || !sp.at.IsZero() && c.At.After(sp.at) {
			return nil
		}
		events := c.Events
		if sp.types != "" {
			events = slices.DeleteFunc(slices.Clone(events), func(e schemas.Event) bool {
				return e.Type != sp.types && !strings.HasPrefix(e.Type, sp.types+".")
			})
			if len(events) == 0 {
				return nil
			}
		}
		return f(foundCommit{c, wire.HashOf(body), events})
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("httpapi: read commits: %w", err)
	}
	return nil
}

// readable leaves out the events that the caller may not read, and commits of which
// nothing is left.
func (a *API) readable(ctx context.Context, found []foundCommit) (out []foundCommit, err error) {
	_, err = a.view(ctx, func(s domain.View, _ eventstore.Head) error {
		if !domain.HasPrivacy(s.State) {
			out = found
			return nil
		}
		for _, f := range found {
			if !domain.Visible(s, callerOf(ctx).person, domain.CommitRecord(s.State, f.commit.Actor, f.commit.At)) {
				continue
			}
			var seen []schemas.Event
			for _, stored := range f.events {
				e, err := stored.Decode()
				if err != nil {
					return fmt.Errorf("httpapi: read an event: %w", err)
				}
				if domain.Visible(s, callerOf(ctx).person, domain.EventRecord(s.State, e, f.commit.At)) {
					seen = append(seen, stored)
				}
			}
			if len(seen) > 0 || len(f.events) == 0 {
				f.events = seen
				out = append(out, f)
			}
		}
		return nil
	})
	return out, err
}

// showCommits makes commits fit for the caller's eyes, all their events at once.
func (a *API) showCommits(ctx context.Context, found []foundCommit) ([]commitView, error) {
	found, err := a.readable(ctx, found)
	if err != nil {
		return nil, err
	}
	var stored []schemas.Event
	for _, f := range found {
		stored = append(stored, f.events...)
	}
	events, err := a.events(ctx, stored)
	if err != nil {
		return nil, err
	}
	out := make([]commitView, len(found))
	for i, f := range found {
		c := f.commit
		out[i] = commitView{Position: c.Position(), Hash: f.hash, Prev: c.Prev, ID: c.ID, At: c.At, Actor: c.Actor,
			OnBehalfOf: c.OnBehalfOf, Causation: c.Causation, Command: c.Command, Events: events[:len(f.events):len(f.events)]}
		events = events[len(f.events):]
	}
	return out, nil
}
