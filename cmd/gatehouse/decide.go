package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/domain/unlock"
)

// question says who would pass which door, when.
type question struct {
	Person     string `placeholder:"PERSON" help:"The person, with any of their credentials."`
	Credential string `placeholder:"CREDENTIAL" help:"The credential, by its id."`
	Door       string `required:"" placeholder:"DOOR" help:"The door."`
	Side       string `enum:"in,out" default:"in" help:"The side that is passed to: in or out."`
	At         string `placeholder:"TIME" help:"The time of the decision; default: now. Without an offset it is in the time zone of --site."`
	Kind       string `enum:",fob,card,pin,mobile_key" default:"" placeholder:"KIND" help:"With --person: decide as for a fob, card, pin or mobile_key of theirs."`
	Command    string `enum:",remote_unlock,unlock_for" default:"" placeholder:"COMMAND" help:"Decide a remote command: remote_unlock or unlock_for."`
	Position   string `placeholder:"POSITION" help:"Decide on the permissions at this position, such as 1-42; without --at, at the time of that commit."`
	ExitCode   bool   `help:"End with exit code 3 if the door would stay shut."`
}

// decideCmd asks whether a door would open.
type decideCmd struct {
	Remote   remote   `embed:""`
	Question question `embed:""`
}

// Help gives examples.
func (decideCmd) Help() string {
	return `Nothing opens and nothing is recorded. The exit code is 0 for either answer, unless
--exit-code is given. Without --site, the site is that of the door.

Examples:

  gatehouse decide --person anna --door gate
  gatehouse decide --credential fob-1 --door gate --at 2026-03-02T08:30 --json`
}

// Run asks and tells what the answer is, or writes it for programs:
// {allowed, code, failed, grant, position, age_ms}.
func (c *decideCmd) Run(w *world) error {
	answer, err := c.Question.ask(w, c.Remote, "decisions")
	if err != nil {
		return err
	}
	if err := tellDecision(w, answer, c.Remote.JSON); err != nil {
		return err
	}
	return c.Question.verdict(answer)
}

// tellDecision tells in a line whether the door would open, and why not.
func tellDecision(w *world, answer []byte, asJSON bool) error {
	if asJSON {
		return w.printJSON(answer, true)
	}
	var a struct {
		Allowed bool   `json:"allowed"`
		Code    string `json:"code"`
		Because string `json:"because"`
		Grant   string `json:"grant"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	means := a.Code // of a newer service
	if code, err := unlock.ParseCode(a.Code); err == nil {
		means = code.Meaning()
	}
	line := "denied: " + means
	if a.Allowed {
		line = "allowed: " + means
	}
	if a.Because != "" {
		line += " (" + a.Because + ")"
	} else if a.Allowed && a.Grant != "" {
		line += " (" + strings.Replace(a.Grant, ":", " ", 1) + ")"
	}
	_, err := fmt.Fprintln(w.stdout, line)
	return err
}

// errShut ends a verb with the exit code that was asked for.
var errShut = &codedError{exitRefused, errors.New("the door would stay shut")}

// verdict is the error of an answer that allows nothing, when that was asked for.
func (q *question) verdict(answer []byte) error {
	var a struct {
		Allowed bool `json:"allowed"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	if q.ExitCode && !a.Allowed {
		return errShut
	}
	return nil
}

// ask sends the question to a route of the site.
func (q *question) ask(w *world, r remote, route string) ([]byte, error) {
	remote, err := r.client()
	if err != nil {
		return nil, err
	}
	if err := remote.Authorized(); err != nil {
		return nil, err
	}
	if (q.Person == "") == (q.Credential == "") {
		return nil, usage("give --person or --credential, and not both")
	}
	if err := findSite(w.ctx, remote, q.Door); err != nil {
		return nil, err
	}
	fields := map[string]string{"door": q.Door, "side": q.Side}
	for name, value := range map[string]string{"person": q.Person, "credential": q.Credential, "kind": q.Kind, "command": q.Command, "position": q.Position} {
		if value != "" {
			fields[name] = value
		}
	}
	if q.At != "" {
		at, err := input.DoorClock(remote, q.Door).Read(w.ctx, q.At)
		if err != nil {
			return nil, err
		}
		fields["at"] = at.Format(time.RFC3339Nano)
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	a, err := remote.Send(w.ctx, client.Request{Method: http.MethodPost, Path: remote.OrgPath("sites", remote.Site, route), Body: body})
	if err != nil {
		return nil, err
	}
	return a.Body, nil
}

// findSite makes the site of a door the client's when none was named.
func findSite(ctx context.Context, c *client.Client, door string) error {
	if c.Site != "" {
		return nil
	}
	var found struct {
		Site string `json:"site"`
	}
	if err := c.Get(ctx, c.OrgPath("doors", door), url.Values{}, &found); err != nil {
		return err
	}
	c.Site = found.Site
	return nil
}
