package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/bulk"
	"gatehouse/domain"
)

// A file as a spreadsheet leaves it: with a byte order mark, semicolons, rows without
// values, columns named in their own way, and a number that lost its digits.
const spreadsheet = "\ufeffPerson;name;E-Mail;Phone;Birthday;\r\n" +
	"anna;\"Müller; Anna \";anna@example.com;+49 30 123;1.1.80;\r\n" +
	"ben; Ben ;ben@example.com;4,9E+11;;\r\n" +
	";;;;;\r\n" +
	"carl;\"Carl \"\"C\"\"\";anna@example.com;'4.9E+11;;\r\n" +
	";;;;;\r\n"

func TestASpreadsheetIsImportedByWayOfItsRejects(t *testing.T) {
	s := newStation(t)
	had := s.people()
	rejects := filepath.Join(s.dir, "rejects.csv")
	first := s.at(t.Context(), "import", "people", s.file("people.csv", spreadsheet), "--rejects", rejects)
	require.Equal(t, exitDone, first.code, first.stderr)
	assert.Contains(t, first.stderr, `the column "Birthday" goes to no field of RegisterPerson; it is left out`)
	got := lastLine[bulk.Imported](t, first.stdout)
	assert.Equal(t, []int{3, 1, 1, 1}, []int{got.Lines, got.Accepted, got.Bad, got.Refused})
	text, err := os.ReadFile(rejects)
	require.NoError(t, err)
	assert.Equal(t, "Person;name;E-Mail;Phone;Birthday;;rejected because\n"+
		"ben;Ben ;ben@example.com;4,9E+11;;;\"phone: 4,9E+11 is a number that a spreadsheet has shortened, its digits are lost; make the column text there and type it in again\"\n"+
		"carl;\"Carl \"\"C\"\"\";anna@example.com;'4.9E+11;;;\"email_in_use: the e-mail address belongs to person anna; if that person is pending, send BindIdentity\"\n", string(text))

	mended := s.file("mended.csv", strings.NewReplacer("4,9E+11;;", "+49 30 456;;", "anna@", "carl@").Replace(string(text)))
	again := s.at(t.Context(), "import", "people", mended, "--rejects", rejects)
	require.Equal(t, exitDone, again.code, again.stderr)
	assert.Equal(t, 2, lastLine[bulk.Imported](t, again.stdout).Accepted)
	assert.NotContains(t, again.stderr, "rejected because")
	assert.Equal(t, had+3, s.people())
}

func TestAColumnThatIsNearlyAFieldIsRefused(t *testing.T) {
	s := newStation(t)
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	s.must("do", "RegisterPerson", "person=anna")
	path := s.file("roles.csv", "person,role,SITE,untill\nanna,guest,hq,2040-01-01\n")
	refused := s.at(t.Context(), "import", "roles", path)
	assert.Equal(t, exitUsage, refused.code)
	assert.Contains(t, refused.stderr, `for until say --map until=`)
	s.must("import", "roles", path, "--map", "until=untill")
	s.state(func(st *domain.State) {
		for _, r := range st.RoleAssignments.Each(domain.RoleByPerson, "anna") {
			assert.Equal(t, 2039, r.Until.Year(), "the beginning of the day in Berlin")
		}
	})
	s.must("import", "roles", path, "--leave-out", "UNTILL")
	told := s.at(t.Context(), "import", "people", s.file("people.csv", "person,Full Name\nben,Ben\n"))
	assert.Contains(t, told.stderr, `for name say --map name=`)
}

func TestValuesOfASpreadsheetAreReadOrRefused(t *testing.T) {
	s := newStation(t)
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	for line, want := range map[string]string{
		"d1,hq,One,Gate,TRUE,15":  "",
		"d2,hq,Two,GATE,false,":   "",
		"d3,hq,Three,gate,WAHR,":  `fire_release: "WAHR" is neither true nor false`,
		"d4,hq,Four,gate,,1,5":    "it has 7 values, the header has 6",
		"d5,hq,Five,gate,,15.0":   "capacity",
		"d6,hq,,gate,,":           "name: it is missing",
		"d7,hq,1.00E+05,gate,,":   "a spreadsheet has shortened",
		"d8,hq,'1.00E+05,gate,,":  "",
		"d9,hq,Nine,portal,,":     `kind: "portal" is none of`,
		`d10,hq,Nine "10",gate,,`: "a quote stands where none may",
	} {
		o := s.at(t.Context(), "import", "doors", s.file("doors.csv", "door,site,name,kind,fire_release,capacity\n"+line+"\n"), "--dry-run")
		if want == "" {
			assert.Equal(t, exitDone, o.code, "%s: %s", line, o.stderr)
			continue
		}
		assert.Equal(t, exitUsage, o.code, line)
		assert.Contains(t, o.stderr, "line 2: ")
		assert.Contains(t, o.stderr, want)
	}
	o := s.at(t.Context(), "import", "bookings", s.file("bookings.csv", "unit,person,from\nu1,olga,29.03.2026\n"), "--dry-run")
	assert.Contains(t, o.stderr, `line 2: from: "29.03.2026" is no date`)
}

// Numbers that differ in length, none of which begins with 0, are worth a look.
func TestZerosThatASpreadsheetTookAreTold(t *testing.T) {
	s := newStation(t)
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	cards := func(format string) string {
		var b strings.Builder
		b.WriteString("credential,number,person\n")
		for i := range 20 {
			fmt.Fprintf(&b, "c%d,"+format+",olga\n", i, 1+7*i)
		}
		return s.file("cards.csv", b.String())
	}
	words := []string{"--set", "kind=card", "--set", "sites=hq", "--dry-run"}
	for format, told := range map[string]bool{"%d": true, "%03d": false, "1%03d": false} {
		o := s.at(t.Context(), append([]string{"import", "credentials", cards(format)}, words...)...)
		require.Equal(t, exitDone, o.code, o.stderr)
		assert.Equal(t, told, strings.Contains(o.stderr, "a spreadsheet has taken zeros away"), format)
	}
}
