package main

import (
	"bytes"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/schemas/wire"
)

// The service as it is wired tells the gateway of a door. do tells the outcome.
func TestDoTellsWhetherTheDoorOpened(t *testing.T) {
	cfg := testConfig(t)
	cfg.NATS.Listen = "127.0.0.1:0"
	s := serveIn(t, cfg)
	owner := ownerOf(t, s, "acme")
	key, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := key.PublicKey()
	require.NoError(t, err)
	for _, c := range [][2]string{
		{"CreateSite", `{"site":"north","name":"North","zone":"Europe/Berlin"}`},
		{"CreateDoor", `{"door":"gate","site":"north","name":"Gate","kind":"gate","capabilities":["remote_unlock"]}`},
		{"RegisterGateway", `{"gateway":"cabinet","site":"north","public_key":"` + public + `"}`},
	} {
		require.NoError(t, sends(t, owner, c[0], c[1]))
	}
	do := func(options ...func(*doCmd)) (string, error) {
		var stdout, stderr bytes.Buffer
		c := doCmd{Remote: remote{URL: s.URL, Token: owner.Token, JSON: true}, Name: "RemoteUnlock", Fields: []string{"door=gate"}}
		for _, set := range options {
			set(&c)
		}
		err := c.Run(&world{ctx: t.Context(), stdout: &stdout, stderr: &stderr})
		var answer struct{ Position string }
		require.NoError(t, json.Unmarshal(stdout.Bytes(), &answer), "the answer of the command and nothing else")
		require.NotEmpty(t, answer.Position)
		return stderr.String(), err
	}
	_, err = do()
	require.EqualError(t, err, "the door gate did not open: no gateway was reached")
	assert.Equal(t, exitUnavailable, exitCode(err))
	require.NoError(t, sends(t, owner, "AssignDoorToGateway", `{"gateway":"cabinet","door":"gate"}`))
	_, err = do()
	require.EqualError(t, err, "the door gate did not open: no gateway was reached")
	said, err := do(func(c *doCmd) { c.DryRun = true })
	require.NoError(t, err)
	assert.Empty(t, said)

	var nc *nats.Conn
	require.Eventually(t, func() bool {
		nc, err = nats.Connect(s.embedded.Server().ClientURL(), nats.Nkey(public, key.Sign), nats.Name("acme/cabinet"), nats.CustomInboxPrefix(wire.InboxPrefix("acme", "cabinet")))
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)
	defer nc.Close()
	var answer atomic.Value // behind the id
	answer.Store(`,"outcome":"executed"}`)
	_, err = nc.Subscribe(wire.OrderSubject("acme", "cabinet"), func(m *nats.Msg) {
		var order wire.Order
		assert.NoError(t, json.Unmarshal(m.Data, &order))
		assert.NoError(t, m.Respond([]byte(`{"id":"`+string(order.ID)+`"`+answer.Load().(string))))
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	said, err = do()
	require.NoError(t, err)
	assert.Equal(t, "The door gate opened.\n", said)
	answer.Store(`,"outcome":"refused","code":"deny_local_block"}`)
	_, err = do()
	require.EqualError(t, err, "the door gate did not open: its gateway refused with deny_local_block")
	assert.Equal(t, exitRefused, exitCode(err))
	answer.Store(`}`)
	_, err = do()
	require.EqualError(t, err, "it is not known whether the door gate opened: its gateway did not say")
	assert.Equal(t, exitFailure, exitCode(err))
}
