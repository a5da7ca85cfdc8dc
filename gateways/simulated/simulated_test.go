package simulated

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/gatewaytest"
	"gatehouse/schemas/wire"
)

func TestSuite(t *testing.T) {
	gatewaytest.Run(t, func(t *testing.T, s driver.Settings) gatewaytest.Bed {
		s.Doors = map[wire.ID]json.RawMessage{"gate": json.RawMessage(`{"slots":30}`), "lift": nil}
		opened, err := Open(s)
		require.NoError(t, err)
		d := opened.(*Driver)
		play := func(a Act) {
			a.Door = "gate"
			_, err := d.Play(context.Background(), a)
			require.NoError(t, err)
		}
		does := func(what string) func() { return func() { play(Act{Do: what}) } }
		either := func(yes, no string) func(bool) {
			return func(on bool) { play(Act{Do: map[bool]string{true: yes, false: no}[on]}) }
		}
		return gatewaytest.Bed{Driver: d, Door: "gate", Device: gatewaytest.Device{
			Show:  func(side unlock.Side, number string) { play(Act{Show: number, Side: side.String()}) },
			Type:  func(side unlock.Side, pin string) { play(Act{Type: pin, Side: side.String()}) },
			Press: does("exit"), Open: does("open"), Close: does("close"),
			Key: either("key_unlock", "key_lock"), Fire: either("fire", "fire_over"), Case: either("tamper", "tamper_over"),
			Drain: either("battery_low", "battery_good"), Slow: either("slow", "quick"),
			Code: func(slot uint32) { play(Act{Code: slot}) },
			Lose: does("lose"), Find: does("find"), Power: does("restart"), Again: does("repeat"),
			Late: func(kind driver.Kind, at time.Time) {
				play(Act{Do: map[driver.Kind]string{driver.Opened: "open", driver.Closed: "close", driver.ExitRequested: "exit"}[kind], Ago: time.Since(at).String()})
			},
			Miss: func(n uint64) { play(Act{Do: "miss", Count: n}) },
			Told: func() []driver.Command { return d.Told("gate") },
		}}
	})
}

// running is a driver that runs until the test ends.
type running struct {
	*Driver
	mu     sync.Mutex
	events []driver.Event
}

func run(t *testing.T, listen string, doors map[wire.ID]json.RawMessage) *running {
	t.Helper()
	section, err := json.Marshal(settings{Listen: listen})
	require.NoError(t, err)
	opened, err := Open(driver.Settings{Driver: section, Doors: doors, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	r := &running{Driver: opened.(*Driver)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- r.Run(ctx, func(e driver.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		})
	}()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	for door := range doors {
		r.await(t, driver.Online, door)
	}
	return r
}

func (r *running) await(t *testing.T, kind driver.Kind, door wire.ID) (found driver.Event) {
	t.Helper()
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.IndexFunc(r.events, func(e driver.Event) bool { return e.Kind == kind && e.Door == door })
		if i >= 0 {
			found = r.events[i]
		}
		return i >= 0
	}, time.Minute, time.Millisecond)
	return found
}

var oneGate = map[wire.ID]json.RawMessage{"gate": nil}

func TestDevicesArePlayedFromAnotherProcess(t *testing.T) {
	for name, listen := range map[string]string{"unix": "unix:" + filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0"} {
		t.Run(name, func(t *testing.T) {
			r := run(t, listen, oneGate)
			p, err := Dial(t.Context(), r.Address())
			require.NoError(t, err)
			defer p.Close()

			answered := make(chan Answer, 1)
			go func() {
				a, err := p.Play(t.Context(), Act{Door: "gate", Show: "30671984", Await: "1m"})
				assert.NoError(t, err)
				answered <- a
			}()
			assert.Equal(t, "30671984", r.await(t, driver.Read, "gate").Shown.Number)
			require.NoError(t, r.Do(t.Context(), "gate", driver.Command{Action: driver.Release, For: time.Hour}))
			assert.Equal(t, Answer{Command: "release", Bolt: "released", Leaf: "closed", Told: 1}, <-answered)

			a, err := p.Play(t.Context(), Act{Door: "gate", Do: "pull"})
			require.NoError(t, err)
			assert.Equal(t, Answer{Opened: true, Bolt: "released", Leaf: "open", Told: 1}, a)
			_, err = p.Play(t.Context(), Act{Door: "gate", Do: "dance"})
			require.ErrorContains(t, err, "do is one of battery_good, ")
			a, err = p.Play(t.Context(), Act{Door: "gate"})
			require.NoError(t, err, "an act that was refused ends no connection")
			assert.Equal(t, "open", a.Leaf)
		})
	}
}

func TestLockedDoorIsOpenedByForceAlone(t *testing.T) {
	r := run(t, "", oneGate)
	a, err := r.Play(t.Context(), Act{Door: "gate", Do: "pull"})
	require.NoError(t, err)
	assert.Equal(t, Answer{Bolt: "locked", Leaf: "closed"}, a)
	a, err = r.Play(t.Context(), Act{Door: "gate", Do: "open"})
	require.NoError(t, err)
	assert.Equal(t, "open", a.Leaf)
}

func TestLostDeviceKeepsItsEventsAndCountsThoseThatItCannot(t *testing.T) {
	r := run(t, "", oneGate)
	play := func(a Act) {
		a.Door = "gate"
		_, err := r.Play(t.Context(), a)
		require.NoError(t, err)
	}
	play(Act{Do: "lose"})
	r.await(t, driver.Offline, "gate")
	for i := range ring + 10 {
		play(Act{Show: strconv.Itoa(i)})
	}
	play(Act{Do: "find"})
	assert.EqualValues(t, 10, r.await(t, driver.Missed, "gate").Count)
	assert.Equal(t, "10", r.await(t, driver.Read, "gate").Shown.Number)
}

func TestBusyGatewaySlowsThePlayers(t *testing.T) {
	opened, err := Open(driver.Settings{Doors: oneGate, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	d := opened.(*Driver)
	const n = 5 * ring
	played := make(chan struct{})
	go func() {
		defer close(played)
		for !func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.running }() {
			time.Sleep(time.Millisecond)
		}
		for i := range n {
			_, err := d.Play(t.Context(), Act{Door: "gate", Show: strconv.Itoa(i)})
			assert.NoError(t, err)
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	next := 0
	require.NoError(t, d.Run(ctx, func(e driver.Event) {
		if e.Kind == driver.Read {
			assert.Equal(t, strconv.Itoa(next), e.Shown.Number)
			if next++; next == n {
				cancel()
			}
		}
		assert.NotEqual(t, driver.Missed, e.Kind)
	}))
	<-played
}

func TestFireInputOfTheWholeGatewayIsOfNoDoor(t *testing.T) {
	r := run(t, "", oneGate)
	_, err := r.Play(t.Context(), Act{Do: "fire"})
	require.NoError(t, err)
	r.await(t, driver.Fire, "")
}

func TestDeviceWithSlotsDecidesOnPins(t *testing.T) {
	r := run(t, "", map[wire.ID]json.RawMessage{"gate": json.RawMessage(`{"slots":2}`)})
	require.NoError(t, r.Keep(t.Context(), "gate", 2, "735182"))
	a, err := r.Play(t.Context(), Act{Door: "gate", Type: "735182"})
	require.NoError(t, err)
	assert.Equal(t, "unlocked", a.Bolt)
	assert.EqualValues(t, 2, r.await(t, driver.Unlocked, "gate").Slot)
	for _, do := range []string{"open", "close"} {
		a, err = r.Play(t.Context(), Act{Door: "gate", Do: do})
		require.NoError(t, err)
	}
	assert.Equal(t, "locked", a.Bolt, "it locks behind them")
	r.await(t, driver.Locked, "gate")
	_, err = r.Play(t.Context(), Act{Door: "gate", Type: "735183"})
	require.NoError(t, err)
	assert.True(t, r.await(t, driver.Read, "gate").Refused)
}

func TestSettingsAreChecked(t *testing.T) {
	for name, c := range map[string]struct{ driver, door, want string }{
		"open to the network":        {`{"listen":"0.0.0.0:7070"}`, ``, `"0.0.0.0:7070" is neither unix:PATH nor an address of this machine alone`},
		"a name":                     {`{"listen":"localhost:7070"}`, ``, `neither unix:PATH`},
		"an unknown field":           {`{"listening":"x"}`, ``, `unknown field "listening"`},
		"an unknown field of a door": {``, `{"sensor":true}`, `the settings of the door gate: json: unknown field "sensor"`},
		"too many slots":             {``, `{"slots":1001}`, `the door gate has 1001 slots; at most 1000 are possible`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(driver.Settings{Driver: json.RawMessage(c.driver), Doors: map[wire.ID]json.RawMessage{"gate": json.RawMessage(c.door)}})
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestActsAreChecked(t *testing.T) {
	r := run(t, "", oneGate)
	for want, a := range map[string]Act{
		`there is no door "hall"; the doors are gate`:                 {Door: "hall", Do: "open"},
		`there is no door ""`:                                         {Do: "open"},
		`an act is one of show, type, mobile_key, code and do, not 2`: {Door: "gate", Do: "open", Show: "1"},
		`side is in or out, not "left"`:                               {Door: "gate", Do: "open", Side: "left"},
		`await is a duration of at most 1m0s such as 2s, not "1h"`:    {Door: "gate", Do: "open", Await: "1h"},
		`there is no format "wiegand-26"; did you mean wiegand26?`:    {Door: "gate", Show: "1", Format: "wiegand-26"},
	} {
		_, err := r.Play(t.Context(), a)
		assert.ErrorContains(t, err, want)
	}
}
