package uhppote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// rig is a running driver with what it reported.
type rig struct {
	t      testing.TB
	d      *Driver
	mu     sync.Mutex
	events []driver.Event
	logged bytes.Buffer
	stop   func()
}

// Write keeps what is logged.
func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logged.Write(p)
}

// run runs a driver for two doors of a board, gate and lift, that keeps its files in dir.
// more are fields of the driver's settings.
func run(t testing.TB, f *fake, dir, more string, pace pace) *rig {
	t.Helper()
	r := &rig{t: t}
	opened, err := Open(driver.Settings{Dir: dir, Now: time.Now, Log: slog.New(slog.NewTextHandler(r, nil)),
		Driver: json.RawMessage(fmt.Sprintf(`{"zone":"Europe/Berlin","boards":{"%d":{"address":%q}}%s}`, f.serial, f.addr, more)),
		Doors: map[wire.ID]json.RawMessage{"gate": json.RawMessage(fmt.Sprintf(`{"board":%d,"door":1}`, f.serial)),
			"lift": json.RawMessage(fmt.Sprintf(`{"board":%d,"door":2}`, f.serial))}})
	require.NoError(t, err)
	r.d = opened.(*Driver)
	r.d.pace = pace
	r.start()
	return r
}

// start runs the driver until the test ends, or stop is called.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.d.Run(ctx, r.report) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(r.t, <-ended)
	})
	r.t.Cleanup(r.stop)
}

func (r *rig) report(e driver.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// seen gives the events of a kind at a door.
func (r *rig) seen(door wire.ID, kind driver.Kind) (out []driver.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Door == door && e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// await waits for the nth event of a kind at a door.
func (r *rig) await(door wire.ID, kind driver.Kind, n int) driver.Event {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return len(r.seen(door, kind)) >= n }, time.Minute, time.Millisecond, "event %d of kind %d at %s", n, kind, door)
	return r.seen(door, kind)[n-1]
}

// settle waits until all that the board has told is reported. It presses a button at the
// lift that nothing else presses.
func (r *rig) settle(f *fake) {
	r.t.Helper()
	n := len(r.seen("lift", driver.ExitRequested))
	f.press(2)
	r.await("lift", driver.ExitRequested, n+1)
}

// listens waits until the board pushes to the driver, and gives where.
func (r *rig) listens(f *fake) (to string) {
	r.t.Helper()
	r.eventually("the board is told where to push", func() bool {
		if f.count(0x90) == 0 {
			return false
		}
		f.locked(func() { to = f.listener.String() })
		return true
	})
	return to
}

// eventually waits for something else than an event.
func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	require.Eventually(r.t, holds, time.Minute, time.Millisecond, what)
}

func (r *rig) do(door wire.ID, c driver.Command) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return r.d.Do(ctx, door, c)
}

// often is quick, but looks for what others changed at each turn.
func often() pace {
	p := quick
	p.keep = time.Millisecond
	return p
}
