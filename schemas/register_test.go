package schemas

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// firstCode is the least number of each kind of code; a kind has 400 of them.
var firstCode = map[CodeKind]int{CodeOfType: 100, CodeOfDecision: 500}

// known lists what the code has, without numbers.
func known() []Code {
	var all []Code
	for _, t := range wire.ActivityTypes() {
		m, _ := t.Meaning()
		all = append(all, Code{Kind: CodeOfType, Name: string(t), Severity: m.Severity, Meaning: m.Meaning})
	}
	for _, c := range unlock.Codes() {
		all = append(all, Code{Kind: CodeOfDecision, Name: c.String(), Severity: wire.Info, Meaning: c.Meaning()})
	}
	return all
}

// registered gives each known code its number: the one that it has, else the next.
// Entries that the code no longer has stay as gone, for records hold them.
func registered(was []Code) []Code {
	next := map[CodeKind]int{}
	numbers := map[string]string{}
	for kind, n := range firstCode {
		next[kind] = n
	}
	for _, c := range was {
		numbers[c.Name] = c.Code
		var n int
		_, _ = fmt.Sscanf(c.Code, "GH-%d", &n)
		next[c.Kind] = max(next[c.Kind], n+1)
	}
	var all []Code
	for _, c := range known() {
		if c.Code = numbers[c.Name]; c.Code == "" {
			c.Code = fmt.Sprintf("GH-%04d", next[c.Kind])
			next[c.Kind]++
		}
		all = append(all, c)
		delete(numbers, c.Name)
	}
	for _, c := range was {
		if _, gone := numbers[c.Name]; gone {
			c.Gone = true
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Code) int { return strings.Compare(a.Code, b.Code) })
	return all
}

// TestRegister holds the register to the code. With -update it adds what is new; what
// has a number keeps it.
func TestRegister(t *testing.T) {
	var was []Code
	if body, err := os.ReadFile("codes.json"); err == nil {
		require.NoError(t, json.Unmarshal(body, &was))
	}
	want := registered(was)
	body, err := json.MarshalIndent(want, "", "  ")
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("codes.json", append(body, '\n'), 0o644))
		require.NoError(t, os.WriteFile("../docs/codes.md", page(want), 0o644))
		return
	}
	assert.Equal(t, want, Register(), "go test ./schemas -run TestRegister -update")
	text, err := os.ReadFile("../docs/codes.md")
	require.NoError(t, err)
	assert.Equal(t, string(page(want)), string(text), "go test ./schemas -run TestRegister -update")
	seen := map[string]bool{}
	for _, c := range Register() {
		assert.Regexp(t, `^GH-\d{4}$`, c.Code)
		assert.False(t, seen[c.Code] || seen[c.Name], c.Code+" "+c.Name)
		seen[c.Code], seen[c.Name] = true, true
		assert.NotEmpty(t, c.Meaning, c.Name)
		assert.Contains(t, []wire.Severity{wire.Info, wire.Warning, wire.Alarm}, c.Severity, c.Name)
	}
}

// page is docs/codes.md.
func page(all []Code) []byte {
	var b strings.Builder
	b.WriteString("# Codes\n\nRecords of activity name their type and the reason of a decision. Each has a short code that never\nchanges, for the rules of other systems. `go test ./schemas -run TestRegister -update` writes this page.\n")
	for _, kind := range []struct {
		kind  CodeKind
		title string
	}{{CodeOfType, "Types of records"}, {CodeOfDecision, "Reasons of decisions"}} {
		fmt.Fprintf(&b, "\n## %s\n\n| code | name | severity | meaning |\n| --- | --- | --- | --- |\n", kind.title)
		for _, c := range all {
			if c.Kind == kind.kind {
				fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", c.Code, c.Name, c.Severity, c.Meaning)
			}
		}
	}
	return []byte(b.String())
}

func TestNumbersOfCodesStay(t *testing.T) {
	was := []Code{{Code: "GH-0100", Kind: CodeOfType, Name: "was.there", Meaning: "x"}, {Code: "GH-0107", Kind: CodeOfType, Name: string(wire.AccessGranted)}}
	now := registered(was)
	at := func(name string) Code {
		return now[slices.IndexFunc(now, func(c Code) bool { return c.Name == name })]
	}
	assert.Equal(t, "GH-0107", at(string(wire.AccessGranted)).Code)
	assert.True(t, at("was.there").Gone, "records hold it")
	assert.Equal(t, "GH-0108", at(string(wire.AccessDenied)).Code, "the next that nobody has")
	assert.Equal(t, now, registered(now))
}
