package edge

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

func TestAFobOpensItsDoorAndTheRecordArrives(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	g.device.show("123456")
	g.device.show("999")
	r := b.waitRecords(2, wire.AccessGranted, wire.AccessDenied)
	assert.Equal(t, "allow_staff", r[0].Code)
	assert.Equal(t, wire.ID("kim"), r[0].Person)
	assert.Equal(t, wire.ID("fob"), r[0].Credential)
	assert.Equal(t, wire.MethodFob, r[0].Method)
	assert.Equal(t, wire.ClockService, r[0].Clock)
	assert.False(t, r[0].LeaseEnd.IsZero())
	assert.NotEmpty(t, r[0].Position)
	assert.Equal(t, "deny_unknown_credential", r[1].Code)
	assert.NotEmpty(t, r[1].Tag)
	assert.Equal(t, 1, g.device.did(driver.Release))
	g.device.report <- driver.Event{Kind: driver.Opened, Door: "gate"}
	taken := b.waitRecords(1, wire.AccessTaken)
	assert.Equal(t, r[0].K, taken[0].Of)
}

func TestARevocationIsEnforcedAtOnce(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	result := b.do(&domain.RevokeRight{Grant: "kims"})
	require.Eventually(t, func() bool { return g.Status(t.Context()).Position == result.Position.String() }, time.Minute, time.Millisecond)
	g.device.show("123456")
	r := b.waitRecords(1, wire.AccessDenied)
	assert.Equal(t, "deny_no_access_right", r[0].Code)
	assert.Zero(t, g.device.did(driver.Release))
}

func TestAGatewayThatIsCutOffDecidesAndBringsBackItsRecords(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	b.waitRecords(1, wire.PermissionsEnforced)
	b.stop()
	for range 10 {
		g.device.show("123456")
	}
	require.Eventually(t, func() bool { return g.device.did(driver.Release) == 10 }, time.Minute, time.Millisecond)
	assert.Empty(t, b.records(wire.AccessGranted))
	g.stop()
	b.serve()
	b.gateway().current(t)
	b.waitRecords(10, wire.AccessGranted)
}

func TestAStartWhileCutOffIsUnsureOfTheTime(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	g.stop()
	b.stop()
	boot := Clocks{Wall: time.Now, Boot: func() time.Duration { return time.Since(processStart) }, ID: "another"}
	g = b.gateway(func(c *Config) { c.Clocks = boot })
	g.device.show("123456")
	require.Eventually(t, func() bool { return g.device.did(driver.Release) == 1 }, time.Minute, time.Millisecond)
	g.stop()
	b.serve()
	g = b.gateway()
	r := b.waitRecords(1, wire.AccessGranted)
	assert.Equal(t, wire.ClockUnsure, r[0].Clock)
}

// An answer that was lost with its connection is not waited for.
func TestALostConnectionEndsOpenRequests(t *testing.T) {
	b := newBed(t)
	var nc *nats.Conn
	cut := make(cutter, 10)
	g := b.gateway(func(c *Config) {
		connect := c.Connect
		c.Connect = func(o ...nats.Option) (_ *nats.Conn, err error) {
			nc, err = connect(append(o, nats.SetCustomDialer(cut))...)
			return nc, err
		}
	})
	g.current(t)
	b.stop()
	deaf, err := b.embedded.Connect()
	require.NoError(t, err)
	defer deaf.Close()
	asked := make(chan *nats.Msg, 100)
	_, err = deaf.ChanSubscribe(wire.EveryAsk, asked)
	require.NoError(t, err)
	require.NoError(t, deaf.Flush())
	failed := make(chan error, 1)
	go func() {
		_, _, _, err := g.request(t.Context(), nc, &wire.Ask{Type: wire.AskHistory, Page: "mine"}, nil)
		failed <- err
	}()
	for mine := false; !mine; {
		msg := <-asked
		mine = strings.Contains(string(msg.Data), "mine")
	}
	require.NoError(t, (<-cut).Close())
	require.ErrorIs(t, <-failed, errLineLost)
}

// cutter dials, and gives the connections to be cut.
type cutter chan net.Conn

func (c cutter) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	if err == nil {
		c <- conn
	}
	return conn, err
}

// A wall clock that is wrong shuts nobody out: the age of what a device tells is measured
// by one clock. The record has the time of the service.
func TestAWrongWallClockShutsNobodyOut(t *testing.T) {
	b := newBed(t)
	wall := func() time.Time { return time.Now().Round(0).Add(-time.Hour) }
	g := b.gateway(func(c *Config) { c.Clocks = Clocks{Wall: wall, Boot: bootTime, ID: bootID()} })
	g.current(t)
	began := time.Now().Add(-time.Minute)
	g.device.report <- driver.Event{Kind: driver.Read, Door: "gate", At: wall(), Method: wire.MethodFob, Shown: driver.Shown{Number: "123456"}}
	record := b.waitRecords(1, wire.AccessGranted, wire.AccessDenied)[0]
	require.Equal(t, wire.AccessGranted, record.Type, record.Code)
	g.device.report <- driver.Event{Kind: driver.Read, Door: "gate", At: wall().Add(-time.Minute), Method: wire.MethodFob, Shown: driver.Shown{Number: "123456"}}
	late := b.waitRecords(1, wire.AccessDenied)[0]
	assert.Equal(t, denyTooLate, late.Code)
	assert.True(t, late.At.After(began.Add(-time.Minute)), late.At)
}

func TestEachRecordIsToldOnceItIsKept(t *testing.T) {
	b := newBed(t)
	var mu sync.Mutex
	told := map[wire.ActivityType]int{}
	g := b.gateway(func(c *Config) {
		c.Recorded = func(a *wire.Activity) {
			mu.Lock()
			defer mu.Unlock()
			assert.NotZero(t, a.K, "the record has its counter")
			told[a.Type]++
		}
	})
	g.current(t)
	g.device.show("4711")
	b.waitRecords(1, wire.AccessDenied)
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, 1, told[wire.AccessDenied])
	assert.Equal(t, 1, told[wire.GatewayStarted])
}
