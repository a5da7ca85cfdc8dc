package unlock

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// One more fob costs as much for somebody who has 1,500 as for somebody who has one:
// what is made again is counted in bytes.
func TestAFobCostsTheSameHoweverManyItsHolderHas(t *testing.T) {
	const fobs = 1500
	table := fobsOf(t, fobs)
	few, many := madeBy(t, table, "person-0"), madeBy(t, table, "crowd")
	require.Less(t, float64(many), 1.5*float64(few), "bytes made for one fob, of one of few and of one of many")
}

// fobsOf gives a table where one person has many fobs. As many persons have one each.
func fobsOf(t *testing.T, fobs int) *Table {
	t.Helper()
	s := newStorage(t)
	rows := append(s.all(), &Person{"crowd", PersonActive},
		&Right{ID: "everywhere", Doors: []string{s.hall.ID}},
		&Grant{ID: "of-crowd", Person: "crowd", Right: "everywhere", Source: SourceStaff, State: GrantActive})
	for i := range fobs {
		person := fmt.Sprintf("person-%d", i)
		rows = append(rows, &Person{person, PersonActive}, fob(i, person), fob(fobs+i, "crowd"))
	}
	table, err := NewTable(rows...)
	require.NoError(t, err)
	return table
}

func fob(n int, person string) *Credential {
	id := benchID("fob", n)
	return &Credential{ID: id, Tag: benchTag(n), Kind: Fob, Person: person, State: CredentialActive}
}

// madeBy gives the bytes that are allocated to give somebody a fob, on average.
func madeBy(t *testing.T, table *Table, person string) uint64 {
	t.Helper()
	const times = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range times {
		_, err := table.Apply(Delta{Put: Rows{fob(1_000_000+i, person)}})
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / times
}
