package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/demo"
)

// demoWorld is a world whose clock stands at noon of a Monday.
func demoWorld(ctx context.Context) (w *world, out *bytes.Buffer) {
	out = &bytes.Buffer{}
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	return &world{ctx: ctx, stdout: out, stderr: &bytes.Buffer{}, now: func() time.Time { return noon }}, out
}

func TestTheDemoEndsWithOneLineOfJSON(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w, out := demoWorld(t.Context())
	require.NoError(t, (&demoCmd{For: 300 * time.Millisecond, Speed: 24 * time.Hour, Listen: "127.0.0.1:0", Seed: 1}).Run(w))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	var last map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	for _, name := range []string{"commands", "commits", "unlocks", "onsite", "decision_ns"} {
		assert.Contains(t, last, name)
	}
	assert.Len(t, last, 5)
	assert.NotContains(t, out.String(), "\x1b", "no colours but on a terminal")
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAnEarlyEndOfTheDemoIsNoFailure(t *testing.T) {
	t.Run("before anything is there", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		t.Setenv("TMPDIR", t.TempDir())
		w, out := demoWorld(ctx)
		require.NoError(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0"}).Run(w))
		assert.Empty(t, out.String())
		left, err := os.ReadDir(os.Getenv("TMPDIR"))
		require.NoError(t, err)
		assert.Empty(t, left)
	})
	t.Run("while the site is made", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w, out := demoWorld(ctx)
		w.stdout = writer(func(b []byte) (int, error) {
			if bytes.Contains(b, []byte("CreateUnit")) {
				cancel()
			}
			return out.Write(b)
		})
		require.NoError(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0"}).Run(w))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		assert.Contains(t, lines[len(lines)-1], `"unlocks":{"allowed":0,"denied":{}}`)
	})
	t.Run("when nobody reads on", func(t *testing.T) {
		w, _ := demoWorld(t.Context())
		w.stdout = writer(func([]byte) (int, error) { return 0, syscall.EPIPE })
		require.NoError(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0"}).Run(w))
	})
	t.Run("a speed that nobody can follow", func(t *testing.T) {
		w, _ := demoWorld(t.Context())
		assert.Equal(t, exitUsage, exitCode((&demoCmd{Speed: 48 * time.Hour}).Run(w)))
	})
}

// Two gateways run as processes. The one that is cut off opens by what it has, and what it
// did comes back; what it should not have done is marked.
func TestTheDemoShowsLockGateways(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	w, out := demoWorld(ctx)
	var err error
	w.program, err = exec.LookPath("gatehouse")
	require.NoError(t, err)
	w.stdout = writer(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte(`"event":"stopped"`)) || bytes.Contains(b, []byte(`"event":"given_up"`)) {
			cancel()
		}
		return out.Write(b)
	})
	require.NoError(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0", JSON: true}).Run(w))
	var events []string
	var last demo.Summary
	for line := range bytes.Lines(out.Bytes()) {
		var l struct{ Kind, Event string }
		require.NoError(t, json.Unmarshal(line, &l))
		if l.Kind == "gateway" {
			events = append(events, l.Event)
		}
		last = demo.Summary{}
		require.NoError(t, json.Unmarshal(line, &last))
	}
	assert.Equal(t, []string{"started", "started", "opened", "recorded", "cut_off", "opened_offline", "enforced", "refused", "opened_offline", "connected", "recorded",
		"stale", "stopped"}, events)
	assert.Equal(t, demo.UnlockCount{Allowed: 3, Denied: map[string]uint64{"deny_no_access_right": 1}}, last.Unlocks)
}

// A demo that is killed leaves no gateway behind.
func TestGatewaysOfTheDemoEndWithIt(t *testing.T) {
	alongside(t)
	dir := t.TempDir()
	cmd := exec.Command("gatehouse", "demo", "--json")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.Contains(lines.Text(), `"event":"started"`); {
	}
	locks, err := filepath.Glob(filepath.Join(dir, "gatehouse-demo-*", "*", "table"))
	require.NoError(t, err)
	require.Len(t, locks, 2)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	for _, beside := range locks {
		lock, err := os.Open(filepath.Join(filepath.Dir(beside), "lock"))
		require.NoError(t, err)
		defer lock.Close()
		require.Eventually(t, func() bool { return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil }, patience, 5*time.Millisecond,
			"the process that holds it has not ended")
	}
}

type writer func([]byte) (int, error)

func (f writer) Write(b []byte) (int, error) { return f(b) }

func TestADemoThatCannotWriteSaysSo(t *testing.T) {
	alongside(t)
	w, _ := demoWorld(t.Context())
	full := errors.New("no space is left")
	w.stdout = writer(func([]byte) (int, error) { return 0, full })
	require.ErrorIs(t, (&demoCmd{Speed: time.Hour, Listen: "127.0.0.1:0"}).Run(w), full)
}
