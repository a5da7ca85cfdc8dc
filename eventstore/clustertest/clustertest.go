// Package clustertest starts the three NATS servers that tests of the ledger run
// on, and decides which ports those have: they are named before they are taken, so
// nothing else of the machine, other tests least of all, may come by them meanwhile.
package clustertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// Size is how many servers a cluster has.
const Size = 3

// patience bounds how long the servers take to find each other and to choose a
// leader.
const patience = time.Minute

// Start starts a cluster that ends with the test, and returns its servers when
// they have a leader; one that is started again takes its place among them. The
// store and the settings of each lie in dir. The accounts, and who may log in, are
// what config says in the language of the server's configuration.
func Start(t testing.TB, dir, config string) []*server.Server {
	t.Helper()
	var ports [Size]int
	var routes []string
	for i := range ports {
		ports[i] = port(t)
		routes = append(routes, "nats://"+address(ports[i]))
	}
	for i, port := range ports {
		text := fmt.Sprintf("server_name: n%d\nlisten: \"127.0.0.1:-1\"\njetstream { store_dir: %q, sync_interval: always }\n"+
			"cluster { name: gatehouse, listen: %q, routes: [%s] }\n%s",
			i+1, filepath.Join(dir, fmt.Sprint("js", i+1)), address(port), strings.Join(routes, ","), config)
		require.NoError(t, os.WriteFile(ConfigFile(dir, i), []byte(text), 0o600))
	}
	servers := make([]*server.Server, Size)
	for i := range servers {
		servers[i] = Serve(t, dir, i)
	}
	t.Cleanup(func() {
		for _, s := range servers {
			s.Shutdown()
		}
		for _, s := range servers {
			s.WaitForShutdown()
		}
	})
	require.Eventually(t, func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() {
				return s.JetStreamIsCurrent()
			}
		}
		return false
	}, patience, 20*time.Millisecond, "the cluster has a leader")
	return servers
}

// ConfigFile is the file with the settings of a server, counted from 0.
func ConfigFile(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("n%d.conf", i+1)) }

// Serve starts a server, counted from 0, by what its file says.
func Serve(t testing.TB, dir string, i int) *server.Server {
	t.Helper()
	opts, err := server.ProcessConfigFile(ConfigFile(dir, i))
	require.NoError(t, err)
	opts.NoLog, opts.NoSigs = true, true
	s, err := server.NewServer(opts)
	require.NoError(t, err)
	s.Start()
	return s
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Ports come in blocks below the range from which systems give out ports by
// themselves. A process has the block on whose first port it listens.
const (
	firstPort = 10_000
	lastPort  = 20_000
	blockSize = 100
)

// block is the block of this process.
var block struct {
	mu    sync.Mutex
	claim net.Listener // nil: none yet; held until the process ends
	next  int
}

// Port returns a port of 127.0.0.1 for a server that has to be told its port. Nothing
// listens on it, and no other test takes it.
func Port(t testing.TB) int { return port(t) }

// port returns one of this process that nothing listens on, each in turn.
func port(t testing.TB) int {
	t.Helper()
	block.mu.Lock()
	defer block.mu.Unlock()
	for first := firstPort; block.claim == nil && first < lastPort; first += blockSize {
		if l, err := net.Listen("tcp", address(first)); err == nil {
			block.claim, block.next = l, first
		}
	}
	require.NotNil(t, block.claim, "every block of ports is taken")
	first := block.claim.Addr().(*net.TCPAddr).Port
	for range blockSize {
		if block.next++; block.next == first+blockSize {
			block.next = first + 1
		}
		if l, err := net.Listen("tcp", address(block.next)); err == nil {
			require.NoError(t, l.Close())
			return block.next
		}
	}
	require.FailNow(t, "every port of the block is taken")
	return 0
}
