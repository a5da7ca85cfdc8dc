package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answering is a service that gives answers in turn, and the client of it.
func answering(t *testing.T, answers ...func(w http.ResponseWriter)) (*client, *[]http.Header) {
	t.Helper()
	seen := new([]http.Header)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*seen = append(*seen, r.Header.Clone())
		answers[min(len(*seen), len(answers))-1](w)
	}))
	t.Cleanup(server.Close)
	c := newClient(server.URL, "gh.acme.t.s", "acme", "")
	c.sleep = func(context.Context, time.Duration) error { return nil }
	return c, seen
}

func saying(status int, code string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		body, err := json.Marshal(map[string]any{"status": status, "code": code, "detail": "why"})
		if err != nil {
			panic(err)
		}
		if _, err := w.Write(body); err != nil {
			panic(err)
		}
	}
}

func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Close()
}

func TestACommandIsSentAgainUnderOneKey(t *testing.T) {
	c, seen := answering(t, saying(503, "busy"), cut, saying(504, "unsettled"), saying(200, ""))
	_, err := c.command(t.Context(), "CreateUnit", []byte(`{}`), "", nil)
	require.NoError(t, err)
	require.Len(t, *seen, 4)
	key := (*seen)[0].Get("Idempotency-Key")
	require.NotEmpty(t, key)
	for _, h := range *seen {
		assert.Equal(t, key, h.Get("Idempotency-Key"))
		assert.Equal(t, "Bearer gh.acme.t.s", h.Get("Authorization"))
	}
}

func TestWhatMayBeLostIsNotSentAgainWhenItMustNot(t *testing.T) {
	for name, lost := range map[string]func(http.ResponseWriter){"cut": cut, "unsettled": saying(504, "unsettled")} {
		c, seen := answering(t, lost)
		_, err := c.send(t.Context(), request{method: http.MethodPost, path: "/", once: true})
		require.Error(t, err)
		assert.Len(t, *seen, 1, name)
		assert.Equal(t, exitUnavailable, exitCode(err), name)
	}
}

func TestAnswersBecomeExitCodes(t *testing.T) {
	for status, want := range map[int]int{400: exitUsage, 401: exitForbidden, 403: exitForbidden, 404: exitRefused, 409: exitRefused,
		413: exitUsage, 422: exitRefused, 429: exitUnavailable, 500: exitFailure, 503: exitUnavailable, 504: exitUnavailable} {
		c, _ := answering(t, saying(status, "some_code"))
		err := c.get(t.Context(), "/", nil, new(struct{}))
		require.ErrorContains(t, err, "some_code: why")
		assert.Equal(t, want, exitCode(err), "%d", status)
	}
	c := newClient("http://127.0.0.1:1", "gh.acme.t.s", "acme", "")
	err := c.get(t.Context(), "/", nil, new(struct{}))
	require.ErrorContains(t, err, "is gatehouse serve running there?")
	assert.Equal(t, exitUnavailable, exitCode(err))
}

func TestAnAnswerThatIsNoProblemIsShownAsItIs(t *testing.T) {
	c, _ := answering(t, func(w http.ResponseWriter) { http.Error(w, "<html>", http.StatusBadGateway) })
	_, err := c.sendOnce(t.Context(), request{method: http.MethodGet, path: "/"})
	require.ErrorContains(t, err, "the service answered 502 Bad Gateway")
}

func TestTheTokenNamesTheOrgAndMayLieInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte("gh.acme.t.s\n"), 0o600))
	c, err := remote{URL: "http://127.0.0.1:8080/", Token: "@" + path}.client()
	require.NoError(t, err)
	assert.Equal(t, "acme", c.org)
	assert.Equal(t, "gh.acme.t.s", c.token)
	assert.Equal(t, "http://127.0.0.1:8080", c.base)
	for _, bad := range []remote{{URL: "127.0.0.1:8080"}, {URL: "ftp://x"}, {URL: "http://x", Token: "@/no/such/file"}} {
		_, err := bad.client()
		assert.Equal(t, exitUsage, exitCode(err), "%+v", bad)
	}
	assert.Equal(t, exitForbidden, exitCode(newClient("http://x", "", "", "").authorized()))
}

func TestListsAreReadPageByPage(t *testing.T) {
	page := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if _, err := w.Write([]byte(text)); err != nil {
				panic(err)
			}
		}
	}
	c, seen := answering(t, page(`{"items":[1,2],"next":"x"}`), page(`{"items":[],"next":"y"}`), page(`{"items":[3]}`))
	var got []string
	require.NoError(t, c.each(t.Context(), "/", map[string][]string{}, func(item json.RawMessage) error {
		got = append(got, string(item))
		return nil
	}))
	assert.Equal(t, []string{"1", "2", "3"}, got)
	assert.Len(t, *seen, 3)
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
