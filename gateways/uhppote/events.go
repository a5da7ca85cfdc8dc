package uhppote

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/uhppoted/uhppote-core/messages"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

const (
	// perTurn is how many events are read before the board is looked after again.
	perTurn = 256
	// ownOpen is how far a remote opening may be from an order of ours to be its effect.
	ownOpen = 10 * time.Second
	// maxOrders is how many orders of a door are remembered.
	maxOrders = 16
)

// The reasons of events. Those up to lastOfCards are of a card that was shown.
const (
	reasonHostDecides = 5
	lastOfCards       = 18
	reasonButton      = 20
	reasonOpened      = 23
	reasonClosed      = 24
	reasonPasscode    = 25
	reasonPowerOn     = 28
	reasonReset       = 29
	reasonButtonBad   = 31 // up to 33: the input that forces locks, not on line, the interlock
	reasonThreat      = 34
	reasonRemote      = 44
	reasonRemoteUSB   = 45
)

// event reads an event by its index; 0 is the first that is kept.
func (b *board) event(ctx context.Context, index uint32) (boardEvent, error) {
	return ask[boardEvent](ctx, b, messages.GetEventRequest{SerialNumber: b.id(), Index: index})
}

// walk reports the events up to that of a status. It reports whether that is all.
func (b *board) walk(ctx context.Context, s *status, now time.Time) (done bool, err error) {
	before := b.cursor
	defer func() {
		if b.cursor != before {
			b.save()
		}
	}()
	if err := b.sameIndex(ctx, s); err != nil {
		return false, err
	}
	for range perTurn {
		if b.cursor.Index == s.Index {
			return true, nil
		}
		next := b.cursor.Index + 1
		e, err := b.event(ctx, next)
		if err != nil {
			return false, err
		}
		if e.Type == overwritten || e.Index != next {
			if err := b.gap(ctx, next, s.Index); err != nil {
				return false, err
			}
			continue
		}
		at := instant(e.At, s.clock(), now, b.d.set.zone)
		b.cursor = cursorOf(&e)
		b.happened(&e, at)
		if e.Reason == reasonPowerOn || e.Reason == reasonReset {
			b.d.log.Warn("uhppote: a board has started again", "board", b.serial)
			b.again = true
			return false, nil
		}
	}
	return b.cursor.Index == s.Index, nil
}

// sameIndex finds out whether the board still counts as it did. After a reset it begins
// with 1 again, and nobody knows what was lost.
func (b *board) sameIndex(ctx context.Context, s *status) error {
	same := b.cursor.Index <= s.Index
	if same && b.first && b.cursor.Print != "" {
		e, err := b.event(ctx, b.cursor.Index)
		if err != nil {
			return err
		}
		same = e.Type == overwritten || e.Index != b.cursor.Index || cursorOf(&e) == b.cursor
	}
	if !same {
		b.d.log.Warn("uhppote: a board counts its events again", "board", b.serial, "before", b.cursor.Index, "now", s.Index)
		b.tell(driver.Event{Kind: driver.Missed})
		b.cursor = cursor{Known: true}
	}
	return nil
}

// gap skips events that the board no longer has, up to the first that it has.
func (b *board) gap(ctx context.Context, next, last uint32) error {
	first, err := b.event(ctx, 0)
	if err != nil {
		return err
	}
	to := first.Index
	if to <= next || to > last {
		to = last + 1
	}
	b.tell(driver.Event{Kind: driver.Missed, Count: uint64(to - next)})
	b.cursor = cursor{Known: true, Index: to - 1}
	return nil
}

// happened reports one event.
func (b *board) happened(e *boardEvent, at time.Time) {
	var door *door
	for _, one := range b.doors {
		if one.number == e.Door {
			door = one
		}
	}
	if door == nil {
		return
	}
	out := driver.Event{Door: door.id, At: at, Source: b.source(e.Index)}
	switch {
	case e.Reason >= 1 && e.Reason <= lastOfCards:
		b.card(door, e, out)
	case e.Reason == reasonButton:
		out.Kind, out.Side, out.Method = driver.ExitRequested, unlock.Out, wire.MethodRequestToExit
		b.report(out)
	case e.Reason == reasonOpened || e.Reason == reasonClosed:
		if door.contact {
			door.open = e.Reason == reasonOpened
			out.Kind = either(door.open, driver.Opened, driver.Closed)
			b.report(out)
		}
	case e.Reason == reasonPasscode:
		b.byItself(door, wire.MethodPin, out)
	case e.Reason == reasonRemote && door.orders.take(at):
	case e.Reason == reasonRemote || e.Reason == reasonRemoteUSB:
		b.d.log.Warn("uhppote: somebody else has opened a door over the network", "board", b.serial, "door", door.id, "event", e.Index)
		out.Kind, out.HowKnown = driver.Unlocked, wire.KnownClaimed
		door.stray = true
		b.report(out)
	case e.Reason >= reasonButtonBad && e.Reason <= reasonThreat:
		b.d.log.Warn("uhppote: the board tells of a button that did not open, or of a threat", "board", b.serial, "door", door.id, "reason", e.Reason)
	}
}

// card reports that somebody showed a card. Where the host decides, the board asks by
// refusing; else it has refused by itself, for the host was silent, or even has let in.
func (b *board) card(door *door, e *boardEvent, out driver.Event) {
	if e.Granted == 1 && door.mode.Load() != normallyOpen {
		b.byItself(door, wire.MethodCard, out)
		return
	}
	out.Kind, out.Method, out.Side = driver.Read, wire.MethodCard, unlock.In
	if e.Direction == 2 {
		out.Side = unlock.Out
	}
	out.Refused = e.Granted != 1 && e.Reason != reasonHostDecides
	out.Shown = shown(b.d.set.Format, e.Card)
	b.report(out)
}

// byItself reports that the board let somebody in without asking. The card or code that it
// should not have is cleared at once.
func (b *board) byItself(door *door, method wire.Method, out driver.Event) {
	out.Kind, out.Method, out.HowKnown = driver.Unlocked, method, wire.KnownClaimed
	door.stray = true
	b.report(out)
	b.drift(true, "it let somebody in by itself")
	b.again = true
}

// shown is the number of a card in the form of its format. A board gives 32 bits. Of a card
// of 26 bits these are three digits of the facility code and five of the number.
func shown(format string, card uint32) driver.Shown {
	out := driver.Shown{Format: format, Number: strconv.FormatUint(uint64(card), 10)}
	if card == 0 || card == 1<<32-1 || card == 1<<24-1 {
		return driver.Shown{Fault: unlock.WrongCardFormat} // the numbers that a board has for none
	}
	switch format {
	case "wiegand26":
		out.Number = fmt.Sprintf("%d-%d", card/100_000, card%100_000)
	case "wiegand34":
		out.Number = fmt.Sprintf("%d-%d", card>>16, card&0xffff)
	case "uid":
		out.Number = fmt.Sprintf("%08X", card)
	}
	return out
}

// orders are the releases that were sent to a door and have not been seen among its events.
type orders struct {
	mu   sync.Mutex
	sent []time.Time
}

func (o *orders) add(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sent) == maxOrders {
		o.sent = o.sent[1:]
	}
	o.sent = append(o.sent, at)
}

// take reports whether an opening is the effect of an order, which then explains no other.
func (o *orders) take(at time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, sent := range o.sent {
		if at.Sub(sent).Abs() <= ownOpen {
			o.sent = append(o.sent[:i], o.sent[i+1:]...)
			return true
		}
	}
	return false
}
