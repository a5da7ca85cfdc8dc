package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/edge/identity"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/simulated"
	"gatehouse/schemas/wire"
)

// A service runs gateways by the same code as boxes do. They start as soon as they are enrolled, and what they lack is told.
func TestGatewaysRunWithinTheService(t *testing.T) {
	alongside(t)
	cfg := testConfig(t)
	dir := t.TempDir()
	cfg.Gateways = []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	s := serveIn(t, cfg)
	owner := ownerOf(t, s, "acme")
	do := func(name, body string) httpapi.CommandResult {
		t.Helper()
		answer, err := owner.Command(t.Context(), name, []byte(body), "", nil)
		require.NoError(t, err)
		var r httpapi.CommandResult
		require.NoError(t, json.Unmarshal(answer, &r))
		return r
	}
	amiss := func() (parts []string) {
		for _, trouble := range s.gatewaysAmiss() {
			parts = append(parts, trouble.Part)
		}
		return parts
	}
	assert.Equal(t, []string{"gateway:a", "gateway:b"}, amiss())
	do("CreateSite", `{"site":"north","name":"North","zone":"Europe/Berlin"}`)
	for _, name := range []string{"a", "b"} {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(at, 0o700))
		file := fmt.Sprintf(`{"doors":{"door-%s":{"driver":"simulated"}},"drivers":{"simulated":{"listen":"unix:%s/s"}}}`, name, at)
		require.NoError(t, os.WriteFile(filepath.Join(at, "gateway.json"), []byte(file), 0o600))
		do("CreateDoor", fmt.Sprintf(`{"door":"door-%s","site":"north","name":"Door","kind":"gate"}`, name))
		code := do("RegisterGateway", fmt.Sprintf(`{"gateway":"box-%s","site":"north"}`, name)).Codes[0].Code
		do("AssignDoorToGateway", fmt.Sprintf(`{"gateway":"box-%s","door":"door-%s"}`, name, name))
		_, err := identity.Enrol(t.Context(), identity.Request{URL: s.URL, Code: code, Dir: at})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(amiss()) == 0 }, patience, 10*time.Millisecond)
	for _, name := range []string{"a", "b"} {
		player, err := simulated.Dial(t.Context(), "unix:"+filepath.Join(dir, name, "s"))
		require.NoError(t, err)
		defer player.Close()
		_, err = player.Play(t.Context(), simulated.Act{Door: "door-" + wire.ID(name), Show: "4711"})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		families, err := s.metrics.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "gatehouse_gateway_decisions_total" {
				return len(f.GetMetric()) == 2
			}
		}
		return false
	}, patience, 10*time.Millisecond, "each gateway counts for itself")
	halt(t, s)
}
