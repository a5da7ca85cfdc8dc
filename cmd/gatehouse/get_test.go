package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func TestEnforcementIsOfASiteOrAPerson(t *testing.T) {
	for _, c := range []struct {
		site    string
		filters []string
		parts   []string
	}{
		{"", []string{"site=north"}, []string{"sites", "north", "enforcement"}},
		{"south", []string{"limit=2", "site=north"}, []string{"sites", "north", "enforcement"}},
		{"south", nil, []string{"sites", "south", "enforcement"}},
		{"south", []string{"person=anna"}, []string{"people", "anna", "enforcement"}},
	} {
		get := &getCmd{What: "enforcement", Filters: c.filters}
		get.Remote.Site = c.site
		require.NoError(t, get.ofWhat())
		assert.Equal(t, c.parts, get.parts())
	}
	require.ErrorContains(t, (&getCmd{What: "enforcement"}).ofWhat(), "of which site or person")
}
