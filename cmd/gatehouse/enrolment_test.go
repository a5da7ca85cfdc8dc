package main

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/edge/identity"
)

// A box enrols by the code that the command line prints, and connects. It is cut off when
// another takes its place, or it is retired.
func TestABoxEnrolsByTheCodeThatIsPrinted(t *testing.T) {
	alongside(t)
	cfg := testConfig(t)
	cfg.NATS.Listen = "127.0.0.1:0"
	s := serveIn(t, cfg)
	owner := ownerOf(t, s, "acme")
	do := func(name, body string) string {
		t.Helper()
		result, err := owner.Command(t.Context(), name, []byte(body), "", nil)
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, tellCodes(&world{stdout: &out}, owner, result))
		return out.String()
	}
	box := func(printed string) *nats.Conn {
		t.Helper()
		args := regexp.MustCompile(`--url (\S+) --enroll (\S+)`).FindStringSubmatch(printed)
		require.NotNil(t, args, printed)
		i, err := identity.Enrol(t.Context(), identity.Request{URL: args[1], Code: args[2], Dir: t.TempDir()})
		require.NoError(t, err)
		var nc *nats.Conn
		require.Eventually(t, func() bool { nc, err = i.Connect(nats.NoReconnect()); return err == nil }, patience, 50*time.Millisecond)
		t.Cleanup(nc.Close)
		return nc
	}
	do("CreateSite", `{"site":"north","name":"North","zone":"Europe/Berlin"}`)
	first := box(do("RegisterGateway", `{"gateway":"cabinet","site":"north"}`))
	code := do("RotateGatewayKey", `{"gateway":"cabinet"}`)
	require.NoError(t, first.FlushTimeout(patience), "it goes on until the code is used")
	second := box(code)
	require.Eventually(t, first.IsClosed, patience, 10*time.Millisecond)
	require.NoError(t, second.FlushTimeout(patience))
	do("RetireGateway", `{"gateway":"cabinet","reason":"stolen"}`)
	require.Eventually(t, second.IsClosed, patience, 10*time.Millisecond)
}

// Gateways are told the addresses that were given, else those of the cluster. How the
// service logs in is not told.
func TestGatewaysAreToldWhereToConnect(t *testing.T) {
	for want, n := range map[string]natsConfig{
		"":                          {},
		"tls://a:4222":              {URL: "nats://b:4222", GatewayURLs: []string{"tls://a:4222"}},
		"nats://a:4222,nats://b:99": {URL: "nats://user:secret@a:4222, b:99"},
	} {
		s := &service{cfg: serviceConfig{NATS: n}}
		var got string
		for i, url := range s.gatewayServers("x") {
			if i > 0 {
				got += ","
			}
			got += url
		}
		assert.Equal(t, want, got)
	}
}

// A server that listens on all addresses is reached at the one by which the gateway
// reached the API.
func TestAGatewayFindsAServerThatListensEverywhere(t *testing.T) {
	alongside(t)
	cfg := testConfig(t)
	cfg.TLSCert, cfg.TLSKey = certificate(t)
	cfg.NATS.Listen = "0.0.0.0:0"
	s := serveIn(t, cfg)
	for host, want := range map[string]string{"gatehouse.example.com:8080": "gatehouse.example.com", "10.0.0.1": "10.0.0.1", "[2001:db8::1]:8080": "[2001:db8::1]"} {
		assert.Regexp(t, `^tls://\Q`+want+`\E:\d+$`, s.gatewayServers(host)[0])
	}
}

func TestACodeIsToldWithTheCommandThatUsesIt(t *testing.T) {
	var out bytes.Buffer
	w := &world{stdout: &out}
	remote := newClient("https://gatehouse.example.com", "", "acme", "")
	require.NoError(t, tellCodes(w, remote, []byte(`{"position":"1-3","events":[],"codes":[{"gateway":"cabinet","code":"acme.cabinet.X","until":"2026-03-03T09:00:00Z"}]}`)))
	assert.Equal(t, "\nThe code of gateway cabinet is shown once. It can be used once, until 2026-03-03 09:00 UTC. On the gateway run:\n\n"+
		"  gatehouse-gateway --url https://gatehouse.example.com --enroll acme.cabinet.X\n", out.String())
	out.Reset()
	require.NoError(t, tellCodes(w, remote, []byte(`{"position":"1-3","repeated":true,"events":[{"type":"gateway.registered","data":{"gateway":"cabinet","enrolment":{"key":"a"}}}]}`)))
	assert.Equal(t, "Its code is not shown any more; for another: gatehouse do RotateGatewayKey gateway=cabinet\n", out.String())
}
