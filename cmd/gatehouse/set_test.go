package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/deploy"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/simulated"
)

// A theSet is the services of the compose file as processes, with the owner of an
// org at either instance.
type theSet struct {
	*deploy.Set
	t    *testing.T
	said *bytes.Buffer
	a, b *client.Client
}

// startSet starts the set on free ports, in a directory of the test.
func startSet(t *testing.T) *theSet {
	t.Helper()
	natsServer, err := exec.Command("go", "tool", "-n", "nats-server").Output()
	require.NoError(t, err)
	gatehouse, err := exec.LookPath("gatehouse")
	require.NoError(t, err)
	s := &theSet{t: t, said: &bytes.Buffer{}}
	s.Set = &deploy.Set{Compose: loadCompose(t), Dir: t.TempDir(), FreePorts: true, Say: s.said,
		Programs: map[string]string{"gatehouse": gatehouse, "nats": strings.TrimSpace(string(natsServer))}}
	t.Cleanup(func() {
		assert.NoError(t, s.Down(context.Background()))
		for _, name := range s.Compose.Names() {
			alive, err := s.Alive(name)
			assert.NoError(t, err)
			assert.False(t, alive, name)
		}
		if t.Failed() {
			s.tell()
		}
	})
	s.up()
	token := firstOrg(t, &process{t: t, data: filepath.Join(s.Dir, "a-data"), url: s.url("gatehouse-a")})
	s.a, s.b = newClient(s.url("gatehouse-a"), token, "acme", ""), newClient(s.url("gatehouse-b"), token, "acme", "")
	return s
}

func (s *theSet) url(name string) string { return "http://" + s.Address(name, "8080") }

func (s *theSet) up() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.Up(ctx))
}

// tell writes what the processes had to say at the end.
func (s *theSet) tell() {
	s.t.Log(s.said.String())
	for _, name := range s.Compose.Names() {
		text, err := os.ReadFile(filepath.Join(s.Dir, "log", name+".log"))
		s.t.Logf("%s: %v\n%s", name, err, text[max(0, len(text)-3000):])
	}
}

// done sends a command until an instance has taken it, and returns its position.
func (s *theSet) done(c *client.Client, name, fields string) string {
	s.t.Helper()
	return s.doneAs(client.NewKey(), c, name, fields)
}

// doneAs is done for a command that may have been sent before with its key.
func (s *theSet) doneAs(key string, c *client.Client, name, fields string) string {
	s.t.Helper()
	for until := time.Now().Add(patience); ; {
		text, err := c.Command(s.t.Context(), name, []byte(fields), key, nil)
		if err == nil {
			var answer commandAnswer
			require.NoError(s.t, json.Unmarshal(text, &answer))
			return answer.Position
		}
		require.Equal(s.t, exitUnavailable, exitCode(err), "%s: %v", name, err)
		require.True(s.t, time.Now().Before(until), "%s: %v", name, err)
	}
}

// name reads the name of a person at an instance that stands at a position. An instance
// that does not hear from the ledger, as after the loss of a server, says so until it does.
func (s *theSet) name(c *client.Client, person, position string) string {
	s.t.Helper()
	var answer struct{ Name string }
	for until := time.Now().Add(patience); ; {
		err := c.Get(s.t.Context(), c.OrgPath("people", person), map[string][]string{"at_least": {position}}, &answer)
		if err == nil {
			return answer.Name
		}
		require.Equal(s.t, exitUnavailable, exitCode(err), "%s: %v", person, err)
		require.True(s.t, time.Now().Before(until), "%s: %v", person, err)
	}
}

// The set of the compose file runs as processes from the very same files: an org is
// commanded through either instance, goes on without the vault and without one of
// the servers, and nothing is left behind.
func TestTheSetRunsAsProcesses(t *testing.T) {
	s := startSet(t)
	assert.Contains(t, s.said.String(), "prometheus: prom/prometheus:v3.5.0 is not on this machine, left out")
	s.scrape()

	at := s.done(s.b, "RegisterPerson", `{"person":"anna","name":"Anna"}`)
	assert.Equal(t, "Anna", s.name(s.a, "anna", at), "sealed through the instance that has no vault")
	s.done(s.a, "CreateSite", `{"site":"north","name":"North","zone":"Europe/Berlin"}`)
	s.done(s.b, "CreateDoor", `{"door":"gate","site":"north","name":"Gate","kind":"gate"}`)
	s.done(s.a, "RegisterPerson", `{"person":"bo","name":"Bo"}`)

	s.gateway()
	s.box()
	s.applied()

	require.NoError(t, s.Down(t.Context(), "gatehouse-a"))
	s.b.Sleep = func(context.Context, time.Duration) error { return nil }
	cy := client.NewKey()
	_, err := s.b.Command(t.Context(), "RegisterPerson", []byte(`{"person":"cy","name":"Cy"}`), cy, nil)
	assert.ErrorContains(t, err, "vault_unavailable")
	at = s.done(s.b, "SuspendPerson", `{"person":"bo"}`)

	s.up()
	s.b.Sleep = client.Pause
	assert.Equal(t, "Bo", s.name(s.a, "bo", at), "what was done without it is known to it")
	at = s.doneAs(cy, s.b, "RegisterPerson", `{"person":"cy","name":"Cy"}`)
	assert.Equal(t, "Cy", s.name(s.a, "cy", at))

	alive, err := s.Signal("n2", syscall.SIGKILL)
	require.NoError(t, err)
	require.True(t, alive)
	s.done(s.a, "RegisterPerson", `{"person":"dee","name":"Dee"}`)
	at = s.done(s.b, "ReinstatePerson", `{"person":"bo"}`)
	assert.Equal(t, "Dee", s.name(s.b, "dee", at))

	s.up()
	s.done(s.b, "SuspendPerson", `{"person":"anna"}`)
	for _, name := range []string{"n1", "n2", "n3"} {
		log, err := os.ReadFile(filepath.Join(s.Dir, "log", name+".log"))
		require.NoError(t, err)
		assert.NotContains(t, string(log), "Permissions Violation", "the service may do at %s what it has to", name)
	}
}

// gateway connects as a gateway does: with its key it is let in,
// with another nobody gets in, and retired it is cut off.
func (s *theSet) gateway() {
	s.t.Helper()
	pair, err := nkeys.CreateUser()
	require.NoError(s.t, err)
	public, err := pair.PublicKey()
	require.NoError(s.t, err)
	dial := func(sign func([]byte) ([]byte, error)) (*nats.Conn, error) {
		return nats.Connect("nats://"+s.Address("n1", "4222"), nats.Name("acme/lobby"), nats.Nkey(public, sign), nats.NoReconnect(),
			nats.Timeout(patience), nats.CustomInboxPrefix("_INBOX.acme.lobby"))
	}
	_, err = dial(pair.Sign)
	require.ErrorContains(s.t, err, "Authorization Violation", "nobody knows it yet")
	s.done(s.b, "RegisterGateway", `{"gateway":"lobby","site":"north","name":"Lobby","public_key":"`+public+`"}`)
	var conn *nats.Conn
	require.Eventually(s.t, func() bool { conn, err = dial(pair.Sign); return err == nil }, patience, 100*time.Millisecond)
	defer conn.Close()
	require.NoError(s.t, conn.Publish("control.acme.lobby.ask", nil))
	require.NoError(s.t, conn.FlushTimeout(patience))
	require.NoError(s.t, conn.LastError())

	stranger, err := nkeys.CreateUser()
	require.NoError(s.t, err)
	_, err = dial(stranger.Sign)
	assert.ErrorContains(s.t, err, "Authorization Violation", "the public key alone is no proof")

	s.done(s.a, "RetireGateway", `{"gateway":"lobby","reason":"stolen"}`)
	assert.Eventually(s.t, conn.IsClosed, patience, 50*time.Millisecond, "it is cut off")
}

// box gives the set's gateway its code, and shows a strange card at its door.
func (s *theSet) box() {
	s.t.Helper()
	answer, err := s.a.Command(s.t.Context(), "RegisterGateway", []byte(`{"gateway":"cabinet","site":"north"}`), "", nil)
	require.NoError(s.t, err)
	var registered httpapi.CommandResult
	require.NoError(s.t, json.Unmarshal(answer, &registered))
	s.done(s.b, "AssignDoorToGateway", `{"gateway":"cabinet","door":"gate"}`)
	require.NoError(s.t, writeWhole(filepath.Join(s.Dir, "gateway-data", "code"), []byte(registered.Codes[0].Code+"\n"), 0o600))
	require.Eventually(s.t, func() bool {
		resp, err := http.Get("http://" + s.Address("gateway", "8090") + "/readyz")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	}, patience, 20*time.Millisecond)
	player, err := simulated.Dial(s.t.Context(), s.Address("gateway", "7070"))
	require.NoError(s.t, err)
	defer player.Close()
	require.Eventually(s.t, func() bool {
		a, err := player.Play(s.t.Context(), simulated.Act{Door: "gate", Show: "4711", Await: "1s"})
		return err == nil && a.Command == "refuse"
	}, patience, time.Millisecond)
}

// applied changes the streams as the operator does, and sees that there is nothing to
// change.
func (s *theSet) applied() {
	s.t.Helper()
	var out bytes.Buffer
	w := &world{ctx: s.t.Context(), stdout: &out, stderr: &out, now: time.Now}
	apply := streamsApplyCmd{NATSURL: "nats://" + s.Address("n1", "4222"), Replicas: 3, OperatorNkey: filepath.Join(s.Dir, "operator-keys", "operator.nk")}
	require.NoError(s.t, apply.Run(w))
	assert.Equal(s.t, 4, strings.Count(out.String(), "as it should be"), out.String())
}

// scrape asks what Prometheus would ask.
func (s *theSet) scrape() {
	s.t.Helper()
	config, err := os.ReadFile(filepath.Join(s.Dir, "prometheus.yml"))
	require.NoError(s.t, err)
	targets := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(string(config), -1)
	require.Len(s.t, targets, 2)
	for _, target := range targets {
		resp, err := http.Get("http://" + target + "/metrics")
		require.NoError(s.t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, resp.Body.Close())
		assert.Equal(s.t, http.StatusOK, resp.StatusCode)
		assert.Contains(s.t, string(text), "\ngatehouse_")
	}
}
