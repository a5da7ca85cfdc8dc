package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An instance that tells the kinds of its troubles alone is asked for the rest with a
// token.
func TestReadySaysHowToSeeTheWhole(t *testing.T) {
	status, part, degraded := http.StatusOK, "", `{"part":"server"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		ready, named := "true", degraded
		if status != http.StatusOK {
			ready = "false"
		}
		if r.Header.Get("Authorization") == "Bearer gh.acme.t.good" {
			part, named = `{"part":"org:acme","message":"it ends at 1-5"}`, `{"part":"server:n3","message":"it is away"}`
		}
		if ready == "true" {
			part = ""
		}
		_, _ = w.Write([]byte(`{"ready":` + ready + `,"troubles":[` + part + `],"degraded":[` + named + `]}`))
	}))
	defer server.Close()
	ask := func(token string) (string, error) {
		var told bytes.Buffer
		err := (&readyCmd{URL: server.URL, Token: token}).Run(&world{ctx: t.Context(), stdout: &told, stderr: &told, now: time.Now})
		return told.String(), err
	}
	told, err := ask("")
	require.NoError(t, err)
	assert.Equal(t, "degraded: server\n"+howToSeeAll+"\n", told)
	told, err = ask("gh.acme.t.good")
	require.NoError(t, err)
	assert.Equal(t, "degraded: server:n3: it is away\n", told)

	status, part = http.StatusServiceUnavailable, `{"part":"org"}`
	_, err = ask("")
	require.EqualError(t, err, "not ready:\n  org\n"+howToSeeAll)
	_, err = ask("gh.acme.t.good")
	require.EqualError(t, err, "not ready:\n  org:acme: it ends at 1-5")
}
