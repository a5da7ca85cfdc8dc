package simulated

import (
	"fmt"
	"time"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// device is the hardware at one door, and what the driver knows of it. Its methods are
// called under Driver.mu.
type device struct {
	door wire.ID
	set  doorSettings

	// The hardware.
	lost, slow          bool // on the network
	leafOpen            bool
	unlocked            bool // until it is locked
	releasedUntil       time.Time
	locksItself         bool // a code opened it, and it locks when the leaf is closed
	fire, tampered, low bool
	codes               map[uint32]string // by slot
	boot                uint64
	serial              uint64    // of the last event
	kept                []message // that nobody has read, at most ring
	lostEvents          uint64    // that found no room, and that nobody has heard of
	last                message   // for repetitions
	told                []driver.Command
	forgotten           uint64 // commands that told no longer has
	done                uint64 // commands that were carried out

	// The driver's side.
	reached   bool   // Online is the last that was reported
	offline   bool   // Offline is
	knownBoot uint64 // of the device as it was reached
	read      uint64 // serial of the last event that was reported
}

// message is an event as the device sends it.
type message struct {
	serial uint64
	event  driver.Event
}

// emit lets an event happen at the device.
func (v *device) emit(e driver.Event) {
	v.serial++
	e.Door = v.door
	if v.door != "" {
		e.Source = fmt.Sprintf("%s:%d", v.door, v.serial)
	}
	v.last = message{v.serial, e}
	v.keep(v.last)
}

// keep holds a message until it is read; the oldest makes room.
func (v *device) keep(m message) {
	if len(v.kept) == ring {
		v.kept = v.kept[1:]
		v.lostEvents++
	}
	v.kept = append(v.kept, m)
}

// collect gives what the driver reports of the device now.
func (v *device) collect() []driver.Event {
	if v.lost {
		if v.offline {
			return nil
		}
		v.reached, v.offline = false, true
		return []driver.Event{{Kind: driver.Offline, Door: v.door}}
	}
	if v.reached && v.knownBoot == v.boot {
		return v.take()
	}
	v.reached, v.offline, v.knownBoot = true, false, v.boot
	events := append([]driver.Event{{Kind: driver.Online, Door: v.door}}, v.take()...)
	return append(events, v.state()...)
}

// take reads the messages, and leaves out what was read before.
func (v *device) take() []driver.Event {
	var events []driver.Event
	if v.lostEvents > 0 {
		events = append(events, driver.Event{Kind: driver.Missed, Door: v.door, Count: v.lostEvents})
		v.lostEvents = 0
	}
	for _, m := range v.kept {
		if m.serial > v.read {
			v.read = m.serial
			events = append(events, m.event)
		}
	}
	v.kept = nil
	return events
}

func onOff(on bool, yes, no driver.Kind) driver.Kind {
	if on {
		return yes
	}
	return no
}

// state tells how the device is, as the driver asks when it reaches it.
func (v *device) state() []driver.Event {
	var events []driver.Event
	say := func(on bool, yes, no driver.Kind) {
		events = append(events, driver.Event{Kind: onOff(on, yes, no), Door: v.door})
	}
	if !v.set.NoContact {
		say(v.leafOpen, driver.Opened, driver.Closed)
	}
	say(v.fire, driver.Fire, driver.FireOver)
	say(v.tampered, driver.Tampered, driver.TamperOver)
	say(v.low, driver.BatteryLow, driver.BatteryGood)
	return events
}

// tell gives the device a command, and says which one it is.
func (v *device) tell(c driver.Command) uint64 {
	if len(v.told) == remembered {
		v.told = v.told[1:]
		v.forgotten++
	}
	v.told = append(v.told, c)
	return v.commands()
}

// commands is how many commands the device was told.
func (v *device) commands() uint64 { return v.forgotten + uint64(len(v.told)) }

// work carries out what the device was told.
func (v *device) work(now time.Time) {
	for ; v.done < v.commands(); v.done++ {
		if v.done < v.forgotten {
			continue
		}
		switch c := v.told[v.done-v.forgotten]; c.Action {
		case driver.Release:
			v.releasedUntil = now.Add(c.For)
		case driver.Unlock:
			v.unlocked = true
		case driver.Lock:
			v.unlocked, v.locksItself, v.releasedUntil = false, false, time.Time{}
		}
	}
}

// bolt names where the bolt is.
func (v *device) bolt(now time.Time) string {
	switch {
	case v.unlocked:
		return "unlocked"
	case v.releasedUntil.After(now):
		return "released"
	}
	return "locked"
}

// move opens or closes the leaf, if it is not there already.
func (v *device) move(open bool, at time.Time) {
	if v.leafOpen == open {
		return
	}
	v.leafOpen = open
	if !v.set.NoContact {
		v.emit(driver.Event{Kind: onOff(open, driver.Opened, driver.Closed), At: at})
	}
	if !open && v.locksItself {
		v.unlocked, v.locksItself = false, false
		v.emit(driver.Event{Kind: driver.Locked, At: at})
	}
}

// restart forgets what the device has in memory alone: orders, and a bolt that stood open.
func (v *device) restart() {
	v.boot++
	v.slow, v.unlocked, v.locksItself, v.releasedUntil = false, false, false, time.Time{}
	v.done = v.commands()
}
