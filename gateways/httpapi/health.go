package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
)

// Health says that the process lives.
type Health struct {
	Status string `json:"status" enum:"ok"`
}

// Readiness says whether the instance serves, what keeps it from serving, and what
// is amiss though it serves.
type Readiness struct {
	Ready    bool      `json:"ready"`
	Troubles []Trouble `json:"troubles" doc:"problems that stop the service from answering"`
	Degraded []Trouble `json:"degraded" doc:"problems that do not stop the service yet; one more failure may"`
}

// Trouble is one reason why an instance is not ready, or is not whole. Orgs, positions
// and paths in it are for those who operate the instance; everybody else is told the
// kind of the part alone.
type Trouble struct {
	Part    string `json:"part" doc:"what has the trouble, as eventstore or org:acme; without a token of the scope metrics the kind alone, as org"`
	Message string `json:"message,omitempty" doc:"to a token of the scope metrics alone"`
}

// readinessPatience is how long readiness waits for the org of a token.
const readinessPatience = time.Second

// readiness is what the instance says of itself.
func (a *API) readiness() Readiness {
	troubles, degraded := a.cfg.Ready()
	return Readiness{len(troubles) == 0, append([]Trouble{}, troubles...), append([]Trouble{}, degraded...)}
}

func (r *Readiness) status() int {
	if r.Ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// short is what everybody may know of it.
func (r Readiness) short() Readiness {
	return Readiness{r.Ready, kinds(r.Troubles), kinds(r.Degraded)}
}

// kinds lists the kinds of the parts that have a trouble, each once.
func kinds(troubles []Trouble) []Trouble {
	out := []Trouble{}
	for _, t := range troubles {
		kind, _, _ := strings.Cut(t.Part, ":")
		if one := (Trouble{Part: kind}); !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}

// mayOperate reports whether a question for readiness is that of a token of the scope
// metrics. It waits for an org for a moment only: whether the instance is ready is
// answered whatever holds the org.
func (a *API) mayOperate(r *http.Request) bool {
	p, ok := parseToken(r.Header.Get("Authorization"))
	if !ok || p.org == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.readinessPatience)
	defer cancel()
	p.from = remote(r)
	c, _, err := a.tokenCaller(ctx, p, false)
	if err != nil || c == nil {
		return false
	}
	infoOf(r.Context()).caller = c
	return c.scope == domain.ScopeMetrics && a.rates.exceeded(c, false) == ""
}

// ReadinessHandler serves the whole readiness to anybody who reaches it. It is for a
// listener of its own.
func (a *API) ReadinessHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r := a.readiness()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(r.status())
		_ = json.NewEncoder(w).Encode(r) // the caller has gone
	})
}

func (a *API) registerHealth() {
	noToken := []map[string][]string{}
	serve(a, route{effect: asks, open: true, usedBy: "anybody, without a token"}, huma.Operation{
		OperationID: "Live", Method: http.MethodGet, Path: "/healthz", Security: noToken,
		Summary: "Tells that the process is alive", Tags: []string{"operation"}, Errors: []int{400},
	}, func(context.Context, *struct{}) (*struct{ Body Health }, error) {
		return &struct{ Body Health }{Health{"ok"}}, nil
	})
	serve(a, route{effect: asks, open: true, usedBy: "anybody, without a token"}, huma.Operation{
		OperationID: "Ready", Method: http.MethodGet, Path: "/readyz", Security: []map[string][]string{{}, {"token": {}}},
		Summary: "Tells whether this instance is ready",
		Description: "The status is 200 when it does, else 503, with the same body. To a token of the scope metrics it names orgs, positions and paths; " +
			"to everybody else the kinds of the parts that have a trouble, as it does while the org of the token does not answer.",
		Tags: []string{"operation"}, Errors: []int{400},
	}, func(ctx context.Context, _ *struct{}) (*readyOutput, error) {
		r := a.readiness()
		out := &readyOutput{Status: r.status(), Body: r.short()}
		if infoOf(ctx).operator {
			out.Body = r
		}
		return out, nil
	})
}

type readyOutput struct {
	Status int
	Body   Readiness
}
