package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what comes out of the wild files beside them")

// TestWildFiles sends files of the shapes that operators have by the command line: FILE
// by the words in FILE.args, and what comes out stands in FILE.want. They are made up for
// this test, each with a quirk that its name tells.
func TestWildFiles(t *testing.T) {
	const dir = "testdata/wild"
	s := newStation(t)
	s.makeGate()
	s.must("do", "AssignFob", "credential=w26", "kind=card", "format=wiegand26", "number=12-345", "person=anna", "sites=hq")
	s.must("do", "AssignFob", "credential=chip", "kind=card", "format=uid", "number=04A1B2C3", "person=anna", "sites=hq")
	all, err := filepath.Glob(dir + "/*.args")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(all), 15)
	for _, args := range all {
		file := strings.TrimSuffix(args, ".args")
		words, err := os.ReadFile(args)
		require.NoError(t, err)
		o := s.at(t.Context(), wordsOf(string(words), file)...)
		got := fmt.Sprintf("exit %d\n%s%s", o.code, o.stdout, o.stderr)
		got = regexp.MustCompile(`"position":"[^"]*"`).ReplaceAllString(strings.ReplaceAll(got, file, "FILE"), `"position":"-"`)
		if *update {
			require.NoError(t, os.WriteFile(file+".want", []byte(got), 0o600))
			continue
		}
		want, err := os.ReadFile(file + ".want")
		require.NoError(t, err)
		assert.Equal(t, string(want), got, file)
	}
}

// wordsOf splits the words of a command line at blanks outside quotes.
func wordsOf(line, file string) (out []string) {
	for _, word := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1) {
		if word == "FILE" {
			word = file
		}
		out = append(out, strings.Trim(word, `"`))
	}
	return out
}
