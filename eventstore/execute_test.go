package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

func TestExecuteIsReadBackOnAnotherNodeAndAfterARestart(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		newOrg(t, s, "acme")
		r, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana"), Email: domain.Clear("ana@example.org")}))
		require.NoError(t, err)
		assert.Equal(t, wire.Position{Epoch: 1, N: 2}, r.Position)
		assert.Equal(t, "person.registered", r.Events[0].Type)
		assert.NotContains(t, string(r.Events[0].Data), "ana@")

		other := b.store()
		want, head := digest(t, s, "acme")
		got, otherHead := digest(t, other, "acme")
		assert.Equal(t, want, got)
		assert.Equal(t, head.Hash, otherHead.Hash)
		assert.Equal(t, r.Hash, head.Hash)

		require.NoError(t, other.View(t.Context(), "acme", func(st *domain.State, _ Head) error {
			p, _ := st.People.Get("ana")
			assert.Equal(t, "Ana", p.Name.Text(), "another node opens what this one sealed")
			return nil
		}))

		_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "bo", Name: domain.Clear("Bo")}))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
		defer cancel()
		_, err = other.WaitFor(ctx, "acme", 3)
		require.NoError(t, err, "the other node follows")
		require.NoError(t, other.View(t.Context(), "acme", func(st *domain.State, _ Head) error {
			p, _ := st.People.Get("bo")
			assert.Equal(t, "Bo", p.Name.Text())
			return nil
		}))
	})
}

func TestCommandsAreIdempotentForEver(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		newOrg(t, s, "acme")
		first := request(&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana")})
		r, err := s.Execute(t.Context(), "acme", first)
		require.NoError(t, err)

		again := first
		again.Fields = []any{&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana")}}
		for _, node := range []*Store{s, b.store()} {
			r2, err := node.Execute(t.Context(), "acme", again)
			require.NoError(t, err)
			assert.True(t, r2.Repeated)
			assert.Equal(t, r.Position, r2.Position)
			assert.Equal(t, r.Hash, r2.Hash)
			assert.Equal(t, r.Events, r2.Events)
		}
		for name, fields := range map[string]any{
			"other clear field":    &domain.RegisterPerson{Person: "eve", Name: domain.Clear("Ana")},
			"other personal field": &domain.RegisterPerson{Person: "ana", Name: domain.Clear("Anna")},
			"further field":        &domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana"), Email: domain.Clear("a@b.c")},
		} {
			changed := first
			changed.Fields = []any{fields}
			_, err := s.Execute(t.Context(), "acme", changed)
			assert.ErrorIs(t, err, ErrReused, name)
		}
		other := first
		other.Actor = domain.PersonActor("ana")
		_, err = s.Execute(t.Context(), "acme", other)
		assert.ErrorIs(t, err, ErrReused, "another actor")
	})
}

func TestARefusalLeavesNothingButItsRecord(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	before, head := digest(t, s, "acme")
	req := request(&domain.RegisterPerson{Person: "olga", Email: domain.Clear("secret@example.org")})
	_, err := s.Execute(t.Context(), "acme", req)
	refusal, ok := errors.AsType[*domain.Refusal](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "person_exists", refusal.Code)
	after, head2 := digest(t, s, "acme")
	assert.Equal(t, before, after)
	assert.Equal(t, head, head2)

	stream, err := s.js.Stream(t.Context(), streams.Refusals)
	require.NoError(t, err)
	msg, err := stream.GetLastMsgForSubject(t.Context(), "refusals.acme")
	require.NoError(t, err)
	assert.Contains(t, string(msg.Data), `"code":"person_exists"`)
	assert.NotContains(t, string(msg.Data), "secret")

	// The refusal of a dry run is recorded too, or numbers could be tried without a
	// trace.
	tried := req
	tried.ID, tried.DryRun = domain.UUID{9}, true
	_, err = s.Execute(t.Context(), "acme", tried)
	require.Error(t, err)
	msg, err = stream.GetLastMsgForSubject(t.Context(), "refusals.acme")
	require.NoError(t, err)
	assert.Contains(t, string(msg.Data), `"dry_run":true`)

	// A refusal is not remembered by id: the same id may be accepted later.
	req.Fields = []any{&domain.RegisterPerson{Person: "oleg"}}
	_, err = s.Execute(t.Context(), "acme", req)
	assert.NoError(t, err)
}

func TestAListIsAllOrNothing(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	people := make([]any, 1000)
	for i := range people {
		people[i] = &domain.RegisterPerson{Person: domain.ID(fmt.Sprint("p", i)), Name: domain.Clear(fmt.Sprint("Person ", i))}
	}
	bad := append([]any(nil), people...)
	bad[17] = &domain.RegisterPerson{Person: "p3"}
	bad[600] = &domain.RegisterPerson{Person: "No Id"}
	_, err := s.Execute(t.Context(), "acme", request(bad...))
	refusal, ok := errors.AsType[*domain.Refusal](err)
	require.True(t, ok, "%v", err)
	require.Len(t, refusal.Entries, 2)
	assert.Equal(t, 17, refusal.Entries[0].Index)
	assert.Equal(t, "person_exists", refusal.Entries[0].Code)
	assert.Equal(t, 600, refusal.Entries[1].Index)

	r, err := s.Execute(t.Context(), "acme", request(people...))
	require.NoError(t, err)
	assert.Len(t, r.Events, 1000)
	assert.Equal(t, uint64(2), r.Position.N, "one commit")

	_, err = s.Execute(t.Context(), "acme", request(append(people, &domain.RegisterPerson{})...))
	refusal, ok = errors.AsType[*domain.Refusal](err)
	require.True(t, ok)
	assert.Equal(t, "invalid_field", refusal.Code)
}

func TestIfPositionAndDryRun(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	req := request(&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana")})
	req.DryRun = true
	r, err := s.Execute(t.Context(), "acme", req)
	require.NoError(t, err)
	assert.Len(t, r.Events, 1)
	_, head := digest(t, s, "acme")
	assert.Equal(t, uint64(1), head.N)
	assert.Equal(t, head.Position(), r.Position)

	at := head.Position()
	req = request(&domain.RegisterPerson{Person: "ana"})
	req.IfPosition = &at
	_, err = s.Execute(t.Context(), "acme", req)
	require.NoError(t, err)
	req = request(&domain.RegisterPerson{Person: "bo"})
	req.IfPosition = &at
	_, err = s.Execute(t.Context(), "acme", req)
	assert.ErrorIs(t, err, ErrPosition)
}

func TestTheClockOfCommitsNeverGoesBack(t *testing.T) {
	b := newR1(t)
	cfg := b.config()
	clock := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	cfg.Now = func() time.Time { return clock }
	s := b.open(cfg)
	newOrg(t, s, "acme")
	first, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "ana"}))
	require.NoError(t, err)
	clock = clock.Add(-time.Hour)
	second, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: "bo"}))
	require.NoError(t, err)
	assert.Equal(t, first.At, second.At)
}

// lossy loses what a plan says of the next publishes to the ledger.
type lossy struct {
	jetstream.JetStream
	plan []loss
}

// loss is what happens to one publish.
type loss struct {
	stored bool  // the server gets it
	err    error // what the publisher sees; nil: the server's answer
}

func (l *lossy) Publish(ctx context.Context, subject string, data []byte, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if len(l.plan) == 0 || subject[:7] != "ledger." {
		return l.JetStream.Publish(ctx, subject, data, opts...)
	}
	step := l.plan[0]
	l.plan = l.plan[1:]
	if step.stored {
		ack, err := l.JetStream.Publish(ctx, subject, data, opts...)
		if err != nil || step.err == nil {
			return ack, err
		}
	}
	return nil, step.err
}

// Each way in which an acknowledgement can be lost ends in one commit and a true
// answer.
func TestALostAcknowledgementIsSettled(t *testing.T) {
	timeout, noResponders := nats.ErrTimeout, nats.ErrNoResponders
	plans := map[string][]loss{
		"stored, answer lost":                   {{true, timeout}},
		"not stored, timeout":                   {{false, timeout}},
		"not stored, no responders, then lost":  {{false, noResponders}, {true, timeout}},
		"never stored twice, then stored":       {{false, timeout}, {false, context.DeadlineExceeded}},
		"connection closed after it was stored": {{true, nats.ErrConnectionClosed}},
	}
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		newOrg(t, s, "acme")
		net := &lossy{JetStream: s.js}
		s.js = net
		want := uint64(1)
		for name, plan := range plans {
			net.plan = plan
			req := request(&domain.RegisterPerson{Name: domain.Clear(name)})
			r, err := s.Execute(t.Context(), "acme", req)
			require.NoError(t, err, name)
			want++
			assert.Equal(t, want, r.Position.N, name)
			assert.Empty(t, net.plan, name)
			again, err := s.Execute(t.Context(), "acme", Request{ID: req.ID, Command: req.Command, Actor: req.Actor,
				Fields: []any{&domain.RegisterPerson{Name: domain.Clear(name)}}})
			require.NoError(t, err, name)
			assert.Equal(t, r.Hash, again.Hash, name)
		}
		_, head := digest(t, b.store(), "acme")
		assert.Equal(t, want, head.N, "every command once")
	})
}

// A commit without an acknowledgement whose node died is found by its id on another
// node. The time since then does not matter: no duplicate window is involved.
func TestACommitOfADeadNodeIsFoundByItsID(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		newOrg(t, s, "acme")
		net := &lossy{JetStream: s.js}
		for range 2000 {
			net.plan = append(net.plan, loss{stored: true, err: nats.ErrTimeout})
		}
		s.js = net
		req := request(&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana")})
		o, err := s.org(t.Context(), "acme")
		require.NoError(t, err)
		x := &execution{store: s, org: o, req: req, typ: mustCommand(t, req.Command), lacks: 1}
		require.NoError(t, x.reserve(t.Context()))
		p, err := x.prepare(t.Context())
		require.NoError(t, err)
		_, out, _ := appendGuarded(t.Context(), s.js, streams.Ledger, o.subject, p.body, p.guard)
		require.Equal(t, unsettled, out)

		time.Sleep(200 * time.Millisecond) // the stream's duplicate window is 100 ms
		other := b.store()
		r, err := other.Execute(t.Context(), "acme", Request{ID: req.ID, Command: req.Command, Actor: req.Actor,
			Fields: []any{&domain.RegisterPerson{Person: "ana", Name: domain.Clear("Ana")}}})
		require.NoError(t, err)
		assert.True(t, r.Repeated)
		assert.Equal(t, uint64(2), r.Position.N)
	})
}

func mustCommand(t *testing.T, name string) domain.CommandType {
	t.Helper()
	typ, ok := domain.CommandNamed(name)
	require.True(t, ok, name)
	return typ
}

func TestClassify(t *testing.T) {
	api := func(code jetstream.ErrorCode) error { return &jetstream.APIError{Code: 400, ErrorCode: code} }
	for code, want := range map[jetstream.ErrorCode]outcome{
		10071: conflict, 10164: conflict, 10158: conflict, 10201: conflict,
		10054: rejected, 10077: rejected, 10047: rejected, 10109: rejected, 10060: rejected,
		10008: unsettled, // JetStream temporarily unavailable
		10074: unsettled, // peer not available
		10009: unsettled, // JetStream cluster not assigned
		12345: unsettled, // unknown
	} {
		assert.Equal(t, want, classify(api(code)), "code %d", code)
		assert.Equal(t, want, classify(fmt.Errorf("wrapped: %w", api(code))), "code %d", code)
	}
	for _, err := range []error{nats.ErrTimeout, nats.ErrNoResponders, context.DeadlineExceeded, nats.ErrConnectionClosed, errors.New("?")} {
		assert.Equal(t, unsettled, classify(err), "%v", err)
	}
	assert.Equal(t, stored, classify(nil))
}

// The codes are those of the server in go.mod.
func TestTheServerAnswersAStaleGuardWithAKnownCode(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		newOrg(t, s, "acme")
		_, out, err := appendGuarded(t.Context(), s.js, streams.Ledger, Subject("acme"), []byte("{}"), 99)
		assert.Equal(t, conflict, out, "%v", err)
	})
}

func TestTooLargeCommitsAreRefusedWhole(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	people := make([]any, 1000)
	for i := range people {
		people[i] = &domain.RegisterPerson{Name: domain.Clear(strings.Repeat("x", 900))}
	}
	_, err := s.Execute(t.Context(), "acme", request(people...))
	assert.ErrorIs(t, err, ErrTooLarge)
	_, head := digest(t, s, "acme")
	assert.Equal(t, uint64(1), head.N)
}

func TestWhatTakesAwayPassesFirst(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	o, err := s.org(t.Context(), "acme")
	require.NoError(t, err)
	hold, entered := make(chan struct{}), make(chan struct{})
	var order []lane
	done := make(chan struct{}, 8)
	run := func(l lane, f func(context.Context)) {
		go func() {
			assert.NoError(t, o.queue.do(t.Context(), l, f))
			done <- struct{}{}
		}()
	}
	run(laneNormal, func(context.Context) { close(entered); <-hold })
	<-entered
	for _, l := range []lane{laneNormal, laneNormal, laneBulk, laneBulk, laneUrgent, laneNormal} {
		var before int
		o.queue.mu.Lock()
		before = len(o.queue.waiting[l])
		o.queue.mu.Unlock()
		run(l, func(context.Context) { order = append(order, l) })
		waiting(t, o.queue, l, before+1)
	}
	close(hold)
	for range 7 {
		<-done
	}
	assert.Equal(t, []lane{laneUrgent, laneBulk, laneBulk, laneNormal, laneNormal, laneNormal}, order)
}

func TestLanes(t *testing.T) {
	assert.Equal(t, laneUrgent, laneOf(true, 1))
	assert.Equal(t, laneUrgent, laneOf(true, shortList))
	assert.Equal(t, laneBulk, laneOf(true, shortList+1))
	assert.Equal(t, laneNormal, laneOf(false, 1))
}

func waiting(t *testing.T, q *queue, l lane, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.waiting[l]) == n
	}, waitLimit, time.Millisecond)
}
