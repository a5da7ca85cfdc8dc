package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/propagation"
)

func TestTheBenchMeasuresUntilEveryGatewayEnforces(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	w := &world{ctx: t.Context(), stdout: &out, stderr: &bytes.Buffer{}, now: time.Now}
	require.NoError(t, (&benchPropagationCmd{Gateways: []int{1, 2}, Rounds: 10, JSON: true}).Run(w))
	lines := json.NewDecoder(&out)
	for _, gateways := range []int{1, 2} {
		var r propagation.Result
		require.NoError(t, lines.Decode(&r))
		assert.Equal(t, gateways, r.Gateways)
		assert.Equal(t, 10, r.Rounds)
		for _, times := range []propagation.Times{r.Enforced, r.Bare} {
			assert.Positive(t, times.P50)
			assert.LessOrEqual(t, times.P50, times.P99)
			assert.LessOrEqual(t, times.P99, times.Max)
		}
	}
}
