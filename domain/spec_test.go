package domain

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite what the specifications expect")

// TestSpec runs the specifications testdata/*.txtar. The comment of each says a
// rule in a sentence; its sections, in order and as often as needed, are:
//
//	base    the name of a beginning in testdata/base
//	given   commands that must be accepted
//	when    commands
//	then    what the commands of the when section before it cause
//	if      a command that is not sent
//	impact  what the command of the if section before it would do
//	decide  questions at doors with their answers
//	see     who may read which record
//
// A command is a line "[@2026-03-02T10:00:00Z] actor Command {json}", or with a
// JSON array a list of commands; lines that begin with a blank go on with the one
// before. The actor is the id of a person, service:<part> or bootstrap. The time
// is the last one used, at first 2026-03-02T09:00:00Z. A line may end with "made"
// and the digits that the service makes for the command to choose from, or the key of
// the code that it makes. An effect is a line
// "event.name {json}" (… instead of the JSON leaves it open), "refused code:
// message" or "warning code: message". Personal values stand in clear.
//
// A question is a line "[@time] key=value … -> code [failed=a,b]" with the keys
// person or credential, door, side, kind, remote or unlock_for, first_in (when
// somebody with first-in last opened the door), fire (the fire input is on),
// blocked (at the door itself), as (who asks the service, which answers from what they
// may see; else it is the gateway that asks); who sees what is one "person
// kind id -> yes", "person activity [@time] door=… person=… -> no", or of the last
// event of a name "person commit event.name -> no".
func TestSpec(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(specName(file), func(t *testing.T) { runSpec(t, file) })
	}
}

func specName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txtar") }

// playSpec runs the commands of a specification and returns what they made.
func playSpec(t *testing.T, file string) *world {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	w := newWorld(t)
	for _, section := range txtar.Parse(text).Files {
		switch section.Name {
		case "base":
			w.base(strings.TrimSpace(string(section.Data)))
		case "given":
			w.given("spec", string(section.Data))
		case "when":
			w.when(string(section.Data))
		}
	}
	return w
}

func runSpec(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	spec := txtar.Parse(text)
	require.NotEmpty(t, bytes.TrimSpace(spec.Comment), "a specification begins with its rule in a sentence")
	w := newWorld(t)
	out := &txtar.Archive{Comment: spec.Comment}
	for i, section := range spec.Files {
		body := string(section.Data)
		switch section.Name {
		case "base":
			w.base(strings.TrimSpace(body))
		case "given":
			w.given("spec", body)
		case "when":
			effects := w.when(body)
			out.Files = append(out.Files, section)
			var then string
			if i+1 < len(spec.Files) && spec.Files[i+1].Name == "then" {
				then = string(spec.Files[i+1].Data)
			}
			effects = compareEffects(t, then, effects)
			if len(effects) > 0 || then != "" {
				out.Files = append(out.Files, txtar.File{Name: "then", Data: joinLines(effects)})
			}
			continue
		case "then":
			require.True(t, i > 0 && spec.Files[i-1].Name == "when", "a then section follows a when section")
			continue
		case "if":
			out.Files = append(out.Files, section, txtar.File{Name: "impact", Data: joinLines(w.impact(t, spec.Files[i:]))})
			continue
		case "impact":
			require.True(t, i > 0 && spec.Files[i-1].Name == "if", "an impact section follows an if section")
			continue
		case "decide", "see", "know":
			answer := w.decide
			switch section.Name {
			case "see":
				answer = w.see
			case "know":
				answer = w.know
			}
			answers := answer(body)
			if !*update {
				assert.Equal(t, specLines(body), answers)
			}
			section.Data = withComments(body, answers)
		default:
			t.Fatalf("unknown section %s", section.Name)
		}
		out.Files = append(out.Files, section)
	}
	w.check()
	if *update {
		require.NoError(t, os.WriteFile(file, txtar.Format(out), 0o644))
	}
}

// compareEffects compares what happened with what was expected and returns it as
// it is to be written.
func compareEffects(t *testing.T, then string, effects []string) []string {
	want := specLines(then)
	got := slices.Clone(effects)
	for i := range got {
		if i < len(want) && strings.HasSuffix(want[i], " …") && strings.HasPrefix(got[i], strings.TrimSuffix(want[i], "…")) {
			got[i] = want[i]
		}
	}
	if !*update {
		assert.Equal(t, canonical(want), canonical(got))
	}
	return got
}

// canonical gives effects with the keys of their JSON sorted.
func canonical(lines []string) []string {
	out := []string{}
	for _, l := range lines {
		name, data, _ := strings.Cut(l, " ")
		var v any
		if strings.HasPrefix(data, "{") && json.Unmarshal([]byte(data), &v) == nil {
			sorted, err := json.Marshal(v)
			if err == nil {
				l = name + " " + string(sorted)
			}
		}
		out = append(out, l)
	}
	return out
}

func joinLines(lines []string) []byte {
	if len(lines) == 0 {
		return nil
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// withComments puts new lines in the place of those of a section, and keeps its
// comments and blank lines.
func withComments(body string, lines []string) []byte {
	var out []string
	for line := range strings.Lines(body) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#':
			out = append(out, trimmed)
		case line[0] != ' ' && line[0] != '\t' && len(lines) > 0:
			out, lines = append(out, lines[0]), lines[1:]
		}
	}
	return joinLines(append(out, lines...))
}

// specLines gives the lines of a section without blank ones and comments; lines
// that begin with a blank go on with the one before.
func specLines(body string) []string {
	lines := []string{}
	for line := range strings.Lines(body) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case (line[0] == ' ' || line[0] == '\t') && len(lines) > 0:
			lines[len(lines)-1] += " " + trimmed
		default:
			lines = append(lines, trimmed)
		}
	}
	return lines
}
