package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reply is an answer of the API.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// ask sends a request; headers are given as "Name: value".
func (b *bed) ask(token, method, path, body string, headers ...string) reply {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	if strings.HasPrefix(path, "/v1/orgs/acme/sites/") && strings.Contains(path, "/decisions") || strings.HasSuffix(path, "/enforcement") {
		b.makeTables("acme")
	}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	return reply{b.t, w.Code, w.Header(), w.Body.Bytes()}
}

// get asks for a path below the org.
func (b *bed) get(token, path string) reply {
	b.t.Helper()
	return b.ask(token, http.MethodGet, "/v1/orgs/acme"+path, "")
}

// send sends a command.
func (b *bed) send(token, command, fields string, headers ...string) reply {
	b.t.Helper()
	return b.ask(token, http.MethodPost, "/v1/orgs/acme/commands/"+command, fields, headers...)
}

// is holds an answer to a status.
func (r reply) is(status int) reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, "%s", r.body)
	return r
}

// problem holds an answer to a problem, and returns it.
func (r reply) problem(status int, code string) Problem {
	r.t.Helper()
	r.is(status)
	require.Equal(r.t, problemJSON, r.header.Get("Content-Type"))
	var p Problem
	require.NoError(r.t, json.Unmarshal(r.body, &p))
	require.Equal(r.t, code, p.Code, p.Detail)
	require.Equal(r.t, status, p.Status)
	require.NotEmpty(r.t, p.Detail)
	return p
}

// json reads an answer.
func (r reply) json() map[string]any {
	r.t.Helper()
	require.Equal(r.t, "application/json", r.header.Get("Content-Type"))
	var out map[string]any
	require.NoError(r.t, json.Unmarshal(r.body, &out))
	return out
}

// items reads the items of a list.
func (r reply) items() []map[string]any {
	r.t.Helper()
	r.is(http.StatusOK)
	var page Page[map[string]any]
	require.NoError(r.t, json.Unmarshal(r.body, &page))
	require.NotNil(r.t, page.Items)
	return page.Items
}

// ids lists the ids of a list.
func (r reply) ids() []string {
	r.t.Helper()
	out := []string{}
	for _, item := range r.items() {
		out = append(out, item["id"].(string))
	}
	return out
}
