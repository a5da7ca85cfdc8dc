package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// A gateway that is registered connects to the server within the process over TLS
// and may ask; one that is retired does not.
func TestGatewaysConnectToTheServerWithinTheProcess(t *testing.T) {
	alongside(t)
	cfg := testConfig(t)
	cfg.TLSCert, cfg.TLSKey = certificate(t)
	cfg.NATS.Listen = "127.0.0.1:0"
	s := serveIn(t, cfg)
	key, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := key.PublicKey()
	require.NoError(t, err)
	connect := func() (*nats.Conn, error) {
		return nats.Connect(fmt.Sprint("tls://", s.embedded.Server().Addr()), nats.RootCAs(cfg.TLSCert), nats.Nkey(public, key.Sign),
			nats.Name("acme/cabinet"), nats.CustomInboxPrefix(wire.InboxPrefix("acme", "cabinet")), nats.NoReconnect(), nats.Timeout(patience))
	}
	send := func(actor domain.Actor, fields any) {
		t.Helper()
		_, err := s.Store.Execute(t.Context(), "acme", eventstore.Request{ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("%+v", fields)),
			Command: strings.TrimPrefix(fmt.Sprintf("%T", fields), "*domain."), Fields: []any{fields}, Actor: actor})
		require.NoError(t, err)
	}
	olga := domain.PersonActor("olga")
	send(domain.Actor{Kind: domain.ActorBootstrap}, &domain.CreateOrg{Org: "acme", Name: "Acme", Owner: "olga"})
	send(olga, &domain.CreateSite{Site: "north", Name: "North", Zone: "Europe/Berlin"})
	_, err = connect()
	require.ErrorIs(t, err, nats.ErrAuthorization)
	send(olga, &domain.RegisterGateway{Gateway: "cabinet", Site: "north", PublicKey: domain.GatewayKey(public)})
	var nc *nats.Conn
	require.Eventually(t, func() bool { nc, err = connect(); return err == nil }, patience, 50*time.Millisecond)
	defer nc.Close()
	require.NoError(t, nc.Publish("control.acme.cabinet.ask", nil))
	require.NoError(t, nc.FlushTimeout(patience))
	require.NoError(t, nc.LastError())
	send(olga, &domain.RetireGateway{Gateway: "cabinet", Reason: domain.GatewayStolen})
	require.Eventually(t, nc.IsClosed, patience, 10*time.Millisecond)
	_, err = connect()
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

func TestWhatOfNATSDoesNotGoTogether(t *testing.T) {
	seed := filepath.Join(t.TempDir(), "seed")
	require.NoError(t, os.WriteFile(seed, []byte("SUAXXXXX"), 0o600))
	for want, change := range map[string]func(n *natsConfig){
		"--nats-creds and --nats-nkey exclude": func(n *natsConfig) { n.URL, n.Creds, n.Nkey = "nats://x", "a", "b" },
		"is for an external cluster":           func(n *natsConfig) { n.CalloutSeed = "a" },
		"needs --nats-nkey":                    func(n *natsConfig) { n.URL, n.CalloutSeed = "nats://x", "a" },
		"beyond the loopback it needs":         func(n *natsConfig) { n.Listen = ":4222" },
		"holds no seed":                        func(n *natsConfig) { n.URL, n.Nkey = "nats://x", seed },
		"without a user: gateways have keys":   func(n *natsConfig) { n.GatewayURLs = []string{"tls://u:p@x:4222"} },
		"write an address of NATS as tls":      func(n *natsConfig) { n.GatewayURLs = []string{"gatehouse.example.com"} },
		"give at most 16":                      func(n *natsConfig) { n.GatewayURLs = make([]string, 17) },
		"no such file":                         func(n *natsConfig) { n.URL, n.Nkey = "nats://x", seed+"x" },
	} {
		cfg := testConfig(t)
		change(&cfg.NATS)
		_, err := startService(t.Context(), cfg)
		require.ErrorContains(t, err, want)
		assert.Equal(t, exitUsage, exitCode(err), want)
		assert.NotContains(t, err.Error(), "SUAXXXXX")
	}
}
