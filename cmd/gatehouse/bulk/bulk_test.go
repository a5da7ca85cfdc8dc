package bulk

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"gatehouse/gateways/tables"
)

func TestOfManyBadLinesTheFirstAreTold(t *testing.T) {
	var told bytes.Buffer
	bad := &badLines{teller: Teller{To: &told}}
	for i := range 2 * toldLines {
		bad.add(&tables.BadLine{Line: i, Reason: "why"})
	}
	assert.Equal(t, 2*toldLines, bad.count)
	assert.Equal(t, toldLines+1, strings.Count(told.String(), "\n"))
	assert.True(t, strings.HasPrefix(told.String(), "line 0: why\n"))
}
