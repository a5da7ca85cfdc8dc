package door

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// told collects what a bench does over several inputs, and at which second.
func (b *bench) told(ins ...Input) (records []*wire.Activity, all string) {
	var out []string
	for _, in := range ins {
		b.step(in)
		if s := said(b.effects); s != "" {
			out = append(out, s)
		}
		for _, e := range b.effects {
			if e.Record != nil {
				records = append(records, e.Record)
			}
		}
	}
	return records, strings.Join(out, ", ")
}

// restart stores the state as the engine does, and makes a new machine of it.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	body, err := json.Marshal(b.State())
	require.NoError(t, err)
	assert.Less(t, len(body), 8<<10, "it is stored after each step")
	var s State
	require.NoError(t, json.Unmarshal(body, &s))
	b.Machine = New(b.set, s)
}

func at(kind driver.Kind, when time.Time) Happened {
	return Happened{Kind: kind, Door: "gate", At: when}
}

func grant(of uint64, side unlock.Side) Granted {
	return Granted{Of: of, Side: side, Method: wire.MethodFob, Person: "p-1", Credential: "c-1"}
}

func readyBench(set Settings) *bench { return newBench(set).step(ready...) }

func TestReleaseIsOfTheGrantAndForItsTime(t *testing.T) {
	b := readyBench(Settings{Sensor: true, Release: 3 * time.Second}).step(grant(7, unlock.In))
	require.Len(t, b.effects, 1)
	assert.Equal(t, &Command{driver.Command{Action: driver.Release, Side: unlock.In, For: 3 * time.Second}, 7}, b.effects[0].Command)
	assert.Equal(t, b.now.Add(8*time.Second), b.Due())
	records, _ := b.told(Happened{Kind: driver.Opened, Door: "gate", Source: "405419896:12"})
	require.Len(t, records, 1)
	assert.Equal(t, &wire.Activity{Type: wire.AccessTaken, At: b.now, Side: "in", Method: wire.MethodFob, Of: 7, Person: "p-1",
		Credential: "c-1", HowKnown: wire.KnownSensor, Source: "405419896:12"}, records[0])
}

func TestPeopleAtOneDoorAreToldApart(t *testing.T) {
	opened, closed := event(driver.Opened), event(driver.Closed)
	for name, c := range map[string]struct {
		then []Input
		want map[uint64]wire.HowKnown
	}{
		"one opening for two":                {[]Input{grant(1, unlock.In), grant(2, unlock.In), opened, closed, Tick{}}, map[uint64]wire.HowKnown{1: "sensor", 2: "assumed"}},
		"each opens":                         {[]Input{grant(1, unlock.In), grant(2, unlock.In), opened, closed, opened, closed}, map[uint64]wire.HowKnown{1: "sensor", 2: "sensor"}},
		"asked while the leaf is open":       {[]Input{grant(1, unlock.In), opened, grant(2, unlock.In), Tick{}}, map[uint64]wire.HowKnown{1: "sensor", 2: "assumed"}},
		"asked while it is open, and opened": {[]Input{grant(1, unlock.In), opened, grant(2, unlock.In), closed, opened}, map[uint64]wire.HowKnown{1: "sensor", 2: "sensor"}},
		"somebody leaves at the same time":   {[]Input{event(driver.ExitRequested), grant(1, unlock.In), opened, closed, Tick{}, Tick{}}, map[uint64]wire.HowKnown{1: "assumed"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := readyBench(Settings{Sensor: true})
			records, _ := b.told(c.then...)
			got := map[uint64]wire.HowKnown{}
			for _, r := range records {
				if r.Of != 0 {
					require.NotContains(t, got, r.Of)
					require.Equal(t, wire.AccessTaken, r.Type)
					got[r.Of] = r.HowKnown
				}
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestLockdownLocksBehindThoseOutside(t *testing.T) {
	lockdown := Posture{Lockdown: true}
	b := readyBench(watched)
	_, all := b.told(grant(7, unlock.In), lockdown, result(driver.Lock, nil), event(driver.Opened))
	assert.Equal(t, "Release, Lock, access.not_taken/sensor, door.forced_open/sensor", all, "once it is locked")

	b = readyBench(watched)
	_, all = b.told(grant(7, unlock.In), lockdown, event(driver.Opened), result(driver.Lock, nil))
	assert.Equal(t, "Release, Lock, access.taken/sensor", all, "somebody was faster")

	b = readyBench(watched)
	_, all = b.told(grant(7, unlock.Out), lockdown, event(driver.Opened), event(driver.Closed))
	assert.Equal(t, "Release, access.taken/sensor, door.closed/sensor Lock", all, "the way out stays")

	b = readyBench(watched).step(lockdown)
	_, all = b.told(event(driver.ExitRequested), event(driver.Opened))
	assert.Equal(t, "exit.requested/sensor, door.opened/sensor", all)
}

func TestFireIsAboveALockdownAndEndsOnlyByItself(t *testing.T) {
	b := readyBench(watched).step(Posture{Lockdown: true, FireRelease: true})
	_, all := b.told(event(driver.Fire), result(driver.Unlock, nil), event(driver.Opened), Posture{FireRelease: true}, event(driver.Closed), Tick{})
	assert.Equal(t, "fire.raised/sensor Unlock, door.unlocked, door.opened/sensor, door.closed/sensor", all)
	records, all := b.told(event(driver.FireOver), result(driver.Lock, nil))
	assert.Equal(t, "fire.cleared/sensor Lock, door.locked", all)
	assert.Equal(t, wire.MethodFire, records[1].Method)

	b = readyBench(watched).step(Posture{})
	_, all = b.told(event(driver.Fire), event(driver.Opened))
	assert.Equal(t, "fire.raised/sensor, door.forced_open/sensor", all, "the door is none that a fire releases")
	b = readyBench(watched)
	_, all = b.told(Happened{Kind: driver.Fire}, Happened{Kind: driver.FireOver})
	assert.Equal(t, "Unlock, Lock", all, "that of the whole gateway is recorded once, elsewhere")
	b = readyBench(watched)
	_, all = b.told(Happened{Kind: driver.Fire}, event(driver.FireOver), event(driver.Fire), Happened{Kind: driver.FireOver}, event(driver.FireOver))
	assert.Equal(t, "Unlock, fire.raised/sensor, fire.cleared/sensor Lock", all, "the one input does not end the fire of the other")
}

func TestNewDoorIsLockedAsSoonAsItsDeviceAnswers(t *testing.T) {
	b := newBench(watched)
	_, all := b.told(event(driver.Online), event(driver.Closed), result(driver.Lock, nil), event(driver.Opened))
	assert.Equal(t, "device.online/sensor Lock, door.forced_open/sensor", all)
	b = newBench(watched)
	_, all = b.told(event(driver.Online), event(driver.Closed), result(driver.Lock, driver.ErrUnsupported), event(driver.Opened))
	assert.Equal(t, "device.online/sensor Lock, door.forced_open/sensor", all, "what cannot be locked on command locks itself")
}

func TestOpenTooLongIsToldOnceAndCleared(t *testing.T) {
	b := readyBench(watched).step(grant(7, unlock.In), event(driver.Opened))
	since := b.now
	records, all := b.told(Tick{}, Tick{}, event(driver.Closed))
	assert.Equal(t, "door.held_open/sensor, door.held_open_cleared/sensor", all)
	assert.Equal(t, since.Add(30*time.Second), records[0].At)

	b = readyBench(Settings{Sensor: true}).step(grant(7, unlock.In), event(driver.Opened))
	assert.Zero(t, b.Due(), "without a limit it may stay open")

	b = readyBench(watched).step(Posture{Open: true}, result(driver.Unlock, nil), event(driver.Opened))
	assert.Zero(t, b.Due(), "nor is it held while it stands open")
	b.step(Posture{}, result(driver.Lock, nil))
	assert.Equal(t, b.now.Add(29*time.Second), b.Due(), "the time begins with the end of the posture")
}

func TestLostDeviceLeavesNobodyOut(t *testing.T) {
	b := readyBench(watched)
	_, all := b.told(grant(7, unlock.In), event(driver.Offline), event(driver.Offline), Tick{})
	assert.Equal(t, "Release, device.offline/sensor, access.taken/assumed", all)

	b = readyBench(watched).step(grant(7, unlock.In))
	_, all = b.told(event(driver.Offline), result(driver.Release, driver.ErrOffline))
	assert.Equal(t, "device.offline/sensor, access.not_taken", all, "the device never had the order")

	b = readyBench(watched).step(grant(7, unlock.In))
	_, all = b.told(event(driver.Offline), event(driver.Online), event(driver.Opened))
	assert.Equal(t, "device.offline/sensor, device.online/sensor, access.taken/sensor", all, "it came back in time")

	b = readyBench(watched).step(grant(7, unlock.In), event(driver.Opened), event(driver.Offline))
	assert.Zero(t, b.Due(), "nobody knows whether it is still open")
}

func TestFirstOpeningAfterALossMayBeOld(t *testing.T) {
	for name, lose := range map[string]func(*bench){
		"lost":      func(b *bench) { b.step(event(driver.Offline), event(driver.Online)) },
		"restarted": func(b *bench) { b.restart(t); b.step(normal, event(driver.Online)) },
		"missed":    func(b *bench) { b.step(event(driver.Missed)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := readyBench(watched)
			lose(b)
			_, all := b.told(event(driver.Opened))
			assert.Equal(t, "door.opened/assumed", all)

			b = readyBench(watched)
			lose(b)
			_, all = b.told(event(driver.Closed), event(driver.Opened))
			assert.Equal(t, "door.forced_open/sensor", all, "it was seen to be closed")

			b = readyBench(watched)
			lose(b)
			_, all = b.told(at(driver.Opened, b.now))
			assert.Equal(t, "door.forced_open/sensor", all, "the device knows when")
		})
	}
}

func TestLateEventsAreJudgedByTheirTime(t *testing.T) {
	b := readyBench(watched).step(grant(7, unlock.In))
	granted := b.now
	b.step(event(driver.Offline), Tick{})
	b.now = b.now.Add(time.Hour)
	records, all := b.told(event(driver.Online), at(driver.Opened, granted.Add(2*time.Second)), at(driver.Closed, granted.Add(4*time.Second)))
	assert.Equal(t, "device.online/sensor, door.opened/sensor, door.closed/sensor", all)
	assert.EqualValues(t, 7, records[1].Of)
	assert.Equal(t, granted.Add(2*time.Second), records[1].At)

	asked := granted.Add(10 * time.Minute)
	_, all = b.told(at(driver.ExitRequested, asked), at(driver.Opened, asked.Add(3*time.Second)), at(driver.Closed, asked.Add(5*time.Second)))
	assert.Equal(t, "exit.requested/sensor, door.opened/sensor, door.closed/sensor", all)
	forced := granted.Add(20 * time.Minute)
	_, all = b.told(at(driver.Opened, forced), at(driver.Closed, forced.Add(time.Minute)))
	assert.Equal(t, "door.forced_open/sensor, door.held_open/sensor door.held_open_cleared/sensor", all)

	b = readyBench(watched).step(Posture{Open: true}, result(driver.Unlock, nil), event(driver.Opened), event(driver.Closed))
	open := b.now
	b.now = b.now.Add(time.Hour)
	_, all = b.told(Posture{}, result(driver.Lock, nil), at(driver.Opened, open.Add(time.Minute)))
	assert.Equal(t, "Lock, door.locked, door.opened/sensor", all, "it stood open then")
}

func TestRestartTellsNothingTwice(t *testing.T) {
	b := readyBench(watched).step(event(driver.Tampered), event(driver.BatteryLow), grant(7, unlock.In), event(driver.Opened), Tick{})
	require.Equal(t, TooLong, b.Mode())
	b.restart(t)
	_, all := b.told(normal, event(driver.Online), event(driver.Tampered), event(driver.BatteryLow), event(driver.Opened), Tick{})
	assert.Empty(t, all)
	_, all = b.told(event(driver.Closed))
	assert.Equal(t, "door.held_open_cleared/sensor", all)

	b = readyBench(watched).step(grant(7, unlock.In))
	b.restart(t)
	_, all = b.told(normal, event(driver.Online), Tick{})
	assert.Equal(t, "access.taken/assumed", all, "nobody watched the door")

	b = readyBench(watched).step(Posture{Open: true}, result(driver.Unlock, nil))
	b.restart(t)
	_, all = b.told(Posture{}, event(driver.Online), result(driver.Lock, nil))
	assert.Equal(t, "Lock, Lock, door.locked", all, "the posture ended meanwhile")

	b = readyBench(watched).step(grant(7, unlock.In), event(driver.Opened))
	b.now = b.now.Add(time.Hour)
	b.restart(t)
	assert.Zero(t, b.Due(), "whether it is still open is not known")
	b.step(event(driver.Online))
	assert.Equal(t, b.now.Add(late), b.Due(), "the device has a moment to tell that it was closed")
}

func TestBoltIsMovedUntilItIs(t *testing.T) {
	b := readyBench(watched).step(Posture{Open: true})
	begin := b.now
	var tries int
	for b.now.Before(begin.Add(time.Hour)) {
		b.step(result(driver.Unlock, errors.New("jammed")))
		require.NotZero(t, b.Due())
		b.step(Tick{})
		require.Equal(t, "Unlock", said(b.effects))
		tries++
	}
	assert.Less(t, tries, 70)
	_, all := b.told(result(driver.Unlock, driver.ErrUnconfirmed), Tick{})
	assert.Equal(t, "door.unlocked/assumed", all)

	b = readyBench(watched).step(Posture{Open: true})
	_, all = b.told(result(driver.Unlock, driver.ErrUnsupported), Tick{}, grant(7, unlock.In), event(driver.Opened))
	assert.Equal(t, "Release, door.opened/sensor", all, "a device that cannot stay open lets people in one by one")

	b = readyBench(watched)
	_, all = b.told(grant(7, unlock.In), result(driver.Release, errors.New("jammed")), Tick{}, Tick{})
	assert.Equal(t, "Release, access.not_taken/sensor", all, "a release is never repeated")
}

func TestDoorThatLocksItselfIsOpenedLessAndLessOften(t *testing.T) {
	b := readyBench(watched).step(Posture{Open: true}, result(driver.Unlock, nil))
	begin := b.now
	var commands int
	for b.now.Before(begin.Add(time.Hour)) {
		b.step(event(driver.Locked))
		if !b.Due().IsZero() {
			b.step(Tick{})
		}
		b.step(result(driver.Unlock, nil))
		commands++
	}
	assert.Less(t, commands, 70)

	b = readyBench(watched).step(Posture{Open: true}, result(driver.Unlock, nil), by(driver.Locked, wire.MethodKey))
	_, all := b.told(event(driver.Online), Tick{}, grant(7, unlock.In))
	assert.Equal(t, "Release", all, "somebody locked it, and those who may pass still do")
	_, all = b.told(Posture{}, Posture{Open: true}, result(driver.Lock, nil), result(driver.Unlock, nil))
	assert.Equal(t, "Lock, Unlock, door.unlocked", all)
}

func TestSecondOpeningByOneGrant(t *testing.T) {
	b := readyBench(Settings{Sensor: true}).step(grant(7, unlock.In), event(driver.Opened), event(driver.Closed))
	records, all := b.told(event(driver.Opened))
	assert.Equal(t, "door.opened/sensor", all, "the release goes on")
	assert.EqualValues(t, 7, records[0].Of)

	b = readyBench(Settings{Sensor: true}).step(grant(7, unlock.In), event(driver.Opened), event(driver.Closed))
	b.now = b.now.Add(3 * time.Second)
	_, all = b.told(event(driver.Opened))
	assert.Equal(t, "door.forced_open/sensor", all, "the release is over")

	b = readyBench(watched).step(grant(7, unlock.In), event(driver.Opened), event(driver.Closed), result(driver.Lock, nil))
	_, all = b.told(event(driver.Opened))
	assert.Equal(t, "door.forced_open/sensor", all, "it was locked behind them")
}

func TestMissedEventsAreAGap(t *testing.T) {
	b := readyBench(watched)
	records, _ := b.told(Happened{Kind: driver.Missed, Door: "gate", Count: 12})
	assert.JSONEq(t, `{"cause":"missed","count":12}`, string(records[0].Local))
}

func TestRequestsToExitAreRecordedOnceATime(t *testing.T) {
	b := readyBench(watched)
	var all []string
	for range 100 { // a sensor in a corridor
		_, s := b.told(event(driver.ExitRequested))
		all = append(all, s)
	}
	assert.Equal(t, "exit.requested/sensor", strings.Join(all, ""))
	_, s := b.told(event(driver.Opened), event(driver.Closed), event(driver.ExitRequested))
	assert.Equal(t, "door.opened/sensor, door.closed/sensor, exit.requested/sensor", s)
}
