package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/url"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/schemas/wire"
)

// replayCmd reads the events of the ledger.
type replayCmd struct {
	Remote remote `embed:""`
	From   string `placeholder:"P|T" help:"Begin after this position or time; default: with the first event."`
	To     string `placeholder:"P|T" help:"End with this position or time; default: with the last event."`
	Type   string `placeholder:"TYPE" help:"Only events of this type, such as fob.assigned, or of this noun, such as fob."`
}

// Help gives examples.
func (replayCmd) Help() string {
	return `A position is written 1-42; a time 2026-03-02T08:30:00Z, or without the offset for
the clock of --site. It needs the role system_manager at the org.

Examples:

  gatehouse replay
  gatehouse replay --from 1-100 --to 1-200
  gatehouse replay --site north --from 2026-03-02T08:00 --type share`
}

// replayed is an event as replay writes it.
type replayed struct {
	Position   wire.Position   `json:"position"` // of its commit
	Index      int             `json:"index"`    // among those of its commit that were asked for, from 0
	Hash       wire.Hash       `json:"hash"`     // of its commit as stored
	At         time.Time       `json:"at"`
	Actor      string          `json:"actor"`
	OnBehalfOf string          `json:"on_behalf_of,omitempty"`
	ID         string          `json:"id"` // of the command
	Command    string          `json:"command"`
	Causation  string          `json:"causation,omitempty"`
	Type       string          `json:"type"`
	Version    int             `json:"version"`
	Sites      []string        `json:"sites"`
	Data       json.RawMessage `json:"data"`
}

// replayedCommit is a commit as the service gives it.
type replayedCommit struct {
	Position   wire.Position `json:"position"`
	Hash       wire.Hash     `json:"hash"`
	At         time.Time     `json:"at"`
	Actor      string        `json:"actor"`
	OnBehalfOf string        `json:"on_behalf_of"`
	ID         string        `json:"id"`
	Command    string        `json:"command"`
	Causation  string        `json:"causation"`
	Events     []struct {
		Type    string          `json:"type"`
		Version int             `json:"version"`
		Sites   []string        `json:"sites"`
		Data    json.RawMessage `json:"data"`
	} `json:"events"`
}

// Run writes one line for each event.
func (c *replayCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.Authorized(); err != nil {
		return err
	}
	query := url.Values{}
	if c.Type != "" {
		query.Set("type", c.Type)
	}
	clock := input.SiteClock(remote)
	for name, text := range map[string]string{"from": c.From, "to": c.To} {
		at, err := bound(w.ctx, clock, text)
		if err != nil {
			return err
		}
		if at != "" {
			query.Set(name, at)
		}
	}
	out := bufio.NewWriter(w.stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err = replay(w.ctx, remote, query, func(e replayed) error { return lines.Encode(e) })
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	return err
}

// bound reads a bound: a position as it is, a time as the service takes it.
func bound(ctx context.Context, k *input.Clock, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if _, err := wire.ParsePosition(text); err == nil {
		return text, nil
	}
	at, err := k.Read(ctx, text)
	return at.Format(time.RFC3339Nano), err
}

// replay calls f for every event that a question for commits finds, in the order
// of the ledger.
func replay(ctx context.Context, c *client.Client, query url.Values, f func(replayed) error) error {
	return c.Each(ctx, c.OrgPath("commits"), query, func(item json.RawMessage) error {
		var commit replayedCommit
		if err := json.Unmarshal(item, &commit); err != nil {
			return err
		}
		for i, e := range commit.Events {
			err := f(replayed{Position: commit.Position, Index: i, Hash: commit.Hash, At: commit.At, Actor: commit.Actor,
				OnBehalfOf: commit.OnBehalfOf, ID: commit.ID, Command: commit.Command, Causation: commit.Causation,
				Type: e.Type, Version: e.Version, Sites: e.Sites, Data: e.Data})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
