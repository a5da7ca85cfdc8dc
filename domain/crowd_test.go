package domain

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// One more fob costs as much for somebody who has 1,500 as for somebody who has few: what
// is made on the way from the command to the rows is counted in bytes.
func TestAFobCostsTheSameHoweverManyItsHolderHas(t *testing.T) {
	w := newWorld(t)
	w.base("house")
	w.state.WatchChanges()
	n := 0
	few := w.madeByFobs(&n, 50)
	w.madeByFobs(&n, 1450)
	many := w.madeByFobs(&n, 50)
	require.Less(t, float64(many), 1.5*float64(few), "bytes made for a fob, when its holder has few and many")
}

// madeByFobs gives stan fobs one by one and returns the bytes allocated for each.
func (w *world) madeByFobs(n *int, fobs int) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range fobs {
		*n++
		c := Context{ID: DeriveUUID(UUID{}, fmt.Sprintf("fob/%d", *n)), At: w.at, Actor: PersonActor("stan")}
		fob := AssignFob{Credential: ID(fmt.Sprintf("f%d", *n)), Number: Clear(fmt.Sprintf("%d", 100_000+*n)), Person: "stan", Sites: []ID{"north"}}
		d, r := w.state.Decide(c, fob)
		require.Nil(w.t, r)
		w.state.Apply(Applied{Moment: Moment{N: w.state.N + 1, At: w.at, CommandID: c.ID, Actor: c.Actor}, Events: d.Events})
		require.Len(w.t, w.state.TakeChanges(testTags), 1)
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / uint64(fobs)
}

// The sites counted for people with many credentials are those of the credentials. This
// also holds after decisions were taken back, after indexes were made again, and in forks.
func TestSitesAreThoseOfTheCredentialsHoweverMany(t *testing.T) {
	r := rand.New(rand.NewPCG(20260302, 1))
	s := NewState()
	change := func() {
		id := ID(fmt.Sprint(r.IntN(120)))
		if r.IntN(3) == 0 {
			s.Credentials.Delete(id)
			return
		}
		c := Credential{ID: id, Person: ID(fmt.Sprint("p", r.IntN(3)))}
		for site := range 5 {
			if r.IntN(12) == 0 {
				c.Sites = append(c.Sites, ID(fmt.Sprint("s", site)))
			}
		}
		s.Credentials.Put(id, c)
	}
	most := 0
	for n := range 5000 {
		switch r.IntN(50) {
		case 0:
			m := s.journal.begin()
			for range 20 {
				change()
			}
			s.journal.rollback(m)
		case 1:
			s.Reindex()
		case 2:
			s = s.Fork()
		}
		change()
		most = max(most, len(s.crowds))
		for _, person := range []ID{"p0", "p1", "p2"} {
			want := map[ID]struct{}{}
			for _, c := range s.Credentials.unsorted(CredentialByPerson, person) {
				for _, site := range c.Sites {
					want[site] = struct{}{}
				}
			}
			got := sortedIDs(slices.Collect(s.credentialSites(person)))
			require.Equal(t, slices.Sorted(maps.Keys(want)), got, "%s after step %d", person, n)
		}
	}
	require.NotZero(t, most)
}

// BenchmarkAssignFob measures the decision to give somebody one more fob, and the rows of
// that change.
func BenchmarkAssignFob(b *testing.B) {
	for _, fobs := range []int{1, 1500} {
		b.Run(fmt.Sprint(fobs), func(b *testing.B) {
			w := newWorld(b)
			w.base("house")
			w.state.WatchChanges()
			n := 0
			w.madeByFobs(&n, fobs)
			for b.Loop() {
				w.state.Decide(Context{ID: DeriveUUID(UUID{}, "x"), At: w.at, Actor: PersonActor("stan")},
					AssignFob{Credential: "x", Number: Clear("99"), Person: "stan", Sites: []ID{"north"}})
				w.state.journal.touched = map[touch]any{{"credentials", "f1"}: nil}
				w.state.TakeChanges(testTags)
			}
		})
	}
}
