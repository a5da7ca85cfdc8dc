package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/bulk"
	"gatehouse/domain"
	"gatehouse/gateways/tables"
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

	assert.Equal(t, bulk.Imported{Lines: 3*domain.MaxList + 10, Accepted: 3*domain.MaxList + 10, Commits: 2, Repeated: 2, Position: fmt.Sprintf("1-%d", before+4)},
		lastLine[bulk.Imported](t, s.must("import", "people", path)))
	assert.Equal(t, before+4, s.head())
	assert.Equal(t, had+3*domain.MaxList+10, s.people())

	whole := lastLine[bulk.Imported](t, s.must("import", "people", path))
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
	again := []bulk.Refusals{{Code: "person_exists", Count: 2, First: []int{22, 24}}}
	assert.Equal(t, bulk.Imported{Lines: 23, Refused: 2, Refusals: again}, lastLine[bulk.Imported](t, refused.stdout))
	assert.Equal(t, before, s.head())

	had := s.people()
	got := lastLine[bulk.Imported](t, s.must("import", "people", path, "--skip-bad"))
	assert.Equal(t, bulk.Imported{Lines: 23, Accepted: 21, Refused: 2, Refusals: again, Commits: 1, Position: fmt.Sprintf("1-%d", before+1)}, got)
	assert.Equal(t, had+21, s.people())
	second := s.at(t.Context(), "import", "people", path, "--skip-bad")
	assert.Equal(t, bulk.Imported{Lines: 23, There: 21, Refused: 2, Refusals: again}, lastLine[bulk.Imported](t, second.stdout))
	assert.Equal(t, 2, strings.Count(second.stderr, "person_exists"), "what already exists is no refusal: %s", second.stderr)
	assert.Equal(t, before+1, s.head(), "the second time nothing is committed")
	assert.Equal(t, had+21, s.people())
}

func TestBadLinesOfAnImport(t *testing.T) {
	s := newStation(t)
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	before := s.head()
	path := s.file("cards.csv", " Number , Holder, until\r\n1001, olga, 2096-01-01\r\n1002,olga\r\n\"1003,olga,\r\n1004, olga,\r\n")
	words := []string{"import", "credentials", path, "--map", "person=holder", "--set", "kind=card", "--set", "sites=hq"}
	bad := s.at(t.Context(), words...)
	assert.Equal(t, exitUsage, bad.code)
	assert.Contains(t, bad.stderr, "line 3: it has 2 values, the header has 3")
	assert.Contains(t, bad.stderr, "line 3 cannot be read")
	assert.Equal(t, before, s.head())

	skipped := s.at(t.Context(), append(words, "--skip-bad")...)
	require.Equal(t, exitDone, skipped.code, skipped.stderr)
	assert.Contains(t, skipped.stderr, `line 4: a quoted value does not end`)
	assert.Equal(t, bulk.Imported{Lines: 4, Accepted: 2, Bad: 2, Commits: 1, Position: fmt.Sprintf("1-%d", before+1), FirstBad: []tables.BadLine{
		{Line: 3, Reason: `it has 2 values, the header has 3: "1002,olga"`}, {Line: 4, Reason: `a quoted value does not end; within a quoted value a quote is written ""`}}}, lastLine[bulk.Imported](t, skipped.stdout))
	s.state(func(st *domain.State) { assert.Equal(t, 2, st.Credentials.Len()) })
	assert.Equal(t, 1, lastLine[bulk.Imported](t, s.must(append(words, "--skip-bad")...)).Repeated)
}

// A dry run says what the import would do: one list meets what those before it led
// to, as the person of line 5 who comes again in line 1,500.
func TestADryRunIsTheImport(t *testing.T) {
	s := newStation(t)
	before, had := s.head(), s.people()
	path := s.file("people.csv", crowd(1, domain.MaxList+5)+"olga,Again\r\nx\r\np00004,Twice\r\np99999,Last\r\n")
	words := []string{"import", "people", path}
	dry := s.at(t.Context(), append(words, "--dry-run")...)
	assert.Equal(t, exitUsage, dry.code, "as the import, which ends at a line that cannot be read")
	assert.Contains(t, dry.stderr, fmt.Sprintf("line %d: person_exists: person olga", domain.MaxList+7))
	assert.Contains(t, dry.stderr, fmt.Sprintf("line %d: it has 1 values", domain.MaxList+8))
	assert.Contains(t, dry.stderr, fmt.Sprintf("line %d: person_exists: person p00004", domain.MaxList+9))
	got := lastLine[bulk.Imported](t, dry.stdout)
	want := bulk.Imported{Lines: domain.MaxList + 9, Accepted: domain.MaxList + 6, Refused: 2, Bad: 1, DryRun: true, Position: fmt.Sprintf("1-%d", before),
		Refusals: []bulk.Refusals{{Code: "person_exists", Count: 2, First: []int{domain.MaxList + 7, domain.MaxList + 9}}},
		FirstBad: []tables.BadLine{{Line: domain.MaxList + 8, Reason: `it has 1 values, the header has 2: "x"`}}}
	assert.Equal(t, want, got)
	assert.Equal(t, before, s.head())
	assert.Equal(t, had, s.people())

	assert.Equal(t, exitDone, s.at(t.Context(), append(words, "--dry-run", "--skip-bad")...).code)
	made := lastLine[bulk.Imported](t, s.must(append(words, "--skip-bad")...))
	want.DryRun, want.Commits, want.Position = false, 2, fmt.Sprintf("1-%d", before+2)
	assert.Equal(t, want, made, "a dry run keeps no key")
	again := lastLine[bulk.Imported](t, s.must("import", "people", s.file("good.csv", crowd(1, 2*domain.MaxList)), "--dry-run"))
	assert.Equal(t, []int{2 * domain.MaxList, 1, 0}, []int{again.Accepted + again.There, again.Repeated, again.Refused}, "what is there is no refusal in a dry run either")
	refused := s.at(t.Context(), "import", "people", s.file("olga.csv", "person,name\nolga,Another\n"), "--dry-run")
	assert.Equal(t, exitRefused, refused.code)
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
		"a field that is missing":    {"--map", "door=id"},
		"a field with two values":    {"--map", "door=id", "--map", "site=id", "--set", "site=hq"},
	} {
		assert.Equal(t, exitUsage, s.at(t.Context(), append([]string{"import", "doors", path}, words...)...).code, name)
	}
	assert.Equal(t, exitUsage, s.at(t.Context(), "import", "doors", s.file("none.csv", "x,y\n1,2\n")).code, "no column goes anywhere")
	assert.Equal(t, exitUsage, s.at(t.Context(), "import", "windows", path).code)
}

// A file that was mended after a stop is imported again as a whole. Entries that
// already exist are skipped, wherever the lists begin now.
func TestAMendedFileIsImportedAgain(t *testing.T) {
	s := newStation(t)
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	s.must("do", "CreateDoor", "door=gate", "site=hq", "name=Gate", "kind=gate")
	s.must("do", "CreateDoor", "door=back", "site=hq", "name=Back", "kind=inner")
	path := s.file("people.csv", crowd(1, domain.MaxList)+"p00001,Once more\r\np20000,Last\r\n")
	assert.Equal(t, exitRefused, s.at(t.Context(), "import", "people", path).code)
	path = s.file("people.csv", "person,name\r\np10000,First\r\n"+strings.TrimPrefix(crowd(1, domain.MaxList), "person,name\r\n")+"p20000,Last\r\n")
	got := s.at(t.Context(), "import", "people", path)
	require.Equal(t, exitDone, got.code, got.stderr)
	assert.NotContains(t, got.stderr, "person_exists")
	r := lastLine[bulk.Imported](t, got.stdout)
	assert.Equal(t, []int{2, domain.MaxList}, []int{r.Accepted, r.There})

	for _, step := range []struct{ kind, text, more string }{
		{"rights", "right,name,doors,schedule\nboth,Both,\"gate,back\",always\nnone,None,[],always\n", "more,More,gate,always\n"},
		{"units", "unit;site;name\nu1;hq;\"Über; zwei\"\n", "u2;hq;U2\n"},
		{"bookings", "booking,unit,person,from,until\nb1,u1,p00001,2026-03-29,\n", "b2,u2,p00002,2026-03-29,2096-01-31\n"},
		{"grants", "grant,person,right,kinds,buffer_before\ng1,p00001,both,\"fob,card\",0\n", "g2,p00002,both,,15\n"},
		{"credentials", "number,person,booking,until\n77,p00001,b1,2096-01-01\n", "78,p00002,b2,2096-01-01T00:00:00Z\n"},
	} {
		first := lastLine[bulk.Imported](t, s.must("import", step.kind, s.file("first.csv", step.text)))
		again := s.at(t.Context(), "import", step.kind, s.file("second.csv", step.text+step.more))
		require.Equal(t, exitDone, again.code, "%s: %s", step.kind, again.stderr)
		r := lastLine[bulk.Imported](t, again.stdout)
		assert.Equal(t, []int{1, first.Accepted}, []int{r.Accepted, r.There}, step.kind)
	}
	changed := s.at(t.Context(), "import", "units", s.file("units.csv", "unit,site,name\nu1,hq,Another\n"))
	assert.Equal(t, exitRefused, changed.code, "a thing that is there with other values is refused")
}

// An import that is killed while it waits for an answer leaves whole lists behind. The
// same command line then continues it.
func TestAKilledImportGoesOn(t *testing.T) {
	const lists = 12
	s := newStation(t)
	path := s.file("people.csv", crowd(1, lists*domain.MaxList))
	before, had := s.head(), s.people()
	withheld, uncut := s.cutAfter(2, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/commands/RegisterPerson") })
	killed := exec.Command("gatehouse", "import", "people", path, "--url", s.url, "--token", s.token, "--json")
	require.NoError(t, killed.Start())
	select {
	case <-withheld.Done():
	case <-time.After(patience):
	}
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait(), "it was not done")
	uncut()
	require.GreaterOrEqual(t, s.head(), before+2)
	got := s.at(t.Context(), "import", "people", path)
	require.Equal(t, exitDone, got.code, got.stderr)
	r := lastLine[bulk.Imported](t, got.stdout)
	assert.Equal(t, lists*domain.MaxList, r.Accepted)
	assert.Equal(t, lists, r.Commits+r.Repeated)
	assert.GreaterOrEqual(t, r.Repeated, 2)
	assert.Equal(t, before+lists, s.head(), "nothing is committed twice")
	assert.Equal(t, had+lists*domain.MaxList, s.people())
}

// A line that the service could not read is reported by its number.
func TestALineThatIsNoCommand(t *testing.T) {
	s := newStation(t)
	for text, want := range map[string]string{
		"booking,unit,person,from\nb1,u1,olga,2026-03-29\nb2,u1,olga,29.03.2026\n": "line 3: ",
		"unit,person\nu1,olga\n":                  "no column goes to from, which CreateBooking needs",
		"b1,u1,olga,2026-03-29\n":                 "is its first line a header?",
		"unit,Unit,person,from\nu1,u1,olga,x\n":   `the columns 1 and 2 are both named "Unit"`,
		"unit,u-nit,person,from\nu1,u1,olga,x\n":  `the column "unit" and the column "u-nit" both go to the field unit`,
		"unit,person,from\nu1,ol\xfcga,2026-03\n": "line 2: byte 22 of the file (0xfc) is not in UTF-8; say --encoding windows-1252",
	} {
		o := s.at(t.Context(), "import", "bookings", s.file("bookings.csv", text))
		assert.Equal(t, exitUsage, o.code, text)
		assert.Contains(t, o.stderr, want)
	}
}
