package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// explainCmd asks why a door would open, or would not.
type explainCmd struct {
	Remote   remote   `embed:""`
	Question question `embed:""`
}

// Help gives examples.
func (explainCmd) Help() string {
	return `It lists the facts that the decision is based on: the door, the site, the person, and each
right that could let them pass, with the commits behind them. An x marks what fails.

Examples:

  gatehouse explain --person anna --door gate
  gatehouse explain --credential fob-1 --door gate --at 2026-03-02T08:30 --json
  gatehouse explain --person anna --door gate --position 1-42`
}

// Run asks and tells the explanation, with --json as it came.
func (c *explainCmd) Run(w *world) error {
	answer, err := c.Question.ask(w, c.Remote, "explain")
	if err != nil {
		return err
	}
	if c.Remote.JSON {
		err = w.printJSON(answer, true)
	} else {
		var e struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal(answer, &e); err != nil {
			return fmt.Errorf("the explanation cannot be read: %w", err)
		}
		_, err = io.WriteString(w.stdout, e.Text)
	}
	if err != nil {
		return err
	}
	return c.Question.verdict(answer)
}
