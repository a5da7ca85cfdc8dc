package deploy

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newSet makes a set of a compose file's text, whose services run the shell. It
// ends with the test.
func newSet(t *testing.T, text string) (*Set, *bytes.Buffer) {
	t.Helper()
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "docker-compose.yml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	c, err := Load(file)
	require.NoError(t, err)
	said := &bytes.Buffer{}
	s := &Set{Compose: c, Dir: t.TempDir(), Programs: map[string]string{"shell": shell}, FreePorts: true, Say: said}
	t.Cleanup(func() { assert.NoError(t, s.Down(context.Background())) })
	return s, said
}

// patience bounds what a test waits for on a machine that does much else.
const patience = time.Minute

// within bounds what a test waits for.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func number(t *testing.T, s *Set, name string) string {
	return read(t, s.lock(name))
}

const twoServices = `
services:
  made:
    image: shell
    command: ["-c", "echo $NAME > $0", /kept/made]
    environment: {NAME: anna}
    volumes: ["kept:/kept"]
  goes-on:
    image: shell
    command: ["-c", "read name < $0; echo $name; while :; do sleep 0.05; done", /kept/made]
    volumes: ["kept:/kept"]
    depends_on: {made: {condition: service_completed_successfully}}
  absent:
    image: elsewhere:1.0.0
volumes: {kept: }
`

func TestProcessesComeInOrderAndComeBack(t *testing.T) {
	s, said := newSet(t, twoServices)
	require.NoError(t, s.Up(within(t)))
	assert.Contains(t, said.String(), "absent: elsewhere:1.0.0 is not on this machine, left out")
	require.Eventually(t, func() bool { return read(t, s.log("goes-on")) == "anna\n" }, patience, 10*time.Millisecond)

	first := number(t, s, "goes-on")
	require.NoError(t, s.Up(within(t)))
	assert.Equal(t, first, number(t, s, "goes-on"), "what runs is left alone")

	alive, err := s.Signal("goes-on", syscall.SIGKILL)
	require.NoError(t, err)
	require.True(t, alive)
	require.NoError(t, s.gone(within(t), "goes-on"))
	require.NoError(t, s.Up(within(t)))
	assert.NotEqual(t, first, number(t, s, "goes-on"))

	require.NoError(t, s.Down(within(t), "goes-on"))
	alive, err = s.Alive("goes-on")
	require.NoError(t, err)
	assert.False(t, alive)
	assert.ErrorContains(t, s.Down(within(t), "nobody"), "there are absent, goes-on, made")
}

func TestAProcessThatDoesNotStopIsKilled(t *testing.T) {
	s, said := newSet(t, `
services:
  deaf:
    image: shell
    command: ["-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]
    stop_grace_period: 100ms
`)
	require.NoError(t, s.Up(within(t)))
	require.Eventually(t, func() bool { return read(t, s.log("deaf")) == "deaf\n" }, patience, 10*time.Millisecond)
	require.NoError(t, s.Down(within(t)))
	assert.Contains(t, said.String(), "did not stop within 100ms, killed")
}

func TestWhatEndsByItselfIsNamed(t *testing.T) {
	s, _ := newSet(t, "services:\n  short: {image: shell, command: [\"-c\", \"exit 3\"], healthcheck: {test: [CMD, wget, \"http://127.0.0.1:1/\"], timeout: 1s}}\n")
	assert.ErrorContains(t, s.Up(within(t)), "short has ended; see "+s.log("short"))

	s, _ = newSet(t, strings.Replace(twoServices, "echo $NAME > $0", "exit 3", 1))
	assert.ErrorContains(t, s.Up(within(t)), "made: exit status 3")
}

// Addresses and paths of the compose file become those of this machine, each the
// same wherever it stands.
func TestAddressesAndPaths(t *testing.T) {
	s, _ := newSet(t, `
services:
  n1: {image: shell, volumes: ["store:/store"], ports: ["127.0.0.1:7000:80"]}
  a: {image: shell}
volumes: {store: }
`)
	_, unlock, err := s.open()
	require.NoError(t, err)
	defer unlock()
	at := s.Address("n1", "4222")
	assert.Equal(t, "nats://"+at+",x", s.here("a", "nats://n1:4222,x"))
	assert.Equal(t, at, s.here("n1", "0.0.0.0:4222"))
	_, err = net.Listen("tcp", at)
	assert.ErrorIs(t, err, syscall.EADDRINUSE, "it is held until its service starts")
	assert.NotEqual(t, at, s.here("a", "0.0.0.0:4222"))
	assert.Equal(t, "an1:4222 10.0.0.1:4222", s.here("a", "an1:4222 10.0.0.1:4222"))
	assert.Equal(t, "--dir="+s.Dir+"/store/x", s.here("n1", "--dir=/store/x"))
	assert.Equal(t, "@"+s.Dir+"/store/code", s.here("n1", "@/store/code"))
	assert.Equal(t, "/stores", s.here("n1", "/stores"))
	assert.Equal(t, "/store", s.here("a", "/store"), "it does not mount it")
	s.FreePorts = false
	assert.Equal(t, "127.0.0.1:7000", s.here("a", "n1:80"), "as it is published")
}
