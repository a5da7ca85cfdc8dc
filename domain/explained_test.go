package domain

import (
	"encoding/json"
	"slices"

	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
)

// ExplainWith explains a question by what a viewer may see, in JSON and as a text. The
// package of explanations imports this one, so that it is handed in from outside.
var ExplainWith func(seen *State, now View, viewer ID, q Question) (body []byte, text string, err error)

// explained is an explanation as its readers have it.
type explained struct {
	Allowed     bool            `json:"allowed"`
	Code        unlock.Code     `json:"code"`
	Meaning     string          `json:"meaning"`
	Because     string          `json:"because"`
	Failed      unlock.Checks   `json:"failed"`
	Grant       string          `json:"grant"`
	Steps       []explainedStep `json:"steps"`
	Credentials []Carried       `json:"credentials"`
	Ways        []struct {
		Grant string          `json:"grant"`
		Steps []explainedStep `json:"steps"`
	} `json:"ways"`

	body, text string
}

type explainedStep struct {
	Kind    string        `json:"kind"`
	ID      ID            `json:"id"`
	Says    string        `json:"says"`
	Failed  []unlock.Code `json:"failed"`
	Commits []uint64      `json:"commits"`
}

// explain explains a question to somebody who may see everything.
func explain(t require.TestingT, s *State, q Question) explained {
	return explainTo(t, s, s.AsOf(q.At), "", q)
}

// explainTo explains a question to a viewer; empty means one who may see everything.
func explainTo(t require.TestingT, seen *State, now View, viewer ID, q Question) (e explained) {
	body, text, err := ExplainWith(seen, now, viewer, q)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(body, &e))
	e.body, e.text = string(body), text
	return e
}

// all gives the common steps and those of every way.
func (e explained) all() []explainedStep {
	steps := slices.Clone(e.Steps)
	for _, w := range e.Ways {
		steps = append(steps, w.Steps...)
	}
	return steps
}
