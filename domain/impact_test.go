package domain

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"gatehouse/domain/schedule"
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
	got := impact.Lines(w.wording())
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

// wording reads the clocks of the sites.
func (w *world) wording() Wording { return Wording{Zone: w.state.zone} }

// foresee tells what the command of a line would do.
func (w *world) foresee(line string) Impact {
	c, _, cmds := w.read("if", line)
	_, impact, r := w.state.Foresee(c, cmds...)
	require.Nil(w.t, r)
	return impact
}

// sendMany commits a list of commands that differ in a number.
func sendMany(w *world, command string, n int, fields string) {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(fields, i))
	}
	mustSend(w, command+" ["+strings.Join(list, ",")+"]")
}

// TestWhatIsRecordedLaterIsToldBefore: the reviews and ends that have no room in the
// commit are told with the others.
func TestWhatIsRecordedLaterIsToldBefore(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, shareWith("book-a1", 0, 450))
	i := w.foresee(`stan RevokeBooking {"booking":"book-a1"}`)
	assert.Equal(t, 451, i.Ends.Count, "450 shares and the place of the tenant")
	assert.Len(t, i.Ends.List, 451)
	assert.Equal(t, 451-maxConsequences, i.Ends.Later)
	assert.Equal(t, 1, i.Lost.People, "the others have not shown who they are, and open nothing")

	sendMany(w, "stan RegisterPerson", 230, `{"person":"u%d","email":"u%[1]d@example.com"}`)
	sendMany(w, "anna CreateUnitUser", 230,
		`{"unit":"a1","email":"u%d@example.com","access":[{"right":"entries","mode":"limited","limited":{"windows":[{"days":["mon"],"from":"06:00","to":"10:00"}]}}]}`)
	i = w.foresee(`mara ChangeSchedule {"schedule":"day-hours","times":{"holidays":"ignore","windows":[{"days":["mon"],"from":"09:00","to":"22:00"}]}}`)
	assert.Equal(t, 230, i.Reviews.Count)
	assert.Equal(t, 230-maxConsequences, i.Reviews.Later)
	assert.Len(t, i.Reviews.List, 230)
	assert.Equal(t, 232, i.Lost.People)
	assert.Equal(t, AccessChanges{People: 232, Doors: 2, Pairs: 464, List: i.Lost.List}, i.Lost)
	assert.Len(t, i.Lost.List, 464)

	// A list ends where it is full, the numbers do not.
	mustSend(w, `olga CreateGroup {"group":"all","name":"All","doors":["office","gate","lift","door-a1","door-a2","door-a3"],"owner":"mara"}`)
	sendMany(w, "mara AddMember", 230, `{"group":"all","person":"u%d","role":"user"}`)
	i = w.foresee(`mara SetGroupSchedule {"group":"all","times":{}}`)
	assert.Equal(t, 231*6, i.Lost.Pairs)
	assert.Len(t, i.Lost.List, MaxImpact)
	assert.Zero(t, i.Lost.Hidden)
	assert.Contains(t, strings.Join(i.Lines(Wording{}), "\n"), "386 more entries of a person and a door, 0 of which you may not see")
}

// TestImpactCountsPersonOnce: who loses access at two sites is one person.
func TestImpactCountsPersonOnce(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, `olga CreateSite {"site":"west","name":"West","zone":"Europe/Lisbon"}`)
	mustSend(w, `olga CreateDoor {"site":"west","door":"barn","name":"Barn","kind":"gate"}`)
	mustSend(w, `olga DefineAccessRight {"right":"both","name":"Both","doors":["office","barn"],"schedule":"always"}`)
	mustSend(w, `olga RegisterPerson {"person":"walt"}`)
	gained := w.foresee(`olga GrantRight {"grant":"g-both","person":"walt","right":"both"}`).Gained
	assert.Equal(t, [3]int{1, 2, 2}, [3]int{gained.People, gained.Doors, gained.Pairs})
	mustSend(w, `olga GrantRight {"grant":"g-both","person":"walt","right":"both"}`)
	lost := w.foresee(`olga RevokeRight {"grant":"g-both"}`).Lost
	assert.Equal(t, [3]int{1, 2, 2}, [3]int{lost.People, lost.Doors, lost.Pairs})
}

// TestImpactNamesDaysOfSite: an end is the last day that counts, by the site's clock.
func TestImpactNamesDaysOfSite(t *testing.T) {
	lisbon, err := schedule.LoadRules("Europe/Lisbon")
	require.NoError(t, err)
	wording := Wording{Zone: func(site ID) *schedule.Zone {
		if site == "south" {
			return lisbon.Compile()
		}
		return nil
	}}
	from, until := time.Date(2026, 7, 1, 23, 0, 0, 0, time.UTC), time.Date(2026, 12, 4, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, []string{"from 2 July 2026", "until the end of 3 December 2026"}, wording.bounds("south", from, until))
	assert.Equal(t, []string{"from 1 July 2026, 23:00 UTC", "until the end of 3 December 2026 UTC"}, wording.bounds("north", from, until))
	assert.Equal(t, []string{"until 3 December 2026, 18:30"}, wording.bounds("south", time.Time{}, until.Add(-330*time.Minute)))
}

// TestAnImpactLooksAtWhatItConcerns: the cost is that of what hangs on a command, not
// of the site.
func TestAnImpactLooksAtWhatItConcerns(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	sendMany(w, "olga CreateUnit", 60, `{"unit":"x%d","site":"north","name":"X"}`)
	sendMany(w, "olga MapUnitAccess", 60, `{"unit":"x%d","rights":[{"right":"entries","schedule":"office-hours"}]}`)
	sendMany(w, "stan RegisterPerson", 60, `{"person":"p%d"}`)
	sendMany(w, "stan CreateBooking", 60, `{"booking":"y%[1]d","unit":"x%[1]d","person":"p%[1]d","from":"2026-03-01"}`)
	for line, people := range map[string]int{
		`stan RevokeBooking {"booking":"y7"}`:                             1,
		`mara MoveIn {"booking":"y7"}`:                                    1,
		`mara MapUnitAccess {"unit":"x7","rights":[]}`:                    1,
		`mara ChangeSchedule {"schedule":"office-hours","times":{}}`:      60,
		`stan GrantRight {"person":"p7","right":"staff-doors"}`:           1,
		`stan Lockdown {"door":"door-a1"}`:                                1,
		`mara RenameSite {"site":"north","name":"N"}`:                     0,
		`stan RegisterPerson {"person":"another"}`:                        0,
		`mara ChangeAccessRight {"right":"unit-a2","add_doors":["lift"]}`: 1,
	} {
		c, _, cmds := w.read("if", line)
		d, r := w.state.Decide(c, cmds...)
		require.Nil(t, r, line)
		f := &impactBuilder{s: w.state.AsOf(c.At), at: c.At, events: d.Events, moment: Moment{N: w.state.N + 1, At: c.At, Actor: c.Actor}, sites: map[ID]*siteDiff{}, losing: map[ID]bool{}, gaining: map[ID]bool{}}
		f.look()
		looked := 0
		for _, p := range f.sites {
			looked += len(p.everybody())
		}
		assert.Equal(t, people, looked, line)
	}
}
