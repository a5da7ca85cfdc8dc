package eventstore

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A follower that panicked with messages in its hands reads them again.
func TestMessagesThatWereTakenAndNotFoldedAreReadAgain(t *testing.T) {
	f := new(follower)
	assert.True(t, f.add(message{seq: 7}))
	taken, skipped, more := f.next()
	assert.Len(t, taken, 1)
	assert.False(t, skipped)
	assert.True(t, more)
	assert.False(t, f.add(message{seq: 8}), "its goroutine runs")
	f.missed()
	_, skipped, more = f.next()
	assert.True(t, skipped)
	assert.True(t, more)
}
