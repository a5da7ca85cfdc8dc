package domain

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// staffed is a site with so many people, each with a grant and a card.
func staffed(b *testing.B, people int) *world {
	b.Helper()
	w := newWorld(b)
	w.base("house")
	var events []Event
	for i := range people {
		person, box := ID(fmt.Sprint("p-", 10_000+i)), fmt.Sprintf("k%021d.%060d", i, i)
		events = append(events, PersonRegistered{Person: person, Name: Clear(fmt.Sprint("Somebody ", i)).Sealed(box)},
			RightGranted{Grant: ID(fmt.Sprint("g-", 10_000+i)), Person: person, Right: "staff-doors"},
			FobAssigned{Credential: ID(fmt.Sprint("c-", 10_000+i)), Kind: KindCard, Format: "raw", Number: Clear(fmt.Sprint(1_000_000 + i)).Sealed(box),
				Person: person, Sites: []ID{"north"}})
	}
	w.state.Apply(Applied{Moment: Moment{N: w.state.N + 1, At: w.at, Actor: PersonActor("olga")}, Events: events})
	return w
}

// BenchmarkState measures the bytes that a state keeps for each person, its personal
// values opened. Each person has a grant and a card.
func BenchmarkState(b *testing.B) {
	data, err := staffed(b, 20_000).state.AppendBinary(nil)
	require.NoError(b, err)
	for b.Loop() {
		before := liveBytes()
		s := NewState()
		require.NoError(b, s.UnmarshalBinary(data))
		n := 0
		s.EachPersonal(func(_ ID, p *Personal) {
			n++
			*p = p.Opened(fmt.Sprint("value ", n))
		})
		s.Reindex()
		b.ReportMetric(float64(liveBytes()-before)/20_000, "B/person")
		runtime.KeepAlive(s)
	}
	runtime.KeepAlive(data)
}

func liveBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkCommand measures one command, from its decision to the rows of its change, in
// orgs of two sizes.
func BenchmarkCommand(b *testing.B) {
	for _, people := range []int{10_000, 200_000} {
		b.Run(fmt.Sprint(people), func(b *testing.B) {
			w := staffed(b, people)
			w.state.WatchChanges()
			runtime.GC()
			n := 0
			for b.Loop() {
				n++
				person := ID(fmt.Sprint("p-", 10_000+n*7919%people))
				c := Context{ID: DeriveUUID(UUID{}, fmt.Sprint(n)), At: w.at, Actor: PersonActor("stan")}
				d, r := w.state.Decide(c, AssignFob{Credential: ID(fmt.Sprint("x-", n)), Number: Clear(fmt.Sprint(9_000_000 + n)), Person: person, Sites: []ID{"north"}})
				if r != nil {
					b.Fatal(r)
				}
				w.state.Apply(Applied{Moment: Moment{N: w.state.N + 1, At: w.at, CommandID: c.ID, Actor: c.Actor}, Events: d.Events})
				w.state.TakeChanges(testTags)
			}
		})
	}
}
