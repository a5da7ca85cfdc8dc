package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// pin gives kim a PIN and returns its digits.
func (b *bed) pin(id domain.ID, maxUses int) string {
	b.t.Helper()
	c := &domain.IssuePin{Credential: id, Person: "kim", Sites: []domain.ID{"north"}, MaxUses: maxUses}
	b.digits(c)
	return digitsOf(b.t, b.do(c))
}

// digits gives a command digits to choose from, which differ by command.
func (b *bed) digits(c domain.Candidates) {
	n, digits := c.Candidates()
	var all []string
	for i := range n {
		h := wire.HashOf(fmt.Append(nil, b.ids.Load(), "/", i))
		var text strings.Builder
		for _, c := range h[:digits] {
			text.WriteByte('0' + c%10)
		}
		all = append(all, text.String())
	}
	c.SetCandidates(all)
}

func digitsOf(t *testing.T, r eventstore.Result) string {
	t.Helper()
	for _, e := range r.Opened {
		if issued, ok := e.(domain.PinIssued); ok {
			return issued.Number.Text()
		}
	}
	require.Fail(t, "no PIN was issued")
	return ""
}

// enforces waits until the gateway decides by a commit.
func (g *gateway) enforces(t *testing.T, r eventstore.Result) {
	t.Helper()
	require.Eventually(t, func() bool {
		s := g.Status(t.Context())
		return s.Position == r.Position.String() && s.Leased && g.tagged()
	}, time.Minute, time.Millisecond)
}

// tagged reports whether every number has its tag, which may come in a change of its own.
func (g *gateway) tagged() bool {
	for row := range g.tables.view.Load().table.Rows(unlock.KindCredential) {
		if c := row.(*unlock.Credential); c.Tag == (unlock.Tag{}) {
			return false
		}
	}
	return true
}

// enter types digits at the gate.
func (d *device) enter(digits string) {
	d.report <- driver.Event{Kind: driver.Read, Door: "gate", Method: wire.MethodPin, Shown: driver.Shown{Number: digits}}
}

// mode waits until the gate is in a state.
func (g *gateway) mode(t *testing.T, mode string) {
	t.Helper()
	require.Eventually(t, func() bool { return g.Status(t.Context()).Doors["gate"] == mode }, time.Minute, 5*time.Millisecond)
}

func TestARemoteUnlockOpensTheDoorOnce(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	b.do(&domain.RemoteUnlock{Door: "gate"})
	r := b.waitRecords(1, wire.AccessGranted)
	assert.Equal(t, wire.MethodRemote, r[0].Method)
	assert.NotEmpty(t, r[0].Order)
	assert.Equal(t, 1, g.device.did(driver.Release))
	require.NoError(t, b.control.Stop(t.Context()))
	outcome := ""
	require.NoError(t, b.store.View(t.Context(), "acme", func(s *domain.State, _ eventstore.Head) error {
		for _, u := range s.UnlockRequests.All() {
			outcome = string(u.Outcome)
		}
		return nil
	}))
	assert.Equal(t, "executed", outcome)
}

func TestARemoteUnlockAtALostDeviceIsRefused(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	g.device.fails = driver.ErrOffline
	b.do(&domain.RemoteUnlock{Door: "gate"})
	require.NoError(t, b.control.Stop(t.Context()))
	require.NoError(t, b.store.View(t.Context(), "acme", func(s *domain.State, _ eventstore.Head) error {
		for _, u := range s.UnlockRequests.All() {
			assert.Equal(t, domain.RefusalCode("deny_device_offline"), u.Code)
		}
		return nil
	}))
}

func TestALockdownShutsADoorThatStandsOpen(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	b.do(&domain.SetPosture{Door: "gate", Posture: domain.PostureUnlocked})
	g.mode(t, "standing")
	require.Eventually(t, func() bool { return g.device.did(driver.Unlock) == 1 }, time.Minute, time.Millisecond)
	b.do(&domain.Lockdown{Site: "north"})
	require.Eventually(t, func() bool { return g.device.did(driver.Lock) == 1 }, time.Minute, time.Millisecond)
	g.device.show("123456")
	assert.Equal(t, "deny_lockdown", b.waitRecords(1, wire.AccessDenied)[0].Code)
	g.device.report <- driver.Event{Kind: driver.Read, Door: "gate", Side: 2, Method: wire.MethodFob, Shown: driver.Shown{Number: "123456"}}
	b.waitRecords(1, wire.AccessGranted) // the way out stays free
}

func TestFireReleasesTheDoorWithoutTheService(t *testing.T) {
	b := newBed(t)
	b.do(&domain.ChangeDoor{Door: "gate", FireRelease: domain.Give(true)})
	g := b.gateway()
	g.current(t)
	b.stop()
	b.embedded.Stop()
	g.device.report <- driver.Event{Kind: driver.Fire}
	require.Eventually(t, func() bool { return g.device.did(driver.Unlock) >= 1 }, time.Minute, time.Millisecond)
	g.mode(t, "fire")
	locked := g.device.did(driver.Lock) // once at the start, where nobody knows how the bolt is
	g.device.report <- driver.Event{Kind: driver.FireOver}
	require.Eventually(t, func() bool { return g.device.did(driver.Lock) > locked }, time.Minute, time.Millisecond)
}

func TestWithoutRoomForRecordsTheWayOutAndTheFireReleaseStay(t *testing.T) {
	b := newBed(t)
	b.do(&domain.ChangeDoor{Door: "gate", FireRelease: domain.Give(true)})
	g := b.gateway()
	g.current(t)
	g.stop()
	outbox := filepath.Join(b.dir, "outbox")
	require.NoError(t, os.Rename(outbox, outbox+".away"))
	require.NoError(t, os.WriteFile(outbox, nil, 0o600)) // no directory can be made
	g = b.gateway()
	g.device.show("123456")
	require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond, "nobody enters unseen")
	assert.Zero(t, g.device.did(driver.Release))
	assert.Contains(t, g.Status(t.Context()).Faults, "records")
	g.device.report <- driver.Event{Kind: driver.Read, Door: "gate", Side: unlock.Out, Method: wire.MethodFob, Shown: driver.Shown{Number: "123456"}}
	require.Eventually(t, func() bool { return g.device.did(driver.Release) == 1 }, time.Minute, time.Millisecond)
	g.device.report <- driver.Event{Kind: driver.Fire}
	require.Eventually(t, func() bool { return g.device.did(driver.Unlock) > 0 }, time.Minute, time.Millisecond)
	g.device.report <- driver.Event{Kind: driver.FireOver}
	require.NoError(t, os.Remove(outbox))
	require.NoError(t, os.Rename(outbox+".away", outbox))
	require.NoError(t, g.engine.exec(t.Context(), func() { g.engine.saved = time.Time{} }))
	require.Eventually(t, func() bool { return g.Status(t.Context()).Faults["records"] == "" }, time.Minute, time.Millisecond)
	g.device.show("123456")
	b.waitRecords(1, wire.AccessGranted)
}

func TestDuressIsARecordOfItsOwnAndTheOtherNamesAnOrdinaryPin(t *testing.T) {
	b := newBed(t)
	b.pin("pin", 0)
	c := &domain.IssueDuressPin{Credential: "help", Pin: "pin"}
	b.digits(c)
	r := b.do(c)
	g := b.gateway()
	g.enforces(t, r)
	g.device.enter(digitsOf(t, r))
	help := b.waitRecords(1, wire.DuressSignalled)[0]
	granted := b.waitRecords(1, wire.AccessGranted)[0]
	assert.Equal(t, wire.ID("help"), help.Credential)
	assert.Equal(t, granted.K, help.Of)
	assert.Equal(t, wire.ID("pin"), granted.Credential)
	body, err := granted.Encode()
	require.NoError(t, err)
	assert.NotContains(t, string(body), "help")
	assert.NotContains(t, strings.ToLower(string(body)), "duress")
	assert.Equal(t, 1, g.device.did(driver.Release))
}

func TestACodeThatOpensOnceOpensOnceAlsoAfterAStart(t *testing.T) {
	b := newBed(t)
	digits := b.pin("once", 1)
	g := b.gateway()
	g.current(t)
	b.stop()
	g.device.enter(digits)
	require.Eventually(t, func() bool { return g.device.did(driver.Release) == 1 }, time.Minute, time.Millisecond)
	g.stop()
	g = b.gateway()
	g.device.enter(digits)
	require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
	assert.Zero(t, g.device.did(driver.Release))
	g.stop()
	// Another box with the same identity learns it from the records.
	b.serve()
	g = b.gateway()
	g.current(t)
	b.waitRecords(1, wire.AccessGranted)
	g.stop()
	b.dir = t.TempDir()
	g = b.gateway()
	g.current(t)
	g.device.enter(digits)
	require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
	assert.Zero(t, g.device.did(driver.Release))
}

func TestWrongCodesLockTheKeypadAndTheLockOutOutlivesAStart(t *testing.T) {
	b := newBed(t)
	digits := b.pin("pin", 0)
	g := b.gateway()
	g.current(t)
	for range 6 {
		g.device.enter("000000")
	}
	b.waitRecords(1, wire.KeypadLockedOut)
	g.device.enter(digits)
	require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 7 }, time.Minute, time.Millisecond)
	g.stop()
	g = b.gateway()
	g.device.enter(digits)
	require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
	assert.Empty(t, b.records(wire.AccessGranted))
}

func TestWithoutTheKeyOnTheDiskNoCardOpensAfterAStartWhileCutOff(t *testing.T) {
	b := newBed(t)
	memory := func(c *Config) { c.Policy.TagKeyInMemory = true }
	g := b.gateway(memory)
	g.current(t)
	g.stop()
	b.stop()
	g = b.gateway(memory)
	g.device.show("123456")
	require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
	assert.Contains(t, g.Status(t.Context()).Faults, "tag_key")
}

func TestACodeThatOpensOnceOpensNothingWhileItsUsesAreNotKnown(t *testing.T) {
	b := newBed(t)
	digits := b.pin("once", 1)
	g := b.gateway()
	g.current(t)
	g.device.enter(digits)
	b.waitRecords(1, wire.AccessGranted)
	require.Eventually(t, func() bool { return g.outbox.Waiting() == 0 }, time.Minute, time.Millisecond)
	g.stop()
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "local.json"), []byte("{"), 0o600))
	require.NoError(t, os.RemoveAll(filepath.Join(b.dir, "outbox"))) // and with it the records
	b.stop()
	g = b.gateway()
	g.device.enter(digits)
	require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
	g.device.show("123456") // others are served
	require.Eventually(t, func() bool { return g.device.did(driver.Release) == 1 }, time.Minute, time.Millisecond)
	g.stop()
	b.serve()
	g = b.gateway()
	g.current(t)
	g.device.enter(digits)
	require.Eventually(t, func() bool { return g.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
	assert.Zero(t, g.device.did(driver.Release))
}
