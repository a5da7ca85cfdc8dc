package mqtt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gatehouse/gateways/driver"
)

// keepConnected keeps a session until the context ends.
func (d *Driver) keepConnected(ctx context.Context) {
	retry := firstRetry
	for {
		began := time.Now()
		err := d.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > lastRetry {
			retry = firstRetry
		}
		d.log.Warn("mqtt: no connection to the broker, trying again", "broker", d.settings.address, "in", retry.String(), "err", err)
		d.lose()
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry/2 + rand.N(retry)):
		}
		retry = min(2*retry, lastRetry)
	}
}

// lose reports every door as lost, for nothing is known of any.
func (d *Driver) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session = nil
	for _, door := range d.doors {
		door.present(false, d.now())
	}
	d.poke()
}

// serve connects, and works until the session is lost or the context ends.
func (d *Driver) serve(ctx context.Context) error {
	s, err := d.settings.connect(ctx, d.take)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.session = s
	clear(d.granted)
	for _, door := range d.doors {
		door.ask()
	}
	d.mu.Unlock()
	defer d.leave(ctx, s)
	if err := d.subscribe(ctx, s); err != nil {
		return err
	}
	if topic := d.settings.StatusTopic; topic != "" {
		if err := s.send(ctx, topic, "online", true); err != nil {
			return err
		}
	}
	d.log.Info("mqtt: connected", "broker", d.settings.address)
	secondLook := time.After(secondLook)
	graceOver := time.After(grace)
	again := time.NewTicker(retryRefused)
	defer again.Stop()
	due := time.NewTicker(tick)
	defer due.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case err = <-s.lost:
			return fmt.Errorf("mqtt: the connection ended: %w", err)
		case <-secondLook:
			d.forgetGranted()
			err = d.subscribe(ctx, s)
		case <-graceOver:
			d.settle()
		case <-d.changed:
			err = d.subscribe(ctx, s)
		case <-again.C:
			err = d.subscribe(ctx, s)
		case <-due.C:
			d.relock(ctx, false)
			err = d.askStates(ctx, s)
		}
		if err != nil {
			return err
		}
	}
}

// leave ends a session: doors that the driver would have locked again are locked now.
func (d *Driver) leave(ctx context.Context, s *session) {
	if ctx.Err() != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		d.relock(ctx, true)
	}
	d.mu.Lock()
	d.session = nil
	d.mu.Unlock()
	s.leave(ctx, d.settings.StatusTopic)
}

// subscribe subscribes to what is missing. A door with a refused topic is not there; one
// whose device does not publish whether it is there is there from now on.
func (d *Driver) subscribe(ctx context.Context, s *session) error {
	d.mu.Lock()
	var missing []string
	for _, topic := range d.topics() {
		if !d.granted[topic] {
			missing = append(missing, topic)
		}
	}
	d.mu.Unlock()
	refused, err := s.subscribe(ctx, missing)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, topic := range refused {
		if _, known := d.granted[topic]; !known {
			d.log.Error("mqtt: the broker refuses a subscription; let the gateway's user read the topic", "topic", topic)
		}
	}
	for _, topic := range missing {
		d.granted[topic] = !slices.Contains(refused, topic)
	}
	for _, door := range d.doors {
		if door.device == nil {
			continue
		}
		door.heard = tritOf(d.hears(door))
		if door.heard == off || !door.device.reports || door.says != unknown {
			door.present(door.says == on || !door.device.reports, d.now())
		}
	}
	d.poke()
	return nil
}

// forgetGranted makes the next subscribe ask for everything once more.
func (d *Driver) forgetGranted() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for topic, granted := range d.granted {
		if granted {
			delete(d.granted, topic)
		}
	}
}

// topics lists what is to be subscribed to, sorted.
func (d *Driver) topics() []string {
	out := d.found.filters()
	for _, door := range d.doors {
		if door.device == nil {
			continue
		}
		out = append(out, door.device.filters()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hears reports whether the broker grants each topic of a door.
func (d *Driver) hears(door *door) bool {
	return !slices.ContainsFunc(door.device.filters(), func(filter string) bool { return !d.granted[filter] })
}

// settle decides about the doors that have not said whether they are there.
func (d *Driver) settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, door := range d.doors {
		door.waited = true
		switch {
		case door.state[ofPresence] != unknown:
		case door.device == nil:
			door.present(false, d.now())
		default:
			door.judge(false, d.now())
		}
	}
	d.poke()
}

// take takes a message of the broker. A message that cannot be read is told of by its
// topic alone, for it may hold a card number.
func (d *Driver) take(m message) {
	defer func() {
		if r := recover(); r != nil {
			d.log.Error("mqtt: a message was left out, reading it failed", "topic", m.topic)
		}
	}()
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.poke()
	if d.found.owns(m.topic) {
		d.learn(m)
		return
	}
	for _, door := range d.doors {
		if door.device == nil {
			continue
		}
		var facts []fact
		for _, read := range door.device.feeds[m.topic] {
			more, err := read(m)
			if err != nil {
				d.log.Warn("mqtt: a message was left out", "door", string(door.id), "topic", m.topic, "err", err)
				continue
			}
			facts = append(facts, more...)
		}
		door.take(m, facts, d.now())
	}
}

// learn takes the description of a device, and makes the doors again that name it.
func (d *Driver) learn(m message) {
	changed, err := d.found.take(m)
	if err != nil {
		d.log.Warn("mqtt: a description of a device was left out", "topic", m.topic, "err", err)
		return
	}
	for id, door := range d.doors {
		if !d.plans[id].names(changed) {
			continue
		}
		was := door.device
		if door.device = d.plans[id].device(d.found); door.device == nil {
			if was != nil {
				door.present(false, d.now())
			}
			continue
		}
		// Subscribing again brings what is retained: whether it is there, and its state.
		for _, filter := range door.device.filters() {
			delete(d.granted, filter)
		}
		door.ask()
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Discovered lists what described itself on the broker, sorted by id.
func (d *Driver) Discovered() []Discovered {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.found.list()
}

// askStates asks the devices that have come back for their states.
func (d *Driver) askStates(ctx context.Context, s *session) error {
	d.mu.Lock()
	var asks []order
	for _, door := range d.doors {
		if door.device != nil && door.state[ofPresence] == on && !door.asked {
			door.asked = true
			asks = append(asks, door.device.asks...)
		}
	}
	d.mu.Unlock()
	for _, o := range asks {
		if err := s.send(ctx, o.topic, o.payload, false); err != nil {
			return err
		}
	}
	return nil
}

// relock locks the doors whose release is over; all: also those where it is not.
func (d *Driver) relock(ctx context.Context, all bool) {
	d.mu.Lock()
	var doors []*door
	for _, door := range d.doors {
		if !door.relockAt.IsZero() && (all || !d.now().Before(door.relockAt)) && door.state[ofPresence] == on {
			doors = append(doors, door)
		}
	}
	d.mu.Unlock()
	for _, door := range doors {
		if err := d.lockAgain(ctx, door, all); err != nil {
			d.log.Warn("mqtt: could not lock again, trying again", "door", string(door.id), "err", err)
		}
	}
}

// lockAgain tells a device to lock, without waiting for what it does: its state is
// reported like any other. It leaves a door alone that is being told something else,
// unless it may wait.
func (d *Driver) lockAgain(ctx context.Context, door *door, mayWait bool) error {
	if !mayWait && len(door.turn) > 0 {
		return nil
	}
	release, err := door.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	d.mu.Lock()
	at := door.relockAt
	if at.IsZero() || door.device == nil || door.device.order == nil {
		d.mu.Unlock()
		return nil
	}
	d.ids++
	orders, err := door.device.order(fmt.Sprint(d.settings.ClientID, "-", d.ids), driver.Command{Action: driver.Lock})
	if err == nil {
		door.orders[off] = d.now()
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := d.tell(ctx, door, orders); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	door.relockAt = time.Time{}
	return nil
}
