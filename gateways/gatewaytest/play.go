package gatewaytest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
)

// patience bounds every wait.
const patience = time.Minute

// Numbers and PINs of the suite. None of them may stand in a log.
const (
	cardNumber  = "30671984"
	otherNumber = "30671985"
	pin         = "735182"
	slotCode    = "918273"
)

// play is a driver that runs in front of a test.
type play struct {
	Bed
	t   *testing.T
	log lockedBuffer
	end context.CancelFunc
	ran chan error

	mu     sync.Mutex
	events []driver.Event
	seen   int
	ended  bool
	gate   chan struct{}      // report waits until it is closed; nil: it does not wait
	inside func(driver.Event) // called in report
}

// lockedBuffer is written to by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs the driver of a new Bed until the test ends, and waits until it has reached
// the device.
func start(t *testing.T, make Make) *play {
	t.Helper()
	p := &play{t: t, ran: newChan()}
	s := driver.Settings{Now: time.Now, Log: slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	p.Bed = make(t, s)
	var ctx context.Context
	ctx, p.end = context.WithCancel(t.Context())
	before := ours(p.Driver, nil)
	go func() { p.ran <- p.Driver.Run(ctx, p.report) }()
	t.Cleanup(func() {
		p.stop()
		p.checkNothingLeft(before)
		p.checkNoSecrets()
	})
	p.await(driver.Online)
	p.sync()
	return p
}

func newChan() chan error { return make(chan error, 1) }

func (p *play) report(e driver.Event) {
	p.mu.Lock()
	gate, inside := p.gate, p.inside
	p.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if inside != nil {
		inside(e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.False(p.t, p.ended, "an event after Run has returned: %s", kindOf(e))
	p.events = append(p.events, e)
}

// stop ends Run, and waits until it has returned.
func (p *play) stop() {
	p.end()
	select {
	case err := <-p.ran:
		assert.True(p.t, err == nil || strings.Contains(err.Error(), context.Canceled.Error()), "Run ended with %v", err)
		p.ran <- err
	case <-time.After(patience):
		require.Fail(p.t, "Run does not return when its context has ended")
	}
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
}

// until waits for an event, and gives all up to it that no call has given yet.
func (p *play) until(what string, is func(driver.Event) bool) []driver.Event {
	p.t.Helper()
	var out []driver.Event
	require.Eventually(p.t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := p.seen; i < len(p.events); i++ {
			if is(p.events[i]) {
				out = append(out, p.events[p.seen:i+1]...)
				p.seen = i + 1
				return true
			}
		}
		return false
	}, patience, time.Millisecond, "the driver does not report %s", what)
	return out
}

// await waits for an event of a kind.
func (p *play) await(kind driver.Kind) driver.Event {
	p.t.Helper()
	all := p.until(name(kind), func(e driver.Event) bool { return e.Kind == kind })
	e := all[len(all)-1]
	assert.True(p.t, e.Door == p.Door || e.Door == "" && (kind == driver.Fire || kind == driver.FireOver), "the door of %s", kindOf(e))
	return e
}

// sync waits until all that the device has told is reported, and gives it without what
// only marks the end. That is done by hand, by something that cannot be old.
func (p *play) sync() []driver.Event {
	p.t.Helper()
	kind := driver.ExitRequested
	switch d := p.Device; {
	case d.Press != nil:
		d.Press()
	case d.Show != nil:
		kind = driver.Read
		d.Show(unlock.In, otherNumber)
	case d.Code != nil:
		kind = driver.Unlocked
		d.Code(1)
	case d.Key != nil:
		kind = driver.Unlocked
		d.Key(true)
	case d.Open != nil:
		kind = driver.Closed
		d.Open()
		d.Close()
	default:
		require.Fail(p.t, "a device without anything to tell is none")
	}
	all := p.until("a mark of the suite", func(e driver.Event) bool {
		return e.Kind == kind && (kind != driver.Read || e.Shown.Number == otherNumber)
	})
	out := all[:len(all)-1]
	if kind == driver.Closed && len(out) > 0 && out[len(out)-1].Kind == driver.Opened {
		out = out[:len(out)-1]
	}
	return out
}

// kinds lists the kinds of events.
func kinds(events []driver.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, name(e.Kind))
	}
	return out
}

// only keeps the events of some kinds.
func only(events []driver.Event, some ...driver.Kind) (out []driver.Event) {
	for _, e := range events {
		for _, kind := range some {
			if e.Kind == kind {
				out = append(out, e)
			}
		}
	}
	return out
}

var names = map[driver.Kind]string{
	driver.Read: "Read", driver.ExitRequested: "ExitRequested", driver.Opened: "Opened", driver.Closed: "Closed", driver.Unlocked: "Unlocked",
	driver.Locked: "Locked", driver.Fire: "Fire", driver.FireOver: "FireOver", driver.Tampered: "Tampered", driver.TamperOver: "TamperOver",
	driver.BatteryLow: "BatteryLow", driver.BatteryGood: "BatteryGood", driver.Online: "Online", driver.Offline: "Offline", driver.Missed: "Missed",
	driver.Drifted: "Drifted", driver.Mended: "Mended",
}

func name(k driver.Kind) string {
	if n := names[k]; n != "" {
		return n
	}
	return fmt.Sprintf("kind %d", k)
}

func kindOf(e driver.Event) string { return fmt.Sprintf("%s at the door %q", name(e.Kind), e.Door) }

// do gives a command within the patience of the suite.
func (p *play) do(c driver.Command) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	return p.Driver.Do(ctx, p.Door, c)
}

// doConfirmed gives a command that has to succeed, as far as the device tells.
func (p *play) doConfirmed(c driver.Command) {
	p.t.Helper()
	if err := p.do(c); p.has(Confirms) {
		require.NoError(p.t, err)
	} else {
		require.ErrorIs(p.t, err, driver.ErrUnconfirmed)
	}
}

// told waits until a number of commands of some kind has reached the device, and gives
// the last of them.
func (p *play) told(action driver.Action, n int) driver.Command {
	p.t.Helper()
	var last driver.Command
	count := func() int {
		n := 0
		for _, c := range p.Device.Told() {
			if c.Action == action {
				last, n = c, n+1
			}
		}
		return n
	}
	if !p.has(Confirms) {
		require.Eventually(p.t, func() bool { return count() >= n }, patience, time.Millisecond)
	}
	require.Equal(p.t, n, count(), "how often the device was told action %d", action)
	return last
}

// checkNoSecrets looks for numbers and codes in what was logged.
func (p *play) checkNoSecrets() {
	for _, secret := range []string{cardNumber, otherNumber, pin, slotCode} {
		assert.NotContains(p.t, p.log.String(), secret, "a log has nothing of a card number or a PIN")
	}
}

// checkNothingLeft waits until no goroutine of the driver is left.
func (p *play) checkNothingLeft(before map[string]bool) {
	var left map[string]bool
	if !assert.Eventually(p.t, func() bool { left = ours(p.Driver, before); return len(left) == 0 }, patience, time.Millisecond) {
		for stack := range left {
			p.t.Errorf("a goroutine is left after Run has returned:\n%s", stack)
		}
	}
}

// ours gives the stacks of the goroutines of a driver's package. Those of its tests are
// left out, and those known before.
func ours(d driver.Driver, before map[string]bool) map[string]bool {
	typ := reflect.TypeOf(d)
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	out := map[string]bool{}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		id, _, _ := strings.Cut(stack, " [")
		if strings.Contains(stack, typ.PkgPath()+".") && !strings.Contains(stack, "_test.go:") && !before[id] {
			if before == nil {
				stack = id
			}
			out[stack] = true
		}
	}
	return out
}
