package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCompletion(t *testing.T) {
	parser, err := newParser(&verbs{})
	require.NoError(t, err)
	for _, c := range []struct {
		words    []string
		has      []string
		hasNot   []string
		nothing  bool
		complete bool // has is all
	}{
		{words: nil, has: []string{"serve", "do", "decide", "token"}},
		{words: []string{"deci"}, has: []string{"decide", "decide-many"}, complete: true},
		{words: []string{"token", ""}, has: []string{"issue", "list", "revoke"}, complete: true},
		{words: []string{"token", "issue", "--sc"}, has: []string{"--scope"}, complete: true},
		{words: []string{"token", "issue", "--scope", ""}, has: []string{"full", "metrics", "read"}, complete: true},
		{words: []string{"token", "issue", "--person", ""}, nothing: true},
		{words: []string{"do", "--url", "http://x", "Assign"}, has: []string{"AssignDoorToGateway", "AssignFob", "AssignRole"}, complete: true},
		{words: []string{"do", "Set"}, has: []string{"SetSitePolicy"}, hasNot: []string{"SetZoneRules"}},
		{words: []string{"do", "--json", "CreateDoor", "k"}, has: []string{"kind="}, complete: true},
		{words: []string{"do", "CreateDoor", "site=north", "kind=g"}, has: []string{"kind=gate"}, complete: true},
		{words: []string{"do", "CreateDoor", "site", "=", "north", "kind", "=", "g"}, has: []string{"kind=gate"}, complete: true},
		{words: []string{"do", "CreateDoor", "kind", "="}, has: []string{"kind=gate", "kind=unit"}},
		{words: []string{"do", "NoSuch", ""}, nothing: true},
		{words: []string{"completion", ""}, has: []string{"bash", "fish", "zsh"}, complete: true},
		{words: []string{"serve", "--vault", ""}, has: []string{"local", "remote"}, complete: true},
	} {
		found := complete(parser.Model, c.words)
		for _, want := range c.has {
			assert.Contains(t, found, want, "%q", c.words)
		}
		for _, not := range c.hasNot {
			assert.NotContains(t, found, not, "%q", c.words)
		}
		if c.complete {
			assert.Equal(t, c.has, found, "%q", c.words)
		}
		if c.nothing {
			assert.Empty(t, found, "%q", c.words)
		}
	}
}
