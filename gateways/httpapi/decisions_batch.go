package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
)

// An answer from the state takes some 0.1 ms. That is a fifty-fold of one from the table,
// and as long no command of the org is decided.
const (
	maxQuestions  = 1000 // of a batch, as the tag says
	maxFromState  = 100  // questions of a batch
	costFromState = 20   // what each counts as
)

// batchInput are many questions about the doors of one site.
type batchInput struct {
	OrgPath
	AtLeast
	Site string `path:"site"`
	Body struct {
		Questions []DoorQuestion `json:"questions" minItems:"1" maxItems:"1000" doc:"each as for decisions, but on the state as it is"`
	}
}

// Decisions are the answers to many questions, all from one state of the permissions.
type Decisions struct {
	Position string          `json:"position" doc:"of the last commit that changed the permissions of the site; every answer is from the permissions at it"`
	AgeMS    int64           `json:"age_ms" doc:"age of that commit, in milliseconds"`
	Answers  []BatchDecision `json:"answers" doc:"one for each question, in their order"`
	Partial  bool            `json:"partial,omitempty" doc:"the asker may not see everything that counts at the site, so that doors may decide otherwise"`
}

// BatchDecision is the answer to one question of many: a decision, or why there is none.
type BatchDecision struct {
	Decision *Verdict         `json:"decision,omitempty" doc:"none: see error"`
	Error    *QuestionProblem `json:"error,omitempty" doc:"why there is no decision; none: see decision"`
}

// Verdict is what a door would answer.
type Verdict struct {
	Allowed bool           `json:"allowed"`
	Code    decisionCode   `json:"code" doc:"the primary reason"`
	Failed  []decisionCode `json:"failed" doc:"every check that failed, in order of precedence"`
	Grant   string         `json:"grant" doc:"the grant that opens, or the one with the fewest obstacles; empty: none"`
}

// QuestionProblem says why one question of many has no decision.
type QuestionProblem struct {
	Code   string      `json:"code" doc:"unknown_person, unknown_credential or unknown_door"`
	Detail string      `json:"detail"`
	IDs    []domain.ID `json:"ids,omitempty"`
}

func (a *API) registerBatch() {
	serve(a, route{effect: asks, usedBy: everybody}, huma.Operation{
		OperationID: "DecideMany", Method: http.MethodPost, Path: "/v1/orgs/{org}/sites/{site}/decisions/batch",
		Summary: "Decides for up to 1,000 questions whether a person or a credential would pass a door",
		Description: "The same questions as decisions, without position, about one site. All answers are from the permissions at one position, which the answer names. " +
			"A question with an id that nobody has, or that the asker may not see, has an error in the place of its decision; the others are answered. " +
			"A question of the wrong form refuses the whole batch. Why a door stays shut, and what a person carries, decisions and explain tell of one question. " +
			"A batch counts as one request, and each question of it against a rate of questions. " +
			fmt.Sprintf("Those who may not see everything that counts at the site send at most %d at once, and each counts as %d.", maxFromState, costFromState),
		Tags: []string{"decisions"}, Errors: readErrors,
	}, a.decideMany)
}

// decideMany answers all questions from one table. For an asker who may not see
// everything at the site, it is one state.
func (a *API) decideMany(ctx context.Context, in *batchInput) (*Answer[Decisions], error) {
	for i := range in.Body.Questions {
		if err := in.Body.Questions[i].check(fmt.Sprintf("body.questions[%d]", i)); err != nil {
			return nil, err
		}
	}
	if share := a.rates.questionsExceeded(callerOf(ctx), len(in.Body.Questions)); share != "" {
		return nil, a.tooManyQuestions(share)
	}
	if err := a.reach(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	out := Decisions{Answers: make([]BatchDecision, len(in.Body.Questions))}
	at, err := a.view(ctx, func(s domain.View, head eventstore.Head) error {
		person, site := callerOf(ctx).person, domain.ID(in.Site)
		if !s.MayKnowSite(person, site) {
			return unknown("site", site)
		}
		_, partial := s.AskedBy(s, person, site, domain.Question{}) // as of anybody but the asker
		if !partial && s.WorksAt(person, site) {
			return a.manyFromTable(ctx, in, s, head, &out)
		}
		n := len(in.Body.Questions)
		if n > maxFromState {
			return malformed("body.questions", "%d; those who may not see everything that counts at the site send at most %d at once", n, maxFromState)
		}
		if share := a.rates.questionsExceeded(callerOf(ctx), (costFromState-1)*n); share != "" {
			return a.tooManyQuestions(share)
		}
		out.Position, out.AgeMS, out.Partial = head.Position().String(), a.age(head.At), partial
		return a.manyFromState(ctx, in, s, head, &out)
	})
	return &Answer[Decisions]{at.String(), out}, a.orProblem(ctx, err)
}

// manyFromTable answers from the permissions of the site as they are published.
func (a *API) manyFromTable(ctx context.Context, in *batchInput, s domain.View, head eventstore.Head, out *Decisions) error {
	person, site := callerOf(ctx).person, domain.ID(in.Site)
	t, err := a.published(callerOf(ctx).org, site)
	if err != nil {
		return err
	}
	out.Position, out.AgeMS = t.Position(), a.age(t.At().Time())
	now, local := head.Now(a.cfg.Now()), &unlock.Local{LeaseEnd: unlock.Held}
	for i := range in.Body.Questions {
		asked := &in.Body.Questions[i]
		if p := asked.mayAsk(s, person, site); p != nil {
			out.Answers[i].Error = &QuestionProblem{p.Code, p.Detail, p.IDs}
			continue
		}
		q := asked.asked(now)
		answer := unlock.Decide(t, local, q.Request())
		v := &Verdict{Allowed: answer.Allowed, Code: codeText(answer.Code), Failed: codeTexts(answer.Failed)}
		if g := answer.Grant(); g != nil {
			v.Grant = g.ID
		}
		out.Answers[i].Decision = v
	}
	return nil
}

// manyFromState answers from what the asker may see of the state.
func (a *API) manyFromState(ctx context.Context, in *batchInput, s domain.View, head eventstore.Head, out *Decisions) error {
	for i, asked := range in.Body.Questions {
		if p := asked.mayAsk(s, callerOf(ctx).person, domain.ID(in.Site)); p != nil {
			out.Answers[i].Error = &QuestionProblem{p.Code, p.Detail, p.IDs}
			continue
		}
		one := &questionInput{OrgPath: in.OrgPath, Site: in.Site, Body: questionBody{DoorQuestion: asked}}
		e, err := a.explains(ctx, one, s.State, s, head)
		if err != nil {
			return err
		}
		out.Answers[i].Decision = &Verdict{Allowed: e.Allowed, Code: codeText(e.Code), Failed: codeTexts(e.Failed), Grant: e.Grant}
	}
	return nil
}
