package edge

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/randomtest"
	"gatehouse/schemas/wire"
)

// Commits that revoke and allow come late, twice, in disorder or not at all. A base comes
// now and then. Every decision is that of the table that it names, and a table never
// goes back.
func TestNoDecisionContradictsThePositionThatItNames(t *testing.T) {
	rounds := 400
	if os.Getenv("GATEHOUSE_LONG") != "" {
		rounds = 10_000
	}
	for _, seed := range []uint64{randomtest.Seed(t, 1), randomtest.Seed(t, 2)} {
		random := rand.New(rand.NewPCG(seed, 0))
		l := newLedger(t)
		a, err := openTestTables(t, filepath.Join(t.TempDir(), "table"), wire.Position{})
		require.NoError(t, err)
		m := newMachine()
		c := newClock(m.clocks(), clockState{})
		m.hears(c, noon, 0, true, noon)
		d := &decider{gateway: "cabinet", clock: c, local: newLocal(), fire: map[wire.ID]bool{}}
		allowed := map[uint64]bool{}
		told := [][]byte{l.commit(1, 1, append(site(t), person("kim", unlock.PersonSuspended)...)...)}
		var last uint64
		for n := uint64(2); n < uint64(rounds); n++ {
			state := []unlock.PersonState{unlock.PersonActive, unlock.PersonSuspended}[random.IntN(2)]
			told = append(told, l.commit(1, n, person("kim", state)...))
			allowed[n] = state == unlock.PersonActive
			for range random.IntN(3) {
				_ = a.takes(t, told[max(0, len(told)-1-random.IntN(4))])
			}
			if random.IntN(5) == 0 { // it asks for what it lacks
				if random.IntN(3) == 0 {
					b := a.begin()
					for _, message := range l.base() {
						require.NoError(t, b.take(message))
					}
					require.NoError(t, a.adopt(b))
				} else if from := a.head().N; from < n {
					require.NoError(t, a.takes(t, told[from:]...))
				}
			}
			v := a.view.Load()
			if v == nil {
				continue
			}
			r := d.decide(question{view: v, now: c.now(), door: "gate", ask: unlock.Request{Side: unlock.In, Credential: unlock.IDOf("key-kim")}}).record(wire.MethodMobileKey)
			require.GreaterOrEqual(t, v.head.N, last, "seed %d", seed)
			last = v.head.N
			require.Equal(t, fmt.Sprintf("1-%d", last), r.Position)
			require.Equal(t, allowed[last], r.Type == wire.AccessGranted, "seed %d, position %d", seed, last)
		}
		require.Greater(t, last, uint64(rounds/2), "seed %d", seed)
	}
}

// A day without the service: people come and go, the box is started twice, once after a
// power cut that tore a record.
func TestADayWithoutTheServiceArrivesOnceAndInOrder(t *testing.T) {
	b := newBed(t)
	m := &sharedMachine{m: newMachine()}
	clocks := func(c *Config) { c.Clocks = m.clocks() }
	g := b.gateway(clocks)
	g.current(t)
	b.waitRecords(1, wire.PermissionsEnforced)
	b.stop()
	shown, codes := 0, map[string]int{}
	show := func(n int, per time.Duration) {
		for i := range n {
			m.pass(per)
			g.device.show("123456")
			for end := time.Now().Add(time.Minute); g.device.did(driver.Release)+g.device.did(driver.Refuse) <= i; time.Sleep(20 * time.Microsecond) {
				require.True(t, time.Now().Before(end), "read %d is not decided", i)
			}
		}
		shown += n
	}
	each := 700
	if os.Getenv("GATEHOUSE_LONG") != "" {
		each = 3_400
	}
	show(each, 8*time.Hour/time.Duration(each))
	g.stop()
	g = b.gateway(clocks)
	show(each, 8*time.Hour/time.Duration(each))
	g.stop()
	tearLast(t, filepath.Join(b.dir, "outbox", "records"))
	g = b.gateway(clocks)
	show(each, 8*time.Hour/time.Duration(each))
	b.serve()
	require.Eventually(t, func() bool { return len(b.records(wire.AccessGranted, wire.AccessDenied)) >= shown-1 }, time.Minute, 20*time.Millisecond)
	var before uint64
	gaps := 0
	damaged, err := b.store.Activity(t.Context(), "acme", "north", "cabinet", func(a *wire.Activity) error {
		assert.Equal(t, before+1, a.K)
		before = a.K
		switch a.Type {
		case wire.AccessGranted, wire.AccessDenied:
			codes[a.Code]++
		case wire.RecordsGap:
			gaps++
		}
		return nil
	})
	require.NoError(t, err)
	assert.Zero(t, damaged)
	assert.Equal(t, 1, gaps, "the torn record is named")
	assert.Equal(t, shown-1, codes["allow_staff"]+codes["deny_lease_ended"], "%v", codes)
	assert.Equal(t, int(15*time.Minute*time.Duration(each)/(8*time.Hour)), codes["allow_staff"], "the lease of 15 minutes: %v", codes)
}

// tearLast cuts a part off the last record.
func tearLast(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	last := files[len(files)-1]
	info, err := os.Stat(last)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(last, info.Size()-10))
}

// sharedMachine is a machine whose clocks several goroutines read.
type sharedMachine struct {
	mu sync.Mutex
	m  *machine
}

func (s *sharedMachine) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.pass(d)
}

func (s *sharedMachine) clocks() Clocks {
	return Clocks{ID: s.m.id,
		Wall: func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.m.wall },
		Boot: func() time.Duration { s.mu.Lock(); defer s.mu.Unlock(); return s.m.boot }}
}

func TestOfTwoBoxesWithOneIdentityOneServes(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	b.waitRecords(1, wire.PermissionsEnforced)
	g.stop()
	copied := t.TempDir()
	require.NoError(t, os.CopyFS(copied, os.DirFS(b.dir)))
	g = b.gateway()
	g.current(t)
	b.waitRecords(2, wire.GatewayStarted)
	other := b.gateway(func(c *Config) { c.Dir = copied })
	require.Eventually(t, func() bool { return other.Status(t.Context()).Faults["clone"] != "" }, time.Minute, time.Millisecond)
	other.device.show("123456")
	g.device.show("123456")
	require.Eventually(t, func() bool { return g.device.did(driver.Release) == 1 && other.device.did(driver.Refuse) == 1 }, time.Minute, time.Millisecond)
	assert.Zero(t, other.device.did(driver.Release))
}

// 200,000 records of a busy week without the service arrive in under a minute.
func TestABusyWeekArrivesWithinAMinute(t *testing.T) {
	records := 3_000
	if os.Getenv("GATEHOUSE_LONG") != "" {
		records = 200_000
	}
	b := newBed(t)
	o, err := OpenOutbox(filepath.Join(b.dir, "outbox"), "cabinet", time.Now)
	require.NoError(t, err)
	for i := range records {
		require.NoError(t, o.Append(&wire.Activity{Type: wire.AccessGranted, At: time.Now(), Door: "gate", Side: "in", Method: wire.MethodFob, Credential: "fob", Person: "kim",
			Code: "allow_staff", Grant: "kims", Position: "1-10", Digest: strings.Repeat("0", 64), Source: fmt.Sprint(i)}, false))
	}
	require.NoError(t, o.Close())
	g := b.gateway()
	began := time.Now()
	require.Eventually(t, func() bool { return g.outbox.Waiting() == 0 && g.outbox.Confirmed() >= uint64(records) }, 5*time.Minute, 10*time.Millisecond)
	if took := time.Since(began); os.Getenv("GATEHOUSE_LONG") != "" {
		t.Logf("%d records in %s", records, took)
		assert.Less(t, took, time.Minute)
	}
}
