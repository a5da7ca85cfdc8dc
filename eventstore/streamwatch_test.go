package eventstore

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
)

// operator is a connection that may change streams.
func (b *testbed) operator() (*nats.Conn, jetstream.JetStream) {
	b.t.Helper()
	nc, err := b.embedded.ConnectOperator()
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(b.t, err)
	return nc, js
}

// A setting that is changed while the store runs stops its commands. They stay stopped
// when it is changed back, for what it has lost.
func TestAChangedStreamStopsCommands(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	newOrg(t, s, "beta")
	fill(t, s, "acme", 3)
	nc, js := b.operator()
	one := s.ledger.CachedInfo().Config
	one.MaxMsgsPerSubject = 1
	_, err := js.UpdateStream(t.Context(), one)
	require.NoError(t, err)
	stopped := func() bool { return s.canAppendUrgent() != nil }
	require.Eventually(t, stopped, waitLimit, time.Millisecond)
	assert.ErrorIs(t, s.canAppendUrgent(), ErrUnsafeStore)
	assert.ErrorContains(t, s.canAppendUrgent(), "max_msgs_per_subject is 1")

	done, err := streams.Apply(t.Context(), nc, 1, "")
	require.NoError(t, err)
	assert.Equal(t, "max_msgs_per_subject", done[0].Changed[0].Setting)
	require.Eventually(t, func() bool {
		unsafe, _ := s.Streams()
		return len(unsafe) == 1 && unsafe[0].Setting == "messages"
	}, waitLimit, time.Millisecond)
	assert.ErrorContains(t, s.canAppendUrgent(), "messages is 3 fewer than there were")
}

// A stream whose settings were mended takes commands again.
func TestAMendedStreamTakesCommandsAgain(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	nc, js := b.operator()
	aged := s.ledger.CachedInfo().Config
	aged.MaxAge = 100 * time.Hour
	_, err := js.UpdateStream(t.Context(), aged)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.canAppendUrgent() != nil }, waitLimit, time.Millisecond)
	_, err = streams.Apply(t.Context(), nc, 1, "")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.canAppendUrgent() == nil }, waitLimit, time.Millisecond)
	fill(t, s, "acme", 1)
}

// By its own rights the service takes nothing away, and changes no stream by making
// it again.
func TestTheServiceMayNotChangeItsStreams(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	for _, subject := range []string{"STREAM.UPDATE.LEDGER", "STREAM.DELETE.LEDGER", "STREAM.PURGE.LEDGER", "STREAM.PURGE.ACTIVITY",
		"STREAM.MSG.DELETE.PERMISSIONS", "STREAM.RESTORE.OTHER", "STREAM.DELETE.PERMISSIONS", "STREAM.UPDATE.REFUSALS"} {
		denied := make(chan error, 1)
		nc, err := b.embedded.Connect(nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
		require.NoError(t, err)
		require.NoError(t, nc.Publish("$JS.API."+subject, []byte("{}")))
		require.NoError(t, nc.Flush())
		select {
		case err := <-denied:
			assert.ErrorIs(t, err, nats.ErrPermissionViolation, subject)
		case <-time.After(waitLimit):
			assert.Fail(t, "it is not denied", subject)
		}
		nc.Close()
	}
	other := s.ledger.CachedInfo().Config
	other.MaxMsgsPerSubject = 1
	_, err := s.js.CreateStream(t.Context(), other)
	assert.ErrorIs(t, err, jetstream.ErrStreamNameAlreadyInUse)
}

// The servers of deploy deny the service what the server within the process does.
func TestDeployDeniesTheSameSubjects(t *testing.T) {
	text, err := os.ReadFile("../deploy/nats/server.conf")
	require.NoError(t, err)
	deny := regexp.MustCompile(`(?s)nkey: \$SERVICE_USER\s+permissions \{.*?deny: \[(.*?)\]`).FindSubmatch(text)
	require.NotNil(t, deny)
	var subjects []string
	for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllSubmatch(deny[1], -1) {
		subjects = append(subjects, string(m[1]))
	}
	assert.ElementsMatch(t, natsserver.DeniedSubjects(), subjects)
}

// An org whose last commits go while the store runs is held back. It is so with its
// mark and without it, and another org is not held back.
func TestALedgerThatLosesCommitsWhileRunningHoldsTheirOrgBack(t *testing.T) {
	for name, marked := range map[string]bool{"with marks": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			b := newR1(t)
			cfg := b.config()
			if !marked {
				cfg.Marks = nil
			}
			s := b.open(cfg)
			newOrg(t, s, "acme")
			fill(t, s, "acme", 3)
			newOrg(t, s, "beta")
			_, js := b.operator()
			one := s.ledger.CachedInfo().Config
			one.MaxMsgs, one.Discard = 1, jetstream.DiscardOld
			_, err := js.UpdateStream(t.Context(), one)
			require.NoError(t, err)
			view := func(org domain.ID) error {
				return s.View(t.Context(), org, func(*domain.State, Head) error { return nil })
			}
			require.Eventually(t, func() bool { return view("acme") != nil }, waitLimit, 10*time.Millisecond)
			assert.ErrorIs(t, view("acme"), ErrBehind)
			assert.ErrorIs(t, s.Damaged()["acme"], ErrBehind)
			assert.NoError(t, view("beta"))
		})
	}
}

// The last sequence alone tells that the embedded server cut off the last messages. A
// new leader of a cluster may be late for a moment.
func TestALedgerThatGoesBackHasLostMessages(t *testing.T) {
	at := func(msgs, last uint64) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{State: jetstream.StreamState{Msgs: msgs, LastSeq: last}}
	}
	for _, c := range []struct {
		embedded  bool
		msgs, end uint64
		lost      uint64
	}{{true, 10, 12, 0}, {true, 7, 9, 3}, {true, 9, 12, 1}, {true, 11, 13, 0}, {false, 7, 9, 0}, {false, 9, 12, 1}} {
		st := streamState{gap: 2, last: 12}
		st.noteLost(at(c.msgs, c.end), c.embedded)
		assert.Equal(t, c.lost, st.lost, "%+v", c)
		st.noteLost(at(st.last-2, st.last), c.embedded)
		assert.Equal(t, c.lost, st.lost, "it stays lost")
	}
}
