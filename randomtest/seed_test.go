package randomtest

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"
	_ "pgregory.net/rapid" // registers its flags
)

func TestSeedsAreFixedUnlessAFreshOneIsGiven(t *testing.T) {
	t.Setenv(Variable, "")
	assert.Equal(t, uint64(7), Seed(t, 7))
	t.Setenv(Variable, "12")
	assert.Equal(t, Seed(t, 7), Seed(t, 7), "it can be repeated")
	assert.NotEqual(t, uint64(7), Seed(t, 7))
	assert.NotEqual(t, Seed(t, 7), Seed(t, 8), "each fixed seed has a fresh one of its own")
}

func TestRapidTakesTheSeed(t *testing.T) {
	seed := func() string { return flag.Lookup("rapid.seed").Value.String() }
	before := seed()
	if before != "0" {
		t.Skip("-rapid.seed was given, and is kept")
	}
	t.Setenv(Variable, "")
	t.Run("fixed", func(t *testing.T) {
		Rapid(t, 7)
		assert.Equal(t, "7", seed())
	})
	assert.Equal(t, before, seed(), "other tests choose their own")
}
