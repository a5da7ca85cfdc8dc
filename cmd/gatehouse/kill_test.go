package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
)

// process is a service as a process of its own.
type process struct {
	t    *testing.T
	data string
	more []string // further arguments
	cmd  *exec.Cmd
	url  string
}

// start starts the service on its data directory and waits until it listens.
func (p *process) start() {
	p.t.Helper()
	file := p.launch()
	require.Eventually(p.t, func() bool {
		b, err := os.ReadFile(file)
		p.url = strings.TrimSpace(string(b))
		return err == nil
	}, patience, 10*time.Millisecond, "the service does not listen")
}

// launch starts the service and returns the file that is to name its URL.
func (p *process) launch() (file string) {
	p.t.Helper()
	file = filepath.Join(p.t.TempDir(), "url")
	args := []string{"serve", "--data", p.data, "--listen", "127.0.0.1:0", "--url-file", file, "--log-level", "error"}
	p.cmd = exec.Command("gatehouse", append(args, p.more...)...)
	p.cmd.Stderr = p.t.Output()
	require.NoError(p.t, p.cmd.Start())
	return file
}

// kill ends the process in the midst of what it does.
func (p *process) kill() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Kill())
	assert.Error(p.t, p.cmd.Wait())
}

// stop stops the process in good order.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, p.cmd.Wait(), "the exit code of a stop is 0")
}

// killAtEnd sees to it that the process does not outlive the test.
func (p *process) killAtEnd() {
	p.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.kill()
		}
	})
}

// sent is a command that was sent, and what is known of it.
type sent struct {
	Key    string
	Person string
	Acked  bool // an answer came
	Answer commandAnswer
	// Settled: the round in which it was sent is over.
	Settled bool
}

// commandAnswer is the answer to a command.
type commandAnswer struct {
	Position string `json:"position"`
	Hash     string `json:"hash"`
	Repeated bool   `json:"repeated"`
}

// A service that is killed under load loses nothing that it acknowledged. After each
// restart everything is in its place, and nothing is there twice. GATEHOUSE_LONG=N
// makes N rounds.
func TestKillUnderLoad(t *testing.T) {
	alongside(t)
	rounds := 3
	if long, err := strconv.Atoi(os.Getenv("GATEHOUSE_LONG")); err == nil {
		rounds = max(rounds, long)
	}
	p := &process{t: t, data: filepath.Join(t.TempDir(), "data")}
	p.start()
	p.killAtEnd()
	token := firstOrg(t, p)
	var all []*sent
	acked := 0
	for round := range rounds {
		all = append(all, load(t, p, token, round, p.kill)...)
		for _, s := range all {
			if s.Acked && !s.Settled {
				acked++
			}
			s.Settled = true
		}
		p.start()
		c := newClient(p.url, token, "acme", "")
		settle(t, c, all)
		checkReplay(t, c, all)
		if round%2 == 0 { // so that the next start goes on from a snapshot
			p.stop()
			p.start()
		}
	}
	t.Logf("%d rounds, %d commands, %d of them acknowledged before the kill", rounds, len(all), acked)
}

// A stop under load finishes what is under way: what has no answer did not happen.
func TestStopUnderLoad(t *testing.T) {
	alongside(t)
	p := &process{t: t, data: filepath.Join(t.TempDir(), "data")}
	p.start()
	p.killAtEnd()
	token := firstOrg(t, p)
	var acked []*sent
	for _, s := range load(t, p, token, 0, p.stop) {
		if s.Acked {
			acked = append(acked, s)
		}
	}
	require.FileExists(t, filepath.Join(p.data, "snapshots", "acme.snapshot"))
	p.start()
	checkReplay(t, newClient(p.url, token, "acme", ""), acked)
}

// A service that is killed while it starts for the first time starts the next time.
func TestKillDuringTheFirstStart(t *testing.T) {
	alongside(t)
	p := &process{t: t, data: filepath.Join(t.TempDir(), "data")}
	for range 5 {
		p.launch()
		time.Sleep(rand.N(300 * time.Millisecond))
		p.kill()
	}
	p.start()
	p.killAtEnd()
	all := load(t, p, firstOrg(t, p), 0, p.stop)
	require.NotEmpty(t, all)
}

// firstOrg makes the org acme and returns the token of its owner.
func firstOrg(t *testing.T, p *process) string {
	t.Helper()
	return makeOrg(t, p, "acme")
}

// makeOrg makes an org by the bootstrap token and returns the token of its owner.
func makeOrg(t *testing.T, p *process, org string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.data, bootstrapFile))
	require.NoError(t, err)
	c := newClient(p.url, strings.TrimSpace(string(b)), org, "")
	var made struct {
		Token string `json:"token"`
	}
	require.NoError(t, c.Ask(t.Context(), client.Request{Method: "POST", Path: "/v1/orgs", Body: []byte(`{"org":"` + org + `","name":"Test","owner":"olga"}`)}, &made))
	return made.Token
}

// load sends commands from several goroutines, ends the service in the midst of
// them, and returns all that were sent.
func load(t *testing.T, p *process, token string, round int, end func()) []*sent {
	t.Helper()
	const workers = 8
	enough := int64(50 + rand.IntN(200))
	var acked atomic.Int64
	var sending sync.WaitGroup
	var mu sync.Mutex
	var all []*sent
	reached := make(chan struct{})
	c := newClient(p.url, token, "acme", "")
	for worker := range workers {
		sending.Go(func() {
			for i := 0; ; i++ {
				s := &sent{Key: client.NewKey(), Person: fmt.Sprintf("p-%d-%d-%d", round, worker, i)}
				mu.Lock()
				all = append(all, s)
				mu.Unlock()
				if !s.send(t, c.SendOnce) {
					return
				}
				if acked.Add(1) == enough {
					close(reached)
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { sending.Wait(); close(over) }()
	select {
	case <-reached:
	case <-over:
		require.FailNow(t, "the service took no more", "%d of %d commands were acknowledged", acked.Load(), enough)
	}
	end()
	<-over
	return all
}

// send sends the command and reports whether an answer came.
func (s *sent) send(t *testing.T, by func(context.Context, client.Request) (*client.Answer, error)) bool {
	fields, err := json.Marshal(map[string]string{"person": s.Person, "name": "Name of " + s.Person})
	if err != nil {
		t.Error(err)
		return false
	}
	a, err := by(t.Context(), client.Request{Method: "POST", Path: "/v1/orgs/acme/commands/RegisterPerson", Body: fields, Key: s.Key})
	if err != nil {
		return false
	}
	var answer commandAnswer
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		t.Error(err)
		return false
	}
	if s.Acked {
		assert.True(t, answer.Repeated, "%s was acknowledged and is done again", s.Key)
		assert.Equal(t, s.Answer.Position, answer.Position)
		assert.Equal(t, s.Answer.Hash, answer.Hash)
		return true
	}
	s.Acked, s.Answer = true, answer
	return true
}

// settle sends again what had no answer, and some of what had one, as fast as the
// service takes it.
func settle(t *testing.T, c *client.Client, all []*sent) {
	t.Helper()
	for i, s := range all {
		if !s.Acked || i%25 == 0 {
			require.True(t, s.send(t, c.Send), "%s has no answer", s.Key)
		}
	}
}

// checkReplay holds the ledger to what was sent: each command once, where its
// answer said, with its name in clear, and no number left out.
func checkReplay(t *testing.T, c *client.Client, all []*sent) {
	t.Helper()
	found := map[string]int{}
	at := map[string]commandAnswer{}
	last := uint64(0)
	require.NoError(t, replay(t.Context(), c, map[string][]string{}, func(e replayed) error {
		require.LessOrEqual(t, e.Position.N, last+1, "a number is left out")
		last = e.Position.N
		if e.Command != "RegisterPerson" {
			return nil
		}
		found[e.ID]++
		at[e.ID] = commandAnswer{Position: e.Position.String(), Hash: e.Hash.String()}
		var data struct{ Person, Name string }
		require.NoError(t, json.Unmarshal(e.Data, &data))
		require.Equal(t, "Name of "+data.Person, data.Name, "the key of a name is lost")
		return nil
	}))
	for _, s := range all {
		require.Equal(t, 1, found[s.Key], "command %s of %s", s.Key, s.Person)
		require.Equal(t, s.Answer.Position, at[s.Key].Position)
		require.Equal(t, s.Answer.Hash, at[s.Key].Hash)
		delete(found, s.Key)
	}
	require.Empty(t, found, "commands that nobody sent")
}
