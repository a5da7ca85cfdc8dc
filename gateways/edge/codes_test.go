package edge

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// keypadLock is a device that keeps codes and decides by itself.
type keypadLock struct {
	*device
	mu     sync.Mutex // guards the fields below
	codes  map[uint32]string
	silent bool // it does not tell the digits
	gone   error
	tried  int      // commands while it was gone
	kept   []string // what it was told, in order
	deaf   bool     // it does not tell what it holds until the context ends
	asked  int      // how often it was to tell
	takes  func(digits string) error
}

func newKeypadLock() *keypadLock { return &keypadLock{device: newDevice(), codes: map[uint32]string{}} }

func (l *keypadLock) Room(wire.ID) uint32 { return 4 }

func (l *keypadLock) Slots(ctx context.Context, _ wire.ID) (all []driver.Slot, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked++; l.deaf {
		l.mu.Unlock()
		<-ctx.Done()
		l.mu.Lock()
		return nil, ctx.Err()
	}
	if l.gone != nil {
		l.tried++
	}
	for n, digits := range l.codes {
		if l.silent {
			digits = ""
		}
		all = append(all, driver.Slot{Number: n, Code: digits})
	}
	return all, l.gone
}

func (l *keypadLock) Keep(_ context.Context, _ wire.ID, slot uint32, digits string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone != nil {
		l.tried++
		return l.gone
	}
	if l.takes != nil && digits != "" {
		if err := l.takes(digits); err != nil {
			return err
		}
	}
	l.kept = append(l.kept, fmt.Sprint(slot, digits != ""))
	if l.codes[slot] = digits; digits == "" {
		delete(l.codes, slot)
	}
	return nil
}

// change does something with the lock at its keypad.
func (l *keypadLock) change(f func(l *keypadLock)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l)
}

func (l *keypadLock) holds() map[uint32]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.codes)
}

// opens tells that somebody typed the code of a slot.
func (l *keypadLock) opens(slot uint32) {
	l.report <- driver.Event{Kind: driver.Unlocked, Door: "gate", Method: wire.MethodPin, Slot: slot}
}

// keypad is the bed whose door gate has a lock with a keypad.
func keypad(t *testing.T) (*bed, *keypadLock, func(*Config)) {
	b := newBed(t)
	b.do(&domain.ChangeDoor{Door: "gate", Capacity: domain.Give(4)})
	l := newKeypadLock()
	return b, l, func(c *Config) { c.Doors["gate"] = Door{Driver: l, Settings: DoorSettings{Sensor: true}} }
}

func (l *keypadLock) await(t *testing.T, want map[uint32]string) {
	t.Helper()
	require.Eventually(t, func() bool { return maps.Equal(want, l.holds()) }, time.Minute, 5*time.Millisecond, "%v", l.holds())
}

func TestADeviceHoldsThePINsThatOpenNow(t *testing.T) {
	b, l, with := keypad(t)
	first := b.pin("first", 0)
	counted := b.pin("counted", 3)
	g := b.gateway(with)
	l.await(t, map[uint32]string{1: first})
	second := b.pin("second", 0)
	l.await(t, map[uint32]string{1: first, 2: second})
	b.do(&domain.RevokeCredential{Credential: "first"})
	l.await(t, map[uint32]string{2: second})
	third := b.pin("third", 0)
	l.await(t, map[uint32]string{1: third, 2: second})
	b.do(&domain.SuspendPerson{Person: "kim"})
	l.await(t, map[uint32]string{})
	b.do(&domain.ReinstatePerson{Person: "kim"})
	l.await(t, map[uint32]string{1: second, 2: third})
	b.do(&domain.Lockdown{Site: "north"})
	l.await(t, map[uint32]string{})
	g.stop()
	for _, file := range []string{"codes.json", "local.json", "state.json"} {
		body, err := os.ReadFile(filepath.Join(b.dir, file))
		require.NoError(t, err)
		for _, digits := range []string{first, second, third, counted} {
			assert.NotContains(t, string(body), `"`+digits)
		}
	}
}

// The lock tells a slot, and the record tells whose code was in it.
func TestAnOpeningByTheDeviceNamesWhoseCodeItWas(t *testing.T) {
	b, l, with := keypad(t)
	digits := b.pin("kims-pin", 0)
	b.gateway(with)
	l.await(t, map[uint32]string{1: digits})
	l.opens(1)
	l.opens(4)
	records := b.waitRecords(2, wire.DoorUnlocked)
	assert.Equal(t, wire.ID("kims-pin"), records[0].Credential)
	assert.Equal(t, wire.ID("kim"), records[0].Person)
	assert.Equal(t, uint32(1), records[0].Slot)
	assert.Empty(t, records[1].Credential)
}

// A device is read back at a start, and when it comes back.
func TestDriftIsToldAndMended(t *testing.T) {
	b, l, with := keypad(t)
	digits := b.pin("kims-pin", 0)
	l.codes[3] = "999999" // of whoever had the lock before
	g := b.gateway(with)
	l.await(t, map[uint32]string{1: digits})
	b.waitRecords(1, wire.DeviceDrifted)
	b.waitRecords(1, wire.DeviceMended)
	l.change(func(l *keypadLock) { l.codes = map[uint32]string{2: "888888"} }) // reset by hand
	l.report <- driver.Event{Kind: driver.Online, Door: "gate"}
	l.await(t, map[uint32]string{1: digits})
	b.waitRecords(2, wire.DeviceDrifted)
	b.waitRecords(2, wire.DeviceMended)
	g.stop()
	// A lock that does not tell its digits is believed where its slots fit.
	l.change(func(l *keypadLock) { l.silent, l.kept = true, nil; l.codes[4] = "777777" })
	b.gateway(with)
	l.await(t, map[uint32]string{1: digits})
	l.change(func(l *keypadLock) { assert.Equal(t, []string{"4 false"}, l.kept) })
}

// The receipt of a gateway tells of its devices as well: until a code is out of the lock,
// its end is not enforced.
func TestARevocationIsEnforcedOnceTheDeviceHasClearedTheCode(t *testing.T) {
	b, l, with := keypad(t)
	digits := b.pin("kims-pin", 0)
	b.gateway(with)
	l.await(t, map[uint32]string{1: digits})
	enforces := func(r eventstore.Result) bool {
		at, cancel := context.WithCancel(t.Context())
		cancel()
		return len(b.receipts.Await(at, "acme", []domain.ID{"cabinet"}, r.Position)) == 0
	}
	earlier := b.do(&domain.AssignFob{Credential: "second", Person: "kim", Sites: []domain.ID{"north"}, Number: domain.Clear("654321")})
	require.Eventually(t, func() bool { return enforces(earlier) }, time.Minute, 5*time.Millisecond)
	l.change(func(l *keypadLock) { l.gone = driver.ErrOffline })
	revoked := b.do(&domain.RevokeCredential{Credential: "kims-pin"})
	tried := func() (n int) { l.change(func(l *keypadLock) { n = l.tried }); return n }
	require.Eventually(t, func() bool { return tried() > 1 }, time.Minute, 5*time.Millisecond)
	assert.False(t, enforces(revoked))
	l.change(func(l *keypadLock) { l.gone = nil })
	require.Eventually(t, func() bool { return enforces(revoked) }, time.Minute, 5*time.Millisecond)
	assert.Empty(t, l.holds())
}

// Without the service no code is written, and none stays longer than it opens.
func TestWhileCutOffCodesEndWithTheLease(t *testing.T) {
	b, l, with := keypad(t)
	digits := b.pin("kims-pin", 0)
	var passed atomic.Int64
	later := func() time.Duration { return time.Duration(passed.Load()) }
	g := b.gateway(with, func(c *Config) {
		c.Clocks = Clocks{Wall: func() time.Time { return time.Now().Add(later()) }, Boot: func() time.Duration { return bootTime() + later() }, ID: bootID()}
	})
	l.await(t, map[uint32]string{1: digits})
	b.stop()
	passed.Store(int64(48 * time.Hour))
	l.await(t, map[uint32]string{})
	g.stop()
}

// A full device does not hold all PINs, and tells that revoked ones are out of it.
func TestADeviceThatIsFullStillEnforcesRevocations(t *testing.T) {
	b, l, with := keypad(t)
	b.do(&domain.ChangeDoor{Door: "gate", Capacity: domain.Give(10)})
	for i := range 6 {
		b.pin(domain.ID(fmt.Sprint("pin-", i)), 0)
	}
	b.gateway(with)
	require.Eventually(t, func() bool { return len(l.holds()) == 4 }, time.Minute, 5*time.Millisecond)
	held := l.holds()
	revoked := b.do(&domain.RevokeCredential{Credential: "pin-0"})
	require.Empty(t, b.receipts.Await(t.Context(), "acme", []domain.ID{"cabinet"}, revoked.Position))
	assert.NotContains(t, slices.Collect(maps.Values(l.holds())), held[1])
	require.Eventually(t, func() bool { return len(l.holds()) == 4 }, time.Minute, 5*time.Millisecond)
}
