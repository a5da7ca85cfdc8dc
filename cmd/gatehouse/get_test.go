package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestWhatAListPrintsCanBeFetched: an id is taken as it is printed, with its slash.
func TestWhatAListPrintsCanBeFetched(t *testing.T) {
	for what, c := range map[string]struct {
		filters, parts []string
	}{
		"unit-users/a12/vera": {nil, []string{"unit-users", "a12/vera"}},
		"unit-users":          {[]string{"a12/vera"}, []string{"unit-users", "a12/vera"}},
		"doors/gate":          {nil, []string{"doors", "gate"}},
		"doors":               {[]string{"site=north"}, []string{"doors"}},
		"roles":               {[]string{"stan@north"}, []string{"roles", "stan@north"}},
	} {
		assert.Equal(t, c.parts, (&getCmd{What: what, Filters: c.filters}).parts(), what)
	}
}
