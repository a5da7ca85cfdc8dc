package edge

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/gateways/driver"
	"gatehouse/randomtest"
	"gatehouse/schemas/wire"
)

// The environment of a gateway that the test kills.
const (
	childDir  = "GATEHOUSE_TEST_GATEWAY_DIR"
	childURL  = "GATEHOUSE_TEST_GATEWAY_URL"
	childSeed = "GATEHOUSE_TEST_GATEWAY_SEED"
	childRun  = "GATEHOUSE_TEST_GATEWAY_RUN"
)

// TestMain plays a gateway where the environment says so.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// busy shows a fob at once after the door has been released, or refused, and tells each.
type busy struct {
	run  string
	done chan struct{}
}

// Run shows one fob after the other.
func (b *busy) Run(ctx context.Context, report func(driver.Event)) error {
	for i := 0; ; i++ {
		source := fmt.Sprintf("%s-%d", b.run, i)
		report(driver.Event{Kind: driver.Read, Door: "gate", Method: wire.MethodFob, Shown: driver.Shown{Number: "123456"}, Source: source})
		select {
		case <-b.done:
			fmt.Println(source) // strict: the record is durable before the door is told
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
	d := &busy{run: os.Getenv(childRun), done: make(chan struct{})}
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

// A gateway is killed again and again while people come, and while their access is taken
// and given: every record that was durable arrives once and in order, and the table never
// goes back.
func TestAGatewayThatIsKilledLosesAndRepeatsNothing(t *testing.T) {
	b := newBed(t)
	rounds := 6
	if os.Getenv("GATEHOUSE_LONG") != "" {
		rounds = 200
	}
	seed, err := b.key.Seed()
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(randomtest.Seed(t, 1), 0))
	told := map[string]bool{}
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+b.dir, childURL+"="+b.embedded.Server().ClientURL(), childSeed+"="+string(seed), fmt.Sprintf("%s=%d", childRun, round))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines, most := bufio.NewScanner(out), 1+random.IntN(60)
		for n := 0; n < most && lines.Scan(); n++ {
			told[strings.TrimSpace(lines.Text())] = true
			if n == most/2 {
				b.do([]any{&domain.SuspendPerson{Person: "kim"}, &domain.ReinstatePerson{Person: "kim"}}[round%2])
			}
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() { // written before the end
			told[strings.TrimSpace(lines.Text())] = true
		}
		_ = cmd.Wait()
	}
	delete(told, "")
	g := b.gateway()
	g.current(t)
	require.Eventually(t, func() bool { return g.outbox.Waiting() == 0 }, time.Minute, 5*time.Millisecond)
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
	_, err = os.Stat(filepath.Join(b.dir, "table.damaged"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
