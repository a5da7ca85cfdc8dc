package eventstore

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/randomtest"
	"gatehouse/schemas/wire"
)

const recordsSubject = "activity.acme.north.gw1"

// outbox is what a gateway wrote while it was cut off: record k at index k-1.
func outbox(t testing.TB, n int, note string) [][]byte {
	t.Helper()
	out := make([][]byte, n)
	var prev wire.Hash
	for i := range out {
		at := time.Unix(int64(1_700_000_000+i), 0).UTC()
		a := wire.Activity{Gateway: "gw1", Boot: 1, K: uint64(i + 1), Prev: prev, Type: wire.AccessGranted, At: at, RecordedAt: at, Door: "gate", Source: note}
		body, err := a.Encode()
		require.NoError(t, err)
		out[i], prev = body, wire.HashOf(body)
	}
	return out
}

func code(err error) wire.AskCode {
	refused, ok := errors.AsType[*wire.AskError](err)
	if !ok {
		return ""
	}
	return refused.Code
}

// A gateway sends again whatever was not answered, in parts of any size and by two
// connections at once; each record is stored once, in its place, byte for byte.
func TestRecordsOfAGatewayAreStoredOnceAndInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		net := &lossyActivity{JetStream: s.js}
		s.js = net
		all := outbox(t, 2500, "a")
		random := rand.New(rand.NewPCG(1, randomtest.Seed(t, 2)))
		end := wire.RecordsEnd{}
		for int(end.K) < len(all) {
			from := max(0, int(end.K)-random.IntN(300))
			until := min(len(all), max(from+1, int(end.K)+random.IntN(700)))
			net.lose = random.IntN(2)
			got, err := s.TakeRecords(t.Context(), "acme", "north", "gw1", all[from:until])
			require.NoError(t, err)
			require.GreaterOrEqual(t, got.K, end.K)
			end = got
		}
		net.lose = 0
		for i, a := range readActivity(t, s, recordsSubject) {
			require.EqualValues(t, i+1, a.K)
		}
		assert.Equal(t, wire.HashOf(all[len(all)-1]), end.Prev)
		again, err := s.TakeRecords(t.Context(), "acme", "north", "gw1", all[:10])
		require.NoError(t, err)
		assert.Equal(t, end, again, "stored long ago: the end tells")
	})
}

func TestTwoConnectionsOfAGatewayStoreEachRecordOnce(t *testing.T) {
	b := newR1(t)
	s, other := b.store(), b.store()
	all := outbox(t, 300, "a")
	var both sync.WaitGroup
	for _, s := range []*Store{s, other} {
		both.Go(func() {
			for i := 0; i < len(all); i += 10 {
				_, err := s.TakeRecords(t.Context(), "acme", "north", "gw1", all[:i+10])
				assert.NoError(t, err)
			}
		})
	}
	both.Wait()
	assert.Len(t, readActivity(t, s, recordsSubject), len(all))
}

// Two boxes with one identity, both cut off, wrote different records under the same
// counters: the second one is refused, and nothing of it is stored.
func TestRecordsOfASecondBoxAreRefused(t *testing.T) {
	b := newR1(t)
	s := b.store()
	one, two := outbox(t, 20, "one"), outbox(t, 20, "two")
	end, err := s.TakeRecords(t.Context(), "acme", "north", "gw1", one[:10])
	require.NoError(t, err)
	for from := range 11 {
		got, err := s.TakeRecords(t.Context(), "acme", "north", "gw1", two[from:])
		assert.Equal(t, wire.AskForked, code(err), from)
		assert.Equal(t, end, got, "the gateway learns where the records end")
	}
	_, err = s.TakeRecords(t.Context(), "acme", "north", "gw1", one[11:])
	assert.Equal(t, wire.AskGap, code(err))
	assert.Len(t, readActivity(t, s, recordsSubject), 10)
}

func TestWhatIsNoRecordOfTheGatewayIsRefusedWhole(t *testing.T) {
	b := newR1(t)
	s := b.store()
	change := func(f func(*wire.Activity)) [][]byte {
		bodies := outbox(t, 3, "a")
		a, err := wire.DecodeActivity(bodies[2])
		require.NoError(t, err)
		f(a)
		bodies[2], err = a.Encode()
		require.NoError(t, err)
		return bodies
	}
	for what, c := range map[string]struct {
		bodies [][]byte
		code   wire.AskCode
	}{
		"none":            {nil, wire.AskTooLarge},
		"too many":        {outbox(t, 1001, "a"), wire.AskTooLarge},
		"too large":       {change(func(a *wire.Activity) { a.Source = string(make([]byte, wire.MaxRecord)) }), wire.AskMalformed},
		"another gateway": {change(func(a *wire.Activity) { a.Gateway = "gw2" }), wire.AskMalformed},
		"no type":         {change(func(a *wire.Activity) { a.Type = "" }), wire.AskMalformed},
		"a text as type":  {change(func(a *wire.Activity) { a.Type = "access granted to Ana" }), wire.AskMalformed},
		"year 9000":       {change(func(a *wire.Activity) { a.At = a.At.AddDate(7000, 0, 0) }), wire.AskMalformed},
		"no time":         {change(func(a *wire.Activity) { a.RecordedAt = time.Time{} }), wire.AskMalformed},
		"no boot":         {change(func(a *wire.Activity) { a.Boot = 0 }), wire.AskMalformed},
		"a gap within":    {change(func(a *wire.Activity) { a.K = 4 }), wire.AskForked},
		"another before":  {change(func(a *wire.Activity) { a.Prev[0]++ }), wire.AskForked},
		"no JSON":         {[][]byte{[]byte("x")}, wire.AskMalformed},
		"empty":           {[][]byte{nil}, wire.AskMalformed},
	} {
		_, err := s.TakeRecords(t.Context(), "acme", "north", "gw1", c.bodies)
		assert.Equal(t, c.code, code(err), "%s: %v", what, err)
	}
	later := change(func(a *wire.Activity) { a.Type = "lift.stuck" })
	end, err := s.TakeRecords(t.Context(), "acme", "north", "gw1", later)
	require.NoError(t, err, "a type of later code is kept")
	assert.EqualValues(t, 3, end.K)
}
