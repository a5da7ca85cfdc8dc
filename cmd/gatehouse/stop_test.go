package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAStopEndsThoughAPartHangs(t *testing.T) {
	end, closed := make(chan struct{}), false
	defer close(end)
	var s service
	s.onStop(func(context.Context) error { closed = true; return nil })
	s.onStop(func(context.Context) error { <-end; return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	assert.ErrorContains(t, s.Stop(ctx), "does not end, and was given up")
	assert.True(t, closed, "the parts behind it are ended too")
}
