package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/eventstore/budget"
)

// pressed is a service as a process under load, and what backs it up.
type pressed struct {
	t                 *testing.T
	p                 *process
	target, witness   string
	recipient, secret string // public key, and the file of the secret one

	tokens map[string]string // of owners, by org
	url    atomic.Pointer[string]
	acked  atomic.Int64
	tried  atomic.Int64
}

func newPressed(t *testing.T) *pressed {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	x := &pressed{t: t, target: filepath.Join(t.TempDir(), "target"), witness: t.TempDir(),
		recipient: id.Recipient().String(), secret: filepath.Join(t.TempDir(), "identity"), tokens: map[string]string{}}
	require.NoError(t, os.WriteFile(x.secret, []byte(id.String()+"\n"), 0o600))
	x.p = &process{t: t, data: filepath.Join(t.TempDir(), "data"), more: []string{"--witness", x.witness, "--bootstrap"}}
	x.start()
	x.p.killAtEnd()
	for i, org := range []string{"acme", "bolt"} {
		if i > 0 {
			x.p.stop() // a bootstrap token is good for one org
			x.start()
		}
		x.tokens[org] = makeOrg(t, x.p, org)
		require.NoError(t, sends(t, newClient(x.p.url, x.tokens[org], org, ""), "RegisterPerson", `{"person":"first"}`))
	}
	return x
}

func (x *pressed) start() {
	x.t.Helper()
	x.p.start()
	url := x.p.url
	x.url.Store(&url)
}

// press sends about 500 commands a second to both orgs, or as many as are accepted. It
// ends when the returned function is called.
func (x *pressed) press() (end func()) {
	ticks := time.NewTicker(2 * time.Millisecond)
	over := make(chan struct{})
	var sending sync.WaitGroup
	for worker := range 6 {
		org := []string{"acme", "bolt"}[worker%2]
		sending.Go(func() {
			c := newClient(*x.url.Load(), x.tokens[org], org, "")
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				case <-ticks.C:
				}
				c.Base = *x.url.Load()
				x.tried.Add(1)
				body := fmt.Appendf(nil, `{"person":"p-%d-%d","name":"Name %d"}`, worker, i, i)
				if _, err := c.SendOnce(x.t.Context(), client.Request{Method: "POST", Path: "/v1/orgs/" + org + "/commands/RegisterPerson", Body: body, Key: client.NewKey()}); err == nil {
					x.acked.Add(1)
				}
			}
		})
	}
	return func() { close(over); sending.Wait(); ticks.Stop() }
}

// more waits until further commands were acknowledged.
func (x *pressed) more(n int64) {
	x.t.Helper()
	until := x.acked.Load() + n
	require.Eventually(x.t, func() bool { return x.acked.Load() >= until }, patience, time.Millisecond)
}

// verb runs a verb as a process.
func (x *pressed) verb(args ...string) (string, error) {
	out, err := exec.CommandContext(x.t.Context(), "gatehouse", args...).CombinedOutput()
	return string(out), err
}

func (x *pressed) backup() *exec.Cmd {
	return exec.Command("gatehouse", "backup", x.target, "--data", x.p.data, "--recipient", x.recipient)
}

// whole makes a backup and verifies it, whatever was killed before.
func (x *pressed) whole() {
	x.t.Helper()
	out, err := x.backup().CombinedOutput()
	require.NoError(x.t, err, "%s", out)
	said, err := x.verb("backup", "verify", x.target, "--identity", x.secret)
	require.NoError(x.t, err, said)
}

// killed starts a backup and ends it, or the service that gives it, some time later.
// It reports whether the backup was under way.
func (x *pressed) killed(kill func(backup *os.Process)) (midway bool) {
	x.t.Helper()
	cmd := x.backup()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(x.t, cmd.Start())
	time.Sleep(10*time.Millisecond + rand.N(80*time.Millisecond))
	kill(cmd.Process)
	err := cmd.Wait()
	if cmd.ProcessState.ExitCode() > 0 {
		assert.Contains(x.t, said.String(), "no service answers there", "what a backup without its service says")
	}
	return err != nil
}

// Backups are made under load while the service and the backup are killed again and
// again; each leaves what the next one goes on from, and the last one gives back every
// org as it was. GATEHOUSE_LONG=N makes N/4 rounds.
func TestBackupsAreKilledUnderLoad(t *testing.T) {
	alongside(t)
	rounds := 2
	if long, err := strconv.Atoi(os.Getenv("GATEHOUSE_LONG")); err == nil {
		rounds = max(rounds, long/4)
	}
	x := newPressed(t)
	begun := time.Now()
	end := x.press()
	var midway int
	count := func(was bool) {
		if was {
			midway++
		}
	}
	for range rounds {
		x.more(100)
		count(x.killed(func(p *os.Process) { _ = p.Kill() }))
		x.more(50)
		count(x.killed(func(*os.Process) { x.p.kill() }))
		x.start()
		x.more(50)
		x.whole()
	}
	end()
	t.Logf("%d rounds: %d of %d commands acknowledged, %.0f/s; %d of %d kills were midway", rounds, x.acked.Load(), x.tried.Load(),
		float64(x.acked.Load())/time.Since(begun).Seconds(), midway, 2*rounds)
	x.whole()
	x.p.stop()

	restored := emptyData(t, x.p.data)
	said, err := x.verb("restore", x.target, "--data", restored, "--identity", x.secret, "--witness", x.witness, "--witness", x.p.data)
	require.NoError(t, err, said)
	require.NoError(t, os.RemoveAll(filepath.Join(x.p.data, "snapshots")), "the original is read from its first commit")
	at := func(data string) *service {
		cfg := testConfig(t)
		cfg.Data = data
		return serveIn(t, cfg)
	}
	original, again := at(x.p.data), at(restored)
	for _, org := range []domain.ID{"acme", "bolt", domain.SystemOrg} {
		head, digest := headOf(t, original, org)
		state, there, err := again.Store.StateAt(t.Context(), budget.Who{Org: string(org)}, head.Position())
		require.NoError(t, err)
		got, err := state.Digest()
		require.NoError(t, err)
		assert.Equal(t, digest, got, org)
		assert.Equal(t, head.Hash, there.Hash, org)
	}
	x.refused()
}

// emptyData is an empty directory with the master key of another.
func emptyData(t *testing.T, of string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	key, err := os.ReadFile(filepath.Join(of, "vault.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vault.key"), key, 0o600))
	return dir
}

// refused damages the backup in each way, and neither verify nor restore takes it.
func (x *pressed) refused() {
	x.t.Helper()
	other, err := age.GenerateX25519Identity()
	require.NoError(x.t, err)
	wrong := filepath.Join(x.t.TempDir(), "wrong")
	require.NoError(x.t, os.WriteFile(wrong, []byte(other.String()+"\n"), 0o600))
	neither := func(identity string, says ...string) {
		x.t.Helper()
		data := emptyData(x.t, x.p.data)
		for _, args := range [][]string{{"backup", "verify", x.target}, {"restore", x.target, "--data", data, "--witness", x.witness}} {
			said, err := x.verb(append(args, "--identity", identity)...)
			require.Error(x.t, err, said)
			for _, word := range says {
				assert.Contains(x.t, said, word)
			}
		}
		left, err := os.ReadDir(data)
		require.NoError(x.t, err)
		assert.LessOrEqual(x.t, len(left), 2, "the key and the lock: nothing was written")
	}
	neither(wrong, "wrong key", x.recipient)
	var segments []string
	require.NoError(x.t, filepath.WalkDir(filepath.Join(x.target, "segments"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			segments = append(segments, path)
		}
		return err
	}))
	named := x.listed(segments)
	require.NotEmpty(x.t, named)
	for stream, path := range named {
		whole, err := os.ReadFile(path)
		require.NoError(x.t, err)
		require.NoError(x.t, os.WriteFile(path, flipped(whole), 0o600))
		neither(x.secret, "the backup is damaged", filepath.Base(path))
		require.NoError(x.t, os.Remove(path))
		neither(x.secret, "a part of the backup is missing", filepath.Base(path), stream)
		require.NoError(x.t, os.WriteFile(path, whole, 0o600))
	}
}

// listed gives a segment of each stream that the manifest names.
func (x *pressed) listed(segments []string) map[string]string {
	x.t.Helper()
	manifest, err := os.ReadFile(filepath.Join(x.target, "manifest"))
	require.NoError(x.t, err)
	named := map[string]string{}
	for _, path := range segments {
		if strings.Contains(string(manifest), "/"+filepath.Base(path)+`"`) {
			named[filepath.Base(filepath.Dir(path))] = path
		}
	}
	return named
}
