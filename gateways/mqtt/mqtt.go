// Package mqtt drives locks, relays and readers over an MQTT broker. The README says
// which devices, and how they are set up.
//
// # Why MQTT 3.1.1
//
// Every broker speaks it, also the listener of the NATS server, which speaks nothing
// newer. One client library serves both: github.com/eclipse/paho.mqtt.golang; its
// sibling paho.golang speaks MQTT 5 alone.
//
// # Nothing old counts
//
// An order that arrives late opens a door to nobody, and a read that arrives late opens
// it for somebody who has left. So sessions are clean, orders have QoS 0, which no broker
// keeps for a device that is away, and a retained message is compared with what is known
// and never is an event.
package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
	// grace is how long after the start of a session a device is given to say whether it is
	// there.
	grace = 5 * time.Second
	// secondLook is when everything is subscribed to once more, which brings what is retained
	// again. The NATS server stores retained messages after it has confirmed them (mqtt.go,
	// mqttHandlePubRetain), so that a subscription at that moment gets neither the old message
	// nor the new one.
	secondLook = time.Second
	// tick is how often things are looked at that time makes due.
	tick = 250 * time.Millisecond
	// retryRefused is how often subscriptions are tried again that the broker refused.
	retryRefused = 30 * time.Second
)

// Driver drives the doors of a broker. It is safe for concurrent use.
type Driver struct {
	settings *settings
	now      func() time.Time
	log      *slog.Logger
	plans    map[wire.ID]*plan

	mu      sync.Mutex
	doors   map[wire.ID]*door
	order   []wire.ID // of doors, in which they report
	turn    int       // in order, of the door that reports next
	session *session  // nil: there is none
	granted map[string]bool
	ids     uint64 // of orders
	found   *catalogue
	wake    chan struct{} // something is to report
	changed chan struct{} // something is to subscribe to
}

var _ driver.Keeper = (*Driver)(nil)

// Open makes a driver from its settings. It implements driver.Open.
func Open(s driver.Settings) (driver.Driver, error) {
	read, err := readSettings(s.Driver)
	if err != nil {
		return nil, err
	}
	d := &Driver{settings: read, now: s.Now, log: s.Log, plans: map[wire.ID]*plan{}, doors: map[wire.ID]*door{},
		granted: map[string]bool{}, found: newCatalogue(*read.Discovery), wake: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Doors)) {
		p, err := readPlan(s.Doors[id])
		if err != nil {
			return nil, fmt.Errorf("mqtt: door %s: %w", id, err)
		}
		d.add(id, p)
	}
	if read.Fire != nil {
		d.add("", &plan{Fire: read.Fire})
	}
	return d, nil
}

func (d *Driver) add(id wire.ID, p *plan) {
	door := newDoor(id)
	door.device = p.device(d.found)
	d.plans[id], d.doors[id], d.order = p, door, append(d.order, id)
}

// Run implements driver.Driver. It ends with the context alone: a broker that is lost is
// tried again.
func (d *Driver) Run(ctx context.Context, report func(driver.Event)) error {
	connections := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(connections)
		d.keepConnected(ctx)
	}()
	defer func() {
		cancel()
		<-connections
	}()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		for e, ok := d.next(ctx); ok; e, ok = d.next(ctx) {
			report(e)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		case <-ticker.C:
		}
	}
}

// next takes an event of the next door that has one, each door in turn.
func (d *Driver) next(ctx context.Context) (driver.Event, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ctx.Err() != nil {
		return driver.Event{}, false
	}
	now := d.now()
	for range d.order {
		door := d.doors[d.order[d.turn]]
		d.turn = (d.turn + 1) % len(d.order)
		if door.device != nil {
			door.due(now)
		}
		if e, ok := door.next(now); ok {
			return e, true
		}
	}
	return driver.Event{}, false
}

func (d *Driver) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}
