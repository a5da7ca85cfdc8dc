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

var refusalInSource = regexp.MustCompile(`\brefuse\("([a-z_]+)"`)

// TestEveryRefusalHasAStatus lists the codes that the rules refuse with, and their
// statuses. With -v it prints them. Codes that have a status of their own must be among
// those of the rules.
func TestEveryRefusalHasAStatus(t *testing.T) {
	files, err := filepath.Glob("../../domain/*.go")
	require.NoError(t, err)
	byStatus, known := map[int][]string{}, map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range refusalInSource.FindAllSubmatch(text, -1) {
			code := string(m[1])
			if !known[code] {
				known[code] = true
				status := refused(&domain.Refusal{Code: code}).Status
				byStatus[status] = append(byStatus[status], code)
			}
		}
	}
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		slices.Sort(byStatus[status])
		t.Log(status, byStatus[status])
	}
	for code := range refusalStatus {
		assert.True(t, known[code], "no rule refuses with %s", code)
	}
	assert.Equal(t, []int{403, 404, 409, 422}, slices.Sorted(maps.Keys(byStatus)))
}
