package eventstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// fill registers people and returns the last result.
func fill(t *testing.T, s *Store, org domain.ID, n int) (r Result) {
	t.Helper()
	for i := range n {
		var err error
		r, err = s.Execute(t.Context(), org, request(&domain.RegisterPerson{Name: domain.Clear(fmt.Sprint("Person ", i))}))
		require.NoError(t, err)
	}
	return r
}

func TestASnapshotGivesTheSameStateAsTheLedger(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	s := b.open(cfg)
	newOrg(t, s, "acme")
	first := fill(t, s, "acme", 20)
	require.NoError(t, s.SnapshotAll(t.Context()))
	fill(t, s, "acme", 5)
	want, head := digest(t, s, "acme")

	again := b.open(cfg) // the same snapshots
	got, head2 := digest(t, again, "acme")
	assert.Equal(t, want, got)
	assert.Equal(t, head, head2)
	assert.Equal(t, first.Position.N, again.present("acme").snapped, "the snapshot was used")

	fresh, head3 := digest(t, b.store(), "acme")
	assert.Equal(t, want, fresh)
	assert.Equal(t, head, head3)
	require.NoError(t, again.View(t.Context(), "acme", func(st *domain.State, _ Head) error {
		names := 0
		for _, p := range st.People.All() {
			if p.Name.Text() != "" {
				names++
			}
		}
		assert.Equal(t, 26, names, "what a snapshot holds sealed is opened")
		return nil
	}))
}

func TestABadSnapshotIsThrownAway(t *testing.T) {
	header := func(change func(*snapshotHeader)) func(t *testing.T, file []byte) []byte {
		return func(t *testing.T, file []byte) []byte {
			line, rest, _ := bytes.Cut(file[:len(file)-32], []byte("\n"))
			var h snapshotHeader
			require.NoError(t, json.Unmarshal(line, &h))
			change(&h)
			line, err := json.Marshal(h)
			require.NoError(t, err)
			body := append(append(line, '\n'), rest...)
			sum := wire.HashOf(body)
			return append(body, sum[:]...)
		}
	}
	for name, damage := range map[string]func(t *testing.T, file []byte) []byte{
		"a bit flipped":         func(_ *testing.T, f []byte) []byte { f[len(f)/2] ^= 1; return f },
		"cut off":               func(_ *testing.T, f []byte) []byte { return f[:len(f)-100] },
		"empty":                 func(*testing.T, []byte) []byte { return nil },
		"of another fold":       header(func(h *snapshotHeader) { h.Fold = domain.FoldVersion + 1 }),
		"of another ledger":     header(func(h *snapshotHeader) { h.Stream = h.Stream.Add(1) }),
		"of another org":        header(func(h *snapshotHeader) { h.Org = "other" }),
		"beyond the stream":     header(func(h *snapshotHeader) { h.Seq += 1000 }),
		"of a commit not there": header(func(h *snapshotHeader) { h.Hash[0] ^= 1 }),
		"at another's sequence": header(func(h *snapshotHeader) { h.Seq-- }),
		"of the format before":  header(func(h *snapshotHeader) { h.Format = "gatehouse snapshot 1" }),
		"of other code": func(_ *testing.T, f []byte) []byte {
			f = f[:len(f)-32]
			f[bytes.IndexByte(f, '\n')+1] ^= 1 // the digest of the state's layout
			sum := wire.HashOf(f)
			return append(f, sum[:]...)
		},
		"with a wrong state size": header(func(h *snapshotHeader) { h.StateSize-- }),
	} {
		t.Run(name, func(t *testing.T) {
			b := newR1(t)
			cfg := b.config()
			s := b.open(cfg)
			newOrg(t, s, "acme")
			fill(t, s, "acme", 3)
			want, head := digest(t, s, "acme")
			require.NoError(t, s.SnapshotAll(t.Context()))
			path := s.snapshotPath("acme")
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, damage(t, file), 0o600))

			again := b.open(cfg)
			got, head2 := digest(t, again, "acme")
			assert.Equal(t, want, got)
			assert.Equal(t, head, head2)
			assert.Zero(t, again.present("acme").snapped, "the snapshot was not used")
			var thrown dto.Metric
			require.NoError(t, again.metrics.Thrown.Write(&thrown))
			assert.Equal(t, 1.0, thrown.GetCounter().GetValue(), "and that is counted")
			_, err = again.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "bo"}))
			assert.NoError(t, err)
		})
	}
}

// forge appends a message to an org's ledger as no writer would.
func forge(t *testing.T, s *Store, org domain.ID, change func(*schemas.Commit)) {
	t.Helper()
	_, head := digest(t, s, org)
	c := &schemas.Commit{ID: newID(), Org: org, Epoch: 1, N: head.N + 1, At: head.At, Actor: domain.ServiceActor("test"),
		Command: "Forged", Prev: head.Hash, MinReader: schemas.Format}
	change(c)
	body, err := c.Encode()
	require.NoError(t, err)
	_, err = s.js.Publish(t.Context(), Subject(org), body, jetstream.WithExpectLastSequencePerSubject(head.seq))
	require.NoError(t, err)
}

func TestABrokenChainServesNothing(t *testing.T) {
	for name, change := range map[string]func(*schemas.Commit){
		"another previous body": func(c *schemas.Commit) { c.Prev[0] ^= 1 },
		"a gap":                 func(c *schemas.Commit) { c.N++ },
		"a number twice":        func(c *schemas.Commit) { c.N-- },
		"an unknown event": func(c *schemas.Commit) {
			c.Events = []schemas.Event{{Type: "door.eaten", Version: 1, Data: json.RawMessage(`{}`)}}
		},
		"a version that nobody wrote": func(c *schemas.Commit) {
			c.Events = []schemas.Event{{Type: "person.registered", Version: 99, Data: json.RawMessage(`{}`)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newR1(t)
			s := b.store()
			newOrg(t, s, "acme")
			newOrg(t, s, "beta")
			forge(t, s, "acme", change)
			fresh := b.store()
			_, err := fresh.Execute(t.Context(), "acme", request(&domain.RegisterPerson{}))
			assert.Error(t, err)
			assert.Error(t, fresh.View(t.Context(), "acme", func(*domain.State, Head) error { return nil }))
			_, err = fresh.Execute(t.Context(), "beta", request(&domain.RegisterPerson{}))
			assert.NoError(t, err, "other orgs go on")
		})
	}
}

func TestAnOrgOfALaterVersionIsReadOnly(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	want, _ := digest(t, s, "acme")
	forge(t, s, "acme", func(c *schemas.Commit) {
		c.MinReader = schemas.Format + 1
		c.Events = []schemas.Event{{Type: "door.of_the_future", Version: 1, Data: json.RawMessage(`{}`)}}
	})
	for _, node := range []*Store{s, b.store()} {
		_, err := node.Execute(t.Context(), "acme", request(&domain.RegisterPerson{}))
		assert.ErrorIs(t, err, ErrTooNew)
		got, _ := digest(t, node, "acme")
		assert.Equal(t, want, got, "what was before can be read")
		at, readOnly := node.ReadOnly("acme")
		assert.True(t, readOnly)
		assert.Equal(t, wire.Position{Epoch: 1, N: 2}, at)
	}
}
