package gatewaytest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// Run holds a driver to the contract of its port.
func Run(t *testing.T, make Make) {
	t.Run("DeclaresWhatItLacks", func(t *testing.T) {
		p := start(t, make)
		p.checkDeclared(t)
	})
	for name, test := range map[string]func(*play){
		"ReportsCardsAndReleases":             cards,
		"ReportsPins":                         pins,
		"TellsTheSidesApart":                  sides,
		"RefusesWithoutOpening":               refuses,
		"StandsOpenUntilItIsLocked":           standsOpen,
		"ReportsTheLeaf":                      leaf,
		"ReportsRequestsToExit":               exits,
		"ReportsKeys":                         keys,
		"ReportsFire":                         fire,
		"ReportsTamperAndBattery":             troubles,
		"ReportsALossOnceAndSaysSo":           lost,
		"ReportsTheStateWhenItIsBack":         stateAfterLoss,
		"SlowDeviceHeedsTheContext":           slow,
		"RestartedDeviceIsReportedAndWorks":   restarted,
		"RepeatedEventsAreReportedOnce":       repeats,
		"LateEventsHaveTheirInstant":          late,
		"LostEventsAreCounted":                gaps,
		"DeviceThatDecidesTellsTheSlot":       ownCodes,
		"SlotsAreWritten":                     slots,
		"BusyGatewayLosesNothing":             busy,
		"CommandsGoWhileEventsAreTaken":       reentrant,
		"NothingIsDoneOnceItHasEnded":         ended,
		"UnknownDoorsAreRefused":              unknownDoor,
		"CommandsThatItLacksAreSaidToBeThose": unsupported,
	} {
		t.Run(name, func(t *testing.T) { test(start(t, make)) })
	}
}

func cards(p *play) {
	p.need(p.t, Cards, Commands)
	p.Device.Show(unlock.In, cardNumber)
	e := p.await(driver.Read)
	assert.Equal(p.t, cardNumber, e.Shown.Number)
	assert.Contains(p.t, []wire.Method{"", wire.MethodCard, wire.MethodFob}, e.Method)
	assert.False(p.t, e.Refused)
	p.recent(e)
	p.doConfirmed(driver.Command{Action: driver.Release, Side: unlock.In, For: 7 * time.Second})
	if c := p.told(driver.Release, 1); p.has(OwnTime) {
		assert.Equal(p.t, 7*time.Second, c.For)
	}
	p.Device.Show(unlock.In, cardNumber)
	p.await(driver.Read)
	assert.Empty(p.t, only(p.sync(), driver.Unlocked, driver.Locked), "a release is no unlocking by hand")
}

// recent says that an event is of now.
func (p *play) recent(e driver.Event) {
	p.t.Helper()
	assert.True(p.t, e.At.IsZero() || time.Since(e.At).Abs() < patience, "%s happened now, and is told of %s", kindOf(e), e.At)
}

func pins(p *play) {
	p.need(p.t, Pins)
	p.Device.Type(unlock.In, pin)
	e := p.await(driver.Read)
	assert.Equal(p.t, wire.MethodPin, e.Method)
	assert.Equal(p.t, pin, e.Shown.Number)
	assert.Empty(p.t, e.Shown.Pin)
}

func sides(p *play) {
	p.need(p.t, Cards, Sides)
	for _, side := range []unlock.Side{unlock.In, unlock.Out} {
		p.Device.Show(side, cardNumber)
		assert.Equal(p.t, side, p.await(driver.Read).Side)
	}
}

func refuses(p *play) {
	p.need(p.t, Cards, Commands)
	p.Device.Show(unlock.In, cardNumber)
	p.await(driver.Read)
	err := p.do(driver.Command{Action: driver.Refuse, Side: unlock.In})
	switch {
	case !p.has(Lamp):
		assert.NoError(p.t, err, "a device without a lamp does nothing")
	case p.has(Confirms):
		assert.NoError(p.t, err)
		p.told(driver.Refuse, 1)
	}
	p.told(driver.Release, 0)
	p.told(driver.Unlock, 0)
}

func standsOpen(p *play) {
	p.need(p.t, StandOpen, LockOrder, Commands)
	for n := 1; n <= 2; n++ {
		p.doConfirmed(driver.Command{Action: driver.Unlock})
		p.told(driver.Unlock, n)
		p.doConfirmed(driver.Command{Action: driver.Lock})
		p.told(driver.Lock, n)
	}
	assert.Empty(p.t, only(p.sync(), driver.Unlocked, driver.Locked), "the gateway knows what it ordered")
}

func leaf(p *play) {
	p.need(p.t, Contact)
	for range 2 {
		p.Device.Open()
		p.recent(p.await(driver.Opened))
		p.Device.Close()
		p.recent(p.await(driver.Closed))
	}
	assert.Empty(p.t, kinds(p.sync()))
}

func exits(p *play) {
	p.need(p.t, ExitButton)
	p.Device.Press()
	p.await(driver.ExitRequested)
	p.Device.Press()
	p.await(driver.ExitRequested)
}

func keys(p *play) {
	p.need(p.t, KeyTold)
	p.Device.Key(true)
	assert.Equal(p.t, wire.MethodKey, p.await(driver.Unlocked).Method)
	p.Device.Key(false)
	assert.Equal(p.t, wire.MethodKey, p.await(driver.Locked).Method)
}

func fire(p *play) {
	p.need(p.t, FireInput)
	p.Device.Fire(true)
	p.await(driver.Fire)
	p.Device.Fire(false)
	p.await(driver.FireOver)
	assert.Empty(p.t, kinds(only(p.sync(), driver.Fire, driver.FireOver)))
}

func troubles(p *play) {
	if !p.has(CaseTold) {
		p.need(p.t, Battery)
	}
	if p.has(CaseTold) {
		p.Device.Case(true)
		p.await(driver.Tampered)
		p.Device.Case(false)
		p.await(driver.TamperOver)
	}
	if p.has(Battery) {
		p.Device.Drain(true)
		p.await(driver.BatteryLow)
		p.Device.Drain(false)
		p.await(driver.BatteryGood)
	}
	assert.Empty(p.t, kinds(only(p.sync(), driver.Tampered, driver.TamperOver, driver.BatteryLow, driver.BatteryGood)))
}

func lost(p *play) {
	p.need(p.t, Loss, Commands)
	p.Device.Lose()
	p.await(driver.Offline)
	require.ErrorIs(p.t, p.do(driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second}), driver.ErrOffline)
	p.Device.Find()
	back := p.until("Online", func(e driver.Event) bool { return e.Kind == driver.Online })
	again := append(back[:len(back)-1], p.sync()...)
	assert.Empty(p.t, kinds(only(again, driver.Offline, driver.Online)), "each is told once")
	p.told(driver.Release, 0)
	p.doConfirmed(driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second})
	p.told(driver.Release, 1)
}

func stateAfterLoss(p *play) {
	p.need(p.t, Loss, Contact)
	for _, want := range []driver.Kind{driver.Closed, driver.Opened} {
		p.Device.Lose()
		p.await(driver.Offline)
		if want == driver.Opened {
			p.Device.Open()
		}
		p.Device.Find()
		p.await(driver.Online)
		leaves := only(p.sync(), driver.Opened, driver.Closed)
		if assert.NotEmpty(p.t, leaves, "the driver says where the leaf is now") {
			assert.Equal(p.t, name(want), name(leaves[len(leaves)-1].Kind))
		}
	}
	p.Device.Close()
	p.await(driver.Closed)
}

func slow(p *play) {
	p.need(p.t, Slowness, Confirms, Commands)
	p.Device.Slow(true)
	ctx, cancel := context.WithCancel(p.t.Context())
	done := newChan()
	go func() {
		done <- p.Driver.Do(ctx, p.Door, driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second})
	}()
	require.Eventually(p.t, func() bool { return len(p.Device.Told()) == 1 }, patience, time.Millisecond, "the device is told")
	select {
	case err := <-done:
		require.Fail(p.t, "Do does not wait for the confirmation", "%v", err)
	default:
	}
	cancel()
	select {
	case err := <-done:
		require.Error(p.t, err, "nothing confirmed it")
	case <-time.After(patience):
		require.Fail(p.t, "Do goes on after its context has ended")
	}
	p.Device.Slow(false)
	p.sync()
	p.told(driver.Release, 1)
	p.doConfirmed(driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second})
	p.told(driver.Release, 2)
}

func restarted(p *play) {
	p.need(p.t, Restarts, Commands)
	if p.has(Cards) {
		p.Device.Show(unlock.In, cardNumber)
		p.await(driver.Read)
	}
	p.Device.Power()
	p.await(driver.Online)
	again := p.sync()
	assert.Empty(p.t, kinds(only(again, driver.Read, driver.ExitRequested)), "nothing of before is news")
	before := 0
	for _, c := range p.Device.Told() {
		if c.Action == driver.Release {
			before++
		}
	}
	p.doConfirmed(driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second})
	p.told(driver.Release, before+1)
}

func repeats(p *play) {
	p.need(p.t, Repeats)
	last := driver.ExitRequested
	switch d := p.Device; {
	case d.Show != nil:
		last = driver.Read
		d.Show(unlock.In, cardNumber)
	case d.Code != nil:
		last = driver.Unlocked
		d.Code(1)
	case d.Open != nil:
		last = driver.Opened
		d.Open()
	default:
		d.Press()
	}
	p.await(last)
	for range 3 {
		p.Device.Again()
	}
	assert.Empty(p.t, kinds(p.sync()))
}

func late(p *play) {
	p.need(p.t, Memory)
	then := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	kind := driver.Opened
	if !p.has(Contact) {
		kind = driver.ExitRequested
	}
	p.Device.Late(kind, then)
	e := p.await(kind)
	assert.WithinDuration(p.t, then, e.At, patience, "an event that the device kept has its instant")
}

func gaps(p *play) {
	p.need(p.t, Gaps)
	p.Device.Miss(12)
	if e := p.await(driver.Missed); e.Count != 0 {
		assert.EqualValues(p.t, 12, e.Count)
	}
	assert.Empty(p.t, only(p.sync(), driver.Missed))
}
