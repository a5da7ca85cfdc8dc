package domain

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSameValues(t *testing.T) {
	anna, annaSealed, box := Clear("anna"), Clear("anna").Sealed("k.1"), Personal{box: "k.1"}
	for _, c := range []struct {
		what string
		p, q Personal
		same bool
	}{
		{"nothing and nothing", Personal{}, Personal{}, true},
		{"nothing and a clear value", Personal{}, anna, false},
		{"nothing and a box", box, Personal{}, false},
		{"two clear values", anna, Clear("anna"), true},
		{"two clear values in two boxes", annaSealed, Clear("anna").Sealed("k.2"), true},
		{"two other clear values", anna, Clear("ben"), false},
		{"a clear value and a box that was not opened", anna, box, false},
		{"one box, opened and not", annaSealed, box, true},
		{"two boxes", box, Personal{box: "k.2"}, false},
	} {
		assert.Equal(t, c.same, c.p.Same(c.q), c.what)
		assert.Equal(t, c.same, c.q.Same(c.p), c.what)
	}
}

// TestMapPersonalLeavesTheOriginal: also in lists below, which a copy of a struct
// would share.
func TestMapPersonalLeavesTheOriginal(t *testing.T) {
	cmd := ShareAccess{Sharees: []Sharee{{Person: "p1", Email: Clear("anna@example.com")}, {Person: "p2", Phone: Clear("1")}}}
	seen := []ID{}
	sealed := MapPersonal(cmd, func(subject ID, p Personal) Personal {
		seen = append(seen, subject)
		return p.Sealed("k." + string(subject))
	})
	assert.Equal(t, []ID{"p1", "p2"}, seen)
	assert.Equal(t, "k.p1", sealed.Sharees[0].Email.Box())
	assert.Equal(t, "k.p2", sealed.Sharees[1].Phone.Box())
	assert.Empty(t, cmd.Sharees[0].Email.Box())

	_, err := json.Marshal(cmd)
	require.ErrorIs(t, err, errUnsealed)
	text, err := json.Marshal(sealed)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "anna@example.com")
}

// TestCompleteNamesTheSameAgain: a retry of a command makes the same ids.
func TestCompleteNamesTheSameAgain(t *testing.T) {
	first := []*RegisterPerson{{Name: Clear("One")}, {Person: "given"}, {}}
	second := []*RegisterPerson{{Name: Clear("One")}, {Person: "given"}, {}}
	Complete(UUID{1}, first[0], first[1], first[2])
	Complete(UUID{1}, second[0], second[1], second[2])
	assert.Equal(t, first, second)
	assert.Equal(t, ID("given"), first[1].Person)
	assert.NotEmpty(t, first[0].Person)
	assert.NotEqual(t, first[0].Person, first[2].Person)
}
