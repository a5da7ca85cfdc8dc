package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// station is a service within the test, with an org of its own. It has the command line
// that speaks to the service.
type station struct {
	t       *testing.T
	service *service
	url     string // of the service, or of what stands before it
	token   string
	dir     string // for files
}

// outcome is what a verb leaves behind.
type outcome struct {
	code           int
	stdout, stderr string
}

// alongside lets a test run beside others: most of its time goes by waiting for the
// disk. Where the full counts are run it has the machine to itself, for its figures.
func alongside(t *testing.T) {
	t.Helper()
	if os.Getenv("GATEHOUSE_LONG") == "" {
		t.Parallel()
	}
}

// newStation starts a service and makes the org acme, of olga. The test runs
// alongside others.
func newStation(t *testing.T) *station {
	t.Helper()
	alongside(t)
	s, err := startService(t.Context(), serviceConfig{Data: t.TempDir(), Listen: "127.0.0.1:0", Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	st := &station{t: t, service: s, url: s.URL, dir: t.TempDir()}
	made := st.verb(t.Context(), "org", "create", "acme", "--name", "Acme", "--owner", "olga", "--url", s.URL, "--bootstrap-file", s.BootstrapPath)
	require.Equal(t, exitDone, made.code, made.stderr)
	st.token = strings.TrimSpace(made.stdout)
	return st
}

// verb runs a verb as main does.
func (s *station) verb(ctx context.Context, args ...string) outcome {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	parser, err := newParser(&verbs{})
	require.NoError(s.t, err)
	w := &world{ctx: ctx, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, now: time.Now}
	selected, err := parser.Parse(flagsLast(parser.Model.Node, args))
	if err == nil {
		err = selected.Run(w)
	}
	return outcome{w.report(err), stdout.String(), stderr.String()}
}

// at runs a verb at the site hq with the owner's token.
func (s *station) at(ctx context.Context, args ...string) outcome {
	s.t.Helper()
	return s.verb(ctx, append(args, "--url", s.url, "--token", s.token, "--site", "hq", "--json")...)
}

// must runs a verb that is to succeed, and returns what it wrote.
func (s *station) must(args ...string) string {
	s.t.Helper()
	o := s.at(s.t.Context(), args...)
	require.Equal(s.t, exitDone, o.code, "%v: %s", args, o.stderr)
	return o.stdout
}

// file writes a file and returns its path.
func (s *station) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// head is the number of the org's last commit.
func (s *station) head() (n uint64) {
	s.t.Helper()
	require.NoError(s.t, s.service.Store.View(s.t.Context(), "acme", func(_ *domain.State, h eventstore.Head) error {
		n = h.N
		return nil
	}))
	return n
}

// state looks at the org.
func (s *station) state(f func(*domain.State)) {
	s.t.Helper()
	require.NoError(s.t, s.service.Store.View(s.t.Context(), "acme", func(st *domain.State, _ eventstore.Head) error {
		f(st)
		return nil
	}))
}

// recorded gives the sources of the reads that a gateway recorded.
func (s *station) recorded(gateway string) (out []string) {
	s.t.Helper()
	damaged, err := s.service.Store.Activity(s.t.Context(), "acme", "hq", domain.ID(gateway), func(a *wire.Activity) error {
		out = append(out, a.Source)
		return nil
	})
	require.NoError(s.t, err)
	require.Zero(s.t, damaged)
	return out
}

// cutAfter puts a proxy before the service that ends the caller's context after n
// requests of a kind. The answer to the last of them is not passed on.
func (s *station) cutAfter(n int64, isKind func(*http.Request) bool) (ctx context.Context, uncut func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	direct := s.url
	target, err := url.Parse(direct)
	require.NoError(s.t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	var done atomic.Int64
	before := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isKind(r) {
			proxy.ServeHTTP(w, r)
			return
		}
		kept := httptest.NewRecorder()
		proxy.ServeHTTP(kept, r)
		if done.Add(1) == n {
			cancel()
			<-r.Context().Done()
			return
		}
		for name, values := range kept.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(kept.Code)
		_, err := w.Write(kept.Body.Bytes())
		assert.NoError(s.t, err)
	}))
	s.url = before.URL
	return ctx, func() {
		s.url = direct
		cancel()
		before.Close()
	}
}

// lastLine reads the last line of what a verb wrote as JSON.
func lastLine[T any](t *testing.T, stdout string) (out T) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &out), "%s", stdout)
	return out
}
