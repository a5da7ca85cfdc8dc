package httpapi

import (
	"context"
	"errors"
	"fmt"
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
	Kind       string    `json:"kind,omitempty" enum:"fob,card,pin,mobile_key" doc:"beside person: as if they showed one; none: whatever they carry"`
	Position   string    `json:"position,omitempty" doc:"judge by what the org knew at this position, as 1-42; none: by what it knows now"`
	Command    string    `json:"command,omitempty" enum:"remote_unlock,unlock_for" doc:"what is asked from afar; none: at the door"`
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
		now := a.cfg.Now()
		if in.Body.Position != "" {
			if t, now, err = a.pastTable(ctx, in); err != nil {
				return nil, a.asProblem(ctx, err)
			}
		}
		request, err := in.request(now)
		if err != nil {
			return nil, a.asProblem(ctx, err)
		}
		answer := unlock.Decide(t, &unlock.Local{LeaseEnd: unlock.Held}, request)
		d := a.decision(t, answer)
		if d.Grant != "" {
			if _, err = a.view(ctx, func(s *domain.State, _ eventstore.Head) error {
				if !s.SeesGrant(callerOf(ctx).person, d.Grant) {
					d.Grant = ""
				}
				return nil
			}); err != nil {
				return nil, a.asProblem(ctx, err)
			}
		}
		return &Answer[Decision]{at.String(), d}, nil
	})
	huma.Register(a.huma, huma.Operation{
		OperationID: "Explain", Method: http.MethodPost, Path: "/v1/orgs/{org}/sites/{site}/explain",
		Summary: "Says by which facts a person or a credential would pass a door, or would not",
		Description: "The same question as decisions, judged on the state of the org as it is: with the things that count, " +
			"what fails at which, and the numbers of the commits that made and changed them. " +
			"It leaves out ways by what the asker may not see.",
		Tags: []string{"decisions"}, Errors: readErrors,
	}, a.explain)
}

// explained is an explanation with where the state stood and with a text for
// people.
type explained struct {
	domain.Explanation
	Position schemas.Position `json:"position"`
	AgeMS    int64            `json:"age_ms"`
	Text     string           `json:"text"`
}

// Schema is the generated one of the explanation with what is added here.
func (explained) Schema(huma.Registry) *huma.Schema {
	schema, err := generated("explanation.json")
	if err != nil {
		panic(err) // the file is embedded; a test finds that it is there
	}
	properties := schema["properties"].(object)
	properties["position"] = object{"type": "string", "description": "where the org stands"}
	properties["age_ms"] = object{"type": "integer", "description": "how long ago the commit at the position was made, in milliseconds"}
	properties["text"] = object{"type": "string", "description": "the whole of it for people"}
	schema["required"] = append(schema["required"].([]any), "position", "age_ms", "text")
	return &huma.Schema{Extensions: schema}
}

func (a *API) explain(ctx context.Context, in *questionInput) (*Answer[explained], error) {
	out := &Answer[explained]{}
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	explain := func(s *domain.State, head eventstore.Head) error {
		if d, ok := s.Doors.Get(in.Body.Door); ok && d.Site != domain.ID(in.Site) {
			return unknown("door", in.Body.Door)
		}
		q, err := in.asked(a.judged(in, head))
		if err != nil {
			return err
		}
		e, err := s.Explain(q)
		if err != nil {
			return fmt.Errorf("httpapi: explain: %w", err)
		}
		out.Body = explained{Explanation: e, Position: head.Position(), AgeMS: max(0, a.cfg.Now().Sub(head.At).Milliseconds())}
		return nil
	}
	at, err := a.view(ctx, func(s *domain.State, head eventstore.Head) error {
		if err := in.mayAsk(s, callerOf(ctx).person); err != nil || in.Body.Position != "" {
			return err
		}
		return explain(s, head)
	})
	if err == nil && in.Body.Position != "" {
		err = a.past(ctx, in, explain)
	}
	if err == nil { // also of the past people see what they may see now
		_, err = a.view(ctx, func(s *domain.State, _ eventstore.Head) error {
			out.Body.Explanation = out.Body.SeenBy(s, callerOf(ctx).person)
			out.Body.Text = out.Body.Explanation.String()
			return nil
		})
	}
	out.Position = at.String()
	return out, a.orProblem(ctx, err)
}

// judged is the instant that is judged when none is given: now, or with a position
// the moment of its commit.
func (a *API) judged(in *questionInput, head eventstore.Head) time.Time {
	if in.Body.Position != "" {
		return head.At
	}
	return a.cfg.Now()
}

// maxFolds is how many questions about the past are answered at the same time:
// each folds the ledger of an org and holds a second state of it in memory.
const maxFolds = 2

// past calls f with the state of the org as it was at the position that is asked
// about.
func (a *API) past(ctx context.Context, in *questionInput, f func(*domain.State, eventstore.Head) error) error {
	at, err := schemas.ParsePosition(in.Body.Position)
	if err != nil {
		return malformed("body.position", "%v", err)
	}
	select {
	case a.folds <- struct{}{}:
		defer func() { <-a.folds }()
	default:
		return problem(http.StatusServiceUnavailable, "busy", "%d questions about the past are being answered; try again", maxFolds).retry("1")
	}
	s, head, err := a.cfg.Store.StateAt(ctx, callerOf(ctx).org, at)
	if errors.Is(err, eventstore.ErrNoPosition) {
		return problem(http.StatusNotFound, "unknown_position", "the org was never at %s", at)
	}
	if err != nil {
		return err
	}
	if !s.Sites.Has(domain.ID(in.Site)) {
		return problem(http.StatusNotFound, "unknown_site", "at %s there was no site %s", at, in.Site)
	}
	return f(s, head)
}

// pastTable makes the table of a site as it was. The cards of it have no tags: it
// is asked by ids.
func (a *API) pastTable(ctx context.Context, in *questionInput) (t *unlock.Table, judged time.Time, err error) {
	err = a.past(ctx, in, func(s *domain.State, head eventstore.Head) error {
		rows, _ := s.Rows(domain.ID(in.Site), func(domain.ID, domain.CredentialKind, string, string) (unlock.Tag, bool) {
			return unlock.Tag{}, false
		})
		empty, err := unlock.NewTable()
		if err != nil {
			return err
		}
		judged = head.At
		t, err = empty.Apply(unlock.Delta{Position: head.Position().String(), N: head.N, At: unlock.InstantOf(head.At), Put: rows})
		return err
	})
	return t, judged, err
}

// asked is the question as the domain explains it.
func (in *questionInput) asked(now time.Time) (domain.Question, error) {
	b := in.Body
	q := domain.Question{Door: b.Door, At: orNow(b.At, now).UTC(), Credential: b.Credential, Person: b.Person,
		Kind: domain.CredentialKind(b.Kind), Command: domain.DoorCapability(b.Command)}
	if y := q.At.Year(); y < firstYear || y > lastYear {
		return q, malformed("body.at", "it is in the years %d to %d", firstYear, lastYear)
	}
	if err := q.Side.UnmarshalText([]byte(b.Side)); err != nil {
		return q, malformed("body.side", "%v", err)
	}
	return q, nil
}

// firstYear and lastYear are between which tables can tell instants apart.
const (
	firstYear = 1970
	lastYear  = 2261
)

func orNow(at, now time.Time) time.Time {
	if at.IsZero() {
		return now
	}
	return at
}

// check refuses a question about nobody or about two.
func (in *questionInput) check() error {
	if (in.Body.Person == "") == (in.Body.Credential == "") {
		return malformed("body.person", "give person or credential, and not both")
	}
	return nil
}

// question checks what is asked and returns the permissions to judge by.
func (a *API) question(ctx context.Context, in *questionInput) (*unlock.Table, schemas.Position, error) {
	if err := in.check(); err != nil {
		return nil, schemas.Position{}, err
	}
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, schemas.Position{}, err
	}
	var t *unlock.Table // there while the org is
	at, err := a.view(ctx, func(s *domain.State, _ eventstore.Head) error {
		t = a.cfg.Table(callerOf(ctx).org, domain.ID(in.Site))
		return in.mayAsk(s, callerOf(ctx).person)
	})
	if err != nil {
		return nil, at, a.asProblem(ctx, err)
	}
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
func (in *questionInput) request(now time.Time) (unlock.Request, error) {
	q, err := in.asked(now)
	if err != nil {
		return unlock.Request{}, err
	}
	r := unlock.Request{Door: unlock.IDOf(string(q.Door)), Side: q.Side, At: unlock.InstantOf(q.At),
		Person: unlock.IDOf(string(q.Person)), Credential: unlock.IDOf(string(q.Credential)), Command: remoteCommands[q.Command]}
	if q.Kind != "" {
		err = r.Kind.UnmarshalText([]byte(q.Kind))
	}
	return r, err
}

// remoteCommands are what is asked from afar, by the capability that it takes.
var remoteCommands = map[domain.DoorCapability]unlock.Command{
	"": unlock.NoCommand, domain.CapabilityRemoteUnlock: unlock.CommandRemoteUnlock, domain.CapabilityUnlockFor: unlock.CommandUnlockFor,
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
