package reads

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// bed is a ledger with one site, and what gateways decide with there.
type bed struct {
	t      *testing.T
	dir    string
	server *natsserver.Embedded
	vault  *vault.Vault
	store  *eventstore.Store // on a connection that keeps nothing back
	table  *unlock.Table     // nil: there are no permissions
	noKey  bool              // the site's key for tags is away
}

// house is a site whose gate opens to anna on working days of the office.
const house = `
bootstrap CreateOrg {"org":"acme","name":"Acme","owner":"olga"}
olga CreateSite {"site":"north","name":"North","zone":"Europe/Berlin"}
olga CreateDoor {"door":"gate","site":"north","name":"Gate","kind":"gate"}
olga CreateDoor {"door":"office","site":"north","name":"Office","kind":"inner"}
olga DefineSchedule {"schedule":"hours","name":"Hours","times":{"windows":[{"days":["mon","tue","wed","thu","fri"],"from":"08:00","to":"18:00"}]}}
olga DefineAccessRight {"right":"entry","name":"Entry","doors":["gate"],"schedule":"hours"}
olga RegisterPerson {"person":"anna"}
olga AssignRole {"person":"anna","role":"staff","site":"north"}
olga GrantRight {"grant":"g-anna","person":"anna","right":"entry"}
olga AssignFob {"credential":"card-anna","kind":"card","number":"1001","person":"anna","sites":["north"]}
`

// monday is 10:00 in Berlin.
var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir()}
	var err error
	b.server, err = natsserver.Start(natsserver.Config{Dir: b.dir, Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(b.server.Stop)
	master, _, err := vault.LoadOrCreateMaster(b.dir, "")
	require.NoError(t, err)
	b.vault, err = vault.Open(t.Context(), b.dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.vault.Close()) })
	conn, err := b.server.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	b.store = b.open(conn)
	for i, line := range strings.Split(strings.TrimSpace(house), "\n") {
		b.execute(i, line)
	}
	b.table = b.present()
	return b
}

// open opens the ledger on a connection of its own.
func (b *bed) open(conn *nats.Conn) *eventstore.Store {
	b.t.Helper()
	store, err := eventstore.Open(b.t.Context(), eventstore.Config{Conn: conn, Embedded: b.server, Snapshots: b.t.TempDir(), Keys: b.vault,
		Now: clock, Log: quiet()}, eventstore.NewMetrics(prometheus.NewRegistry()))
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, store.Close(context.Background())) })
	return store
}

func (b *bed) execute(i int, line string) {
	b.t.Helper()
	who, rest, _ := strings.Cut(line, " ")
	name, fields, _ := strings.Cut(rest, " ")
	typ, ok := domain.CommandNamed(name)
	require.True(b.t, ok, line)
	ptrs, err := schemas.DecodeCommands(typ, []byte(fields))
	require.NoError(b.t, err, line)
	actor := domain.PersonActor(domain.ID(who))
	if who == "bootstrap" {
		actor = domain.Actor{Kind: domain.ActorBootstrap, ID: "test"}
	}
	_, err = b.store.Execute(b.t.Context(), "acme", eventstore.Request{ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprint(i)), Command: name, Actor: actor, Fields: ptrs})
	require.NoError(b.t, err, line)
}

// present makes the table of the state as it is.
func (b *bed) present() (t *unlock.Table) {
	b.t.Helper()
	require.NoError(b.t, b.store.View(b.t.Context(), "acme", func(s *domain.State, h eventstore.Head) (err error) {
		rows, _ := s.Rows("north", func(_ domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
			return tagOf(kind, format, number), true
		})
		t, err = new(unlock.Table).Apply(unlock.Delta{Position: h.Position().String(), N: h.N, At: unlock.InstantOf(h.At), Put: rows})
		return err
	}))
	return t
}

func (b *bed) Table(org, site domain.ID) *unlock.Table { return b.table }

func (b *bed) Tag(org, site domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
	return tagOf(kind, format, number), !b.noKey
}

// tagOf stands for the keyed hash of the vault. A number without a format is raw.
func tagOf(kind domain.CredentialKind, format, number string) unlock.Tag {
	if format == "" {
		format = "raw"
	}
	sum := sha256.Sum256([]byte(string(kind) + "\x00" + format + "\x00" + number))
	return unlock.Tag(sum[:len(unlock.Tag{})])
}

// gateway opens the gateway "till" on the ledger as it is.
func (b *bed) gateway() *Source {
	b.t.Helper()
	g, err := Open(b.t.Context(), b.store, b, clock, "acme", "north", "till")
	require.NoError(b.t, err)
	return g
}

// recorded reads what "till" recorded, and checks that it is a chain without gaps.
func (b *bed) recorded() (out []wire.Activity) {
	b.t.Helper()
	damaged, err := b.store.Activity(b.t.Context(), "acme", "north", "till", func(a *wire.Activity) error {
		out = append(out, *a)
		require.Equal(b.t, uint64(len(out)), a.K)
		return nil
	})
	require.NoError(b.t, err)
	require.Zero(b.t, damaged)
	return out
}

// once checks that the reads 1 to n are recorded, each once and in order.
func (b *bed) once(n int) {
	b.t.Helper()
	got := b.recorded()
	require.Len(b.t, got, n)
	for i, a := range got {
		require.Equal(b.t, fmt.Sprint("till:", i+1), a.Source)
	}
}

// reads are uses of anna's card at the gate, a minute apart.
func reads(from, to int) (out []Read) {
	for n := from; n <= to; n++ {
		out = append(out, Read{Number: uint64(n), At: monday.Add(time.Duration(n) * time.Minute), Door: "gate", Side: unlock.In, Card: "1001"})
	}
	return out
}

func clock() time.Time { return monday }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
