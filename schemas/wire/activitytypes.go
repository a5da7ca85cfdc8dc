package wire

import (
	"maps"
	"slices"
)

// ActivityType is the type of a record of activity: a noun, a dot and what became of it.
type ActivityType string

// The types of what happens at a door when somebody asks to pass.
const (
	AccessGranted    ActivityType = "access.granted"
	AccessDenied     ActivityType = "access.denied"
	AccessTaken      ActivityType = "access.taken"
	AccessNotTaken   ActivityType = "access.not_taken"
	AccessStale      ActivityType = "access.stale"
	DuressSignalled  ActivityType = "duress.signalled"
	PassbackDetected ActivityType = "passback.detected"
	UsesExceeded     ActivityType = "uses.exceeded"
	KeypadLockedOut  ActivityType = "keypad.locked_out"
	KeypadReleased   ActivityType = "keypad.released"
	ExitRequested    ActivityType = "exit.requested"
)

// The types of what a door does.
const (
	DoorOpened          ActivityType = "door.opened"
	DoorClosed          ActivityType = "door.closed"
	DoorForcedOpen      ActivityType = "door.forced_open"
	DoorHeldOpen        ActivityType = "door.held_open"
	DoorHeldOpenCleared ActivityType = "door.held_open_cleared"
	DoorUnlocked        ActivityType = "door.unlocked"
	DoorLocked          ActivityType = "door.locked"
	DoorUnexplained     ActivityType = "door.unexplained_open"
	DoorTampered        ActivityType = "door.tampered"
	DoorTamperCleared   ActivityType = "door.tamper_cleared"
	FireRaised          ActivityType = "fire.raised"
	FireCleared         ActivityType = "fire.cleared"
)

// The types of what concerns a gateway and its devices.
const (
	DeviceOnline         ActivityType = "device.online"
	DeviceOffline        ActivityType = "device.offline"
	DeviceDrifted        ActivityType = "device.drifted"
	DeviceMended         ActivityType = "device.mended"
	BatteryLow           ActivityType = "battery.low"
	BatteryRestored      ActivityType = "battery.restored"
	GatewayStarted       ActivityType = "gateway.started"
	GatewayOnline        ActivityType = "gateway.online"
	GatewayOffline       ActivityType = "gateway.offline"
	ClockSkewed          ActivityType = "clock.skewed"
	RecordsGap           ActivityType = "records.gap"
	PermissionsEnforced  ActivityType = "permissions.enforced"
	PermissionsUnapplied ActivityType = "permissions.unapplied"
)

// Severity is how much a record asks for somebody's attention.
type Severity string

// The severities.
const (
	Info    Severity = "info"    // nobody need look at it
	Warning Severity = "warning" // somebody should look at it in working hours
	Alarm   Severity = "alarm"   // somebody must look at it now
)

// TypeMeaning is what a type of records means.
type TypeMeaning struct {
	Severity Severity // unless the record says otherwise
	Meaning  string   // a short sentence for people
}

// activityTypes is the one table of types.
var activityTypes = map[ActivityType]TypeMeaning{
	AccessGranted:    {Info, "somebody may pass"},
	AccessDenied:     {Info, "somebody may not pass"},
	AccessTaken:      {Info, "the door was opened by somebody who may pass"},
	AccessNotTaken:   {Info, "somebody who may pass did not open the door"},
	AccessStale:      {Warning, "somebody passed on permissions that had been changed already"},
	DuressSignalled:  {Alarm, "somebody was forced to open and calls for help"},
	PassbackDetected: {Warning, "somebody came in twice, or went out twice"},
	UsesExceeded:     {Warning, "a credential opened more often than it may"},
	KeypadLockedOut:  {Warning, "a keypad is locked after too many wrong codes"},
	KeypadReleased:   {Info, "a keypad takes codes again"},
	ExitRequested:    {Info, "the door was released from the inside"},

	DoorOpened:          {Info, "the door was opened"},
	DoorClosed:          {Info, "the door was closed"},
	DoorForcedOpen:      {Alarm, "the door was opened without permission"},
	DoorHeldOpen:        {Warning, "the door is open for too long"},
	DoorHeldOpenCleared: {Info, "the door that was open for too long is closed"},
	DoorUnlocked:        {Info, "the door is unlocked for anybody"},
	DoorLocked:          {Info, "the door is locked again"},
	DoorUnexplained:     {Alarm, "the lock opened without an order of its gateway"},
	DoorTampered:        {Alarm, "somebody works on the reader, the lock or their case"},
	DoorTamperCleared:   {Info, "the case is closed again"},
	FireRaised:          {Alarm, "the fire input is on, doors are released"},
	FireCleared:         {Warning, "the fire input is off"},

	DeviceOnline:         {Info, "the device answers"},
	DeviceOffline:        {Warning, "the device does not answer"},
	DeviceDrifted:        {Warning, "the device holds other codes than it should"},
	DeviceMended:         {Info, "the device holds the codes that it should"},
	BatteryLow:           {Warning, "a battery is nearly empty"},
	BatteryRestored:      {Info, "a battery is full enough again"},
	GatewayStarted:       {Info, "the gateway started"},
	GatewayOnline:        {Info, "the gateway reached the service"},
	GatewayOffline:       {Warning, "the gateway lost the service"},
	ClockSkewed:          {Warning, "the gateway's clock is wrong"},
	RecordsGap:           {Warning, "records are missing"},
	PermissionsEnforced:  {Info, "the gateway decides by these permissions"},
	PermissionsUnapplied: {Warning, "the gateway cannot take over the permissions"},
}

// ActivityTypes lists the types that this code knows, sorted.
func ActivityTypes() []ActivityType { return slices.Sorted(maps.Keys(activityTypes)) }

// Meaning explains a type; ok is false for one that this code does not know.
func (t ActivityType) Meaning() (m TypeMeaning, ok bool) {
	m, ok = activityTypes[t]
	return m, ok
}
