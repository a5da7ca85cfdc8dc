package main

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/gateways/httpapi"
)

// maxGatewayURLs bounds how many addresses of NATS a gateway is told.
const maxGatewayURLs = 16

// checkGatewayURLs finds addresses for gateways that no gateway can use.
func (n natsConfig) checkGatewayURLs() error {
	if len(n.GatewayURLs) > maxGatewayURLs {
		return usage("--gateway-nats-url: %d addresses; give at most %d", len(n.GatewayURLs), maxGatewayURLs)
	}
	for _, text := range n.GatewayURLs {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.User != nil || len(text) > 200 {
			return usage("--gateway-nats-url %q: write an address of NATS as tls://gatehouse.example.com:4222, without a user: gateways have keys", text)
		}
	}
	return nil
}

// enrolment is how gateways get their codes and enrol.
func (s *service) enrolment() *httpapi.Enrolment {
	return &httpapi.Enrolment{LogKey: s.logKey, Codes: s.codeKey, Servers: s.gatewayServers}
}

// gatewayServers lists the addresses of NATS for a gateway that reached the API by a
// host: those that were given, else those of the cluster, else that of the server within
// the process. That one may listen on all addresses of the machine, of which the gateway
// knows one.
func (s *service) gatewayServers(host string) []string {
	n := s.cfg.NATS
	switch {
	case len(n.GatewayURLs) > 0:
		return n.GatewayURLs
	case n.URL != "":
		return withoutUsers(n.URL)
	case n.Listen == "":
		return nil
	}
	at, port, err := net.SplitHostPort(s.embedded.Server().Addr().String())
	if err != nil {
		return nil
	}
	if ip := net.ParseIP(at); ip != nil && ip.IsUnspecified() {
		reached := url.URL{Host: host}
		at = reached.Hostname()
	}
	scheme := "nats"
	if s.cfg.TLSCert != "" {
		scheme = "tls"
	}
	return []string{scheme + "://" + net.JoinHostPort(at, port)}
}

// withoutUsers are the addresses of a cluster without what the service logs in with.
func withoutUsers(list string) (out []string) {
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		if u, err := url.Parse(text); err == nil && len(out) < maxGatewayURLs {
			u.User = nil
			out = append(out, u.String())
		}
	}
	return out
}

// tellCodes tells the codes that a command gave, and how they are used.
func tellCodes(w *world, remote *client.Client, result []byte) error {
	t, err := readTold(result)
	if err != nil {
		return err
	}
	var out strings.Builder
	for _, c := range t.Codes {
		fmt.Fprintf(&out, "\nThe code of gateway %s is shown once. It can be used once, until %s. On the gateway run:\n\n  gatehouse-gateway --url %s --enroll %s\n",
			c.Gateway, c.Until.UTC().Format("2006-01-02 15:04 MST"), remote.Base, c.Code)
	}
	for _, e := range t.Events {
		if t.Repeated && len(t.Codes) == 0 && e.Data["enrolment"] != nil {
			fmt.Fprintf(&out, "Its code is not shown any more; for another: gatehouse do RotateGatewayKey gateway=%s\n", e.text("gateway"))
		}
	}
	_, err = io.WriteString(w.stdout, out.String())
	return err
}

// toldCode is a code of an answer.
type toldCode struct {
	Gateway string    `json:"gateway"`
	Code    string    `json:"code"`
	Until   time.Time `json:"until"`
}
