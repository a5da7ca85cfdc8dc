package mqtt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// Do implements driver.Driver. The order is sent once. A device that shows what it does
// confirms it; of one that does not, ErrUnconfirmed says so at once.
func (d *Driver) Do(ctx context.Context, id wire.ID, c driver.Command) error {
	door := d.doors[id]
	if door == nil || id == "" {
		return fmt.Errorf("mqtt: there is no door %q", id)
	}
	release, err := door.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	orders, w, err := d.prepare(door, c)
	if c.Action == driver.Refuse && errors.Is(err, driver.ErrUnsupported) {
		return nil // a device without a lamp does nothing
	}
	if err != nil {
		return err
	}
	defer d.forget(door, w)
	if err := d.tell(ctx, door, orders); err != nil {
		return err
	}
	d.mu.Lock()
	confirm, shows := door.device.confirm, door.device.shows
	d.mu.Unlock()
	switch {
	case c.Action == driver.Refuse && !shows:
		return nil
	case confirm == byNothing:
		return driver.ErrUnconfirmed
	}
	_, err = d.await(ctx, w)
	return err
}

// takeTurn waits until no other order of the door is under way: a device such as a Nuki
// lock takes one at a time, and answers do not say to what.
func (d *door) takeTurn(ctx context.Context) (func(), error) {
	select {
	case d.turn <- struct{}{}:
		return func() { <-d.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("mqtt: door %s is busy with another order: %w", d.id, ctx.Err())
	}
}

// prepare makes the messages of a command, and notes what it will move.
func (d *Driver) prepare(door *door, c driver.Command) ([]order, *waiter, error) {
	w, err := d.expect(door, &waiter{done: make(chan reply, 1)})
	if err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if door.device.order == nil {
		return nil, w, driver.ErrUnsupported
	}
	orders, err := door.device.order(w.id, c)
	if err != nil {
		return nil, w, err
	}
	door.plan(c, w, d.now())
	return orders, w, nil
}

// plan notes where a command moves the bolt, and when it is locked again.
func (d *door) plan(c driver.Command, w *waiter, now time.Time) {
	if c.Action == driver.Refuse {
		return
	}
	w.state = tritOf(c.Action != driver.Lock)
	if _, other := d.orders[opposite[w.state]]; other || d.state[ofBolt] != w.state {
		d.orders[w.state] = now
	} else if d.device.confirm == byState {
		w.tell(reply{id: w.id}) // it is there, and a device tells changes alone
	}
	d.relockAt = time.Time{}
	if c.Action == driver.Release && !d.device.relocks {
		d.relockAt = now.Add(c.For)
	}
}

// expect gives the door a waiter, if its device can be reached.
func (d *Driver) expect(door *door, w *waiter) (*waiter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil || door.device == nil || door.state[ofPresence] != on {
		return nil, driver.ErrOffline
	}
	d.ids++
	w.id = d.settings.ClientID + "-" + strconv.FormatUint(d.ids, 10)
	if w.slot > 0 {
		door.asking = w
	} else {
		door.waiter = w
	}
	return w, nil
}

func (d *Driver) forget(door *door, w *waiter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch w {
	case door.waiter:
		door.waiter = nil
	case door.asking:
		door.asking = nil
	}
}

// tell sends messages to a device, each once.
func (d *Driver) tell(ctx context.Context, door *door, orders []order) error {
	for _, o := range orders {
		d.mu.Lock()
		s := d.session
		d.mu.Unlock()
		if s == nil || ctx.Err() != nil {
			return errors.Join(driver.ErrOffline, ctx.Err())
		}
		switch err := s.send(ctx, o.topic, o.payload, false); {
		case errors.Is(err, paho.ErrNotConnected):
			return driver.ErrOffline
		case err != nil:
			return fmt.Errorf("mqtt: door %s: %w: %w", door.id, driver.ErrUnconfirmed, err)
		}
	}
	return nil
}

// await waits for the confirmation of an order.
func (d *Driver) await(ctx context.Context, w *waiter) (reply, error) {
	select {
	case r := <-w.done:
		switch r.failed {
		case "":
			return r, nil
		case gone:
			return r, fmt.Errorf("%w: it went away", driver.ErrUnconfirmed)
		}
		return r, errors.New("mqtt: " + r.failed)
	case <-ctx.Done():
		return reply{}, fmt.Errorf("%w: %w", driver.ErrUnconfirmed, ctx.Err())
	}
}
