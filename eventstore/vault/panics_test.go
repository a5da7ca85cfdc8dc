package vault

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
)

// caught is the guard of a test: it records the orgs for which something panicked.
type caught []string

func (c *caught) guard(org string, f func()) (err error) {
	defer func() {
		if recover() != nil {
			*c = append(*c, org)
			err = errors.New("it panicked")
		}
	}()
	f()
	return nil
}

// A panic at the holder of the vault fails one answer and is reported with its org. The
// holder continues.
func TestAnAnswerThatPanicsFailsAlone(t *testing.T) {
	var found caught
	h := &holder{guard: found.guard, log: slog.New(slog.DiscardHandler)}
	broken := true
	ask := h.guarded(func(context.Context, wireRequest) (wireReply, error) {
		if broken {
			panic("boom")
		}
		return wireReply{}, nil
	})
	_, err := ask(t.Context(), wireRequest{Org: "acme"})
	assert.ErrorContains(t, err, "its holder failed at this")
	assert.Equal(t, caught{"acme"}, found)
	broken = false
	_, err = ask(t.Context(), wireRequest{Org: "acme"})
	assert.NoError(t, err)
}

// A request that panics before its org is known has no answer, and ends no process.
func TestARequestThatPanicsEndsNoProcess(t *testing.T) {
	var found caught
	h := &holder{guard: found.guard, log: slog.New(slog.DiscardHandler)}
	h.handle(nil)(nil) // as a message that no check foresees
	assert.Equal(t, caught{""}, found)
}
