package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

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

// maxReadiness bounds the answer in bytes: a line for each org that is in trouble.
const maxReadiness = 16 << 20

// Run asks until the instance serves or the time is over.
func (c *readyCmd) Run(w *world) error {
	remote, err := remote{URL: c.URL, Token: c.Token}.client()
	if err != nil {
		return err
	}
	until := w.now().Add(c.Wait)
	for {
		body, err := remote.ready(w.ctx)
		if err == nil {
			return c.tell(w, body)
		}
		if !w.now().Before(until) {
			return err
		}
		if err := pause(w.ctx, readyPause); err != nil {
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

// ready returns the answer of an instance that serves, else an error that tells
// what keeps it from serving.
func (c *client) ready(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/readyz", nil)
	if err != nil {
		return nil, usage("--url %s: %v", c.base, err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &unreachableError{c.base, unwrapURL(err), "; is gatehouse serve running there?"}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReadiness))
	if err != nil {
		return nil, &unreachableError{c.base, err, ""}
	}
	var answer httpapi.Readiness
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK && len(answer.Troubles) == 0 {
		return nil, asAnswerError(resp, body, "")
	}
	if answer.Ready {
		return body, nil
	}
	text := "not ready:"
	for _, t := range answer.Troubles {
		text += "\n  " + described(t)
	}
	if withheld(answer.Troubles) {
		text += "\n" + howToSeeAll
	}
	return nil, &codedError{exitUnavailable, errors.New(text)}
}
