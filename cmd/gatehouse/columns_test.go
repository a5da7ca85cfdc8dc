package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// columns prints a list as a service gives it that knows the site north.
func columns(t *testing.T, items string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/sites/north") {
			_, err := w.Write([]byte(`{"zone":"Europe/Berlin"}`))
			assert.NoError(t, err)
			return
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	var list []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(items), &list))
	var out, said bytes.Buffer
	c := newClient(server.URL, "gh.acme.t.s", "acme", "")
	require.NoError(t, c.tellList(t.Context(), &world{stdout: &out, stderr: &said}, list))
	return out.String() + said.String()
}

func TestAListIsPrintedInColumns(t *testing.T) {
	assert.Equal(t, "ID    NAME        SITE   KIND  IN\n"+
		"gate  North gate  north  gate  yard\n"+
		"lift  Lift b      north  lift\n",
		columns(t, `[{"id":"gate","site":"north","name":"North gate","kind":"gate","in":"yard","posture":{},"zone":"Europe/Berlin"},
			{"id":"lift","site":"north","name":"Lift\nb","kind":"lift","hours":"","zone":"Europe/Berlin"}]`))
	assert.Equal(t, "There are none.\n", columns(t, `[]`))
}

func TestTimesOfAListAreOfTheClockOfTheSite(t *testing.T) {
	assert.Equal(t, "ID  SITE   AT (Europe/Berlin)\nk   north  2026-07-01 08:00\n",
		columns(t, `[{"id":"k","site":"north","at":"2026-07-01T06:00:00Z"}]`))
	assert.Equal(t, "ID  AT                              SITES\nk   2026-07-01 08:00 Europe/Berlin  north\nl   2026-07-01 06:00 UTC            hidden\n",
		columns(t, `[{"id":"k","at":"2026-07-01T06:00:00Z","sites":["north"]},{"id":"l","at":"2026-07-01T06:00:00Z","sites":["hidden"]}]`))
}
