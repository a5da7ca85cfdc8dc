package reads

import (
	"bytes"
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

func TestReadsAreDecidedAtTheirOwnInstantAndRecorded(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	tally, err := g.Take(t.Context(), []Read{
		{Number: 3, At: monday, Door: "gate", Side: unlock.In, Card: "1001"},
		{Number: 4, At: monday.Add(12 * time.Hour), Door: "gate", Side: unlock.Out, Card: "1001"},
		{Number: 7, At: monday, Door: "office", Side: unlock.In, Card: "1001"},
		{Number: 9, At: monday, Door: "no-such-door", Side: unlock.In, Card: "1001"},
		{Number: 10, At: monday, Door: "gate", Side: unlock.In, Card: "12-1001", Format: "wiegand26"},
	})
	require.NoError(t, err)
	assert.Equal(t, Tally{Reads: 5, Allowed: 1, Doors: 3, Credentials: 2, Last: 10, Denied: map[string]uint64{
		"deny_outside_schedule": 1, "deny_no_access_right": 1, "deny_unknown_access_point": 1, "deny_unknown_credential": 1}}, tally)

	got := b.recorded()
	require.Len(t, got, 5)
	first := got[0]
	assert.Equal(t, wire.AccessGranted, first.Type)
	assert.Equal(t, "allow_staff", first.Code)
	assert.Equal(t, "card-anna", string(first.Credential))
	assert.Equal(t, "anna", string(first.Person))
	assert.Equal(t, "g-anna", first.Grant)
	assert.Equal(t, "till:3", first.Source)
	assert.Equal(t, wire.ClockGiven, first.Clock)
	assert.Equal(t, "in", first.Side)
	assert.Equal(t, b.table.Position(), first.Position)
	assert.Equal(t, b.table.Digest().String(), first.Digest)
	assert.Empty(t, first.Tag)
	assert.True(t, monday.Equal(first.At))
	assert.Equal(t, "out", got[1].Side)
	assert.Equal(t, []string{"deny_outside_schedule"}, got[1].Failed)
	assert.Equal(t, "no-such-door", string(got[3].Door))
	assert.Equal(t, "deny_unknown_access_point", got[3].Code)
	assert.Contains(t, got[3].Failed, "deny_unknown_access_point")
}

// A card is recognised in every notation in which a reader writes its number.
func TestOneCardIsReadHoweverItsReaderWritesIt(t *testing.T) {
	b := newBed(t)
	b.execute(100, `olga AssignFob {"credential":"w26","kind":"card","format":"wiegand26","number":"012-00345","person":"anna","sites":["north"]}`)
	b.execute(101, `olga AssignFob {"credential":"chip","kind":"card","format":"uid","number":"04:a1:b2:c3","person":"anna","sites":["north"]}`)
	b.table = b.present()
	g := b.gateway()
	for i, r := range []Read{{Format: "wiegand26", Card: "12-345"}, {Format: "wiegand26", Card: "012,00345"}, {Format: "uid", Card: "04A1B2C3"}, {Format: "uid", Card: "04 a1 b2 c3"}} {
		r.Number, r.At, r.Door = uint64(i+1), monday, "gate"
		tally, err := g.Take(t.Context(), []Read{r})
		require.NoError(t, err)
		assert.Equal(t, uint64(i+1), tally.Allowed, "%+v", r)
	}
}

func TestAReadWithoutANumberOfItsFormatIsNoRead(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	for _, r := range []Read{{Format: "wiegand-26", Card: "12-345"}, {Format: "wiegand26", Card: "12345"}, {Card: "a\u200bb"}, {Card: " "}} {
		r.Number, r.At, r.Door = 2, monday, "gate"
		_, err := g.Take(t.Context(), []Read{{Number: 1, At: monday, Door: "gate", Card: "1001"}, r})
		wrong := &NumberError{}
		require.ErrorAs(t, err, &wrong, "%+v", r)
		assert.Equal(t, uint64(2), wrong.Read)
	}
	assert.Empty(t, b.recorded(), "nothing of what was given with it")
}

// The number of an unknown card is in clear in no file of the ledger.
func TestAnUnknownNumberIsNowhereInClear(t *testing.T) {
	b := newBed(t)
	const number = "unknown-number-4711-0815"
	_, err := b.gateway().Take(t.Context(), []Read{{Number: 1, At: monday, Door: "gate", Side: unlock.In, Card: number}, {Number: 2, At: monday, Door: "gate", Side: unlock.In, Card: number}})
	require.NoError(t, err)
	got := b.recorded()
	require.Len(t, got, 2)
	assert.Len(t, got[0].Tag, 2*len(unlock.Tag{}))
	assert.Equal(t, got[0].Tag, got[1].Tag, "the same stranger is seen to be the same")
	assert.Empty(t, got[0].Credential)
	assert.Empty(t, got[0].Person)
	files := 0
	require.NoError(t, filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		files++
		assert.False(t, bytes.Contains(body, []byte(number)), path)
		return err
	}))
	assert.NotZero(t, files)
}

func TestAReadIsTakenOnce(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	first, err := g.Take(t.Context(), reads(1, 10))
	require.NoError(t, err)
	again, err := g.Take(t.Context(), reads(1, 10))
	require.NoError(t, err)
	assert.Equal(t, first, again)
	_, err = g.Take(t.Context(), reads(8, 12))
	require.NoError(t, err)
	whole, err := g.Take(t.Context(), append(reads(13, 20), reads(11, 20)...))
	require.NoError(t, err, "numbers that do not grow are passed over")
	b.once(20)
	nothing, err := g.Take(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, whole, nothing)

	reopened := b.gateway()
	assert.Equal(t, whole, reopened.Tally())
	tally, err := reopened.Take(t.Context(), reads(1, 21))
	require.NoError(t, err)
	assert.Equal(t, uint64(21), tally.Last)
	b.once(21)
	assert.Equal(t, uint64(2), b.recorded()[20].Boot)
}

func TestTheTallyThatIsReturnedIsTheCallersOwn(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	tally, err := g.Take(t.Context(), []Read{{Number: 1, At: monday, Door: "office", Side: unlock.In, Card: "1001"}})
	require.NoError(t, err)
	clear(tally.Denied)
	assert.Equal(t, map[string]uint64{"deny_no_access_right": 1}, g.Tally().Denied)
}

func TestReadsFromManyGoroutinesAreEachTakenOnce(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	var sending sync.WaitGroup
	for range 4 {
		sending.Go(func() {
			for n := 1; n <= 100; n += 10 {
				_, err := g.Take(t.Context(), reads(n, n+9))
				assert.NoError(t, err)
			}
		})
	}
	sending.Wait()
	assert.Equal(t, uint64(100), g.Tally().Reads)
	b.once(100)
}

// Of two gateways of one source, the one that finds another at work gets an error. It
// records nothing twice, and continues with the next call.
func TestTwoGatewaysOfOneSource(t *testing.T) {
	b := newBed(t)
	one, other := b.gateway(), b.gateway()
	_, err := one.Take(t.Context(), reads(1, 3))
	require.NoError(t, err)
	_, err = other.Take(t.Context(), reads(1, 6))
	require.ErrorIs(t, err, eventstore.ErrNotSoleWriter)
	b.once(3)
	tally, err := other.Take(t.Context(), reads(1, 6))
	require.NoError(t, err)
	assert.Equal(t, uint64(6), tally.Reads)
	_, err = one.Take(t.Context(), reads(4, 9))
	require.ErrorIs(t, err, eventstore.ErrNotSoleWriter)
	tally, err = one.Take(t.Context(), reads(4, 9))
	require.NoError(t, err)
	assert.Equal(t, uint64(9), tally.Reads)
	b.once(9)
}

func TestWithoutPermissionsNothingIsTaken(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	table := b.table
	b.table = nil
	_, err := g.Take(t.Context(), reads(1, 1))
	require.ErrorIs(t, err, ErrNoTable)
	b.table, b.noKey = table, true
	_, err = g.Take(t.Context(), reads(1, 1))
	require.ErrorIs(t, err, ErrNoTags)
	b.noKey = false
	_, err = g.Take(t.Context(), make([]Read, MaxReads+1))
	require.Error(t, err)
	b.once(0)
	_, err = g.Take(t.Context(), reads(1, 1))
	require.NoError(t, err)
	b.once(1)
}

// A time out of range is not taken for an allowed one. Its nanoseconds since 1970 would
// overflow to those of an allowed time.
func TestTimesOutOfRangeAreNotTakenForOthers(t *testing.T) {
	b := newBed(t)
	far := monday
	for range 4 {
		far = far.Add(1 << 62)
	}
	require.Equal(t, monday.UnixNano(), far.UnixNano())
	tally, err := b.gateway().Take(t.Context(), []Read{{Number: 1, At: far, Door: "gate", Side: unlock.In, Card: "1001"}})
	require.NoError(t, err)
	assert.Zero(t, tally.Allowed)
	assert.True(t, far.Equal(b.recorded()[0].At))
}

func TestAGatewayHasAnIDThatIsOne(t *testing.T) {
	b := newBed(t)
	_, err := Open(t.Context(), b.store, b, clock, "acme", "north", "no.id")
	assert.Error(t, err)
}

// Reads are taken once when they are sent again after a call whose acknowledgement was
// lost.
func TestReadsAreTakenOnceOverLostAcknowledgements(t *testing.T) {
	b := newBed(t)
	link := &link{server: b.server.Server()}
	conn, err := nats.Connect("nats://within-the-process:4222", nats.SetCustomDialer(link))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	store := b.open(conn)
	g, err := Open(t.Context(), store, b, clock, "acme", "north", "till")
	require.NoError(t, err)
	at := 0
	for _, n := range []int{1, 3, MaxReads, 1} {
		want := reads(at+1, at+n)
		at += n
		ctx, cancel := context.WithCancel(t.Context())
		link.hold(cancel)
		_, err := g.Take(ctx, want)
		require.Error(t, err, "the caller cannot know")
		link.release()
		b.once(at)
		tally, err := g.Take(t.Context(), want)
		require.NoError(t, err)
		assert.Equal(t, uint64(at), tally.Reads)
		b.once(at)
	}
	assert.Equal(t, g.Tally(), b.gateway().Tally())
}

// link dials connections that can delay acknowledgements.
type link struct {
	server *server.Server
	held   atomic.Pointer[holding]
}

// holding waits for an acknowledgement, reports that it came and holds it back.
type holding struct {
	came func()
	done chan struct{}
}

// hold holds back the next acknowledgement of a record, and calls came then.
func (w *link) hold(came func()) { w.held.Store(&holding{came, make(chan struct{})}) }

func (w *link) release() { close(w.held.Swap(nil).done) }

func (w *link) Dial(string, string) (net.Conn, error) {
	conn, err := w.server.InProcessConn()
	return &heldConn{conn, w}, err
}

type heldConn struct {
	net.Conn
	link *link
}

func (c *heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if h := c.link.held.Load(); h != nil && bytes.Contains(p[:n], []byte(`"stream":"`+streams.Activity+`"`)) {
		h.came()
		<-h.done
	}
	return n, err
}
