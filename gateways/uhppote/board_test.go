package uhppote

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/uhppoted/uhppote-core/types"
	"github.com/uhppoted/uhppote-core/uhppote"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

var release = driver.Command{Action: driver.Release, Side: unlock.In, For: 5 * time.Second}

// The board of these tests is understood by a client that neither it nor the driver knows.
func TestBoardOfTheTestsIsOneToOthers(t *testing.T) {
	f := newFake(t)
	f.find()
	f.locked(func() { f.cards[8165538] = [4]byte{1, 0, 0, 0} })
	board := uhppote.NewDevice("", f.serial, types.ControllerAddr{AddrPort: f.addr}, "udp", nil, time.Local)
	c := uhppote.NewUHPPOTE(types.BindAddr{}, types.BroadcastAddr{}, types.ListenAddr{}, time.Minute, []uhppote.Device{board}, false)
	f.swipe(1, 1, 8165538)
	s, err := c.GetStatus(f.serial)
	require.NoError(t, err)
	assert.EqualValues(t, 8165538, s.Event.CardNumber)
	assert.EqualValues(t, 1, s.Event.Reason, "its own table lets in")
	opened, err := c.OpenDoor(f.serial, 1)
	require.NoError(t, err)
	assert.True(t, opened.Succeeded)
	e, err := c.GetEvent(f.serial, 3)
	require.NoError(t, err)
	assert.EqualValues(t, 44, e.Reason)
	n, err := c.GetCards(f.serial)
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
}

// A board that was somebody else's decides nothing any more, and what it held is told.
func TestBoardIsEmptyBeforeItServes(t *testing.T) {
	f := newFake(t)
	f.cards[8165538] = [4]byte{1, 55, 0, 0}
	f.codes[0] = [4]uint32{7531}
	f.codes[1] = [4]uint32{0, 0, 0, 999999}
	f.find()
	r := run(t, f, t.TempDir(), "", quick)
	r.await("gate", driver.Drifted, 1)
	r.await("lift", driver.Mended, 1)
	f.locked(func() {
		assert.True(t, f.host)
		assert.True(t, f.special)
		assert.Empty(t, f.cards)
		assert.Equal(t, [4][4]uint32{}, f.codes)
		assert.Equal(t, [4]bool{}, f.keypads)
		assert.Zero(t, f.tasks)
	})
	r.settle(f)
	assert.Len(t, r.seen("gate", driver.Drifted), 1)
	assert.Len(t, r.seen("gate", driver.Mended), 1)
}

// The table of a board grants where a profile is missing. Somebody who writes a card into
// it gets in once at most, and that is told.
func TestCardThatSomebodyElseWritesIsFound(t *testing.T) {
	f := newFake(t)
	f.find()
	r := run(t, f, t.TempDir(), "", often())
	r.await("gate", driver.Online, 1)
	r.settle(f)
	f.locked(func() {
		f.cards[8165538] = [4]byte{55, 0, 0, 0} // there is no profile 55
		f.host = false
	})
	f.swipe(1, 1, 8165538)
	r.await("gate", driver.Drifted, 1)
	r.eventually("the card is gone", func() bool {
		n := -1
		f.locked(func() { n = len(f.cards) })
		return n == 0
	})
	r.await("gate", driver.Mended, 1)
}

func TestBoardThatLetsInByItselfIsTold(t *testing.T) {
	f := newFake(t)
	f.find()
	r := run(t, f, t.TempDir(), "", quick)
	r.await("gate", driver.Online, 1)
	r.settle(f)
	f.locked(func() {
		f.codes[0][2], f.keypads[0] = 7531, true
		f.cards[8165538] = [4]byte{1, 0, 0, 0}
		f.heardAt = time.Time{} // the board takes the host for gone
		f.host = false
	})
	f.swipe(1, 1, 8165538)
	e := r.await("gate", driver.Unlocked, 1)
	assert.Equal(t, wire.MethodCard, e.Method)
	assert.Equal(t, wire.KnownClaimed, e.HowKnown)
	r.await("gate", driver.Drifted, 1)
	f.settle()
	r.await("gate", driver.Locked, 1)
	r.eventually("all is cleared again", func() bool {
		done := false
		f.locked(func() { done = len(f.cards) == 0 && f.codes[0][2] == 0 && !f.keypads[0] && f.host })
		return done
	})
	r.await("gate", driver.Mended, 1)
	assert.Empty(t, r.seen("gate", driver.Read))
	assert.False(t, f.code(1, 7531))
}

func TestBoardThatIsNotClearedIsTold(t *testing.T) {
	for name, spoil := range map[string]func(*fake){"it refuses": func(f *fake) { f.deaf = true }, "it has no such function": func(f *fake) { f.old = true }} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			spoil(f)
			f.find()
			p := often()
			p.answer = 100 * time.Millisecond
			r := run(t, f, t.TempDir(), "", p)
			r.await("gate", driver.Drifted, 1)
			r.settle(f)
			assert.Empty(t, r.seen("gate", driver.Mended))
		})
	}
}

// While the gateway serves, the board hears of it; once it does not, the board denies by
// itself and the gateway learns of it later.
func TestHostGoesOnDeciding(t *testing.T) {
	f := newFake(t)
	f.find()
	dir := t.TempDir()
	r := run(t, f, dir, "", often())
	r.await("gate", driver.Online, 1)
	r.settle(f)
	before := f.count(0xa0)
	r.eventually("the board is told again that the host decides", func() bool { return f.count(0xa0) > before+2 })
	f.swipe(1, 1, 8165538)
	assert.False(t, r.await("gate", driver.Read, 1).Refused)
	r.stop()
	f.locked(func() { f.heardAt = time.Time{} })
	f.swipe(1, 1, 8165539)
	again := run(t, f, dir, "", quick)
	e := again.await("gate", driver.Read, 1)
	assert.Equal(t, "8165539", e.Shown.Number)
	assert.True(t, e.Refused)
	assert.LessOrEqual(t, usual.keep, 10*time.Second)
	assert.LessOrEqual(t, maxPoll*time.Millisecond, 10*time.Second)
}

// Anybody on the network of a board can open its doors. That is told, and what we order
// ourselves is not.
func TestDoorThatSomebodyElseOpensIsTold(t *testing.T) {
	f := newFake(t)
	f.find()
	r := run(t, f, t.TempDir(), "", quick)
	r.await("gate", driver.Online, 1)
	require.NoError(t, r.do("gate", release))
	r.settle(f)
	assert.Empty(t, r.seen("gate", driver.Unlocked))
	f.settle()

	frame := make([]byte, 64)
	frame[0], frame[1], frame[8] = 0x17, 0x40, 1
	frame[4], frame[5], frame[6], frame[7] = byte(f.serial), byte(f.serial>>8), byte(f.serial>>16), byte(f.serial>>24)
	f.serve(frame, func([]byte) {})
	e := r.await("gate", driver.Unlocked, 1)
	assert.Empty(t, e.Method)
	assert.Equal(t, wire.KnownClaimed, e.HowKnown)
	f.settle()
	r.await("gate", driver.Locked, 1)
	assert.Empty(t, r.seen("lift", driver.Unlocked))
}

func TestModeThatSomebodyElseSetsIsPutBack(t *testing.T) {
	f := newFake(t)
	f.find()
	r := run(t, f, t.TempDir(), "", often())
	r.await("gate", driver.Online, 1)
	require.NoError(t, r.do("lift", driver.Command{Action: driver.Unlock}))
	f.locked(func() { f.modes[0], f.relays = 1, f.relays|1 })
	r.await("gate", driver.Drifted, 1)
	r.await("gate", driver.Unlocked, 1)
	r.await("gate", driver.Mended, 1)
	f.settle()
	r.await("gate", driver.Locked, 1)
	f.locked(func() { assert.Equal(t, byte(3), f.modes[0]) })
	f.locked(func() { f.modes[1] = 2 }) // no button opens then
	r.await("lift", driver.Mended, 1)
	f.locked(func() { assert.Equal(t, byte(1), f.modes[1], "it stands open, as it was told to") })
}

// An order to open is sent once, whatever becomes of it.
func TestReleaseThatNobodyConfirmsIsNotRepeated(t *testing.T) {
	f := newFake(t)
	f.find()
	p := quick
	p.answer, p.confirm = 5*time.Second, 50*time.Millisecond
	r := run(t, f, t.TempDir(), "", p)
	r.await("gate", driver.Online, 1)
	f.locked(func() { f.silent = true })
	require.ErrorIs(t, r.do("gate", release), driver.ErrUnconfirmed)
	f.locked(func() { f.silent = false })
	assert.Equal(t, 1, f.count(0x40))
	require.NoError(t, r.do("gate", release))
	assert.Equal(t, 2, f.count(0x40))
}

func TestBoardThatAnswersNothingIsLost(t *testing.T) {
	f := newFake(t)
	f.find()
	p := quick
	p.answer = 20 * time.Millisecond
	r := run(t, f, t.TempDir(), "", p)
	r.await("gate", driver.Online, 1)
	f.locked(func() { f.silent = true })
	n := len(r.seen("gate", driver.Offline))
	r.await("gate", driver.Offline, n+1)
	n = len(r.seen("gate", driver.Online))
	f.locked(func() { f.silent = false })
	r.await("gate", driver.Online, n+1)
}

func TestFireInputOfOneBoardMayBeThatOfTheGateway(t *testing.T) {
	f := newFake(t)
	f.find()
	r := run(t, f, t.TempDir(), `,"fire_board":423187757`, quick)
	r.await("", driver.FireOver, 1)
	f.burn(true)
	r.await("", driver.Fire, 1)
	assert.Empty(t, r.seen("gate", driver.Fire))
}

// A board is found by its serial number, and one that no door names is told of.
func TestBoardWithoutAnAddressIsLookedFor(t *testing.T) {
	f := newFake(t)
	f.find()
	p := quick
	p.discover = 20 * time.Millisecond
	r := &rig{t: t}
	opened, err := Open(driver.Settings{Log: slog.New(slog.NewTextHandler(r, nil)), Driver: json.RawMessage(fmt.Sprintf(`{"zone":"Europe/Berlin","broadcast":%q}`, f.addr)),
		Doors: map[wire.ID]json.RawMessage{"gate": json.RawMessage(`{"board":423187758,"door":1}`)}})
	require.NoError(t, err)
	r.d = opened.(*Driver)
	r.d.pace = p
	r.start()
	r.await("gate", driver.Offline, 1)
	r.eventually("the other board is told of", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return strings.Contains(r.logged.String(), "board=423187757 address="+f.addr.String()+" firmware=v8.92")
	})
	f.locked(func() { f.serial = 423187758 })
	r.await("gate", driver.Online, 1)
	require.NoError(t, r.do("gate", release))
}

// A push is believed nothing: anybody can send one. It is a reason to look.
func TestForgedPushesTellNothing(t *testing.T) {
	f := newFake(t)
	f.find()
	p := quick
	p.poll = time.Hour
	r := run(t, f, t.TempDir(), `,"listen":"127.0.0.1:0"`, p)
	to := r.listens(f)
	conn, err := net.Dial("udp4", to)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	forged := make([]byte, 64)
	forged[0], forged[1], forged[8], forged[12], forged[14], forged[15], forged[27] = 0x17, 0x20, 200, 1, 1, 1, 5
	forged[4], forged[5], forged[6], forged[7] = byte(f.serial), byte(f.serial>>8), byte(f.serial>>16), byte(f.serial>>24)
	looks := f.count(0x20)
	for _, n := range []int{0, 1, 63, 64} {
		_, err = conn.Write(forged[:n])
		require.NoError(t, err)
	}
	r.eventually("it looks", func() bool { return f.count(0x20) > looks })
	f.locked(func() { f.pushes = 0 })
	f.swipe(1, 1, 8165538) // pushed, and nothing else makes it look
	r.await("gate", driver.Read, 1)
	assert.Len(t, r.seen("gate", driver.Read), 1)
}

// A port that another program has stops no door, and is used once it is free.
func TestDoorsGoOnWithoutPushes(t *testing.T) {
	f := newFake(t)
	f.find()
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: f.addr.Addr().AsSlice()})
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	r := run(t, f, t.TempDir(), fmt.Sprintf(`,"listen":%q`, taken.LocalAddr()), often())
	r.await("lift", driver.Online, 1)
	r.settle(f)
	require.NoError(t, r.do("gate", release))
	assert.Zero(t, f.count(0x90))
	require.NoError(t, taken.Close())
	r.listens(f)
}

func TestListenerThatSomebodyElseTakesIsTakenBack(t *testing.T) {
	f := newFake(t)
	f.find()
	r := run(t, f, t.TempDir(), `,"listen":"127.0.0.1:0"`, often())
	mine := r.listens(f)
	f.locked(func() { f.listener = f.addr })
	r.eventually("it is taken back", func() bool {
		now := ""
		f.locked(func() { now = f.listener.String() })
		return now == mine
	})
}
