package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// BenchmarkDecision asks a server for decisions. Beside it stands a bare one of net/http
// that answers the same bytes to the same requests. The client is as small as one can
// be, for it shares the processors.
func BenchmarkDecision(b *testing.B) {
	w := newWorld(b, "busy")
	cfg := w.api.cfg
	cfg.Metrics, cfg.Log = prometheus.NewRegistry(), slog.New(slog.NewJSONHandler(io.Discard, nil))
	cfg.Limits = Limits{PerToken: Rate{1e9, 1e9}, Questions: Rate{1e9, 1e9}}
	api, err := New(cfg)
	require.NoError(b, err)
	w.api = api
	stan, anna := w.token("stan", domain.ScopeRead), w.token("anna", domain.ScopeRead)
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf(`{"credential":%q,"door":%q,"side":"in"}`, []string{"key-anna", "key-vera", "fob-ben"}[i%3], []string{"gate", "lift"}[i%2]))
	}
	one := strings.TrimSuffix(batchPath, "/batch")
	for _, ask := range []struct{ name, token, path, body string }{
		{"One", stan, one, `{"credential":"key-anna","door":"gate","side":"in"}`},
		{"BatchOf1000", stan, batchPath, batchOf(many)},
		{"BatchOf100OfATenant", anna, batchPath, batchOf(many[:maxFromState])},
	} {
		answer := w.ask(ask.token, http.MethodPost, ask.path, ask.body).is(http.StatusOK)
		bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for name, values := range answer.header {
				w.Header()[name] = values
			}
			_, _ = w.Write(answer.body)
		})
		request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: gatehouse\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			ask.path, ask.token, len(ask.body), ask.body)
		for _, connections := range []int{1, 16} {
			for _, side := range []struct {
				name    string
				handler http.Handler
			}{{"Gatehouse", api}, {"BareNetHTTP", bare}} {
				b.Run(fmt.Sprintf("%s/%s/connections=%d", ask.name, side.name, connections), func(b *testing.B) {
					s := httptest.NewUnstartedServer(nil)
					s.Config = api.Server()
					s.Config.Handler = side.handler
					s.Start()
					defer s.Close()
					askAll(b, s.Listener.Addr().String(), request, connections)
				})
			}
		}
	}
}

// askAll sends b.N times a request, over so many connections.
func askAll(b *testing.B, address string, request []byte, connections int) {
	left := make(chan struct{}, b.N)
	for range b.N {
		left <- struct{}{}
	}
	close(left)
	failed := make(chan error, connections)
	b.ResetTimer()
	for range connections {
		go func() { failed <- askOver(address, request, left) }()
	}
	for range connections {
		require.NoError(b, <-failed)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// askOver sends a request for each that is left, one after the other on a connection.
func askOver(address string, request []byte, left <-chan struct{}) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for range left {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", r.Status)
		}
	}
	return nil
}
