package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/schemas/wire"
)

// service takes codes as Gatehouse does, each for one key.
type service struct {
	t    *testing.T
	http *httptest.Server
	log  ed25519.PrivateKey

	mu    sync.Mutex // guards all that follows
	asked int        // requests that came
	urls  []string
	taken map[string]string // code -> key of the gateway
	lose  bool              // the answer, after the code was taken
	cut   bool              // the request, before it is looked at
	other func(a *wire.EnrolAnswer)
}

func newService(t *testing.T, start func(*httptest.Server)) *service {
	t.Helper()
	_, log, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	s := &service{t: t, log: log, urls: []string{"tls://gatehouse.example.com:4222"}, taken: map[string]string{}}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	start(s.http)
	t.Cleanup(s.http.Close)
	return s
}

// set changes how the service behaves.
func (s *service) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// code makes a code for the gateway acme/cabinet.
func (s *service) code(secret byte) wire.EnrolmentCode {
	return wire.EnrolmentCode{Org: "acme", Gateway: "cabinet", Secret: [16]byte{secret}, Fingerprint: wire.Fingerprint(s.log.Public().(ed25519.PublicKey))}
}

// ServeHTTP takes the code of the requests whose proof is of a secret of one byte.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.cut {
		panic(http.ErrAbortHandler)
	}
	assert.Equal(s.t, "/v1/orgs/acme/gateways/cabinet/enrolment", r.URL.Path)
	var q wire.EnrolRequest
	assert.NoError(s.t, json.NewDecoder(r.Body).Decode(&q))
	public, err := nkeys.FromPublicKey(q.PublicKey)
	if assert.NoError(s.t, err) {
		assert.NoError(s.t, public.Verify(q.Statement("acme", "cabinet"), q.Signature))
	}
	key := ""
	for secret := range 10 {
		own := wire.EnrolmentKey(s.code(byte(secret)).Secret).Public().(ed25519.PublicKey)
		if ed25519.Verify(own, q.Statement("acme", "cabinet"), q.Proof) {
			key = hex.EncodeToString(own)
		}
	}
	if by, used := s.taken[key]; key == "" || used && by != q.PublicKey {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"code":"enrolment_used","detail":"this code was already used"}`))
		return
	}
	s.taken[key] = q.PublicKey
	if s.lose {
		panic(http.ErrAbortHandler)
	}
	a := &wire.EnrolAnswer{Org: "acme", Gateway: "cabinet", Site: "north", NATSURLs: s.urls, Time: time.Unix(1_800_000_000, 0)}
	a.Sign(s.log, &q)
	if s.other != nil {
		s.other(a)
	}
	w.Header().Set("Content-Type", "application/json")
	assert.NoError(s.t, json.NewEncoder(w).Encode(a))
}

func (s *service) enrol(dir string, secret byte) (*Identity, error) {
	return Enrol(s.t.Context(), Request{URL: s.http.URL, Code: s.code(secret).String(), Dir: dir})
}

func TestAnIdentityIsKept(t *testing.T) {
	s := newService(t, (*httptest.Server).Start)
	dir := filepath.Join(t.TempDir(), "gateway")
	_, err := Open(dir)
	require.ErrorIs(t, err, ErrNone)
	made, err := s.enrol(dir, 1)
	require.NoError(t, err)
	kept, err := Open(dir)
	require.NoError(t, err)
	assert.Equal(t, made, kept)
	assert.Equal(t, []wire.ID{"acme", "cabinet", "north"}, []wire.ID{kept.Org, kept.Gateway, kept.Site})
	assert.Equal(t, s.log.Public(), kept.LogKey)
	assert.Equal(t, s.urls, kept.NATSURLs)
	assert.NoFileExists(t, filepath.Join(dir, enrolmentFile))
	info, err := os.Stat(filepath.Join(dir, identityFile))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	// A start with the same code asks nobody, and one with a newer code is another box.
	_, err = s.enrol(dir, 1)
	require.NoError(t, err)
	s.set(func() { assert.Equal(t, 1, s.asked) })
	next, err := s.enrol(dir, 2)
	require.NoError(t, err)
	assert.NotEqual(t, made.PublicKey(), next.PublicKey())
}

// Wherever the gateway or the network fails, the same code enrols the same key later. The
// identity before is there until then.
func TestAGatewayEnrolsAfterAFailureAtAnyStep(t *testing.T) {
	for step, fail := range map[string]func(s *service, dir string) (mend func()){
		"before the service looks": func(s *service, _ string) func() {
			s.set(func() { s.cut = true })
			return func() { s.set(func() { s.cut = false }) }
		},
		"the answer is lost": func(s *service, _ string) func() {
			s.set(func() { s.lose = true })
			return func() { s.set(func() { s.lose = false }) }
		},
		"the disk does not take it": func(_ *service, dir string) func() {
			in := filepath.Join(dir, identityFile, "in")
			require.NoError(t, os.Rename(filepath.Join(dir, identityFile), filepath.Join(dir, "aside")))
			require.NoError(t, os.MkdirAll(in, 0o700))
			return func() {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, identityFile)))
				require.NoError(t, os.Rename(filepath.Join(dir, "aside"), filepath.Join(dir, identityFile)))
			}
		},
	} {
		t.Run(step, func(t *testing.T) {
			s := newService(t, (*httptest.Server).Start)
			dir := t.TempDir()
			before, err := s.enrol(dir, 1)
			require.NoError(t, err)
			mend := fail(s, dir)
			_, err = s.enrol(dir, 2)
			require.Error(t, err)
			mend()
			kept, err := Open(dir)
			require.NoError(t, err)
			require.Equal(t, before.PublicKey(), kept.PublicKey())
			var p pending
			require.NoError(t, readOwn(filepath.Join(dir, enrolmentFile), &p))
			after, err := s.enrol(dir, 2)
			require.NoError(t, err)
			key, err := userKey(p.Seed)
			require.NoError(t, err)
			assert.Equal(t, key, after.Key())
		})
	}
	// The last step is to forget the key that was pending.
	s := newService(t, (*httptest.Server).Start)
	dir := t.TempDir()
	made, err := s.enrol(dir, 1)
	require.NoError(t, err)
	require.NoError(t, writeOwn(filepath.Join(dir, enrolmentFile), pending{V: version, Code: made.code, Seed: "SU"}))
	again, err := s.enrol(dir, 1)
	require.NoError(t, err)
	assert.Equal(t, made.PublicKey(), again.PublicKey())
}

func TestAGatewayRefusesAServiceThatDidNotMakeItsCode(t *testing.T) {
	s := newService(t, (*httptest.Server).Start)
	for _, c := range []struct {
		says  string
		other func(a *wire.EnrolAnswer)
	}{
		{"this is not the service that made the code", func(a *wire.EnrolAnswer) { a.LogKey[0]++ }},
		{"something between here and the service changes it", func(a *wire.EnrolAnswer) { a.NATSURLs = []string{"tls://elsewhere:4222"} }},
		{"this is not the service that made the code", func(a *wire.EnrolAnswer) { *a = wire.EnrolAnswer{} }},
	} {
		s.set(func() { s.other = c.other })
		dir := t.TempDir()
		_, err := s.enrol(dir, 1)
		require.ErrorContains(t, err, c.says)
		assert.NoFileExists(t, filepath.Join(dir, identityFile))
		s.set(func() { s.other = nil })
		_, err = s.enrol(dir, 1)
		require.NoError(t, err)
		s.set(func() { clear(s.taken) })
	}
	s.set(func() { s.urls = []string{"http://x"} })
	_, err := s.enrol(t.TempDir(), 2)
	require.ErrorContains(t, err, "--gateway-nats-url")
}

func TestAGatewayIsToldWhyItIsNotEnrolled(t *testing.T) {
	s := newService(t, (*httptest.Server).Start)
	_, err := s.enrol(t.TempDir(), 1)
	require.NoError(t, err)
	_, err = s.enrol(t.TempDir(), 1)
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "enrolment_used", refused.Code)

	nobody := httptest.NewServer(http.NotFoundHandler())
	defer nobody.Close()
	code := s.code(2).String()
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	_, err = Enrol(t.Context(), Request{URL: s.http.URL, Code: code, Dir: other})
	require.NoError(t, err)
	away := s.code(3)
	away.Gateway = "second"
	for says, r := range map[string]Request{
		"not a whole code":             {URL: s.http.URL, Code: code[1:], Dir: dir},
		"write it as https://":         {URL: "gatehouse.example.com", Code: code, Dir: dir},
		"is not Gatehouse":             {URL: nobody.URL, Code: code, Dir: dir},
		"try again with the same code": {URL: "http://127.0.0.1:1", Code: code, Dir: dir},
		"no such file":                 {URL: s.http.URL, Code: code, Dir: dir, CA: filepath.Join(dir, "none")},
		"give each gateway its own":    {URL: s.http.URL, Code: away.String(), Dir: other},
	} {
		_, err := Enrol(t.Context(), r)
		assert.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), code[len("acme.cabinet."):], "an error is logged")
	}
	held, err := lock(filepath.Join(dir, lockFile))
	require.NoError(t, err)
	defer held()
	_, err = s.enrol(dir, 3)
	require.ErrorContains(t, err, "another program enrols")
}

// The files make their reader the gateway.
func TestAnIdentityThatOthersCanReadIsRefused(t *testing.T) {
	s := newService(t, (*httptest.Server).Start)
	dir := t.TempDir()
	_, err := s.enrol(dir, 1)
	require.NoError(t, err)
	path := filepath.Join(dir, identityFile)
	require.NoError(t, os.Chmod(path, 0o640))
	_, err = Open(dir)
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Chmod(path, 0o600))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, damaged := range []string{"", "{}", string(whole[:len(whole)/2]), strings.Replace(string(whole), `"seed":"S`, `"seed":"T`, 1), strings.Repeat(" ", maxFile+1)} {
		require.NoError(t, os.WriteFile(path, []byte(damaged), 0o600))
		_, err = Open(dir)
		require.Error(t, err)
		assert.NotErrorIs(t, err, ErrNone)
	}
	_, err = s.enrol(dir, 2) // which mends it
	require.NoError(t, err)
	_, err = Open(dir)
	require.NoError(t, err)
}

func TestAGatewayTrustsTheAuthorityThatItIsGiven(t *testing.T) {
	s := newService(t, (*httptest.Server).StartTLS)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw}), 0o600))
	r := Request{URL: s.http.URL, Code: s.code(1).String(), Dir: dir}
	_, err := Enrol(t.Context(), r)
	require.ErrorContains(t, err, "certificate")
	r.CA = ca
	i, err := Enrol(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, ca, i.ca)
	require.NoError(t, os.WriteFile(ca, []byte("nothing"), 0o600))
	r.Code = s.code(2).String()
	_, err = Enrol(t.Context(), r)
	require.ErrorContains(t, err, "no certificate in PEM")
}

func TestEnrollingEndsWithItsContext(t *testing.T) {
	s := newService(t, (*httptest.Server).Start)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Enrol(ctx, Request{URL: s.http.URL, Code: s.code(1).String(), Dir: t.TempDir()})
	require.ErrorIs(t, err, context.Canceled)
}
