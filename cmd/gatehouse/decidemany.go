package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"gatehouse/cmd/gatehouse/client"
)

// decideManyCmd asks the questions of a file.
type decideManyCmd struct {
	Remote remote `embed:""`
	File   string `arg:"" help:"File with a question on each line, or - for standard input."`
}

// Help gives examples.
func (decideManyCmd) Help() string {
	return `Each line of the file is a question as JSON, such as {"person":"anna","door":"gate"}; the
other fields are side, at, kind and command. Each answer is a line: {position, decision}, or
{position, error} for an id that is unknown. The questions are sent in lists of 100, and the
answers of one list are all from the permissions at one position.

Examples:

  gatehouse decide-many questions.jsonl --site north
  jq -c '{person:.id,door:"gate"}' people.jsonl | gatehouse decide-many - --site north`
}

// These bound a list of questions: 100 may be sent by everybody, and a line is far
// longer than a question.
const (
	questionsAtOnce = 100
	maxQuestion     = 4 << 10
)

// Run sends the questions and writes the answers in their order.
func (c *decideManyCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.Authorized(); err != nil {
		return err
	}
	if remote.Site == "" {
		return usage("at which site? give --site, or set GATEHOUSE_SITE")
	}
	in := w.stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return usage("%v", err)
		}
		defer f.Close()
		in = f
	}
	return decideLines(w, remote, in, c.File)
}

// decideLines sends the questions of a file in lists.
func decideLines(w *world, remote *client.Client, in io.Reader, file string) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxQuestion)
	var list []json.RawMessage
	for n := 1; lines.Scan(); n++ {
		line := bytes.Clone(bytes.TrimSpace(lines.Bytes()))
		if len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			return usage("line %d of %s is no JSON; write a question such as {\"person\":\"anna\",\"door\":\"gate\"}", n, file)
		}
		if list = append(list, line); len(list) == questionsAtOnce {
			if err := decideList(w, remote, list); err != nil {
				return fmt.Errorf("line %d of %s, or one of the %d before: %w", n, file, len(list)-1, err)
			}
			list = list[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return usage("%s: %v; a question has at most %d bytes", file, err, maxQuestion)
	}
	if len(list) == 0 {
		return nil
	}
	return decideList(w, remote, list)
}

// decideList sends a list of questions and writes their answers.
func decideList(w *world, remote *client.Client, list []json.RawMessage) error {
	body, err := json.Marshal(map[string]any{"questions": list})
	if err != nil {
		return err
	}
	a, err := remote.Send(w.ctx, client.Request{Method: http.MethodPost, Path: remote.OrgPath("sites", remote.Site, "decisions", "batch"), Body: body})
	if err != nil {
		return err
	}
	var answers struct {
		Position string           `json:"position"`
		Answers  []map[string]any `json:"answers"`
	}
	if err := json.Unmarshal(a.Body, &answers); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	out := json.NewEncoder(w.stdout)
	for _, answer := range answers.Answers {
		answer["position"] = answers.Position
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}
