package door

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// bench is a machine with a clock that goes on by a second with each input.
type bench struct {
	*Machine
	now     time.Time
	effects []Effect // of the last input
}

func newBench(set Settings) *bench { return &bench{Machine: New(set, State{}), now: noon} }

func (b *bench) step(ins ...Input) *bench {
	for _, in := range ins {
		b.now = b.now.Add(time.Second)
		if _, tick := in.(Tick); tick {
			switch due := b.Due(); {
			case due.IsZero():
				b.now = b.now.Add(time.Hour)
			case due.After(b.now):
				b.now = due
			}
		}
		b.effects = b.Step(b.now, in)
	}
	return b
}

// said writes effects as the table does: commands by name, records by type and by how
// they are known.
func said(effects []Effect) string {
	var out []string
	for _, e := range effects {
		switch {
		case e.Command != nil:
			out = append(out, map[driver.Action]string{driver.Release: "Release", driver.Unlock: "Unlock", driver.Lock: "Lock"}[e.Command.Action])
		case e.Record.HowKnown != "":
			out = append(out, fmt.Sprintf("%s/%s", e.Record.Type, e.Record.HowKnown))
		default:
			out = append(out, string(e.Record.Type))
		}
	}
	return strings.Join(out, " ")
}

func event(kind driver.Kind) Happened { return Happened{Kind: kind, Door: "gate"} }

func by(kind driver.Kind, method wire.Method) Happened {
	return Happened{Kind: kind, Door: "gate", Method: method}
}

func result(action driver.Action, err error) Done {
	return Done{Command{Command: driver.Command{Action: action}, Of: map[bool]uint64{true: 7}[action == driver.Release]}, err}
}

var (
	watched   = Settings{Sensor: true, Held: DefaultHeld, LockOnClose: true}
	unwatched = Settings{Held: DefaultHeld, LockOnClose: true}
	normal    = Posture{FireRelease: true}
	mayEnter  = Granted{Of: 7, Side: unlock.In, Method: wire.MethodFob, Person: "p-1", Credential: "c-1"}
	ready     = []Input{normal, result(driver.Lock, nil), event(driver.Online), event(driver.Closed)}
	// states has the inputs by which a new door comes into each state of the table.
	states = []struct {
		name string
		set  Settings
		then []Input
	}{
		{"new", watched, nil},
		{"locked", watched, nil},
		{"granted", watched, []Input{mayEnter}},
		{"unsure", watched, []Input{mayEnter, event(driver.Missed)}},
		{"exiting", watched, []Input{event(driver.ExitRequested)}},
		{"open", watched, []Input{mayEnter, event(driver.Opened)}},
		{"held", watched, []Input{mayEnter, event(driver.Opened), Tick{}}},
		{"unlocked", watched, []Input{by(driver.Unlocked, wire.MethodKey)}},
		{"standing", watched, []Input{Posture{Open: true, FireRelease: true}, result(driver.Unlock, nil)}},
		{"opening", watched, []Input{Posture{Open: true, FireRelease: true}}},
		{"locking", watched, []Input{Posture{Open: true, FireRelease: true}, result(driver.Unlock, nil), normal}},
		{"fire", watched, []Input{event(driver.Fire), result(driver.Unlock, nil)}},
		{"lockdown", watched, []Input{Posture{Lockdown: true, FireRelease: true}}},
		{"troubled", watched, []Input{event(driver.Tampered), event(driver.BatteryLow), event(driver.Drifted), event(driver.Offline)}},
		{"blind", unwatched, nil},
		{"blind-granted", unwatched, []Input{mayEnter}},
	}
	modeOf = strings.NewReplacer("blind-", "", "blind", "locked", "troubled", "locked", "new", "unlocked", "opening", "standing", "locking", "unlocked")
	inputs = []struct {
		name string
		in   Input
	}{
		{"may-enter", Granted{Of: 8, Side: unlock.In, Method: wire.MethodFob, Person: "p-2", Credential: "c-2"}},
		{"may-leave", Granted{Of: 8, Side: unlock.Out, Method: wire.MethodFob, Person: "p-2", Credential: "c-2"}},
		{"opened", event(driver.Opened)},
		{"closed", event(driver.Closed)},
		{"exit-requested", event(driver.ExitRequested)},
		{"key-unlocks", by(driver.Unlocked, wire.MethodKey)},
		{"code-unlocks", Happened{Kind: driver.Unlocked, Door: "gate", Method: wire.MethodPin, Slot: 3}},
		{"unlocks-itself", event(driver.Unlocked)},
		{"key-locks", by(driver.Locked, wire.MethodKey)},
		{"locks-itself", event(driver.Locked)},
		{"stand-open", Posture{Open: true, FireRelease: true}},
		{"normal", normal},
		{"lockdown", Posture{Open: true, Lockdown: true, FireRelease: true}},
		{"fire", event(driver.Fire)},
		{"fire-over", event(driver.FireOver)},
		{"tampered", event(driver.Tampered)},
		{"tamper-over", event(driver.TamperOver)},
		{"battery-low", event(driver.BatteryLow)},
		{"battery-good", event(driver.BatteryGood)},
		{"drifted", event(driver.Drifted)},
		{"mended", event(driver.Mended)},
		{"online", event(driver.Online)},
		{"offline", event(driver.Offline)},
		{"missed", event(driver.Missed)},
		{"release-done", result(driver.Release, nil)},
		{"release-unconfirmed", result(driver.Release, driver.ErrUnconfirmed)},
		{"release-offline", result(driver.Release, driver.ErrOffline)},
		{"unlock-done", result(driver.Unlock, nil)},
		{"unlock-failed", result(driver.Unlock, errors.New("jammed"))},
		{"lock-done", result(driver.Lock, nil)},
		{"lock-failed", result(driver.Lock, errors.New("jammed"))},
		{"time", Tick{}},
	}
)

// cell is one cell of the table.
type cell struct{ next, effects string }

// readTable reads the table of the package comment: input, states, next state, effects.
func readTable(t *testing.T) map[[2]string]cell {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "# The table\n")
	require.True(t, found)
	cells, others := map[[2]string]cell{}, map[string]cell{}
	for line := range strings.Lines(table) {
		row, is := strings.CutPrefix(line, "//\t")
		if !is {
			continue
		}
		part := strings.Split(row, "|")
		require.Len(t, part, 4, row)
		for i := range part {
			part[i] = strings.TrimSpace(part[i])
		}
		input, c := part[0], cell{part[2], part[3]}
		if part[1] == "every" || part[1] == "other" {
			require.NotContains(t, others, input)
			others[input] = c
			continue
		}
		for _, state := range strings.Fields(part[1]) {
			key := [2]string{input, state}
			require.NotContains(t, cells, key, "the cell is given twice")
			cells[key] = c
		}
	}
	for input, c := range others {
		for _, s := range states {
			if key := [2]string{input, s.name}; cells[key] == (cell{}) {
				cells[key] = c
			}
		}
	}
	return cells
}

// inState is a door in a state of the table.
func inState(name string, set Settings, then []Input) *bench {
	b := newBench(set)
	if name != "new" {
		b.step(ready...)
	}
	return b.step(then...)
}

func TestTableOfStatesAndInputs(t *testing.T) {
	cells := readTable(t)
	for _, in := range inputs {
		for _, s := range states {
			b := inState(s.name, s.set, s.then)
			require.Equal(t, modeOf.Replace(s.name), string(b.Mode()))
			key := [2]string{in.name, s.name}
			want, found := cells[key]
			if !assert.True(t, found, "no cell for the input %s in the state %s", in.name, s.name) {
				continue
			}
			delete(cells, key)
			before := b.Mode()
			b.step(in.in)
			if want.next == "same" {
				want.next = string(before)
			}
			assert.Equal(t, want, cell{string(b.Mode()), said(b.effects)}, "%s in the state %s", in.name, s.name)
		}
	}
	assert.Empty(t, cells, "cells of no known input and state")
}
