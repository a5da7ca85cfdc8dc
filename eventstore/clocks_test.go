package eventstore

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/clock"
	"gatehouse/eventstore/natsserver"
)

// A bentServer is a server of a cluster whose messages to one connection are changed on
// their way, in place: the clocks of servers in one process cannot differ.
type bentServer struct {
	nats.InProcessConnProvider
	bend func(payload []byte)
}

// bentConn reads what was changed.
type bentConn struct {
	net.Conn
	in *io.PipeReader
}

func (c bentConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// InProcessConn connects, and changes what comes.
func (s bentServer) InProcessConn() (net.Conn, error) {
	conn, err := s.InProcessConnProvider.InProcessConn()
	if err != nil {
		return nil, err
	}
	in, out := io.Pipe()
	go func() { out.CloseWithError(s.pass(out, bufio.NewReader(conn))) }()
	return bentConn{conn, in}, nil
}

// pass copies the protocol of the server line by line.
func (s bentServer) pass(out io.Writer, from *bufio.Reader) error {
	for {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(string(line))
		var payload []byte
		if len(words) > 0 && (words[0] == "MSG" || words[0] == "HMSG") {
			size, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				return err
			}
			payload = make([]byte, size+len("\r\n"))
			if _, err := io.ReadFull(from, payload); err != nil {
				return err
			}
			s.bend(payload)
		}
		if _, err := out.Write(append(line, payload...)); err != nil {
			return err
		}
	}
}

// A wall clock that left what has elapsed is good again once most servers of the cluster
// have its time: one that is off is outvoted, two are not. Until then what adds and what is due waits.
// The answers are those of three servers; of the ones that are off, the year is changed.
func TestMostServersOfTheClusterMakeTheClockGood(t *testing.T) {
	b := newR3(t)
	var off atomic.Int32 // so many servers are a thousand years ahead
	var behind atomic.Int64
	began := time.Now()
	behind.Store(int64(24 * time.Hour))
	c := clock.New(clock.Config{Wall: func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) },
		Elapsed: func() time.Duration { return time.Since(began) }})
	cfg := b.config()
	cfg.Clock, cfg.Now = c, c.Now
	system, err := nats.Connect("", nats.UserInfo("sys", "sys"), nats.InProcessServer(bentServer{b.servers[0], func(payload []byte) {
		for i := range off.Load() {
			if bytes.Contains(payload, fmt.Appendf(nil, `"server":{"name":"n%d"`, i+1)) {
				copy(payload, bytes.ReplaceAll(payload, []byte(`"now":"2`), []byte(`"now":"3`)))
			}
		}
	}}))
	require.NoError(t, err)
	t.Cleanup(system.Close)
	cfg.System = system
	s := b.open(cfg)
	newOrg(t, s, "acme")
	adds := func(person domain.ID) error {
		_, err := s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Person: person}))
		return err
	}
	require.NoError(t, adds("before"))

	off.Store(2)
	behind.Store(0) // the clock was a day behind, and is right now
	require.ErrorIs(t, adds("held"), ErrClock)
	require.ErrorIs(t, s.ClockTrusted(), ErrClock, "what is due waits for that")
	for range 3 { // as often as it may look
		offsets, size, err := natsserver.Clocks(t.Context(), s.cfg.System, s.cfg.Replicas, s.cfg.Clock.Wall)
		require.NoError(t, err)
		require.Len(t, offsets, 3)
		require.False(t, c.Agree(offsets, size), "%v", offsets)
	}
	require.ErrorIs(t, adds("held"), ErrClock, "one of three is no majority")
	off.Store(1)
	require.Eventually(t, func() bool { return adds("after") == nil }, waitLimit, 10*time.Millisecond, "the one that is off is outvoted")
	assert.NoError(t, s.ClockTrusted())
	assert.Equal(t, "the servers of the cluster", c.Source())
}
