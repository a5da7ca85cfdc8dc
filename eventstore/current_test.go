package eventstore

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// link passes bytes on between a client and a server, but not while it is held.
type link struct {
	url  string
	held sync.RWMutex
}

// wait waits while the link is held.
func (w *link) wait() {
	w.held.RLock()
	defer w.held.RUnlock()
}

func newLink(t *testing.T, server string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	w := &link{url: "nats://" + l.Addr().String()}
	pass := func(from, to net.Conn) {
		defer to.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			w.wait()
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			go pass(client, far)
			go pass(far, client)
		}
	}()
	return w
}

// A node that hears nothing of the ledger knows that: no error comes from a server that
// hangs. Once it calls itself current again it has what others committed meanwhile.
func TestANodeKnowsThatItIsStale(t *testing.T) {
	t.Parallel()
	b := newR3(t)
	other := b.open(b.configBesides())
	newOrg(t, other, "acme")

	w := newLink(t, b.servers[0].Addr().String())
	var elapsed atomic.Int64
	cfg := b.configBesides()
	cfg.elapsed = func() time.Duration { return time.Duration(elapsed.Load()) }
	var err error
	cfg.Conn, err = nats.Connect(w.url, nats.UserInfo("app", "app"), nats.MaxReconnects(-1), nats.IgnoreDiscoveredServers())
	require.NoError(t, err)
	t.Cleanup(cfg.Conn.Close)
	s := b.open(cfg)
	at := func(s *Store) (n uint64) {
		require.NoError(t, s.View(t.Context(), "acme", func(_ *domain.State, h Head) error {
			n = h.N
			return nil
		}))
		return n
	}
	at(s)
	current := func() bool { _, err := s.Current(); return err == nil }
	elapsed.Add(int64(time.Hour))
	require.Eventually(t, current, waitLimit, 10*time.Millisecond, "a look finds that nothing is missing")

	w.held.Lock()
	elapsed.Add(int64(staleAfter))
	assert.True(t, current())
	elapsed.Add(1)
	age, err := s.Current()
	require.ErrorIs(t, err, ErrStale)
	assert.Equal(t, staleAfter+1, age)
	_, err = other.Execute(t.Context(), "acme", request(&domain.CreateSite{Site: "far", Name: "Far", Zone: "Europe/Berlin"}))
	require.NoError(t, err)
	assert.False(t, current())
	_, err = other.Current()
	require.NoError(t, err)

	w.held.Unlock()
	require.Eventually(t, current, waitLimit, 10*time.Millisecond, "it hears again")
	assert.Equal(t, at(other), at(s), "and knows what was committed meanwhile")
}

// A node is not current before the tail has brought what a look found. An end that is
// found later does not put off that moment.
func TestCurrentIsWhatTheTailHasBrought(t *testing.T) {
	t.Parallel()
	now := time.Duration(0)
	var c currency
	c.begin(10, func() time.Duration { return now })
	now = 3 * time.Second
	c.found(12, 2*time.Second)
	assert.True(t, c.waits())
	assert.Equal(t, 3*time.Second, c.age())
	c.brought(11)
	assert.Equal(t, 3*time.Second, c.age())
	c.brought(12)
	assert.False(t, c.waits())
	assert.Equal(t, time.Second, c.age())
	c.found(12, now)
	assert.Zero(t, c.age())
}
