package edge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/gateways/driver"
	"gatehouse/gateways/edge/door"
	"gatehouse/schemas/wire"
)

// # Commands
//
// The commands of a door are carried out one after the other in their order, each door by
// itself. A release that waited for longer than anybody stands at a door is not carried
// out. In a fire nothing is waited for: the command to unlock is given as soon as a driver
// reports the fire, in the driver's goroutine, takes the place of all that waits, and ends
// what the device is doing. The engine may be held up by a disk meanwhile; it hears of the
// fire behind that, and its own command is then the same one.

const (
	// commandTime is how long a device may take for a command.
	commandTime = 10 * time.Second
	// commandsWaiting bounds what a door has still to do.
	commandsWaiting = 64
)

// errand is a command that waits for its device.
type errand struct {
	door.Command
	given time.Duration // by the boot time
	ahead bool          // of the engine, which does not wait for the result
}

// hand is what the device of a door is doing. It is safe for concurrent use.
type hand struct {
	errands     chan errand
	fireRelease atomic.Bool

	mu     sync.Mutex // guards the fields below
	action driver.Action
	cancel context.CancelFunc
}

func newHand() *hand { return &hand{errands: make(chan errand, commandsWaiting)} }

// begin notes what the device begins to do, and end that it has done so.
func (h *hand) begin(a driver.Action, cancel context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.action, h.cancel = a, cancel
}

func (h *hand) end() { h.begin(0, func() {}) }

// clear ends what the device does, but for unlocking, and takes what waits.
func (h *hand) clear() (waited []errand) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		select {
		case c := <-h.errands:
			waited = append(waited, c)
			continue
		default:
		}
		if h.cancel != nil && h.action != driver.Unlock {
			h.cancel()
		}
		return waited
	}
}

// command gives a command to the worker of the door. A device that is that far behind is
// as good as lost.
func (e *engine) command(d *doorState, c door.Command) {
	if c.Action == driver.Unlock && d.machine.Mode() == door.Burning {
		e.clear(d)
	}
	select {
	case d.errands <- errand{Command: c, given: e.g.clock.boot()}:
	default:
		e.result(d, c, driver.ErrOffline)
	}
}

// clear drops what waits at a door. Nobody will know whether somebody passed for whom it
// was to be released.
func (e *engine) clear(d *doorState) {
	for _, c := range d.clear() {
		if c.Action == driver.Release {
			e.result(d, c.Command, driver.ErrUnconfirmed)
		}
	}
}

// result tells the engine what became of a command, from its own goroutine too.
func (e *engine) result(d *doorState, c door.Command, err error) {
	select {
	case e.results <- result{d, c, err}:
	default: // nobody is told that the device did nothing, and nobody learns that it did
	}
}

// fire unlocks the doors at which a fire is reported and that it releases; no door: all.
func (e *engine) fire(at wire.ID) {
	for _, id := range e.ids {
		d := e.doors[id]
		if at != "" && at != id || !d.fireRelease.Load() {
			continue
		}
		e.clear(d)
		select {
		case d.errands <- errand{Command: door.Command{Command: driver.Command{Action: driver.Unlock}}, given: e.g.clock.boot(), ahead: true}:
		default: // the engine gives it too
		}
	}
}

// work carries out the commands of one door, one after the other.
func (e *engine) work(ctx context.Context, d *doorState) error {
	ahead := time.Duration(-1) // when the device unlocked ahead of the engine
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-d.errands:
			var err error
			if same := c.Action == driver.Unlock && ahead >= 0 && e.g.clock.boot()-ahead < commandTime; !same || c.ahead {
				err = e.carryOut(ctx, d, c)
			}
			ahead = -1
			if c.ahead {
				if err == nil {
					ahead = e.g.clock.boot()
				}
				continue
			}
			select {
			case e.results <- result{d, c.Command, err}:
			case <-ctx.Done():
			}
		}
	}
}

// carryOut makes the device do something.
func (e *engine) carryOut(ctx context.Context, d *doorState, c errand) error {
	if c.Action == driver.Release && e.g.clock.boot()-c.given > lateRead {
		return driver.ErrOffline // it would open to nobody
	}
	doing, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	d.begin(c.Action, cancel)
	defer d.end()
	_, err := e.g.try("driver", func() error { return d.door.Driver.Do(doing, d.id, c.Command.Command) })
	return err
}
