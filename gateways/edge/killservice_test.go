package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"gatehouse/failpoint"
	"gatehouse/randomtest"
)

// through is the way to the service that runs now, wherever that listens.
type through struct{ address atomic.Pointer[string] }

// Dial implements nats.CustomDialer.
func (d *through) Dial(network, _ string) (net.Conn, error) {
	return net.Dial(network, *d.address.Load())
}

// A service is killed again and again while a gateway brings records: behind each step of
// taking them, and at moments of chance. Every record arrives once and in order.
func TestAServiceThatIsKilledLosesAndRepeatsNoRecord(t *testing.T) {
	if os.Getenv(childPlays) == "service" {
		b := bedIn(t, os.Getenv(childDir))
		fmt.Println(b.embedded.Server().Addr())
		select {} // until it is killed
	}
	t.Parallel()
	dir := t.TempDir()
	b := &bed{t: t, dir: t.TempDir()}
	b.key = keyIn(t, dir)
	random := rand.New(rand.NewPCG(randomtest.Seed(t, 1), 0))
	way := new(through)
	d := &busy{run: "0", done: make(chan struct{})}
	told := map[string]bool{}
	var stop func()
	for round, step := range plan(failpoint.Service) {
		cmd := b.child("service", dir, step)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan())
		address := lines.Text()
		way.address.Store(&address)
		if round == 0 {
			stop = b.keepBusy(d, way, told)
		}
		if step == "" {
			time.AfterFunc(time.Duration(random.IntN(500))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
		_, err = io.Copy(io.Discard, out) // until it has ended
		require.NoError(t, err)
		_ = cmd.Wait()
	}
	stop()
	last := bedIn(t, dir)
	last.dir = b.dir
	g := last.gateway()
	g.current(t)
	require.Eventually(t, func() bool { return g.outbox.Waiting() == 0 }, time.Minute, 5*time.Millisecond)
	last.eachOnce(told)
}

// keepBusy runs the gateway while somebody comes to its door, until stop returns. It fills
// told with all that the door was told.
func (b *bed) keepBusy(d *busy, way *through, told map[string]bool) (stop func()) {
	cfg := childConfig(b.dir, "nats://service", b.key, d)
	connect := cfg.Connect
	cfg.Connect = func(o ...nats.Option) (*nats.Conn, error) { return connect(append(o, nats.SetCustomDialer(way))...) }
	d.tell = func(source string) { told[source] = true }
	g, err := Open(cfg)
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
		require.NoError(b.t, g.Close())
	}
}
