package edge

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/edge/seal"
	"gatehouse/programtest"
	"gatehouse/schemas/wire"
)

// stuck is a device that does a command when it is told to go on, or not at all.
type stuck struct {
	*device
	begun chan driver.Action
	goOn  chan struct{}
}

func (s *stuck) Do(ctx context.Context, door wire.ID, c driver.Command) error {
	if c.Action != driver.Unlock {
		select {
		case s.begun <- c.Action:
		default:
		}
		select {
		case <-s.goOn:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.device.Do(ctx, door, c)
}

func stuckDoor(c *Config) *stuck {
	s := &stuck{device: c.Doors["gate"].Driver.(*device), begun: make(chan driver.Action, 1), goOn: make(chan struct{})}
	d := c.Doors["gate"]
	d.Driver = s
	c.Doors["gate"] = d
	return s
}

// A disk that hangs holds up the engine, and a device that hangs the commands behind it.
// Neither holds up a fire.
func TestFireWaitsForNoDiskAndNoDevice(t *testing.T) {
	b := newBed(t)
	b.do(&domain.ChangeDoor{Door: "gate", FireRelease: domain.Give(true)})
	var s *stuck
	g := b.gateway(func(c *Config) { s = stuckDoor(c) })
	require.Eventually(t, func() bool { return g.engine.doors["gate"].fireRelease.Load() }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return g.tagged() && g.tags.has(1) }, time.Minute, time.Millisecond)
	g.device.show("123456")
	<-s.begun
	g.device.show("123456")
	free := make(chan struct{})
	var held sync.WaitGroup
	held.Go(func() { _ = g.engine.exec(context.Background(), func() { <-free }) })
	g.device.report <- driver.Event{Kind: driver.Fire}
	require.Eventually(t, func() bool { return g.device.did(driver.Unlock) >= 1 }, time.Minute, time.Millisecond)
	close(free)
	held.Wait()
	g.mode(t, "fire")
	assert.Zero(t, g.device.did(driver.Release)+g.device.did(driver.Lock))
}

// A device answers so slowly that a release behind other commands would open to nobody.
func TestAReleaseThatWaitedOpensNothing(t *testing.T) {
	b := newBed(t)
	m := &sharedMachine{m: newMachine()}
	var s *stuck
	g := b.gateway(func(c *Config) {
		c.Clocks = m.clocks()
		s = stuckDoor(c)
	})
	g.current(t)
	require.Eventually(t, func() bool { return g.tagged() && g.tags.has(1) }, time.Minute, time.Millisecond)
	g.device.show("123456")
	require.Equal(t, driver.Release, <-s.begun)
	g.device.show("123456")
	require.Eventually(t, func() bool { return len(g.engine.doors["gate"].errands) == 1 }, time.Minute, time.Millisecond)
	m.pass(6 * time.Second)
	s.goOn <- struct{}{}
	b.waitRecords(1, wire.AccessNotTaken)
	assert.Equal(t, 1, g.device.did(driver.Release))
}

// A gateway that begins without the key of the tags gets it, though no permission changes.
func TestTheKeyIsAskedForAfterAStart(t *testing.T) {
	b := newBed(t)
	memory := func(c *Config) { c.Policy.TagKeyInMemory = true }
	g := b.gateway(memory)
	g.current(t)
	g.stop()
	g = b.gateway(memory)
	g.current(t)
	require.Eventually(t, func() bool { return g.tags.has(1) }, time.Minute, time.Millisecond)
	g.device.show("123456")
	b.waitRecords(1, wire.AccessGranted)
}

// Where there is a TPM the stored key is sealed by it: a disk in another box gives nothing.
func TestTheKeyIsSealedByTheTPMOfTheBox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tag.key")
	key := []byte("0123456789abcdef0123456789abcdef")
	clear, err := openTags(path, nil)
	require.NoError(t, err)
	require.NoError(t, clear.set(1, key))
	own := programtest.StartTPM(t)
	sealed, err := openTags(path, seal.Find(own.Path))
	require.NoError(t, err)
	assert.True(t, sealed.has(1), "it was stored before there was a TPM")
	for _, version := range []uint32{1, 2} {
		body, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.NotContains(t, string(body), base64.StdEncoding.EncodeToString(key))
		own.Restart()
		again, err := openTags(path, seal.Find(own.Path))
		require.NoError(t, err)
		assert.True(t, again.has(version))
		require.NoError(t, again.set(2, key))
	}
	for _, other := range []*seal.TPM{nil, seal.Find(programtest.StartTPM(t).Path)} {
		none, err := openTags(path, other)
		require.Error(t, err)
		assert.False(t, none.has(2))
	}
}

// Until the table that goes by a new key is in force, cards are known by the one before.
func TestTheKeyBeforeStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tag.key")
	keys, err := openTags(path, nil)
	require.NoError(t, err)
	for v := range byte(3) {
		require.NoError(t, keys.set(uint32(v)+1, append(make([]byte, tagKeySize-1), v)))
	}
	read, err := openTags(path, nil)
	require.NoError(t, err)
	for version, is := range map[uint32]bool{1: false, 2: true, 3: true} {
		one, ok := keys.tag(version, wire.TagPin, wire.TagPin, "1234")
		assert.Equal(t, is, ok)
		again, ok := read.tag(version, wire.TagPin, wire.TagPin, "1234")
		assert.Equal(t, is, ok)
		assert.Equal(t, one, again)
		assert.Equal(t, is, one != unlock.Tag{})
	}
	body, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Less(t, len(body), 300, "older ones are gone")
}

// A wall clock that is set back while the service is away extends no lease beyond what
// was stored.
func TestASetBackClockIsBeforeWhatWasStored(t *testing.T) {
	m := newMachine()
	c := newClock(m.clocks(), clockState{Instant: noon, Current: noon})
	m.pass(10 * time.Minute)
	c.state()
	m.wall = m.wall.Add(-5 * time.Minute)
	assert.True(t, c.now().lost)
}
