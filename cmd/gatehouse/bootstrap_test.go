package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
)

// logged is a log that a test reads when its service has stopped.
type logged struct {
	mu sync.Mutex // guards buf
	bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

func makesOrg(t *testing.T, s *service, token, org string) error {
	t.Helper()
	body := []byte(`{"org":"` + org + `","name":"Test","owner":"olga"}`)
	return newClient(s.URL, token, org, "").Ask(t.Context(), client.Request{Method: "POST", Path: "/v1/orgs", Body: body}, new(json.RawMessage))
}

// A token that has made an org is no token for a further one. That holds while nobody
// has entered that org yet.
func TestAFurtherOrgGetsABootstrapTokenOfItsOwn(t *testing.T) {
	cfg := testConfig(t)
	s := serveIn(t, cfg)
	first := bootstrapOf(t, s)
	assert.Empty(t, s.BootstrapMade)
	require.NoError(t, makesOrg(t, s, first, "acme"))
	halt(t, s)

	s = serveIn(t, cfg)
	assert.Equal(t, first, bootstrapOf(t, s), "the owner's token may have been lost on its way")
	assert.EqualValues(t, "acme", s.BootstrapMade)
	require.NoError(t, makesOrg(t, s, first, "acme"))
	halt(t, s)

	var log logged
	cfg.Bootstrap, cfg.Log = true, slog.New(slog.NewTextHandler(&log, nil))
	s = serveIn(t, cfg)
	second := bootstrapOf(t, s)
	assert.NotEqual(t, first, second)
	assert.Empty(t, s.BootstrapMade)
	assert.Equal(t, exitForbidden, exitCode(makesOrg(t, s, first, "other")))
	require.NoError(t, makesOrg(t, s, second, "other"))
	halt(t, s)
	assert.Contains(t, log.String(), "the bootstrap token is spent")
	assert.Contains(t, log.String(), "org=acme")
}

// The file came back, as from a copy: its token has made an org that is in use.
func TestASpentBootstrapTokenIsRemovedAndSaid(t *testing.T) {
	cfg := testConfig(t)
	s := serveIn(t, cfg)
	spent := bootstrapOf(t, s)
	require.NoError(t, sends(t, ownerOf(t, s, "acme"), "RegisterPerson", `{"person":"anna"}`))
	require.NoFileExists(t, s.BootstrapPath)
	halt(t, s)
	require.NoError(t, os.WriteFile(filepath.Join(cfg.Data, bootstrapFile), []byte(spent+"\n"), 0o600))

	var log logged
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	s = serveIn(t, cfg)
	assert.Empty(t, s.BootstrapPath)
	require.NoFileExists(t, filepath.Join(cfg.Data, bootstrapFile))
	assert.Equal(t, exitForbidden, exitCode(makesOrg(t, s, spent, "acme")))
	halt(t, s)
	assert.Contains(t, log.String(), "the bootstrap token is spent")
	assert.Contains(t, log.String(), "--bootstrap")
}
