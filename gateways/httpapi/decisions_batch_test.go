package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

const batchPath = "/v1/orgs/acme/sites/north/decisions/batch"

// batchOf writes a batch of questions.
func batchOf(questions []string) string {
	return `{"questions":[` + strings.Join(questions, ",") + `]}`
}

// A batch answers each question as it is answered alone, whoever asks: staff from the
// table, others from what they may see, and so staff where a unit has privacy. Every
// answer is from one position.
func TestABatchAnswersAsSingleQuestionsDo(t *testing.T) {
	for name, world := range map[string]struct {
		open    func(*testing.T) *bed
		viewers []domain.ID
	}{
		"all is seen":        {func(t *testing.T) *bed { return newWorld(t, "busy") }, []domain.ID{"olga", "stan", "anna", "vera", "gus"}},
		"a unit has privacy": {newPrivateUnit, []domain.ID{"olga", "stan", "anna", "zoe"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := world.open(t)
			opened := 0
			for _, viewer := range world.viewers {
				opened += b.sameInBatches(viewer)
			}
			assert.Positive(t, opened)
			b.ask(b.token("stan", domain.ScopeRead), http.MethodPost, "/v1/orgs/acme/sites/none/decisions/batch", batchOf([]string{`{"person":"anna","door":"gate"}`})).
				problem(http.StatusNotFound, "unknown_site")
		})
	}
}

// sameInBatches asks as a person each question in a batch and alone, and returns how many
// of the doors opened.
func (b *bed) sameInBatches(viewer domain.ID) (opened int) {
	b.t.Helper()
	token, unknown := b.token(viewer, domain.ScopeRead), 0
	for _, who := range []string{`"person":"anna"`, `"person":"vera"`, `"person":"zoe"`, `"person":"ben","kind":"pin"`, `"credential":"fob-anna"`, `"credential":"zoe-pin"`, `"credential":"none"`} {
		var questions []string
		for _, door := range []string{"gate", "lift", "door-a1", "office", "south-gate", "none"} {
			for _, at := range []string{`,"at":"2026-03-03T10:00:00Z"`, `,"at":"2026-03-03T23:00:00+01:00","side":"out"`, `,"command":"remote_unlock"`} {
				questions = append(questions, fmt.Sprintf(`{%s,"door":%q%s}`, who, door, at))
			}
		}
		var got Decisions
		require.NoError(b.t, json.Unmarshal(b.ask(token, http.MethodPost, batchPath, batchOf(questions)).is(http.StatusOK).body, &got))
		require.Len(b.t, got.Answers, len(questions))
		for i, question := range questions {
			one := b.ask(token, http.MethodPost, strings.TrimSuffix(batchPath, "/batch"), question)
			if one.status != http.StatusOK {
				var p Problem
				require.NoError(b.t, json.Unmarshal(one.body, &p))
				assert.Equal(b.t, &QuestionProblem{p.Code, p.Detail, p.IDs}, got.Answers[i].Error, "%s %s", viewer, question)
				assert.Nil(b.t, got.Answers[i].Decision)
				unknown++
				continue
			}
			var d Decision
			require.NoError(b.t, json.Unmarshal(one.body, &d))
			assert.Equal(b.t, &Verdict{d.Allowed, d.Code, d.Failed, d.Grant}, got.Answers[i].Decision, "%s %s", viewer, question)
			assert.Equal(b.t, d.Position, got.Position, "%s %s", viewer, question)
			if d.Allowed {
				opened++
			}
		}
	}
	assert.Positive(b.t, unknown, viewer)
	return opened
}

// A batch in which one question has the wrong form is refused as a whole, and named.
func TestABatchOfTheWrongFormIsRefused(t *testing.T) {
	b := newWorld(t, "busy")
	token := b.token("stan", domain.ScopeRead)
	good := `{"person":"anna","door":"gate"}`
	for name, bad := range map[string]string{
		"body.questions[1].person":   `{"door":"gate"}`,
		"body.questions[1].at":       `{"person":"anna","door":"gate","at":"1969-01-01T00:00:00Z"}`,
		"body.questions[1].side":     `{"person":"anna","door":"gate","side":"up"}`,
		"body.questions[1].position": `{"person":"anna","door":"gate","position":"1-1"}`,
		"body.questions[1]":          `{"person":"anna"}`,
	} {
		p := b.ask(token, http.MethodPost, batchPath, batchOf([]string{good, bad})).problem(http.StatusBadRequest, "malformed")
		require.NotEmpty(t, p.Fields, name)
		assert.Equal(t, name, p.Fields[0].Name)
	}
	most := strings.Split(strings.Repeat(good+"\n", 1000), "\n")[:1000]
	b.ask(token, http.MethodPost, batchPath, batchOf(most)).is(http.StatusOK)
	b.ask(token, http.MethodPost, batchPath, batchOf(append(most, good))).problem(http.StatusBadRequest, "malformed")
	b.ask(token, http.MethodPost, batchPath, batchOf(nil)).problem(http.StatusBadRequest, "malformed")
	// Those who may not see everything at the site are answered at more cost.
	tenant := b.token("anna", domain.ScopeRead)
	b.ask(tenant, http.MethodPost, batchPath, batchOf(most[:maxFromState])).is(http.StatusOK)
	p := b.ask(tenant, http.MethodPost, batchPath, batchOf(most[:maxFromState+1])).problem(http.StatusBadRequest, "malformed")
	assert.Equal(t, "body.questions", p.Fields[0].Name)
}

// Every question of a batch counts against a rate of its own, of the token, the person
// and the org.
func TestQuestionsOfABatchHaveARate(t *testing.T) {
	b := newWorld(t, "busy")
	one, two, other := b.token("stan", domain.ScopeRead), b.token("stan", domain.ScopeRead), b.token("olga", domain.ScopeRead)
	three := batchOf([]string{`{"person":"anna","door":"gate"}`, `{"person":"anna","door":"gate"}`, `{"person":"none","door":"gate"}`})
	b.api.rates.questions = newLimiter(Rate{1, 4}, b.clock)
	b.api.rates.questionsOfPerson = newLimiter(Rate{1, 7}, b.clock)
	b.api.rates.questionsOfOrg = newLimiter(Rate{1, 8}, b.clock)
	ask := func(token string) reply { return b.ask(token, http.MethodPost, batchPath, three) }
	ask(one).is(http.StatusOK)
	assert.Contains(t, ask(one).problem(http.StatusTooManyRequests, "rate_limited").Detail, "questions of this token")
	ask(two).is(http.StatusOK)
	b.set(start.Add(time.Second))
	assert.Contains(t, ask(two).problem(http.StatusTooManyRequests, "rate_limited").Detail, "questions of this token")
	b.set(start.Add(2 * time.Second))
	ask(one).is(http.StatusOK)
	assert.Contains(t, ask(other).problem(http.StatusTooManyRequests, "rate_limited").Detail, "questions of this org")
	b.ask(other, http.MethodPost, strings.TrimSuffix(batchPath, "/batch"), `{"person":"anna","door":"gate"}`).is(http.StatusOK)
}
