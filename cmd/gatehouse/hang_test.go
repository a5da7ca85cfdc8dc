package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
)

// A token that one instance revokes ends at the other, too, within seconds. The server
// to which the other is connected hangs meanwhile.
func TestARevokedTokenEndsThoughAServerHangs(t *testing.T) {
	if os.Getenv("GATEHOUSE_LONG") == "" {
		t.Skip("it holds how long a token stays good: set GATEHOUSE_LONG")
	}
	s := startSet(t)
	status := func(token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("gatehouse-a")+"/v1/orgs/acme/people", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		var made struct {
			Token string `json:"token"`
			ID    string `json:"token_id"`
		}
		body := fmt.Sprintf(`{"person":"olga","scope":"read","expires":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		require.NoError(t, s.b.Ask(t.Context(), client.Request{Method: "POST", Path: s.b.OrgPath("tokens"), Body: []byte(body)}, &made))
		require.Eventually(t, func() bool { return status(made.Token) == http.StatusOK }, patience, 50*time.Millisecond)
		_, err := s.Signal(name, syscall.SIGSTOP)
		require.NoError(t, err)
		fields, err := json.Marshal(map[string]string{"token": made.ID})
		require.NoError(t, err)
		began := time.Now()
		s.done(s.b, "RevokeToken", string(fields))
		revoked := time.Now()
		last, seen := time.Duration(0), map[int]int{}
		for until := revoked.Add(10 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
			answer := status(made.Token)
			seen[answer]++
			if answer == http.StatusOK {
				last = time.Since(revoked)
			}
		}
		t.Logf("%s hangs: revoked after %s, good for %s then; answers %v", name, revoked.Sub(began).Round(time.Millisecond), last.Round(time.Millisecond), seen)
		assert.Less(t, last, 8*time.Second, "%s hangs", name)
		_, err = s.Signal(name, syscall.SIGCONT)
		require.NoError(t, err)
		s.up()
		require.Eventually(t, func() bool { return status(made.Token) == http.StatusUnauthorized }, patience, 50*time.Millisecond)
	}
}
