package uhppote

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
)

// fake is a board, made from the description of the protocol alone: it shares no code with
// the driver. It does what real ones do to their hosts: it grants where a time profile is
// missing, passes over dates, overwrites its oldest events, pushes what was pushed and
// loses pushes, and asks nobody who they are.
type fake struct {
	t      testing.TB
	serial uint32
	addr   netip.AddrPort
	zone   *time.Location

	mu       sync.Mutex
	udp      *net.UDPConn // nil: it has no network
	tcp      net.Listener
	serving  sync.WaitGroup
	silent   bool // it takes what comes and answers nothing
	slow     bool // it answers to no order until it is quick
	owed     []func()
	version  uint16
	behind   time.Duration // of its clock
	host     bool          // the host decides
	heardAt  time.Time
	special  bool
	keypads  [4]bool
	tasks    int
	cards    map[uint32][4]byte
	profiles map[byte]bool
	codes    [4][4]uint32
	modes    [4]byte
	delays   [4]byte
	open     [4]bool
	relays   byte
	inputs   byte
	listener netip.AddrPort
	interval byte
	events   map[uint32][]byte // by index; what is overwritten is not there
	index    uint32
	ring     uint32
	pushes   int
	asked    map[byte]int // by function
	told     []driver.Command
	deaf     bool // it refuses to clear its codes
	old      bool // it has no function for keypads
}

var fakes atomic.Uint32

// newFake makes a board on an address of its own of this machine, which is not on the
// network yet. It has been somebody else's before.
func newFake(t testing.TB) *fake {
	n, pid := fakes.Add(1), os.Getpid()
	f := &fake{t: t, serial: 423187757, zone: berlin, version: 0x0892, ring: 1000, special: false, keypads: [4]bool{true, true, true, true}, tasks: 1,
		addr:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(64 + n%128), byte(pid >> 8), byte(pid)}), 20311),
		cards: map[uint32][4]byte{}, profiles: map[byte]bool{}, modes: [4]byte{3, 3, 3, 3}, delays: [4]byte{5, 5, 5, 5},
		events: map[uint32][]byte{}, asked: map[byte]int{}}
	f.event(3, 1, 0, 1, 0, 28, f.clock())
	t.Cleanup(f.lose)
	return f
}

func (f *fake) clock() time.Time { return time.Now().Add(-f.behind) }

// locked runs a function under the lock.
func (f *fake) locked(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// find puts the board on the network.
func (f *fake) find() {
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(f.addr))
	require.NoError(f.t, err)
	tcp, err := net.Listen("tcp4", f.addr.String())
	require.NoError(f.t, err)
	f.locked(func() { f.udp, f.tcp = udp, tcp })
	f.serving.Go(func() {
		for {
			frame := make([]byte, 100)
			n, from, err := udp.ReadFromUDPAddrPort(frame)
			if err != nil {
				return
			}
			f.serve(frame[:n], func(answer []byte) { _, _ = udp.WriteToUDPAddrPort(answer, from) })
		}
	})
	f.serving.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			f.serving.Go(func() {
				defer func() { _ = conn.Close() }()
				frame := make([]byte, 64)
				if _, err := io.ReadFull(conn, frame); err != nil {
					return
				}
				gone := make(chan struct{})
				f.serve(frame, func(answer []byte) { _, _ = conn.Write(answer); close(gone) })
				_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
				_, _ = conn.Read(frame) // until the other side has gone
			})
		}
	})
}

// lose takes the board off the network.
func (f *fake) lose() {
	f.locked(func() {
		if f.udp != nil {
			_, _ = f.udp.Close(), f.tcp.Close()
			f.udp = nil
		}
	})
	f.serving.Wait()
}

// serve takes a message.
func (f *fake) serve(frame []byte, send func([]byte)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(frame) != 64 || frame[0] != 0x17 || f.silent {
		if f.silent && len(frame) == 64 {
			f.asked[frame[1]]++
		}
		return
	}
	to := binary.LittleEndian.Uint32(frame[4:])
	if to != f.serial && (to != 0 || frame[1] != 0x94) {
		return
	}
	f.asked[frame[1]]++
	f.heardAt = time.Now()
	answer := make([]byte, 64)
	answer[0], answer[1] = 0x17, frame[1]
	binary.LittleEndian.PutUint32(answer[4:], f.serial)
	do := answers[frame[1]]
	if do == nil || f.old && frame[1] == 0xa4 {
		return
	}
	do(f, frame, answer)
	if f.slow && (frame[1] == 0x40 || frame[1] == 0x80) {
		f.owed = append(f.owed, func() { send(answer) })
		return
	}
	send(answer)
}

// be makes the board slow, or quick again.
func (f *fake) be(slow bool) {
	f.locked(func() {
		for f.slow = slow; !slow && len(f.owed) > 0; f.owed = f.owed[1:] {
			f.owed[0]()
		}
	})
}

const word = 0x55aaaa55

func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

// bcdOf writes digits in pairs.
func bcdOf(into []byte, text string) {
	for i := range into {
		into[i] = (text[2*i]-'0')<<4 | (text[2*i+1] - '0')
	}
}

// answers are the functions of the board: each reads a message, and fills in the answer.
var answers = map[byte]func(f *fake, q, a []byte){
	0x94: func(f *fake, _, a []byte) {
		ip := f.addr.Addr().As4()
		copy(a[8:], ip[:])
		copy(a[20:], []byte{0, 0x12, 0x23, 0x34, 0x45, 0x56})
		binary.BigEndian.PutUint16(a[26:], f.version)
		bcdOf(a[28:32], "20180816")
	},
	0x20: func(f *fake, _, a []byte) { f.status(a) },
	0x30: func(f *fake, q, a []byte) {
		text := fmt.Sprintf("%x", q[8:15])
		at, err := time.ParseInLocation("20060102150405", text, f.zone)
		require.NoError(f.t, err)
		f.behind = time.Since(at)
		copy(a[8:15], q[8:15])
	},
	0x40: func(f *fake, q, a []byte) {
		n := q[8]
		f.told = append(f.told, driver.Command{Action: driver.Release, Side: 1, For: time.Duration(f.delays[n-1]) * time.Second})
		f.openRelay(n)
		f.event(2, 1, n, 1, 3922570474, 44, f.clock()) // the number means nothing
		a[8] = 1
	},
	0x54: func(f *fake, q, a []byte) {
		if u32(q, 8) == word {
			clear(f.cards)
			a[8] = 1
		}
	},
	0x58: func(f *fake, _, a []byte) { binary.LittleEndian.PutUint32(a[8:], uint32(len(f.cards))) },
	0x80: func(f *fake, q, a []byte) {
		n, mode, delay := q[8]-1, q[9], q[10]
		switch {
		case mode == 1:
			f.told = append(f.told, driver.Command{Action: driver.Unlock})
			f.relays |= 1 << n
		case f.delays[n] == delay || f.modes[n] == 1: // else only the time of a release changes
			f.told = append(f.told, driver.Command{Action: driver.Lock})
			f.relays &^= 1 << n
		}
		f.modes[n], f.delays[n] = mode, delay
		copy(a[8:11], q[8:11])
	},
	0x82: func(f *fake, q, a []byte) {
		a[8], a[9], a[10] = q[8], f.modes[q[8]-1], f.delays[q[8]-1]
	},
	0x8c: func(f *fake, q, a []byte) {
		if f.deaf {
			return
		}
		for i := range 4 {
			f.codes[q[8]-1][i] = u32(q, 12+4*i)
		}
		a[8] = 1
	},
	0x8e: func(f *fake, q, a []byte) { f.special, a[8] = q[8] == 1, 1 },
	0x90: func(f *fake, q, a []byte) {
		f.listener = netip.AddrPortFrom(netip.AddrFrom4([4]byte(q[8:12])), binary.LittleEndian.Uint16(q[12:]))
		f.interval, a[8] = q[14], 1
	},
	0x92: func(f *fake, _, a []byte) {
		if f.listener.IsValid() {
			ip := f.listener.Addr().As4()
			copy(a[8:], ip[:])
			binary.LittleEndian.PutUint16(a[12:], f.listener.Port())
		}
		a[14] = f.interval
	},
	0xa0: func(f *fake, q, a []byte) {
		if u32(q, 8) == word {
			f.host, a[8] = q[12] == 1, 1
		}
	},
	0xa4: func(f *fake, q, a []byte) {
		for i := range f.keypads {
			f.keypads[i] = q[8+i] == 1
		}
		a[8] = 1
	},
	0xa6: func(f *fake, q, a []byte) {
		if u32(q, 8) == word {
			f.tasks, a[8] = 0, 1
		}
	},
	0xac: func(f *fake, q, a []byte) { a[8] = 1 },
	0xb0: func(f *fake, q, a []byte) {
		at := u32(q, 8)
		switch {
		case f.index == 0:
			return
		case at == 0:
			at = f.index - min(f.index, f.ring) + 1
			for f.events[at] == nil {
				at++
			}
		case at == 0xffffffff:
			at = f.index
		}
		switch e := f.events[at]; {
		case at > f.index:
		case e == nil:
			binary.LittleEndian.PutUint32(a[8:], at)
			a[12] = 0xff
		default:
			copy(a[8:28], e)
		}
	},
}

// status fills in how the board is, with its last event.
func (f *fake) status(a []byte) {
	if e := f.events[f.index]; e != nil {
		copy(a[8:28], e)
	}
	for i, open := range f.open {
		if open {
			a[28+i] = 1
		}
	}
	now := f.clock().In(f.zone)
	bcdOf(a[37:40], now.Format("150405"))
	a[49], a[50] = f.relays, f.inputs
	bcdOf(a[51:54], now.Format("060102"))
}

// event keeps an event, overwrites the oldest, and pushes the new one.
func (f *fake) event(kind, granted, door, direction byte, card uint32, reason byte, at time.Time) {
	f.index++
	e := make([]byte, 20)
	binary.LittleEndian.PutUint32(e, f.index)
	e[4], e[5], e[6], e[7], e[19] = kind, granted, door, direction, reason
	binary.LittleEndian.PutUint32(e[8:], card)
	bcdOf(e[12:19], at.In(f.zone).Format("20060102150405"))
	f.events[f.index] = e
	if f.index > f.ring {
		delete(f.events, f.index-f.ring)
	}
	f.push()
}

// push tells the listener how the board is. Every third push is lost on its way.
func (f *fake) push() {
	if f.pushes++; f.udp == nil || !f.listener.IsValid() || f.pushes%3 == 0 {
		return
	}
	a := make([]byte, 64)
	if a[0] = 0x17; f.version == 0x0662 {
		a[0] = 0x19
	}
	a[1] = 0x20
	binary.LittleEndian.PutUint32(a[4:], f.serial)
	f.status(a)
	_, _ = f.udp.WriteToUDPAddrPort(a, f.listener)
}

func (f *fake) openRelay(door byte) { f.relays |= 1 << (door - 1) }

// settle ends the releases that run.
func (f *fake) settle() {
	f.locked(func() {
		for i, mode := range f.modes {
			if mode != 1 {
				f.relays &^= 1 << i
			}
		}
	})
}
