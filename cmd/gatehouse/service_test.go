package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/eventstore/natsserver"
)

// patience bounds what a test waits for on a machine that does much else: to come
// up takes a set of processes seconds, and so does going on without a server.
const patience = time.Minute

// testConfig is a service of the test alone.
func testConfig(t *testing.T) serviceConfig {
	t.Helper()
	return serviceConfig{Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", NATS: natsConfig{Replicas: 1},
		Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
}

// serveIn starts a service, which ends with the test if not before.
func serveIn(t *testing.T, cfg serviceConfig) *service {
	t.Helper()
	s, err := startService(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { halt(t, s) })
	return s
}

// halt stops a service; a second time does nothing.
func halt(t *testing.T, s *service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

// ownerOf makes an org by the bootstrap token of a service, and returns a client
// of its owner.
func ownerOf(t *testing.T, s *service, org string) *client.Client {
	t.Helper()
	c := newClient(s.URL, bootstrapOf(t, s), org, "")
	var made struct {
		Token string `json:"token"`
	}
	body := []byte(`{"org":"` + org + `","name":"Test","owner":"olga"}`)
	require.NoError(t, c.Ask(t.Context(), client.Request{Method: "POST", Path: "/v1/orgs", Body: body}, &made))
	return newClient(s.URL, made.Token, org, "")
}

func bootstrapOf(t *testing.T, s *service) string {
	t.Helper()
	b, err := os.ReadFile(s.BootstrapPath)
	require.NoError(t, err)
	return strings.TrimSpace(string(b))
}

// sends sends a command and returns its error.
func sends(t *testing.T, c *client.Client, name, fields string) error {
	_, err := c.Command(t.Context(), name, []byte(fields), "", nil)
	return err
}

func bodyOf(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// wholeReadiness is where a service tells everything of its readiness.
func (s *service) wholeReadiness() string {
	return strings.TrimSuffix(s.MetricsURL, "/metrics") + "/readyz"
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	cfg := testConfig(t)
	cfg.MetricsListen = "127.0.0.1:0"
	s := serveIn(t, cfg)
	require.NoError(t, sends(t, ownerOf(t, s, "acme"), "RegisterPerson", `{"person":"anna"}`))
	status, _ := bodyOf(t, s.URL+"/healthz")
	assert.Equal(t, 200, status)
	require.Eventually(t, func() bool {
		status, text := bodyOf(t, s.URL+"/readyz")
		return status == 200 && strings.Contains(text, `"troubles":[]`)
	}, patience, 10*time.Millisecond)
	status, text := bodyOf(t, s.wholeReadiness())
	assert.Equal(t, 200, status, text)
	_, text = bodyOf(t, s.MetricsURL)
	assert.Contains(t, text, `gatehouse_commands_total{command="RegisterPerson",outcome="accepted"} 1`)
	for _, name := range []string{"gatehouse_due_lag_seconds", "gatehouse_permissions_lag_seconds", "gatehouse_http_request_duration_seconds_count", "go_goroutines"} {
		assert.Contains(t, text, name)
	}
	status, _ = bodyOf(t, strings.TrimSuffix(s.MetricsURL, "/metrics")+"/v1/orgs")
	assert.Equal(t, 404, status, "nothing else is served there")
	_, err := startService(t.Context(), cfg)
	require.ErrorIs(t, err, natsserver.ErrLocked)

	there := s.conn
	defer func() { s.conn = there }()
	s.conn, err = s.embedded.Connect()
	require.NoError(t, err)
	s.conn.Close()
	require.Len(t, s.troubles(), 1)
	assert.Equal(t, "nats", s.troubles()[0].Part)
}

func TestAnAddressThatIsTakenEndsTheStartWithNothingLeft(t *testing.T) {
	cfg := testConfig(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	cfg.Listen = taken.Addr().String()
	_, err = startService(t.Context(), cfg)
	require.ErrorContains(t, err, "address already in use")
	assert.Equal(t, exitFailure, exitCode(err))
	cfg.Listen = "127.0.0.1:0"
	serveIn(t, cfg) // the directory was given free
}

// A reason that keeps an instance from starting is told in one line, which names the
// flag. The exit code tells it too.
func TestStartsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, c := range map[string]struct {
		change func(*serviceConfig)
		says   string
		code   int
	}{
		"no address":           {func(c *serviceConfig) { c.Listen = "nonsense" }, "--listen: address nonsense: missing port", exitUsage},
		"no metrics address":   {func(c *serviceConfig) { c.MetricsListen = "nonsense" }, "--metrics-listen: address nonsense", exitUsage},
		"data is a file":       {func(c *serviceConfig) { c.Data = file }, "the data directory cannot be written: --data " + file, exitFailure},
		"streams are a file":   {func(c *serviceConfig) { c.Data = dir }, "the embedded server does not start: Can't start JetStream", exitFailure},
		"malformed master key": {func(c *serviceConfig) { c.VaultKey = "short" }, "a master key is 32 bytes in base64 or hexadecimal", exitUsage},
		"nobody at NATS":       {func(c *serviceConfig) { c.NATS.URL = "nats://127.0.0.1:1" }, "no answer from nats://127.0.0.1:1", exitUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600))
			cfg := testConfig(t)
			c.change(&cfg)
			_, err := startService(t.Context(), cfg)
			require.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), "\n")
			assert.Equal(t, c.code, exitCode(err))
		})
	}
}

// Another master key than the vault was made with stops the start and changes nothing;
// a path with blanks is one like others.
func TestAnotherMasterKeyStopsTheStart(t *testing.T) {
	cfg := testConfig(t)
	cfg.Data = filepath.Join(t.TempDir(), "with blanks", "da ta")
	halt(t, serveIn(t, cfg))
	right := cfg.VaultKey
	cfg.VaultKey = strings.Repeat("07", 32)
	_, err := startService(t.Context(), cfg)
	require.ErrorContains(t, err, "wrong master key: start with the GATEHOUSE_VAULT_KEY, or the vault.key, that the file was made with; nothing was changed")
	assert.Equal(t, exitFailure, exitCode(err))
	cfg.VaultKey = right
	serveIn(t, cfg)
}

func TestTheBootstrapTokenOutlivesARestartAndNotADay(t *testing.T) {
	alongside(t)
	cfg := testConfig(t)
	s := serveIn(t, cfg)
	first := bootstrapOf(t, s)
	halt(t, s)
	s = serveIn(t, cfg)
	assert.Equal(t, first, bootstrapOf(t, s), "nobody used it yet")
	halt(t, s)
	old := time.Now().Add(-bootstrapLife)
	require.NoError(t, os.Chtimes(filepath.Join(cfg.Data, bootstrapFile), old, old))
	s = serveIn(t, cfg)
	second := bootstrapOf(t, s)
	assert.NotEqual(t, first, second, "the ledger is empty still")
	c := newClient(s.URL, first, "acme", "")
	err := c.Ask(t.Context(), client.Request{Method: "POST", Path: "/v1/orgs", Body: []byte(`{"org":"acme","name":"A","owner":"olga"}`)}, new(json.RawMessage))
	assert.Equal(t, exitForbidden, exitCode(err))
	c = ownerOf(t, s, "acme")
	require.NoError(t, sends(t, c, "RegisterPerson", `{"person":"anna"}`))
	require.NoFileExists(t, s.BootstrapPath, "the first use of the org's token ends it")
	halt(t, s)

	s = serveIn(t, cfg)
	assert.Empty(t, s.BootstrapPath, "there is an org")
	halt(t, s)
	cfg.Bootstrap = true
	s = serveIn(t, cfg)
	require.NoError(t, sends(t, ownerOf(t, s, "other"), "RegisterPerson", `{"person":"anna"}`), "a further org is asked for")
}

func TestAMalformedBootstrapFileIsNamed(t *testing.T) {
	cfg := testConfig(t)
	require.NoError(t, os.MkdirAll(cfg.Data, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(cfg.Data, bootstrapFile), []byte("gh.bootstrap.short\n"), 0o600))
	_, err := startService(t.Context(), cfg)
	require.ErrorContains(t, err, "bootstrap.token holds none; remove the file")
}

func TestTLS(t *testing.T) {
	alongside(t)
	cfg := testConfig(t)
	cfg.TLSCert, cfg.TLSKey = certificate(t)
	s := serveIn(t, cfg)
	require.True(t, strings.HasPrefix(s.URL, "https://127.0.0.1:"))
	pool := x509.NewCertPool()
	chain, err := os.ReadFile(cfg.TLSCert)
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(chain))
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	resp, err := c.Get(s.URL + "/healthz")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, resp.StatusCode)

	cfg.TLSKey = ""
	_, err = startService(t.Context(), cfg)
	assert.Equal(t, exitUsage, exitCode(err))
}

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}
