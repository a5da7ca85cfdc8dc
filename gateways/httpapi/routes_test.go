package httpapi

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// A token that may read is good for the routes that declare that they only ask. All
// others refuse it, whatever their methods and their paths.
func TestATokenThatReadsIsRefusedWhereARouteDoesMore(t *testing.T) {
	b := newWorld(t, "house")
	b.takesReads()
	token := b.token("olga", domain.ScopeRead)
	segment := regexp.MustCompile(`{[^}]+}`)
	for pattern, declared := range b.api.declared {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok { // of what no route is for
			continue
		}
		path = strings.ReplaceAll(path, "{org}", "acme")
		r := b.ask(token, method, segment.ReplaceAllString(path, "x"), "")
		refused := r.status == http.StatusForbidden && strings.Contains(string(r.body), "scope_not_permitted")
		metrics := pattern == metricsPattern // has a scope of its own
		assert.Equal(t, declared.effect != asks && !declared.open || metrics, refused, "%s: %d %s", pattern, r.status, r.body)
	}
}

// Every operation of the document says who may use it, and is one of a declared route.
func TestEveryOperationSaysWhoMayUseIt(t *testing.T) {
	b := newWorld(t, "house")
	b.takesReads()
	var doc struct {
		Servers []struct{ URL string }
		Info    struct{ License struct{ Name string } }
		Paths   map[string]map[string]struct {
			Description string
			Responses   map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(b.api.openapi, &doc))
	assert.NotEmpty(t, doc.Servers)
	assert.NotEmpty(t, doc.Info.License.Name)
	for path, operations := range doc.Paths {
		for method, op := range operations {
			assert.Regexp(t, `^Used by .+\.`, op.Description, path)
			pattern := strings.ToUpper(method) + " " + path
			if strings.HasPrefix(path, "/v1/orgs/{org}/commands/") {
				pattern = commandPattern
			}
			declared := b.api.declared[pattern]
			assert.NotEmpty(t, declared.usedBy, pattern)
			refusals := 0
			for status := range op.Responses {
				if status[0] == '4' {
					refusals++
				}
			}
			assert.Positive(t, refusals, "%s has no answer to a bad request", pattern)
		}
	}
}
