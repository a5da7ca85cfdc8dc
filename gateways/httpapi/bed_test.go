package httpapi

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/budget"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
	"gatehouse/gateways/receipts"
	"gatehouse/projections/permissions"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// bed is an API over a real ledger, with a clock that tests move.
type bed struct {
	t         testing.TB
	api       *API
	store     *eventstore.Store
	vault     *vault.Vault
	bootstrap string
	used      int
	troubles  []Trouble
	degraded  []Trouble
	tables    bool // whether there are permissions
	logKey    ed25519.PrivateKey
	servers   []string // of NATS, for gateways
	logs      safeBuffer

	mu  sync.Mutex // guards what follows
	now time.Time
	// made are the tables at the time of the last question, by org and site.
	made map[[2]domain.ID]*unlock.Table
	past []*unlock.Table // of the site north, published
}

// start is the first instant of the clock: a Monday, 10:00 in Berlin.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// newBed opens an empty ledger.
func newBed(t testing.TB, limits Limits) *bed {
	t.Helper()
	if test, ok := t.(*testing.T); ok {
		test.Parallel()
	}
	b := &bed{t: t, now: start, tables: true}
	dir := t.TempDir()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	server, err := natsserver.Start(natsserver.Config{Dir: dir, Log: quiet})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	conn, err := server.Connect(nats.Name("test"))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	master, _, err := vault.LoadOrCreateMaster(dir, "")
	require.NoError(t, err)
	b.vault, err = vault.Open(t.Context(), dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.vault.Close()) })
	registry := prometheus.NewRegistry()
	b.store, err = eventstore.Open(t.Context(), eventstore.Config{Conn: conn, Embedded: server, Snapshots: t.TempDir(), Keys: b.vault,
		Vault: b.vault, Now: b.clock, Log: quiet}, eventstore.NewMetrics(registry))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.store.Close(context.Background())) })
	secret, _ := newSecret()
	b.bootstrap = BootstrapText(secret)
	tracker, err := receipts.New(receipts.Config{Conn: conn, Metrics: registry, Now: b.clock, Log: quiet})
	require.NoError(t, err)
	b.logKey, err = master.LogKey()
	require.NoError(t, err)
	codes, err := master.CodeKey()
	require.NoError(t, err)
	b.servers = []string{"tls://gatehouse.example.com:4222"}
	b.api, err = New(Config{Receipts: tracker, Changed: b.changed, Tables: b.pastTables, Store: b.store, Enrolment: &Enrolment{LogKey: b.logKey, Codes: codes, Servers: func(string) []string { return b.servers }}, Open: b.store.OpenEvents, Table: b.asked, Ready: func() (troubles, degraded []Trouble) { return b.troubles, b.degraded },
		Bootstrap: &Bootstrap{Hash: sumOf(secret), Expires: start.Add(24 * time.Hour), Used: func() error { b.used++; return nil }},
		Metrics:   registry, Now: b.clock, Log: slog.New(slog.NewJSONHandler(&b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Version: "test", Limits: limits})
	require.NoError(t, err)
	return b
}

// newWorld opens a ledger with an org in use: the beginning that the domain's
// specifications share.
func newWorld(t testing.TB, base string) *bed {
	t.Helper()
	b := newBed(t, Limits{PerToken: Rate{10_000, 10_000}, PerRemote: Rate{10_000, 10_000}})
	_, err := b.store.Execute(t.Context(), domain.SystemOrg, eventstore.Request{ID: newID(), Command: "RegisterOrg",
		Actor: domain.ServiceActor("api"), Fields: []any{&domain.RegisterOrg{Org: "acme", Name: "Acme"}}})
	require.NoError(t, err)
	b.load(base)
	return b
}

// load sends the commands of a beginning. A line that begins with a blank goes on
// with the one before.
func (b *bed) load(base string) {
	b.t.Helper()
	text, err := os.ReadFile("../../domain/testdata/base/" + base + ".txt")
	require.NoError(b.t, err)
	joined := strings.NewReplacer("\n ", " ", "\n\t", " ").Replace(string(text))
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		actor, rest, _ := strings.Cut(line, " ")
		if strings.HasPrefix(actor, "@") {
			at, err := time.Parse(time.RFC3339, actor[1:])
			require.NoError(b.t, err)
			b.set(at)
			actor, rest, _ = strings.Cut(rest, " ")
		}
		name, fields, _ := strings.Cut(rest, " ")
		if actor == "base" {
			b.load(name)
			continue
		}
		b.execute(actorNamed(actor), name, fields)
	}
}

func actorNamed(name string) domain.Actor {
	if name == "bootstrap" {
		return domain.Actor{Kind: domain.ActorBootstrap, ID: "spec"}
	}
	if part, ok := strings.CutPrefix(name, "service:"); ok {
		return domain.ServiceActor(domain.ID(part))
	}
	return domain.PersonActor(domain.ID(name))
}

// execute sends a command past the API.
func (b *bed) execute(actor domain.Actor, name, fields string) eventstore.Result {
	b.t.Helper()
	typ, ok := domain.CommandNamed(name)
	require.True(b.t, ok, name)
	ptrs, err := schemas.DecodeCommands(typ, []byte(fields))
	require.NoError(b.t, err, name)
	require.NoError(b.t, makeCandidates(ptrs))
	r, err := b.store.Execute(b.t.Context(), "acme", eventstore.Request{ID: newID(), Command: name, Actor: actor, Fields: ptrs})
	require.NoError(b.t, err, "%s %s %s", actor, name, fields)
	return r
}

// said returns the log without the numbers that are made by chance. Instants, durations
// and ids of requests might hold some digits that a test looks for.
func (b *bed) said() string {
	b.t.Helper()
	var out strings.Builder
	for line := range strings.Lines(b.logs.String()) {
		var said map[string]any
		require.NoError(b.t, json.Unmarshal([]byte(line), &said))
		for _, name := range []string{"time", "duration_ms", "request_id"} {
			delete(said, name)
		}
		fmt.Fprintln(&out, said)
	}
	return out.String()
}

// token gives a person a token.
func (b *bed) token(person domain.ID, scope domain.TokenScope) string {
	b.t.Helper()
	secret, hash := newSecret()
	id := domain.ID(newID().String())
	b.execute(domain.PersonActor(person), "IssueToken", fmt.Sprintf(`{"token":%q,"person":%q,"hash":%q,"scope":%q,"expires":%q}`,
		id, person, hash, scope, b.clock().Add(30*24*time.Hour).Format(time.RFC3339)))
	return TokenText("acme", id, secret)
}

func (b *bed) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bed) set(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = at
}

// changed stands for what is published: every commit changed the site north, but for the
// registration of people, which changes no permissions.
func (b *bed) changed(ctx context.Context, org domain.ID, n uint64) (sites []domain.ID, err error) {
	err = b.store.Commits(ctx, org, n-1, n, func(c *schemas.Commit, _ []byte) error {
		if c.Command != "RegisterPerson" {
			sites = []domain.ID{"north"}
		}
		return nil
	})
	return sites, err
}

// pastTables gives the tables that were published, which tests set.
func (b *bed) pastTables(_ context.Context, _, _ domain.ID, before func(wire.PermissionHead) bool, f func(*unlock.Table, wire.PermissionHead) error) error {
	b.mu.Lock()
	past := b.past
	b.mu.Unlock()
	from := 0
	for i, t := range past {
		if before(headOf(t)) {
			from = i
		}
	}
	for _, t := range past[from:] {
		if err := f(t, headOf(t)); errors.Is(err, permissions.ErrEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func headOf(t *unlock.Table) wire.PermissionHead {
	return wire.PermissionHead{Epoch: 1, N: t.N(), At: t.At().Time(), Digest: t.Digest()}
}

// table makes the permissions of a site from the state as it is.
func (b *bed) table(org, site domain.ID) *unlock.Table {
	if !b.tables {
		return nil
	}
	var out *unlock.Table
	err := b.store.View(b.t.Context(), org, func(s *domain.State, h eventstore.Head) error {
		rows, _ := s.Rows(site, func(at domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
			return bedDoors{b}.Tag(org, at, kind, format, number)
		})
		var err error
		out, err = new(unlock.Table).Apply(unlock.Delta{Position: h.Position().String(), N: h.N, At: unlock.InstantOf(h.At), Put: rows})
		return err
	})
	require.NoError(b.t, err)
	return out
}

// makeTables makes the tables that a question asks for. The question looks at the
// state when it asks: to look again within that would wait for ever when a commit is
// folded between.
func (b *bed) makeTables(org domain.ID) {
	var sites []domain.ID
	require.NoError(b.t, b.store.View(b.t.Context(), org, func(s *domain.State, _ eventstore.Head) error {
		for site := range s.Sites.All() {
			sites = append(sites, site)
		}
		return nil
	}))
	made := map[[2]domain.ID]*unlock.Table{}
	for _, site := range sites {
		made[[2]domain.ID{org, site}] = b.table(org, site)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made = made
}

// asked is the table for a question.
func (b *bed) asked(org, site domain.ID) *unlock.Table {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.made[[2]domain.ID{org, site}]
}

// takesReads makes the API again, with what in-process gateways decide with.
func (b *bed) takesReads() {
	b.t.Helper()
	cfg := b.api.cfg
	cfg.Doors, cfg.Metrics = bedDoors{b}, prometheus.NewRegistry()
	api, err := New(cfg)
	require.NoError(b.t, err)
	b.api = api
}

// bedDoors is what in-process gateways decide with.
type bedDoors struct{ *bed }

// Table is the site's present table.
func (b bedDoors) Table(org, site domain.ID) *unlock.Table { return b.table(org, site) }

// Tag makes the tag of a number, whatever the kind and the format.
func (b bedDoors) Tag(_, site domain.ID, _ domain.CredentialKind, _, number string) (unlock.Tag, bool) {
	sum := sha256.Sum256([]byte(string(site) + "/" + number))
	return unlock.Tag(sum[:16]), true
}

// safeBuffer takes logs from several goroutines.
type safeBuffer struct {
	mu sync.Mutex // guards buf
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func sumOf(secret [secretSize]byte) [32]byte { return sha256.Sum256(secret[:]) }

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// fill replaces a pool by one without a free place and without a queue. It does so
// until leave is called.
func (b *bed) fill(pool **budget.Pool) (leave func()) {
	b.t.Helper()
	was := *pool
	*pool = budget.New(budget.Config{Name: was.Name()}, b.store.Budgets())
	return func() { *pool = was }
}
