package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// crowd is a file of people n to m.
func crowd(n, m int) string {
	var b strings.Builder
	b.WriteString("person,name\r\n")
	for i := n; i <= m; i++ {
		fmt.Fprintf(&b, "p%05d, Person %d\r\n", i, i)
	}
	return b.String()
}

// people is how many people the org has.
func (s *station) people() (n int) {
	s.t.Helper()
	s.state(func(st *domain.State) { n = st.People.Len() })
	return n
}

// TestAnImportGoesOnAfterAStop stops in the middle, with the answer to the last
// request lost, and starts again in the same words.
func TestAnImportGoesOnAfterAStop(t *testing.T) {
	s := newStation(t)
	path := s.file("people.csv", crowd(1, 3*domain.MaxList+10))
	before, had := s.head(), s.people()
	ctx, uncut := s.cutAfter(2, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/commands/RegisterPerson") })
	stopped := s.at(ctx, "import", "people", path)
	uncut()
	assert.NotEqual(t, exitDone, stopped.code)
	assert.Equal(t, had+2*domain.MaxList, s.people())

	assert.Equal(t, imported{Lines: 3*domain.MaxList + 10, Accepted: 3*domain.MaxList + 10, Commits: 2, Repeated: 2, Position: fmt.Sprintf("1-%d", before+4)},
		lastLine[imported](t, s.must("import", "people", path)))
	assert.Equal(t, before+4, s.head())
	assert.Equal(t, had+3*domain.MaxList+10, s.people())

	whole := lastLine[imported](t, s.must("import", "people", path))
	assert.Equal(t, 4, whole.Repeated)
	assert.Zero(t, whole.Commits)
	assert.Equal(t, before+4, s.head(), "nothing is committed twice")
}

func TestAListIsRefusedWhole(t *testing.T) {
	s := newStation(t)
	before := s.head()
	path := s.file("people.csv", crowd(1, 20)+"p00003,Again\r\np00021,Last\r\np00004,Again\r\n")
	refused := s.at(t.Context(), "import", "people", path)
	assert.Equal(t, exitRefused, refused.code)
	assert.Contains(t, refused.stderr, "line 22: person_exists: ")
	assert.Contains(t, refused.stderr, "line 24: person_exists: ")
	assert.Contains(t, refused.stderr, "2 lines are refused")
	assert.Equal(t, imported{Lines: 23, Refused: 2}, lastLine[imported](t, refused.stdout))
	assert.Equal(t, before, s.head())

	had := s.people()
	got := lastLine[imported](t, s.must("import", "people", path, "--skip-bad"))
	assert.Equal(t, imported{Lines: 23, Accepted: 21, Refused: 2, Commits: 1, Position: fmt.Sprintf("1-%d", before+1)}, got)
	assert.Equal(t, had+21, s.people())
	again := lastLine[imported](t, s.must("import", "people", path, "--skip-bad"))
	assert.Zero(t, again.Commits)
	assert.Equal(t, before+1, s.head(), "the second time nothing is committed")
	assert.Equal(t, had+21, s.people())
}

func TestBadLinesOfAnImport(t *testing.T) {
	s := newStation(t)
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	before := s.head()
	path := s.file("cards.csv", " Number , Holder, until\r\n1001, olga, 2030-01-01\r\n1002,olga\r\n\"1003,olga,\r\n1004, olga,\r\n")
	words := []string{"import", "credentials", path, "--map", "person=holder", "--set", "kind=card", "--set", "sites=hq"}
	bad := s.at(t.Context(), words...)
	assert.Equal(t, exitUsage, bad.code)
	assert.Contains(t, bad.stderr, "line 3: it has 2 values, the header has 3")
	assert.Contains(t, bad.stderr, "line 3 cannot be read")
	assert.Equal(t, before, s.head())

	skipped := s.at(t.Context(), append(words, "--skip-bad")...)
	require.Equal(t, exitDone, skipped.code, skipped.stderr)
	assert.Contains(t, skipped.stderr, `line 4: a quoted value does not end`)
	assert.Equal(t, imported{Lines: 4, Accepted: 2, Bad: 2, Commits: 1, Position: fmt.Sprintf("1-%d", before+1)}, lastLine[imported](t, skipped.stdout))
	s.state(func(st *domain.State) { assert.Equal(t, 2, st.Credentials.Len()) })
	assert.Equal(t, 1, lastLine[imported](t, s.must(append(words, "--skip-bad")...)).Repeated)
}

func TestADryRunChangesNothing(t *testing.T) {
	s := newStation(t)
	before, had := s.head(), s.people()
	path := s.file("people.csv", crowd(1, domain.MaxList+5)+"olga,Again\r\nx\r\np99999,Last\r\n")
	dry := s.at(t.Context(), "import", "people", path, "--dry-run")
	require.Equal(t, exitDone, dry.code, dry.stderr)
	assert.Contains(t, dry.stderr, fmt.Sprintf("line %d: person_exists: ", domain.MaxList+7))
	assert.Contains(t, dry.stderr, fmt.Sprintf("line %d: it has 1 values", domain.MaxList+8))
	got := lastLine[imported](t, dry.stdout)
	got.Position = ""
	assert.Equal(t, imported{Lines: domain.MaxList + 8, Accepted: domain.MaxList + 6, Refused: 1, Bad: 1, DryRun: true}, got)
	assert.Equal(t, before, s.head())
	assert.Equal(t, had, s.people())
	made := lastLine[imported](t, s.must("import", "people", path, "--skip-bad"))
	assert.Equal(t, domain.MaxList+6, made.Accepted, "a dry run keeps no key")
	assert.Equal(t, 2, made.Commits)
}

func TestColumnsGoToFields(t *testing.T) {
	s := newStation(t)
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	path := s.file("doors.csv", "\ufeffid, Name ,Kind,colour\nfront, Front door ,gate,red\n\nback,\"Back, small\",inner,\n")
	o := s.at(t.Context(), "import", "doors", path, "--map", "door=ID", "--set", "site=hq")
	require.Equal(t, exitDone, o.code, o.stderr)
	assert.Contains(t, o.stderr, `the column "colour" goes to no field of CreateDoor; it is left out`)
	s.state(func(st *domain.State) {
		back, ok := st.Doors.Get("back")
		require.True(t, ok)
		assert.Equal(t, "Back, small", back.Name)
		assert.Equal(t, domain.ID("hq"), back.Site)
		front, ok := st.Doors.Get("front")
		require.True(t, ok)
		assert.Equal(t, "Front door", front.Name)
	})
	for name, words := range map[string][]string{
		"a column that is not there": {"--map", "door=nr"},
		"a field that is not there":  {"--map", "dor=id"},
		"a fixed field that is not":  {"--set", "dor=x"},
	} {
		assert.Equal(t, exitUsage, s.at(t.Context(), append([]string{"import", "doors", path}, words...)...).code, name)
	}
	assert.Equal(t, exitUsage, s.at(t.Context(), "import", "doors", s.file("none.csv", "x,y\n1,2\n")).code, "no column goes anywhere")
	assert.Equal(t, exitUsage, s.at(t.Context(), "import", "windows", path).code)
}
