// Package httpapi speaks HTTP: it takes commands to the ledger, answers questions
// from the state, and says in one OpenAPI document what it does.
//
// # Who is asked
//
// The actor of a command always comes from the bearer token. A token is
// gh.<org>.<token>.<secret>; the ledger knows the SHA-256 of the secret alone.
// Every request but those for health and the OpenAPI document needs one, and a
// token is good for its own org only: to everybody else an org does not exist.
//
// # One route for every command
//
// The commands are those of the domain, and their schemas are generated files. A
// command that is added there is served and documented without a change here.
//
// # Personal values
//
// What the ledger keeps sealed is answered in clear to those who may see the
// person, and as null to everybody else. A box never leaves the service.
package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/gateways/reads"
	"gatehouse/gateways/receipts"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// Config is what the API needs. Fields not marked optional are required.
type Config struct {
	Store *eventstore.Store
	// Open returns events as they are stored with the personal values in clear
	// whose keys are still there.
	Open func(ctx context.Context, org domain.ID, events []domain.Event) ([]domain.Event, error)
	// Table returns the permissions of a site, or nil while there are none.
	Table func(org, site domain.ID) *unlock.Table
	// Doors is optional: what in-process gateways decide with. Without it no reads
	// are taken.
	Doors reads.Doors
	// Enrolment is optional: without it a gateway is registered by its key alone.
	Enrolment *Enrolment
	// Accepted is optional: it is told of every command that this instance accepted,
	// right after the commit, with what it led to. It must be quick.
	Accepted func(org domain.ID, req eventstore.Request, result eventstore.Result)
	// Receipts keeps what gateways enforce.
	Receipts *receipts.Tracker
	// Changed waits until a commit is published, and lists the sites whose permissions it
	// changed.
	Changed func(ctx context.Context, org domain.ID, n uint64) ([]domain.ID, error)
	// Tables gives the published tables of a site from one on.
	Tables func(ctx context.Context, org, site domain.ID, before func(wire.PermissionHead) bool, f func(*unlock.Table, wire.PermissionHead) error) error
	// Ready lists what keeps this instance from serving, none: it is ready; and what is
	// amiss though it serves.
	Ready func() (troubles, degraded []Trouble)
	// Bootstrap is optional: the token by which the first org is made.
	Bootstrap *Bootstrap
	// Metrics is where the API registers its own and what GET /metrics shows.
	Metrics *prometheus.Registry
	Now     func() time.Time // the clock
	Log     *slog.Logger
	Version string // of the program, for the OpenAPI document
	Limits  Limits // optional
}

// API is the HTTP side of one instance. It is an [http.Handler].
type API struct {
	cfg     Config
	mux     *http.ServeMux
	huma    huma.API
	chain   http.Handler
	meters  *meters
	rates   rates
	budgets budgets
	current func() error // tells why nothing may be answered from memory now
	// readinessPatience is the constant, but in tests.
	readinessPatience time.Duration
	connections       *connections
	tries             *limiter // dry runs, by person
	rehearsals        rehearsals
	gateways          gateways
	openapi           []byte
	declared          map[string]route // by pattern of the mux
}

// New makes the API and its OpenAPI document. It fails when a schema is missing.
func New(cfg Config) (*API, error) {
	cfg.Limits = cfg.Limits.withDefaults()
	a := &API{
		cfg:         cfg,
		mux:         http.NewServeMux(),
		declared:    map[string]route{},
		meters:      newMeters(cfg.Metrics),
		rates:       newRates(cfg.Limits, cfg.Now),
		budgets:     newBudgets(cfg.Limits, cfg.Store.Budgets()),
		connections: newConnections(cfg.Limits, cfg.Store.Budgets()),
		tries:       newLimiter(triesOfGuests, cfg.Now),
		current:     func() error { _, err := cfg.Store.Current(); return err },
		rehearsals:  rehearsals{all: map[domain.UUID]*rehearsal{}},

		readinessPatience: readinessPatience,
	}
	a.huma = humago.New(a.mux, humaConfig(cfg.Version))
	a.routes()
	doc, err := a.documented()
	if err != nil {
		return nil, err
	}
	a.openapi = doc
	a.chain = a.observed(a.authenticated(a.admitted(a.singleParameters(a.plainly(a.mux)))))
	return a, nil
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.chain.ServeHTTP(w, r) }

// Server returns a server for the API that bounds how large and how slow requests
// may be. The caller gives it a [API.Listener] and shuts it down.
func (a *API) Server() *http.Server {
	return &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return context.Background() },
		ConnContext:       withConnection,
	}
}

// humaConfig sets up the typed routes: JSON alone, without documents of its own.
func humaConfig(version string) huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Gatehouse",
				License:     &huma.License{Name: "All rights reserved", Identifier: "LicenseRef-All-Rights-Reserved"},
				Version:     version,
				Description: "The access ledger of a building operator: who may open which door, since when and why, and what happened at the doors.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry(componentPrefix, componentName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "gh.<org>.<token>.<secret>, as gatehouse token gives it"},
				},
			},
			Servers:  []*huma.Server{{URL: "/", Description: "the address of gatehouse serve --listen"}},
			Security: []map[string][]string{{"token": {}}},
		},
		Formats:                      map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{marshalFirst},
	}
}

// marshalled is a body that is JSON already.
type marshalled []byte

// marshalFirst marshals a body before its status goes out. It panics when that fails: a
// transformer's error would be answered with 200, and a panic is answered as any other.
func marshalFirst(_ huma.Context, _ string, body any) (any, error) {
	var out bytes.Buffer
	if err := huma.DefaultJSONFormat.Marshal(&out, body); err != nil {
		panic(fmt.Errorf("httpapi: an answer cannot be written: %w", err))
	}
	return marshalled(out.Bytes()), nil
}

func writeMarshalled(w io.Writer, body any) error {
	if b, ok := body.(marshalled); ok {
		_, err := w.Write(b)
		return err
	}
	return huma.DefaultJSONFormat.Marshal(w, body)
}

// strictJSON is JSON whose fields are taken by their very name, and once.
var strictJSON = huma.Format{Marshal: writeMarshalled, Unmarshal: func(data []byte, v any) error {
	if err := checkBody(data, v); err != nil {
		return err
	}
	return huma.DefaultJSONFormat.Unmarshal(data, v)
}}

func checkBody(data []byte, v any) error {
	if err := schemas.BodyBounds.Check(data); err != nil {
		return err
	}
	if err := wire.CheckText(data); err != nil {
		return err
	}
	return wire.CheckKeys(data, v)
}

// The patterns of the routes that describe themselves by hand.
const (
	commandPattern  = "POST /v1/orgs/{org}/commands/{command}"
	documentPattern = "GET /openapi.json"
	metricsPattern  = "GET /metrics"
)

var metricsRoute = route{effect: asks, usedBy: "the holder of a token of the scope metrics"}

// routes registers everything that is served.
func (a *API) routes() {
	a.declare(commandPattern, route{effect: commits, usedBy: "whom the rules of the command name"})
	a.mux.HandleFunc(commandPattern, a.command)
	a.declare(documentPattern, route{effect: asks, open: true, usedBy: "anybody, without a token"})
	a.mux.HandleFunc(documentPattern, a.serveOpenAPI)
	a.declare(metricsPattern, metricsRoute)
	a.mux.Handle(metricsPattern, a.MetricsHandler())
	a.declare(noRoutePattern, route{effect: asks, usedBy: "everybody in the org"})
	a.mux.HandleFunc(noRoutePattern, a.noRoute)
	a.registerHealth()
	a.registerBootstrap()
	a.registerTokens()
	a.registerPlaces()
	a.registerPeople()
	a.registerAccess()
	a.registerGroups()
	a.registerRemoteUnlocks()
	a.registerCommits()
	a.registerDecisions()
	a.registerEnforcement()
	a.registerExport()
	a.registerRehearsals()
	if a.cfg.Enrolment != nil {
		a.registerEnrolment()
	}
	if a.cfg.Doors != nil {
		a.registerReads()
	}
}

// noRoute answers what no route is for.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != noRoutePattern {
			w.Header().Set("Allow", method)
			a.fail(w, r, problem(http.StatusMethodNotAllowed, "method_not_allowed", "use %s here", method))
			return
		}
	}
	a.fail(w, r, problem(http.StatusNotFound, "unknown_path", "path %s does not exist; see GET /openapi.json for all", r.URL.Path))
}

var errNoCaller = errors.New("httpapi: a handler without authentication")
