package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Health says that the process lives.
type Health struct {
	Status string `json:"status" enum:"ok"`
}

// Readiness says whether the instance serves, what keeps it from serving, and what
// is amiss though it serves.
type Readiness struct {
	Ready    bool      `json:"ready"`
	Troubles []Trouble `json:"troubles" doc:"what keeps it from serving as it should"`
	Degraded []Trouble `json:"degraded" doc:"what is missing though it serves: one more loss may end that"`
}

func (a *API) registerHealth() {
	noToken := []map[string][]string{}
	huma.Register(a.huma, huma.Operation{
		OperationID: "Live", Method: http.MethodGet, Path: "/healthz", Security: noToken,
		Summary: "Says that the process lives", Tags: []string{"operation"},
	}, func(context.Context, *struct{}) (*struct{ Body Health }, error) {
		return &struct{ Body Health }{Health{"ok"}}, nil
	})
	huma.Register(a.huma, huma.Operation{
		OperationID: "Ready", Method: http.MethodGet, Path: "/readyz", Security: noToken,
		Summary:     "Says whether this instance serves",
		Description: "The status is 200 when it does, else 503, with the same body.",
		Tags:        []string{"operation"},
	}, func(context.Context, *struct{}) (*readyOutput, error) {
		troubles, degraded := a.cfg.Ready()
		out := &readyOutput{Status: http.StatusOK, Body: Readiness{len(troubles) == 0, append([]Trouble{}, troubles...), append([]Trouble{}, degraded...)}}
		if !out.Body.Ready {
			out.Status = http.StatusServiceUnavailable
		}
		return out, nil
	})
}

type readyOutput struct {
	Status int
	Body   Readiness
}
