// Package driver is the port between a lock gateway and the devices at its doors. A
// driver speaks the protocol of one kind of device: it reports what happens there, and
// does what the gateway tells it. It decides nothing.
//
// # The contract
//
//   - Run reports until its context ends. A device that is lost is no error: it is
//     reported as Offline, tried again, and reported as Online.
//   - What a device says is reported once. Repeated messages of a device, such as those of
//     an at-least-once protocol or of a stored state after a reconnect, are left out.
//   - As soon as a device is reached, and behind Online, its present state is reported as
//     far as it tells: where the leaf is, and whether fire, tamper and battery are as they
//     should be. The door drops what it knows, and watches the leaf from then on.
//   - What is old is said to be: an event of a device that numbers and dates its events has
//     the instant at which it happened. A read that is older than a few seconds opens
//     nothing, for nobody stands there any more.
//   - Do returns once the device has confirmed, or with an error. It does not wait beyond
//     its context, and never repeats a release: an order that arrives late would open a
//     door to nobody. Without a confirmation it returns ErrUnconfirmed where the protocol
//     has none: then nobody knows, and the record says so.
//   - Events are taken one by one, and Do works meanwhile: a gateway may give a command
//     before report has returned.
//   - A device that restarted is reported as Online again, for it may have forgotten what it
//     was told. Before Run and after it, Do returns ErrOffline.
//   - Nothing of a card number or a PIN is logged or kept.
//   - Both are safe for concurrent use; Do is called for one door at a time.
//
// The suite gateways/gatewaytest holds a driver to this.
package driver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

var (
	// ErrOffline says that the device cannot be reached. It has done nothing.
	ErrOffline = errors.New("the device does not answer")
	// ErrUnconfirmed says that the device was told, and that nothing confirms what it did.
	ErrUnconfirmed = errors.New("the device does not confirm")
	// ErrUnsupported says that the device has no such function.
	ErrUnsupported = errors.New("the device cannot do that")
)

// Driver speaks to devices of one kind.
type Driver interface {
	// Run connects the devices and reports what happens until the context ends. report
	// must not be called after Run has returned; it may block for as long as the gateway is
	// busy.
	Run(ctx context.Context, report func(Event)) error
	// Do makes the device of a door do something.
	Do(ctx context.Context, door wire.ID, command Command) error
}

// Open makes a driver. It checks the settings and names the field of a wrong one. It
// connects to nothing.
type Open func(Settings) (Driver, error)

// Settings are what a driver is given.
type Settings struct {
	Driver json.RawMessage             // its own section of the gateway's file; may be empty
	Doors  map[wire.ID]json.RawMessage // what is said of each of its doors
	Dir    string                      // a folder of its own, for what it has to know after a restart; empty: it forgets
	Now    func() time.Time            // the clock
	Log    *slog.Logger
}

// Action is what a device is told to do.
type Action uint8

// The actions.
const (
	Release Action = iota + 1 // open for a moment, then lock again
	Unlock                    // stay open until Lock
	Lock
	Refuse // show at the reader that somebody may not pass; a device without a lamp does nothing
)

// Command is what a device is told.
type Command struct {
	Action Action
	Side   unlock.Side   // of the reader at which somebody asked
	For    time.Duration // of Release: how long it stays open
}

// Kind is the kind of an event.
type Kind uint8

// The kinds of event.
const (
	// Read: somebody showed a credential. Method and Read tell which.
	Read Kind = iota + 1
	// ExitRequested: the button or the sensor on the inside was used.
	ExitRequested
	// Opened and Closed: the leaf of the door moved.
	Opened
	Closed
	// Unlocked and Locked: the bolt moved by something else than a Command: a key, the
	// thumb turn, a code that the device knows. Method, Slot tell what is known of it.
	Unlocked
	Locked
	// Fire and FireOver: the fire input. Without a door it is that of the whole gateway.
	Fire
	FireOver
	// Tampered and TamperOver: somebody works on the device or its case.
	Tampered
	TamperOver
	// BatteryLow and BatteryGood: the battery of the device.
	BatteryLow
	BatteryGood
	// Online and Offline: the device answers, or no longer.
	Online
	Offline
	// Missed: the device lost events before they were read. Count tells how many, if known.
	Missed
	// Drifted: the device holds cards or codes, or a mode, that nobody here gave it, or
	// lacks some that it was given. Mended: it holds what it should again.
	Drifted
	Mended
)

// Event is what happened at a device.
type Event struct {
	Kind     Kind
	Door     wire.ID
	Side     unlock.Side   // where somebody asked, In if the device does not tell
	At       time.Time     // by the device's clock; zero: as it is reported
	Method   wire.Method   // by which somebody asked or the bolt moved; empty: unknown
	HowKnown wire.HowKnown // sensor, assumed, claimed; empty: sensor
	Slot     uint32        // of the code that the device itself took
	Refused  bool          // of a Read that the device itself refused: it is recorded and not decided
	Count    uint64        // of Missed
	Source   string        // which event of the device it is, such as serial:index; may be empty
	Shown    Shown         // of a Read
}

// Shown is the credential that somebody showed. One of Number and Credential is set, or
// Fault.
type Shown struct {
	Format     string       // of the card number, a name of cardnumber.Formats; empty: raw
	Number     string       // of the card or fob, or the digits of a PIN
	Credential wire.ID      // of a mobile key, by its id
	Pin        string       // digits typed beside a card; empty: none
	Fault      unlock.Fault // why the reader has no number
}

// Slot is a place for a code in a device that decides by itself.
type Slot struct {
	Number uint32
	// Code is the PIN in it; empty where the slot is in use and the device does not tell.
	Code string
}

// Keeper is a driver whose devices keep codes and decide by themselves.
type Keeper interface {
	Driver
	// Slots lists the codes that the device of a door holds.
	Slots(ctx context.Context, door wire.ID) ([]Slot, error)
	// Keep writes a code into a slot, or clears it with an empty one.
	Keep(ctx context.Context, door wire.ID, slot uint32, code string) error
	// Room is how many slots the device has, from 1.
	Room(door wire.ID) uint32
}
