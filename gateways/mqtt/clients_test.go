package mqtt

import (
	"bufio"
	"encoding/json"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
	"gatehouse/programtest"
)

// A lock of mosquitto's clients alone, as the README shows it: what any shell can do, a
// device can.
func TestLockOfMosquittosClients(t *testing.T) {
	b := mosquitto(t)
	host, port, err := net.SplitHostPort(b.address)
	require.NoError(t, err)
	run := func(name string, args ...string) []byte {
		t.Helper()
		out, err := exec.Command(programtest.Find(t, name, "mosquitto-clients"), append([]string{"-h", host, "-p", port, "-q", "1"}, args...)...).Output()
		require.NoError(t, err, "%s %v", name, args)
		return out
	}
	run("mosquitto_pub", "-r", "-t", "site/gate/availability", "-m", "online")
	run("mosquitto_pub", "-r", "-t", "site/gate/state", "-m", `{"bolt":"locked","leaf":"closed"}`)
	r := b.run(t, ownDoor)
	r.await("gate", driver.Online, 1)

	run("mosquitto_pub", "-t", "site/gate/event", "-m", `{"id":"1","event":"read","method":"card","format":"wiegand26","number":"118-15080"}`)
	assert.Equal(t, "118-15080", r.await("gate", driver.Read, 1).Shown.Number)

	// A message that is kept is the first line, and shows that the subscriber is there.
	run("mosquitto_pub", "-r", "-t", "site/gate/ready", "-m", "ready")
	listener := exec.Command(programtest.Find(t, "mosquitto_sub", "mosquitto-clients"), "-h", host, "-p", port, "-t", "site/gate/ready", "-t", "site/gate/command")
	out, err := listener.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, listener.Start())
	defer func() {
		_ = listener.Process.Kill()
		_ = listener.Wait()
	}()
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "ready", lines.Text())

	done := make(chan error, 1)
	go func() { done <- r.do("gate", driver.Command{Action: driver.Release, For: 5 * time.Second}) }()
	require.True(t, lines.Scan())
	var command ownCommand
	require.NoError(t, json.Unmarshal(lines.Bytes(), &command))
	assert.Equal(t, "release", command.Action)
	run("mosquitto_pub", "-t", "site/gate/reply", "-m", `{"id":"`+command.ID+`","ok":true}`)
	require.NoError(t, <-done)
	run("mosquitto_pub", "-r", "-t", "site/gate/state", "-m", `{"bolt":"locked","leaf":"open"}`)
	r.await("gate", driver.Opened, 1)
}
