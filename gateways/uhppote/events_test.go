package uhppote

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/cardnumber"
	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
)

// Events from the time when the gateway was off are told once, with their instant. Those
// from before the board was ours are not.
func TestEventsAreReadOnceAlsoAfterAStart(t *testing.T) {
	f := newFake(t)
	f.press(1)
	f.find()
	dir := t.TempDir()
	r := run(t, f, dir, "", quick)
	r.await("gate", driver.Online, 1)
	f.press(1)
	r.settle(f)
	assert.Len(t, r.seen("gate", driver.ExitRequested), 1)
	r.stop()
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	f.locked(func() { f.event(2, 1, 1, 1, 0, 20, then) })
	again := run(t, f, dir, "", quick)
	e := again.await("gate", driver.ExitRequested, 1)
	assert.Equal(t, then.UTC(), e.At.UTC())
	assert.Equal(t, "423187757:5", e.Source)
	again.settle(f)
	assert.Len(t, again.seen("gate", driver.ExitRequested), 1)
	assert.Empty(t, again.seen("gate", driver.Missed))
}

// A board that was reset counts from 1 again. Nobody knows what was lost, and what it has
// now is told, however far it has come.
func TestIndexThatBeginsAgainIsAGap(t *testing.T) {
	for name, after := range map[string]int{"less": 1, "as much": 3, "more": 20} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.find()
			dir := t.TempDir()
			r := run(t, f, dir, "", quick)
			r.await("gate", driver.Online, 1)
			r.settle(f)
			f.press(1)
			r.settle(f)
			r.stop()
			f.reset()
			for range after {
				f.locked(func() { f.event(2, 1, 1, 1, 0, 20, time.Now().Add(-time.Minute)) })
			}
			again := run(t, f, dir, "", quick)
			again.await("gate", driver.Missed, 1)
			again.settle(f)
			assert.Len(t, again.seen("gate", driver.ExitRequested), after)
			assert.Len(t, again.seen("gate", driver.Missed), 1)
		})
	}
}

func TestIndexThatBeginsAgainIsNoticedAtOnce(t *testing.T) {
	f := newFake(t)
	f.find()
	r := run(t, f, t.TempDir(), "", quick)
	r.await("gate", driver.Online, 1)
	r.settle(f)
	f.reset()
	f.press(1)
	r.await("gate", driver.Missed, 1)
	r.await("gate", driver.ExitRequested, 1)
}

// The ring of a board overwrites what nobody has read. How much is known by the index.
func TestOverwrittenEventsAreCountedAcrossAStart(t *testing.T) {
	f := newFake(t)
	f.ring = 10
	f.find()
	dir := t.TempDir()
	r := run(t, f, dir, "", quick)
	r.await("gate", driver.Online, 1)
	r.stop()
	for range 25 {
		f.press(1)
	}
	again := run(t, f, dir, "", quick)
	again.await("gate", driver.ExitRequested, 10)
	again.settle(f)
	assert.EqualValues(t, 15, again.await("gate", driver.Missed, 1).Count)
	assert.Len(t, again.seen("gate", driver.ExitRequested), 10)
}

func TestLongBacklogIsReadInPieces(t *testing.T) {
	f := newFake(t)
	f.find()
	dir := t.TempDir()
	r := run(t, f, dir, "", quick)
	r.await("gate", driver.Online, 1)
	r.stop()
	for range 2*perTurn + 10 {
		f.press(1)
	}
	again := run(t, f, dir, "", often())
	again.settle(f)
	assert.Len(t, again.seen("gate", driver.ExitRequested), 2*perTurn+10)
	assert.Empty(t, again.seen("gate", driver.Missed))
}

// A damaged file of ours is told, and nothing is told twice.
func TestDamagedCursorIsBegunAnew(t *testing.T) {
	f := newFake(t)
	f.press(1)
	f.find()
	dir := t.TempDir()
	path := filepath.Join(dir, "423187757.json")
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	r := run(t, f, dir, "", quick)
	r.await("lift", driver.Online, 1)
	r.settle(f)
	assert.Empty(t, r.seen("gate", driver.ExitRequested))
	r.stop()
	assert.Contains(t, r.logged.String(), "nobody knows how far")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"index":3`)
}

func TestNumbersOfCardsHaveTheFormOfTheirFormat(t *testing.T) {
	for _, c := range []struct {
		format, want string
		card         uint32
	}{
		{"wiegand26", "118-15080", 11815080},
		{"wiegand26", "12-345", 1200345},
		{"wiegand34", "259-772", 259<<16 | 772},
		{"uid", "04A1B2C3", 0x04a1b2c3},
		{"raw", "11815080", 11815080},
		{"", "4294967294", 1<<32 - 2},
	} {
		got := shown(c.format, c.card)
		assert.Zero(t, got.Fault)
		number, err := cardnumber.Canonical(got.Format, got.Number)
		require.NoError(t, err)
		assert.Equal(t, c.want, number, "%s %d", c.format, c.card)
	}
	for _, none := range []uint32{0, 0xffffff, 0xffffffff} {
		assert.Equal(t, driver.Shown{Fault: unlock.WrongCardFormat}, shown("wiegand26", none))
	}
	wide := shown("wiegand26", 30000001) // no facility code of 26 bits is 300
	_, err := cardnumber.Canonical(wide.Format, wide.Number)
	require.Error(t, err)
}
