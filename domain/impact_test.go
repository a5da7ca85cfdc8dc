package domain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// impact tells what the command of an if section would do, and compares it with the
// impact section that follows.
func (w *world) impact(t *testing.T, sections []txtar.File) []string {
	lines := specLines(string(sections[0].Data))
	require.Len(t, lines, 1, "an if section has one command")
	before := w.digest(w.state)
	c, _, cmds := w.read("if", lines[0])
	_, impact, r := w.state.Foresee(c, cmds...)
	require.Equal(t, before, w.digest(w.state), "looking ahead changed the state")
	got := impact.Lines()
	if r != nil {
		got = []string{fmt.Sprintf("refused %s: %s", r.Code, r.Message)}
	}
	if !*update {
		want := []string{}
		if len(sections) > 1 && sections[1].Name == "impact" {
			want = strings.Split(strings.TrimRight(string(sections[1].Data), "\n"), "\n")
		}
		assert.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	return got
}
