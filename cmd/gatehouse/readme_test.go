package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// walkAnswers are what the README's commands answer, in their order: the first writes
// the owner's token to stdout, and what it did to stderr.
var walkAnswers = []string{
	`^gh\.acme\.`,
	`^door gate created, 1-5$`,
	`^access right entries defined, 1-6$`,
	`^unit a1 created; door door-a1 created, unit a1; access right door-a1 defined; unit a1 access mapped, 1-7$`,
	`^person p-2207 registered, 1-8$`,
	`^booking b-3310 created for p-2207, unit a1, 1-9$`,
	`^allowed: the person has access to this door \(booking .*\)$`,
	`^allowed: the person has access to this door \(booking .*\)$`,
}

// readmeWalk takes the commands of the README that lead from an empty directory to a
// tenant's open gate and unit.
func readmeWalk(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "For real use:")
	require.True(t, found)
	var walk []string
	for line := range strings.Lines(rest) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "   #")
		if walk != nil && line == "```" {
			return walk
		}
		if inner, ok := strings.CutPrefix(line, "export GATEHOUSE_TOKEN=$("); ok {
			line = strings.TrimSuffix(strings.TrimSpace(inner), ")")
		}
		if strings.HasPrefix(line, "gatehouse ") && !strings.HasPrefix(line, "gatehouse serve") {
			walk = append(walk, strings.ReplaceAll(strings.TrimSpace(line), `"`, `'`))
		}
	}
	require.Fail(t, "the walk does not end")
	return nil
}

// The README leads from nothing to a tenant's open gate and unit. It takes eight
// commands at most after the start of the service, each with an answer that a person
// reads.
func TestTheWalkOfTheReadmeOpensTheGateAndTheUnit(t *testing.T) {
	alongside(t)
	walk := readmeWalk(t)
	require.Len(t, walk, len(walkAnswers))
	assert.LessOrEqual(t, len(walk), 8)
	script := "exec gatehouse serve &srv&\nup\n"
	for i, command := range walk {
		script += "exec " + command + "\nstdout '" + walkAnswers[i] + "'\n"
		if i == 0 {
			script += "keep GATEHOUSE_TOKEN\n"
		}
	}
	script += "kill -INT srv\nwait srv\n"
	file := filepath.Join(t.TempDir(), "walk.txtar")
	require.NoError(t, os.WriteFile(file, []byte(script), 0o600))
	testscript.Run(t, scripts(testscript.Params{Files: []string{file}}))
}
