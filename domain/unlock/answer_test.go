package unlock

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnswerNamesWhatItIsAbout(t *testing.T) {
	s := newStorage(t)
	table, err := NewTable(s.all()...)
	require.NoError(t, err)

	a := Decide(table, &s.local, Request{Door: IDOf("door-b"), At: noon, Tag: s.keyA.Tag})
	assert.Equal(t, s.share, a.Grant())
	assert.Equal(t, SourceShare, a.Source())
	assert.Equal(t, s.keyA, a.Credential())
	assert.Equal(t, s.anna, a.Person())

	a = Decide(table, &s.local, Request{Door: IDOf("door-b"), At: noon, Credential: IDOf("key-a")})
	assert.Equal(t, s.share, a.Grant(), "by id")
	assert.Equal(t, s.keyA, a.Credential(), "by id")

	a = Decide(table, &s.local, Request{Door: IDOf("hall"), At: noon, Person: IDOf("anna")})
	assert.Nil(t, a.Grant(), "no grant is for the hall")
	assert.Zero(t, a.Source())
	assert.Nil(t, a.Credential())
	assert.Equal(t, s.anna, a.Person())

	a = Decide(table, nil, Request{})
	assert.Nil(t, a.Person())
	assert.Equal(t, DenyUnknownAccessPoint, a.Code)
	assert.Equal(t, DenyUnknownAccessPoint, Decide(new(Table), nil, Request{Tag: s.keyA.Tag}).Code)
}

// A share with its own right opens only the doors of the tenant's right. That holds
// also when the tenant's right is the first of several rights of the unit.
func TestShareOfOneOfSeveralRights(t *testing.T) {
	s := newStorage(t)
	s.unitB.Rights = append(s.unitB.Rights, UnitRight{Right: "rounds"})
	for _, own := range []string{"", "right-b"} {
		for _, shared := range []string{"", "right-b", "rounds"} {
			s.ownB.Right, s.share.Right = own, shared
			table, err := NewTable(s.all()...)
			require.NoError(t, err)
			opens := func(door string) bool {
				return Decide(table, &s.local, Request{Door: IDOf(door), At: noon, Tag: s.keyA.Tag}).Allowed
			}
			assert.Equal(t, shared != "rounds", opens("door-b"), "own %q, shared %q", own, shared)
			assert.Equal(t, own == "" && shared != "right-b", opens("hall"), "own %q, shared %q", own, shared)
			assert.True(t, opens("gate"), "own %q, shared %q", own, shared)
		}
	}
}

func TestParentsHaveALimit(t *testing.T) {
	for _, parents := range []int{MaxParents, MaxParents + 1} {
		s := newStorage(t)
		g := s.job
		for range parents {
			above := *s.job
			above.ID, above.Person, above.Parent = g.ID+"-", "joe", ""
			g.Parent = above.ID
			s.rows = append(s.rows, &above)
			g = &above
		}
		table, err := NewTable(s.all()...)
		require.NoError(t, err)
		s.ask(s.card, s.hall)
		assert.Equal(t, parents == MaxParents, Decide(table, &s.local, s.r).Allowed, "%d parents", parents)
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	s := newStorage(t)
	s.hall.Factor = EscortFactor
	s.anna.ID = "0d9d1b4e-2c1b-4b1e-9a53-5b7f0c3b9f10-and-longer-than-any-small-buffer-of-the-runtime"
	s.keyA.Person = s.anna.ID
	table, err := NewTable(s.all()...)
	require.NoError(t, err)
	requests := []Request{
		{Door: IDOf("door-a"), At: noon, Tag: s.fobA.Tag},
		{Door: IDOf("hall"), At: noon, Tag: s.joeCard.Tag, Second: s.card.Tag},
		{Door: IDOf("door-b"), At: noon, Credential: IDOf("key-a")},
		{Door: IDOf("hall"), At: noon, Person: IDOf("sue"), Command: CommandRemoteUnlock},
		{Door: IDOf("hall"), At: math.MinInt64, Tag: tagged("nothing"), Kind: Pin},
	}
	for _, r := range requests {
		var a Answer
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			a = Decide(table, &s.local, r)
			_, _, _ = a.Grant(), a.Person(), a.Code.String()
		}))
	}
}
