package program

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/gateways/edge"
)

// statusTime is how long the gateway may take to say how it is. One that takes longer
// hangs.
const statusTime = 2 * time.Second

// Handler serves /healthz, /readyz and /metrics of a gateway.
func Handler(g *edge.Gateway, reg *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), statusTime)
		defer cancel()
		if s := g.Status(ctx); !s.Alive {
			answer(w, http.StatusServiceUnavailable, map[string]string{"status": "hangs"})
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), statusTime)
		defer cancel()
		s := g.Status(ctx)
		status := http.StatusOK
		if !s.Ready() {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, s)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone
}
