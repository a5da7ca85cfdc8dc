package uhppote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
	_ "time/tzdata" // small boxes have no zone files

	"gatehouse/domain/cardnumber"
)

const (
	// port is where boards listen.
	port = 60000
	// maxSettings is how many bytes settings have at most.
	maxSettings = 256 << 10
	// minPoll and maxPoll bound the time between two looks, in milliseconds. A board whose
	// host is silent for 30 s decides by itself.
	minPoll, maxPoll = 50, 10_000
)

// settings is the driver's section of the gateway's file. The README has an example of
// each field.
type settings struct {
	Zone      string                   `json:"zone"`                 // of the site, as Europe/Berlin: boards show its time
	Format    string                   `json:"format,omitempty"`     // of the cards; empty: raw
	Bind      string                   `json:"bind,omitempty"`       // own address on the network of the boards; empty: any
	Listen    string                   `json:"listen,omitempty"`     // address and port for pushes; empty: boards are asked alone
	Broadcast string                   `json:"broadcast,omitempty"`  // where boards without an address are looked for
	PollMS    int                      `json:"poll_ms,omitempty"`    // between two looks
	FireBoard uint32                   `json:"fire_board,omitempty"` // whose fire input is that of the whole gateway
	Boards    map[uint32]boardSettings `json:"boards,omitempty"`     // by serial number

	zone      *time.Location
	bind      netip.Addr
	listen    netip.AddrPort
	broadcast netip.AddrPort
}

// boardSettings are what may be said of a board.
type boardSettings struct {
	Address   string `json:"address,omitempty"`   // empty: it is looked for
	Transport string `json:"transport,omitempty"` // udp, which is also the default, or tcp
	address   netip.AddrPort
}

// doorSettings are what is said of a door.
type doorSettings struct {
	Board   uint32 `json:"board"`             // serial number
	Door    uint8  `json:"door"`              // 1 to 4
	Contact *bool  `json:"contact,omitempty"` // whether a contact tells where the leaf is; default: yes
}

// decodeSettings reads settings strictly, so that a misspelt field is told and not passed
// over.
func decodeSettings(raw json.RawMessage, into any) error {
	if len(raw) > maxSettings {
		return fmt.Errorf("the settings have %d bytes, the most is %d", len(raw), maxSettings)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); errors.Is(err, io.EOF) {
		return errors.New("there are no settings")
	} else if err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is text behind the settings")
	}
	return nil
}

func readSettings(raw json.RawMessage) (*settings, error) {
	s := &settings{Broadcast: "255.255.255.255"}
	err := decodeSettings(raw, s)
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, fmt.Errorf("the driver's settings: %w", err)
	}
	return s, nil
}

// check checks the settings, and reads what they name.
func (s *settings) check() (err error) {
	if s.Zone == "" || s.Zone == "Local" {
		return errors.New("zone is missing: the zone of the site, as Europe/Berlin, for boards know no zones")
	}
	if s.zone, err = time.LoadLocation(s.Zone); err != nil {
		return fmt.Errorf("zone: there is no zone %q; a zone is named as Europe/Berlin", s.Zone)
	}
	if err := checkFormat(s.Format); err != nil {
		return fmt.Errorf("format: %w", err)
	}
	if s.Bind != "" {
		if s.bind, err = netip.ParseAddr(s.Bind); err != nil || !s.bind.Is4() {
			return fmt.Errorf("bind: %q is no IPv4 address", s.Bind)
		}
	}
	if s.Listen != "" {
		if s.listen, err = netip.ParseAddrPort(s.Listen); err != nil || !s.listen.Addr().Is4() || s.listen.Port() == port {
			return fmt.Errorf("listen: %q is no IPv4 address with a port other than %d, as 192.168.7.2:60001", s.Listen, port)
		}
	}
	if s.broadcast, err = address(s.Broadcast); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	if s.PollMS != 0 && (s.PollMS < minPoll || s.PollMS > maxPoll) {
		return fmt.Errorf("poll_ms: %d is not within %d and %d", s.PollMS, minPoll, maxPoll)
	}
	for serial, b := range s.Boards {
		if b.Transport != "" && b.Transport != "udp" && b.Transport != "tcp" {
			return fmt.Errorf("boards.%d.transport: %q is neither udp nor tcp", serial, b.Transport)
		}
		if b.Address != "" {
			if b.address, err = address(b.Address); err != nil {
				return fmt.Errorf("boards.%d.address: %w", serial, err)
			}
		}
		s.Boards[serial] = b
	}
	return nil
}

// address reads an address of boards, whose port may be left out.
func address(text string) (netip.AddrPort, error) {
	full := text
	if !strings.Contains(full, ":") {
		full = fmt.Sprintf("%s:%d", text, port)
	}
	a, err := netip.ParseAddrPort(full)
	if err != nil || !a.Addr().Is4() || a.Port() == 0 {
		return a, fmt.Errorf("%q is no IPv4 address, as 192.168.7.10 or 192.168.7.10:60000", text)
	}
	return a, nil
}

func (s *doorSettings) check() error {
	if s.Board == 0 {
		return errors.New("board is missing: the serial number that stands on the board")
	}
	if s.Door < 1 || s.Door > maxDoors {
		return fmt.Errorf("door is 1 to %d, not %d", maxDoors, s.Door)
	}
	return nil
}

// checkFormat says whether a board can give numbers of a format: it has 32 bits for them.
func checkFormat(format string) error {
	if err := cardnumber.CheckFormat(format); err != nil {
		return err
	}
	if format == "wiegand37" {
		return errors.New("a board keeps 32 bits of a number, which are too few for wiegand37")
	}
	return nil
}
