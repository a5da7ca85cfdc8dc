package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/clustertest"
	"gatehouse/gateways/driver"
	"gatehouse/programtest"
	"gatehouse/schemas/wire"
)

// broker is a broker that can be stopped and started again at the same address.
type broker struct {
	address string
	start   func()
	stop    func()
}

// mosquitto starts Debian's broker, which ends with the test. more are lines of its
// configuration.
func mosquitto(t testing.TB, more ...string) *broker {
	t.Helper()
	path := programtest.Find(t, "mosquitto", "mosquitto")
	port := clustertest.Port(t)
	config := filepath.Join(t.TempDir(), "mosquitto.conf")
	lines := append([]string{"persistence false", "set_tcp_nodelay true", "listener " + strconv.Itoa(port) + " 127.0.0.1"}, more...)
	if !strings.Contains(strings.Join(more, "\n"), "allow_anonymous") {
		lines = append(lines, "allow_anonymous true")
	}
	if os.Geteuid() == 0 {
		lines = append([]string{"user root"}, lines...)
	}
	require.NoError(t, os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	b := &broker{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	var running *exec.Cmd
	b.start = func() {
		var out bytes.Buffer
		running = exec.Command(path, "-c", config)
		running.Stdout, running.Stderr = &out, &out
		require.NoError(t, running.Start())
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", b.address)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		}, time.Minute, 5*time.Millisecond, "mosquitto listens on %s", b.address)
	}
	b.stop = func() {
		if running != nil {
			_ = running.Process.Kill()
			_ = running.Wait()
			running = nil
		}
	}
	t.Cleanup(b.stop)
	b.start()
	return b
}

// natsBroker starts a NATS server with its own listener for MQTT. users are those of its
// configuration; empty: anybody.
func natsBroker(t testing.TB, users string) *broker {
	t.Helper()
	dir := t.TempDir()
	b := &broker{}
	port := clustertest.Port(t)
	config := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("server_name: m\nlisten: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\nmqtt { listen: \"127.0.0.1:%d\" }\n%s\n", filepath.Join(dir, "js"), port, users)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	b.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	var running *server.Server
	b.start = func() {
		opts, err := server.ProcessConfigFile(config)
		require.NoError(t, err)
		opts.NoLog, opts.NoSigs = true, true
		running, err = server.NewServer(opts)
		require.NoError(t, err)
		running.Start()
		require.True(t, running.ReadyForConnections(time.Minute))
	}
	b.stop = func() {
		if running != nil {
			running.Shutdown()
			running.WaitForShutdown()
			running = nil
		}
	}
	t.Cleanup(b.stop)
	b.start()
	return b
}

// client is a device, or anybody else on the broker.
type client struct {
	t testing.TB
	paho.Client
	conn atomic.Pointer[net.Conn]
}

// join connects a client; will is the topic of its last will, empty: none.
func (b *broker) join(t testing.TB, will string) *client {
	t.Helper()
	return b.joinAs(t, "", "", will)
}

// joinSaying is join with a last will of another text than offline.
func (b *broker) joinSaying(t testing.TB, will, text string) *client {
	t.Helper()
	return b.connect(t, func(o *paho.ClientOptions) { o.SetWill(will, text, 1, true) })
}

func (b *broker) joinAs(t testing.TB, user, password, will string) *client {
	t.Helper()
	return b.connect(t, func(o *paho.ClientOptions) {
		o.SetUsername(user).SetPassword(password)
		if will != "" {
			o.SetWill(will, "offline", 1, true)
		}
	})
}

func (b *broker) connect(t testing.TB, set func(*paho.ClientOptions)) *client {
	t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + b.address).SetProtocolVersion(4).SetAutoReconnect(false).
		SetClientID("device-" + newID())
	c := &client{t: t}
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		conn, err := net.Dial("tcp", b.address)
		c.conn.Store(&conn)
		return conn, err
	})
	set(o)
	c.Client = paho.NewClient(o)
	c.done(c.Connect())
	t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func (c *client) done(token paho.Token) {
	c.t.Helper()
	require.True(c.t, token.WaitTimeout(time.Minute))
	require.NoError(c.t, token.Error())
}

// say publishes a message; keep publishes a retained one.
func (c *client) say(topic, payload string) {
	c.t.Helper()
	c.done(c.Publish(topic, 1, false, payload))
}

func (c *client) keep(topic, payload string) {
	c.t.Helper()
	c.done(c.Publish(topic, 1, true, payload))
}

// hear calls f with each message of a topic. f may say something.
func (c *client) hear(topic string, f func(payload string)) {
	c.t.Helper()
	c.done(c.Subscribe(topic, 1, func(_ paho.Client, m paho.Message) { go f(string(m.Payload())) }))
}

// hearQoS gives the quality of service of each message of a topic.
func (c *client) hearQoS(topic string, qos chan<- byte) {
	c.t.Helper()
	c.done(c.Subscribe(topic, 1, func(_ paho.Client, m paho.Message) { qos <- m.Qos() }))
}

// ids counts what must be unique.
var ids atomic.Int64

func newID() string { return strconv.FormatInt(ids.Add(1), 10) }

// die ends the connection without a word, so that the broker publishes the last will.
func (c *client) die() { _ = (*c.conn.Load()).Close() }

// rig is a running driver with what it reported.
type rig struct {
	t      testing.TB
	d      *Driver
	mu     sync.Mutex
	events []driver.Event
	logged lockedBuffer
	also   func(driver.Event)
	stop   func()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run runs a driver for doors given by their settings. more are fields of the driver's
// settings.
func (b *broker) run(t testing.TB, doors map[wire.ID]string, more ...string) *rig {
	t.Helper()
	return b.runReporting(t, doors, nil, more...)
}

// runReporting is run, with a function that is called with each event.
func (b *broker) runReporting(t testing.TB, doors map[wire.ID]string, also func(driver.Event), more ...string) *rig {
	t.Helper()
	r := &rig{t: t, also: also}
	s := driver.Settings{Doors: map[wire.ID]json.RawMessage{}, Now: time.Now, Log: slog.New(slog.NewTextHandler(&r.logged, nil)),
		Driver: json.RawMessage("{" + strings.Join(append([]string{fmt.Sprintf(`"broker":"mqtt://%s"`, b.address)}, more...), ",") + "}")}
	for id, text := range doors {
		s.Doors[id] = json.RawMessage(text)
	}
	opened, err := Open(s)
	require.NoError(t, err)
	r.d = opened.(*Driver)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.d.Run(ctx, r.report) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(r.stop)
	return r
}

func (r *rig) report(e driver.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if r.also != nil {
		r.also(e)
	}
}

// seen gives the events of a kind at a door.
func (r *rig) seen(door wire.ID, kind driver.Kind) []driver.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []driver.Event
	for _, e := range r.events {
		if e.Door == door && e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// await waits for the nth event of a kind at a door.
func (r *rig) await(door wire.ID, kind driver.Kind, n int) driver.Event {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return len(r.seen(door, kind)) >= n }, time.Minute, time.Millisecond,
		"event %d of kind %d at %s", n, kind, door)
	return r.seen(door, kind)[n-1]
}

// do tells a door something, with a minute for it.
func (r *rig) do(door wire.ID, c driver.Command) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return r.d.Do(ctx, door, c)
}
