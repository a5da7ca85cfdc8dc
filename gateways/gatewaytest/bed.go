// Package gatewaytest is the suite that every driver passes. A test of the driver makes a
// Bed, which has the driver and the hands at its device, and calls Run:
//
//	func TestSuite(t *testing.T) {
//		gatewaytest.Run(t, func(t *testing.T, s driver.Settings) gatewaytest.Bed { … })
//	}
//
// # What a device cannot do
//
// No device can do everything. A Bed declares what its device lacks and why; the suite
// prints it, requires that the README of the driver's folder says the same, and tests that
// the driver says so, too, where there is something to say. A hand that is neither there
// nor declared as lacking fails the suite, so nothing is left out in silence.
package gatewaytest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// Bed is a driver and a device of its own to play with. The device is not connected yet
// when the Bed is made; it answers as soon as the driver runs.
type Bed struct {
	Driver driver.Driver
	Door   wire.ID // of the device
	Device Device
	// Lacks has what the device cannot do, by the name of the capability, and why.
	Lacks map[Capability]string
}

// Make makes a Bed. It gives the Settings, which have a clock and a log, the sections of
// the driver and its doors, and ends with the test what it started.
type Make func(t *testing.T, s driver.Settings) Bed

// Device has the hands at a device and its surroundings. Each does its work before it
// returns, as far as the device does; none waits for the driver.
type Device struct {
	Show  func(side unlock.Side, number string) // a card at the reader of a side
	Type  func(side unlock.Side, pin string)    // a PIN at the keypad of a side
	Press func()                                // the button to exit
	Open  func()                                // the leaf
	Close func()
	Key   func(unlock bool)                    // the bolt by a mechanical key
	Code  func(slot uint32)                    // a code that the device holds in a slot, and decides on by itself
	Fire  func(on bool)                        // the fire input
	Case  func(open bool)                      // tamper
	Drain func(low bool)                       // the battery
	Lose  func()                               // the device can no longer be reached; it goes on by itself
	Find  func()                               // it can be reached again
	Slow  func(on bool)                        // it takes commands, and does not confirm until it is off
	Power func()                               // it restarts: all that it keeps in memory alone is gone
	Again func()                               // its last event is sent once more, as its protocol may
	Late  func(kind driver.Kind, at time.Time) // it tells now of an Opened, Closed or ExitRequested that was then
	Miss  func(n uint64)                       // it loses events that nobody has read
	Told  func() []driver.Command              // the commands that reached the device, oldest first
}

// Capability is something that a device may lack.
type Capability string

// The capabilities. Those from StandOpen on are of the driver's commands and answers, and
// have no hand.
const (
	Cards      Capability = "cards"
	Pins       Capability = "pins"
	ExitButton Capability = "exit button"
	Contact    Capability = "contact"
	KeyTold    Capability = "key told"      // it tells when somebody uses a key
	OwnCodes   Capability = "codes"         // it decides by itself on codes in slots
	FireInput  Capability = "fire input"    //
	CaseTold   Capability = "tamper"        //
	Battery    Capability = "battery"       //
	Loss       Capability = "loss"          // the driver learns when it is lost
	Slowness   Capability = "slowness"      //
	Restarts   Capability = "restart"       //
	Repeats    Capability = "repeats"       // its protocol may send an event twice
	Memory     Capability = "memory"        // it keeps events and tells them later
	Gaps       Capability = "gaps"          // the driver notices events that were lost
	Commands   Capability = "commands"      // a hand can see the commands that reached it
	StandOpen  Capability = "stand open"    // Unlock
	LockOrder  Capability = "lock"          // Lock
	Lamp       Capability = "refuse"        // Refuse; without it a refusal does nothing
	Confirms   Capability = "confirmation"  // Do knows whether it was done; else ErrUnconfirmed
	OwnTime    Capability = "release time"  // Release.For; without it the device's own time holds
	Writable   Capability = "written slots" // the driver is a driver.Keeper
	Sides      Capability = "sides"         // the device tells the readers inside and outside apart
)

// hands lists the capabilities that need a hand.
func (d *Device) hands() map[Capability]bool {
	return map[Capability]bool{
		Cards: d.Show != nil, Pins: d.Type != nil, ExitButton: d.Press != nil, Contact: d.Open != nil && d.Close != nil,
		KeyTold: d.Key != nil, OwnCodes: d.Code != nil, FireInput: d.Fire != nil, CaseTold: d.Case != nil, Battery: d.Drain != nil,
		Loss: d.Lose != nil && d.Find != nil, Slowness: d.Slow != nil, Restarts: d.Power != nil, Repeats: d.Again != nil,
		Memory: d.Late != nil, Gaps: d.Miss != nil, Commands: d.Told != nil,
	}
}

// handless lists the capabilities that need none.
var handless = []Capability{StandOpen, LockOrder, Lamp, Confirms, OwnTime, Writable, Sides}

func (b *Bed) has(c Capability) bool { _, lacks := b.Lacks[c]; return !lacks }

// checkDeclared holds a Bed to saying what is lacking.
func (b *Bed) checkDeclared(t *testing.T) {
	hands := b.Device.hands()
	for c, there := range hands {
		if there {
			assert.NotContains(t, b.Lacks, c, "the device has it")
		} else {
			assert.NotEmpty(t, b.Lacks[c], "the device lacks %q, and the Bed does not say why", c)
		}
	}
	_, keeper := b.Driver.(driver.Keeper)
	keeper = keeper && b.Driver.(driver.Keeper).Room(b.Door) > 0
	assert.Equal(t, keeper, b.has(Writable), "whether the slots can be written")
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err, "the folder of a driver has a README.md")
	for c, why := range b.Lacks {
		_, known := hands[c]
		assert.True(t, known || slices.Contains(handless, c), "there is no capability %q", c)
		assert.NotEmpty(t, why, "why the device lacks %q", c)
		assert.Contains(t, strings.ToLower(string(readme)), "- "+string(c)+":", "the README lists what the device lacks, as - %s: why", c)
		t.Logf("lacks %s: %s", c, why)
	}
}

// need skips a test that needs what the Bed declares to be lacking.
func (b *Bed) need(t *testing.T, all ...Capability) {
	t.Helper()
	for _, c := range all {
		if !b.has(c) {
			t.Skipf("lacks %s: %s", c, b.Lacks[c])
		}
	}
}
