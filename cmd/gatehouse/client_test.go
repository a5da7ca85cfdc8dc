package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnswersBecomeExitCodes(t *testing.T) {
	for status, want := range map[int]int{400: exitUsage, 401: exitForbidden, 403: exitForbidden, 404: exitRefused, 409: exitRefused,
		413: exitUsage, 422: exitRefused, 429: exitUnavailable, 500: exitFailure, 503: exitUnavailable, 504: exitUnavailable} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, err := fmt.Fprintf(w, `{"status":%d,"code":"some_code","detail":"why"}`, status)
			assert.NoError(t, err)
		}))
		c := newClient(server.URL, "gh.acme.t.s", "acme", "")
		c.Sleep = func(context.Context, time.Duration) error { return nil }
		err := c.Get(t.Context(), "/", nil, new(struct{}))
		server.Close()
		require.ErrorContains(t, err, "some_code: why")
		assert.Equal(t, want, exitCode(err), "%d", status)
	}
	c := newClient("http://127.0.0.1:1", "gh.acme.t.s", "acme", "")
	err := c.Get(t.Context(), "/", nil, new(struct{}))
	require.ErrorContains(t, err, "is gatehouse serve running there?")
	assert.Equal(t, exitUnavailable, exitCode(err))
}

func TestTheTokenNamesTheOrgAndMayLieInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte("gh.acme.t.s\n"), 0o600))
	c, err := remote{URL: "http://127.0.0.1:8080/", Token: "@" + path}.client()
	require.NoError(t, err)
	assert.Equal(t, "acme", c.Org)
	assert.Equal(t, "gh.acme.t.s", c.Token)
	assert.Equal(t, "http://127.0.0.1:8080", c.Base)
	for _, bad := range []remote{{URL: "127.0.0.1:8080"}, {URL: "ftp://x"}, {URL: "http://x", Token: "@/no/such/file"}} {
		_, err := bad.client()
		assert.Equal(t, exitUsage, exitCode(err), "%+v", bad)
	}
	assert.Equal(t, exitForbidden, exitCode(newClient("http://x", "", "", "").Authorized()))
}

func TestLifetimes(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "12h": 12 * time.Hour, "1d": 24 * time.Hour} {
		var l lifetime
		require.NoError(t, l.UnmarshalText([]byte(text)))
		assert.Equal(t, want, time.Duration(l))
	}
	for _, bad := range []string{"", "0d", "-1d", "367d", "-5m", "x", "d"} {
		var l lifetime
		assert.Error(t, l.UnmarshalText([]byte(bad)), bad)
	}
}
