package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/schemas"
)

// questionBody says who would pass which door, when.
type questionBody struct {
	Person     domain.ID `json:"person,omitempty" doc:"the person, with whatever they carry; give this or credential"`
	Credential domain.ID `json:"credential,omitempty" doc:"id of the credential, never its number"`
	Door       domain.ID `json:"door"`
	Side       string    `json:"side,omitempty" enum:"in,out" default:"in"`
	At         time.Time `json:"at,omitempty" doc:"the instant that is judged; none: now"`
}

type questionInput struct {
	OrgPath
	AtLeast
	Site string `path:"site"`
	Body questionBody
}

// Decision is the answer to whether a door would open.
type Decision struct {
	Allowed  bool           `json:"allowed"`
	Code     decisionCode   `json:"code" doc:"the primary reason"`
	Failed   []decisionCode `json:"failed" doc:"every check that failed, in order of precedence"`
	Grant    string         `json:"grant,omitempty" doc:"the grant that opens, or that came closest"`
	Position string         `json:"position" doc:"of the last commit that changed the permissions of the site"`
	AgeMS    int64          `json:"age_ms" doc:"how long ago that commit was made, in milliseconds"`
}

// decisionCode is the text of a code.
type decisionCode string

// Schema lists the codes.
func (decisionCode) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, c := range unlock.Codes() {
		s.Enum = append(s.Enum, c.String())
	}
	return s
}

func (a *API) registerDecisions() {
	huma.Register(a.huma, huma.Operation{
		OperationID: "Decide", Method: http.MethodPost, Path: "/v1/orgs/{org}/sites/{site}/decisions",
		Summary: "Says whether a person or a credential would pass a door",
		Description: "A question without any effect: nothing opens and nothing is recorded; only gateways open doors. " +
			"What only the gateway of the door knows, as use counts and passback, is not judged. " +
			"Staff ask about anybody at their sites, others about people whom they may see.",
		Tags: []string{"decisions"}, Errors: readErrors,
	}, func(ctx context.Context, in *questionInput) (*Answer[Decision], error) {
		t, at, err := a.question(ctx, in)
		if err != nil {
			return nil, err
		}
		answer := unlock.Decide(t, &unlock.Local{LeaseEnd: unlock.Held}, in.request(a.cfg.Now()))
		return &Answer[Decision]{at.String(), a.decision(t, answer)}, nil
	})
}

// question checks what is asked and returns the permissions to judge by.
func (a *API) question(ctx context.Context, in *questionInput) (*unlock.Table, schemas.Position, error) {
	if (in.Body.Person == "") == (in.Body.Credential == "") {
		return nil, schemas.Position{}, malformed("body.person", "give person or credential, and not both")
	}
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, schemas.Position{}, err
	}
	at, err := a.view(ctx, func(s *domain.State, _ eventstore.Head) error { return in.mayAsk(s, callerOf(ctx).person) })
	if err != nil {
		return nil, at, a.asProblem(ctx, err)
	}
	t := a.cfg.Table(callerOf(ctx).org, domain.ID(in.Site))
	if t == nil {
		return nil, at, problem(http.StatusServiceUnavailable, "behind", "the permissions of %s are not there yet; try again", in.Site).retry("1")
	}
	return t, at, nil
}

// mayAsk holds people without a role at the site to those whom they may see. Staff
// may ask about what is not there: the answer is a denial that says so.
func (in *questionInput) mayAsk(s *domain.State, person domain.ID) error {
	site, ok := s.Sites.Get(domain.ID(in.Site))
	if !ok {
		return unknown("site", domain.ID(in.Site))
	}
	v := viewer{s, person}
	if v.sees(site) {
		return nil
	}
	if p, ok := s.People.Get(in.Body.Person); in.Body.Person != "" && (!ok || !v.sees(p)) {
		return unknown("person", in.Body.Person)
	}
	if c, ok := s.Credentials.Get(in.Body.Credential); in.Body.Credential != "" && (!ok || !v.sees(c)) {
		return unknown("credential", in.Body.Credential)
	}
	return nil
}

// request is the question as a table takes it.
func (in *questionInput) request(now time.Time) unlock.Request {
	b := in.Body
	side := unlock.In
	if b.Side == "out" {
		side = unlock.Out
	}
	if !b.At.IsZero() {
		now = b.At
	}
	return unlock.Request{Door: unlock.IDOf(string(b.Door)), Side: side, At: unlock.InstantOf(now),
		Person: unlock.IDOf(string(b.Person)), Credential: unlock.IDOf(string(b.Credential))}
}

func (a *API) decision(t *unlock.Table, answer unlock.Answer) Decision {
	d := Decision{Allowed: answer.Allowed, Code: decisionCode(answer.Code.String()), Failed: []decisionCode{}, Position: t.Position(),
		AgeMS: max(0, a.cfg.Now().Sub(t.At().Time()).Milliseconds())}
	for _, c := range answer.Failed.Codes() {
		d.Failed = append(d.Failed, decisionCode(c.String()))
	}
	if g := answer.Grant(); g != nil {
		d.Grant = g.ID
	}
	return d
}
