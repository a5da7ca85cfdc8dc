package vault

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What panics at the holder of the vault is an answer that fails; the holder goes on.
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
