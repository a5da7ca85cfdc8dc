// Package simulated is a driver of devices that exist in memory alone: readers, keypads,
// doors, contacts and locks, with faults on demand. The demo, tests and load runs play
// them, within the process by [Driver.Play] or from another one over a socket ([Dial]).
//
// The devices are played as hardware that decides nothing, keeps its events and numbers
// them, so what is tested with them is what a real driver has to do as well: leaving out
// what is repeated, telling late events with their instant, noticing what was lost.
package simulated

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// settings are the driver's section of the gateway's file.
type settings struct {
	// Listen is where other processes may play the devices: unix:PATH, or an address of
	// the loopback interface such as 127.0.0.1:0. Empty: nowhere.
	Listen string `json:"listen"`
}

// doorSettings are what may be said of a door.
type doorSettings struct {
	NoContact bool   `json:"no_contact"` // nothing tells whether the leaf is open
	Slots     uint32 `json:"slots"`      // for codes on which the device decides by itself, at most maxSlots
}

const (
	maxSlots = 1000
	// ring is how many events a device keeps that nobody has read.
	ring = 256
	// remembered is how many commands a device can be asked about.
	remembered = 1000
)

// Driver plays the devices. It is safe for concurrent use.
type Driver struct {
	now    func() time.Time
	log    *slog.Logger
	listen string

	mu      sync.Mutex // guards what follows
	running bool
	devices map[wire.ID]*device
	doors   []wire.ID     // sorted
	house   *device       // the inputs that belong to no door
	changed chan struct{} // closed, and made again, whenever something changes
	address string        // on which it listens
}

var _ driver.Keeper = (*Driver)(nil)

// Open makes the driver. It refuses settings that it does not know.
func Open(s driver.Settings) (driver.Driver, error) {
	var set settings
	if err := decode(s.Driver, &set); err != nil {
		return nil, fmt.Errorf("simulated: the settings of the driver: %w", err)
	}
	if err := checkListen(set.Listen); err != nil {
		return nil, fmt.Errorf("simulated: listen: %w", err)
	}
	d := &Driver{now: s.Now, log: s.Log, listen: set.Listen, devices: map[wire.ID]*device{}, house: &device{}, changed: make(chan struct{})}
	for door, text := range s.Doors {
		var set doorSettings
		if err := decode(text, &set); err != nil {
			return nil, fmt.Errorf("simulated: the settings of the door %s: %w", door, err)
		}
		if set.Slots > maxSlots {
			return nil, fmt.Errorf("simulated: the door %s has %d slots; at most %d are possible", door, set.Slots, maxSlots)
		}
		d.devices[door] = &device{door: door, set: set, codes: map[uint32]string{}}
		d.doors = append(d.doors, door)
	}
	slices.Sort(d.doors)
	return d, nil
}

// decode reads settings; none are those by default.
func decode(text json.RawMessage, into any) error {
	if len(text) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// Run reports what the devices tell, and lets other processes play them.
func (d *Driver) Run(ctx context.Context, report func(driver.Event)) error {
	d.mu.Lock()
	if d.running {
		d.mu.Unlock()
		return fmt.Errorf("simulated: it runs already")
	}
	d.running = true
	d.mu.Unlock()
	defer d.ended()
	stop, err := d.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for {
		var events []driver.Event
		if err := d.wait(ctx, func() bool { events = d.collect(); return len(events) > 0 }); err != nil {
			return nil
		}
		for _, e := range events {
			if ctx.Err() != nil {
				return nil // what is left belongs to a gateway that ends
			}
			report(e)
		}
	}
}

// ended leaves the devices alone: to the gateway they are not reached any more.
func (d *Driver) ended() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running, d.house.reached = false, false
	for _, dev := range d.devices {
		dev.reached, dev.offline = false, false
	}
	d.notify()
}

// notify wakes all who wait. The caller holds mu.
func (d *Driver) notify() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// wait returns once a condition holds, or with the error of the context. The condition is
// looked at under mu, whenever something has changed.
func (d *Driver) wait(ctx context.Context, holds func() bool) error {
	for {
		d.mu.Lock()
		if holds() {
			d.mu.Unlock()
			return nil
		}
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// collect gives what the devices have told since the last time.
func (d *Driver) collect() []driver.Event {
	events := d.house.take()
	if !d.house.reached {
		d.house.reached = true
		events = append(events, driver.Event{Kind: onOff(d.house.fire, driver.Fire, driver.FireOver)})
	}
	for _, door := range d.doors {
		events = append(events, d.devices[door].collect()...)
	}
	if len(events) > 0 {
		d.notify() // there is room again
	}
	return events
}

// Do makes a device do something.
func (d *Driver) Do(ctx context.Context, door wire.ID, c driver.Command) error {
	d.mu.Lock()
	dev := d.devices[door]
	if dev == nil {
		d.mu.Unlock()
		return d.unknown(door)
	}
	if !d.running || dev.lost {
		d.mu.Unlock()
		return driver.ErrOffline
	}
	n, boot := dev.tell(c), dev.boot
	if !dev.slow {
		dev.work(d.now())
		d.notify()
		d.mu.Unlock()
		return nil
	}
	d.notify()
	d.mu.Unlock()
	if err := d.wait(ctx, func() bool { return dev.done >= n || dev.boot != boot }); err != nil {
		return fmt.Errorf("simulated: the door %s has not confirmed: %w", door, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if dev.boot != boot {
		return fmt.Errorf("simulated: the device of the door %s restarted before it confirmed", door)
	}
	return nil
}

func (d *Driver) unknown(door wire.ID) error {
	names := make([]string, len(d.doors))
	for i, known := range d.doors {
		names[i] = string(known)
	}
	return fmt.Errorf("simulated: there is no door %q; the doors are %s", door, strings.Join(names, ", "))
}

// reach finds the device of a door for its codes.
func (d *Driver) reach(door wire.ID) (*device, error) {
	dev := d.devices[door]
	switch {
	case dev == nil:
		return nil, d.unknown(door)
	case !d.running || dev.lost:
		return nil, driver.ErrOffline
	case dev.set.Slots == 0:
		return nil, driver.ErrUnsupported
	}
	return dev, nil
}

// Slots lists the codes that a device holds.
func (d *Driver) Slots(_ context.Context, door wire.ID) ([]driver.Slot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dev, err := d.reach(door)
	if err != nil {
		return nil, err
	}
	var out []driver.Slot
	for slot := uint32(1); slot <= dev.set.Slots; slot++ {
		if code, held := dev.codes[slot]; held {
			out = append(out, driver.Slot{Number: slot, Code: code})
		}
	}
	return out, nil
}

// Keep writes a code into a slot, or clears it.
func (d *Driver) Keep(_ context.Context, door wire.ID, slot uint32, code string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dev, err := d.reach(door)
	switch {
	case err != nil:
		return err
	case slot == 0 || slot > dev.set.Slots:
		return fmt.Errorf("simulated: the door %s has no slot %d; it has 1 to %d", door, slot, dev.set.Slots)
	case code == "":
		delete(dev.codes, slot)
	default:
		dev.codes[slot] = code
	}
	return nil
}

// Room is how many slots a device has.
func (d *Driver) Room(door wire.ID) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dev := d.devices[door]; dev != nil {
		return dev.set.Slots
	}
	return 0
}
