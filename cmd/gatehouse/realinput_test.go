package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/bulk"
)

// TestRealInput puts the badge reads of a building through the decision. It compares
// the outcome with a calculation straight from the files. Without the published data,
// which GATEHOUSE_TEST_DATA finds, a small file of the same quirks takes its place.
func TestRealInput(t *testing.T) {
	const small = "testdata/realinput"
	dir := filepath.Join(os.Getenv("GATEHOUSE_TEST_DATA"), "vast2016")
	if os.Getenv("GATEHOUSE_TEST_DATA") == "" {
		absent(t, "GATEHOUSE_TEST_DATA is not set: the real reads (vast2016) are absent, a small synthetic file takes their place")
		dir = small
	} else if _, err := os.Stat(filepath.Join(dir, "prox-reads.csv")); err != nil {
		absent(t, fmt.Sprintf("GATEHOUSE_TEST_DATA has no vast2016/prox-reads.csv (%v): a small synthetic file takes the place of the real reads", err))
		dir = small
	}
	badges, reads := filepath.Join(dir, "badge-ids.csv"), filepath.Join(dir, "prox-reads.csv")
	want := expected(t, badges, reads)
	if dir != small {
		require.Equal(t, uint64(29763), want.Reads)
	}

	s := newStation(t)
	s.makeBuilding(linesOf(t, badges, 1), linesOf(t, reads, 5))
	args := []string{"reads", reads, "--time-column", "timestamp", "--time-layout", "2006-01-02 15:04", "--credential-column", "prox-id", "--door-columns", "floor,zone", "--gateway", "building"}
	first := s.must(args...)
	got := lastLine[bulk.ReadsSummary](t, first)
	assert.Equal(t, want, got)
	shape := lastLine[map[string]json.RawMessage](t, first)
	assert.Equal(t, []string{"allowed", "credentials", "denied", "doors", "reads"}, slices.Sorted(maps.Keys(shape)))

	assert.Equal(t, first, s.must(args...), "the second time nothing is added")
	assert.Len(t, s.recorded("building"), int(want.Reads))
	t.Logf("%s: %+v", reads, got)
}

// absent tells that data is not there, whether tests are verbose or not.
func absent(t *testing.T, what string) {
	t.Log(what)
	fmt.Println(what)
}

// expected asks awk.
func expected(t *testing.T, badges, reads string) (want bulk.ReadsSummary) {
	t.Helper()
	awk, err := exec.LookPath("awk")
	require.NoError(t, err, "the calculation that the reads are compared with needs awk, as every Unix has it")
	out, err := exec.CommandContext(t.Context(), awk, "-f", "testdata/realinput/expect.awk", badges, reads).Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &want), "%s", out)
	return want
}

// linesOf reads the lines of a file behind its header in the plainest way.
func linesOf(t *testing.T, path string, values int) (out [][]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		row := strings.Split(line, ",")
		require.Len(t, row, values, "line %d", i+1)
		for j := range row {
			row[j] = strings.TrimSpace(row[j])
		}
		if i > 0 {
			out = append(out, row)
		}
	}
	return out
}

// makeBuilding makes the site hq with a door for each zone of each floor. The holders
// of the badges are staff with a right to all doors but the server room.
func (s *station) makeBuilding(badges, reads [][]string) {
	s.t.Helper()
	var cards, people, roles, grants, doors strings.Builder
	cards.WriteString("number,person,credential\n")
	people.WriteString("person\n")
	roles.WriteString("person,role,site\n")
	grants.WriteString("person,grant\n")
	doors.WriteString("site,door,name,kind\n")
	seen := map[string]bool{}
	for _, row := range badges {
		badge := row[0]
		holder := badge[:len(badge)-3] // the last three digits are the issue of the badge
		fmt.Fprintf(&cards, "%s,%s,card-%s\n", badge, holder, badge)
		if !seen[holder] {
			seen[holder] = true
			fmt.Fprintf(&people, "%s\n", holder)
			fmt.Fprintf(&roles, "%s,staff,hq\n", holder)
			fmt.Fprintf(&grants, "%s,g-%s\n", holder, holder)
		}
	}
	zones := map[[2]string]bool{}
	for _, row := range reads {
		zones[[2]string{row[3], row[4]}] = true
	}
	order := func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) }
	var open []string
	for _, zone := range slices.SortedFunc(maps.Keys(zones), order) {
		id := zone[0] + "-" + strings.ReplaceAll(strings.ToLower(zone[1]), " ", "-")
		fmt.Fprintf(&doors, "hq,%s,Floor %s zone %s,inner\n", id, zone[0], zone[1])
		if zone[1] != "Server Room" {
			open = append(open, id)
		}
	}
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Athens")
	s.must("import", "people", s.file("people.csv", people.String()))
	s.must("import", "roles", s.file("roles.csv", roles.String()))
	s.must("import", "doors", s.file("doors.csv", doors.String()))
	s.must("do", "DefineSchedule", "schedule=hours", "name=Hours", `times.windows=[{"days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"18:00"}]`)
	s.must("do", "DefineAccessRight", "right=zones", "name=Zones", "doors="+strings.Join(open, ","), "schedule=hours")
	s.must("import", "grants", s.file("grants.csv", grants.String()), "--set", "right=zones")
	s.must("import", "credentials", s.file("cards.csv", cards.String()), "--set", "kind=card", "--set", "sites=hq")
}
