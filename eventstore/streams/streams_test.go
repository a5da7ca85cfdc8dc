package streams

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// No stream has an age limit, which goes by the clock of the server; the one that
// earlier versions gave is no danger at a start, and taken off.
func TestNoStreamAgesByTheClockOfTheServer(t *testing.T) {
	for _, w := range Wanted(1) {
		assert.Zero(t, w.MaxAge, w.Name)
		aged := w
		aged.MaxAge = HistoryAge
		assert.Equal(t, w.Name == Refusals, len(Unsafe(w, aged)) == 0, w.Name)
		assert.Zero(t, applied(w, aged).MaxAge)
	}
	refusals := Wanted(1)[3]
	refusals.MaxAge = HistoryAge
	assert.Len(t, Different(Wanted(1)[3], refusals), 1)
}
