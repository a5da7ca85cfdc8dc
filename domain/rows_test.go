package domain

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
	"gatehouse/randomtest"
)

// testTags makes tags without a key.
func testTags(site ID, kind CredentialKind, format, number string) (unlock.Tag, bool) {
	h := sha256.Sum256([]byte(fmt.Sprintf("%s|%s|%s|%s", site, kind, format, number)))
	return unlock.Tag(h[:16]), true
}

// published is what a reader of changes keeps of the rows, encoded.
type published map[ID]map[unlock.Key]string

func (p published) apply(t require.TestingT, changes []SiteChange) {
	for _, c := range changes {
		if p[c.Site] == nil {
			p[c.Site] = map[unlock.Key]string{}
		}
		for _, r := range c.Put {
			p[c.Site][r.Key()] = encodeRow(t, r)
		}
		for _, k := range c.Delete {
			delete(p[c.Site], k)
		}
	}
}

func encodeRow(t require.TestingT, r unlock.Row) string {
	b, err := unlock.Encode(r)
	require.NoError(t, err)
	return string(b)
}

// scratch makes the rows of every site again.
func scratch(t require.TestingT, s *State) published {
	p := published{}
	for site := range s.Sites.All() {
		rows, untagged := s.Rows(site, testTags)
		require.Empty(t, untagged)
		require.True(t, slices.IsSortedFunc(rows, func(a, b unlock.Row) int { return a.Key().Compare(b.Key()) }))
		p[site] = map[unlock.Key]string{}
		for _, r := range rows {
			p[site][r.Key()] = encodeRow(t, r)
		}
	}
	return p
}

func TestRowsChangedCommitByCommitAreThoseMadeFromScratch(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	rapid.Check(t, func(t *rapid.T) {
		s := NewState()
		s.WatchChanges()
		kept := published{}
		for n := range rapid.IntRange(1, 40).Draw(t, "commits") {
			scramble(t, s, uint64(n+1))
			kept.apply(t, s.TakeChanges(testTags))
			want := scratch(t, s)
			for site := range want {
				same(t, want[site], kept[site], fmt.Sprintf("site %s after commit %d", site, n+1))
			}
		}
	})
}

// same compares row by row, so that a difference can be read.
func same(t require.TestingT, want, got map[unlock.Key]string, when string) {
	for k, row := range want {
		require.Equal(t, row, got[k], when)
	}
	for k := range got {
		require.Contains(t, want, k, when)
	}
}

func TestChangesDoNotGrowWithTheSite(t *testing.T) {
	s := NewState()
	s.journal.n = 1
	s.Sites.Put("s1", Site{ID: "s1", Zone: "UTC", Rules: schedule.ZoneRules{Zone: "UTC"}})
	s.AccessRights.Put("r1", AccessRight{ID: "r1", Sites: []ID{"s1"}, Schedule: AlwaysID})
	for i := range 500 {
		p, b, u := ID(fmt.Sprintf("p%d", i)), ID(fmt.Sprintf("b%d", i)), ID(fmt.Sprintf("u%d", i))
		s.People.Put(p, Person{ID: p, State: PersonStateActive})
		s.Units.Put(u, Unit{ID: u, Site: "s1", State: UnitVacant, Rights: []UnitRight{{Right: "r1"}}})
		s.Bookings.Put(b, Booking{ID: b, Site: "s1", Unit: u, Person: p, State: BookingStateActive})
		for k := range 20 {
			sh := ID(fmt.Sprintf("h%d-%d", i, k))
			s.Shares.Put(sh, Share{ID: sh, Site: "s1", Booking: b, Unit: u, Person: ID(fmt.Sprintf("p%d", (i+k+1)%500)), State: ShareStateActive})
		}
	}
	s.WatchChanges()
	for name, change := range map[string]func(){
		"booking revoked":  func() { s.Bookings.Update("b7", func(b *Booking) { b.State = BookingStateRevoked }) },
		"person suspended": func() { s.People.Update("p7", func(p *Person) { p.State = PersonStateSuspended }) },
		"right narrowed":   func() { s.AccessRights.Update("r1", func(r *AccessRight) { r.Doors = nil }) },
		"unit mapped":      func() { s.Units.Update("u7", func(u *Unit) { u.Rights = nil }) },
		"site locked":      func() { s.Sites.Update("s1", func(x *Site) { x.Policy.FobHolders = "anyone" }) },
	} {
		change()
		changes := s.TakeChanges(testTags)
		require.Len(t, changes, 1, name)
		require.LessOrEqual(t, len(changes[0].Put)+len(changes[0].Delete), 4, name)
	}
}

func TestACredentialWhoseNumberIsNotKnownIsUntagged(t *testing.T) {
	s := NewState()
	s.Sites.Put("s1", Site{ID: "s1", Zone: "UTC", Rules: schedule.ZoneRules{Zone: "UTC"}})
	s.People.Put("p1", Person{ID: "p1", State: PersonStateActive})
	s.WatchChanges()
	fob := Credential{ID: "c1", Kind: KindFob, Subject: "p1", Person: "p1", Sites: []ID{"s1"}, State: CredentialStateActive}
	fob.Number = Personal{}.Sealed("k.box")
	s.Credentials.Put("c1", fob)

	changes := s.TakeChanges(testTags)
	require.Equal(t, []ID{"c1"}, changes[0].Untagged)
	rows, untagged := s.Rows("s1", testTags)
	require.Equal(t, []ID{"c1"}, untagged)
	require.Zero(t, rows[len(rows)-1].(*unlock.Credential).Tag)

	s.EachPersonal(func(_ ID, p *Personal) { *p = p.Opened("0417") })
	rows, untagged = s.Rows("s1", testTags)
	require.Empty(t, untagged)
	require.NotZero(t, rows[len(rows)-1].(*unlock.Credential).Tag)
}
