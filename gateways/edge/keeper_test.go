package edge

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// A lock that is asked slot by slot is read back for minutes. A revocation does not wait
// for that, and not for its success.
func TestARevocationDoesNotWaitForWhatADeviceTells(t *testing.T) {
	b, l, with := keypad(t)
	first, second := b.pin("first", 0), b.pin("second", 0)
	g := b.gateway(with)
	l.await(t, map[uint32]string{1: first, 2: second})
	var before int
	l.change(func(l *keypadLock) { l.deaf, before = true, l.asked })
	l.report <- driver.Event{Kind: driver.Online, Door: "gate"}
	require.Eventually(t, func() (asked bool) { l.change(func(l *keypadLock) { asked = l.asked > before }); return asked }, time.Minute, 5*time.Millisecond)
	b.do(&domain.RevokeCredential{Credential: "first"})
	l.await(t, map[uint32]string{2: second})
	g.stop()
	b.do(&domain.RevokeCredential{Credential: "second"})
	b.gateway(with)
	l.await(t, map[uint32]string{})
}

// While many codes are written, another is revoked that has not had its turn.
func TestAPINThatWasRevokedMeanwhileIsNotWritten(t *testing.T) {
	b, l, with := keypad(t)
	b.pin("a", 0)
	later := b.pin("b", 0)
	var g atomic.Pointer[gateway]
	var wrote atomic.Bool
	l.takes = func(digits string) error {
		if digits == later {
			wrote.Store(true)
			return nil
		}
		at := b.do(&domain.RevokeCredential{Credential: "b"}).Position
		assert.Eventually(t, func() bool { return g.Load() != nil && g.Load().latest() == at }, time.Minute, time.Millisecond)
		return nil
	}
	started := b.gateway(with)
	g.Store(started)
	require.Eventually(t, func() bool { return len(l.holds()) > 0 && started.codes.upto(1) == started.latest().N }, time.Minute, 5*time.Millisecond)
	l.change(func(l *keypadLock) { assert.Equal(t, []string{"1 true"}, l.kept) })
	assert.False(t, wrote.Load())
}

// Locks have rules of their own for codes. One that is not taken is not drift, and the
// others are written.
func TestACodeThatADeviceDoesNotTakeKeepsNoOtherOut(t *testing.T) {
	b, l, with := keypad(t)
	refused, taken := b.pin("a", 0), b.pin("b", 0)
	l.takes = func(digits string) error {
		if digits == refused {
			return errors.New("no such code")
		}
		return nil
	}
	b.gateway(with)
	l.await(t, map[uint32]string{2: taken})
	tries := func() (n int) { l.change(func(l *keypadLock) { n = l.asked }); return n }
	require.Eventually(t, func() bool { return tries() > 2 }, time.Minute, 5*time.Millisecond)
	l.change(func(l *keypadLock) { l.takes = nil })
	require.Eventually(t, func() bool { return len(l.holds()) == 2 }, time.Minute, 5*time.Millisecond)
	assert.Empty(t, b.records(wire.DeviceDrifted))
}

// lines counts what is logged of codes.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("the codes in a device are not what they should be")) {
		l.n.Add(1)
	}
	return len(line), nil
}

// Battery locks are not read back because the service does not answer.
func TestADeviceIsNotReadBackForWhatOthersDo(t *testing.T) {
	b, l, with := keypad(t)
	b.do(&domain.ChangeDoor{Door: "gate", Capacity: domain.Give(0)}) // so the service gives no digits
	b.pin("a", 0)
	var failures lines
	b.gateway(with, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&failures, nil)) })
	require.Eventually(t, func() bool { return failures.n.Load() > 1 }, time.Minute, 5*time.Millisecond)
	l.change(func(l *keypadLock) { assert.Equal(t, 1, l.asked) })
}

// Without a table nothing opens, and no code stays in a device.
func TestWhereTheTableIsLostNoCodeStays(t *testing.T) {
	b, l, with := keypad(t)
	digits := b.pin("a", 0)
	g := b.gateway(with)
	l.await(t, map[uint32]string{1: digits})
	g.stop()
	b.stop()
	require.NoError(t, os.RemoveAll(filepath.Join(b.dir, "table")))
	b.gateway(with)
	l.await(t, map[uint32]string{})
}

// Of a file of slots that says nothing, nothing is used.
func TestSlotsThatAreNullAreReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "codes.json")
	require.NoError(t, os.WriteFile(path, []byte("null"), 0o600))
	c, err := openCodes(path)
	require.Error(t, err)
	require.NoError(t, c.set("gate", 1, &code{Credential: "a"}))
}

// The slot in a record must not tell of a duress PIN what the credential does not.
func TestTheSlotOfADuressPINIsNotTold(t *testing.T) {
	b, l, with := keypad(t)
	digits := b.pin("pin", 0)
	c := &domain.IssueDuressPin{Credential: "help", Pin: "pin"}
	b.digits(c)
	help := digitsOf(t, b.do(c))
	b.gateway(with)
	require.Eventually(t, func() bool { return len(l.holds()) == 2 }, time.Minute, 5*time.Millisecond)
	slot := map[string]uint32{}
	for n, code := range l.holds() {
		slot[code] = n
	}
	l.opens(slot[help])
	opened := b.waitRecords(1, wire.DoorUnlocked)[0]
	assert.Equal(t, wire.ID("pin"), opened.Credential)
	assert.Equal(t, slot[digits], opened.Slot)
	assert.Equal(t, wire.ID("help"), b.waitRecords(1, wire.DuressSignalled)[0].Credential)
}

// A table of a later epoch that is not accepted denies, and its record names it. That does
// not make it the one that was in force: else a start would take it as if it were accepted.
func TestATableThatIsNotAcceptedWasNotInForce(t *testing.T) {
	dir := t.TempDir()
	o := openOutbox(t, dir)
	require.NoError(t, o.Append(&wire.Activity{Type: wire.AccessGranted, At: noon, Door: "gate", Position: "1-500"}, true))
	require.NoError(t, o.Append(&wire.Activity{Type: wire.AccessDenied, At: noon, Door: "gate", Position: "2-600"}, true))
	require.NoError(t, o.Close())
	assert.Equal(t, "1-500", openOutbox(t, dir).decided)
}
