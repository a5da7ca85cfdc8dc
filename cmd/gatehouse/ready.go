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
	Token string        `env:"GATEHOUSE_TOKEN" placeholder:"TOKEN" help:"Token of the scope metrics, or @FILE that holds it, to see the affected orgs, positions and files."`
	Wait  time.Duration `placeholder:"DURATION" help:"Keep asking for this long until the instance is ready."`
	JSON  bool          `name:"json" help:"Write JSON on one line, for scripts."`
}

// Help gives examples.
func (readyCmd) Help() string {
	return `The exit code is 0 if the instance is ready; problems that do not stop it are listed. It
is 5 if the instance is not ready, with the reasons. Only a token of the scope metrics, or
the address of --metrics-listen, shows the affected orgs, positions and files.

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
const howToSeeAll = "To see which ones, give a token of the scope metrics as GATEHOUSE_TOKEN (gatehouse token issue --scope metrics), or ask the address of --metrics-listen."

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
