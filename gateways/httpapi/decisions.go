package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/domain/explain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// DoorQuestion says who would pass which door, when.
type DoorQuestion struct {
	Person     domain.ID  `json:"person,omitempty" doc:"the person: whether anything that was given to them opens; give this or credential"`
	Credential domain.ID  `json:"credential,omitempty" doc:"id of the credential, never its number"`
	Door       domain.ID  `json:"door"`
	Side       string     `json:"side,omitempty" enum:"in,out" default:"in"`
	At         *time.Time `json:"at,omitempty" doc:"the instant that is judged; none: now"`
	Kind       string     `json:"kind,omitempty" enum:"fob,card,pin,mobile_key" doc:"with person: decide as for a credential of this kind; empty: any, and credentials lists the answer for each that they have"`
	Command    string     `json:"command,omitempty" enum:"remote_unlock,unlock_for" doc:"what is asked remotely; none: at the door"`
}

// questionBody is a question about the state of the org at a position.
type questionBody struct {
	DoorQuestion
	Position string `json:"position,omitempty" doc:"decide on the state of the org at this position, such as 1-42; empty: on the current state"`
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
	Grant    string         `json:"grant" doc:"the grant that opens, or the one with the fewest obstacles; empty: none"`
	Position string         `json:"position" doc:"of the last commit that changed the permissions of the site"`
	AgeMS    int64          `json:"age_ms" doc:"age of that commit, in milliseconds"`
	Because  string         `json:"because,omitempty" doc:"the one thing that failed, for people: unit a1 (A1): Monday to Friday, 08:30 - 17:30; none: the door opens"`
	// Credentials tells a question about a person from one about what they carry: a
	// tenant whose site forbids fobs after hours may pass with the key in the telephone.
	Credentials []carried `json:"credentials,omitempty" doc:"for a question about a person without kind or command: their credentials that the caller may see, each with its answer, those that open first"`
	Partial     bool      `json:"partial,omitempty" doc:"the asker may not see everything that counts at the site, so that the door may decide otherwise"`
}

// carried is something that the person carries.
type carried struct {
	Credential domain.ID             `json:"credential"`
	Kind       domain.CredentialKind `json:"kind"`
	Allowed    bool                  `json:"allowed"`
	Code       decisionCode          `json:"code"`
}

// decisionCode is the text of a code.
type decisionCode string

// Schema lists the codes with what they mean.
func (decisionCode) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	var meanings []string
	for _, c := range unlock.Codes() {
		s.Enum = append(s.Enum, c.String())
		meanings = append(meanings, c.String()+": "+c.Meaning())
	}
	s.Description = strings.Join(meanings, "; ")
	return s
}

func (a *API) registerDecisions() {
	serve(a, route{effect: asks, usedBy: "everybody in the org"}, huma.Operation{
		OperationID: "Decide", Method: http.MethodPost, Path: "/v1/orgs/{org}/sites/{site}/decisions",
		Summary: "Decides whether a person or a credential would pass a door",
		Description: "A question without any effect: nothing opens and nothing is recorded; only gateways open doors. " +
			"What only the gateway of the door knows, as use counts and passback, is not judged. " +
			"Staff ask about anybody at their sites, others about people whom they may see and doors that they were given. " +
			"An id that nobody has, or that the asker may not see, is answered 404 unknown_person, unknown_credential, unknown_door or unknown_site. " +
			"It is answered from what the asker may see: users of a unit with privacy are not known to those who work at the site, " +
			"and unit managers learn of no way but those of their unit. Where that may make a difference, the answer says partial. " +
			"A question about a person asks for their rights: it may be allowed for somebody who carries nothing yet. " +
			"Whether what they carry opens, credentials tells.",
		Tags: []string{"decisions"}, Errors: readErrors,
	}, a.decide)
	a.registerBatch()
	serve(a, route{effect: asks, usedBy: "everybody in the org"}, huma.Operation{
		OperationID: "Explain", Method: http.MethodPost, Path: "/v1/orgs/{org}/sites/{site}/explain",
		Summary: "Explains why a person or a credential would pass a door, or would not",
		Description: "The same question as decisions, judged on the state of the org as it is: with the things that count, " +
			"what fails at which, and the numbers of the commits that made and changed them. " +
			"It is answered from what the asker may see, as decisions are.",
		Tags: []string{"decisions"}, Errors: readErrors,
	}, a.explain)
}

// decide answers from the permissions of the site, as a gateway has them. It answers
// from the state when the question is about the past, or when the asker may not see
// everything at the site.
func (a *API) decide(ctx context.Context, in *questionInput) (*Answer[Decision], error) {
	if err := in.Body.check("body"); err != nil {
		return nil, err
	}
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	var out Decision
	at, err := a.view(ctx, func(s domain.View, head eventstore.Head) (err error) {
		if err := in.mayAsk(s, callerOf(ctx).person); err != nil || in.Body.Position != "" {
			return err
		}
		q := in.Body.asked(head.Now(a.cfg.Now()))
		if _, partial := s.AskedBy(s, callerOf(ctx).person, domain.ID(in.Site), q); !partial && s.WorksAt(callerOf(ctx).person, domain.ID(in.Site)) {
			out, err = a.fromTable(ctx, s.State, q, domain.ID(in.Site))
			return err
		}
		e, err := a.explains(ctx, in, s.State, s, head)
		out = a.decision(e, head)
		return err
	})
	if err == nil && in.Body.Position != "" {
		err = a.past(ctx, in, func(e explain.Explanation, head eventstore.Head) { out = a.decision(e, head) })
	}
	return &Answer[Decision]{at.String(), out}, a.orProblem(ctx, err)
}

// explained is an explanation with where the state stood and with a text for
// people.
type explained struct {
	explain.Explanation
	Position wire.Position `json:"position"`
	AgeMS    int64         `json:"age_ms"`
	Text     string        `json:"text"`
}

// Schema is the generated one of the explanation with what is added here.
func (explained) Schema(huma.Registry) *huma.Schema {
	schema, err := generated("explanation.json")
	if err != nil {
		panic(err) // the file is embedded; a test finds that it is there
	}
	delete(schema, "examples") // it lacks what follows
	properties := schema["properties"].(object)
	properties["position"] = object{"type": "string", "description": "the position of the org"}
	properties["age_ms"] = object{"type": "integer", "description": "age of the commit at the position, in milliseconds"}
	properties["text"] = object{"type": "string", "description": "the whole of it for people"}
	schema["required"] = append(schema["required"].([]any), "position", "age_ms", "text")
	return &huma.Schema{Extensions: schema}
}

func (a *API) explain(ctx context.Context, in *questionInput) (*Answer[explained], error) {
	if err := in.Body.check("body"); err != nil {
		return nil, err
	}
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	out := &Answer[explained]{}
	tell := func(e explain.Explanation, head eventstore.Head) {
		out.Body = explained{Explanation: e, Position: head.Position(), AgeMS: a.age(head.At), Text: e.String()}
	}
	at, err := a.view(ctx, func(s domain.View, head eventstore.Head) error {
		if err := in.mayAsk(s, callerOf(ctx).person); err != nil || in.Body.Position != "" {
			return err
		}
		e, err := a.explains(ctx, in, s.State, s, head)
		tell(e, head)
		return err
	})
	if err == nil && in.Body.Position != "" {
		err = a.past(ctx, in, tell)
	}
	out.Position = at.String()
	return out, a.orProblem(ctx, err)
}

// explains answers a question from what the asker may see of a state; now is the
// state of the org as it is.
func (a *API) explains(ctx context.Context, in *questionInput, s *domain.State, now domain.View, head eventstore.Head) (explain.Explanation, error) {
	q := in.Body.asked(a.judged(in, head))
	if d, ok := s.Doors.Get(q.Door); ok && d.Site != domain.ID(in.Site) {
		q.Door = "" // as for a door that is nowhere
	}
	seen, partial := s.AskedBy(now, callerOf(ctx).person, domain.ID(in.Site), q)
	e, err := explain.Explain(seen, q)
	if err != nil {
		return e, fmt.Errorf("httpapi: explain: %w", err)
	}
	e.Question.Door, e.Partial = in.Body.Door, partial
	return explain.ToldTo(now, callerOf(ctx).person, e), nil
}

// judged is the instant that is judged when none is given: now, or with a position
// the moment of its commit.
func (a *API) judged(in *questionInput, head eventstore.Head) time.Time {
	if in.Body.Position != "" {
		return head.At
	}
	return head.Now(a.cfg.Now())
}

// past gives f the explanation from the state as it was at the position that is
// asked about.
func (a *API) past(ctx context.Context, in *questionInput, f func(explain.Explanation, eventstore.Head)) error {
	at, err := wire.ParsePosition(in.Body.Position)
	if err != nil {
		return malformed("body.position", "%v", err)
	}
	c := callerOf(ctx)
	leave, err := a.budgets.folds.Take(ctx, c.who(), 1)
	if err != nil {
		return err
	}
	defer leave()
	s, head, err := a.cfg.Store.StateAt(ctx, c.who(), at)
	if errors.Is(err, eventstore.ErrNoPosition) {
		return problem(http.StatusNotFound, "unknown_position", "the org was never at %s", at)
	}
	if err != nil {
		return err
	}
	if !s.Sites.Has(domain.ID(in.Site)) {
		return problem(http.StatusNotFound, "unknown_site", "site %[2]s did not exist at %[1]s", at, in.Site)
	}
	_, err = a.view(ctx, func(now domain.View, _ eventstore.Head) error {
		e, err := a.explains(ctx, in, s, now, head)
		f(e, head)
		return err
	})
	return err
}

// asked is the question as the domain explains it; it was checked.
func (b *DoorQuestion) asked(now time.Time) domain.Question {
	side := unlock.In
	if b.Side == "out" {
		side = unlock.Out
	}
	return domain.Question{Door: b.Door, Side: side, At: orNow(b.At, now).UTC(), Credential: b.Credential, Person: b.Person,
		Kind: domain.CredentialKind(b.Kind), Command: domain.DoorCapability(b.Command)}
}

// firstYear and lastYear are between which tables can tell instants apart.
const (
	firstYear = 1970
	lastYear  = 2261
)

func orNow(at *time.Time, now time.Time) time.Time {
	if at == nil {
		return now
	}
	return *at
}

// check refuses a question about nobody or about two, and one about an instant that no
// table tells. name is where the question stands.
func (b *DoorQuestion) check(name string) error {
	if (b.Person == "") == (b.Credential == "") {
		return malformed(name+".person", "give person or credential, and not both")
	}
	if b.At == nil {
		return nil
	}
	if err := domain.CheckInstant(*b.At); err != nil {
		return malformed(name+".at", "%v", err)
	}
	if y := b.At.UTC().Year(); y < firstYear || y > lastYear {
		return malformed(name+".at", "must be in the years %d to %d", firstYear, lastYear)
	}
	return nil
}

// mayAsk limits the asker to what they may see. Hidden things are answered as unknown,
// whoever asks; visible ones deny or allow.
func (in *questionInput) mayAsk(s domain.View, person domain.ID) error {
	if !s.MayKnowSite(person, domain.ID(in.Site)) {
		return unknown("site", domain.ID(in.Site))
	}
	if p := in.Body.mayAsk(s, person, domain.ID(in.Site)); p != nil {
		return p
	}
	return nil
}

// mayAsk is that of a question about a site that the asker may know; nil: they may.
func (b *DoorQuestion) mayAsk(s domain.View, person, site domain.ID) *Problem {
	v := viewer{s, person}
	if p, ok := s.People.Get(b.Person); b.Person != "" && (!ok || !v.sees(p)) {
		return unknown("person", b.Person)
	}
	if c, ok := s.Credentials.Get(b.Credential); b.Credential != "" && (!ok || !v.sees(c)) {
		return unknown("credential", b.Credential)
	}
	if d, ok := s.Doors.Get(b.Door); !ok || d.Site != site || !s.MayKnowDoor(person, d.ID) {
		return unknown("door", b.Door)
	}
	return nil
}

// published is the table of a site.
func (a *API) published(org, site domain.ID) (*unlock.Table, error) {
	t := a.cfg.Table(org, site)
	if t == nil {
		return nil, problem(http.StatusServiceUnavailable, "behind", "the permissions of site %s are not loaded yet; try again", site).retry("1")
	}
	return t, nil
}

// fromTable answers from the permissions of the site.
func (a *API) fromTable(ctx context.Context, s *domain.State, q domain.Question, site domain.ID) (Decision, error) {
	t, err := a.published(callerOf(ctx).org, site)
	if err != nil {
		return Decision{}, err
	}
	local := &unlock.Local{LeaseEnd: unlock.Held}
	answer := unlock.Decide(t, local, q.Request())
	d := Decision{Allowed: answer.Allowed, Code: codeText(answer.Code), Failed: codeTexts(answer.Failed), Position: t.Position(), AgeMS: a.age(t.At().Time())}
	if g := answer.Grant(); g != nil {
		d.Grant = g.ID
	}
	if !d.Allowed {
		e, err := explain.Explain(s, q)
		if err != nil {
			return d, fmt.Errorf("httpapi: decide: %w", err)
		}
		if e.Code == answer.Code { // the table may be a commit behind the state
			d.Because = e.Because
		}
	}
	d.Credentials = carriedOf(s.Carried(q, site, func(one domain.Question) unlock.Answer { return unlock.Decide(t, local, one.Request()) }))
	return d, nil
}

// decision is an explanation as a decision.
func (a *API) decision(e explain.Explanation, head eventstore.Head) Decision {
	return Decision{Allowed: e.Allowed, Code: codeText(e.Code), Failed: codeTexts(e.Failed), Grant: e.Grant, Position: head.Position().String(),
		AgeMS: a.age(head.At), Because: e.Because, Credentials: carriedOf(e.Credentials), Partial: e.Partial}
}

// age is how long ago something was, in milliseconds.
func (a *API) age(at time.Time) int64 { return max(0, a.cfg.Now().Sub(at).Milliseconds()) }

func codeText(c unlock.Code) decisionCode { return decisionCode(c.String()) }

func codeTexts(checks unlock.Checks) []decisionCode {
	out := []decisionCode{}
	for _, c := range checks.Codes() {
		out = append(out, codeText(c))
	}
	return out
}

func carriedOf(list []domain.Carried) (out []carried) {
	for _, c := range list {
		out = append(out, carried{c.Credential, c.Kind, c.Allowed, codeText(c.Code)})
	}
	return out
}
