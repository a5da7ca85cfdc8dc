package mqtt

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// slots are the places for codes of a device. The device answers either commands of our
// own form, or a question for each slot.
type slots struct {
	room  uint32
	own   func(ownCommand) ([]order, error)
	read  func(slot uint32) order
	write func(slot uint32, code string) order
}

// perSlot is how long a device is given to tell what a slot holds. Battery locks sleep
// for some seconds.
const perSlot = 10 * time.Second

// askAgain is how soon a slot is asked about again that holds something else.
const askAgain = 500 * time.Millisecond

// Room implements driver.Keeper. It is none where the settings name no slots.
func (d *Driver) Room(id wire.ID) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if door := d.doors[id]; door != nil && door.device != nil && door.device.slots != nil {
		return door.device.slots.room
	}
	return 0
}

// Slots implements driver.Keeper. It asks the device, slot by slot where that has no
// question for all; one slot that is not answered fails it, for what is not known is not
// empty. No order waits for the answers about slots: a battery lock takes minutes.
func (d *Driver) Slots(ctx context.Context, id wire.ID) ([]driver.Slot, error) {
	door, s, release, err := d.keeper(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.own != nil {
		defer release()
		r, err := d.command(ctx, door, s, ownCommand{Action: "slots"})
		return r.slots, err
	}
	release()
	var out []driver.Slot
	for slot := uint32(1); slot <= s.room; slot++ {
		h, err := d.readSlot(ctx, door, s, slot, nil)
		if err != nil {
			return nil, fmt.Errorf("mqtt: door %s: read slot %d of %d: %w", id, slot, s.room, err)
		}
		if h.used {
			out = append(out, driver.Slot{Number: slot, Code: h.code})
		}
	}
	return out, nil
}

// Keep implements driver.Keeper. It returns once the device has told that the slot holds
// the code, or ErrUnconfirmed.
func (d *Driver) Keep(ctx context.Context, id wire.ID, slot uint32, code string) error {
	door, s, release, err := d.keeper(ctx, id)
	if err != nil {
		return err
	}
	release = sync.OnceFunc(release)
	defer release()
	if slot == 0 || slot > s.room {
		return fmt.Errorf("mqtt: door %s has slots 1 to %d, not %d", id, s.room, slot)
	}
	if len(code) > 16 || strings.Trim(code, "0123456789") != "" {
		return fmt.Errorf("mqtt: door %s: a code has at most 16 digits and nothing else", id)
	}
	if s.own != nil {
		_, err := d.command(ctx, door, s, ownCommand{Action: "keep", Slot: slot, Code: code})
		return err
	}
	if err := d.tell(ctx, door, []order{s.write(slot, code)}); err != nil {
		return err
	}
	release()
	// Other messages may repeat what the slot held before, so the first answer that differs
	// proves nothing.
	wanted := func(h held) bool { return h.used == (code != "") && (h.code == "" || h.code == code) }
	if _, err := d.readSlot(ctx, door, s, slot, wanted); err != nil {
		return fmt.Errorf("mqtt: door %s: slot %d was written: %w", id, slot, err)
	}
	return nil
}

// keeper takes a door's turn for work on its slots.
func (d *Driver) keeper(ctx context.Context, id wire.ID) (*door, *slots, func(), error) {
	door := d.doors[id]
	if door == nil {
		return nil, nil, nil, fmt.Errorf("mqtt: there is no door %s", id)
	}
	release, err := door.takeTurn(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case door.device == nil:
		err = driver.ErrOffline
	case door.device.slots == nil:
		err = driver.ErrUnsupported
	}
	if err != nil {
		release()
		return nil, nil, nil, err
	}
	return door, door.device.slots, release, nil
}

// command sends a command of our own form and waits for its answer.
func (d *Driver) command(ctx context.Context, door *door, s *slots, c ownCommand) (reply, error) {
	w, err := d.expect(door, &waiter{done: make(chan reply, 1)})
	if err != nil {
		return reply{}, err
	}
	defer d.forget(door, w)
	c.ID = w.id
	orders, err := s.own(c)
	if err != nil {
		return reply{}, err
	}
	if err := d.tell(ctx, door, orders); err != nil {
		return reply{}, err
	}
	return d.await(ctx, w)
}

// readSlot asks what a slot holds until an answer is as wanted; nil wants any. It asks
// again, because a bridge may ask the lock before it has written.
func (d *Driver) readSlot(ctx context.Context, door *door, s *slots, slot uint32, wanted func(held) bool) (held, error) {
	w, err := d.expect(door, &waiter{slot: slot, held: make(chan held, 16)})
	if err != nil {
		return held{}, err
	}
	defer d.forget(door, w)
	ctx, cancel := context.WithTimeout(ctx, perSlot)
	defer cancel()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	differs := ""
	for ask := true; ; {
		if ask {
			if err := d.tell(ctx, door, []order{s.read(slot)}); err != nil {
				return held{}, err
			}
		}
		select {
		case h := <-w.held:
			if wanted == nil || wanted(h) {
				return h, nil
			}
			ask, differs = false, ", and holds something else"
		case <-again.C:
			ask = differs != ""
		case <-ctx.Done():
			return held{}, fmt.Errorf("%w%s: %w", driver.ErrUnconfirmed, differs, ctx.Err())
		}
	}
}
