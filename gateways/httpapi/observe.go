package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/domain"
)

// info is what is known of a request on its way, for the access log.
type info struct {
	id     string // of the request
	caller *caller
	read   bool   // the body is in memory, or there is none
	body   []byte // while the request has room for it
	// pattern and declared are its route, once it was looked for.
	pattern  string
	declared *route
	// leave gives the places of the request back before its end; its body is gone then.
	leave func()
	// operator is set for a question about the instance by those who operate it.
	operator bool
}

type infoKey struct{}

func infoOf(ctx context.Context) *info {
	if i, ok := ctx.Value(infoKey{}).(*info); ok {
		return i
	}
	return &info{}
}

// meters are the metrics of the API.
type meters struct {
	duration *prometheus.HistogramVec
}

func newMeters(reg prometheus.Registerer) *meters {
	m := &meters{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gatehouse_http_request_duration_seconds",
		Help:    "From the first byte of a request to the last of its answer, by route, method and class of status.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
	}, []string{"route", "method", "status"})}
	reg.MustRegister(m.duration)
	return m
}

// MetricsHandler serves the metrics to anybody who reaches it. It is for a listener of
// its own. GET /metrics of the API asks for a token of the scope metrics.
func (a *API) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(a.cfg.Metrics, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelWarn)})
}

// observed gives each request an id, writes the access log and the metrics, and
// answers for a handler that panics. It never logs a body, a query or a token.
func (a *API) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := a.cfg.Now()
		i := &info{id: requestID()}
		r = r.WithContext(context.WithValue(r.Context(), infoKey{}, i))
		s := &statusWriter{ResponseWriter: w}
		s.Header().Set("X-Request-Id", i.id)
		s.Header().Set("Cache-Control", "no-store")
		s.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if cause := recover(); cause != nil {
				a.cfg.Log.Error("a handler panicked", "request_id", i.id, "error", fmt.Sprint(cause), "stack", string(debug.Stack()))
				if s.status == 0 {
					a.fail(s, r, problem(http.StatusInternalServerError, "internal", "internal error; the log of the service has the details under %s", i.id))
				}
			}
			a.record(r, i, s, a.cfg.Now().Sub(began))
		}()
		next.ServeHTTP(s, r)
	})
}

// requestID makes the id of a request.
func requestID() string { return newID().String() }

// newID makes a random id that sorts by time.
func newID() domain.UUID { return domain.UUID(uuid.Must(uuid.NewV7())) }

func (a *API) record(r *http.Request, i *info, s *statusWriter, took time.Duration) {
	_, route, ok := strings.Cut(r.Pattern, " ")
	if !ok {
		route = "none"
	}
	a.meters.duration.WithLabelValues(route, method(r), strconv.Itoa(s.status/100)+"xx").Observe(took.Seconds())
	attrs := []any{"method", method(r), "route", route, "status", s.status, "duration_ms", took.Milliseconds(),
		"request_id", i.id, "position", s.Header().Get(positionHeader)}
	if i.caller != nil {
		attrs = append(attrs, "org", i.caller.org, "actor", i.caller.actor().String())
	}
	a.cfg.Log.Info("request", attrs...)
}

// method is the method of a request as a label: one of a known few.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return r.Method
	}
	return "other"
}

// log keeps what went wrong behind a request.
func (a *API) log(ctx context.Context, message string, err error) {
	a.cfg.Log.Error(message, "request_id", infoOf(ctx).id, "error", err)
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader writes the status.
func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the body.
func (s *statusWriter) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap gives the writer below, for deadlines.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
