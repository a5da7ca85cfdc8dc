package uhppote

import (
	"time"

	"gatehouse/gateways/driver"
)

// swipe shows a card at a reader of a door: side 1 is outside, 2 inside.
func (f *fake) swipe(door, side byte, card uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.host && time.Since(f.heardAt) < 30*time.Second {
		f.event(1, 0, door, side, card, 5, f.clock())
		return
	}
	doors, known := f.cards[card]
	profile := doors[door-1]
	switch {
	case !known:
		f.event(1, 0, door, side, card, 18, f.clock())
	case profile == 0:
		f.event(1, 0, door, side, card, 6, f.clock())
	default: // also with a profile that is missing, and whatever its dates
		f.openRelay(door)
		f.event(1, 1, door, side, card, 1, f.clock())
	}
}

// code types one of the codes that open whatever else holds.
func (f *fake) code(door byte, code uint32) (opened bool) {
	f.locked(func() {
		for _, c := range f.codes[door-1] {
			if c != 0 && c == code && f.keypads[door-1] {
				f.openRelay(door)
				f.event(2, 1, door, 1, 10, 25, f.clock())
				opened = true
			}
		}
	})
	return opened
}

func (f *fake) press(door byte) {
	f.locked(func() {
		f.openRelay(door)
		f.event(2, 1, door, 1, 1, 20, f.clock())
	})
}

func (f *fake) move(door byte, open bool) {
	f.locked(func() {
		if f.open[door-1] = open; f.special {
			reason := byte(24)
			if open {
				reason = 23
			}
			f.event(2, 1, door, 1, 8, reason, f.clock())
		}
	})
}

func (f *fake) burn(on bool) {
	f.locked(func() {
		if f.inputs &^= 2; on {
			f.inputs |= 2
			f.event(3, 0, 1, 1, 0, 39, f.clock())
		}
		f.push()
	})
}

// power starts the board again: what it has in memory alone is gone.
func (f *fake) power() {
	f.locked(func() {
		f.relays, f.slow, f.host, f.owed = 0, false, false, nil
		f.event(3, 1, 0, 1, 0, 28, f.clock())
	})
}

// overwrite makes the board overwrite events that nobody has read.
func (f *fake) overwrite(n uint64) {
	f.locked(func() {
		clear(f.events)
		f.index += uint32(n)
		f.event(2, 1, 4, 1, 0, 20, f.clock())
	})
}

// reset makes the board forget its events: it counts from 1 again.
func (f *fake) reset() {
	f.locked(func() {
		f.index = 0
		clear(f.events)
	})
}

// orders are the commands that reached the board.
func (f *fake) orders() (out []driver.Command) {
	f.locked(func() { out = append(out, f.told...) })
	return out
}

func (f *fake) count(function byte) (n int) {
	f.locked(func() { n = f.asked[function] })
	return n
}
