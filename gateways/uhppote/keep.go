package uhppote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uhppoted/uhppote-core/messages"
	"github.com/uhppoted/uhppote-core/types"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// prepare makes the board one that decides nothing: the host does, and nothing in the board
// opens by itself. It reports whether all of that was done.
func (b *board) prepare(ctx context.Context) (clean bool, err error) {
	if err := b.decide(ctx); err != nil {
		return false, err
	}
	clean = true
	for _, one := range []struct {
		what  string
		clear func(context.Context) (bool, error)
	}{{"record doors and buttons", b.recordAll}, {"turn its keypads off", b.clearKeypads}, {"clear its tasks", b.clearTasks}, {"clear its codes", b.clearCodes}} {
		done, err := one.clear(ctx)
		if err != nil && (ctx.Err() != nil || !errors.Is(err, driver.ErrUnconfirmed)) {
			return false, err
		}
		if !done || err != nil { // a firmware without the function says nothing
			b.d.log.Error("uhppote: a board does not do what it is told", "board", b.serial, "what", one.what, "err", err)
			clean = false
		}
	}
	for _, at := range b.doors {
		mode, err := ask[messages.GetDoorControlStateResponse](ctx, b, messages.GetDoorControlStateRequest{SerialNumber: b.id(), Door: at.number})
		if err != nil {
			return false, err
		}
		at.mode.Store(uint32(mode.ControlState))
		at.delay.Store(uint32(mode.Delay))
	}
	return clean, nil
}

func (b *board) recordAll(ctx context.Context) (bool, error) {
	answer, err := ask[messages.RecordSpecialEventsResponse](ctx, b, messages.RecordSpecialEventsRequest{SerialNumber: b.id(), Enable: true})
	return answer.Succeeded, err
}

func (b *board) clearKeypads(ctx context.Context) (bool, error) {
	answer, err := ask[messages.ActivateAccessKeypadsResponse](ctx, b, messages.ActivateAccessKeypadsRequest{SerialNumber: b.id()})
	return answer.Succeeded, err
}

// clearTasks clears the list by which a board changes the modes of its doors.
func (b *board) clearTasks(ctx context.Context) (bool, error) {
	cleared, err := ask[messages.ClearTaskListResponse](ctx, b, messages.ClearTaskListRequest{SerialNumber: b.id(), MagicWord: magic})
	if err != nil || !cleared.Succeeded {
		return false, err
	}
	answer, err := ask[messages.RefreshTaskListResponse](ctx, b, messages.RefreshTaskListRequest{SerialNumber: b.id(), MagicWord: magic})
	return answer.Refreshed, err
}

// decide makes the host decide, or go on deciding.
func (b *board) decide(ctx context.Context) error {
	answer, err := ask[messages.SetPCControlResponse](ctx, b, messages.SetPCControlRequest{SerialNumber: b.id(), MagicWord: magic, Enable: true})
	if err == nil && !answer.Succeeded {
		err = errors.New("the board does not let the host decide")
	}
	return err
}

// clearCodes clears the codes that open whatever else holds. A board does not tell which it
// has.
func (b *board) clearCodes(ctx context.Context) (done bool, err error) {
	done = true
	for _, at := range b.doors {
		answer, err := ask[messages.SetDoorPasscodesResponse](ctx, b, messages.SetDoorPasscodesRequest{SerialNumber: b.id(), Door: at.number})
		if err != nil {
			return false, err
		}
		done = done && answer.Succeeded
	}
	return done, nil
}

// keep keeps the host deciding, and looks whether anybody else has changed the board.
func (b *board) keep(ctx context.Context) error {
	if err := b.decide(ctx); err != nil {
		return err
	}
	if err := b.keepListener(ctx); err != nil {
		return err
	}
	for _, at := range b.doors {
		if err := at.keepMode(ctx); err != nil {
			return err
		}
	}
	if err := b.keepEmpty(ctx); err != nil {
		return err
	}
	b.keptAt = time.Now()
	return nil
}

// keepEmpty clears the table of cards, if there are any.
func (b *board) keepEmpty(ctx context.Context) error {
	count := func() (uint32, error) {
		answer, err := ask[messages.GetCardsResponse](ctx, b, messages.GetCardsRequest{SerialNumber: b.id()})
		return answer.Records, err
	}
	held, err := count()
	if err == nil && held > 0 {
		b.drift(true, fmt.Sprintf("it holds %d cards", held))
		if _, err = ask[messages.DeleteCardsResponse](ctx, b, messages.DeleteCardsRequest{SerialNumber: b.id(), MagicWord: magic}); err == nil {
			held, err = count()
		}
	}
	if err == nil && held == 0 && b.clean {
		b.drift(false, "")
	}
	return err // what is left is tried again soon
}

// drift reports whether the board holds what it should not.
func (b *board) drift(is bool, why string) {
	if is == b.drifted {
		return
	}
	b.drifted = is
	if is {
		b.d.log.Warn("uhppote: a board holds what nobody here gave it", "board", b.serial, "why", why)
	}
	b.tell(driver.Event{Kind: either(is, driver.Drifted, driver.Mended)})
}

// keepListener makes the board push to this machine, if it listens.
func (b *board) keepListener(ctx context.Context) error {
	if b.d.heard.Load() == 0 {
		return nil
	}
	to, err := b.pushTo()
	if err != nil {
		return err
	}
	answer, err := ask[messages.GetListenerResponse](ctx, b, messages.GetListenerRequest{SerialNumber: b.id()})
	if err != nil || answer.AddrPort == to && answer.Interval == 0 {
		return err
	}
	b.d.log.Info("uhppote: the board is told where to push its events", "board", b.serial, "to", to.String(), "before", answer.AddrPort.String())
	_, err = ask[messages.SetListenerResponse](ctx, b, messages.SetListenerRequest{SerialNumber: b.id(), AddrPort: to})
	return err
}

// keepMode looks whether somebody else changed the mode of a door, and puts it back. It
// keeps no order waiting for that look, so it looks again where the mode is another. A door
// that is being told something is left for the next time.
func (at *door) keepMode(ctx context.Context) error {
	b := at.board
	look := func() (mode, wanted uint8, err error) {
		found, err := ask[messages.GetDoorControlStateResponse](ctx, b, messages.GetDoorControlStateRequest{SerialNumber: b.id(), Door: at.number})
		return found.ControlState, uint8(at.mode.Load()), err
	}
	if mode, wanted, err := look(); err != nil || mode == wanted {
		return err
	}
	select {
	case at.turn <- struct{}{}:
		defer func() { <-at.turn }()
	default:
		return nil
	}
	mode, wanted, err := look()
	if err != nil || mode == wanted {
		return err
	}
	b.d.log.Warn("uhppote: somebody else has changed the mode of a door", "board", b.serial, "door", at.id, "mode", mode, "wanted", wanted)
	b.report(driver.Event{Kind: driver.Drifted, Door: at.id})
	if mode == normallyOpen {
		b.report(driver.Event{Kind: driver.Unlocked, Door: at.id, HowKnown: wire.KnownClaimed})
		at.stray = true
	}
	if err := at.setMode(ctx, wanted, uint8(at.delay.Load())); err != nil {
		return err
	}
	if !b.drifted {
		b.report(driver.Event{Kind: driver.Mended, Door: at.id})
	}
	return nil
}

// release opens a door for a moment, as long as it is told to in whole seconds. The order
// is sent once.
func (at *door) release(ctx context.Context, hold time.Duration) error {
	seconds := uint8(min(max((hold+time.Second-1)/time.Second, 1), 255))
	if mode := at.mode.Load(); at.delay.Load() != uint32(seconds) || mode != controlled && mode != normallyOpen {
		if err := at.control(ctx, uint8(mode), seconds); err != nil {
			return err
		}
	}
	at.orders.add(at.board.d.now())
	answer, err := once[messages.OpenDoorResponse](ctx, at.board, messages.OpenDoorRequest{SerialNumber: at.board.id(), Door: at.number}, at.board.d.pace.confirm)
	switch {
	case errors.Is(err, errUnread):
		return fmt.Errorf("%w: %w", driver.ErrUnconfirmed, err)
	case err == nil && !answer.Succeeded:
		return errors.New("the board refuses to open")
	}
	return err
}

// control tells a door its mode, and how long a release takes; 0: as before. A door that no
// button would open is never left so.
func (at *door) control(ctx context.Context, mode, seconds uint8) error {
	if mode != normallyOpen {
		mode = controlled
	}
	if seconds == 0 {
		seconds = uint8(at.delay.Load())
	}
	return at.setMode(ctx, mode, seconds)
}

func (at *door) setMode(ctx context.Context, mode, seconds uint8) error {
	b := at.board
	answer, err := ask[messages.SetDoorControlStateResponse](ctx, b, messages.SetDoorControlStateRequest{
		SerialNumber: types.SerialNumber(b.serial), Door: at.number, ControlState: mode, Delay: seconds})
	if err != nil {
		return err
	}
	if answer.Door != at.number || answer.ControlState != mode {
		return fmt.Errorf("the board has the mode %d, not %d", answer.ControlState, mode)
	}
	at.mode.Store(uint32(mode))
	at.delay.Store(uint32(answer.Delay))
	return nil
}
