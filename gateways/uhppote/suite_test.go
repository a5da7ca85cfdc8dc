package uhppote

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/gatewaytest"
	"gatehouse/schemas/wire"
)

var berlin = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return zone
}()

// quick is the pace of tests: looks follow each other closely. A question that a board took
// with it when it was lost is given up after a while.
var quick = pace{poll: 2 * time.Millisecond, keep: time.Hour, answer: 2 * time.Second, confirm: time.Minute, retry: time.Millisecond, discover: 100 * time.Millisecond}

// lacks is what boards cannot do, as the README says.
var lacks = map[gatewaytest.Capability]string{
	gatewaytest.Pins:     "a board compares digits itself, and tells nobody which they were",
	gatewaytest.KeyTold:  "a board has no sensor at the bolt",
	gatewaytest.OwnCodes: "its table and its codes are kept empty",
	gatewaytest.CaseTold: "a board has no such contact",
	gatewaytest.Battery:  "a board has none",
	gatewaytest.Lamp:     "a board shows by itself that it does not open",
	gatewaytest.Writable: "its table and its codes are kept empty",
}

func TestSuite(t *testing.T) {
	for name, version := range map[string]uint16{"udp": 0x0892, "tcp": 0x0892, "found": 0x0662} {
		t.Run(name, func(t *testing.T) {
			gatewaytest.Run(t, func(t *testing.T, s driver.Settings) gatewaytest.Bed {
				f := newFake(t)
				f.version = version
				where := fmt.Sprintf(`"boards":{"%d":{"address":%q,"transport":%q}}`, f.serial, f.addr, name)
				if name == "found" {
					where = fmt.Sprintf(`"broadcast":%q,"listen":"127.0.0.1:0"`, f.addr)
				}
				f.find()
				s.Driver = json.RawMessage(`{"zone":"Europe/Berlin",` + where + `}`)
				s.Doors = map[wire.ID]json.RawMessage{"gate": json.RawMessage(fmt.Sprintf(`{"board":%d,"door":1}`, f.serial))}
				s.Dir = t.TempDir()
				opened, err := Open(s)
				require.NoError(t, err)
				opened.(*Driver).pace = quick
				return gatewaytest.Bed{Driver: opened, Door: "gate", Device: f.hands(), Lacks: lacks}
			})
		})
	}
}

func (f *fake) hands() gatewaytest.Device {
	return gatewaytest.Device{
		Show: func(side unlock.Side, number string) {
			card, err := strconv.ParseUint(number, 10, 32)
			require.NoError(f.t, err)
			at := byte(1)
			if side == unlock.Out {
				at = 2
			}
			f.swipe(1, at, uint32(card))
		},
		Press: func() { f.press(1) },
		Open:  func() { f.move(1, true) },
		Close: func() { f.move(1, false) },
		Fire:  f.burn, Lose: f.lose, Find: f.find, Slow: f.be, Power: f.power, Miss: f.overwrite, Told: f.orders,
		Again: func() { f.locked(f.push) },
		Late: func(kind driver.Kind, at time.Time) {
			reason := map[driver.Kind]byte{driver.Opened: 23, driver.Closed: 24, driver.ExitRequested: 20}[kind]
			f.locked(func() { f.event(2, 1, 1, 1, 0, reason, at) })
		},
	}
}
