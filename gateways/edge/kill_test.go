package edge

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/failpoint"
	"gatehouse/gateways/driver"
	"gatehouse/randomtest"
	"gatehouse/schemas/wire"
)

// The environment of a process that the test kills.
const (
	childPlays = "GATEHOUSE_TEST_PLAYS" // gateway or service
	childDir   = "GATEHOUSE_TEST_DIR"
	childURL   = "GATEHOUSE_TEST_URL"
	childSeed  = "GATEHOUSE_TEST_SEED"
	childRun   = "GATEHOUSE_TEST_RUN"
	childStep  = "GATEHOUSE_TEST_STEP" // behind which it ends
)

// TestMain plays a gateway where the environment says so.
func TestMain(m *testing.M) {
	dieBehind(failpoint.Step(os.Getenv(childStep)))
	if os.Getenv(childPlays) == "gateway" {
		if err := child(os.Getenv(childDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// dieBehind ends this process when a step is behind it for the second time: what is
// written at the start has been read by then.
func dieBehind(step failpoint.Step) {
	if step == "" {
		return
	}
	var times atomic.Int32
	least := int32(2)
	if strings.HasPrefix(string(step), "journal.") {
		least = 1 // a replacement is rare
	}
	failpoint.OnReached(func(reached failpoint.Step) {
		if reached == step && times.Add(1) == least {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // no further step is reached
		}
	})
}

// busy shows a fob at once after the door has been released, or refused, and tells each.
type busy struct {
	run  string
	done chan struct{}
	tell func(source string) // strict: the record is durable before the door is told
}

// Run shows one fob after the other.
func (b *busy) Run(ctx context.Context, report func(driver.Event)) error {
	for i := 0; ; i++ {
		source := fmt.Sprintf("%s-%d", b.run, i)
		report(driver.Event{Kind: driver.Read, Door: "gate", Method: wire.MethodFob, Shown: driver.Shown{Number: "123456"}, Source: source})
		select {
		case <-b.done:
			b.tell(source)
		case <-ctx.Done():
			return nil
		}
	}
}

// Do tells that the door was released or refused.
func (b *busy) Do(ctx context.Context, _ wire.ID, c driver.Command) error {
	if c.Action == driver.Release || c.Action == driver.Refuse {
		select {
		case b.done <- struct{}{}:
		case <-ctx.Done():
		}
	}
	return nil
}

// child runs a gateway until it is killed.
func child(dir string) error {
	key, err := nkeys.FromSeed([]byte(os.Getenv(childSeed)))
	if err != nil {
		return err
	}
	d := &busy{run: os.Getenv(childRun), done: make(chan struct{}), tell: func(source string) { fmt.Println(source) }}
	g, err := Open(childConfig(dir, os.Getenv(childURL), key, d))
	if err != nil {
		return err
	}
	return g.Run(context.Background())
}

func childConfig(dir, url string, key nkeys.KeyPair, d driver.Driver) Config {
	public, err := key.PublicKey()
	if err != nil {
		panic(err)
	}
	return Config{Dir: dir, Org: "acme", Site: "north", ID: "cabinet", Key: key, LogKey: testLogKey.Public().(ed25519.PublicKey), Log: quiet(), Policy: Policy{Strict: true},
		Doors: map[wire.ID]Door{"gate": {Driver: d}},
		Connect: func(o ...nats.Option) (*nats.Conn, error) {
			return nats.Connect(url, append(o, nats.Name("acme/cabinet"), nats.Nkey(public, key.Sign),
				nats.CustomInboxPrefix(wire.InboxPrefix("acme", "cabinet")), nats.ReconnectWait(10*time.Millisecond))...)
		}}
}

// plan lists the steps behind which a process is to be ended, round by round: each of
// them, and between them moments of chance, which have no step.
func plan(steps []failpoint.Step) (rounds []failpoint.Step) {
	least := 0
	if os.Getenv("GATEHOUSE_LONG") != "" {
		least = 200
	}
	for len(rounds) < max(least, len(steps)+2) {
		rounds = append(append(rounds, ""), steps...)
	}
	return rounds
}

// A gateway is killed again and again while people come, and while their access is taken
// and given: behind each step of a change of the table and of an upload, and at moments of
// chance. Every record that was durable arrives once and in order, and the table never goes
// back.
func TestAGatewayThatIsKilledLosesAndRepeatsNothing(t *testing.T) {
	b := newBed(t)
	seed, err := b.key.Seed()
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(randomtest.Seed(t, 1), 0))
	told, ended, suspended := map[string]bool{}, map[failpoint.Step]bool{}, false
	for round, step := range plan(failpoint.Gateway) {
		most := 1 + random.IntN(60)
		if step != "" {
			most = math.MaxInt // it ends by itself
		}
		if strings.HasPrefix(string(step), "journal.") {
			for _, lost := range []string{"table", "table.new"} { // another one is put in their place
				require.NoError(t, os.RemoveAll(filepath.Join(b.dir, lost)))
			}
		}
		cmd := b.child("gateway", b.dir, step)
		cmd.Env = append(cmd.Env, childURL+"="+b.embedded.Server().ClientURL(), childSeed+"="+string(seed), fmt.Sprintf("%s=%d", childRun, round))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines, n := bufio.NewScanner(out), 0
		for ; n < most && lines.Scan(); n++ {
			told[strings.TrimSpace(lines.Text())] = true
			if n%20 == 10 {
				if suspended = !suspended; suspended {
					b.do(&domain.SuspendPerson{Person: "kim"})
				} else {
					b.do(&domain.ReinstatePerson{Person: "kim"})
				}
			}
		}
		if n < most {
			ended[step] = true
		}
		_ = cmd.Process.Kill()
		for lines.Scan() { // written before the end
			told[strings.TrimSpace(lines.Text())] = true
		}
		_ = cmd.Wait()
	}
	for _, step := range failpoint.Gateway {
		assert.True(t, ended[step], "nothing ended behind %s", step)
	}
	g := b.gateway()
	g.current(t)
	require.Eventually(t, func() bool { return g.outbox.Waiting() == 0 }, time.Minute, 5*time.Millisecond)
	b.eachOnce(told)
	_, err = os.Stat(filepath.Join(b.dir, "table.damaged"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// child makes a process of this test that plays a part in a directory and ends behind a
// step.
func (b *bed) child(plays, dir string, step failpoint.Step) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestAServiceThatIsKilledLosesAndRepeatsNoRecord$")
	cmd.Env = append(os.Environ(), childPlays+"="+plays, childDir+"="+dir, childStep+"="+string(step), "TMPDIR="+b.t.TempDir())
	cmd.Stderr = b.t.Output()
	return cmd
}

// eachOnce checks the stored records of the gateway: they are whole and in order, and what
// the door was told is among them once. Their positions never go back.
func (b *bed) eachOnce(told map[string]bool) {
	t := b.t
	t.Helper()
	delete(told, "")
	var k, n uint64
	sources := map[string]int{}
	damaged, err := b.store.Activity(t.Context(), "acme", "north", "cabinet", func(a *wire.Activity) error {
		assert.Equal(t, k+1, a.K)
		k = a.K
		if a.Source != "" {
			sources[a.Source]++
		}
		if a.Position != "" {
			at, err := wire.ParsePosition(a.Position)
			assert.NoError(t, err)
			assert.GreaterOrEqual(t, at.N, n, "a decision by an earlier table than the one before")
			n = at.N
		}
		return nil
	})
	require.NoError(t, err)
	assert.Zero(t, damaged)
	assert.NotEmpty(t, told)
	for source := range told {
		assert.Equal(t, 1, sources[source], source)
	}
	for source, times := range sources {
		assert.Equal(t, 1, times, source)
	}
}
