package permissions

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"

	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// patience bounds a wait of a test on a busy machine.
const patience = time.Minute

// testLogKey signs what the instances of the tests publish.
var testLogKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// bed is the servers of a ledger.
type bed struct {
	logKey ed25519.PrivateKey
	t      testing.TB
	server *natsserver.Embedded
	js     jetstream.JetStream
	vault  *vault.Vault
	dir    string
	nodes  int
	memory int // orgs that each further node may hold; 0 means many
	ids    atomic.Int64
	now    atomic.Int64 // unix nanoseconds
}

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir(), logKey: testLogKey}
	b.now.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixNano())
	var err error
	b.server, err = natsserver.Start(natsserver.Config{Dir: b.dir, Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(b.server.Stop)
	master, _, err := vault.LoadOrCreateMaster(b.dir, "")
	require.NoError(t, err)
	b.vault, err = vault.Open(t.Context(), b.dir, master)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.vault.Close()) })
	nc, err := b.server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	b.js, err = jetstream.New(nc)
	require.NoError(t, err)
	return b
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (b *bed) clock() time.Time { return time.Unix(0, b.now.Load()).UTC() }

// keys are those of the vault, unless it is away.
type keys struct {
	vault.Keeper
	away    atomic.Bool
	without string // a box whose key is lost; empty means none
}

func (k *keys) Keys(ctx context.Context, org string, ids []string) (map[string]vault.Key, error) {
	if k.away.Load() {
		return nil, vault.ErrUnavailable
	}
	found, err := k.Keeper.Keys(ctx, org, ids)
	if lost, e := vault.BoxKeyID(k.without); e == nil {
		delete(found, lost)
	}
	return found, err
}

func (k *keys) TagKey(ctx context.Context, org, site string, version int) (vault.TagKey, error) {
	if k.away.Load() {
		return vault.TagKey{}, vault.ErrUnavailable
	}
	return k.Keeper.TagKey(ctx, org, site, version)
}

// node is an instance of the service.
type node struct {
	*Projector
	b     *bed
	store *eventstore.Store
	keys  *keys
	quit  func()
}

// node opens an instance with its own snapshots. It does not publish yet.
func (b *bed) node() *node {
	b.nodes++
	return b.nodeAt(fmt.Sprint("snapshots", b.nodes), &keys{Keeper: b.vault})
}

func (b *bed) nodeAt(snapshots string, k *keys) *node {
	b.t.Helper()
	nc, err := b.server.Connect()
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	store, err := eventstore.Open(b.t.Context(), eventstore.Config{
		Conn: nc, Embedded: b.server, Snapshots: filepath.Join(b.dir, snapshots), Keys: k, Memory: b.memory, Now: b.clock, Log: quiet(),
	}, eventstore.NewMetrics(prometheus.NewRegistry()))
	require.NoError(b.t, err)
	js, err := jetstream.New(nc)
	require.NoError(b.t, err)
	p, err := New(b.t.Context(), Config{Store: store, JS: js, Keys: k, LogKey: b.logKey, Metrics: prometheus.NewRegistry(), Now: b.clock, Log: quiet()})
	require.NoError(b.t, err)
	n := &node{Projector: p, b: b, store: store, keys: k, quit: func() {}}
	b.t.Cleanup(func() {
		n.quit()
		require.NoError(b.t, store.Close(context.Background()))
	})
	return n
}

// start begins to publish.
func (n *node) start() *node {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.quit = sync.OnceFunc(func() {
		cancel()
		require.NoError(n.b.t, <-ended)
	})
	return n
}

// do executes commands, one per line: actor, name, fields. A line that begins with a
// blank continues the one before.
func (n *node) do(org domain.ID, script string) {
	n.b.t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(script, "\n ", " ")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		who, rest, _ := strings.Cut(line, " ")
		name, fields, _ := strings.Cut(rest, " ")
		typ, ok := domain.CommandNamed(name)
		require.True(n.b.t, ok, line)
		ptrs, err := schemas.DecodeCommands(typ, []byte(fields))
		require.NoError(n.b.t, err, line)
		for _, ptr := range ptrs {
			n.b.makeDigits(ptr)
		}
		actor := domain.PersonActor(domain.ID(who))
		if who == "bootstrap" {
			actor = domain.Actor{Kind: domain.ActorBootstrap}
		}
		_, err = n.store.Execute(n.b.t.Context(), org, eventstore.Request{
			ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprint("test/", n.b.ids.Add(1))), Command: name, Fields: ptrs, Actor: actor,
		})
		require.NoError(n.b.t, err, line)
	}
}

// makeDigits sets the candidates of a command that makes PINs.
func (b *bed) makeDigits(ptr any) {
	c, ok := ptr.(domain.Candidates)
	if !ok {
		return
	}
	n, _ := c.Candidates()
	var digits []string
	for range n {
		digits = append(digits, fmt.Sprintf("%012d", uint64(b.ids.Add(1))*0x9e3779b97f4a7c15%1e12))
	}
	c.SetCandidates(digits)
}

// house is an org with two sites, and the access of two people there.
const house = `
bootstrap CreateOrg {"org":"acme","name":"Acme","owner":"olga","owner_name":"Olga Owner"}
olga CreateSite {"site":"north","name":"North","zone":"UTC"}
olga CreateSite {"site":"south","name":"South","zone":"UTC"}
olga CreateDoor {"door":"gate","site":"north","name":"Gate","kind":"gate"}
olga CreateDoor {"door":"office","site":"north","name":"Office","kind":"inner"}
olga CreateDoor {"door":"south-gate","site":"south","name":"South gate","kind":"gate"}
olga DefineAccessRight {"right":"north-doors","name":"North","doors":["gate","office"],"schedule":"always"}
olga DefineAccessRight {"right":"south-doors","name":"South","doors":["south-gate"],"schedule":"always"}
olga RegisterPerson {"person":"anna","name":"Anna"}
olga RegisterPerson {"person":"ben","name":"Ben"}
olga GrantRight {"grant":"g-anna-n","person":"anna","right":"north-doors"}
olga GrantRight {"grant":"g-anna-s","person":"anna","right":"south-doors"}
olga GrantRight {"grant":"g-ben-n","person":"ben","right":"north-doors"}
olga AssignFob {"credential":"f-anna","number":"1001","person":"anna","sites":["north","south"]}
`

// flush waits until everything is published.
func (n *node) flush() {
	n.b.t.Helper()
	ctx, cancel := context.WithTimeout(n.b.t.Context(), patience)
	defer cancel()
	require.NoError(n.b.t, n.Flush(ctx))
}

// fromState builds the table of a site from the state.
func (n *node) fromState(org, site domain.ID) *unlock.Table {
	n.b.t.Helper()
	var table *unlock.Table
	require.NoError(n.b.t, n.store.View(n.b.t.Context(), org, func(s *domain.State, _ eventstore.Head) (err error) {
		at, _ := s.Sites.Get(site)
		key, err := n.b.vault.TagKey(n.b.t.Context(), string(org), string(site), int(at.TagKey()))
		require.NoError(n.b.t, err)
		rows, untagged := s.Rows(site, func(_ domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
			return key.Tag(TagKind(kind), wire.TagFormat(format), number), true
		})
		require.Empty(n.b.t, untagged)
		table, err = unlock.NewTable(rows...)
		return err
	}))
	return table
}

// load reads the published table of a site.
func (b *bed) load(org, site domain.ID) (*unlock.Table, wire.PermissionHead) {
	b.t.Helper()
	table, head, err := Load(b.t.Context(), b.js, org, site)
	require.NoError(b.t, err)
	require.Equal(b.t, head.Digest, table.Digest())
	return table, head
}

// agree checks that three tables of each site are the same: the published one, the
// projector's, and the one that follows from the state.
func (n *node) agree(org domain.ID, sites ...domain.ID) {
	n.b.t.Helper()
	for _, site := range sites {
		want := n.fromState(org, site)
		got, _ := n.b.load(org, site)
		require.Equal(n.b.t, texts(n.b.t, want), texts(n.b.t, got), "published of %s/%s", org, site)
		require.Equal(n.b.t, want.Digest(), got.Digest())
		require.Equal(n.b.t, want.Digest(), n.Table(org, site).Digest(), "table of %s/%s", org, site)
	}
}

func texts(t testing.TB, table *unlock.Table) []string {
	var out []string
	for r := range table.All() {
		b, err := unlock.Encode(r)
		require.NoError(t, err)
		out = append(out, string(b))
	}
	return out
}

// deltas reads the messages on a site's subject.
func (b *bed) deltas(org, site domain.ID) []*wire.PermissionDelta {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), streams.Permissions)
	require.NoError(b.t, err)
	last, err := stream.GetLastMsgForSubject(b.t.Context(), subject(org, site))
	require.NoError(b.t, err)
	var out []*wire.PermissionDelta
	table := wire.NewSiteTable(wire.ID(org), wire.ID(site))
	require.NoError(b.t, each(b.t.Context(), b.js, subject(org, site), 1, last.Sequence, func(body []byte) error {
		d, err := table.Take(body)
		if d != nil {
			out = append(out, d)
		}
		return err
	}))
	return out
}

// told lists the commits and causes of deltas: "3 begin".
func told(deltas []*wire.PermissionDelta) []string {
	var out []string
	for _, d := range deltas {
		out = append(out, fmt.Sprintf("%d %s", d.N, d.Cause))
	}
	return out
}

// forge publishes a delta that fits the published table, but belongs to no commit.
func (b *bed) forge(org, site domain.ID, change func(*wire.PermissionDelta)) {
	b.t.Helper()
	table, head := b.load(org, site)
	d := &wire.PermissionDelta{Format: wire.PermissionsFormat, Org: wire.ID(org), Site: wire.ID(site), Cause: wire.CauseCommit, Epoch: head.Epoch, N: head.N, Hash: head.Hash,
		At: head.At, PrevN: head.N, PrevDigest: head.Digest}
	change(d)
	next, err := table.Apply(d.Rows())
	require.NoError(b.t, err)
	if d.Digest == (unlock.Digest{}) {
		d.Digest = next.Digest()
	}
	d.Sign(b.logKey)
	body, err := json.Marshal(d)
	require.NoError(b.t, err)
	_, err = b.js.Publish(b.t.Context(), subject(org, site), body)
	require.NoError(b.t, err)
}

// turnOnce gives the first org in the queue of turns a turn, as a worker does.
func (n *node) turnOnce() bool {
	n.turns.mu.Lock()
	none := len(n.turns.list) == 0
	n.turns.mu.Unlock()
	if none {
		return false
	}
	o := n.turns.next()
	out := n.turn(n.b.t.Context(), o)
	require.NotEqual(n.b.t, retry, out)
	o.after(out)
	return true
}

// turnAll gives turns until no work is left.
func (n *node) turnAll() {
	for n.turnOnce() {
	}
}

// settle publishes everything, including tags.
func (n *node) settle(org domain.ID) {
	n.b.t.Helper()
	n.turnAll()
	require.True(n.b.t, n.makeTags(n.b.t.Context(), n.org(org)))
	n.turnAll()
}

func (n *node) divergence() float64 { return count(n.b.t, n.metrics.divergence) }

func count(t testing.TB, c prometheus.Counter) float64 {
	var m dto.Metric
	require.NoError(t, c.Write(&m))
	return m.GetCounter().GetValue()
}

// caughtUp waits until the node has applied the ledger up to the head of another node.
func (n *node) caughtUp(org domain.ID, other *node) {
	n.b.t.Helper()
	head, err := other.store.Head(n.b.t.Context(), org)
	require.NoError(n.b.t, err)
	ctx, cancel := context.WithTimeout(n.b.t.Context(), patience)
	defer cancel()
	_, err = n.store.WaitFor(ctx, org, head.N)
	require.NoError(n.b.t, err)
}
