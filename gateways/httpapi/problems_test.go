package httpapi

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

var refusalInSource = regexp.MustCompile(`\b(refuse|forbid|notFound|invalid)\("([a-z_]+)"`)

// TestEveryRefusalHasOneStatus lists the codes that the rules refuse with. With -v it
// prints them.
func TestEveryRefusalHasOneStatus(t *testing.T) {
	kinds := map[string]domain.RefusalKind{"refuse": domain.RefusedByState, "forbid": domain.RefusedBySender,
		"notFound": domain.RefusedUnknown, "invalid": domain.RefusedInvalid}
	files, err := filepath.Glob("../../domain/*.go")
	require.NoError(t, err)
	byStatus, statusOf := map[int][]string{}, map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range refusalInSource.FindAllSubmatch(text, -1) {
			kind, code := kinds[string(m[1])], string(m[2])
			status := refused(&domain.Refusal{Kind: kind, Code: code}).Status
			if was, known := statusOf[code]; known {
				assert.Equal(t, was, status, "%s has two statuses", code)
				continue
			}
			statusOf[code] = status
			byStatus[status] = append(byStatus[status], code)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		slices.Sort(byStatus[status])
		t.Log(status, byStatus[status])
	}
	assert.Equal(t, []int{403, 404, 409, 422}, slices.Sorted(maps.Keys(byStatus)))
}
