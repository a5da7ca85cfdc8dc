package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Letters that a terminal in another encoding sends would be replaced on the way.
func TestLettersOfAnotherEncodingAreRefused(t *testing.T) {
	s := newStation(t)
	for _, args := range [][]string{
		{"do", "RegisterPerson", "person=j", "name=J\xfcrgen"},
		{"do", "RegisterPerson", "person=j", "--file", s.file("latin.json", "{\"name\":\"J\xfcrgen\"}")},
		{"do", "RegisterPerson", "--file", s.file("half.json", `{"person":"j","name":"J\ud800"}`)},
		{"import", "people", s.file("people.csv", "person\nj\n"), "--set", "name=J\xfcrgen"},
	} {
		o := s.at(t.Context(), args...)
		assert.Equal(t, exitUsage, o.code, "%q: %s", args, o.stderr)
	}
}
