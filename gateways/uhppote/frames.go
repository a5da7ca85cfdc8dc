package uhppote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	codec "github.com/uhppoted/uhppote-core/encoding/UTO311-L0x"
	"github.com/uhppoted/uhppote-core/encoding/bcd"
	"github.com/uhppoted/uhppote-core/types"
)

const (
	// frameSize is the size of every message in bytes.
	frameSize = 64
	// magic goes with orders that change much.
	magic = 0x55aaaa55
	// maxDoors is how many doors a board has at most.
	maxDoors = 4
	// som begins a message; somEvents those that firmware 6.62 pushes.
	som, somEvents = 0x17, 0x19
	// fnStatus is the function of a status, asked for or pushed.
	fnStatus = 0x20
)

// The modes of a door.
const (
	normallyOpen   = 1
	normallyClosed = 2
	controlled     = 3
)

// status is the answer to the question how a board is. Its states are bytes, for one that
// is neither 0 nor 1 need not make the rest unread.
type status struct {
	MsgType      types.MsgType      `uhppote:"value:0x20"`
	SerialNumber types.SerialNumber `uhppote:"offset:4"`
	Index        uint32             `uhppote:"offset:8"` // of the last event
	Open1        uint8              `uhppote:"offset:28"`
	Open2        uint8              `uhppote:"offset:29"`
	Open3        uint8              `uhppote:"offset:30"`
	Open4        uint8              `uhppote:"offset:31"`
	Error        uint8              `uhppote:"offset:36"`
	Time         digits             `uhppote:"offset:37"`
	Relays       uint8              `uhppote:"offset:49"` // bit 0: the first door is unlocked
	Inputs       uint8              `uhppote:"offset:50"`
	Date         digits             `uhppote:"offset:51"`
}

// The bits of status.Inputs.
const (
	inputForceLock = 1 << 0
	inputFire      = 1 << 1
)

func (s *status) open(door uint8) bool {
	return [...]uint8{s.Open1, s.Open2, s.Open3, s.Open4}[door-1] != 0
}

func (s *status) unlocked(door uint8) bool { return s.Relays&(1<<(door-1)) != 0 }

// clock is what the board takes the time to be; zero: nobody knows.
func (s *status) clock() civil {
	t, err := time.Parse("060102150405", string(s.Date+s.Time))
	if err != nil {
		return civil{}
	}
	return civil{t}
}

// boardEvent is an event as a board keeps it.
type boardEvent struct {
	MsgType      types.MsgType      `uhppote:"value:0xb0"`
	SerialNumber types.SerialNumber `uhppote:"offset:4"`
	Index        uint32             `uhppote:"offset:8"` // 0: there is no such event
	Type         uint8              `uhppote:"offset:12"`
	Granted      uint8              `uhppote:"offset:13"`
	Door         uint8              `uhppote:"offset:14"`
	Direction    uint8              `uhppote:"offset:15"` // 1 in, 2 out
	Card         uint32             `uhppote:"offset:16"` // means a card only where one was shown
	At           civil              `uhppote:"offset:20"`
	Reason       uint8              `uhppote:"offset:27"`
}

// overwritten is the type of an event that is no longer kept.
const overwritten = 0xff

// setTime sets the clock of a board.
type setTime struct {
	MsgType      types.MsgType      `uhppote:"value:0x30"`
	SerialNumber types.SerialNumber `uhppote:"offset:4"`
	At           civil              `uhppote:"offset:8"`
}

// civil is a time as a board shows it, without a zone. It is kept as if it were UTC.
type civil struct{ time.Time }

// MarshalUT0311L0x implements the codec's Marshaler.
func (c civil) MarshalUT0311L0x() ([]byte, error) {
	b, err := bcd.Encode(c.Format("20060102150405"))
	if err != nil {
		return nil, err
	}
	return *b, nil
}

// UnmarshalUT0311L0x implements the codec's Unmarshaler. Digits of no time give the zero one.
func (c *civil) UnmarshalUT0311L0x(b []byte) (any, error) {
	if text, err := bcd.Decode(b[:7]); err == nil {
		if t, err := time.Parse("20060102150405", text); err == nil {
			return &civil{t}, nil
		}
	}
	return &civil{}, nil
}

// digits are three bytes of two digits each.
type digits string

// UnmarshalUT0311L0x implements the codec's Unmarshaler. It is empty for what is no number.
func (d *digits) UnmarshalUT0311L0x(b []byte) (any, error) {
	text, _ := bcd.Decode(b[:3])
	out := digits(text)
	return &out, nil
}

// serialOf is the serial number in a message.
func serialOf(frame []byte) uint32 { return binary.LittleEndian.Uint32(frame[4:8]) }

// decode reads a message. It never repeats its content, which may be a card number.
func decode[R any](frame []byte) (out R, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errUnread
		}
	}()
	if err := codec.Unmarshal(frame, &out); err != nil {
		return out, fmt.Errorf("%w (function %#02x)", errUnread, frame[1])
	}
	return out, nil
}

var errUnread = errors.New("the answer of the board is not of the form that it should have")
