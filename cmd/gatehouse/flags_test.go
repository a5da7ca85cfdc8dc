package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Flags stand before, between and behind the words of a verb, and -- ends them.
func TestFlagsStandAnywhere(t *testing.T) {
	parser, err := newParser(&verbs{})
	require.NoError(t, err)
	for args, want := range map[string]string{
		"--json do RenameSite site=a":                 "do --json RenameSite site=a",
		"--site north --json get doors":               "get --site north --json doors",
		"--site=north get --all doors":                "get --site=north --all doors",
		"--org do do X":                               "do --org do X",
		"token --json issue --person x":               "token issue --json --person x",
		"backup --json verify x":                      "backup verify --json x",
		"backup --plain /mnt/x --json":                "backup --plain /mnt/x --json",
		"-f list.json do X":                           "do -f list.json X",
		"--json do -- X a=b --json":                   "do --json -- X a=b --json",
		"do X --site north":                           "do X --site north",
		"--json nonsense":                             "--json nonsense",
		"--url":                                       "--url",
		"--help":                                      "--help",
		"replay --json":                               "replay --json",
		"-- do":                                       "-- do",
		"import people - --json":                      "import people - --json",
		"--set kind=card import credentials file.csv": "import --set kind=card credentials file.csv",
	} {
		assert.Equal(t, want, strings.Join(flagsLast(parser.Model.Node, strings.Fields(args)), " "), args)
	}
	assert.True(t, asksJSON([]string{"do", "X", "--json"}))
	assert.False(t, asksJSON([]string{"do", "--", "X", "--json"}))
}

// A flag before its verb can be read only where its name says whether a value follows.
func TestFlagOfOneNameIsOfOneKind(t *testing.T) {
	parser, err := newParser(&verbs{})
	require.NoError(t, err)
	kinds := map[string]bool{}
	require.NoError(t, kong.Visit(parser.Model, func(v kong.Visitable, next kong.Next) error {
		if f, ok := v.(*kong.Flag); ok {
			if other, met := kinds[f.Name]; met {
				assert.Equal(t, other, f.IsBool(), "--%s takes a value for one verb and none for another", f.Name)
			}
			kinds[f.Name] = f.IsBool()
		}
		return next(nil)
	}))
	assert.Greater(t, len(kinds), 40)
}
