package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/gateways/httpapi"
)

// readyCmd asks whether an instance serves.
type readyCmd struct {
	URL   string        `name:"url" env:"GATEHOUSE_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the service is."`
	Token string        `env:"GATEHOUSE_TOKEN" placeholder:"TOKEN" help:"Token of the scope metrics, or @FILE that holds it, to be told which orgs, positions and files."`
	Wait  time.Duration `placeholder:"DURATION" help:"Ask again for so long, until it serves."`
	JSON  bool          `name:"json" help:"Write JSON on one line, for scripts."`
}

// Help gives examples.
func (readyCmd) Help() string {
	return `It ends with 0 when the instance serves, and tells what is amiss even so; else with 5
and what keeps it from serving. Which orgs, positions and files have a trouble is told to
a token of the scope metrics, and at the address of --metrics-listen.

Examples:

  gatehouse ready
  gatehouse ready --url http://127.0.0.1:8081 --wait 30s`
}

// readyPause is how long it waits before it asks again.
const readyPause = 100 * time.Millisecond

// Run asks until the instance serves or the time is over.
func (c *readyCmd) Run(w *world) error {
	remote, err := remote{URL: c.URL, Token: c.Token}.client()
	if err != nil {
		return err
	}
	until := w.now().Add(c.Wait)
	for {
		body, err := readiness(w.ctx, remote)
		if err == nil {
			return c.tell(w, body)
		}
		if !w.now().Before(until) {
			return err
		}
		if err := client.Pause(w.ctx, readyPause); err != nil {
			return err
		}
	}
}

// tell writes what an instance that serves says of itself.
func (c *readyCmd) tell(w *world, body []byte) error {
	if c.JSON {
		return w.printJSON(body, true)
	}
	var answer httpapi.Readiness
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	for _, d := range answer.Degraded {
		w.say("degraded: %s", described(d))
	}
	if withheld(answer.Degraded) {
		w.say("%s", howToSeeAll)
	}
	return nil
}

// howToSeeAll says who is told everything.
const howToSeeAll = "To see which, give a token of the scope metrics as GATEHOUSE_TOKEN (gatehouse token issue --scope metrics), or ask the address of --metrics-listen."

// withheld reports whether the service does not tell everything of its troubles.
func withheld(troubles []httpapi.Trouble) bool {
	return slices.ContainsFunc(troubles, func(t httpapi.Trouble) bool { return t.Message == "" })
}

func described(t httpapi.Trouble) string {
	if t.Message == "" {
		return t.Part
	}
	return t.Part + ": " + t.Message
}

// readiness returns the answer of an instance that serves, else an error that tells
// why it does not serve.
func readiness(ctx context.Context, c *client.Client) ([]byte, error) {
	answer, err := c.SendOnce(ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
	var found httpapi.Readiness
	if err == nil {
		if json.Unmarshal(answer.Body, &found) != nil || !found.Ready {
			return nil, fmt.Errorf("%s does not answer like gatehouse serve; check --url", c.Base)
		}
		return answer.Body, nil
	}
	refused, ok := errors.AsType[*client.AnswerError](err)
	if !ok || json.Unmarshal(refused.Body, &found) != nil || len(found.Troubles) == 0 {
		return nil, err
	}
	text := "not ready:"
	for _, t := range found.Troubles {
		text += "\n  " + described(t)
	}
	if withheld(found.Troubles) {
		text += "\n" + howToSeeAll
	}
	return nil, &codedError{exitUnavailable, errors.New(text)}
}
