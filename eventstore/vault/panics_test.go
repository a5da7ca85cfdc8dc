package vault

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A panic at the holder of the vault fails one answer, and the holder goes on.
func TestAnAnswerThatPanicsFailsAlone(t *testing.T) {
	h := &holder{log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	broken := true
	ask := h.guarded(func(context.Context, wireRequest) (wireReply, error) {
		if broken {
			panic("boom")
		}
		return wireReply{}, nil
	})
	_, err := ask(t.Context(), wireRequest{Org: "acme"})
	assert.ErrorContains(t, err, "its holder failed at this")
	broken = false
	_, err = ask(t.Context(), wireRequest{Org: "acme"})
	assert.NoError(t, err)
}
