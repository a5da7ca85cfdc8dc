package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
	assert.Equal(t, "\nThe code of gateway cabinet is shown once. It is good once, until 2026-03-03 09:00 UTC. On the gateway run:\n\n"+
		"  gatehouse-gateway --url https://gatehouse.example.com --enroll acme.cabinet.X\n", out.String())
	out.Reset()
	require.NoError(t, tellCodes(w, remote, []byte(`{"position":"1-3","repeated":true,"events":[{"type":"gateway.registered","data":{"gateway":"cabinet","enrolment":{"key":"a"}}}]}`)))
	assert.Equal(t, "Its code is not shown any more; for another: gatehouse do RotateGatewayKey gateway=cabinet\n", out.String())
}
