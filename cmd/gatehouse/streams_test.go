package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/natsserver"
)

func TestStreamsAreAppliedWhileNobodyServes(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	w := &world{ctx: t.Context(), stdout: &out, stderr: t.Output()}
	require.NoError(t, (&streamsApplyCmd{Data: dir, Vault: "v1"}).Run(w))
	assert.Contains(t, out.String(), "LEDGER: gatehouse_vault was , needed: v1\n")
	out.Reset()
	require.NoError(t, (&streamsApplyCmd{Data: dir}).Run(w))
	assert.Equal(t, 4, strings.Count(out.String(), ": as it should be\n"), out.String())

	lock, err := natsserver.LockData(dir)
	require.NoError(t, err)
	assert.ErrorIs(t, (&streamsApplyCmd{Data: dir}).Run(w), natsserver.ErrLocked)
	require.NoError(t, lock.Release())
	assert.Equal(t, exitUsage, exitCode((&streamsApplyCmd{Data: dir, Replicas: 3}).Run(w)))
}
