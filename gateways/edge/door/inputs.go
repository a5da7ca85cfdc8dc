package door

import (
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// Input is one thing that a machine is told: Granted, Posture, Happened, Done or Tick.
type Input interface{ input() }

// Granted says that somebody may pass now, as the record Of tells.
type Granted struct {
	Of         uint64 // counter of the record of the grant, never 0
	Side       unlock.Side
	Method     wire.Method
	Person     wire.ID
	Credential wire.ID
}

// Posture is what the table says of the door, beside whom it lets through. It is told at
// the start and whenever it changes; told again, it does nothing.
type Posture struct {
	Open        bool `json:"open,omitempty"`     // the door stands open to anybody, unless there is a lockdown
	Lockdown    bool `json:"lockdown,omitempty"` // nobody is let in
	FireRelease bool `json:"fire_release,omitempty"`
}

// Happened is an event of the device, of any kind but Read. One without a door is of the
// fire input of the whole gateway, which the engine tells every door and records once.
type Happened driver.Event

// Done is the result of a Command, as Driver.Do gave it.
type Done struct {
	Command Command
	Err     error
}

// Tick says that the instant that Due named has come.
type Tick struct{}

func (Granted) input()  {}
func (Posture) input()  {}
func (Happened) input() {}
func (Done) input()     {}
func (Tick) input()     {}

// Command is what the device is to do now. The commands of a door are carried out one by
// one in the order in which they came, and each result is told as Done.
type Command struct {
	driver.Command
	Of uint64 // of Release: the record of the grant
}

// Effect is one consequence of an input: a command, or a record.
type Effect struct {
	Command *Command
	// Record has what the machine knows: type, instant, side, method and so on. The engine
	// adds the door, and what it knows of clock, table and lease.
	Record *wire.Activity
}

// Settings are what is set for a door in the file of its gateway.
type Settings struct {
	Release     time.Duration // how long a release opens; 0: DefaultRelease
	NotTaken    time.Duration // after a release without an opening nobody passed; 0: Release and 5 s
	Held        time.Duration // open for longer is too long; 0: never
	Sensor      bool          // a contact tells whether the leaf is open
	LockOnClose bool          // lock as soon as the leaf is closed; only where the device can lock on command
}

// The defaults of the settings.
const (
	DefaultRelease = 5 * time.Second
	DefaultHeld    = 30 * time.Second
)

// withDefaults fills in what is not set.
func (s Settings) withDefaults() Settings {
	if s.Release <= 0 {
		s.Release = DefaultRelease
	}
	if s.NotTaken < s.Release {
		s.NotTaken = s.Release + 5*time.Second
	}
	return s
}
