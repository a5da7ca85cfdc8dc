package gatewaytest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

func ownCodes(p *play) {
	p.need(p.t, OwnCodes)
	p.Device.Code(3)
	e := p.await(driver.Unlocked)
	assert.EqualValues(p.t, 3, e.Slot)
	assert.Contains(p.t, []wire.HowKnown{"", wire.KnownClaimed}, e.HowKnown, "the device says so, no sensor does")
	assert.Empty(p.t, e.Shown, "nobody need know the code")
}

func slots(p *play) {
	p.need(p.t, Writable)
	k := p.Driver.(driver.Keeper)
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	room := k.Room(p.Door)
	held := func() map[uint32]bool {
		all, err := k.Slots(ctx, p.Door)
		require.NoError(p.t, err)
		out := map[uint32]bool{}
		for _, s := range all {
			assert.Contains(p.t, []string{"", slotCode}, s.Code)
			out[s.Number] = true
		}
		return out
	}
	require.False(p.t, held()[room])
	require.NoError(p.t, k.Keep(ctx, p.Door, room, slotCode))
	assert.True(p.t, held()[room])
	require.NoError(p.t, k.Keep(ctx, p.Door, room, slotCode), "again")
	require.NoError(p.t, k.Keep(ctx, p.Door, room, ""))
	assert.False(p.t, held()[room])
	for _, slot := range []uint32{0, room + 1} {
		err := k.Keep(ctx, p.Door, slot, slotCode)
		require.Error(p.t, err, "there is no slot %d", slot)
		assert.NotContains(p.t, err.Error(), slotCode)
	}
	if p.has(Loss) {
		p.Device.Lose()
		p.await(driver.Offline)
		require.ErrorIs(p.t, k.Keep(ctx, p.Door, room, slotCode), driver.ErrOffline)
		_, err := k.Slots(ctx, p.Door)
		require.ErrorIs(p.t, err, driver.ErrOffline)
	}
}

// busy shows cards while report does not return.
func busy(p *play) {
	p.need(p.t, Cards)
	gate := make(chan struct{})
	p.mu.Lock()
	p.gate = gate
	p.mu.Unlock()
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	const n = 20
	for i := range n {
		p.Device.Show(unlock.In, fmt.Sprint(cardNumber, i))
	}
	open()
	for i := range n {
		assert.Equal(p.t, fmt.Sprint(cardNumber, i), p.await(driver.Read).Shown.Number)
	}
}

// reentrant gives a command from within report, as a gateway may that decides at once.
func reentrant(p *play) {
	p.need(p.t, Cards, Commands)
	done := newChan()
	p.mu.Lock()
	p.inside = func(e driver.Event) {
		if e.Kind == driver.Read && e.Shown.Number == cardNumber {
			done <- p.do(driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second})
		}
	}
	p.mu.Unlock()
	p.Device.Show(unlock.In, cardNumber)
	select {
	case err := <-done:
		if p.has(Confirms) {
			require.NoError(p.t, err)
		}
	case <-time.After(patience):
		require.Fail(p.t, "a command waits for an event to be taken")
	}
	p.told(driver.Release, 1)
}

func ended(p *play) {
	p.stop()
	require.ErrorIs(p.t, p.do(driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second}), driver.ErrOffline)
	if p.has(Cards) {
		p.Device.Show(unlock.In, cardNumber)
	}
	if p.has(Commands) {
		p.told(driver.Release, 0)
	}
}

func unknownDoor(p *play) {
	err := p.Driver.Do(p.t.Context(), "no-such-door", driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second})
	require.Error(p.t, err)
	assert.Contains(p.t, err.Error(), "no-such-door")
}

func unsupported(p *play) {
	for c, action := range map[Capability]driver.Action{StandOpen: driver.Unlock, LockOrder: driver.Lock} {
		if !p.has(c) {
			assert.ErrorIs(p.t, p.do(driver.Command{Action: action}), driver.ErrUnsupported, "%s", c)
		}
	}
}
