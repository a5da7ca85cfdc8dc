package backup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

var made = time.Date(2026, 3, 2, 9, 0, 0, 123456789, time.UTC)

// memory is a source without a server.
type memory struct {
	streams map[string][]*Message
	lasts   map[string]uint64
	heads   map[domain.ID]*schemas.Commit
	bodies  map[domain.ID][]byte
	vault   []byte
	reads   map[string]int // messages that were read, by stream
}

func newMemory() *memory {
	return &memory{streams: map[string][]*Message{}, lasts: map[string]uint64{}, heads: map[domain.ID]*schemas.Commit{},
		bodies: map[domain.ID][]byte{}, vault: []byte("a vault"), reads: map[string]int{}}
}

func (s *memory) State(context.Context) (*State, error) {
	st := &State{Vault: "v1"}
	for _, name := range Streams {
		first := s.lasts[name] + 1
		if all := s.streams[name]; len(all) > 0 {
			first = all[0].Seq
		}
		st.Streams = append(st.Streams, StreamState{name, made, first, s.lasts[name]})
	}
	return st, nil
}

func (s *memory) Read(_ context.Context, stream string, from, until uint64, f func(*Message) error) error {
	for _, m := range s.streams[stream] {
		if m.Seq < from || m.Seq > until {
			continue
		}
		s.reads[stream]++
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *memory) Vault(_ context.Context, w io.Writer) error {
	_, err := w.Write(s.vault)
	return err
}

func (s *memory) add(stream, subject string, body []byte) *Message {
	s.lasts[stream]++
	m := &Message{Seq: s.lasts[stream], Time: made.Add(time.Duration(s.lasts[stream]) * time.Second), Subject: subject, Body: body}
	s.streams[stream] = append(s.streams[stream], m)
	return m
}

// purge takes messages out of a stream as retention does.
func (s *memory) purge(stream string, until uint64) {
	s.streams[stream] = slices.DeleteFunc(s.streams[stream], func(m *Message) bool { return m.Seq <= until })
}

// commit appends so many commits of an org.
func (s *memory) commit(t testing.TB, org domain.ID, n int) {
	t.Helper()
	for range n {
		last := s.heads[org]
		c := &schemas.Commit{Org: org, Epoch: 1, N: 1, At: made, Actor: domain.ServiceActor("test"), Command: "RegisterPerson",
			Events: []schemas.Event{}, MinReader: 1}
		if last != nil {
			c.N, c.Prev = last.N+1, wire.HashOf(s.bodies[org])
		}
		body, err := c.Encode()
		require.NoError(t, err)
		s.heads[org], s.bodies[org] = c, body
		s.add(streams.Ledger, "ledger.07."+string(org), body)
	}
}

// record appends so many records of a gateway.
func (s *memory) record(t testing.TB, gateway string, n int) {
	t.Helper()
	subject := "activity.acme.north." + gateway
	var a wire.Activity
	for _, m := range s.streams[streams.Activity] {
		if m.Subject == subject {
			last, err := wire.DecodeActivity(m.Body)
			require.NoError(t, err)
			a.K, a.Prev = last.K, wire.HashOf(m.Body)
		}
	}
	for range n {
		a.Gateway, a.Boot, a.K, a.Type = wire.ID(domain.ID(gateway)), 1, a.K+1, wire.AccessGranted
		body, err := a.Encode()
		require.NoError(t, err)
		a.Prev = wire.HashOf(body)
		m := s.add(streams.Activity, subject, body)
		m.Header = map[string][]string{"Nats-Batch-Id": {"x"}, "Nats-Batch-Sequence": {fmt.Sprint(a.K)}}
	}
}

// everything fills all streams a little.
func (s *memory) everything(t testing.TB) {
	t.Helper()
	s.commit(t, "acme", 30)
	s.commit(t, "bolt", 12)
	s.record(t, "cabinet", 9)
	for i := range 5 {
		s.add(streams.Permissions, "permissions.acme.north", fmt.Appendf(nil, "delta %d", i))
		s.add(streams.Refusals, "refusals.acme", fmt.Appendf(nil, "refusal %d", i))
	}
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id
}

// bed is a source, a target and what is needed between them.
type bed struct {
	t      testing.TB
	source *memory
	target Target
	id     *age.X25519Identity
	opts   Options
	now    time.Time
	size   int // of segments
}

func newBed(t testing.TB, target Target) *bed {
	b := &bed{t: t, source: newMemory(), target: target, id: identity(t), now: made, size: 2000}
	b.opts = Options{Recipients: []string{b.id.Recipient().String()}, Spool: t.TempDir(), Now: func() time.Time { return b.now },
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	return b
}

func newFolder(t testing.TB) Target {
	target, err := OpenTarget(filepath.Join(t.TempDir(), "target"), S3{})
	require.NoError(t, err)
	return target
}

func (b *bed) writer() *Writer {
	b.t.Helper()
	w, err := NewWriter(b.target, b.source, b.opts)
	require.NoError(b.t, err)
	w.segmentSize = b.size
	return w
}

// run runs a writer that knows nothing of earlier runs.
func (b *bed) run() *Result {
	b.t.Helper()
	r, err := b.writer().Run(b.t.Context())
	require.NoError(b.t, err)
	return r
}

func (b *bed) open() *Backup {
	b.t.Helper()
	back, err := Open(b.t.Context(), b.target, b.id)
	require.NoError(b.t, err)
	return back
}

// verify verifies the backup, and holds it to the source.
func (b *bed) verify() *Report {
	b.t.Helper()
	back := b.open()
	r, err := back.Verify(b.t.Context())
	require.NoError(b.t, err)
	for _, name := range Streams {
		var have []*Message
		require.NoError(b.t, back.Messages(b.t.Context(), name, func(m *Message) error { have = append(have, m); return nil }))
		require.Equal(b.t, b.source.streams[name], have, name)
	}
	var vault bytes.Buffer
	require.NoError(b.t, back.Vault(b.t.Context(), &vault))
	require.Equal(b.t, b.source.vault, vault.Bytes())
	for org, c := range b.source.heads {
		require.Equal(b.t, c.Position(), r.Heads[org].Position)
		require.Equal(b.t, wire.HashOf(b.source.bodies[org]), r.Heads[org].Hash)
	}
	return r
}
