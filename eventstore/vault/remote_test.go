package vault

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience bounds what a test waits for on a machine that does much else.
const patience = time.Minute

func startNATS(t testing.TB) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(patience))
	return s
}

func connect(t testing.TB, s *server.Server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// unguarded lets a panic end the test.
func unguarded(_ string, f func()) error { f(); return nil }

func serve(t testing.TB, nc *nats.Conn, v *Vault) (stop func()) {
	t.Helper()
	stop, err := Serve(nc, v, unguarded, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(stop)
	return stop
}

func remote(t testing.TB, nc *nats.Conn, master Master) *Remote {
	t.Helper()
	r, err := NewRemote(nc, master)
	require.NoError(t, err)
	return r
}

func TestRemoteIsTheVault(t *testing.T) {
	s, master := startNATS(t), newMaster()
	v := open(t, t.TempDir(), master)
	serve(t, connect(t, s), v)
	r := remote(t, connect(t, s), master)

	mine := reserve(t, v, "org", 20)
	theirs := reserve(t, r, "org", 2*wireChunk+1)
	assert.Len(t, byID(append(mine, theirs...)...), 20+2*wireChunk+1)
	for _, k := range []Keeper{v, r} {
		assert.Equal(t, byID(append(mine, theirs...)...), load(t, k, "org", append(mine, theirs...)...))
		assert.Empty(t, load(t, k, "other", mine...))
		found, err := k.Keys(t.Context(), "org", []string{"", "unknown", "0123456789abcdef"})
		require.NoError(t, err)
		assert.Equal(t, map[string]Key{}, found)
	}
	box, err := theirs[0].Seal(nil, []byte("Ada"))
	require.NoError(t, err)
	clear, err := load(t, v, "org", theirs[0])[theirs[0].ID].Open(nil, box)
	require.NoError(t, err)
	assert.Equal(t, "Ada", string(clear))

	_, err = r.TagKey(t.Context(), "unheard", "s1", 2)
	require.ErrorIs(t, err, ErrNoTagKey)
	require.ErrorContains(t, err, "put back from before")
	for _, a := range []Keeper{v, r} {
		for _, b := range []Keeper{v, r} {
			one, err := a.TagKey(t.Context(), "org", "s1", 5)
			require.NoError(t, err)
			assert.Equal(t, 5, one.Version)
			two, err := b.TagKey(t.Context(), "org", "s1", 5)
			require.NoError(t, err)
			assert.Equal(t, one, two)
		}
	}
}

func TestRemoteGivesNothingDestroyed(t *testing.T) {
	s, master := startNATS(t), newMaster()
	v := open(t, t.TempDir(), master)
	serve(t, connect(t, s), v)
	r := remote(t, connect(t, s), master)

	keys := reserve(t, r, "org", 10)
	assert.Equal(t, byID(keys...), load(t, r, "org", keys...))
	require.NoError(t, v.Destroy(t.Context(), "org", ids(keys[:5]), at(1)))
	assert.Equal(t, byID(keys[5:]...), load(t, r, "org", keys...))
	require.NoError(t, v.DestroyOrg(t.Context(), "org", at(2)))
	assert.Empty(t, load(t, r, "org", keys...))
	_, err := r.Reserve(t.Context(), "org", 1)
	require.ErrorIs(t, err, ErrDestroyed)
	_, err = r.TagKey(t.Context(), "org", "s1", 1)
	require.ErrorIs(t, err, ErrDestroyed)
}

func TestWithoutAHolderTheVaultIsUnavailable(t *testing.T) {
	s, master := startNATS(t), newMaster()
	v := open(t, t.TempDir(), master)
	nc := connect(t, s)
	r := remote(t, nc, master)
	unavailable := func(ctx context.Context) {
		t.Helper()
		_, err := r.Reserve(ctx, "org", 1)
		require.ErrorIs(t, err, ErrUnavailable)
		_, err = r.Keys(ctx, "org", []string{"0123456789abcdef"})
		require.ErrorIs(t, err, ErrUnavailable)
		_, err = r.TagKey(ctx, "org", "s1", 1)
		require.ErrorIs(t, err, ErrUnavailable)
	}
	unavailable(t.Context())

	stop := serve(t, connect(t, s), v)
	reserve(t, r, "org", 1)
	stop()
	stop()
	unavailable(t.Context())

	// A holder that takes the question and never answers.
	other := connect(t, s)
	deaf, err := other.SubscribeSync("vault.*")
	require.NoError(t, err)
	require.NoError(t, other.Flush())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = r.Reserve(ctx, "org", 1)
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, deaf.Unsubscribe())
	require.NoError(t, other.Flush())

	// A holder whose vault fails.
	broken, err := Open(t.Context(), t.TempDir(), master)
	require.NoError(t, err)
	serve(t, connect(t, s), broken)
	require.NoError(t, broken.Close())
	unavailable(t.Context())

	nc.Close()
	unavailable(t.Context())
}

func TestOneHolder(t *testing.T) {
	s, master := startNATS(t), newMaster()
	stop := serve(t, connect(t, s), open(t, t.TempDir(), master))
	other := open(t, t.TempDir(), master)
	_, err := Serve(connect(t, s), other, unguarded, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, ErrHeld)
	stop()
	serve(t, connect(t, s), other)
}

func TestARemoteWithAnotherMaster(t *testing.T) {
	s, master := startNATS(t), newMaster()
	v := open(t, t.TempDir(), master)
	var log bytes.Buffer
	stop, err := Serve(connect(t, s), v, unguarded, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	r := remote(t, connect(t, s), newMaster())
	_, err = r.Reserve(t.Context(), "org", 1)
	require.ErrorIs(t, err, ErrWrongMaster)
	_, err = r.Keys(t.Context(), "org", []string{"0123456789abcdef"})
	require.ErrorIs(t, err, ErrWrongMaster)
	stop()
	assert.Contains(t, log.String(), "request does not open")

	var orgs int
	require.NoError(t, v.db.QueryRow(`SELECT count(*) FROM org`).Scan(&orgs))
	assert.Zero(t, orgs, "something was made for one without the master key")
	_, err = NewRemote(nil, Master{})
	require.ErrorIs(t, err, ErrNoMaster)
}

// A listener on NATS sees no key, id or org. Requests and replies that it repeats have
// no use to it. A recording reveals nothing to it either when it obtains the master key
// later.
func TestWhoListensLearnsNothing(t *testing.T) {
	s, master := startNATS(t), newMaster()
	v := open(t, t.TempDir(), master)
	serve(t, connect(t, s), v)
	r := remote(t, connect(t, s), master)
	spy := connect(t, s)
	heard, err := spy.SubscribeSync(">")
	require.NoError(t, err)
	require.NoError(t, spy.Flush())

	keys := reserve(t, r, "the-org", 10)
	load(t, r, "the-org", keys...)
	tag, err := r.TagKey(t.Context(), "the-org", "the-site", 1)
	require.NoError(t, err)
	recorded := make([]*nats.Msg, 6) // three requests, each before its reply
	for i := range recorded {
		recorded[i], err = heard.NextMsg(patience)
		require.NoError(t, err)
	}
	forbidden := append(append(spellings(keys...), spell(tag.secret)...), []byte("the-org"), []byte("the-site"), []byte(keys[0].ID))
	for _, m := range recorded {
		for _, f := range forbidden {
			assert.False(t, bytes.Contains(m.Data, f), "%s", m.Subject)
		}
	}

	// With the master key, but without the exchange's own keys.
	for _, m := range recorded {
		x, err := newExchange(v.transport, subjectKeys)
		require.NoError(t, err)
		_, err = x.openReply(m.Data)
		require.Error(t, err)
	}

	// An old reply in the place of a new one.
	_, err = spy.Subscribe("vault.keys.again", func(m *nats.Msg) { m.Respond(recorded[3].Data) })
	require.NoError(t, err)
	require.NoError(t, spy.Flush())
	_, err = r.ask(t.Context(), "vault.keys.again", wireRequest{Org: "the-org"})
	require.ErrorIs(t, err, ErrUnavailable)

	// A request on another subject than its own is not understood.
	m, err := spy.Request(subjectReserve, recorded[2].Data, patience)
	require.NoError(t, err)
	assert.Equal(t, []byte{wireVersion, whyMaster}, m.Data)
}

func TestServeRefusesWhatIsNoRequest(t *testing.T) {
	s, master := startNATS(t), newMaster()
	v := open(t, t.TempDir(), master)
	serve(t, connect(t, s), v)
	nc := connect(t, s)
	for _, c := range []struct{ frame, want []byte }{
		{nil, []byte{wireVersion, whyMaster}},
		{[]byte{wireVersion}, []byte{wireVersion, whyMaster}},
		{bytes.Repeat([]byte{wireVersion}, 1+publicSize), []byte{wireVersion, whyMaster}},
		{bytes.Repeat([]byte{wireVersion}, 500), []byte{wireVersion, whyMaster}},
		{[]byte{wireVersion + 1, 0, 0}, []byte{wireVersion, whyVersion}},
	} {
		m, err := nc.Request(subjectKeys, c.frame, patience)
		require.NoError(t, err)
		assert.Equal(t, c.want, m.Data)
	}

	// More than a Remote asks for at once.
	r := remote(t, nc, master)
	_, err := r.ask(t.Context(), subjectReserve, wireRequest{Org: "org", N: wireChunk + 1})
	require.ErrorContains(t, err, "at most")
	_, err = r.ask(t.Context(), subjectKeys, wireRequest{Org: "org", IDs: make([]string, wireChunk+1)})
	require.ErrorContains(t, err, "at most")
	_, err = r.ask(t.Context(), subjectReserve, wireRequest{Org: "", N: 1})
	require.Error(t, err)

	// A holder of another version.
	_, err = nc.Subscribe("vault.future", // the same connection asks: it is subscribed by then
		func(m *nats.Msg) { m.Respond([]byte{wireVersion, whyVersion}) })
	require.NoError(t, err)
	_, err = r.ask(t.Context(), "vault.future", wireRequest{Org: "org"})
	require.ErrorContains(t, err, "version")
}

func FuzzFrames(f *testing.F) {
	transport := newSecret()
	x, err := newExchange(transport, subjectKeys)
	require.NoError(f, err)
	frame, err := x.sealRequest(wireRequest{Org: "org", IDs: []string{"0123456789abcdef"}})
	require.NoError(f, err)
	f.Add(frame)
	f.Add([]byte{})
	f.Add([]byte{wireVersion, whyMaster})
	f.Fuzz(func(t *testing.T, frame []byte) {
		y := x
		if _, err := y.openRequest(frame); err != nil {
			_, err = x.openReply(frame)
			require.Error(t, err)
		}
	})
}
