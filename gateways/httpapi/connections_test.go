package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
)

// fakeConn is a connection from an address.
type fakeConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.from), Port: 1} }
func (c *fakeConn) Close() error         { c.closed = true; return nil }

func TestANewConnectionTakesThePlaceOfTheLeastUseful(t *testing.T) {
	cs := newConnections(Limits{Connections: 5, ConnectionsOfAddress: 3}, budget.NewMetrics(prometheus.NewRegistry()))
	all := map[string]*connection{}
	open := func(name, from string) {
		t.Helper()
		all[name] = cs.admit(&fakeConn{from: from})
	}
	gone := func(names ...string) {
		t.Helper()
		for name, c := range all {
			if c != nil {
				assert.Equal(t, assert.ObjectsAreEqual(true, c.Conn.(*fakeConn).closed), contains(names, name), name)
			}
		}
	}
	open("a1", "192.0.2.1")
	open("a2", "192.0.2.1")
	open("a3", "192.0.2.1")
	all["a1"].begin()()      // unused since, but good
	end := all["a2"].begin() // busy
	open("a4", "192.0.2.1")
	gone("a3") // it has shown nothing
	open("a5", "192.0.2.1")
	gone("a3", "a4")
	end5 := all["a5"].begin()
	open("a6", "192.0.2.1")
	gone("a3", "a4", "a1") // the others are busy
	end6 := all["a6"].begin()
	open("a7", "192.0.2.1")
	assert.Nil(t, all["a7"], "it has nobody's place to take")

	// The address that has most gives room to others.
	open("b1", "192.0.2.2")
	open("c1", "192.0.2.3")
	end6()
	open("d1", "192.0.2.4")
	gone("a3", "a4", "a1", "a6")
	assert.Equal(t, 5, cs.count)
	end()
	end5()
	for _, c := range all {
		if c != nil {
			require.NoError(t, c.Close())
			require.NoError(t, c.Close())
		}
	}
	assert.Zero(t, cs.count)
	assert.Empty(t, cs.peers)
}

func contains(names []string, name string) bool {
	return strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ")
}

// serve serves the API at a port of the loopback.
func (b *bed) serve() (address string) {
	b.t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = b.api.Server()
	s.Listener = b.api.Listener(s.Listener)
	s.Start()
	b.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// dial opens a connection and writes a beginning.
func dial(t *testing.T, address, beginning string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(c, beginning)
	require.NoError(t, err)
	return c
}

// command is a request for a command, with a body that may be shorter than it says.
func command(token, name, body string, length int) string {
	return fmt.Sprintf("POST /v1/orgs/acme/commands/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", name, token, length, body)
}

// answer reads an answer.
func answer(t *testing.T, c net.Conn) (status int, body string, last bool) {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(text), r.Close
}

// Connections on which nothing comes, from the same address even, keep no lockdown out.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	b := newWorld(t, "house")
	b.api.connections = newConnections(Limits{Connections: 8, ConnectionsOfAddress: 6}, b.store.Budgets())
	olga := b.token("olga", domain.ScopeFull)
	address := b.serve()
	var silent []net.Conn
	for range 6 {
		silent = append(silent, dial(t, address, "POST /v1/orgs/acme/comm"))
	}
	lockdown := command(olga, "Lockdown", `{"site":"north"}`, 16)
	one := dial(t, address, lockdown)
	status, body, _ := answer(t, one)
	require.Equal(t, 200, status, body)
	_, err := silent[0].Read(make([]byte, 1))
	require.Error(t, err, "it made room")
	for range 6 {
		silent = append(silent, dial(t, address, "GET"))
	}
	// The connection that was good outlives those that came before and after.
	_, err = io.WriteString(one, lockdown)
	require.NoError(t, err)
	status, body, _ = answer(t, one)
	require.Equal(t, 200, status, body)
}

// A slow sender takes no place, and no more room than its share. A refusal is answered
// at once, though the body has not arrived.
func TestAnUnfinishedBodyHoldsUpNobody(t *testing.T) {
	b := newWorld(t, "house")
	b.api.budgets.bodies = budget.New(budget.Config{Name: "bodies", Places: budget.Shares{All: 10 * leastRoom, Person: 3 * leastRoom}}, b.store.Budgets())
	olga, gus := b.token("olga", domain.ScopeFull), b.token("gus", domain.ScopeFull)
	address := b.serve()
	var slow []net.Conn
	for range 3 {
		slow = append(slow, dial(t, address, command(gus, "RegisterPerson", `{"person":`, 20)))
	}
	require.Eventually(t, func() bool { return b.api.budgets.bodies.Taken() == 3*leastRoom }, time.Minute, time.Millisecond)
	assert.Zero(t, b.api.budgets.requests.Taken())
	status, body, last := answer(t, dial(t, address, command(gus, "RegisterPerson", `{"person":`, 20)))
	assert.Equal(t, 503, status)
	assert.Contains(t, body, "the share of this person in the budget bodies")
	assert.True(t, last, "the rest of the body is not waited for")
	for token, want := range map[string]int{"none": 401, gus + "x": 401} {
		status, _, last := answer(t, dial(t, address, command(token, "RegisterPerson", `{`, 20)))
		assert.Equal(t, want, status)
		assert.True(t, last)
	}
	status, body, _ = answer(t, dial(t, address, command(olga, "RegisterPerson", `{"person":"ada"}`, 16)))
	assert.Equal(t, 200, status, body)

	// A body that comes at last is taken.
	_, err := io.WriteString(slow[0], `"bob"}    `)
	require.NoError(t, err)
	status, body, _ = answer(t, slow[0])
	assert.Equal(t, 403, status, body)
	for _, c := range slow {
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { return b.api.budgets.bodies.Taken() == 0 }, time.Minute, time.Millisecond)
}
