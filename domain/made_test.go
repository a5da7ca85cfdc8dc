package domain

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// saltOf is another salt for each n, always the same.
func saltOf(n int) [16]byte { return DeriveUUID(UUID{}, fmt.Sprintf("salt/%d", n)) }

// draws decides a list of so many people without ids.
func (w *world) draws(c Context, n int) Decision {
	cmds := make([]Command, n)
	for i := range cmds {
		cmds[i] = RegisterPerson{Person: LeftOutSubject(c.ID, i), Name: Clear("Somebody")}
	}
	c.At, c.Actor = w.at, PersonActor("stan")
	d, r := w.state.Decide(c, cmds...)
	require.Nil(w.t, r)
	require.Len(w.t, d.Made, n)
	for i, e := range d.Events {
		require.Equal(w.t, d.Made[i], e.(PersonRegistered).Person)
	}
	return d
}

// registers commits such a list and returns the ids made.
func (w *world) registers(c Context, n int) []ID {
	d := w.draws(c, n)
	w.state.Apply(Applied{Moment: Moment{N: w.state.N + 1, At: w.at, CommandID: c.ID, Actor: PersonActor("stan")}, Events: d.Events})
	return d.Made
}

func TestMadeIDsAreUniqueShortAndInNoOrder(t *testing.T) {
	w := newWorld(t)
	w.base("house")
	form := regexp.MustCompile(`^p-[1-9][0-9]{3,6}$`)
	seen := map[ID]bool{}
	fourDigits, ascending := 0, 0
	var last ID
	for n := range 20 {
		for _, id := range w.registers(Context{ID: DeriveUUID(UUID{}, fmt.Sprintf("crowd/%d", n)), Salt: saltOf(n)}, MaxList) {
			require.False(t, seen[id], "%s was made twice", id)
			require.Regexp(t, form, id)
			seen[id] = true
			if len(id) == len("p-1041") {
				fourDigits++
			}
			if last < id {
				ascending++
			}
			last = id
		}
	}
	assert.Len(t, seen, 20*MaxList)
	assert.Greater(t, fourDigits, 8000, "short while there is room")
	assert.InDelta(t, 10*MaxList, ascending, 500, "half of the neighbours ascend, as by chance")
}

// Nothing that a client knows may tell which number the first draw was. A client knows
// the id of its command and all that was committed before.
func TestMadeIDsDoNotFollowFromWhatClientsKnow(t *testing.T) {
	c := Context{ID: DeriveUUID(UUID{}, "known")}
	ids, low := map[ID]bool{}, 0
	const salts = 300
	w := newWorld(t)
	w.base("house")
	for n := range salts {
		c.Salt = saltOf(n)
		id := w.draws(c, 1).Made[0]
		ids[id] = true
		if id < "p-55" {
			low++
		}
	}
	assert.Greater(t, len(ids), salts*9/10, "the same command on the same state gives other ids")
	assert.InDelta(t, salts/2, low, salts/8, "evenly spread")
}

// Trials and refusals name ids that do not depend on what the sender may not see. They
// cost nothing, so a sender could repeat them until they had told which numbers hidden
// things take.
func TestTrialsAndRefusalsTellNothingOfWhatIsHidden(t *testing.T) {
	answers := func(crowd int) (out []string) {
		w := newWorld(t)
		w.base("house")
		if crowd > 0 {
			w.registers(Context{ID: DeriveUUID(UUID{}, "hidden"), Salt: saltOf(1)}, crowd)
		}
		for n := range 20 {
			c := Context{ID: DeriveUUID(UUID{}, fmt.Sprintf("ask/%d", n)), Salt: saltOf(n), At: w.at, Actor: PersonActor("stan"), Trial: true}
			d, r := w.state.Decide(c, RegisterPerson{Person: LeftOutSubject(c.ID, 0), Name: Clear("A")}, RegisterPerson{Person: LeftOutSubject(c.ID, 1), Name: Clear("B")})
			require.Nil(t, r)
			out = append(out, fmt.Sprint(d.Made))
			c.Trial = false
			_, r = w.state.Decide(c, RegisterPerson{Person: LeftOutSubject(c.ID, 0), Email: Clear("a@example.com")},
				RegisterPerson{Person: LeftOutSubject(c.ID, 1), Email: Clear("a@example.com")})
			require.NotNil(t, r)
			out = append(out, r.Message)
		}
		return out
	}
	alone := answers(0)
	assert.Equal(t, "[p-new-1 p-new-2]", alone[0])
	assert.Contains(t, alone[1], "p-new-1")
	assert.Equal(t, alone, answers(MaxList))
}

func TestMadeIDsPassOverWhateverIsThere(t *testing.T) {
	c := Context{ID: DeriveUUID(UUID{}, "again"), Salt: saltOf(7)}
	first := hashedID(c.Salt, c.ID, "p", 0, 0)
	second := hashedID(c.Salt, c.ID, "p", 0, 1)
	third := hashedID(c.Salt, c.ID, "p", 0, 2)
	w := newWorld(t)
	w.base("house")
	w.given("taken", fmt.Sprintf(`olga RegisterPerson {"person":%q,"name":"Gone"}
olga ErasePerson {"person":%q}
olga CreateArea {"area":%q,"site":"north","name":"Yard"}`, first, first, second))
	assert.Equal(t, []ID{third}, w.registers(c, 1), "neither of the erased nor of another noun")

	tx := &Tx{View: w.state.AsOf(c.At), Context: c, unseen: []hiddenName{{id: "p-1041"}}}
	assert.True(t, tx.taken("p-1041"), "nor of what the state is without for the time of the decision")
}

func TestMadeIDsGrowWhereNumbersAreTaken(t *testing.T) {
	for draw, digits := range map[int]int{0: 4, 7: 4, 8: 5, 15: 5, 16: 6, 1000: mostDigits} {
		id := hashedID(saltOf(1), UUID{1}, "p", 0, draw)
		assert.Len(t, strings.TrimPrefix(string(id), "p-"), digits, "draw %d", draw)
	}
}

func TestPrefixesOfMadeIDsDiffer(t *testing.T) {
	of := map[string]string{}
	for noun, prefix := range idPrefixes {
		assert.Empty(t, of[prefix], "%s has the prefix of another", noun)
		of[prefix] = noun
		assert.Regexp(t, `^[a-z]{1,2}$`, prefix)
	}
}

func TestStandInsOfAnotherCommandAreIDs(t *testing.T) {
	w := newWorld(t)
	w.base("house")
	id := LeftOutSubject(UUID{1}, 0)
	d, r := w.state.Decide(Context{ID: UUID{2}, At: w.at.Add(time.Second), Actor: PersonActor("stan")}, RegisterPerson{Person: id, Name: Clear("A")})
	require.Nil(t, r)
	assert.Equal(t, id, d.Events[0].(PersonRegistered).Person)
	assert.Empty(t, d.Made)
}
