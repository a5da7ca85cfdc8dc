package uhppote

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/uhppoted/uhppote-core/messages"
	"github.com/uhppoted/uhppote-core/types"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// board is a board and what is known of it. Its goroutine alone uses it, but for what is
// atomic and for doors.
type board struct {
	d      *Driver
	serial uint32
	set    boardSettings
	doors  []*door
	report func(driver.Event)
	wake   chan struct{}

	addr   atomic.Pointer[netip.AddrPort] // nil: not found yet
	online atomic.Bool

	offline bool      // that it is lost has been reported
	first   bool      // its present state has not been reported since it was reached
	again   bool      // it is to be prepared again
	clean   bool      // it did all that makes it decide nothing
	drifted bool      // Drifted is the last that was reported
	keptAt  time.Time // by the clock that only goes forward
	setAt   time.Time // when its clock was set, by that clock
	fire    bool
	trouble uint8 // bits that were last logged: its error, and the input that forces locks
	locked  bool  // the input that forces locks is on
	cursor  cursor
}

func newBoard(d *Driver, serial uint32) *board {
	return &board{d: d, serial: serial, set: d.set.Boards[serial], wake: make(chan struct{}, 1)}
}

// id gives a serial number its type in messages.
func (b *board) id() types.SerialNumber { return types.SerialNumber(b.serial) }

// poke says that there is something to look at.
func (b *board) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// serve keeps a board until the context ends.
func (b *board) serve(ctx context.Context) {
	defer b.online.Store(false)
	b.online.Store(false)
	b.offline, b.first, b.again = false, false, false
	b.cursor = b.load()
	for ctx.Err() == nil {
		wait := b.d.pace.poll
		if b.d.heard.Load() == 0 && b.d.set.PollMS == 0 {
			wait = min(wait, usual.poll)
		}
		if err := b.safely(func() error { return b.turn(ctx) }); err != nil && ctx.Err() == nil {
			b.lost(err)
			wait = b.d.pace.retry
		}
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-time.After(wait):
		}
	}
}

// safely does one thing. A panic in it is an error of the board.
func (b *board) safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the driver could not deal with what the board says")
		}
	}()
	return f()
}

// turn looks at the board once.
func (b *board) turn(ctx context.Context) error {
	look := b.look
	if !b.online.Load() || b.again {
		look = b.reach
	}
	s, err := look(ctx)
	if err != nil {
		return err
	}
	now := b.d.now()
	done, err := b.walk(ctx, &s, now)
	if err != nil {
		return err
	}
	if !done || b.keptAt.IsZero() {
		b.poke()
	}
	if !done {
		return nil
	}
	b.state(&s)
	return b.setClock(ctx, &s, now)
}

// look asks a board how it is, and keeps it as it should be when that is due.
func (b *board) look(ctx context.Context) (s status, err error) {
	if b.keptAt.IsZero() || time.Since(b.keptAt) >= b.d.pace.keep {
		if err := b.keep(ctx); err != nil {
			return s, err
		}
	}
	return b.ask(ctx)
}

func (b *board) ask(ctx context.Context) (status, error) {
	return ask[status](ctx, b, messages.GetStatusRequest{SerialNumber: b.id()})
}

// tell reports an event of each door of the board.
func (b *board) tell(e driver.Event) {
	for _, at := range b.doors {
		e.Door = at.id
		b.report(e)
	}
}

// lost reports that the board does not answer, once.
func (b *board) lost(err error) {
	b.online.Store(false)
	if b.offline {
		return
	}
	b.offline = true
	b.d.log.Warn("uhppote: a board is lost, trying again", "board", b.serial, "err", err)
	b.tell(driver.Event{Kind: driver.Offline})
}

// reach prepares a board and reports it as there. It gives how the board was before that:
// what it kept until then, and how it is, follow at once.
func (b *board) reach(ctx context.Context) (s status, err error) {
	if err := b.find(ctx); err != nil {
		return s, err
	}
	device, err := ask[messages.GetDeviceResponse](ctx, b, messages.GetDeviceRequest{SerialNumber: b.id()})
	if err != nil {
		return s, err
	}
	if b.clean, err = b.prepare(ctx); err != nil {
		return s, err
	}
	if s, err = b.ask(ctx); err != nil {
		return s, err
	}
	if b.cursor.isZero() {
		// Events from before the board was given to us are not ours to tell.
		if err := b.begin(ctx, s.Index); err != nil {
			return s, err
		}
	}
	b.d.log.Info("uhppote: a board is there", "board", b.serial, "address", b.addr.Load().String(), "firmware", device.Version.String())
	b.keptAt, b.offline, b.first, b.again = time.Time{}, false, true, false
	b.online.Store(true)
	b.tell(driver.Event{Kind: driver.Online})
	if !b.clean {
		b.drift(true, "it refused to be cleared")
	}
	return s, nil
}

// state compares the board with what was reported of it.
func (b *board) state(s *status) {
	for _, at := range b.doors {
		open := s.open(at.number)
		if at.contact && (b.first || at.open != open) {
			at.open = open
			b.report(driver.Event{Kind: either(open, driver.Opened, driver.Closed), Door: at.id})
		}
		if at.stray && !s.unlocked(at.number) {
			at.stray = false
			b.report(driver.Event{Kind: driver.Locked, Door: at.id})
		}
	}
	if fire := s.Inputs&inputFire != 0; b.first || fire != b.fire {
		b.fire = fire
		e := driver.Event{Kind: either(fire, driver.Fire, driver.FireOver)}
		if b.d.set.FireBoard == b.serial {
			b.report(e)
		} else {
			b.tell(e)
		}
	}
	if locked := s.Inputs&inputForceLock != 0; locked != b.locked {
		b.locked = locked
		b.d.log.Warn("uhppote: the input that forces the locks has changed; while it is on, no button opens", "board", b.serial, "on", locked)
	}
	if s.Error != b.trouble {
		b.trouble = s.Error
		b.d.log.Warn("uhppote: the board shows another error of its own", "board", b.serial, "error", s.Error)
	}
	b.first = false
}

func either(on bool, yes, no driver.Kind) driver.Kind {
	if on {
		return yes
	}
	return no
}

// setClock sets the clock of a board that is wrong, or whose zone has changed its time.
func (b *board) setClock(ctx context.Context, s *status, now time.Time) error {
	wall := civilOf(now, b.d.set.zone)
	skew := s.clock().Sub(wall.Time)
	if skew.Abs() <= maxSkew || !b.setAt.IsZero() && time.Since(b.setAt) < b.d.pace.keep {
		return nil
	}
	b.setAt = time.Now()
	b.d.log.Warn("uhppote: the clock of a board is set", "board", b.serial, "skew", skew.Round(time.Second).String(), "known", !s.clock().IsZero())
	_, err := ask[messages.SetTimeResponse](ctx, b, setTime{SerialNumber: b.id(), At: civilOf(b.d.now(), b.d.set.zone)})
	return err
}

// source names an event of the board.
func (b *board) source(index uint32) string { return fmt.Sprintf("%d:%d", b.serial, index) }

// door is a door of a board.
type door struct {
	id      wire.ID
	board   *board
	number  uint8
	contact bool
	turn    chan struct{} // held by whoever changes the mode, or looks whether another did

	mode   atomic.Uint32 // as the board was last told, or was found to have; 0: unknown
	delay  atomic.Uint32 // seconds that a release takes, likewise
	orders orders

	open  bool // the leaf, as last reported
	stray bool // it was unlocked by somebody else, and that it locked again is not reported yet
}
