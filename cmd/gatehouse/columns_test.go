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
	require.NoError(t, tellList(t.Context(), c, &world{stdout: &out, stderr: &said}, list))
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

func TestAListShowsWhatHoldsInTheEnd(t *testing.T) {
	assert.Equal(t, "ID  STATE      FROM        UNTIL\ns1  suspended  2026-12-01  2026-12-20\ns2  active     2026-12-01  2026-12-30\n",
		columns(t, `[{"id":"s1","from":"2026-12-01","until":"2026-12-30","state":"active","effective_from":"2026-12-01","effective_until":"2026-12-20","effective_state":"suspended"},
			{"id":"s2","from":"2026-12-01","until":"2026-12-30","state":"active","effective_state":"active"}]`))
	assert.Equal(t, "ID  STATE           DENIED\nf1  active, denied  yes\n", columns(t, `[{"id":"f1","state":"active","denied":true}]`))
}

func TestAFieldThatTheFirstRowLacksKeepsItsPlace(t *testing.T) {
	assert.Equal(t, "ID  KIND  PERSON  SITES\nc1  fob           north\nc2  fob   anna    north\n",
		columns(t, `[{"id":"c1","kind":"fob","sites":["north"]},{"id":"c2","kind":"fob","person":"anna","sites":["north"]}]`))
}

func TestTimesOfAListAreOfTheClockOfTheSite(t *testing.T) {
	assert.Equal(t, "ID  SITE   AT (Europe/Berlin)\nk   north  2026-07-01 08:00\n",
		columns(t, `[{"id":"k","site":"north","at":"2026-07-01T06:00:00Z"}]`))
	assert.Equal(t, "ID  AT                              SITES\nk   2026-07-01 08:00 Europe/Berlin  north\nl   2026-07-01 06:00 UTC            hidden\n",
		columns(t, `[{"id":"k","at":"2026-07-01T06:00:00Z","sites":["north"]},{"id":"l","at":"2026-07-01T06:00:00Z","sites":["hidden"]}]`))
}
